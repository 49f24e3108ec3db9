"""A dataset on the Hub is read at one commit, which is recorded, and by split."""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import HfApi

from tests.hub.protocol import TOKEN, Hub
from tests.training.builders import oracle_rows

READ = """
import json, sys
from datasets import config
from factory.training.sources import open_source
config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0
for data in sys.argv[1:]:
    source = open_source(
        data, part=None, split="train", columns=("prompt", "labels"), default_part="rationales"
    )
    print(json.dumps([source.origin, len(list(source.rows()))]))
"""


EVALUATE = """
import json, sys
from datasets import config
from factory.errors import InputError
from factory.evaluation.files import placed_rows
config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0
for source, split in (told.split() for told in sys.argv[1:]):
    try:
        rows = list(placed_rows(source, None if split == "all" else split))
        print(json.dumps([row.part for row in rows]))
    except InputError as error:
        print(json.dumps(str(error)))
"""


def test_an_evaluation_reads_the_split_and_the_commit_it_is_told(
    hub: Hub, client_env: dict[str, str], tmp_path: Path
) -> None:
    api = HfApi(endpoint=hub.url, token=TOKEN)
    api.create_repo("org/labels", repo_type="dataset")
    commits = []
    for split, num_rows in (("train", 2), ("test", 1)):
        pq.write_table(pa.Table.from_pylist(oracle_rows(num_rows)), tmp_path / "x.parquet")
        commits.append(
            api.upload_file(
                path_or_fileobj=str(tmp_path / "x.parquet"),
                path_in_repo=f"data/{split}.parquet",
                repo_id="org/labels",
                repo_type="dataset",
            ).oid
        )
    told = ["org/labels all", "org/labels test", f"org/labels@{commits[0]} all", "org/labels dev"]
    done = subprocess.run(
        [sys.executable, "-c", EVALUATE, *told],
        env=client_env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        ["train", "train", "test"],
        ["test"],
        ["train", "train"],
        "org/labels has no split dev: there are train, test",
    ]


def test_the_commit_is_recorded_and_can_be_asked_for(
    hub: Hub, client_env: dict[str, str], tmp_path: Path
) -> None:
    api = HfApi(endpoint=hub.url, token=TOKEN)
    api.create_repo("org/labels", repo_type="dataset")
    commits = []
    for num_rows in (3, 5):
        pq.write_table(pa.Table.from_pylist(oracle_rows(num_rows)), tmp_path / "x.parquet")
        commits.append(
            api.upload_file(
                path_or_fileobj=str(tmp_path / "x.parquet"),
                path_in_repo="data/train.parquet",
                repo_id="org/labels",
                repo_type="dataset",
            ).oid
        )
    done = subprocess.run(
        [sys.executable, "-c", READ, "org/labels", f"org/labels@{commits[0]}"],
        env=client_env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    expected = [
        [{"data": "org/labels", "part": None, "revision": commits[1]}, 5],
        [{"data": "org/labels", "part": None, "revision": commits[0]}, 3],
    ]
    assert [json.loads(line) for line in done.stdout.splitlines()] == expected
