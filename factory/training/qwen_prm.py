"""Qwen2.5-Math-PRM's network, so that its checkpoints load without running the code beside them.

A Qwen2 model under a head of two linear layers with a ReLU between, weights `score.0` and
`score.2` (arXiv 2501.07301, section 3.1, and the files of Qwen/Qwen2.5-Math-PRM-7B).
"""

from typing import Any

import torch
from torch import nn
from transformers import Qwen2Model, Qwen2PreTrainedModel
from transformers.modeling_outputs import TokenClassifierOutput


class Qwen2ForProcessRewardModel(Qwen2PreTrainedModel):
    """Two classes at every token."""

    _keys_to_ignore_on_load_unexpected = ("lm_head.weight",)

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = Qwen2Model(config)
        self.score = nn.Sequential(
            nn.Linear(config.hidden_size, config.hidden_size),
            nn.ReLU(),
            nn.Linear(config.hidden_size, 2),
        )
        self.post_init()

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **inputs: Any
    ) -> TokenClassifierOutput:
        """B x L ids to B x L x 2 logits."""
        inputs["use_cache"] = False
        hidden = self.model(input_ids=input_ids, attention_mask=attention_mask, **inputs)
        return TokenClassifierOutput(logits=self.score(hidden.last_hidden_state))
