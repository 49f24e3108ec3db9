"""Token classifiers through vLLM's pooling engine."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from factory.errors import InputError
from factory.scorers.checkpoint import Checkpoint, not_loaded
from factory.scorers.discriminative import Logits
from factory.training.layouts import Encoded
from workers.vllm_engine import Device
from workers.vllm_pooling import TokenClassifier


class VllmBackend:
    """An engine for this checkpoint."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: Device = "auto",
        engine_args: Mapping[str, Any] | None = None,
    ) -> None:
        """Raises InputError for what vLLM cannot serve."""
        self._engine_args = dict(engine_args or {})
        try:
            self._engine = TokenClassifier(checkpoint.model, device=device, engine_args=engine_args)
        except Exception as error:
            what = f"{checkpoint.model} ({checkpoint.architecture}) in vLLM"
            raise InputError(
                f"{not_loaded(what, error)}; --backend transformers may serve it"
            ) from error

    @property
    def max_length(self) -> int:
        return self._engine.max_length

    def logits(self, solutions: Sequence[Encoded]) -> Iterator[tuple[int, Logits]]:
        found = self._engine.logits([s.input_ids for s in solutions])
        for i, (solution, logits_L2) in enumerate(zip(solutions, found, strict=True)):
            if logits_L2.shape != (len(solution.input_ids), 2):
                raise InputError(f"a PRM has two classes for every token, not {logits_L2.shape}")
            yield i, logits_L2[list(solution.separator_positions)]

    def describe(self) -> dict[str, Any]:
        return {
            "backend": "vllm",
            "device": self._engine.device,
            "dtype": self._engine.dtype,
            "max_length": self.max_length,
            "engine_args": self._engine_args,
        }

    def close(self) -> None:
        self._engine.close()
