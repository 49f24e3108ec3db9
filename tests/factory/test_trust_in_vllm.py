"""No engine argument of the vLLM installed here runs code or reaches out unseen by us."""

import ast
import re
from importlib.util import find_spec
from pathlib import Path

from factory.trust import CODE_ARGS, REACH_ARGS

HARMLESS = frozenset(
    {
        # names of models and of files that are read, as weights or JSON
        "model", "model_weights", "tokenizer", "hf_config_path", "generation_config", "spec_model",
        "revision", "code_revision", "tokenizer_revision", "default_mm_loras",
        "mm_encoder_fp8_scale_path", "ignore_patterns", "hf_token", "model_loader_extra_config",
        "download_dir",  # gets the Hub's cache: folders models--org--name
        # names out of vLLM's lists
        "tokenizer_mode", "load_format", "config_format", "quantization", "model_impl",
        "reasoning_parser", "spec_method", "distributed_executor_backend", "offload_backend",
        "safetensors_load_strategy", "mm_encoder_attn_backend", "mm_encoder_attn_dtype",
        "lora_dtype", "video_pruning_method", "mm_processor_device", "device", "task",
        "rms_norm", "fused_add_rms_norm", "gelu_and_mul_sparse", "linear_backend_per_quant",
        "backend_per_kind",
        # in a model, or on a machine
        "cpu_offload_params", "offload_params", "lora_target_modules", "max_lora_rank",
        "sleep_preserve_parameter_names", "kv_cache_dtype_skip_layers", "hf_overrides",
        "override_generation_config", "quantization_config", "pt_load_map_location", "device_ids",
        "numa_bind_cpus", "numa_bind_nodes", "max_lora_cls_labels", "eager_host_mirror",
        # of requests with pictures, and of servers: we make none
        "allowed_local_media_path", "allowed_media_domains", "limit_mm_per_prompt",
        "media_io_kwargs", "mm_processor_kwargs", "served_model_name",
        # words and numbers
        "reasoning_start_str", "reasoning_end_str", "_api_process_rank",
        "show_hidden_metrics_for_version", "custom_histogram_buckets", "collect_detailed_traces",
        "watermark_config", "diffusion_config", "speculative_config",
        # vLLM's own to set
        "target_model_config", "target_parallel_config", "draft_model_config",
        "draft_parallel_config",
    }
)  # fmt: skip
"""Engine arguments that take a text or sound like a place, and were looked at."""
CLOSED = {"int", "float", "bool", "None", "list", "tuple", "set", "InitVar", "SkipValidation"}
SOUNDS = re.compile(r"port|addr|host|rank|node|_lb$|_ip$|path|dir$|file|url|uri|remote|plugin|cls")


def in_vllm() -> list[ast.stmt]:
    """What the files say in which engine arguments are defined."""
    package = find_spec("vllm")
    assert package is not None
    assert package.submodule_search_locations
    folder = Path(package.submodule_search_locations[0])
    files = [folder / "engine" / "arg_utils.py", *sorted((folder / "config").glob("*.py"))]
    return [line for f in files for line in ast.parse(f.read_text(encoding="utf-8")).body]


def open_words(annotation: ast.expr, closed: set[str]) -> set[str]:
    """Names in a type that are neither numbers nor words out of a list."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return open_words(ast.parse(annotation.value, mode="eval").body, closed)
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) == "Literal":
        return set()
    if isinstance(annotation, ast.Name):
        return set() if annotation.id.endswith("Enum") else {annotation.id} - closed
    parts = ast.iter_child_nodes(annotation)
    return {w for part in parts if isinstance(part, ast.expr) for w in open_words(part, closed)}


def test_every_engine_argument_of_this_vllm_is_gated_or_was_looked_at() -> None:
    lines = in_vllm()
    classes = {line.name: line for line in lines if isinstance(line, ast.ClassDef)}
    words = {
        ast.unparse(a.targets[0])
        for a in lines
        if isinstance(a, ast.Assign) and ast.unparse(a.value).startswith("Literal[")
    }
    enums = {c.name for c in classes.values() if any("Enum" in ast.unparse(b) for b in c.bases)}
    closed, known = CLOSED | words | enums, CODE_ARGS | REACH_ARGS | HARMLESS
    waiting, seen, unknown = ["EngineArgs", "SpeculativeConfig"], set[str](), set[str]()
    while waiting:
        seen.add(name := waiting.pop())
        for line in classes[name].body:
            if not isinstance(line, ast.AnnAssign) or ast.unparse(line.target) in known:
                continue
            field, kinds = ast.unparse(line.target), open_words(line.annotation, closed)
            inner = kinds & classes.keys()
            waiting += inner - seen
            if kinds - inner or SOUNDS.search(field):
                unknown.add(f"{name}.{field}: {ast.unparse(line.annotation)}")
    assert {"EngineArgs", "SpeculativeConfig", "AttentionConfig", "LoadConfig"} <= seen
    assert unknown == set(), "look at what they do: into HARMLESS, CODE_ARGS or REACH_ARGS"
