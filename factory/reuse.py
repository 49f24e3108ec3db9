"""Rollouts of one job for another that would buy the same."""

from collections.abc import Iterable
from pathlib import Path

from factory.errors import InputError
from factory.identity import manifest_in
from factory.job_folder import JobFolder
from factory.moving_rows import PAUSES_S, reread
from factory.stored import ROWS_PER_ROW_GROUP, table_of
from schemas.files import write_table
from schemas.ids import content_id
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


def take_evidence(source: Path, out: Path, pauses_s: Iterable[float] = PAUSES_S) -> None:
    """Copies what the stages before the critique have stored of our problems, where `out` has none.

    A copy that was interrupted goes on: a file is there as a whole or not at all.
    """
    reread(source, lambda: _take(source, out), pauses_s)


def _take(source: Path, out: Path) -> None:
    theirs, ours = JobFolder(path=source), JobFolder(path=out)
    slices, wanted = theirs.slices(), ours.slices().rows
    for old, new in ((theirs.sample, ours.sample), (theirs.estimate, ours.estimate)):
        rows, known = theirs.stored(old, slices).rows, ours.stored(new).rows
        for members in slices.members.values():
            settled = [
                i
                for i in members
                if i in wanted
                and i not in known
                and i in rows
                and rows[i].status is not Status.FAILED
            ]
            if settled:
                file = new.path / "pass-0000" / f"{TAKEN}{content_id(*settled)}.parquet"
                write_table(file, table_of(rows, settled), row_group_size=ROWS_PER_ROW_GROUP)
