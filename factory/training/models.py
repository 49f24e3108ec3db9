"""Models and tokenizers for training: a head of two classes, a row for the separator, adapters."""

from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from factory.errors import InputError, shortened
from factory.training.losses import LABEL_NAMES
from factory.training.settings import TrainSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

DEFAULT_MAX_LENGTH = 4_096
HEADS = ("score", "classifier")
"""What token classifiers call their last layer; peft trains these whole for the task TOKEN_CLS."""


def load_tokenizer(model: str) -> "PreTrainedTokenizerBase":
    """The model's tokenizer, with a padding token. Raises InputError where there is none."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise InputError(f"no tokenizer in {model}: {shortened(error)}") from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def config_of(model: str) -> Any:
    """The model's configuration. Raises InputError where there is none."""
    try:
        return AutoConfig.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise InputError(f"no model in {model}: {shortened(error)}") from error


def max_length_of(settings: TrainSettings) -> int:
    """The longest example in tokens. Raises InputError for more than the model can read."""
    limit = getattr(config_of(settings.model), "max_position_embeddings", None)
    if settings.max_length is None:
        return min(DEFAULT_MAX_LENGTH, limit or DEFAULT_MAX_LENGTH)
    if limit and settings.max_length > limit:
        raise InputError(
            f"--max-length {settings.max_length:,} is more than the {limit:,} tokens "
            f"{settings.model} can read"
        )
    return settings.max_length


def has_bf16(settings: TrainSettings) -> bool:
    """Whether to compute in bfloat16. Raises InputError where that is asked of a device without."""
    can = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    if settings.bf16 and torch.cuda.is_available() and not can:
        raise InputError("this GPU has no bfloat16: use --no-bf16")
    return can if settings.bf16 is None else settings.bf16


def load_classifier(settings: TrainSettings) -> "PreTrainedModel":
    """The model with a linear head of two classes on its last hidden state, without dropout.

    A head that the checkpoint has is taken over. Without one it is drawn from the global seed.
    """
    config = config_of(settings.model)
    config.id2label = LABEL_NAMES
    config.label2id = {name: number for number, name in LABEL_NAMES.items()}
    config.classifier_dropout = 0.0
    return _load(AutoModelForTokenClassification, settings, config)


def load_language_model(settings: TrainSettings) -> "PreTrainedModel":
    """The model as it writes text."""
    return _load(AutoModelForCausalLM, settings, config_of(settings.model))


def _load(kind: Any, settings: TrainSettings, config: Any) -> "PreTrainedModel":
    """Weights that are trained are held in float32, since steps of 1e-5 are lost in bfloat16.

    Frozen ones under adapters are held as they are computed.
    """
    is_half = settings.lora_rank > 0 and has_bf16(settings)
    dtype = torch.bfloat16 if is_half else torch.float32
    try:
        model: PreTrainedModel = kind.from_pretrained(settings.model, dtype=dtype, config=config)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot load {settings.model}: {shortened(error)}") from error
    model.config.use_cache = False
    return model


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
    """LoRA on every linear layer; head and a new token's row are trained whole."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        task_type=task,
        r=settings.lora_rank,
        lora_alpha=settings.lora_alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        exclude_modules=list(HEADS) if task == "TOKEN_CLS" else None,
        trainable_token_indices=None if new_token is None else [new_token],
    )
    return get_peft_model(model, config)
