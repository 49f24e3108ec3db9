"""What in a job runs code of its author, or connects to hosts that it names: refused unless the
person who starts it allows it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from factory.errors import InputError
from factory.job import ROLES, Job

CODE_ARGS = frozenset(
    {
        "trust_remote_code",  # Python files of the model's repository
        # names of classes and files that vLLM imports
        "worker_cls", "worker_extension_cls", "scheduler_cls", "logits_processors",
        "model_class_overrides", "reasoning_parser_plugin", "io_processor_plugin",
        "kv_transfer_config", "ec_transfer_config", "ec_manager_config", "weight_transfer_config",
        "kv_connector_module_path", "compilation_config", "additional_config",
        "logging_config", "log_config_file", "profiler_config",
    }
)  # fmt: skip
"""Engine arguments, also inside others, that make vLLM import what they name."""
REACH_ARGS = frozenset(
    {
        # a group of engines, whose members send each other pickles
        "master_addr", "master_port", "nnodes", "node_rank", "data_parallel_address",
        "data_parallel_rpc_port", "data_parallel_rank", "data_parallel_start_rank",
        "data_parallel_size_local", "data_parallel_hybrid_lb", "data_parallel_external_lb",
        "data_parallel_multi_port_external_lb", "data_parallel_master_ip",
        "data_parallel_master_port", "data_parallel_rpc_ip", "ray_runtime_env",
        # what is told to others
        "otlp_traces_endpoint", "kv_events_config",
        # where weights are fetched from and files are written to
        "tensorizer_config", "mm_encoder_fp8_scale_save_path", "ray_workers_use_nsight",
    }
)  # fmt: skip
"""Engine arguments, also inside others, that make vLLM connect to, or write to, what they name."""
ONE_NODE = {"nnodes": 1, "node_rank": 0}
"""What these say of an engine that is no group."""
RANKS = ("_rank", "_local")
"""Endings of arguments that mean a group as soon as they are there."""
LOADERS = ("ipc_cache", "modelexpress", "tensorizer")
"""Of weights: they fetch them from a process or host that the job names; the first unpickles."""
BACKENDS = ("mp", "uni", "ray", "external_launcher")
"""Any other name of an executor is a class to import."""
FLAG = "--allow-code"


def check_code(job: Job, *, allow_code: bool) -> None:
    """Raises InputError for the first thing in the job that would run code nobody allowed."""
    if allow_code:
        return
    for what in code_in(job):
        raise InputError(f"{what}: if you trust whoever wrote the job file, add {FLAG}")


def code_in(job: Job) -> Iterator[str]:
    """What runs code, as beginnings of a sentence."""
    if job.recipe.endswith(".py") and Path(job.recipe).is_file():
        yield f"recipe {job.recipe} is Python code that would be executed"
    if job.sandbox.unsafe:
        yield "sandbox.unsafe executes what the teacher writes without isolation"
    for role in ROLES:
        section = getattr(job, role)
        for told in _gated(section.engine_args) if section else ():
            yield f"{role}.engine_args.{told}"


def _gated(arguments: Any, prefix: str = "") -> Iterator[str]:
    """Names of arguments, each with what it does."""
    if isinstance(arguments, list):
        for item in arguments:
            yield from _gated(item, prefix)
    if not isinstance(arguments, dict):
        return
    for key, value in arguments.items():
        if does := _does(str(key).replace("-", "_"), value):
            yield f"{prefix}{key} makes vLLM {does}"
        else:
            yield from _gated(value, f"{prefix}{key}.")


def _does(name: str, value: Any) -> str | None:
    if _is_off(name, value):
        return None
    if name in REACH_ARGS:
        return "connect to, or write to, what the job names"
    return "run code that the model or the job names" if _is_code(name, value) else None


def _is_off(name: str, value: Any) -> bool:
    """False and 0 turn off what is a flag or a path; for vLLM either is a rank of a group."""
    if name in ONE_NODE and value == ONE_NODE[name]:
        return True
    return value is None if name.endswith(RANKS) else not value


def _is_code(name: str, value: Any) -> bool:
    match name:
        case "distributed_executor_backend":
            return value not in BACKENDS
        case "method" | "spec_method":  # of speculative decoding
            return bool(value == "custom_class")
        case "model" | "spec_model":  # a draft's; vLLM imports a name like module.Class
            return isinstance(value, str) and "." in value and "/" not in value
        case "load_format":
            return str(value).lower() in LOADERS  # as vLLM reads it
    return name in CODE_ARGS
