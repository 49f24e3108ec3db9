"""What programs count reaches whoever opened a sum, and nobody else."""

import asyncio
from collections import Counter

import pytest

from workers.counting import ProgramCounts, count, counting, program_counts


def test_nothing_is_counted_where_nobody_counts() -> None:
    count(rounds=1)


def test_tasks_that_the_body_starts_count_too() -> None:
    sums: Counter[str] = Counter()

    async def work() -> None:
        with counting(sums):
            async with asyncio.TaskGroup() as tasks:
                for _ in range(3):
                    tasks.create_task(one())
        count(rounds=100)

    async def one() -> None:
        await asyncio.sleep(0)
        count(rounds=1, rollouts=8)

    asyncio.run(work())
    assert program_counts(sums) == ProgramCounts(num_rounds=3, num_rollouts=24)


def test_groups_side_by_side_keep_their_sums_apart() -> None:
    async def work(sums: Counter[str], number: int) -> None:
        with counting(sums):
            await asyncio.sleep(0)
            count(steps=number)

    async def both() -> tuple[Counter[str], Counter[str]]:
        one, two = Counter[str](), Counter[str]()
        await asyncio.gather(work(one, 1), work(two, 2))
        return one, two

    one, two = asyncio.run(both())
    assert (one["steps"], two["steps"]) == (1, 2)


def test_a_name_that_nobody_reads_is_refused() -> None:
    with pytest.raises(AssertionError, match="nobody counts \\['round'\\]"):
        count(round=1)
