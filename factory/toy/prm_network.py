"""The network of the PRM backbone: the solver, wider and deeper, and the token kept beside.

To see a slip is to compare the token that stands with the one the solver would have written. After
three layers the solver's stream has lost which token stands, so the stream is made wider: the
solver's 128 dimensions go on as they were, 64 more carry a code of the token that no layer of the
solver reads or writes, and fresh layers on top see both.
"""

from __future__ import annotations

import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel

TOKEN_DIMENSIONS, EXTRA_HEADS, EXTRA_MLP, FRESH_LAYERS = 64, 2, 64, 3
TOKEN_SCALE = 0.03
"""Of the token's code to the solver's embeddings: small, so that it hardly enters their norm."""


def widen(solver: LlamaForCausalLM) -> LlamaModel:
    """A network whose first layers compute what the solver's do, under fresh ones that add nothing.

    Everything new in the solver's layers is zero; what is drawn at random, the codes and the fresh
    layers, comes from torch's generator.
    """
    old = solver.config
    config = LlamaConfig(
        vocab_size=old.vocab_size,
        hidden_size=old.hidden_size + TOKEN_DIMENSIONS,
        intermediate_size=old.intermediate_size + EXTRA_MLP,
        num_hidden_layers=old.num_hidden_layers + FRESH_LAYERS,
        num_attention_heads=old.num_attention_heads + EXTRA_HEADS,
        num_key_value_heads=old.num_key_value_heads + EXTRA_HEADS,
        head_dim=old.head_dim,
        max_position_embeddings=old.max_position_embeddings,
        rope_parameters=old.rope_parameters,
        rms_norm_eps=old.rms_norm_eps * old.hidden_size / (old.hidden_size + TOKEN_DIMENSIONS),
        attention_bias=False,
        bos_token_id=old.bos_token_id,
        eos_token_id=old.eos_token_id,
        pad_token_id=old.pad_token_id,
    )
    wide = LlamaModel(config)
    with torch.no_grad():
        _take_over(wide, solver.model)
        for layer in wide.layers[old.num_hidden_layers :]:
            _begin_with_nothing(layer, old.hidden_size)
    return wide


def _take_over(wide: LlamaModel, solver: LlamaModel) -> None:
    kept = solver.config.hidden_size
    embeddings = solver.embed_tokens.weight
    codes = torch.randn(len(embeddings), TOKEN_DIMENSIONS) * TOKEN_SCALE * embeddings.std()
    wide.embed_tokens.weight.copy_(torch.cat([embeddings, codes], dim=1))
    for layer, source in zip(wide.layers, solver.layers, strict=False):
        for name, weight in source.named_parameters():
            target = layer.get_parameter(name)
            target.zero_()
            if weight.ndim == 2:
                target[: weight.shape[0], : weight.shape[1]] = weight
            else:  # the norm's mean is over more dimensions, and the new ones hold next to nothing
                target[:kept] = weight * (kept / wide.config.hidden_size) ** 0.5


def _begin_with_nothing(layer: nn.Module, kept: int) -> None:
    """Fresh layers read everything, the codes as loud as the rest, and write nothing yet."""
    for name, weight in layer.named_parameters():
        if name.endswith("_proj.weight"):
            nn.init.normal_(weight, std=0.5 / weight.shape[1] ** 0.5)
        else:
            weight[kept:] = 1 / TOKEN_SCALE
    nn.init.zeros_(layer.self_attn.o_proj.weight)
    nn.init.zeros_(layer.mlp.down_proj.weight)
