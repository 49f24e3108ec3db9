"""The tiny teacher: the solver's tokenizer and network, enlarged for writing critiques."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import TYPE_CHECKING

from factory.toy import MODEL_DIR
from factory.toy import critiques as text
from factory.toy.tokenizer import CHAT_TEMPLATE, build_tokenizer

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

TEACHER_DIR = Path(__file__).parent / "teacher_model"
MAX_POSITIONS = 1024
NUM_LAYERS = 4
TEMPERATURE = 0.6
PHRASES = (
    text.OPEN_ANALYSIS,
    text.OPEN_CODE,
    text.IMPORT,
    text.CLOSE_CODE,
    text.OPEN_OUTPUT,
    text.OPEN_JUDGEMENT,
    text.CLOSE_JUDGEMENT,
    text.FIRST_ERROR,
    *(phrase for phrases in text.WANTED.values() for phrase in phrases),
    *(phrase for phrases in text.SAID.values() for phrase in phrases),
    *text.SAID_ELSEWHERE,
    *text.LOOKS_RIGHT,
    *text.LOOKS_WRONG,
    *text.LOOKS_OTHER,
    "\n\nSolution:\n\n",
    "### Paragraph",
    "print(",
    " ==",
    " //",
    " %",
    " (",
    "F(",
    " F(",
    "), ",
    "}$",
    "True",
    "False",
    "Yes",
    "No",
)
"""What a critique says often, a token each; none hides the end of a stop string inside it."""


def build_teacher_tokenizer() -> PreTrainedTokenizerFast:
    """The solver's tokenizer with a token for each phrase.

    Its chat template drops the request that comes before the problem: the model knows one task.
    """
    tokenizer = build_tokenizer(tuple(dict.fromkeys(PHRASES)), MAX_POSITIONS)
    problem = "message['content'].split('Problem:\\n')[-1]"
    tokenizer.chat_template = CHAT_TEMPLATE.replace(
        "'<|user|>' + message['content']", f"'<|user|>' + {problem}"
    )
    return tokenizer


def build_teacher(tokenizer: PreTrainedTokenizerFast, start: Path = MODEL_DIR) -> LlamaForCausalLM:
    """The network in `start`, the solver's or a teacher's, with what it lacks added.

    Tokens both know keep their vectors; a phrase begins as the mean of what it was spelled with. A
    new layer lies on top and at first adds nothing.
    """
    import torch
    from transformers import AutoTokenizer, LlamaForCausalLM

    old = LlamaForCausalLM.from_pretrained(start)
    num_known = old.config.num_hidden_layers
    spelling = AutoTokenizer.from_pretrained(start)
    known = spelling.get_vocab()
    config = copy.deepcopy(old.config)
    config.vocab_size = len(tokenizer)
    config.num_hidden_layers = NUM_LAYERS
    config.max_position_embeddings = MAX_POSITIONS
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = LlamaForCausalLM(config)
    network.generation_config = old.generation_config
    network.generation_config.temperature = TEMPERATURE
    weights = {k: v for k, v in old.state_dict().items() if k.startswith("model.layers")}
    network.load_state_dict({**weights, "model.norm.weight": old.model.norm.weight}, strict=False)
    with torch.no_grad():
        for layer in network.model.layers[num_known:]:
            for name, weight in layer.named_parameters():
                if name.endswith("_proj.weight"):
                    adds = name.endswith(("o_proj.weight", "down_proj.weight"))
                    std = 0.0 if adds else 1 / math.sqrt(weight.shape[1]) / 2
                    torch.nn.init.normal_(weight, std=std)
        vectors, old_vectors = network.model.embed_tokens.weight, old.model.embed_tokens.weight
        for token, row in tokenizer.get_vocab().items():
            rows = [known[token]] if token in known else spelling(token).input_ids
            vectors[row] = old_vectors[rows].mean(0)
    return network
