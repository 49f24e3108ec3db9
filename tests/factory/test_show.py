"""What a person sees of a job, and labels made again from its evidence."""

from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from factory.demo import telling_row
from factory.errors import InputError
from factory.job import OutputSection
from factory.publish import publish
from factory.recipes import load_recipe
from factory.relabel import relabel, unfinished
from factory.report.show import all_failed, print_summary, published_rows, show
from factory.report.tables import duration, percent
from schemas.manifest import read_manifest, write_manifest
from schemas.records import ProblemGroup, Status, Verdict
from tests.factory.builders import group, job_folder, manifest_of, solution, store, unlabelled

GROUPS = (group("a", solution("s", 8, 2, 1), solution("t", 0, 0)), group("b"), unlabelled("c"))


def finished(folder: Path, *groups: ProblemGroup) -> Path:
    """A job's folder with its dataset."""
    job_folder(folder, *(groups or GROUPS))
    relabel(folder, "math-shepherd", folder)
    return folder


def shown(folder: Path, num_solutions: int = 3, width: int = 80) -> str:
    console = Console(width=width, record=True, file=StringIO())
    show(console, folder, num_solutions)
    return console.export_text()


def labels_of(folder: Path) -> list[Any]:
    return [row["step_labels"] for row in published_rows(folder / "dataset")]


def test_relabelling_changes_labels_and_nothing_else_and_goes_back(tmp_path: Path) -> None:
    job = finished(tmp_path / "job")
    other = relabel(job, "genprm", tmp_path / "other")
    back = relabel(job, "math-shepherd", tmp_path / "back")
    hard, progress = labels_of(job), labels_of(tmp_path / "other")
    assert hard == [[True, True, True, True], [False, False, True], [True, True, False, True]]
    assert progress == [[True, False, False, True], [False] * 3, [True, False, False, False]]
    assert back == read_manifest(job)
    assert labels_of(tmp_path / "back") == hard
    assert other.digest != back.digest
    assert other.evidence_digest == back.evidence_digest


def test_relabelled_rows_say_whose_evidence_it_is(tmp_path: Path) -> None:
    manifest = relabel(job_folder(tmp_path / "job"), "genprm", tmp_path / "out")
    [row] = published_rows(tmp_path / "out" / "dataset")
    assert row["recipe"] == manifest.recipe["name"] == "genprm on math-shepherd"
    assert row["digest"] == manifest.digest
    assert manifest.recipe["planner"] == {"type": "FixedK", "num_rollouts": 8}
    assert manifest.recipe["labeler"]["type"] == "RelativeProgress"


def test_relabelling_refuses_what_has_no_evidence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "none"):
        with pytest.raises(InputError, match="holds no evidence: give the folder"):
            relabel(folder, "genprm", tmp_path / "out")
    relabelled = tmp_path / "relabelled"
    relabel(job_folder(tmp_path / "job"), "genprm", relabelled)
    with pytest.raises(InputError, match="holds no evidence"):
        relabel(relabelled, "genprm", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_relabelling_refuses_an_unknown_recipe_and_a_foreign_folder(tmp_path: Path) -> None:
    job = finished(tmp_path / "job")
    with pytest.raises(InputError, match="'zebra': known are adaptive, genprm, genprm-labels"):
        relabel(job, "zebra", tmp_path / "out")
    with pytest.raises(InputError, match="was made under digest"):
        relabel(job, "genprm", job)
    (tmp_path / "manifest.json").write_text("[]")
    with pytest.raises(InputError, match="is damaged"):
        relabel(tmp_path, "genprm", tmp_path / "out")


def test_a_relabelling_that_was_killed_can_be_run_again(tmp_path: Path) -> None:
    broken = tmp_path / "own.py"
    broken.write_text(OWN.replace("pass", "raise KeyError"))
    out = tmp_path / "out"
    with pytest.raises(KeyError):
        relabel(job_folder(tmp_path / "job"), str(broken), out)
    (out / ".dataset.tmp").mkdir()
    with pytest.raises(InputError, match="has not published yet"):
        shown(out)
    assert relabel(tmp_path / "job", "genprm", out).summary["num_problems"] == 1
    assert labels_of(out) == [[True, False, False, False]]


OWN = """
from dataclasses import dataclass
from factory.core.labelers import HardEstimation
from factory.core.recipe import Recipe

@dataclass(frozen=True)
class Mine(HardEstimation):
    def __call__(self, chain):
        pass
        return HardEstimation()(chain)

RECIPE = Recipe(name="own", summary="mine", labeler=Mine())
"""


def test_relabelling_by_a_file_spells_out_its_code(tmp_path: Path) -> None:
    job, own = job_folder(tmp_path / "job"), tmp_path / "own.py"
    found = []
    for n, code in enumerate((OWN, OWN.replace("pass", "chain"))):
        own.write_text(code)
        found.append(relabel(job, str(own), tmp_path / f"out{n}"))
    assert found[0].digest != found[1].digest
    assert found[0].recipe["labeler_file_hash"] != found[1].recipe["labeler_file_hash"]
    assert found[0].recipe["name"] == "own on math-shepherd"


def test_relabelling_an_unfinished_job_says_how_much_is_there(tmp_path: Path) -> None:
    job = job_folder(tmp_path / "job", group("a"), unlabelled("b"))
    assert unfinished(job) is None
    problems = [unlabelled(name) for name in "abc"]
    store(job / "stages" / "problems" / "slice-00000.parquet", problems)
    line = f"the job in {job} is not finished: 2 of 3 problems are published"
    assert unfinished(job) == line


def test_a_job_and_its_dataset_show_the_same(tmp_path: Path) -> None:
    job = finished(tmp_path)
    assert shown(job) == shown(job / "dataset")


def test_an_arrow_dataset_shows_the_same_rows(tmp_path: Path) -> None:
    recipe = load_recipe("math-shepherd")
    publish(
        evidence=[(0, GROUPS)],
        folder=tmp_path / "arrow" / "dataset",
        manifest=manifest_of(recipe),
        labeler=recipe.labeler,
        output=OutputSection(format="arrow"),
    )
    text = shown(tmp_path / "arrow", width=300)
    assert f'datasets.load_from_disk("{tmp_path}/arrow/dataset")' in text
    parquet = shown(finished(tmp_path / "parquet"), width=300)
    assert text.split("╭", 1)[1] == parquet.split("╭", 1)[1]


def test_the_summary_adds_up(tmp_path: Path) -> None:
    text = shown(finished(tmp_path), 0, width=300)
    for line in (
        "recipe     math-shepherd  digest ",
        "problems   3: 2 with evidence, 1 dropped, 0 failed",
        "           1 problems dropped: no luck",
        "samples    16, 50.0 % of them right, 160 tokens",
        "solutions  3 labelled, 100.0 % of them right, 33.3 % without a bad step",
        "steps      11: 72.7 % good, 27.3 % bad, 0.0 % without a label",
        "rollouts   64 behind the steps",
        f'datasets.load_dataset("{tmp_path}/dataset", split="train")',
    ):
        assert line in text


def test_solutions_show_labels_scores_and_counts(tmp_path: Path) -> None:
    text = shown(finished(tmp_path))
    assert "answer 72, reference 72: right" in text
    assert "label  score  right  step" in text
    assert "good   0.25    2/8  Step 2: häppily" in text
    assert " bad   0.00    0/8  Step 3: häppily" in text
    assert "good   1.00         The answer is: \\boxed{72}" in text


def test_progress_is_shown_where_it_makes_the_label(tmp_path: Path) -> None:
    relabel(job_folder(tmp_path / "job", *GROUPS), "genprm", tmp_path / "out")
    text = shown(tmp_path / "out")
    assert "label  score  progress  right  step" in text
    assert " bad   0.25      0.25    2/8  Step 2: häppily" in text


@pytest.mark.parametrize("width", [60, 80, 120])
def test_nothing_but_paths_is_wider_than_the_terminal(tmp_path: Path, width: int) -> None:
    job = finished(tmp_path, *GROUPS, group("long", question="Why? " * 99))
    lines = [line for line in shown(job, 9, width).splitlines() if str(tmp_path) not in line]
    assert max(map(len, lines)) <= width


def test_a_stage_fits_on_one_line_of_eighty_columns(tmp_path: Path) -> None:
    job = finished(tmp_path)
    counts = {
        "seconds": 12_345.6,
        "num_finished": 1_840_123,
        "num_generated_tokens": 76_995_000,
        "num_cached_prompt_tokens": 1,
        "num_prompt_tokens": 3,
        "engine_s": 12_000.0,
        "gpu_s": 96_000.0,
    }
    manifest = read_manifest(job / "dataset")
    assert manifest
    console = Console(width=80, record=True, file=StringIO())
    print_summary(console, job / "dataset", replace(manifest, stages={"estimate": counts}))
    text = console.export_text()
    assert "estimate   3 h 26 min, 1,840,123 completions, 6,237 tokens/s, 33.3 % of the" in text
    assert "prompts cached, 26.67 GPU-hours" in " ".join(text.split())


def test_texts_that_look_like_markup_are_printed_as_they_are(tmp_path: Path) -> None:
    failed = unlabelled("x", Status.FAILED, "[/red] KeyError: '[bold]'")
    strange = group("a", question="[/bold] what is [red]?")
    text = shown(finished(tmp_path, failed, strange))
    assert "1 problems failed: [/red] KeyError: '[bold]'" in text
    assert "[/bold] what is [red]?" in text


def test_solutions_of_different_kinds_come_in_turn(tmp_path: Path) -> None:
    good = [group(f"a{n}", solution(f"g{n}", 8)) for n in range(40)]
    bad = group("b", solution("bad", 0))
    text = shown(finished(tmp_path, *good, bad), 2)
    assert text.index(" bad ") < text.index("good ", text.index("label "))
    assert text.count("reference 72") == 2


def test_an_answerless_and_an_ungraded_solution_are_named(tmp_path: Path) -> None:
    mute = replace(solution("s", 8, verdict=Verdict.NO_ANSWER), answer=None)
    lost = solution("t", 8, verdict=Verdict.TIMEOUT)
    text = shown(finished(tmp_path, group("a", mute), group("b", lost)))
    assert "no answer, reference 72: wrong" in text
    assert "answer 72, reference 72: not graded" in text
    assert "    ?      –         The answer is" in text


def test_a_job_that_came_to_nothing_says_so(tmp_path: Path) -> None:
    text = shown(finished(tmp_path, unlabelled("a")))
    assert "problems   1: 0 with evidence, 1 dropped, 0 failed" in text
    assert "solutions  none: the dataset is empty" in text


FAILED = (
    unlabelled("a", Status.FAILED, "odd"),
    *(unlabelled(name, Status.FAILED, "engine\nlost") for name in "bc"),
)


@pytest.mark.parametrize(
    ("groups", "line"),
    [
        (FAILED, "all 3 problems failed: engine lost; run the same command again to try them"),
        ((*FAILED, unlabelled("d")), ""),
        ((*FAILED, group("d")), ""),
        ((unlabelled("a"),), ""),
    ],
)
def test_a_job_of_which_every_problem_failed_has_failed(
    tmp_path: Path, groups: tuple[ProblemGroup, ...], line: str
) -> None:
    manifest = read_manifest(finished(tmp_path, *groups))
    assert manifest
    assert (all_failed(manifest.summary) or "").startswith(line)
    assert (all_failed(manifest.summary) is None) == (not line)


def test_the_demonstration_shows_a_wrong_solution_that_began_well() -> None:
    def row(first_error: int | None, is_correct: bool | None) -> dict[str, Any]:
        return {"first_error": first_error, "is_correct": is_correct}

    lucky, wrong = row(1, True), row(2, False)
    others = [row(None, True), row(0, False)]
    assert telling_row([*others, lucky, wrong]) == wrong
    assert telling_row([*others, lucky]) == lucky
    assert telling_row(others) is None


def test_folders_without_a_dataset_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        shown(tmp_path / "none")
    with pytest.raises(InputError, match="holds no dataset: give the folder named with --out"):
        shown(tmp_path)
    with pytest.raises(InputError, match="has not published yet: run the same command again"):
        shown(job_folder(tmp_path))
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match="is damaged"):
        shown(tmp_path)


def test_rows_without_a_manifest_beside_them_are_no_dataset(tmp_path: Path) -> None:
    job = finished(tmp_path)
    (job / "dataset" / "manifest.json").unlink()
    manifest = read_manifest(job)
    assert manifest
    write_manifest(job, replace(manifest, summary={}))
    with pytest.raises(InputError, match="has not published yet"):
        shown(job)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (119.4, "119 s"), (120, "2 min"), (7_139, "119 min"), (7_500, "2 h 05 min")],
)
def test_durations_have_the_unit_a_person_would_say(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_share_of_nothing_is_a_dash() -> None:
    assert percent(0, 0) == "–"
    assert percent(1, 3) == "33.3 %"
