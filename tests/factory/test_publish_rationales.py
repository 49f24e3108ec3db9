"""Rationales become datasets of their own, and every one that does not is counted."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from factory.core.consensus import DISAGREES, TOO_LONG, UNBALANCED, UNDECIDED
from factory.core.labelers import HardEstimation
from factory.core.recipe import Recipe
from factory.core.sft import NOT_IN_SECTIONS
from factory.core.teachers.form import EMPTY
from factory.core.teaching import NO_MAJORITY, OUTVOTED, REPRESENTED
from factory.errors import InputError
from factory.identity import check_folder
from factory.job import OutputSection
from factory.job_folder import JobFolder
from factory.publish import publish
from factory.recipes import load_recipe
from factory.relabel import relabel, unfinished
from factory.reuse import check_evidence, take_evidence
from schemas.manifest import Manifest, write_manifest
from schemas.rationales import Rationale
from schemas.records import ProblemGroup, Solution, Status, Verdict
from tests.factory.builders import group, manifest_of, solution, store, store_job, unlabelled

GENPRM = replace(load_recipe("genprm"), labeler=HardEstimation())
GOOD = ("a-good", (True, True, True), 8, 4)
BAD = ("b-bad", (True, False), 8, 0)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def text_of(verdicts: Sequence[bool]) -> str:
    sections = [
        f"### Paragraph {i}\n<analyze>\nWell.\n</analyze>\n<verify>\n```python\nprint({good})\n```"
        f"\n[Code Output]\n\n```\n{good}\n```\n</verify>\n<output>\n**Judgement**: "
        f"$\\boxed{{{'Yes' if good else 'No'}}}$\n</output>"
        for i, good in enumerate(verdicts, 1)
    ]
    index = len(verdicts) if False in verdicts else -1
    return "\n\n".join([*sections, f"**First error**: $\\boxed{{{index}}}$"])


def rationale(
    verdicts: tuple[bool, ...] = (), *, reason: str | None = None, text: str | None = None
) -> Rationale:
    return Rationale(
        text=text_of(verdicts) if text is None else text,
        verdicts=verdicts,
        reason=reason,
        num_tokens=50,
        num_tokens_discarded=5,
        num_redrawn=1,
        num_contradictions=0,
        num_code_blocks=len(verdicts),
        num_code_failures=0,
    )


def judged(name: str, *rationales: Rationale, counts: tuple[int, ...] = (8, 4)) -> Solution:
    verdict = Verdict.WRONG if 0 in counts else Verdict.CORRECT
    return replace(solution(name, *counts, verdict=verdict), rationales=rationales)


def published(
    folder: Path, *groups: ProblemGroup, recipe: Recipe = GENPRM
) -> tuple[Path, Manifest]:
    manifest = publish(
        evidence=[(0, sorted(groups, key=lambda g: g.problem_id))],
        folder=folder / "dataset",
        manifest=manifest_of(recipe),
        labeler=recipe.labeler,
        curation=recipe.curation,
        output=OutputSection(),
    )
    return folder / "dataset", manifest


def loaded(dataset: Path, name: str) -> Any:
    from datasets import load_dataset

    return load_dataset(str(dataset), name, split="train")


def test_a_kept_rationale_is_a_conversation_and_its_solution_a_row_of_the_consensus(
    tmp_path: Path,
) -> None:
    right = judged("s-right", rationale((True, True, True)))
    wrong = judged("s-wrong", rationale((True, False)), counts=(8, 0))
    dataset, manifest = published(tmp_path, group("p", right, wrong))
    rows = loaded(dataset, "rationales")
    assert [len(row["conversations"]) for row in rows] == [7, 5]
    roles = [turn["role"] for turn in rows[1]["conversations"]]
    assert roles == ["system", "user", "assistant", "user", "assistant"]
    assert "[Code Output]\n\n```\nFalse\n```" in rows[1]["conversations"][-1]["content"]
    assert [row["first_error"] for row in rows] == [None, 1]
    consensus = loaded(dataset, "consensus")
    assert [row["labels"] for row in consensus] == [[True, True, True], [True, False]]
    labelled = loaded(dataset, "default")
    assert labelled["is_consensus"] == [True, True]
    assert labelled["teacher_labels"] == [[True, True, True], [True, False, None]]
    assert manifest.summary["num_rationale_rows"] == manifest.summary["num_consensus"] == 2


def test_every_dropped_rationale_has_a_counted_reason(tmp_path: Path) -> None:
    loose = "The paragraphs are fine.\n\n**First error**: $\\boxed{-1}$"
    dataset, manifest = published(
        tmp_path,
        group(
            "p",
            judged("s-1", rationale((True, True, True))),
            judged("s-2", rationale((True, False))),
            judged("s-3", rationale(reason=EMPTY, text="")),
            judged("s-4", rationale((True, True, True), text=loose)),
        ),
    )
    summary = manifest.summary
    assert summary["rationales_dropped"] == {DISAGREES: 1, EMPTY: 1, NOT_IN_SECTIONS: 1}
    assert summary["num_rationales"] == 4
    assert len(loaded(dataset, "rationales")) == summary["num_rationale_rows"] == 1
    rows = loaded(dataset, "default")
    assert rows["consensus_reason"] == [None, DISAGREES, EMPTY, NOT_IN_SECTIONS]
    assert rows["is_consensus"] == [True, False, False, False]
    card = (dataset / "README.md").read_text(encoding="utf-8")
    assert "4 rationales: 1 kept, 3 dropped" in card
    assert f"1 dropped: {DISAGREES}" in card


def test_parts_without_rows_are_absent_and_the_card_does_not_name_them(tmp_path: Path) -> None:
    dataset, manifest = published(
        tmp_path, group("p", judged("s", rationale((True, False)), counts=(8, 8)))
    )
    assert {f.name for f in dataset.iterdir()} == {"README.md", "data", "manifest.json"}
    _, header, _ = (dataset / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert [c["config_name"] for c in yaml.safe_load(header)["configs"]] == ["default"]
    assert {s.path.partition("/")[0] for s in manifest.shards} == {"data"}


def test_without_a_teacher_nothing_is_said_of_one(tmp_path: Path) -> None:
    dataset, _ = published(tmp_path, group("p"), recipe=load_recipe("math-shepherd"))
    (row,) = loaded(dataset, "default")
    assert (row["teacher"], row["num_rationales"], row["is_consensus"]) == (None, 0, None)
    assert row["teacher_labels"] == [None] * 4
    _, _, body = (dataset / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    assert "teacher" not in body.partition("## The recipe, in full")[0]


def test_balance_keeps_as_many_with_an_error_as_without(tmp_path: Path) -> None:
    balanced = replace(GENPRM, curation=replace(GENPRM.curation, is_balanced=True))
    groups = [group(f"p{i}", judged(f"s{i}", rationale((True, True, True)))) for i in range(3)]
    wrong = group("q", judged("s-wrong", rationale((True, False)), counts=(8, 0)))
    dataset, manifest = published(tmp_path, *groups, wrong, recipe=balanced)
    assert manifest.summary["rationales_dropped"] == {UNBALANCED: 2}
    errors = loaded(dataset, "rationales")["first_error"]
    assert sorted(map(str, errors)) == ["1", "None"]


def test_votes_decide_where_the_recipe_asks_for_them(tmp_path: Path) -> None:
    recipe = load_recipe("qwen-consensus")
    says = [rationale(v, text=f"\\boxed{{{n}}} {n}") for n, v in enumerate(
        [(True, False), (True, True, True), (True, True, True)])]  # fmt: skip
    dataset, manifest = published(
        tmp_path,
        group("p", judged("s-won", *says), judged("s-tied", *says[:2])),
        recipe=recipe,
    )
    assert loaded(dataset, "default")["consensus_reason"] == [None, NO_MAJORITY]
    summary = manifest.summary
    assert summary["num_rationales"] == 5
    assert summary["rationales_dropped"] == {NO_MAJORITY: 2, OUTVOTED: 1, REPRESENTED: 1}
    assert manifest.summary["num_rationale_rows"] == 0
    assert loaded(dataset, "consensus")["solution_id"] == ["s-won"]


def given(name: str, labels: tuple[bool | None, ...], *rationales: Rationale) -> Solution:
    bare = solution(name, 8, 8, verdict=Verdict.UNGRADED)
    nothing = bare.evidence[-1]
    return replace(
        bare, given_labels=labels, evidence=(nothing,) * len(bare.steps), rationales=rationales
    )


def test_given_labels_are_what_thinkprm_compares_with(tmp_path: Path) -> None:
    recipe = load_recipe("thinkprm")
    chain = "Step 1: fine. The step is \\boxed{correct}\nStep 2: no. The step is \\boxed{incorrect}"
    good = "\n".join(f"Step {n}: fine. The step is \\boxed{{correct}}" for n in (1, 2, 3))
    dataset, manifest = published(
        tmp_path,
        group(
            "p",
            given("s-1", (True, False, None), rationale((True, False), text=chain + "\nDone.")),
            given("s-2", (True, True, True), rationale((True, True, True), text=good)),
            given("s-3", (True, None, True), rationale((True, True, True), text=good)),
        ),
        recipe=recipe,
    )
    assert manifest.summary["rationales_dropped"] == {UNDECIDED: 1}
    rows = {row["solution_id"]: row for row in loaded(dataset, "rationales")}
    assert rows["s-1"]["gt_step_labels"] == ["+", "-"]
    assert rows["s-1"]["prefix_label"] is False
    assert rows["s-1"]["cot"] == (f"<think>\n{chain}\n</think>\nIs the solution correct? No")
    assert rows["s-2"]["prefix_label"] is True
    card = (dataset / "README.md").read_text(encoding="utf-8")
    assert "The labels came with the problems; no rollout stands behind them." in card
    assert "monte-carlo" not in card


def test_another_rule_on_stored_rationales_asks_nobody(tmp_path: Path) -> None:
    job = tmp_path / "job"
    wrong = judged("s-wrong", rationale((True, False)), counts=(8, 0))
    store_job(job, [group("p", wrong)], stage="critique")
    write_manifest(job, manifest_of(load_recipe("genprm")))
    manifest = relabel(job, "math-shepherd", tmp_path / "out")
    assert manifest.recipe["name"] == "math-shepherd on genprm"
    assert manifest.recipe["teaching"] is not None
    assert manifest.summary["num_consensus"] == 1


def test_a_longer_rationale_of_the_winning_side_gives_way_to_one_that_fits(tmp_path: Path) -> None:
    recipe = load_recipe("qwen-consensus")
    long, short = (rationale((True,) * 3, text=f"\\boxed{{-1}} {n}") for n in "ab")
    solutions = judged("s", replace(long, num_tokens=5_000), short)
    dataset, manifest = published(tmp_path, group("p", solutions), recipe=recipe)
    assert manifest.summary["rationales_dropped"] == {TOO_LONG: 1}
    assert loaded(dataset, "consensus")["solution_id"] == ["s"]


def test_relabelling_says_when_the_teacher_is_not_done(tmp_path: Path) -> None:
    job = tmp_path / "job"
    store_job(job, [group("p"), group("q")])
    write_manifest(job, manifest_of(load_recipe("genprm")))
    with pytest.raises(InputError, match="the teacher has not judged anything"):
        relabel(job, "math-shepherd", tmp_path / "out")
    store(job / "stages" / "critique" / "pass-0000" / "a.parquet", [group("p")])
    relabel(job, "math-shepherd", tmp_path / "out")
    assert "1 of 2 problems" in (unfinished(job) or "")


def test_rollouts_are_taken_over_where_they_would_be_the_same(tmp_path: Path) -> None:
    source, out = tmp_path / "labels", tmp_path / "with-teacher"
    store_job(source, [group("p"), unlabelled("q", Status.FAILED)])
    store_job(out, [group("p"), group("q")], done=[])
    labels, genprm = (manifest_of(load_recipe(n)) for n in ("genprm-labels", "genprm"))
    write_manifest(source, labels)
    check_evidence(source, genprm)
    take_evidence(source, out)
    assert JobFolder(path=out).stored(JobFolder(path=out).estimate).rows.keys() == {"p"}
    take_evidence(source, out)  # a second run leaves what is there
    other = replace(genprm, evidence_digest="f" * 16)
    with pytest.raises(InputError, match="made under evidence digest eeeeeeeeeeeeeeee"):
        check_evidence(source, other)
    with pytest.raises(InputError, match="take over its rollouts by --evidence"):
        check_folder(source, genprm)


def taken(out: Path) -> set[str]:
    return set(JobFolder(path=out).stored(JobFolder(path=out).estimate).rows)


def test_only_our_own_problems_are_taken_over_and_later_ones_later(tmp_path: Path) -> None:
    source, out = tmp_path / "large", tmp_path / "small"
    store_job(source, [group(i) for i in "pqr"])
    store_job(out, [group("q")], done=[])
    take_evidence(source, out)
    assert taken(out) == {"q"}
    store_job(out, [group("q"), group("r")], done=[])
    take_evidence(source, out)
    assert taken(out) == {"q", "r"}
