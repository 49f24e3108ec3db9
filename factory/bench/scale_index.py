"""What a driver remembers of a job of many problems: time and memory of its index. No engine.

Prints one line of JSON. All problems but the last are settled in slices; the last ones lie in
batches, as they do while a job runs. A process of its own, so that its memory is the index's.
"""

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa

from factory.slices import MAX_PROBLEMS, add_problems, read_slices
from factory.stage_folder import StageFolder
from factory.stages import pending_problems
from factory.stored import StoredRows
from schemas.arrow import arrow_schema, to_row
from schemas.files import read_table, write_table
from schemas.ids import content_id
from schemas.records import ProblemGroup
from workers.store import write_groups

NUM_BATCHES = 5_000
PROBLEMS_PER_BATCH = 4
QUESTION = "How many apples are left when Ann has eaten {n} of them? " * 4


def measure(folder: Path, num_problems: int) -> dict[str, Any]:
    """Seconds and megabytes for a job of this size that is nearly done."""
    found = read_slices(folder / "problems")
    before_mb = _rss_mb()
    started_s = time.process_time()
    slices = add_problems(folder / "problems", found, _tables(num_problems), MAX_PROBLEMS)
    written_s = time.process_time()
    slices.rows, slices.input_ids, slices.members  # noqa: B018  each is made once
    indexed_s = time.process_time()
    stage = StageFolder(path=folder / "stage")
    num_settled = num_problems - NUM_BATCHES * PROBLEMS_PER_BATCH
    _settle(stage, folder / "problems", num_settled)
    stored_from_s = time.process_time()
    stored = StoredRows(stage, slices.input_ids)
    stored_s = time.process_time()
    assert not pending_problems(slices.rows, stored.rows)
    return {
        "num_problems": num_problems,
        "write_slices_s": written_s - started_s,
        "index_problems_s": indexed_s - written_s,
        "index_stored_s": stored_s - stored_from_s,
        "pending_s": time.process_time() - stored_s,
        "index_mb": _rss_mb() - before_mb,
    }


def _tables(num_problems: int) -> Any:
    row = to_row(ProblemGroup(problem_id="", question=QUESTION, answer="7"))
    for start in range(0, num_problems, MAX_PROBLEMS):
        some = range(start, min(start + MAX_PROBLEMS, num_problems))
        rows = [
            row | {"problem_id": content_id(str(n)), "input_id": content_id(f"{n}")} for n in some
        ]
        yield pa.Table.from_pylist(rows, schema=arrow_schema(ProblemGroup))


def _settle(stage: StageFolder, problems: Path, num_settled: int) -> None:
    """Stores the problems as if they had been worked on."""
    batches = stage.open_pass()
    done = 0
    for number, table in enumerate(_tables_in(problems)):
        settled = table.slice(0, max(0, num_settled - done))
        if len(settled):
            write_table(stage.settled_file(number), settled)
        rest = table.slice(len(settled))
        for start in range(0, len(rest), PROBLEMS_PER_BATCH):
            write_groups(batches, rest.slice(start, PROBLEMS_PER_BATCH))
        done += len(settled)


def _tables_in(folder: Path) -> Any:
    for file in sorted(folder.glob("slice-*.parquet")):
        yield read_table(file, schema=arrow_schema(ProblemGroup))


def _rss_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))
