"""What the programs count for whoever watches."""

from collections import Counter

from tests.programs.scenes import by_seed, estimate, given, group, say
from tests.programs.test_critique import FIRST, WHOLE, Loops, rationale, writes
from workers.counting import ProgramCounts, counting, program_counts
from workers.scripted_engine import ScriptedEngine


def test_an_estimate_counts_rollouts_rounds_and_steps() -> None:
    sums: Counter[str] = Counter()
    with counting(sums):
        found = estimate(group(given("a\n", "b\n", "c")), ScriptedEngine(by_seed))
    lost = sum(e.num_ungraded for e in (found.root, *found.solutions[0].evidence) if e)
    assert lost > 0
    assert program_counts(sums) == ProgramCounts(
        num_rollouts=3 * 8,
        num_ungraded=lost,
        num_grader_timeouts=lost,
        num_rounds=1,
        num_steps=3,
        num_undecided=0,
    )


def test_steps_that_nothing_could_decide_are_undecided() -> None:
    sums: Counter[str] = Counter()
    with counting(sums):
        estimate(group(given("a\n", "b\n", "c")), ScriptedEngine(say("\\boxed{hard}")))
    assert (sums["steps"], sums["undecided"]) == (3, 2)


def test_a_critique_counts_code_and_how_it_ended() -> None:
    sums: Counter[str] = Counter()
    with counting(sums):
        rationale(writes(WHOLE))
    assert (sums["code_runs"], sums["code_timeouts"], sums["code_stopped"]) == (2, 0, 0)
    text = FIRST.replace("True\n", "TimeoutError: the code did not finish in time\n")
    with counting(sums):
        rationale(writes(text.replace("Yes", "No")), sandbox=Loops(), max_redraws=0)
    assert (sums["code_runs"], sums["code_timeouts"], sums["code_stopped"]) == (3, 1, 0)
