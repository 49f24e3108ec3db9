"""The status of a job in its folder, where any machine that sees the folder can read it."""

import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from factory.errors import InputError
from factory.watching.secrets import without_secrets_in
from factory.watching.status import JobStatus
from factory.watching.storing import put

STATUS_FILE = "status.json"

_STATUS = TypeAdapter(JobStatus)


def write_status(folder: Path, status: JobStatus) -> None:
    """Readers see the old status or the new one."""
    put(folder / STATUS_FILE, as_json(status) + "\n")


def as_json(status: JobStatus) -> str:
    """The status as the file holds it."""
    content = without_secrets_in(_STATUS.dump_python(status, mode="json"))
    return json.dumps(content, indent=1, ensure_ascii=False)


def read_status(folder: Path) -> JobStatus:
    """The last status of the job in this folder.

    Raises InputError where there is none, or none that this version understands.
    """
    path = folder / STATUS_FILE
    try:
        return _STATUS.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(
            f"{folder} has no {STATUS_FILE}: give the folder of a job that 'prm-factory label' "
            "works in"
        ) from None
    except ValidationError as error:
        raise InputError(
            f"{path} was written by another version: run the job again, or watch it with that one "
            f"({error.error_count()} fields differ)"
        ) from None
