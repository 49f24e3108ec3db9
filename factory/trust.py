"""What in a job runs code of its author: refused unless the person who starts it allows it."""

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
        for name in _code_args(section.engine_args) if section else ():
            yield f"{role}.engine_args.{name} makes vLLM run code that the model or the job names"


def _code_args(arguments: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(arguments, list):
        for item in arguments:
            yield from _code_args(item, prefix)
    if not isinstance(arguments, dict):
        return
    for key, value in arguments.items():
        if _is_code(str(key).replace("-", "_"), value):
            yield f"{prefix}{key}"
        else:
            yield from _code_args(value, f"{prefix}{key}.")


def _is_code(name: str, value: Any) -> bool:
    if value in (None, False, [], {}):
        return False
    match name:
        case "distributed_executor_backend":
            return value not in BACKENDS
        case "method" | "spec_method":  # of speculative decoding
            return bool(value == "custom_class")
        case "model" | "spec_model":  # a draft's; vLLM imports a name like module.Class
            return isinstance(value, str) and "." in value and "/" not in value
        case "load_format":  # unpickles what the process behind a socket sends
            return bool(value == "ipc_cache")
    return name in CODE_ARGS
