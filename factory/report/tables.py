"""Numbers in words and rows."""

from collections.abc import Iterator
from typing import Any


def percent(part: float, whole: float) -> str:
    """A share, or a dash where there is nothing to share."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def duration(seconds: float) -> str:
    """Seconds below two minutes, minutes below two hours, then hours: "3 h 05 min"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def funnel_lines(summary: dict[str, Any]) -> Iterator[str]:
    """What became of all problems and solutions, dropped and failed ones with their reasons."""
    dropped, failed = summary["dropped"], summary["failed"]
    yield (
        f"{summary['num_problems']:,} problems: {summary['num_problems_ok']:,} with evidence, "
        f"{sum(n for r, n in dropped.items() if r.startswith('problems')):,} dropped, "
        f"{sum(failed.values()):,} failed"
    )
    for reason, count in dropped.items():
        what, _, why = reason.partition(": ")
        yield f"{count:,} {what} dropped: {why}"
    for reason, count in failed.items():
        yield f"{count:,} problems failed: {' '.join(reason.split())}"


def rationale_lines(summary: dict[str, Any]) -> Iterator[str]:
    """What became of all rationales; kept and dropped ones add up."""
    dropped = summary["rationales_dropped"]
    num_kept = summary["num_rationales"] - sum(dropped.values())
    yield (
        f"{summary['num_rationales']:,} rationales: {num_kept:,} kept, "
        f"{sum(dropped.values()):,} dropped, {summary['num_teacher_tokens']:,} tokens"
    )
    for reason, count in dropped.items():
        yield f"{count:,} dropped: {reason}"
    if summary["num_code_blocks"]:
        yield (
            f"{summary['num_code_blocks']:,} blocks of code executed, "
            f"{summary['num_code_failures']:,} ended by an error or a limit"
        )
    if redrawn := summary["num_sections_redrawn"] + summary["num_contradictions"]:
        yield (
            f"{redrawn:,} sections drawn again or given up, {summary['num_contradictions']:,} of "
            "them because the judgement contradicted the executed check"
        )
