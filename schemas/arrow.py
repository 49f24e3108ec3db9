"""Frozen dataclasses as Arrow: one schema per record type, rows there and back.

Supported fields: str, int, float, bool, string enums, nested dataclasses, `tuple[X, ...]`, and
`X | None`. The Arrow schema carries the Hugging Face features, so that `datasets` loads the files
with the same types.
"""

import dataclasses
import types
from collections.abc import Callable
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
    kind: Any = record
    built = _builder(kind)(row)
    assert isinstance(built, record)
    return built


def _plain(value: Any) -> Any:
    kind = type(value)
    if value is None or kind in _SCALARS:
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(kind):
        return {f.name: _plain(getattr(value, f.name)) for f, _ in _fields(kind)}
    return value.value if isinstance(value, StrEnum) else value


Build = Callable[[Any], Any]
"""From a row's value to a record's."""


@cache
def _builder(hint: Any) -> Build:
    """Made once for each type: a group has thousands of values."""
    inner, is_optional = _unwrap(hint)
    build = _present(inner)

    def checked(value: Any) -> Any:
        if value is not None:
            return build(value)
        if not is_optional:
            raise ValueError(f"a {inner} is missing")
        return None

    return checked


def _present(inner: Any) -> Build:
    """For a value that is there."""
    if get_origin(inner) is tuple:
        item = _builder(get_args(inner)[0])
        return lambda value: tuple([item(one) for one in value])
    if isinstance(inner, type) and dataclasses.is_dataclass(inner):
        return _record(inner)
    return inner if isinstance(inner, type) and issubclass(inner, StrEnum) else lambda value: value


def _record(kind: type) -> Build:
    builds = [(f.name, _builder(hint)) for f, hint in _fields(kind)]

    def build(value: Any) -> Any:
        missing = [name for name, _ in builds if name not in value]
        if missing:
            raise ValueError(f"{kind.__name__} lacks {', '.join(missing)}")
        return kind(**{name: of(value[name]) for name, of in builds})

    return build


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
