"""A job with a teacher on real Ray, real vLLM, the shipped teacher and a real sandbox."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from datasets import load_dataset

from factory.demo import toy_job
from factory.errors import InputError
from factory.job import Job
from factory.job_folder import JobFolder
from factory.pipeline import label
from factory.report.show import published_rows
from factory.toy.consensus import consensus_effect
from factory.watching.stage_run import unwatched
from schemas.manifest import Manifest

pytestmark = [pytest.mark.engine, pytest.mark.ray]
RECIPE = """\
from dataclasses import replace
from factory.core.planners import FixedK
from factory.core.selection import Selection
from factory.recipes.genprm import RECIPE as GENPRM

RECIPE = replace(
    GENPRM,
    name="small",
    num_solutions=8,
    planner=FixedK(num_rollouts=8),
    selection=Selection(min_correct=1, min_wrong=1, max_solutions=4),
)
"""


@dataclass(frozen=True)
class Finished:
    job: Job
    out: Path
    manifest: Manifest


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Finished:
    folder = tmp_path_factory.mktemp("critique")
    recipe = folder / "small.py"
    recipe.write_text(RECIPE, encoding="utf-8")
    job = toy_job(folder / "job", 16, str(recipe))
    return Finished(job, folder / "job", label(job, folder / "job", unwatched, allow_code=True))


def test_every_solution_has_a_rationale_and_every_one_is_kept_or_counted(
    finished: Finished,
) -> None:
    summary = finished.manifest.summary
    assert summary["num_rationales"] == summary["num_solutions"] > 10
    num_dropped = sum(summary["rationales_dropped"].values())
    assert summary["num_rationale_rows"] == summary["num_rationales"] - num_dropped > 0
    assert summary["failed"] == {}


def test_code_was_executed_and_its_output_stands_in_the_texts(finished: Finished) -> None:
    job = JobFolder(path=finished.out)
    texts = [
        rationale.text
        for group in job.groups(job.critique)
        for solution in group.solutions
        for rationale in solution.rationales
        if rationale.reason is None
    ]
    assert all("[Code Output]\n\n```\n" in text for text in texts)
    assert any("```\nTrue\n```" in text for text in texts)
    assert any("```\nFalse\n```" in text for text in texts)


def test_the_teacher_is_right_more_often_than_not_and_agreement_helps(finished: Finished) -> None:
    """The teacher names the first error in about nine solutions of ten; a constant "no error"
    would be right in half of these, since problems have right and wrong solutions. In float32 on
    CPU the run is the same every time; of 21 independent solutions a teacher right in .88 would
    name no more than .6 with a chance of about .1 %.
    """
    effect = consensus_effect(published_rows(finished.out / "dataset"))
    assert effect.right_by_teacher.whole > 20
    assert (effect.right_by_teacher.share or 0) > 0.6
    assert (effect.right_after.share or 0) > (effect.right_before.share or 0)


def test_all_three_parts_load_with_one_line(finished: Finished, tmp_path: Path) -> None:
    dataset, summary = str(finished.out / "dataset"), finished.manifest.summary
    parts = {
        name: load_dataset(dataset, name, split="train", cache_dir=str(tmp_path))
        for name in ("default", "rationales", "consensus")
    }
    assert len(parts["default"]) == summary["num_solutions"]
    assert len(parts["rationales"]) == summary["num_rationale_rows"]
    assert len(parts["consensus"]) == summary["num_consensus"]
    roles = [turn["role"] for turn in parts["rationales"][0]["conversations"]]
    assert roles[0] == "system"
    assert roles[1:] == ["user", "assistant"] * (len(roles) // 2)


def test_a_second_run_asks_nobody(finished: Finished) -> None:
    assert label(finished.job, finished.out, unwatched, allow_code=True) == finished.manifest


def test_given_labels_need_no_completer(
    finished: Finished, ray_cluster: None, tmp_path: Path
) -> None:
    rows = [
        {
            "question": row["prompt"],
            "answer": row["reference_answer"],
            "solutions": [[*row["completions"], *row["unlabelled_steps"]]],
            "labels": [row["step_labels"]],
        }
        for row in {r["problem_id"]: r for r in published_rows(finished.out / "dataset")}.values()
    ][:6]
    problems = tmp_path / "given.jsonl"
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recipe = tmp_path / "given.py"
    recipe.write_text(
        "from dataclasses import replace\n"
        "from factory.recipes.genprm import RECIPE as GENPRM\n"
        "from factory.recipes.thinkprm import RECIPE as THINKPRM\n"
        "RECIPE = replace(THINKPRM, name='given', teaching=GENPRM.teaching, "
        "curation=GENPRM.curation)\n",
        encoding="utf-8",
    )
    job = finished.job.model_copy(
        update={
            "problems": finished.job.problems.model_copy(update={"path": str(problems)}),
            "recipe": str(recipe),
            "generator": None,
        }
    )
    manifest = label(job, tmp_path / "out", unwatched, allow_code=True)
    assert list(manifest.stages) == ["critique"]
    assert manifest.models["completer"] is None
    assert manifest.summary["num_solutions"] == manifest.summary["num_rationales"] == 6
    (first, *_) = published_rows(tmp_path / "out" / "dataset")
    assert first["completer"] is None
    assert set(first["stop_reasons"]) == {"given"}


def test_a_recipe_with_a_teacher_needs_one_in_the_job(finished: Finished, tmp_path: Path) -> None:
    job = finished.job.model_copy(update={"teacher": None})
    with pytest.raises(InputError, match="asks a teacher: add 'teacher"):
        label(job, tmp_path / "out", unwatched, allow_code=True)
    assert not (tmp_path / "out").exists()
