"""All commands, and what they leave with: bad input ends with one line and exit code 2."""

import errno
import sys
import sysconfig
from importlib import import_module
from pathlib import Path

from factory.cli.app import app, err, print_error
from factory.ending import INTERRUPTED, TERMINATED
from factory.errors import FolderLost, InputError

GROUPS = (
    "label",
    "evaluate",
    "watch",
    "cluster",
    "hub",
    "formats",
    "train",
    "start",
)
"""Modules whose commands register themselves; help lists them in this order."""
for group in GROUPS:
    import_module(f"factory.cli.{group}")

PERSONS_ERRNOS = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR,
    errno.EISDIR, errno.ENAMETOOLONG, errno.EFBIG,
    # of storage that is not there any more
    errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ENODEV, errno.EREMOTEIO, errno.ETIMEDOUT,
}  # fmt: skip
"""What a person can do something about; any other OSError is a bug and keeps its traceback, but
for a file of the person's that is gone."""


def _is_gone(error: OSError) -> bool:
    """Whether it is about a file that was there, and none that belongs to a program's install."""
    name = str(error.filename)
    return error.errno == errno.ENOENT and "/" in name and not _is_installed(Path(name))


def _is_installed(path: Path) -> bool:
    """Of these packages, or of Python's and others': a job's folder may lie beside the former."""
    packages = Path(__file__).parents[1]
    ours = (packages, packages.with_name("workers"), packages.with_name("schemas"))
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    theirs = [Path(sysconfig.get_path(name)) for name in names]
    return any(path.is_relative_to(folder) for folder in (*ours, *theirs))


def run() -> None:
    """The command that the arguments name. Bad input leaves with 2, an unusable disk with 1."""
    try:
        app(standalone_mode=True)
    except InputError as error:
        print_error(str(error))
        sys.exit(2)
    except FolderLost as error:
        print_error(str(error))
        sys.exit(1)
    except OSError as error:
        if not (_is_gone(error) or error.errno in PERSONS_ERRNOS):
            raise
        place = f"{error.filename}: " if error.filename else ""
        way = (
            "mount or bring back what it was in"
            if _is_gone(error)
            else "free or choose another place"
        )
        print_error(f"{place}{error.strerror}: {way} and run it again; what is stored is kept")
        sys.exit(1)
    except SystemExit as left:
        if left.code in (INTERRUPTED, TERMINATED):
            err.print("stopped; what is done is kept: run the same command again to go on")
        raise
