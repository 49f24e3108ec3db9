"""Where benchmarks write their figures."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path("build/bench")


def write_report(name: str, figures: dict[str, Any]) -> Path:
    """Writes `build/bench/<name>.json`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}")
    return path
