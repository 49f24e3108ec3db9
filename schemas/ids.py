"""Identity is a hash of content; seeds come from identities."""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

ID_BYTES = 8
SEED_BITS = 63


def content_id(*parts: str) -> str:
    """16 hex digits naming these strings, in this order; ("a", "b") and ("ab",) differ."""
    return _hash(parts, ID_BYTES).hexdigest()


def seed_from(*parts: str | int) -> int:
    """A seed in [0, 2^63) that depends on nothing but these parts."""
    digest = _hash((str(part) for part in parts), 8).digest()
    return int.from_bytes(digest, "big") >> (64 - SEED_BITS)


def digest_of(value: Any) -> str:
    """16 hex digits naming a JSON-ready value, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return content_id(text)


def _hash(parts: Iterable[str], size: int) -> "hashlib.blake2b":
    state = hashlib.blake2b(digest_size=size)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        state.update(len(data).to_bytes(8, "big") + data)
    return state
