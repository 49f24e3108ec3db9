"""An audit asks a local cluster for as much as the job it is of."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from factory.demo import toy_job
from factory.identity import job_manifest
from factory.job_folder import JOB_FILE
from factory.recipes import load_recipe
from factory.revisions import pins_of
from schemas.manifest import write_manifest
from tests.factory.builders import group, store_job

pytestmark = pytest.mark.ray

AUDIT = """
import sys
from pathlib import Path
from factory.audit import audit
from factory.errors import InputError
from factory.watching.stage_run import unwatched
try:
    audit(Path(sys.argv[1]), num_steps=1, num_rollouts=1, watch=unwatched)
except InputError as error:
    print(error)
"""


def test_engines_that_a_job_had_room_for_have_room_in_its_audit(tmp_path: Path) -> None:
    """Something else that the cluster lacks is what is met next."""
    out, many = tmp_path / "job", 8 * (os.cpu_count() or 1)
    job, recipe = toy_job(out, 1), load_recipe("math-shepherd")
    assert job.generator is not None
    wanted = {"num_cpus": many, "resources": {"licence": 1}}
    manifest = replace(job_manifest(job, recipe, pins_of(job, recipe, {})), is_complete=True)
    job = job.model_copy(update={"generator": job.generator.model_copy(update=wanted)})
    store_job(out, [group("p")])
    write_manifest(out, manifest)
    (out / JOB_FILE).write_text(job.model_dump_json())
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    said = subprocess.run(
        [sys.executable, "-c", AUDIT, str(out)],
        cwd=Path(__file__).parents[2],
        env=environment,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert "needs 1 of 'licence'" in said.stdout, said.stdout + said.stderr[-2_000:]
