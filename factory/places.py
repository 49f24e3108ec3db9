"""Where a person says that something is: a path or a URL, or one line on why it cannot be used."""

from pathlib import Path

from factory.errors import InputError, shortened
from schemas.files import file_system, is_local, place, remote_key


def place_of(text: str | Path) -> Path:
    """The path or URL as a path. Raises InputError where nothing installed can read it, and for
    a store that cannot be reached or that has no such bucket."""
    try:
        path = place(text)
    except ValueError as error:
        raise InputError(str(error)) from error
    if not is_local(path):
        _check_reachable(path)
    return path


def _check_reachable(path: Path) -> None:
    bucket = remote_key(path).strip("/").split("/")[0]
    try:
        is_there = file_system(path).exists(bucket)
    except Exception as error:  # each store's client raises errors of its own
        raise InputError(
            f"{path} cannot be reached: {type(error).__name__}: {shortened(error)}: "
            "check credentials and endpoint in the environment"
        ) from error
    if not is_there:
        raise InputError(
            f"{path}: there is no {bucket!r}, these credentials may not see it, or nothing answers "
            "at the endpoint"
        )
