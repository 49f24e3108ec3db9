"""Numbers in words and rows."""

from collections.abc import Iterator
from typing import Any


def percent(part: float, whole: float) -> str:
    """A share, or a dash where there is nothing to share."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def funnel_lines(summary: dict[str, Any]) -> Iterator[str]:
    """What became of all problems and solutions, dropped and failed ones with their reasons."""
    yield (
        f"{summary['num_problems']:,} problems, {summary['num_problems_ok']:,} of them labelled, "
        f"{sum(n for r, n in summary['dropped'].items() if r.startswith('problems')):,} dropped, "
        f"{sum(summary['failed'].values()):,} failed"
    )
    for reason, count in summary["dropped"].items():
        yield f"dropped {reason}: {count:,}"
    for reason, count in summary["failed"].items():
        yield f"failed: {reason}: {count:,}"
