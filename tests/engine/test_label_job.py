"""A whole job on real Ray, real vLLM and the shipped model, its labels against the truth."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset

from factory.audit import audit
from factory.demo import toy_job
from factory.fit import fit_folder
from factory.job import Job
from factory.job_folder import JobFolder
from factory.pipeline import label
from factory.relabel import relabel
from factory.report.audit import audit_sentence
from factory.report.show import published_rows
from factory.toy.agreement import compare
from factory.watching.stage_run import unwatched
from schemas.manifest import Manifest
from schemas.records import Status

pytestmark = [pytest.mark.engine, pytest.mark.ray]
NUM_PROBLEMS = 24


@dataclass(frozen=True)
class Finished:
    job: Job
    out: Path
    manifest: Manifest


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Finished:
    out = tmp_path_factory.mktemp("label") / "job"
    job = toy_job(out, NUM_PROBLEMS)
    return Finished(job, out, label(job, out, unwatched))


def test_every_problem_is_labelled_or_dropped_exactly_once(finished: Finished) -> None:
    rows = [
        row
        for file in JobFolder(path=finished.out).estimate.files()
        for row in pq.read_table(file, columns=["problem_id", "status"]).to_pylist()
    ]
    assert len(rows) == len({row["problem_id"] for row in rows}) == NUM_PROBLEMS
    statuses = Counter(Status(row["status"]) for row in rows)
    assert statuses[Status.FAILED] == 0
    assert statuses[Status.OK] == finished.manifest.summary["num_problems_ok"] > 0


def test_labels_agree_with_the_oracle(finished: Finished) -> None:
    """Hard labels of 8 rollouts agree at about nine steps of ten on this world.

    A correct factory falls below .75 on these steps with a chance far below 1e-6, even if all
    steps of a solution erred together; labels that ignore the rollouts reach about .6.
    """
    agreement = compare(published_rows(finished.out / "dataset"))
    assert agreement.num_steps > 200
    assert agreement.accuracy is not None
    assert agreement.accuracy > 0.75


def test_every_open_prefix_has_its_eight_rollouts(finished: Finished) -> None:
    for row in published_rows(finished.out / "dataset"):
        *inner, last = zip(
            row["num_rollouts"], row["num_ungraded"], row["stop_reasons"], strict=True
        )
        assert all(drawn + ungraded == 8 for drawn, ungraded, _ in inner)
        assert last == (0, 0, "known_outcome")


def test_the_dataset_loads_with_one_line(finished: Finished, tmp_path: Path) -> None:
    dataset = str(finished.out / "dataset")
    rows = load_dataset(dataset, split="train", cache_dir=str(tmp_path))
    assert len(rows) == finished.manifest.summary["num_solutions"]
    streamed = next(iter(load_dataset(dataset, split="train", streaming=True)))
    assert streamed["completions"] == rows[0]["completions"]


def test_a_second_run_changes_nothing(finished: Finished) -> None:
    def content() -> dict[Path, bytes]:
        files = (finished.out / "dataset" / "data").glob("*.parquet")
        return {f: f.read_bytes() for f in [*files, finished.out / "manifest.json"]}

    before = content()
    assert label(finished.job, finished.out, unwatched) == finished.manifest
    assert content() == before


def test_relabelling_asks_no_engine(finished: Finished, tmp_path: Path) -> None:
    manifest = relabel(finished.out, "genprm", tmp_path / "genprm")
    assert manifest.evidence_digest == finished.manifest.evidence_digest
    assert manifest.digest != finished.manifest.digest
    assert manifest.summary["num_steps"] == finished.manifest.summary["num_steps"]


def test_the_prefix_cache_serves_most_prompt_tokens(finished: Finished) -> None:
    stage = finished.manifest.stages["label"]
    assert stage["num_cached_prompt_tokens"] / stage["num_prompt_tokens"] > 0.5


def test_problems_the_model_cannot_solve_are_dropped_and_counted(
    ray_cluster: None, finished: Finished, tmp_path: Path
) -> None:
    problems = tmp_path / "hard.jsonl"
    rows = [
        {"question": f"Ann reads {n} books a week. In a leap year?", "answer": f"#### {n * 997}"}
        for n in range(3, 7)
    ]
    problems.write_text("".join(json.dumps(row) + "\n" for row in rows))
    section = finished.job.problems.model_copy(update={"path": str(problems)})
    job = finished.job.model_copy(update={"problems": section})
    summary = label(job, tmp_path / "out", unwatched).summary
    assert summary["dropped"] == {"problems: no correct solution sampled": 4}
    assert summary["num_solutions"] == summary["num_problems_ok"] == 0


def test_an_audit_checks_labels_with_fresh_rollouts(finished: Finished, ray_cluster: None) -> None:
    found = audit(finished.out, num_steps=20, num_rollouts=16, watch=unwatched)
    assert found["num_steps"] >= 20
    assert found["fresh_rollouts_per_prefix"] == 16
    assert found["all"]["realised_error"]["rate"] < 0.5
    assert found["against_truth"] is not None
    card = (finished.out / "dataset" / "README.md").read_text(encoding="utf-8")
    assert audit_sentence(found) in card
    again = audit(finished.out, num_steps=20, num_rollouts=16, watch=unwatched)
    assert again == found
    assert label(finished.job, finished.out, unwatched).audit == found


def test_a_prior_can_be_fitted_to_the_counts(finished: Finished) -> None:
    fitted = fit_folder(finished.out, max_solutions=20)
    assert fitted.fit.num_chains == 20
    assert fitted.fit.gain_per_chain >= 0
    assert fitted.costs.bad_called_good > 0
