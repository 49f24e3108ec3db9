"""Which model a job really uses: checks before it starts, and a fingerprint that names weights."""

import hashlib
import json
from pathlib import Path
from typing import Any

from factory.errors import InputError, shortened
from factory.job import ModelSection
from schemas.ids import digest_of

NUMERIC_ARGS = (
    "dtype",
    "quantization",
    "kv_cache_dtype",
    "load_format",
    "max_model_len",
    "revision",
    "tokenizer",
    "tokenizer_mode",
    "tokenizer_revision",
    "chat_template",
    "hf_overrides",
)
"""Engine arguments that change what a model writes; the others say where and how fast."""
SAMPLE_BYTES = 1 << 20


def check_model(role: str, section: ModelSection) -> None:
    """Raises InputError when a local model's folder is missing or is none."""
    folder = Path(section.model)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(
                f"{role}.model: {folder} holds no config.json, so it is no model: "
                "give a folder in Hugging Face's layout"
            )
    elif folder.is_absolute() or section.model.startswith(".") or section.model.count("/") != 1:
        raise InputError(
            f"{role}.model: folder {section.model} does not exist; "
            "give a folder in Hugging Face's layout or a Hub id like 'org/name'"
        )


def context_length(section: ModelSection) -> int | None:
    """Tokens that fit the model, as far as the job or a local folder says."""
    told = section.engine_args.get("max_model_len")
    if isinstance(told, int) and told > 0:
        return told
    if not (Path(section.model) / "config.json").is_file():
        return None
    config = _read_config(Path(section.model))
    length = {**config.get("text_config", {}), **config}.get("max_position_embeddings")
    return int(length) if length else None


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{folder / 'config.json'} is damaged: {shortened(error)}") from error
    if not isinstance(config, dict):
        raise InputError(f"{folder / 'config.json'} is damaged: it holds no JSON object")
    return config


def model_identity(section: ModelSection | None) -> dict[str, Any] | None:
    """What identifies a model in a digest: weights, prompt, and what changes its numbers."""
    if section is None:
        return None
    arguments = {k: section.engine_args[k] for k in NUMERIC_ARGS if k in section.engine_args}
    return {
        "model": Path(section.model).name if Path(section.model).is_dir() else section.model,
        "fingerprint": fingerprint(section.model),
        "system": section.system,
        **arguments,
    }


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
