"""A run's folder: checkpoints while it trains, the finished model and prm.json afterwards.

OUT/run.json             what the weights depend on: a run is resumed under the same only
OUT/examples.arrow       the examples, while it trains; what they were made from
OUT/checkpoints/         what transformers' Trainer resumes from
OUT/adapter/             with LoRA: the adapters alone
OUT/config.json, ...     the finished model, adapters merged; prm.json says it is complete
"""

import importlib.metadata
import json
from pathlib import Path
from typing import Any

from factory.errors import InputError, shortened
from factory.training.prm_file import PRM_FILE
from factory.training.processes import is_main_process
from factory.training.settings import TrainSettings
from schemas.files import sha256_of
from schemas.manifest import write_atomically

RUN_FILE = "run.json"
EXAMPLES, EXAMPLES_UNFINISHED = "examples.arrow", "examples.tmp"
PACKAGES = ("prm-factory", "torch", "transformers", "accelerate", "peft", "trl", "datasets")


def checkpoints_in(out: Path) -> Path:
    return out / "checkpoints"


def check_folder(settings: TrainSettings, origin: dict[str, Any]) -> None:
    """Refuses a folder that holds another run, or one to be resumed without `resume`.

    The main process alone looks: when the others come it may have begun to write.
    """
    if not is_main_process():
        return
    out = settings.out
    if (out / PRM_FILE).exists():
        raise InputError(f"{out} holds a finished model: name another folder with --out")
    path = out / RUN_FILE
    if not path.exists():
        # Examples alone are what a run leaves that was killed before it began: they are made anew.
        ours = {EXAMPLES, EXAMPLES_UNFINISHED}
        if out.exists() and any(file.name not in ours for file in out.iterdir()):
            raise InputError(f"{out} is not empty: name another folder with --out")
        return
    if not settings.resume:
        raise InputError(f"{out} holds an unfinished run: add --resume, or name another folder")
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is damaged: {shortened(error)}: name another --out") from error
    now = json.loads(_run_text(settings, origin))
    _check_data(out, before.pop("origin", {}), now.pop("origin"))
    _check_model(settings, before)
    for name in _changed(before, now):
        raise InputError(
            f"{out} was begun with {name} {before.get(name)!r}, not {now.get(name)!r}: "
            "resume it as it was begun, or name another folder with --out"
        )


def _check_model(settings: TrainSettings, before: dict[str, Any]) -> None:
    model, was = settings.model, before.get("model_revision")
    if before.get("model") != model or was == settings.model_revision:
        return
    way = "bring back what it was" if Path(model).is_dir() else f"resume with --model {model}@{was}"
    raise InputError(
        f"the model {model} changed since {settings.out} was begun (it was {was} and is "
        f"{settings.model_revision}): {way}, or begin again in another folder with --out"
    )


def _check_data(out: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    if not (changed := _changed(before, now)):
        return
    what = ", ".join(f"{n} was {before.get(n)!r} and is {now.get(n)!r}" for n in changed)
    way = "bring back what it was"
    if revision := before.get("revision"):
        way = f"resume with --data {before.get('data')}@{revision}"
    raise InputError(
        f"the data changed since {out} was begun ({what}): {way}, or begin again in another "
        "folder with --out"
    )


def _changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    return [n for n in sorted(now.keys() | before.keys()) if now.get(n) != before.get(n)]


def write_run(settings: TrainSettings, origin: dict[str, Any]) -> None:
    """By the main process, which alone knows the digest of the model's folder."""
    if is_main_process():
        write_atomically(settings.out / RUN_FILE, _run_text(settings, origin))


def last_checkpoint(settings: TrainSettings) -> str | None:
    """What a run that is resumed goes on from; `None` starts from the beginning."""
    return newest_checkpoint(settings.out) if settings.resume else None


def newest_checkpoint(out: Path) -> str | None:
    """The newest complete checkpoint, `None` where there is none yet."""
    states = checkpoints_in(out).glob("checkpoint-*/trainer_state.json")  # written last
    complete = [path.parent for path in states if path.parent.name.split("-")[1].isdigit()]
    newest = max(complete, key=lambda path: int(path.name.split("-")[1]), default=None)
    return str(newest) if newest else None


def run_digest(settings: TrainSettings, origin: dict[str, Any]) -> str:
    """Names what examples are made from: settings, data, and the packages that make them."""
    return sha256_of((_run_text(settings, origin) + json.dumps(package_versions())).encode())


def package_versions() -> dict[str, str]:
    """The versions that made a model."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def _run_text(settings: TrainSettings, origin: dict[str, Any]) -> str:
    content = {**settings.learnt_from(), "origin": origin}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
