"""Frozen dataclasses as Arrow: one schema per record type, rows there and back.

Supported fields: str, int, float, bool, string enums, nested dataclasses, `tuple[X, ...]`, and
`X | None`. The Arrow schema carries the Hugging Face features, so that `datasets` loads the files
with the same types.
"""

import dataclasses
import types
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import pyarrow as pa

T = TypeVar("T")

_SCALARS = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


@cache
def arrow_schema(record: type) -> pa.Schema:
    """The Arrow schema of a record type."""
    return pa.schema([_arrow_field(f, hint) for f, hint in _fields(record)])


def features_schema(schema: pa.Schema) -> pa.Schema:
    """The same schema with the metadata by which `datasets` knows its features."""
    from datasets import Features

    return Features.from_arrow_schema(schema).arrow_schema


def to_row(record: Any) -> dict[str, Any]:
    """A record as plain dicts, lists and scalars, ready for Arrow."""
    row = _plain(record)
    assert isinstance(row, dict)
    return row


def from_row(record: type[T], row: dict[str, Any]) -> T:
    """The record a row was made from.

    Raises ValueError when a field is missing or the record rejects its values.
    """
    built = _build(record, row)
    assert isinstance(built, record)
    return built


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value.value if isinstance(value, StrEnum) else value


def _build(hint: Any, value: Any) -> Any:
    inner: Any
    inner, is_optional = _unwrap(hint)
    if value is None:
        if not is_optional:
            raise ValueError(f"a {inner} is missing")
        return None
    if isinstance(inner, type) and dataclasses.is_dataclass(inner):
        missing = [f.name for f, _ in _fields(inner) if f.name not in value]
        if missing:
            raise ValueError(f"{inner.__name__} lacks {', '.join(missing)}")
        return inner(**{f.name: _build(h, value[f.name]) for f, h in _fields(inner)})
    if get_origin(inner) is tuple:
        return tuple(_build(get_args(inner)[0], item) for item in value)
    return inner(value) if isinstance(inner, type) and issubclass(inner, StrEnum) else value


@cache
def _fields(record: Any) -> tuple[tuple[Any, Any], ...]:
    hints = get_type_hints(record)
    return tuple((f, hints[f.name]) for f in dataclasses.fields(record))


def _arrow_field(field: Any, hint: Any) -> pa.Field:
    return pa.field(field.name, _arrow_type(_unwrap(hint)[0]))


def _arrow_type(hint: Any) -> pa.DataType:
    if hint in _SCALARS:
        return _SCALARS[hint]
    if get_origin(hint) is tuple:
        return pa.list_(_arrow_type(_unwrap(get_args(hint)[0])[0]))
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return pa.struct([_arrow_field(f, h) for f, h in _fields(hint)])
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return pa.string()
    raise TypeError(f"no Arrow type for {hint}")


def _unwrap(hint: Any) -> tuple[Any, bool]:
    if get_origin(hint) in (Union, types.UnionType):
        inner = [arg for arg in get_args(hint) if arg is not types.NoneType]
        assert len(inner) == 1, f"no Arrow type for {hint}"
        return inner[0], True
    return hint, False
