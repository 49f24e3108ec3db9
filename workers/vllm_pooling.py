"""vLLM as a token classifier: token ids in, two logits a token out.

Token classifiers of architectures that vLLM knows as language models are converted by vLLM itself,
Qwen2ForProcessRewardModel is one of its own. Every token is asked for ("ALL") and not the steps
("STEP"), which vLLM finds by the separator's id: where they are is known here.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.vllm_engine import (
    Device,
    check_names,
    cpu_arguments,
    find_device,
    gpu_arguments,
    limit_threads,
    run_directory,
    set_environment,
)

TASK = "token_classify"
SEQUENCES_TOGETHER = 4_096


class TokenClassifier:
    """A pooling engine of vLLM's. One at a time on a CPU, as for other engines in a process."""

    def __init__(
        self,
        model: str,
        *,
        device: Device = "auto",
        engine_args: Mapping[str, Any] | None = None,
    ) -> None:
        """`engine_args` are vLLM's own and win over our defaults."""
        set_environment()
        given = dict(engine_args or {})
        check_names(given)
        self.device = find_device(device)
        if self.device == "cpu":
            os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
            limit_threads()
        # Nothing is generated, and whoever asks for every token reads no cached prefix.
        given = {"enable_prefix_caching": False} | given
        pooling = {"runner": "pooling", "pooler_config": _pooler_config()}
        is_cpu = self.device == "cpu"
        arguments = cpu_arguments(model, given | pooling) if is_cpu else gpu_arguments(given)
        from vllm import LLM

        with run_directory() as self._remove_run_directory:
            self._llm: Any = LLM(model=model, **(arguments | pooling))
        config = self._llm.llm_engine.vllm_config.model_config
        self.max_length = int(config.max_model_len)
        self.dtype = str(config.dtype).removeprefix("torch.")

    def logits(self, sequences: Sequence[Sequence[int]]) -> Iterator[NDArray[np.float32]]:
        """L x C logits of every sequence of L ids, in order."""
        from vllm import PoolingParams

        raw = PoolingParams(use_activation=False)
        for start in range(0, len(sequences), SEQUENCES_TOGETHER):
            some = sequences[start : start + SEQUENCES_TOGETHER]
            prompts = [{"prompt_token_ids": list(ids)} for ids in some]
            for output in self._llm.encode(prompts, raw, pooling_task=TASK, use_tqdm=False):
                yield output.outputs.data.float().cpu().numpy()

    def close(self) -> None:
        """Ends the engine and what it left on disk."""
        engine, self._llm = self._llm.llm_engine, None
        engine.engine_core.shutdown()
        self._remove_run_directory()


def _pooler_config() -> Any:
    from vllm.config import PoolerConfig

    return PoolerConfig(task=TASK, tok_pooling_type="ALL")
