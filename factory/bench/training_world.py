"""Where the training benchmark compares recipes: solutions to learn from, and to be measured on."""

from factory.bench.bank import BankOrder
from factory.bench.training_rows import MAX_ROLLOUTS
from factory.toy.benchmark_files import LEVELS, TEMPERATURE, BenchmarkOrder

NAME = "training"
"""Of the report and the files."""
SEEDS = (0, 1)
TOKEN_BUDGETS = (1_000_000,)
BANK = BankOrder(
    num_problems=2_000,
    num_rollouts=MAX_ROLLOUTS,
    seed=21,
    levels=LEVELS,
    solutions_per_problem=2,
    temperature=TEMPERATURE,
    num_samples=8,
)
"""Problems and solutions like those of the benchmarks, and none of theirs."""
BENCHMARKS = BenchmarkOrder(
    processbench_seed=54_000,
    best_of_seed=55_000,
    solutions_per_subset=400,
    num_best_of_problems=300,
    temperature=TEMPERATURE,
)
"""Like the shipped ones, with other problems."""
