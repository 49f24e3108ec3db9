"""Fields of a foreign row by name and type; ValueError says which one is missing or wrong."""

from typing import Any

from schemas.interchange.labelled import Row

SIGNS = {"+": True, "-": False}
"""What a good and a bad step are called where labels are characters."""
MARKS = {True: "+", False: "-"}


def text(row: Row, name: str) -> str:
    """A text."""
    value = _present(row, name)
    if not isinstance(value, str):
        raise ValueError(f"'{name}' must be text, not {_short(value)}")
    return value


def optional_text(row: Row, name: str) -> str | None:
    """A text, or `None` where it is null or absent."""
    return None if row.get(name) is None else text(row, name)


def items(row: Row, name: str) -> list[Any]:
    """A list of anything."""
    value = _present(row, name)
    if not isinstance(value, list | tuple):
        raise ValueError(f"'{name}' must be a list, not {_short(value)}")
    return list(value)


def texts(row: Row, name: str) -> tuple[str, ...]:
    """A list of texts."""
    values = items(row, name)
    for number, value in enumerate(values, start=1):
        if not isinstance(value, str):
            raise ValueError(f"'{name}' must hold texts, but number {number} is {_short(value)}")
    return tuple(values)


def struct(row: Row, name: str) -> Row:
    """An object."""
    value = _present(row, name)
    if not isinstance(value, dict):
        raise ValueError(f"'{name}' must be an object, not {_short(value)}")
    return value


def truths(row: Row, name: str) -> tuple[bool, ...]:
    """A list of labels: true or false, 1 or 0, "+" or "-"."""
    return tuple(truth(value, name) for value in items(row, name))


def truth(value: Any, name: str) -> bool:
    """One label: true or false, 1 or 0, "+" or "-"."""
    if isinstance(value, str) and value.strip() in SIGNS:
        return SIGNS[value.strip()]
    if isinstance(value, bool | int) and value in (0, 1):
        return bool(value)
    raise ValueError(f"'{name}' must hold labels (true, 1 or '+'), not {_short(value)}")


def optional_truth(row: Row, name: str) -> bool | None:
    """True or false, or `None` where it is null or absent."""
    value = row.get(name)
    if not isinstance(value, bool | None):
        raise ValueError(f"'{name}' must be true or false, not {_short(value)}")
    return value


def optional_truths(row: Row, name: str) -> tuple[bool | None, ...]:
    """A list of true, false and null."""
    return tuple(optional_truth({name: value}, name) for value in items(row, name))


def optional_numbers(row: Row, name: str) -> tuple[float | None, ...]:
    """A list of numbers and null."""
    values = items(row, name)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float | None):
            raise ValueError(f"'{name}' must hold numbers, not {_short(value)}")
    return tuple(None if value is None else float(value) for value in values)


def _present(row: Row, name: str) -> Any:
    if name not in row:
        raise ValueError(f"no '{name}': there is {_short(', '.join(map(str, row))) or 'nothing'}")
    return row[name]


def _short(value: Any) -> str:
    shown = value if isinstance(value, str) else "null" if value is None else repr(value)
    return shown if len(shown) <= 80 else f"{shown[:79]}…"
