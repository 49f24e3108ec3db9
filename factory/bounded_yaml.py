"""YAML from others: plain values only, and no more of them than a person would write."""

from collections.abc import Iterator
from typing import Any

import yaml

MAX_BYTES = 1 << 20
MAX_VALUES = 20_000
"""Counted as they are spelled out: an alias counts for all that it stands for."""
MAX_DEPTH = 50


class TooMuch(ValueError):
    """The text would become more than its reader is ready for."""


def read_yaml(text: str) -> tuple[yaml.Node | None, Any]:
    """The document's nodes, which know their lines, and its plain values.

    Aliases are for repeating a section, and stay cheap here: a few lines that each repeat the line
    before ten times would become billions of values, and a text of brackets a stack without end.
    Raises TooMuch for these, yaml.YAMLError for what is not YAML or asks for a Python object.
    """
    if len(text.encode()) > MAX_BYTES:
        raise TooMuch(f"more than {MAX_BYTES >> 20} MiB")
    _check_depth(text)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    for number, _ in enumerate(_spelled_out(root)):
        if number >= MAX_VALUES:
            raise TooMuch(f"aliases that spell out to more than {MAX_VALUES:,} values")
    return root, yaml.safe_load(text)


def _check_depth(text: str) -> None:
    """Before anything is built by recursion."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise TooMuch(f"more than {MAX_DEPTH} levels inside each other")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _spelled_out(root: yaml.Node | None) -> Iterator[yaml.Node]:
    """Every node as often as it is reached; without end where an alias contains itself."""
    waiting = [root] if root is not None else []
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
