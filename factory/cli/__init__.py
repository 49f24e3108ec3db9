"""The command line: one command per verb. Bad input ends with one line and exit code 2."""

import errno
import sys
from importlib import import_module

from factory.cli.app import app, err, print_error
from factory.errors import InputError

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

INTERRUPTED, TERMINATED = 130, 143
PERSONS_ERRNOS = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR,
    errno.EISDIR, errno.ENAMETOOLONG,
}  # fmt: skip
"""What a person can do something about; any other OSError is a bug and keeps its traceback."""


def main() -> None:
    """The console script. Bad input leaves with 2, an unusable disk with 1, Ctrl-C with 130,
    SIGTERM with 143."""
    try:
        app(standalone_mode=True)
    except InputError as error:
        print_error(str(error))
        sys.exit(2)
    except OSError as error:
        if error.errno not in PERSONS_ERRNOS:
            raise
        place = f"{error.filename}: " if error.filename else ""
        print_error(f"{place}{error.strerror}: free or choose another place and run it again")
        sys.exit(1)
    except SystemExit as left:
        if left.code in (INTERRUPTED, TERMINATED):
            err.print("stopped; what is done is kept: run the same command again to go on")
        raise
