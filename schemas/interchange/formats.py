"""The formats by name: how a row is read, what of a solution is kept, how that is written."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import pyarrow as pa

from schemas.interchange import (
    math_aps,
    math_shepherd,
    prm800k,
    processbench,
    published,
    rlhflow,
    thinkprm,
    trl,
)
from schemas.interchange import (
    neutral as neutral_rows,
)
from schemas.interchange.labelled import LabelledSolution, Loss, Row
from schemas.interchange.prm800k_path import NeutralRating
from schemas.published import PublishedSolution


def _nothing(_row: Row) -> frozenset[Loss]:
    return frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How solutions become rows: `write(kept(solution))`, of this Arrow schema."""

    kept: Callable[[LabelledSolution], LabelledSolution]
    write: Callable[[LabelledSolution], dict[str, Any]]
    schema: pa.Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format of rows with step labels. Readers raise Skip, or ValueError for no such row."""

    name: str
    columns: frozenset[str]
    """Those that are read or repeat what is read; `Loss.COLUMNS` are all others."""
    read: Callable[[Row], tuple[LabelledSolution, ...]]
    read_losses: Callable[[Row], frozenset[Loss]] = _nothing
    """What of a row that was read is not in its solutions, apart from other columns."""
    writing: Writing | None = None
    """`None` for formats that are only read."""


def _both_ways(module: Any, name: str, *columns: str) -> Format:
    return Format(
        name=name,
        columns=frozenset([*module.SCHEMA.names, *columns]),
        read=module.read,
        writing=Writing(kept=module.kept, write=module.write, schema=module.SCHEMA),
    )


_PLAIN = (
    _both_ways(neutral_rows, "labelled"),
    _both_ways(trl, "trl"),
    _both_ways(math_shepherd, "math-shepherd", "value"),
    Format(
        name="math-shepherd-value",
        columns=frozenset(math_shepherd.VALUE_SCHEMA.names),
        read=math_shepherd.read,
        writing=Writing(
            kept=math_shepherd.kept_with_values,
            write=math_shepherd.write_with_values,
            schema=math_shepherd.VALUE_SCHEMA,
        ),
    ),
    _both_ways(processbench, "processbench"),
    _both_ways(rlhflow, "rlhflow"),
    _both_ways(math_aps, "math-aps", "labels"),
    Format(name="thinkprm-1k", columns=frozenset(thinkprm.COLUMNS), read=thinkprm.read),
    Format(
        name="prm-factory",
        columns=frozenset(f.name for f in fields(PublishedSolution)),
        read=published.read,
        read_losses=published.read_losses,
    ),
)

NAMES = (*(f.name for f in _PLAIN), "prm800k")


def format_named(
    name: str, *, neutral: NeutralRating | None = None, alternatives: bool = False
) -> Format:
    """A format; `neutral` and `alternatives` are for reading PRM800K, and no other has them.

    Raises ValueError for an unknown name and an option that the format does not have. A PRM800K
    format without `neutral` writes, and refuses to read.
    """
    if name == "prm800k":
        return _prm800k(neutral, alternatives)
    if neutral is not None or alternatives:
        raise ValueError(f"neutral ratings and alternatives are prm800k's, {name} has none")
    for known in _PLAIN:
        if known.name == name:
            return known
    raise ValueError(f"no format {name!r}: there are {', '.join(NAMES)}")


def _prm800k(neutral: NeutralRating | None, alternatives: bool) -> Format:
    def refuse(_row: Row) -> tuple[LabelledSolution, ...]:
        raise ValueError(
            "prm800k rates steps -1, 0 or 1: say whether the neutral 0 is "
            f"{', '.join(NeutralRating)}"
        )

    return Format(
        name="prm800k",
        columns=frozenset(prm800k.SCHEMA.names),
        read=partial(prm800k.read, neutral=neutral, alternatives=alternatives)
        if neutral
        else refuse,
        read_losses=partial(prm800k.read_losses, alternatives=alternatives),
        writing=Writing(kept=prm800k.kept, write=prm800k.write, schema=prm800k.SCHEMA),
    )
