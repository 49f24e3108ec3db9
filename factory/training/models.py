"""Models and tokenizers for training: a head of two classes, a row for the separator, adapters."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from factory.errors import InputError, shortened
from factory.training.losses import GOOD, LABEL_NAMES
from factory.training.prm_file import PrmFile, good_class, hub_prm_file, is_judging, read_prm_file
from factory.training.qwen_prm import Qwen2ForProcessRewardModel
from factory.training.settings import CPU, TrainSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEFAULT_MAX_LENGTH = 4_096
QWEN_PRM = Qwen2ForProcessRewardModel.__name__
HEADS = r"(.*\.)?(score|classifier)(\..*)?"
"""Token classifiers' heads and what is in them; peft trains these whole for the task TOKEN_CLS."""


def load_tokenizer(settings: TrainSettings) -> "PreTrainedTokenizerBase":
    """The model's tokenizer, with a padding token. Raises InputError where there is none."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(settings.model, **_held(settings))
    except (OSError, ValueError) as error:
        raise _not_loaded(settings, "no tokenizer in", error) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def config_of(settings: TrainSettings) -> Any:
    """The model's configuration. Raises InputError where there is none."""
    try:
        return AutoConfig.from_pretrained(settings.model, **_held(settings))
    except (OSError, ValueError) as error:
        raise _not_loaded(settings, "no model in", error) from error


def _held(settings: TrainSettings) -> dict[str, Any]:
    """To the commit that the run began with, and to code of transformers' own."""
    return {"revision": settings.model_revision or "main", "trust_remote_code": False}


def _not_loaded(settings: TrainSettings, what: str, error: Exception) -> InputError:
    if "trust_remote_code" in str(error):
        return InputError(
            f"{settings.model} needs the code that comes with it, and training runs none: start "
            "from a checkpoint of a kind that transformers has itself"
        )
    return InputError(f"{what} {settings.model}: {shortened(error)}")


def max_length_of(settings: TrainSettings) -> int:
    """The longest example in tokens. Raises InputError for more than the model can read."""
    limit = getattr(config_of(settings), "max_position_embeddings", None)
    if settings.max_length is None:
        return min(DEFAULT_MAX_LENGTH, limit or DEFAULT_MAX_LENGTH)
    if limit and settings.max_length > limit:
        raise InputError(
            f"--max-length {settings.max_length:,} is more than the {limit:,} tokens "
            f"{settings.model} can read"
        )
    return settings.max_length


def num_gpus(settings: TrainSettings) -> int:
    """GPUs that this process sees and may use."""
    return 0 if settings.device == CPU else torch.cuda.device_count()


def has_bf16(settings: TrainSettings) -> bool:
    """Whether to compute in bfloat16. Raises InputError where that is asked of a device without."""
    has_gpu = num_gpus(settings) > 0
    can = has_gpu and torch.cuda.is_bf16_supported()
    if settings.bf16 and has_gpu and not can:
        raise InputError("this GPU has no bfloat16: use --no-bf16")
    return can if settings.bf16 is None else settings.bf16


def own_prm_file(settings: TrainSettings) -> PrmFile | None:
    """What is written beside the model where it is a PRM; `None` where it is none.

    Raises InputError where it may be one and that cannot be found out.
    """
    if (folder := Path(settings.model)).is_dir():
        return read_prm_file(folder)
    architecture = _architecture(config_of(settings))
    revision = settings.model_revision
    return hub_prm_file(settings.model, revision, is_needed=is_judging(architecture))


def check_head(settings: TrainSettings, prm: PrmFile | None) -> None:
    """Raises InputError for a checkpoint with a head that is none of a PRM's, by its config: of
    other than two classes, of whole texts, or with good steps in the other class."""
    config = config_of(settings)
    name = _architecture(config)
    if name != QWEN_PRM and "Classification" not in name:
        return
    told = f"{settings.model} is a {name}"
    if config.num_labels != len(LABEL_NAMES):
        told += f" of {config.num_labels} classes, and a PRM has two"
    elif name != QWEN_PRM and not name.endswith("ForTokenClassification"):
        told += ", which judges whole texts, and a PRM each step"
    elif (good_class(config.id2label) if prm is None else prm.good_label) != GOOD:
        told += f" in which class {1 - GOOD} is that of good steps, and here class {GOOD} is"
    else:
        return
    raise InputError(f"{told}: start from the language model behind it")


def load_classifier(settings: TrainSettings, say: Callable[[str], None]) -> "PreTrainedModel":
    """The model with a head of two classes on its last hidden state, without dropout.

    A head that the checkpoint has is taken over, Qwen2.5-Math-PRM's of two layers too. Without one
    a linear one is drawn from the global seed.
    """
    config = config_of(settings)
    config.id2label = LABEL_NAMES
    config.label2id = {name: number for number, name in LABEL_NAMES.items()}
    config.classifier_dropout = 0.0
    is_qwen_prm = _architecture(config) == QWEN_PRM
    kind = Qwen2ForProcessRewardModel if is_qwen_prm else AutoModelForTokenClassification
    model, found = _load(kind, settings, config)
    if new := sorted(found["missing_keys"]):
        say(f"new, and drawn at random: {', '.join(new)}")
    if unused := sorted(n for n in found["unexpected_keys"] if not n.startswith("lm_head.")):
        say(f"not taken over from {settings.model}: {', '.join(unused)}")
    return model


def _architecture(config: Any) -> str:
    """The first that config.json names; empty where it names none."""
    return next(iter(config.architectures or ()), "")


def load_language_model(settings: TrainSettings) -> "PreTrainedModel":
    """The model as it writes text. Raises InputError for one that would write by random numbers."""
    model, found = _load(AutoModelForCausalLM, settings, config_of(settings))
    if missing := sorted(found["missing_keys"]):
        raise InputError(
            f"{settings.model} is no language model, it lacks {', '.join(missing[:3])}: start from "
            "one, in another folder with --out"
        )
    return model


def _load(
    kind: Any, settings: TrainSettings, config: Any
) -> tuple["PreTrainedModel", dict[str, Any]]:
    """The model, and which weights were missing and which left over.

    Weights that are trained are held in float32, since steps of 1e-5 are lost in bfloat16.

    Frozen ones under adapters are held as they are computed.
    """
    is_half = settings.lora_rank > 0 and has_bf16(settings)
    dtype = torch.bfloat16 if is_half else torch.float32
    try:
        model, found = kind.from_pretrained(
            settings.model,
            dtype=dtype,
            config=config,
            output_loading_info=True,
            **_held(settings),
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise _not_loaded(settings, "cannot load", error) from error
    model.config.use_cache = False
    model.config.__dict__.pop("auto_map", None)  # names code that is not saved with the weights
    return model, found


def give_row(model: "PreTrainedModel", token: int, *, is_new: bool) -> None:
    """Makes sure that a token has an embedding; that of a new one becomes the mean of the others.

    Rows are only ever added: many checkpoints have more rows than their tokenizer has tokens.
    """
    num_rows = model.get_input_embeddings().weight.shape[0]
    if token >= num_rows:
        model.resize_token_embeddings(token + 1, mean_resizing=False)
    if is_new:
        with torch.no_grad():
            weight = model.get_input_embeddings().weight
            weight[token] = weight[: min(token, num_rows)].float().mean(dim=0)


def with_adapters(
    model: "PreTrainedModel", settings: TrainSettings, *, task: str, new_token: int | None = None
) -> Any:
    """LoRA on every linear layer; head and a new token's row are trained whole.

    What is trained is held in float32, the frozen model as it is computed.
    """
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type=task,
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        exclude_modules=HEADS if task == "TOKEN_CLS" else None,
        trainable_token_indices=None if new_token is None else [new_token],
    )
    adapted = get_peft_model(model, config)
    for weight in adapted.parameters():
        if weight.requires_grad:
            weight.data = weight.data.float()
    return adapted
