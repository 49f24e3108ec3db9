"""The tiny language model: Llama's shape, digits born with a sense of their value."""

from __future__ import annotations

import math

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from factory.toy.tokenizer import MAX_LENGTH

HIDDEN, LAYERS, HEADS, MLP = 128, 3, 4, 320
EMBEDDING_STD, DIGIT_AMPLITUDE = 0.02, 0.03


def build_network(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """Fresh weights; end of turn is the end token for every generation."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=MLP,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        head_dim=HIDDEN // HEADS,
        max_position_embeddings=MAX_LENGTH,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
        tie_word_embeddings=True,
        attention_bias=False,
        initializer_range=EMBEDDING_STD,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        attn_implementation="sdpa",
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = LlamaForCausalLM(config)
        for name, weight in network.named_parameters():
            if name.endswith("_proj.weight"):
                torch.nn.init.normal_(weight, std=1 / math.sqrt(weight.shape[1]) / 2)
    network.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        do_sample=True,
        temperature=0.8,
    )
    _teach_digits(network, tokenizer)
    return network


def _teach_digits(network: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast) -> None:
    """Give a digit, with and without a space before it, the same Fourier features of its value."""
    embeddings = network.get_input_embeddings().weight
    for value in range(10):
        waves = [2 * math.pi * k * value / 10 for k in range(1, 6)]
        features = [f(wave) for wave in waves for f in (math.cos, math.sin)]
        features += [(value - 4.5) / 4.5, float(value % 2) * 2 - 1]
        feature_row = torch.tensor(features * 2) * DIGIT_AMPLITUDE
        for spelling in (str(value), f"\u0120{value}"):
            row = tokenizer.convert_tokens_to_ids(spelling)
            with torch.no_grad():
                embeddings[row, : len(feature_row)] = feature_row
