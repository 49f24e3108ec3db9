"""The worlds that the training benchmark compares recipes in."""

from dataclasses import dataclass

from factory.bench.bank import BankOrder
from factory.bench.training_rows import MAX_ROLLOUTS
from factory.toy.benchmark_files import LEVELS, TEMPERATURE, BenchmarkOrder


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Where recipes are compared: solutions and benchmarks come from a solver of a temperature."""

    name: str
    """Of its report and its files."""
    temperature: float
    seeds: tuple[int, ...]
    token_budgets: tuple[int, ...] = ()

    @property
    def bank(self) -> BankOrder:
        """Problems and solutions like those of the benchmarks, and none of theirs."""
        return BankOrder(
            num_problems=2_000,
            num_rollouts=MAX_ROLLOUTS,
            seed=21,
            levels=LEVELS,
            solutions_per_problem=2,
            temperature=self.temperature,
            num_samples=8,
        )

    @property
    def benchmarks(self) -> BenchmarkOrder:
        """Like the shipped ones."""
        return BenchmarkOrder(
            processbench_seed=54_000,
            best_of_seed=55_000,
            solutions_per_subset=400,
            num_best_of_problems=300,
            temperature=self.temperature,
        )


MILD = World(name="training", temperature=1.2, seeds=(0, 1), token_budgets=(1_000_000,))
"""Half of the solutions are right: what a PRM learnt of first errors tells recipes apart here."""
HOT = World(name="training-hot", temperature=TEMPERATURE, seeds=(0, 1))
"""As the shipped benchmarks: what a PRM is good for at best of 8 is told apart here."""
