"""The adaptive recipe with a clock on its planner: what `bench scale` runs."""

from dataclasses import replace

from factory.bench.timed_planner import TimedByValue
from factory.core.chain_planner import ByValue
from factory.recipes.adaptive import RECIPE as ADAPTIVE

PLANNER = ADAPTIVE.planner
assert isinstance(PLANNER, ByValue)
RECIPE = replace(
    ADAPTIVE,
    name="adaptive-timed",
    planner=TimedByValue(
        prior=PLANNER.prior,
        question=PLANNER.question,
        costs=PLANNER.costs,
        price=PLANNER.price,
    ),
)
