"""Between our words and vLLM's: prompts to token ids, sampling to parameters, outputs back."""

import copy
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from schemas.generation import Completion, FinishReason, Message, Prompt, Sampling
from workers.engine import PromptTooLong

MAX_SEED = 2**63 - 1


def render_turns(tokenizer: Any, messages: tuple[Message, ...]) -> str:
    """The text before the assistant's answer.

    A model without a chat template (a base model) gets the contents alone, each followed by a
    blank line; roles are then lost.
    """
    if tokenizer.chat_template is None:
        return "".join(f"{message.content}\n\n" for message in messages)
    turns = [{"role": message.role, "content": message.content} for message in messages]
    text: str = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    return text


class Dialect:
    """Translates for one model. May be used from several threads.

    `tokenizer` must not be shared with the engine: fast tokenizers refuse to be borrowed twice.
    """

    def __init__(self, tokenizer: Any, context_length: int) -> None:
        self._tokenizer = tokenizer
        self._context_length = context_length
        self._lock = threading.Lock()
        # A chat template writes its own special tokens; without one the tokenizer adds them.
        self._adds_special_tokens = tokenizer.chat_template is None
        # The prefixes of one problem share their turns.
        self._turns = lru_cache(maxsize=1024)(lambda messages: render_turns(tokenizer, messages))

    def encode(self, prompt: Prompt) -> list[int]:
        """Token ids of the turns with `prefix` behind them, tokenised as one text."""
        with self._lock:
            ids: list[int] = self._tokenizer.encode(
                self._turns(prompt.messages) + prompt.prefix,
                add_special_tokens=self._adds_special_tokens,
            )
        if len(ids) >= self._context_length:
            raise PromptTooLong(
                f"the prompt has {len(ids)} tokens, the model's context {self._context_length}: "
                "no room for a completion"
            )
        return ids

    def requests(
        self, prompt: Prompt, sampling: Sampling, seeds: Sequence[int]
    ) -> list[tuple[Any, Any]]:
        """vLLM's input and SamplingParams for every seed; the prompt is tokenised once."""
        if bad := [seed for seed in seeds if not 0 <= seed <= MAX_SEED]:
            # vLLM takes -1 for "no seed".
            raise ValueError(f"seeds must lie in [0, 2**63), not {bad[0]}")
        from vllm.exceptions import VLLMClientError
        from vllm.inputs.engine import tokens_input

        ids = self.encode(prompt)
        tokens = tokens_input(ids)
        try:
            params = vllm_params(sampling, room=self._context_length - len(ids))
        except VLLMClientError as error:
            raise ValueError(str(error)) from None
        return [(tokens, _with_seed(params, seed)) for seed in seeds]

    def choice(self, prompt: Prompt, options: Sequence[str]) -> tuple[Any, Any, tuple[int, ...]]:
        """vLLM's input and SamplingParams for `weigh`, and the token of each option."""
        texts = [replace(prompt, prefix=prompt.prefix + option) for option in options]
        shared, tokens = parting([self.encode(text) for text in texts])
        from vllm.inputs.engine import tokens_input
        from vllm.sampling_params import RequestOutputKind, SamplingParams

        params = SamplingParams(
            n=1,
            temperature=0.0,
            max_tokens=1,
            logprob_token_ids=list(tokens),
            detokenize=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        return tokens_input(shared), params, tokens

    def completion(self, output: Any) -> Completion | None:
        """The completion in a finished RequestOutput; None if vLLM gave the request up.

        vLLM has one word for both limits. Reaching both at once counts as the end of the context.
        """
        answer = output.outputs[0]
        if answer.finish_reason not in _FINISH_REASONS:
            return None
        reason = _FINISH_REASONS[answer.finish_reason]
        num_tokens = len(answer.token_ids)
        is_full = len(output.prompt_token_ids) + num_tokens >= self._context_length
        if reason is FinishReason.LENGTH and is_full:
            reason = FinishReason.CONTEXT
        stopped_at = answer.stop_reason  # a token id where a stop token ended it
        return Completion(
            text=answer.text,
            num_tokens=num_tokens,
            finish_reason=reason,
            stop_string=stopped_at if isinstance(stopped_at, str) else None,
        )

    def log_probabilities(self, output: Any, tokens: Sequence[int]) -> tuple[float, ...] | None:
        """Of these tokens, in a finished RequestOutput of `choice`; None if it was given up."""
        answer = output.outputs[0]
        if not answer.logprobs:
            return None
        return tuple(answer.logprobs[0][token].logprob for token in tokens)

    def is_bad_request(self, error: Exception) -> bool:
        """Whether the error speaks of one request, and the engine is well."""
        from vllm.exceptions import VLLMClientError

        return isinstance(error, (VLLMClientError, ValueError))


_FINISH_REASONS: dict[str | None, FinishReason] = {
    reason.value: reason for reason in FinishReason if reason is not FinishReason.CONTEXT
}
"""Those that vLLM tells; it knows of no difference between the two limits."""


def vllm_params(sampling: Sampling, *, room: int) -> Any:
    """SamplingParams without a seed, for a prompt that leaves `room` tokens in the context."""
    from vllm.sampling_params import RequestOutputKind, SamplingParams

    return SamplingParams(
        n=1,
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        top_k=sampling.top_k,  # 0 keeps all in vLLM too
        max_tokens=min(sampling.max_tokens, room),
        stop=list(sampling.stop),
        seed=0,
        output_kind=RequestOutputKind.FINAL_ONLY,
        skip_clone=True,  # every request gets its own copy here, vLLM need not make a deep one
    )


def _with_seed(params: Any, seed: int) -> Any:
    seeded = copy.copy(params)
    seeded.seed = seed
    return seeded


def parting(texts: Sequence[Sequence[int]]) -> tuple[list[int], tuple[int, ...]]:
    """The ids that all texts begin with, and the one with which each goes on; all must differ."""
    shared: list[int] = []
    for ids in zip(*texts, strict=False):
        if len(set(ids)) > 1:
            if len(set(ids)) < len(texts):
                break
            return shared, ids
        shared.append(ids[0])
    raise ValueError(f"{len(texts)} options that no single token tells apart")
