"""Rollouts of one job for another that would buy the same."""

from pathlib import Path

from factory.errors import InputError
from factory.identity import manifest_in
from factory.job_folder import JobFolder
from factory.stored import ROWS_PER_ROW_GROUP, table_of
from schemas.files import write_table
from schemas.manifest import Manifest
from schemas.records import Status

TAKEN = "taken-"
"""How files of rows begin that another job has made."""


def check_evidence(source: Path, manifest: Manifest) -> None:
    """Raises InputError when the rollouts in `source` were bought in another way."""
    found = manifest_in(source)
    if found is None:
        raise InputError(f"{source} holds no job: give the folder 'prm-factory label' made")
    if found.evidence_digest != manifest.evidence_digest:
        raise InputError(
            f"the rollouts in {source} were made under evidence digest {found.evidence_digest}, "
            f"this job has {manifest.evidence_digest}: models, seed, sampling, selection and "
            "planner have to be the same"
        )


def take_evidence(source: Path, out: Path) -> None:
    """Copies what the stages before the critique have stored, unless `out` has rows of its own.

    A copy that was interrupted goes on: a file is there as a whole or not at all.
    """
    theirs, ours = JobFolder(path=source), JobFolder(path=out)
    slices = theirs.slices()
    for old, new in ((theirs.sample, ours.sample), (theirs.estimate, ours.estimate)):
        if new.settled() or any(not f.name.startswith(TAKEN) for f in new.batches()):
            continue
        rows = theirs.stored(old, slices).rows
        for number, members in slices.members.items():
            settled = [i for i in members if i in rows and rows[i].status is not Status.FAILED]
            file = new.path / "pass-0000" / f"{TAKEN}{number:05d}.parquet"
            if settled and not file.exists():
                write_table(file, table_of(rows, settled), row_group_size=ROWS_PER_ROW_GROUP)
