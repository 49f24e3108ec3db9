"""A worker runs a program on many groups: each stands or falls alone, and a dead engine ends it."""

import asyncio
import errno
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from schemas.arrow import arrow_schema, from_row, to_row
from schemas.files import listed, place, write_atomically
from schemas.generation import Message, Prompt, Sampling
from schemas.records import ProblemGroup, Status, Verdict
from workers.admission import Admission
from workers.counting import count
from workers.engine import EngineDead, PromptTooLong
from workers.program import AnswerGrader, Program
from workers.scripted_engine import ScriptedEngine
from workers.store import batch_id
from workers.suspects import Suspects
from workers.tally import Tally, WorkerCounts
from workers.worker import ENGINE_DEAD_EXIT_CODE, MAX_REASON_CHARS, EngineWorker


class NoGrader:
    async def grade(self, gold: str, answers: Sequence[str | None]) -> list[Verdict]:
        return [Verdict.CORRECT for _ in answers]


class Remote:
    """A tally as its actor's handle shows it."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, WorkerCounts]] = []
        self.report = self

    def remote(self, incarnation: str, counts: WorkerCounts) -> None:
        self.reports.append((incarnation, counts))


async def ask_in_a_task_group(
    group: ProblemGroup, engine: Admission, grader: AnswerGrader
) -> ProblemGroup:
    """A program: asks about the question, and passes on what was dropped."""
    if group.status is not Status.OK:
        return group
    prompt = Prompt(messages=(Message(role="user", content=group.question),))
    async with engine.turn(), asyncio.TaskGroup() as tasks:
        work = tasks.create_task(engine.complete(prompt, Sampling(), [1, 2]))
    return ProblemGroup(
        problem_id=group.problem_id,
        question=group.question,
        answer=group.answer,
        metadata=work.result()[0].text,
    )


def reply(prompt: Prompt, seed: int) -> str | Exception:
    question = prompt.messages[0].content
    known: dict[str, Exception] = {
        "long": PromptTooLong("9 tokens too many"),
        "odd": KeyError("x" * 2 * MAX_REASON_CHARS),
        "dead": EngineDead("CUDA error"),
    }
    return known.get(question, question.upper())


def group(problem_id: str, question: str, **fields: Any) -> ProblemGroup:
    return ProblemGroup(problem_id=problem_id, question=question, answer="", **fields)


def table(*groups: ProblemGroup) -> pa.Table:
    return pa.Table.from_pylist([to_row(g) for g in groups], schema=arrow_schema(ProblemGroup))


def worker(
    folder: Path, tally: Remote | None = None, program: Program = ask_in_a_task_group
) -> EngineWorker:
    return EngineWorker(lambda: ScriptedEngine(reply), NoGrader, program, folder, tally)


def stored(folder: Path, batch: pa.Table, program: Program = ask_in_a_task_group) -> pa.Table:
    """What a worker makes of a batch, from its file."""
    folder.mkdir(exist_ok=True)
    returned = asyncio.run(worker(folder, program=program)(batch))
    [file] = folder.glob("*.parquet")
    found = pq.read_table(file)
    assert returned.equals(found.select(["problem_id", "status"]))
    return found


def groups_of(found: pa.Table) -> list[ProblemGroup]:
    return [from_row(ProblemGroup, row) for row in found.to_pylist()]


DROPPED = group("d", "long", status=Status.DROPPED, reason="no")


def test_a_failing_group_touches_no_other(tmp_path: Path) -> None:
    batch = table(group("a", "hi"), group("b", "long"), DROPPED, group("c", "odd"))
    found = stored(tmp_path, batch)
    a, b, d, c = groups_of(found)
    assert (a.status, a.metadata) == (Status.OK, "HI")
    assert (b.status, b.reason) == (Status.FAILED, "PromptTooLong: 9 tokens too many")
    assert d == DROPPED
    assert c.status is Status.FAILED
    assert c.reason is not None
    assert c.reason.startswith("KeyError: 'xxx")
    assert len(c.reason) == MAX_REASON_CHARS


def test_the_table_keeps_its_schema_also_without_rows(tmp_path: Path) -> None:
    for name, groups in {"none": [], "one": [group("a", "hi")]}.items():
        found = stored(tmp_path / name, table(*groups))
        assert found.schema.equals(arrow_schema(ProblemGroup))
        assert found.num_rows == len(groups)


def test_batches_run_side_by_side_and_are_counted_together(tmp_path: Path) -> None:
    tally = Remote()

    async def both() -> list[pa.Table]:
        shared = worker(tmp_path, tally)
        batches = [table(group("a", "hi"), DROPPED), table(group("b", "long"))]
        return await asyncio.gather(*(shared(batch) for batch in batches))

    assert [t.num_rows for t in asyncio.run(both())] == [2, 1]
    total = Tally()
    for incarnation, counts in tally.reports:
        total.report(incarnation, counts)
    counts = total.total()
    assert (counts.num_ok, counts.num_dropped, counts.num_failed) == (1, 1, 1)
    assert (counts.num_in_flight, counts.num_groups, total.num_workers()) == (0, 3, 1)
    assert counts.engine.num_requests == 4


def test_a_restarted_worker_adds_to_the_tally() -> None:
    total = Tally()
    total.report("one", WorkerCounts(num_ok=2))
    total.report("one", WorkerCounts(num_ok=3))
    total.report("two", WorkerCounts(num_ok=1, num_failed=1))
    assert total.total() == WorkerCounts(num_ok=4, num_failed=1)


def test_a_batch_that_is_stored_is_not_run_again(tmp_path: Path) -> None:
    async def fails(group: ProblemGroup, engine: Admission, grader: AnswerGrader) -> ProblemGroup:
        raise AssertionError("asked again")

    batch = table(group("a", "hi"))
    first = stored(tmp_path, batch)
    assert stored(tmp_path, batch, program=fails).equals(first)


def test_marks_of_finished_batches_are_gone(tmp_path: Path) -> None:
    stored(tmp_path, table(group("a", "hi"), group("b", "odd")))
    assert not any((tmp_path / "attempts").iterdir())


class Hiccups(MemoryFileSystem):
    """A store that refuses the first call of each kind."""

    protocol = "hiccups"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    refused: ClassVar[Counter[str]] = Counter()

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path.removeprefix("hiccups:/")))

    def _refuse_once(self, kind: str) -> None:
        self.refused[kind] += 1
        if self.refused[kind] == 1:
            raise OSError(errno.EIO, "away for a moment")

    def _open(self, path: str, mode: str = "rb", **options: Any) -> Any:
        self._refuse_once(f"open {mode}")
        return super()._open(path, mode, **options)

    def ls(self, path: str, detail: bool = True, **options: Any) -> Any:
        self._refuse_once("list")
        return super().ls(path, detail, **options)

    def rm(self, path: Any, recursive: bool = False, maxdepth: int | None = None) -> None:
        self._refuse_once("remove")
        super().rm(path, recursive, maxdepth)


@pytest.mark.filterwarnings("ignore:UPath 'hiccups' filesystem")
def test_a_hiccup_of_the_storage_costs_no_batch() -> None:
    fsspec.register_implementation("hiccups", Hiccups, clobber=True)
    folder = place("hiccups://bucket/pass-0000")
    Hiccups.refused["open wb"] = 1
    write_atomically(folder / "attempts" / "another.mark", "")
    Hiccups.refused.clear()
    returned = asyncio.run(worker(folder)(table(group("a", "hi"))))
    assert returned.to_pylist() == [{"problem_id": "a", "status": "ok"}]
    assert set(Hiccups.refused) == {"open rb", "open wb", "list", "remove"}
    assert len(listed(folder, "*.parquet")) == 1


DIES = """
import asyncio, sys
from pathlib import Path
from tests.workers.test_worker import group, table, worker
batch = table(group("a", "hi"), group("b", "dead"), group("c", "hi"))
asyncio.run(worker(Path(sys.argv[1]))(batch))
"""


def die(folder: Path) -> subprocess.CompletedProcess[str]:
    """One worker's life with a group over which the engine dies."""
    return subprocess.run(
        [sys.executable, "-c", DIES, str(folder)],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_group_that_kills_four_engines_fails_and_its_neighbours_do_not(tmp_path: Path) -> None:
    for _ in range(4):
        assert die(tmp_path).returncode == ENGINE_DEAD_EXIT_CODE
        assert not [*tmp_path.glob("*.parquet")]
    assert die(tmp_path).returncode == 0
    [file] = tmp_path.glob("*.parquet")
    a, b, c = groups_of(pq.read_table(file))
    assert (a.status, b.status, c.status) == (Status.OK, Status.FAILED, Status.OK)
    assert b.reason == "EngineDead: the engine died 2 times while this problem ran alone"


def test_a_batch_under_suspicion_is_stored_before_the_next_one_begins(tmp_path: Path) -> None:
    """Else the deaths over the first group of each batch could use up a worker's restarts."""
    batches = [table(group("a", "hi"), group("b", "hi")), table(group("c", "hi"))]
    num_stored: dict[str, int] = {}

    async def looks(group: ProblemGroup, engine: Admission, grader: AnswerGrader) -> ProblemGroup:
        await asyncio.sleep(0)
        num_stored[group.problem_id] = len([*tmp_path.glob("*.parquet")])
        return group

    async def die_with_both(incarnation: str) -> None:
        gone = Suspects(tmp_path / "attempts", incarnation)
        with pytest.raises(EngineDead):
            async with gone.together(batch_id(batches[0])), gone.together(batch_id(batches[1])):
                raise EngineDead("CUDA error")

    async def run_both() -> None:
        for incarnation in ("one", "two"):
            await die_with_both(incarnation)
        shared = worker(tmp_path, program=looks)
        await asyncio.gather(*(shared(batch) for batch in batches))

    asyncio.run(run_both())
    assert num_stored["a"] == num_stored["b"]
    assert {num_stored["a"], num_stored["c"]} == {0, 1}


def test_a_dead_engine_takes_its_process_along(tmp_path: Path) -> None:
    left = die(tmp_path)
    assert left.returncode == ENGINE_DEAD_EXIT_CODE == 17
    assert "the engine died (CUDA error)" in left.stderr


@pytest.mark.parametrize("error", [ValueError("bad"), ExceptionGroup("many", [ValueError("bad")])])
def test_a_failed_group_names_the_error_itself(error: Exception, tmp_path: Path) -> None:
    async def fails(group: ProblemGroup, engine: Admission, grader: AnswerGrader) -> ProblemGroup:
        raise error

    (found,) = groups_of(stored(tmp_path, table(group("a", "hi")), program=fails))
    assert found.reason == "ValueError: bad"


def test_an_engine_is_announced_when_it_is_up(tmp_path: Path) -> None:
    tally = Remote()
    worker(tmp_path, tally)
    [(_, counts)] = tally.reports
    assert (counts.num_groups, counts.death) == (0, None)
    assert counts.slot
    assert 0 <= counts.engine_start_s < 60


def test_reports_name_what_failed_and_why_groups_were_dropped(tmp_path: Path) -> None:
    tally = Remote()
    shared = worker(tmp_path, tally)
    asyncio.run(shared(table(group("a", "hi"), group("b", "long"), DROPPED)))
    _, counts = tally.reports[-1]
    assert counts.drop_reasons == {"no": 1}
    (failed,) = counts.recent_failures
    assert (failed.problem_id, failed.reason) == ("b", "PromptTooLong: 9 tokens too many")


def test_groups_are_counted_when_they_are_stored_and_never_twice(tmp_path: Path) -> None:
    tally = Remote()
    shared = worker(tmp_path, tally)

    async def twice() -> None:
        for _ in range(2):
            await shared(table(group("a", "hi")))

    asyncio.run(twice())
    assert tally.reports[-1][1].num_ok == 1


def test_programs_count_for_their_worker(tmp_path: Path) -> None:
    async def counts_rounds(
        group: ProblemGroup, engine: Admission, grader: AnswerGrader
    ) -> ProblemGroup:
        count(rounds=2)
        return group

    tally = Remote()
    shared = worker(tmp_path, tally, program=counts_rounds)
    asyncio.run(shared(table(group("a", "hi"), group("b", "hi"))))
    assert tally.reports[-1][1].program.num_rounds == 4
