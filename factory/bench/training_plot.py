"""The table and the pictures of the training benchmark."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from factory.bench.training_scores import F1, Mean, Summary


def print_table(rows: Sequence[Summary]) -> None:
    """By condition, best F1 first."""
    print(
        f"{'condition':<17}{'labels by':<28}{'solutions':>9}{'kept':>7}{'tokens':>12}"
        f"{F1:>24}{'over hard, K = 8':>26}{'best of 8, minimum':>24}{'over the majority':>26}"
        f"{'vote by minimum':>24}{'over the majority':>26}{'over hard, K = 8':>26}"
    )
    for row in sorted(rows, key=lambda r: (r.condition, -r.values[F1].value)):
        over = row.over_reference or {}
        print(
            f"{row.condition:<17}{row.recipe:<28}{row.num_solutions:>9.0f}{row.num_rows:>7.0f}"
            f"{row.num_tokens:>12,.0f}{_text(row.values[F1]):>24}{_signed(over.get(F1)):>26}"
            f"{_text(row.values['prm-min']):>24}{_signed(row.over_majority['prm-min']):>26}"
            f"{_text(row.values['vote-min']):>24}{_signed(row.over_majority['vote-min']):>26}"
            f"{_signed(over.get('vote-min')):>26}"
        )


def _text(mean: Mean) -> str:
    return f"{mean.value:.3f} ({mean.low:.3f}, {mean.high:.3f})"


def _signed(mean: Mean | None) -> str:
    if mean is None:
        return ""
    return f"{mean.value:+.3f} ({mean.low:+.3f}, {mean.high:+.3f})"


def plot_first_errors(rows: Sequence[Summary], path: Path) -> None:
    """One panel a condition: F1 with its interval for every recipe, the oracle's as a line."""
    of_condition = _by_condition(rows)
    ceiling = max(row.values[F1].value for row in rows if row.recipe == "oracle")
    _draw(
        [
            Panel(title, "first-error F1 of the PRM", [(r, r.values[F1]) for r in members])
            for title, members in of_condition.items()
        ],
        path,
        line=ceiling,
        title="The same PRM on labels of each recipe (rows trained on); dotted: oracle, all",
    )


def plot_best_of_8(rows: Sequence[Summary], path: Path, majority: float) -> None:
    """One panel a way to choose of 8 and a condition: accuracies, the majority's as a line."""
    _draw(
        [
            Panel(f"{way}, {title}", "accuracy", [(row, row.values[name]) for row in members])
            for name, way in (("prm-min", "highest score"), ("vote-min", "vote by score"))
            for title, members in _by_condition(rows).items()
        ],
        path,
        line=majority,
        title="Best of 8 by least step scores (rows trained on); dotted: majority vote",
    )


def _by_condition(rows: Sequence[Summary]) -> dict[str, list[Summary]]:
    """All solutions first, then by budget."""
    names = sorted({row.condition for row in rows}, key=lambda c: (c[0].isdigit(), len(c), c))
    return {name: [row for row in rows if row.condition == name] for name in names}


class Panel(NamedTuple):
    """What one pair of axes shows."""

    title: str
    quantity: str
    values: Sequence[tuple[Summary, Mean]]


def _draw(panels: Sequence[Panel], path: Path, *, line: float, title: str) -> None:
    """Every panel's values with their intervals, best on top, and a line through all panels."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    num_lines = -(-len(panels) // 2)
    figure, axes = pyplot.subplots(
        num_lines, 2, figsize=(10, 4.4 * num_lines), sharex=True, squeeze=False
    )
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, panel in zip(axes.flat, panels, strict=False):
        shown = sorted(panel.values, key=lambda pair: pair[1].value)
        means = [mean for _, mean in shown]
        places = range(len(shown))
        axis.errorbar(
            [mean.value for mean in means],
            places,
            xerr=[
                [mean.value - mean.low for mean in means],
                [mean.high - mean.value for mean in means],
            ],
            fmt="o",
            capsize=3,
        )
        axis.axvline(line, color="grey", linestyle=":", linewidth=1)
        axis.set_yticks(places, [f"{row.recipe} ({row.num_rows:.0f})" for row, _ in shown])
        axis.set_title(panel.title)
        axis.set_xlabel(panel.quantity)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
