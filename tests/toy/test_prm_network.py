"""The widened network: what it begins with is the solver, and the token in every position."""

import torch
from transformers import LlamaForCausalLM

from factory.toy import MODEL_DIR
from factory.toy.prm_network import widen
from factory.toy.prm_samples import prompt_of
from factory.toy.solver import FLAWLESS, write_solution
from factory.toy.tokenizer import build_tokenizer
from factory.toy.world import make_problems


def test_the_stream_below_the_fresh_layers_predicts_what_the_solver_predicts() -> None:
    solver = LlamaForCausalLM.from_pretrained(MODEL_DIR).eval()
    torch.manual_seed(0)
    wide = widen(solver).eval()
    [problem] = make_problems(1, 5, levels=(4,))
    text = prompt_of(problem) + "\n\n".join(s.text for s in write_solution(problem, 1, FLAWLESS))
    ids = torch.tensor([build_tokenizer()(text, add_special_tokens=False)["input_ids"]])
    depth, kept = solver.config.num_hidden_layers, solver.config.hidden_size
    with torch.no_grad():
        told = solver(input_ids=ids).logits.softmax(-1)
        streams = wide(input_ids=ids, output_hidden_states=True).hidden_states
        again = solver.lm_head(solver.model.norm(streams[depth][..., :kept])).softmax(-1)
    assert (told - again).abs().max() < 0.02
    codes = wide.embed_tokens.weight[:, kept:]
    beside = streams[depth][0, :, kept:]
    assert torch.equal(torch.cdist(beside, codes).argmin(-1), ids[0])
