"""Pictures of an evaluation: best-of-N by N, and the reliability diagram."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

SHOWN = {
    "pass@N": ":",
    "majority": "k-",
    "vote-last": "o-",
    "vote-min": "s-",
    "prm-last": "o--",
    "prm-min": "s--",
    "pass@1": "-.",
}
"""Of the methods these, with their line's style."""


def plot_evaluation(report: dict[str, Any], out: Path) -> list[Path]:
    """The PNG files written; none where matplotlib is not installed or there is nothing to show."""
    if find_spec("matplotlib") is None:
        return []
    import matplotlib

    matplotlib.use("Agg")
    written = []
    if "best_of" in report and len(report["best_of"]["curve"]["n"]) > 1:
        written.append(_plot_curve(report["best_of"], out / "best_of.png"))
    if "labels" in report and report["labels"]["num_steps"]:
        written.append(_plot_reliability(report["labels"], out / "reliability.png"))
    return written


def _plot_curve(found: dict[str, Any], path: Path) -> Path:
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter, PercentFormatter

    curve = found["curve"]
    figure, panel = pyplot.subplots(figsize=(6, 4.2))
    for name, style in SHOWN.items():
        panel.plot(curve["n"], curve[name], style, label=name, markersize=4)
    panel.set(xscale="log", xlabel="solutions per problem", ylabel="right answers")
    panel.set_title(f"best of N on {found['num_problems']:,} problems", fontsize=10)
    panel.set_xticks(curve["n"], [str(n) for n in curve["n"]])
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8)
    return _saved(figure, path)


def _plot_reliability(found: dict[str, Any], path: Path) -> Path:
    """A point's area grows with its bin's steps, and the bars have a logarithmic axis: most scores
    lie near 0 and 1, and what a handful of steps between them does is no shape."""
    from matplotlib import pyplot

    bins, num_steps = found["reliability"], found["num_steps"]
    full = [b for b in bins if b["num_steps"]]
    figure, (panel, counts) = pyplot.subplots(
        2, 1, figsize=(5, 5.6), sharex=True, height_ratios=(3, 1)
    )
    scores, shares = [b["mean_score"] for b in full], [b["share_good"] for b in full]
    panel.plot([0, 1], [0, 1], "k:", linewidth=1)
    panel.plot(scores, shares, linewidth=1, alpha=0.4)
    areas = [10 + 300 * b["num_steps"] / num_steps for b in full]
    panel.scatter(scores, shares, s=areas, clip_on=False, zorder=3)
    panel.set(ylabel="share of good steps", xlim=(0, 1), ylim=(0, 1))
    panel.set_title(f"{num_steps:,} labelled steps, ECE {found['ece']['value']:.3f}", fontsize=10)
    panel.grid(alpha=0.3)
    middles = [(b["low"] + b["high"]) / 2 for b in bins]
    counts.bar(middles, [b["num_steps"] for b in bins], width=bins[0]["high"] * 0.9)
    counts.set(xlabel="score", ylabel="steps", yscale="log", ylim=(0.8, None))
    return _saved(figure, path)


def _saved(figure: Any, path: Path) -> Path:
    from matplotlib import pyplot

    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path
