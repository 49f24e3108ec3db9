"""What a person looks at: the table of policies and the picture of quality against tokens."""

from collections.abc import Sequence
from pathlib import Path
from re import fullmatch
from typing import Any

from factory.bench.label_policies import FAMILIES

TITLES = {
    "line_accuracy": "steps labelled as the oracle does",
    "first_error_f1": "first-error F1",
}


def print_table(rows: Sequence[dict[str, Any]]) -> None:
    """One line per policy."""
    print(f"{'policy':<32}{'tokens':>8}{'rounds':>8}{'line acc.':>11}{'f. good':>9}{'f. bad':>8}"
          f"{'first-error F1':>16}")  # fmt: skip
    for row in rows:
        low, high = row["first_error_f1_interval"]
        print(
            f"{row['policy']:<32}{row['tokens']:>8,.0f}{row['rounds']:>8.1f}"
            f"{row['line_accuracy']:>11.3f}{row['false_good']:>9.3f}{row['false_bad']:>8.3f}"
            f"{row['first_error_f1']:>8.3f} ({low:.2f}-{high:.2f})"
        )


def plot_frontier(rows: Sequence[dict[str, Any]], default: str, path: Path) -> None:
    """Both scores against tokens: fixed K by labeler, the adaptive recipe by price."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, 2, figsize=(11, 4.6), sharex=True)
    for panel, (field, title) in zip(panels, TITLES.items(), strict=True):
        for family in FAMILIES:
            found = [r for r in rows if fullmatch(f"{family}, K = [0-9]+", r["policy"])]
            panel.plot([r["tokens"] for r in found], [r[field] for r in found], "o-", label=family)
        search = next(r for r in rows if r["policy"] == "omegaprm")
        panel.plot(search["tokens"], search[field], "s", color="tab:gray", label="omegaprm")
        priced = [r for r in rows if r["policy"].startswith("adaptive, price")]
        panel.plot(
            [r["tokens"] for r in priced], [r[field] for r in priced], "k^-", label="adaptive"
        )
        chosen = next(r for r in rows if r["policy"] == default)
        low, high = chosen[f"{field}_interval"]
        panel.errorbar(
            chosen["tokens"],
            chosen[field],
            yerr=[[chosen[field] - low], [high - chosen[field]]],
            fmt="r*",
            markersize=14,
            capsize=3,
            label="adaptive, as it ships",
        )
        panel.set(xscale="log", xlabel="generated tokens per solution", ylabel=title)
        panel.grid(alpha=0.3)
    panels[0].set_title("fixed K = 8, 16, 32, 64; adaptive from price 0.1 to 0.0003", fontsize=9)
    panels[1].legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    print(f"wrote {path}")
