"""Which model a job really uses: checks before it starts, and a fingerprint that names weights."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from factory.errors import InputError, shortened
from factory.job import EngineSection, ModelSection
from schemas.generation import Message
from schemas.ids import digest_of
from workers.vllm_dialect import render_turns
from workers.vllm_engine import CPU_MAX_CONTEXT

PLACEMENT_ARGS = frozenset(
    {
        # where it runs
        "tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size",
        "data_parallel_rank", "data_parallel_start_rank", "data_parallel_size_local",
        "data_parallel_address", "data_parallel_rpc_port", "data_parallel_backend",
        "distributed_executor_backend", "distributed_timeout_seconds", "master_addr",
        "master_port", "nnodes", "node_rank", "device_ids", "numa_bind", "numa_bind_nodes",
        "numa_bind_cpus", "disable_custom_all_reduce",
        # in how much memory
        "gpu_memory_utilization", "kv_cache_memory_bytes", "num_gpu_blocks_override", "block_size",
        "cpu_offload_gb", "kv_offloading_size", "kv_offloading_backend",
        # how fast
        "max_num_seqs", "max_num_batched_tokens", "max_num_scheduled_tokens",
        "long_prefill_token_threshold", "enforce_eager", "enable_prefix_caching",
        "prefix_caching_hash_algo", "enable_chunked_prefill", "async_scheduling",
        "scheduling_policy", "stream_interval", "renderer_num_workers", "cudagraph_capture_sizes",
        "max_cudagraph_capture_size",
        # how it is loaded and watched; every request has a seed of its own
        "download_dir", "max_parallel_loading_workers", "safetensors_load_strategy",
        "safetensors_prefetch_num_threads", "safetensors_prefetch_block_size", "use_tqdm_on_load",
        "hf_token", "disable_log_stats", "enable_log_requests", "log_level", "log_config_file",
        "shutdown_timeout", "otlp_traces_endpoint", "served_model_name", "seed",
    }
)  # fmt: skip
"""Engine arguments that say where and how fast; any other may change what a model writes."""
SAMPLE_BYTES = 1 << 20


def check_model(role: str, section: EngineSection, turns: tuple[Message, ...]) -> None:
    """Raises InputError when a local model is missing, is none, or refuses turns like these."""
    folder = Path(section.model)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(
                f"{role}.model: {folder} holds no config.json, so it is no model: "
                "give a folder in Hugging Face's layout"
            )
        _check_turns(role, section, turns)
    elif folder.is_absolute() or section.model.startswith(".") or section.model.count("/") != 1:
        raise InputError(
            f"{role}.model: folder {section.model} does not exist; "
            "give a folder in Hugging Face's layout or a Hub id like 'org/name'"
        )


def _check_turns(role: str, section: EngineSection, turns: tuple[Message, ...]) -> None:
    """Raises InputError when a chat template takes no system message. Most say so by
    `raise_exception`; where the word is missing, no tokenizer is loaded."""
    has_system = any(turn.role == "system" for turn in turns)
    if not has_system or "raise_exception" not in _chat_template(Path(section.model)):
        return
    from jinja2 import TemplateError
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(section.model)
    except (OSError, ValueError):
        return  # the engine will say what is wrong with it
    try:
        render_turns(tokenizer, turns)
    except TemplateError as error:
        raise InputError(
            f"{role}.model: {section.model}'s chat template refuses a system message "
            f"({shortened(error, 80)}): "
            + (
                f"set '{role}.system: null'"
                if isinstance(section, ModelSection)
                else "take a recipe of your own whose form has system=None"
            )
        ) from error


def _chat_template(folder: Path) -> str:
    """The texts in which a local model's chat template stands."""
    files = (folder / "chat_template.jinja", folder / "tokenizer_config.json")
    return "".join(f.read_text(encoding="utf-8", errors="replace") for f in files if f.is_file())


def context_length(section: EngineSection) -> int | None:
    """Tokens that fit the model, as far as the job or a local folder says."""
    told = section.engine_args.get("max_model_len")
    if isinstance(told, int) and told > 0:
        return told
    if not (Path(section.model) / "config.json").is_file():
        return None
    config = _read_config(Path(section.model))
    length = {**config.get("text_config", {}), **config}.get("max_position_embeddings")
    if not length:
        return None
    is_capped = section.device == "cpu" and told is None
    return min(int(length), CPU_MAX_CONTEXT) if is_capped else int(length)


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{folder / 'config.json'} is damaged: {shortened(error)}") from error
    if not isinstance(config, dict):
        raise InputError(f"{folder / 'config.json'} is damaged: it holds no JSON object")
    return config


def model_identity(
    section: EngineSection | None, revision: str | None = None
) -> dict[str, Any] | None:
    """What identifies a model in a digest: weights, prompt, and what changes its numbers.

    `revision` is the commit of a Hub id whose section names none.
    """
    if section is None:
        return None
    arguments = {
        name: _without_folders(value)
        for name, value in section.engine_args.items()
        if name not in PLACEMENT_ARGS
    }
    is_folder = Path(section.model).is_dir()
    if not is_folder and "revision" not in arguments:
        arguments["revision"] = revision
    return {
        "model": Path(section.model).name if is_folder else section.model,
        "fingerprint": fingerprint(section.model),
        **({"system": section.system} if isinstance(section, ModelSection) else {}),
        "device": section.device,  # a CPU computes in float32
        **arguments,
    }


def _without_folders(value: Any) -> Any:
    """The value with paths of this machine replaced by the name and content of what is there."""
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_folders(item) for item in value]
    if not isinstance(value, str) or "/" not in value:
        return value
    if os.path.isdir(value):  # a text too long for a path is none
        return {"name": os.path.basename(os.path.abspath(value)), "fingerprint": fingerprint(value)}
    if os.path.isfile(value):
        return {"name": os.path.basename(value), "fingerprint": _sampled_hash(Path(value))}
    return os.path.basename(value) if os.path.isabs(value) else value


def fingerprint(model: str) -> str | None:
    """16 hex digits naming a local folder's files; `None` for a Hub id, which names itself.

    Weights, configuration, tokenizer and chat template count; Markdown and hidden files do not.

    Files up to 1 MiB count whole, larger ones by size, first and last MiB: reading every byte of
    large weights would take longer than starting an engine.
    """
    folder = Path(model)
    if not folder.is_dir():
        return None
    files = sorted(
        f
        for f in folder.iterdir()
        if f.is_file() and f.suffix != ".md" and not f.name.startswith(".")
    )
    return digest_of([[f.name, f.stat().st_size, _sampled_hash(f)] for f in files])


def _sampled_hash(path: Path) -> str:
    state = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        state.update(file.read(SAMPLE_BYTES))
        if path.stat().st_size > SAMPLE_BYTES:
            file.seek(-SAMPLE_BYTES, 2)
            state.update(file.read(SAMPLE_BYTES))
    return state.hexdigest()
