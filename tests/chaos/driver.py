"""The command line on engines of our own: `python -m tests.chaos.driver label JOB --out OUT`.

Everything but the engine is what `prm-factory` runs. CHAOS_DELAY_S says how long an engine without
a model takes for a call; with CHAOS_HOST=vllm-in-processes it is vLLM on the CPU, in a process
below the worker as on a GPU.
"""

import os
from functools import partial

from factory import pipeline
from factory.cli import main
from factory.toy import MODEL_DIR
from tests.chaos.engine import HANG_TIMEOUT_S, OpenFragile
from workers.engine import Engine

DELAY, HOST = "CHAOS_DELAY_S", "CHAOS_HOST"


def open_in_a_process() -> Engine:
    from workers.vllm_engine import cpu_arguments, open_in_processes, set_environment

    set_environment()
    arguments = cpu_arguments(str(MODEL_DIR), {})
    return open_in_processes(str(MODEL_DIR), arguments, hang_timeout_s=10 * HANG_TIMEOUT_S)


if __name__ == "__main__":
    if os.environ.get(HOST) == "vllm-in-processes":
        opener = open_in_a_process
    else:
        opener = OpenFragile(delay_s=float(os.environ.get(DELAY, "0.1")))
    pipeline.label = partial(pipeline.label, opener=lambda section: opener)  # type: ignore[assignment]
    main()
