"""Rollouts of one job for another that would buy the same."""

import shutil
from pathlib import Path

from factory.errors import InputError
from factory.identity import manifest_in
from factory.job_folder import JobFolder
from schemas.manifest import Manifest


def take_evidence(source: Path, out: Path, manifest: Manifest) -> None:
    """Copies what the stages before the critique have stored, unless `out` has rows of its own.

    Raises InputError when the rollouts in `source` were bought in another way.
    """
    found = manifest_in(source)
    if found is None:
        raise InputError(f"{source} holds no job: give the folder 'prm-factory label' made")
    if found.evidence_digest != manifest.evidence_digest:
        raise InputError(
            f"the rollouts in {source} were made under evidence digest {found.evidence_digest}, "
            f"this job has {manifest.evidence_digest}: models, seed, sampling, selection and "
            "planner have to be the same"
        )
    theirs, ours = JobFolder(path=source), JobFolder(path=out)
    for old, new in ((theirs.sample, ours.sample), (theirs.estimate, ours.estimate)):
        if not old.files() or new.passes():
            continue
        temporary = new.path.with_name(f".{new.path.name}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        new.path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(old.path, temporary)
        temporary.rename(new.path)
