"""Token classifiers through transformers, on a CPU or one GPU, in batches of like length."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from factory.errors import InputError
from factory.scorers.checkpoint import QWEN_PRM, Checkpoint, not_loaded
from factory.scorers.discriminative import Logits
from factory.training.layouts import Encoded

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TOKENS_PER_BATCH = {"cpu": 4_096, "cuda": 32_768}
"""Padding included."""
UNBOUNDED = 1 << 30
"""For a model that does not say how much fits."""


class TransformersBackend:
    """A network in this process: bfloat16 on a GPU, float32 elsewhere."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = "auto",
        tokens_per_batch: int | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        """Raises InputError for weights that do not fit, and a head that would be made up."""
        import torch

        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self._device = {"gpu": "cuda"}.get(device, device)
        if self._device == "cuda" and not torch.cuda.is_available():
            raise InputError("no GPU is visible here: use --device cpu")
        dtype = torch.bfloat16 if self._device == "cuda" else torch.float32
        network = load_network(checkpoint, dtype=dtype, trust_remote_code=trust_remote_code)
        self._network = network.to(self._device).eval()
        self._dtype = str(dtype).removeprefix("torch.")
        self._tokens_per_batch = tokens_per_batch or TOKENS_PER_BATCH[self._device]
        config = network.config.get_text_config()
        self._max_length = getattr(config, "max_position_embeddings", None) or UNBOUNDED

    @property
    def max_length(self) -> int:
        return int(self._max_length)

    def logits(self, solutions: Sequence[Encoded]) -> Iterator[tuple[int, Logits]]:
        """The longest first: what does not fit the memory fails at once."""
        for batch in batches([len(s.input_ids) for s in solutions], self._tokens_per_batch):
            yield from zip(batch, self._batch([solutions[i] for i in batch]), strict=True)

    def describe(self) -> dict[str, Any]:
        return {"backend": "transformers", "device": self._device, "dtype": self._dtype}

    def close(self) -> None:
        import torch

        self._network.to("cpu")
        if self._device == "cuda":
            torch.cuda.empty_cache()

    def _batch(self, solutions: Sequence[Encoded]) -> list[Logits]:
        import torch

        longest = max(len(s.input_ids) for s in solutions)
        ids_BL = np.zeros((len(solutions), longest), dtype=np.int64)
        mask_BL = np.zeros_like(ids_BL)
        for row, solution in enumerate(solutions):
            ids_BL[row, : len(solution.input_ids)] = solution.input_ids
            mask_BL[row, : len(solution.input_ids)] = 1
        rows = [row for row, s in enumerate(solutions) for _ in s.separator_positions]
        columns = [position for s in solutions for position in s.separator_positions]
        with torch.inference_mode():
            out = self._network(
                input_ids=torch.from_numpy(ids_BL).to(self._device),
                attention_mask=torch.from_numpy(mask_BL).to(self._device),
            )
            logits_BLC = out["logits"] if isinstance(out, dict) else out[0]
            logits_S2 = logits_BLC[rows, columns].float().cpu().numpy()
        ends = np.cumsum([len(s.separator_positions) for s in solutions])[:-1]
        return list(np.split(logits_S2, ends))


def batches(lengths: Sequence[int], tokens_per_batch: int) -> Iterator[list[int]]:
    """Indices in batches, from the longest on; a batch's longest times its size stays in bounds.

    One that is longer than the bound is a batch of its own.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    while order:
        size = max(1, tokens_per_batch // max(1, lengths[order[0]]))
        yield order[:size]
        order = order[size:]


def load_network(
    checkpoint: Checkpoint, *, dtype: Any, trust_remote_code: bool = False
) -> "PreTrainedModel":
    """The network with all of its weights from the checkpoint.

    Raises InputError where it does not load, has other than two classes, or lacks weights: a
    language model would get a head of random numbers.
    """
    from transformers import AutoModel, AutoModelForTokenClassification

    kind: Any = AutoModelForTokenClassification
    if checkpoint.architecture == QWEN_PRM and not trust_remote_code:
        from factory.training.qwen_prm import Qwen2ForProcessRewardModel

        kind = Qwen2ForProcessRewardModel
    elif trust_remote_code and "AutoModel" in checkpoint.auto_map:
        kind = AutoModel
    more = {} if kind.__name__ == QWEN_PRM else {"trust_remote_code": trust_remote_code}
    try:
        network, found = kind.from_pretrained(
            checkpoint.model,
            revision=checkpoint.revision or "main",
            dtype=dtype,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are told below, by name
            **more,
        )
    except Exception as error:
        raise not_loaded(checkpoint.model, error) from error
    if mismatched := sorted(name for name, *_ in found["mismatched_keys"]):
        raise InputError(
            f"{checkpoint.model} has {len(mismatched)} weights of other shapes than its "
            f"config.json says, {mismatched[0]} among them: the files do not belong together"
        )
    if missing := sorted(found["missing_keys"]):
        raise InputError(
            f"{checkpoint.model} lacks {len(missing)} weights of a PRM, {missing[0]} among them: "
            "give a trained PRM, or a generative one with --form"
        )
    if kind is AutoModelForTokenClassification and network.config.num_labels != 2:
        raise InputError(
            f"{checkpoint.model} tells {network.config.num_labels} classes apart, a PRM two"
        )
    return network  # type: ignore[no-any-return]
