"""The table and the pictures of the training benchmark."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from factory.bench.training_scores import Mean, Summary


def print_table(rows: Sequence[Summary]) -> None:
    """By condition, best F1 first."""
    print(
        f"{'condition':<16}{'labels by':<30}{'solutions':>10}{'kept':>7}{'tokens':>12}"
        f"{'first-error F1':>24}{'over hard, K = 8':>26}{'best of 8, minimum':>24}"
        f"{'vote by minimum':>24}{'over the majority':>26}"
    )
    for row in sorted(rows, key=lambda r: (r.condition, -r.first_error_f1.value)):
        print(
            f"{row.condition:<16}{row.recipe:<30}{row.num_solutions:>10.0f}{row.num_rows:>7.0f}"
            f"{row.num_tokens:>12,.0f}{_text(row.first_error_f1):>24}"
            f"{'' if row.f1_gain is None else _signed(row.f1_gain):>26}"
            f"{_text(row.best_of_8['prm-min']):>24}{_text(row.best_of_8['vote-min']):>24}"
            f"{_signed(row.gain_over_majority['vote-min']):>26}"
        )


def _text(mean: Mean) -> str:
    return f"{mean.value:.3f} ({mean.low:.3f}, {mean.high:.3f})"


def _signed(mean: Mean) -> str:
    return f"{mean.value:+.3f} ({mean.low:+.3f}, {mean.high:+.3f})"


def plot_first_errors(rows: Sequence[Summary], path: Path) -> None:
    """One panel a condition: F1 with its interval for every recipe, the oracle's as a line."""
    conditions = sorted({row.condition for row in rows}, key=lambda c: (c[0].isdigit(), len(c), c))
    of_condition = [[row for row in rows if row.condition == name] for name in conditions]
    ceiling = max(row.first_error_f1.value for row in rows if row.recipe == "oracle")
    _draw(
        [
            Panel(title, "first-error F1 of the PRM", [(r, r.first_error_f1) for r in members])
            for title, members in zip(conditions, of_condition, strict=True)
        ],
        path,
        line=ceiling,
        title="The same PRM on labels of each recipe (rows trained on); dotted: oracle, all",
    )


def plot_best_of_8(rows: Sequence[Summary], path: Path, majority: float) -> None:
    """One panel a way to choose of 8: accuracy for every recipe, the majority's as a line."""
    _draw(
        [
            Panel(title, "accuracy at best of 8", [(row, row.best_of_8[name]) for row in rows])
            for name, title in (
                ("prm-min", "highest least step score"),
                ("vote-min", "vote by least step score"),
            )
        ],
        path,
        line=majority,
        title="The same PRM on labels of each recipe (rows trained on); dotted: majority vote",
    )


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

    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(5 * len(panels), 4.6), sharex=True, squeeze=False
    )
    for axis, panel in zip(axes[0], panels, strict=True):
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
