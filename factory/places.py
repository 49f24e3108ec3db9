"""Where a person says that something is: a path or a URL, or one line on why it cannot be used."""

from pathlib import Path

from factory.engine_args import holds_secret
from factory.errors import InputError, shortened
from schemas.files import OBJECT_STORES, file_system, is_local, place, remote_key

LOCAL = ("file", "local")


def out_of(text: str) -> Path:
    """The place of everything a job makes. Raises InputError as `check_out` and `place_of` do."""
    check_out(text)
    return place_of(text)


def check_out(text: str) -> None:
    """Raises InputError for an --out that is no place to write to: with a secret in its name, which
    everyone sees who sees a log, and where others could meet half a file."""
    if holds_secret(text):
        raise InputError(
            "--out: a password or a token does not belong in a folder's name, which logs and "
            "dashboards show: set it in the environment, on a cluster in that of its nodes"
        )
    scheme, is_url, _ = text.partition("://")
    if is_url and scheme not in LOCAL + OBJECT_STORES:
        raise InputError(
            f"--out {text}: over {scheme}:// a file that is being written has its name already, "
            "and a killed job would leave half of it there: give a folder, or the URL of a bucket "
            f"({', '.join(OBJECT_STORES)})"
        )


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
