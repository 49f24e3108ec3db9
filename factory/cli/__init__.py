"""The command line: one command per verb."""

import sys

from factory.ending import INTERRUPTED, sigint_ends, sigterm_ends


def main() -> None:
    """The console script. Ctrl-C leaves with 130 and SIGTERM with 143, from the first moment on:
    everything else is imported behind that."""
    try:
        with sigint_ends(), sigterm_ends():
            from factory.cli.commands import run

            run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
