"""Small groups of evidence, and folders that hold them, as a finished job would."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from factory.core.recipe import Recipe
from factory.identity import label_digest
from factory.recipes import load_recipe
from factory.toy import MODEL_DIR
from schemas.arrow import arrow_schema, to_row
from schemas.manifest import Manifest, write_manifest
from schemas.records import (
    AnswerCount,
    Evidence,
    ProblemGroup,
    Solution,
    Status,
    StopReason,
    Verdict,
)


def evidence(num_correct: int, num_rollouts: int = 8) -> Evidence:
    """So many right rollouts of so many, the others with the answer 0."""
    counts = (
        (Verdict.CORRECT, "72", num_correct),
        (Verdict.WRONG, "0", num_rollouts - num_correct),
    )
    return Evidence(
        num_rollouts=num_rollouts,
        num_correct=num_correct,
        num_ungraded=0,
        num_truncated=0,
        num_tokens=10 * num_rollouts,
        num_rounds=1,
        num_first=num_rollouts,
        num_first_correct=num_correct,
        stop_reason=StopReason.FIXED,
        answers=tuple(AnswerCount(answer=a, verdict=v, count=c) for v, a, c in counts if c),
    )


def known(verdict: Verdict) -> Evidence:
    """The evidence at a whole solution: no rollouts."""
    return Evidence(
        num_rollouts=0,
        num_correct=0,
        num_ungraded=0,
        num_truncated=0,
        num_tokens=0,
        num_rounds=0,
        num_first=0,
        num_first_correct=0,
        stop_reason=StopReason.KNOWN_OUTCOME,
        answers=(),
    )


def solution(solution_id: str, *num_correct: int, verdict: Verdict = Verdict.CORRECT) -> Solution:
    """A solution with these successes of 8 after its steps, and one more step with the answer."""
    steps = [f"Step {n}: häppily\n\n" for n, _ in enumerate(num_correct, start=1)]
    return Solution(
        solution_id=solution_id,
        steps=(*steps, "The answer is: \\boxed{72}"),
        answer="72",
        verdict=verdict,
        num_samples=1,
        num_tokens=20,
        finish_reason=None,
        evidence=(*map(evidence, num_correct), known(verdict)),
    )


def group(problem_id: str, *solutions: Solution, question: str = "How many? 多少") -> ProblemGroup:
    """A labelled problem whose root has 4 of 8."""
    return ProblemGroup(
        problem_id=problem_id,
        question=question,
        answer="72",
        metadata=json.dumps({"level": 3}),
        sampled=evidence(4),
        solutions=solutions or (solution(f"s-{problem_id}", 8, 4, 0),),
        num_rollout_tokens=100,
    )


def unlabelled(problem_id: str, status: Status = Status.DROPPED, reason: str = "no luck") -> Any:
    """A problem that was dropped or failed."""
    return ProblemGroup(
        problem_id=problem_id, question="q", answer="1", status=status, reason=reason
    )


def store(file: Path, groups: Iterable[ProblemGroup]) -> Path:
    """A file of a stage."""
    file.parent.mkdir(parents=True, exist_ok=True)
    schema = arrow_schema(ProblemGroup)
    pq.write_table(pa.Table.from_pylist([to_row(g) for g in groups], schema=schema), file)
    return file


def store_job(
    path: Path,
    problems: Iterable[ProblemGroup],
    *,
    stage: str = "estimate",
    done: Iterable[ProblemGroup] | None = None,
) -> Path:
    """A job's problems as one slice, and a batch with those that a stage has done: all of them."""
    kept = list(problems)
    store(path / "stages" / "problems" / "slice-00000.parquet", kept)
    rows = kept if done is None else done
    return store(path / "stages" / stage / "pass-0000" / "a.parquet", rows)


def manifest_of(recipe: Recipe) -> Manifest:
    """The manifest of a job with this recipe."""
    model = {"model": "tiny", "fingerprint": "f" * 16, "system": None}
    models = {"generator": model, "completer": model}
    models |= {"teacher": model} if recipe.teaching else {}
    return Manifest(
        digest=label_digest("e" * 16, recipe.description, models),
        evidence_digest="e" * 16,
        recipe=recipe.description,
        models=models,
        grader="math-verify",
        seed=7,
        versions={"prm-factory": "0.1.0"},
        problems="problems.jsonl",
    )


def job_folder(path: Path, *groups: ProblemGroup) -> Path:
    """The folder of a job that has its evidence and has not published."""
    store_job(path, groups or [group("p")])
    write_manifest(path, manifest_of(load_recipe("math-shepherd")))
    return path


def job_file(folder: Path, problems: Any = "problems.jsonl", **fields: Any) -> Path:
    """A job file on the shipped model; JSON is YAML."""
    content = {
        "problems": {"path": problems} if isinstance(problems, str) else problems,
        "generator": {"model": str(MODEL_DIR), "device": "cpu"},
        **fields,
    }
    file = folder / "job.yaml"
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return file
