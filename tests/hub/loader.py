"""A reader as a process of its own: for every line on stdin it loads the dataset that is named.

It answers with the streamed rows' `problem_id` as JSON.
"""

import json
import sys

from datasets import config, disable_progress_bars, load_dataset

disable_progress_bars()
config.SLEEP_TIME_ON_THREADS_SHUTDOWN = 0  # seconds at the end of each pass over a stream
for line in sys.stdin:
    rows = load_dataset(line.strip(), split="train", streaming=True)
    print(json.dumps([row["problem_id"] for row in rows]), flush=True)
