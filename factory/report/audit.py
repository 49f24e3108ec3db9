"""An audit and a fitted prior, for a person."""

from typing import Any

from rich.console import Console
from rich.table import Table

from factory.core.prior_fit import FittedRecipe


def print_audit(console: Console, found: dict[str, Any]) -> None:
    """Claimed against realised error, calibration, and the truth where it is known."""
    console.print(
        f"[bold]audit[/] of {found['num_steps']:,} steps in {found['num_solutions']:,} solutions, "
        f"{found['fresh_rollouts_per_prefix']:,} fresh rollouts at every prefix"
    )
    table = Table("labels", "claimed error", "realised error", "95 % interval", box=None)
    for name in ("all", "decided"):
        if found[name]:
            rate = found[name]["realised_error"]
            table.add_row(
                name, _percent(found[name]["claimed_error"]), _percent(rate["rate"]), _range(rate)
            )
    if found["against_truth"]:
        for name, label in (("published", "against the oracle"), ("fresh", "fresh against it")):
            rate = found["against_truth"][name]
            table.add_row(label, "", _percent(rate["rate"]), _range(rate))
    console.print(table)
    if found["calibration"]:
        calibration = found["calibration"]
        console.print(
            f"soft labels: mean distance to the fresh shares {calibration['ece']:.3f} (ECE), "
            f"root mean square {calibration['rmse']:.3f}, bias {calibration['bias']:+.3f}"
        )


def print_fit(console: Console, fitted: FittedRecipe) -> None:
    """The fitted recipe as a file of one's own."""
    fit, costs, old = fitted.fit, fitted.costs, fitted.old_costs
    console.print(
        f"fitted to {fit.num_chains:,} solutions, {fit.gain_per_chain:.3f} nats per solution "
        "better than the default. A recipe file of your own:\n"
    )
    fields = ("concentration", "dead", "fall", "jump", "root_a", "root_b")
    lines = "".join(f"        {name}={getattr(fit.prior, name):.4g},\n" for name in fields)
    console.print(
        "from factory.core.chain_planner import LabelCosts\n"
        "from factory.core.prior import ChainPrior\n"
        "from factory.recipes.adaptive import adaptive\n\n"
        "RECIPE = adaptive(\n"
        '    name="fitted",\n'
        f"    prior=ChainPrior(\n{lines}    ),\n"
        f"    costs=LabelCosts(good_called_bad={costs.good_called_bad:g}, "
        f"bad_called_good={costs.bad_called_good:.3g}),\n)",
        highlight=False,
        markup=False,
    )
    console.print(
        f"\nThe cost of a bad step called good was {old.bad_called_good:g}: the new one keeps the "
        "balance of false good and\nfalse bad labels, which a prior alone moves. Audit a job made "
        "with it before you rely on it."
    )


def audit_sentence(found: dict[str, Any]) -> str:
    """The audited figure for a card."""
    rate = found["all"]["realised_error"]
    claimed = found["all"]["claimed_error"]
    claim = f" (claimed: {_percent(claimed)})" if claimed is not None else ""
    return (
        f"Audited: {_percent(rate['rate'])} of labels differ from what the same rule says with "
        f"{found['fresh_rollouts_per_prefix']:,} fresh rollouts at every prefix, 95 % interval "
        f"{_range(rate)}{claim}; {found['num_steps']:,} steps in {found['num_solutions']:,} "
        "solutions drawn at random."
    )


def audit_line(found: dict[str, Any]) -> str:
    """The audited figure in one line."""
    rate = found["all"]["realised_error"]
    return f"{_percent(rate['rate'])} found wrong by an audit (95 %: {_range(rate)})"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f} %"


def _range(rate: dict[str, float]) -> str:
    return f"{100 * rate['low']:.1f} to {100 * rate['high']:.1f} %"
