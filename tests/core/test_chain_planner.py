"""Buying by value is bounded, pure, honest at its own stop, and fixed K at no price."""

from dataclasses import replace
from itertools import pairwise, product
from math import comb, exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory.core.chain import Chain, Counts
from factory.core.chain_planner import ByValue, LabelCosts
from factory.core.planners import FixedK
from factory.core.posterior import KeepsProgress, Question, StillSolvable, infer, log_evidence
from factory.core.prior import ChainPrior
from schemas.records import StopReason
from tests.core.test_planners import KNOWN, OUTCOMES, R, T, W, run
from tests.core.test_posterior import chains

SMALL = ChainPrior(num_cells=8)
CHEAP = ByValue(prior=SMALL, price=0.001, num_root=3, batches=(2, 4), max_rollouts=10)
QUESTIONS: list[Question] = [StillSolvable(), KeepsProgress()]


@settings(deadline=None)
@given(OUTCOMES, KNOWN, st.sampled_from(QUESTIONS), st.sampled_from([1e-6, 0.003, 0.05]))
def test_buying_ends_within_the_maximum(
    outcomes: list[list[str]], is_correct: bool | None, question: Question, price: float
) -> None:
    planner = replace(CHEAP, question=question, price=price)
    ended = run(planner, outcomes, is_correct)  # type: ignore[arg-type]
    for counts in (ended.root, *ended.steps):
        assert counts.num_issued <= planner.max_rollouts
    assert planner.plan(ended) == planner.plan(ended) == {}


@pytest.mark.parametrize("verdict", [R, W, T])
@pytest.mark.parametrize("is_correct", [True, False, None])
@pytest.mark.parametrize("num_steps", [1, 2, 6])
def test_monotonous_outcomes_end_too(verdict: str, is_correct: bool | None, num_steps: int) -> None:
    outcomes = [[verdict] * 16] * (num_steps + 1)
    ended = run(CHEAP, outcomes, is_correct)  # type: ignore[arg-type]
    assert all(counts.num_issued <= 10 for counts in ended.steps)


def test_an_unsampled_root_is_bought_in_the_first_round_and_within_the_maximum() -> None:
    blank = Chain(root=Counts(), steps=(Counts(),) * 3, is_correct=False)
    assert ByValue().plan(blank) == {0: 16, 1: 2, 2: 2}
    assert ByValue(max_rollouts=8).plan(blank) == {0: 8, 1: 2, 2: 2}


def test_a_single_step_with_a_known_ending_needs_nothing() -> None:
    for root in (Counts(), Counts(num_rollouts=4, num_correct=2, num_issued=4)):
        assert ByValue().plan(Chain(root=root, steps=(Counts(),), is_correct=True)) == {}


@settings(deadline=None)
@given(chains(max_steps=8))
def test_free_rollouts_are_fixed_k(chain: Chain) -> None:
    free = ByValue(price=0.0, max_rollouts=30)
    assert free.plan(chain) == FixedK(num_rollouts=30).plan(chain)


@settings(deadline=None)
@given(chains(max_steps=6, most=12), st.sampled_from(QUESTIONS))
def test_a_higher_price_asks_for_a_part_of_the_prefixes(chain: Chain, question: Question) -> None:
    plans = [
        replace(CHEAP, question=question, max_rollouts=20, price=price).plan(chain)
        for price in (0.0, 1e-6, 1e-3, 1e-2, 1.0)
    ]
    for more, fewer in pairwise(plans):
        assert set(fewer) <= set(more)


@settings(deadline=None)
@given(OUTCOMES, KNOWN, st.randoms(use_true_random=False))
def test_the_order_within_a_round_means_nothing(
    outcomes: list[list[str]], is_correct: bool | None, random: object
) -> None:
    planner = replace(CHEAP, first=2, num_root=2, batches=(4,), max_rollouts=14)

    def shuffled(row: list[str]) -> list[str]:
        rounds = [row[start : start + size] for start, size in ((0, 2), (2, 4), (6, 4), (10, 4))]
        for some in rounds:
            random.shuffle(some)  # type: ignore[attr-defined]
        return [outcome for some in rounds for outcome in some] + row[14:]

    other = [shuffled(row) for row in outcomes]
    assert run(planner, other, is_correct) == run(planner, outcomes, is_correct)  # type: ignore[arg-type]


@settings(deadline=None)
@given(chains(max_steps=6, most=12), st.sampled_from(QUESTIONS))
def test_a_further_rollout_is_never_expected_to_harm(chain: Chain, question: Question) -> None:
    """The expected risk after looking is at most the risk now, at every prefix."""
    planner = replace(CHEAP, question=question, max_rollouts=1000)
    if chain.open_prefixes:
        values_JB = planner.values(chain, infer(chain, SMALL, question))
        assert np.all(values_JB >= -1e-9)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_batchs_value_is_the_mean_saving_over_its_outcomes(question: Question) -> None:
    """Against asking the posterior again after each outcome; the bare problem's mean is pinned."""
    root = Counts(num_rollouts=4000, num_correct=2000, num_issued=4000)
    steps = tuple(Counts(num_rollouts=4, num_correct=k, num_issued=4) for k in (3, 1, 2))
    chain = Chain(root=root, steps=steps, is_correct=False)
    planner = replace(CHEAP, question=question, batches=(4,), max_rollouts=100)
    now = infer(chain, SMALL, question)
    values_JB = planner.values(chain, now)

    def risk(good_I: np.ndarray) -> float:
        return float(planner.costs.risk(np.ones_like(good_I), good_I).sum())

    for prefix in chain.open_prefixes:
        expected = 0.0
        for k in range(5):
            values = now.grid.values_G
            chance = now.marginals_NG[prefix] @ (comb(4, k) * values**k * (1 - values) ** (4 - k))
            more = Counts(
                num_rollouts=8, num_correct=steps[prefix - 1].num_correct + k, num_issued=8
            )
            then = replace(chain, steps=(*steps[: prefix - 1], more, *steps[prefix:]))
            expected += float(chance) * risk(infer(then, SMALL, question).good_I)
        saving = (risk(now.good_I) - expected) / (4 * chain.share_ahead(prefix))
        assert values_JB[prefix - 1, 0] == pytest.approx(saving, abs=1e-9)


def leaves(planner: ByValue, start: Chain) -> dict[Chain, int]:
    """Every state the loop can end in, with the number of outcome sequences that lead there."""
    open_, ended = {start: 1}, {}
    while open_:
        moved: dict[Chain, int] = {}
        for chain, ways in open_.items():
            plan = planner.plan(chain)
            if not plan:
                ended[chain] = ended.get(chain, 0) + ways
                continue
            for hits in product(*(range(m + 1) for m in plan.values())):
                found = [chain.root, *chain.steps]
                more = ways
                for (prefix, m), k in zip(plan.items(), hits, strict=True):
                    before = found[prefix]
                    found[prefix] = Counts(
                        num_rollouts=before.num_rollouts + m,
                        num_correct=before.num_correct + k,
                        num_issued=before.num_issued + m,
                    )
                    more *= comb(m, k)
                after = replace(chain, root=found[0], steps=tuple(found[1:]))
                moved[after] = moved.get(after, 0) + more
        open_ = moved
    return ended


ADAPTIVE = ByValue(prior=SMALL, price=0.01, num_root=2, batches=(2, 3), max_rollouts=8)


@pytest.mark.parametrize("other", [SMALL, ChainPrior(num_cells=5, dead=0.4, concentration=3)])
def test_the_evidence_of_all_ways_to_stop_adds_up_to_1(other: ChainPrior) -> None:
    """So it is a probability whatever stopped the sampling, under the planner's prior or not."""
    total = 0.0
    for is_correct in (True, False):
        blank = Chain(
            root=Counts(), steps=(Counts(),) * 3, is_correct=is_correct, is_on_policy=True
        )
        ended = leaves(ADAPTIVE, blank)
        assert len({chain.steps[0].num_issued for chain in ended}) > 1
        total += sum(ways * exp(log_evidence(chain, other)) for chain, ways in ended.items())
    assert total == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("values", [(0.5, 0.7, 0.2), (0.9, 0.9, 0.0), (0.3, 0.05, 0.6)])
def test_counts_stay_unbiased_though_shares_do_not(values: tuple[float, ...]) -> None:
    """E[S - N p] = 0 at every prefix (Wald), exact over all ways to stop."""
    blank = Chain(root=Counts(), steps=(Counts(),) * 3, is_correct=False)
    total, surplus = 0.0, np.zeros(3)
    for chain, ways in leaves(ADAPTIVE, blank).items():
        counted = [chain.counts_at(prefix) for prefix in range(3)]
        weight = float(ways)
        for c, p in zip(counted, values, strict=True):
            weight *= p**c.num_correct * (1 - p) ** (c.num_rollouts - c.num_correct)
        total += weight
        surplus += weight * np.array(
            [c.num_correct - c.num_rollouts * p for c, p in zip(counted, values, strict=True)]
        )
    assert total == pytest.approx(1)
    np.testing.assert_allclose(surplus, 0, atol=1e-9)


@pytest.mark.parametrize("question", QUESTIONS)
def test_claims_are_calibrated_where_the_planner_stops(question: Question) -> None:
    """500 chains from the prior itself. Each z below is about normal, so that one of eight passes
    4.5 by chance in one of 18,000 worlds; the seed is fixed."""
    rng = np.random.default_rng(20)
    grid = SMALL.grid
    planner = ByValue(prior=SMALL, question=question, price=0.01, max_rollouts=32)
    surplus: dict[str, list[float]] = {"all": [], "low": [], "middle": [], "high": []}
    for _ in range(500):
        path = [rng.choice(len(grid.values_G), p=grid.root_G)]
        for _ in range(3):
            path.append(rng.choice(len(grid.values_G), p=grid.step_GG[path[-1]]))
        chain = simulated(planner, grid.values_G[path], rng)
        posterior = infer(chain, SMALL, question)
        moves = question.good_moves(grid, float(posterior.means_N[0]))
        truth = np.array([moves[u, v] for u, v in pairwise(path)])
        if question.is_closed:
            truth = np.logical_and.accumulate(truth)
        found = dict.fromkeys(surplus, 0.0)
        for claim, is_good in zip(posterior.good_I, truth, strict=True):
            band = "low" if claim < 0.2 else "high" if claim > 0.8 else "middle"
            found["all"] += is_good - claim
            found[band] += is_good - claim
        for band, sum_ in found.items():
            surplus[band].append(sum_)
    for band, sums in surplus.items():
        z = np.mean(sums) / (np.std(sums) / np.sqrt(len(sums)))
        assert abs(z) < 4.5, band


def simulated(planner: ByValue, values: np.ndarray, rng: np.random.Generator) -> Chain:
    """The planner's loop on a world where the prefixes are worth this; on-policy ending."""
    right, issued = np.zeros(len(values), dtype=int), np.zeros(len(values), dtype=int)
    is_correct = bool(rng.random() < values[-1])
    while True:
        counts = [
            Counts(num_rollouts=int(n), num_correct=int(k), num_issued=int(n))
            for n, k in zip(issued, right, strict=True)
        ]
        chain = Chain(
            root=counts[0],
            steps=(*counts[1:], Counts()),
            is_correct=is_correct,
            is_on_policy=True,
        )
        plan = planner.plan(chain)
        if not plan:
            return chain
        for prefix, m in plan.items():
            right[prefix] += rng.binomial(m, values[prefix])
            issued[prefix] += m


def test_stop_reasons_tell_the_cap_from_the_price() -> None:
    planner = ByValue(batches=(4, 16), max_rollouts=20)
    assert planner.stop_reason(Counts(num_rollouts=16, num_issued=16)) is StopReason.PRICE
    assert planner.stop_reason(Counts(num_rollouts=17, num_issued=17)) is StopReason.CAP


def test_the_cheaper_mistake_is_chosen() -> None:
    costs = LabelCosts()
    assert costs.is_good(0.7)
    assert not costs.is_good(0.6)
    assert costs.risk(np.ones(1), np.array([0.5]))[0] == 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ByValue(price=-1), "price must be at least 0"),
        (lambda: ByValue(batches=()), "batches must name at least one size"),
        (lambda: ByValue(num_root=0), "must be at least 1"),
        (lambda: ByValue(first=0), "must be at least 1"),
        (lambda: ByValue(share_of_best=1.5), "share_of_best must lie"),
        (lambda: LabelCosts(good_called_bad=0), "both costs must be above 0"),
    ],
)
def test_an_impossible_buyer_is_refused(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=message):
        make()
