"""Who is suspected of killing engines, and who is found guilty."""

import asyncio
from pathlib import Path

import pytest

from workers.suspects import DEATHS_TO_FAIL, Deaths, Suspects, acquit


def lives(folder: Path, number: int, *, engine_died: bool) -> None:
    """So many workers that go while they run it."""

    async def live(worker: Suspects) -> None:
        with pytest.raises(RuntimeError):
            async with worker.marked("it"):
                raise RuntimeError
        if engine_died:
            await worker.engine_died()

    for n in range(number):
        asyncio.run(live(Suspects(folder, f"{engine_died}{n}")))


def deaths(folder: Path) -> Deaths:
    return asyncio.run(Suspects(folder, "looks").deaths("it"))


def test_a_worker_that_is_lost_weighs_less_than_an_engine_that_dies(tmp_path: Path) -> None:
    lives(tmp_path / "engines", 2, engine_died=True)
    lives(tmp_path / "nodes", 2, engine_died=False)
    engines, nodes = deaths(tmp_path / "engines"), deaths(tmp_path / "nodes")
    assert (engines.are_suspicious, engines.are_too_many) == (True, True)
    assert (nodes.are_suspicious, nodes.are_too_many) == (True, False)
    assert str(engines) == "the engine died 2 times while this problem ran alone"


def test_a_problem_that_takes_its_process_along_is_found_all_the_same(tmp_path: Path) -> None:
    lives(tmp_path, DEATHS_TO_FAIL - 2, engine_died=False)
    lives(tmp_path, 1, engine_died=True)
    assert not deaths(tmp_path).are_too_many
    lives(tmp_path, DEATHS_TO_FAIL - 1, engine_died=False)
    found = deaths(tmp_path)
    assert found == Deaths(num_engines=1, num_workers=DEATHS_TO_FAIL - 1)
    assert found.are_too_many
    assert str(found).startswith("the engine died 1 times and 5 workers were lost while")


def test_what_ends_well_leaves_no_trace_of_anybody(tmp_path: Path) -> None:
    async def run() -> None:
        async with Suspects(tmp_path, "last").marked("it"):
            pass

    lives(tmp_path, 1, engine_died=True)
    asyncio.run(run())
    assert not any(tmp_path.iterdir())


def test_workers_that_were_well_when_they_were_ended_count_for_nothing(tmp_path: Path) -> None:
    lives(tmp_path, 2, engine_died=False)
    lives(tmp_path, 2, engine_died=True)
    acquit(tmp_path, ["False1", "True1"])
    assert deaths(tmp_path) == Deaths(num_engines=2, num_workers=1)
    acquit(tmp_path / "absent", ["False0"])


def test_a_folder_that_is_gone_is_not_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_folder = tmp_path / "pass-0000"

    async def run() -> None:
        async with Suspects(pass_folder / "attempts", "one").marked("it"):
            pass

    monkeypatch.setattr("workers.suspects.patiently", asyncio.to_thread)
    with pytest.raises(FileNotFoundError):
        asyncio.run(run())
    assert not pass_folder.exists()
