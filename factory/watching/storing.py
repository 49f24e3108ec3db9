"""Puts a small file in place whole, on a disk or in an object store."""

from pathlib import Path

from schemas.files import write_atomically


def put(path: Path, text: str) -> None:
    """Readers see the old text or the new one; an object store replaces files in one step."""
    if isinstance(path, Path):
        write_atomically(path, text)
    else:
        path.write_text(text, encoding="utf-8")
