"""The table and the picture of the training benchmark."""

from collections.abc import Sequence
from pathlib import Path

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


def plot_training(rows: Sequence[Summary], path: Path) -> None:
    """One panel a condition: F1 with its interval for every recipe, the oracle's as a line."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    conditions = sorted({row.condition for row in rows}, key=lambda c: (c[0].isdigit(), len(c), c))
    figure, axes = pyplot.subplots(
        1, len(conditions), figsize=(5 * len(conditions), 4.6), sharex=True, squeeze=False
    )
    ceiling = max(row.first_error_f1.value for row in rows if row.recipe == "oracle")
    for axis, condition in zip(axes[0], conditions, strict=True):
        shown = sorted(
            (row for row in rows if row.condition == condition),
            key=lambda row: row.first_error_f1.value,
        )
        values = [row.first_error_f1 for row in shown]
        places = range(len(shown))
        axis.errorbar(
            [mean.value for mean in values],
            places,
            xerr=[
                [mean.value - mean.low for mean in values],
                [mean.high - mean.value for mean in values],
            ],
            fmt="o",
            capsize=3,
        )
        axis.axvline(ceiling, color="grey", linestyle=":", linewidth=1)
        axis.set_yticks(places, [f"{row.recipe} ({row.num_rows:.0f})" for row in shown])
        axis.set_title(condition)
        axis.set_xlabel("first-error F1 of the PRM")
    figure.suptitle("The same PRM on labels of each recipe (rows trained on); dotted: oracle, all")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
