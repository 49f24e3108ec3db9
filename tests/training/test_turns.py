"""Training sees what the scorer feeds and would get, token for token, for any chat template."""

import asyncio
from collections.abc import Sequence
from math import log

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from factory.core.teachers.genprm import GenPrmForm
from factory.scorers import SolutionText
from factory.scorers.forms import ChainForm, ConversationForm
from factory.toy import MODEL_DIR
from factory.training.conversations import encode_conversation, messages_of
from factory.training.spans import UNTRAINED, TokenExample
from factory.training.turns import contexts
from schemas.generation import Completion, FinishReason, Message, Prompt, Sampling
from workers.admission import Admission
from workers.sandbox import CellResult, CellStatus
from workers.scripted_engine import ScriptedEngine
from workers.vllm_dialect import Dialect

OPENS = "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
TURN = "{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}"
THOUGHTLESS = "{{ '<|' + m['role'] + '|>' + m['content'].split('</think>')[-1] + '<|end|>' }}"
PLAIN = "{% if add_generation_prompt %}<|assistant|>{% endif %}"
EACH = "{% for m in messages %}TURN{% endfor %}"
TEMPLATES = {
    "plain": EACH.replace("TURN", TURN) + PLAIN,
    "opens thoughts": EACH.replace("TURN", TURN) + OPENS,
    "opens thoughts, strips earlier ones": EACH.replace("TURN", THOUGHTLESS) + OPENS,
    "strips earlier thoughts": EACH.replace("TURN", THOUGHTLESS) + PLAIN,
    "says something behind the end": EACH.replace("TURN", TURN + "\n") + PLAIN,
    "trims behind a blank": EACH.replace("TURN", TURN) + PLAIN.replace("nt|>", "nt|> "),
}
SOLUTION = SolutionText(problem="What is 2 + 2?", steps=("2 + 2 = 4.", "4 - 1 = 3.", "So 3."))
THOUGHTS = "<think>\nI look at 2.\n</think>\n"
CODE = "<analyze>\nFine.\n</analyze>\n<verify>\n```python\nprint(2 + 2 == 4)\n```\n"
CHECKED = "</verify>\n<output>\n**Judgement**: $\\boxed{Yes}$\n</output>"
PRINTED = GenPrmForm().with_output(CODE.removesuffix("```\n"), "True\n").removeprefix(CODE)
PLAINLY = "<analyze>\nFine.\n</analyze>\n<output>\n**Judgement**: $\\boxed{Yes}$\n</output>"
WRITTEN = ((CODE, CHECKED), (PLAINLY,), (CODE, CHECKED))
"""What the model writes in each turn, with what its code prints in between."""
STOPS = ("```\n", "</output>", "</think>")


class Sandbox:
    async def run(self, cells: Sequence[str]) -> CellResult:
        return CellResult(output="True\n", status=CellStatus.OK)


class Watched:
    """A scripted engine's prompts and what it wrote behind each, as token ids."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> None:
        self._left = iter(texts)
        self._tokenizer = tokenizer
        self._dialect = Dialect(tokenizer, 10_000)
        self.asked: list[tuple[list[int], list[int]]] = []
        self.weighed: list[str] = []
        self.engine = Admission(ScriptedEngine(self._reply, weigh=self._weigh))

    def _reply(self, prompt: Prompt, _seed: int) -> Completion:
        text = next(self._left)
        self.asked.append((self._dialect.encode(prompt), self.ids(text)))
        stop = next(stop for stop in STOPS if text.endswith(stop))
        return Completion(
            text=text.removesuffix(stop),
            num_tokens=9,
            finish_reason=FinishReason.STOP,
            stop_string=stop,
        )

    def _weigh(self, prompt: Prompt, options: Sequence[str]) -> list[float]:
        self.weighed.append(self._tokenizer.decode(self._dialect.encode(prompt)))
        return [log(0.9), log(0.1)]

    def ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def as_learnt(examples: Sequence[TokenExample], end: int) -> list[tuple[list[int], list[int]]]:
    """Every stretch that is learnt, and the ids before it; ends of turns left out."""
    found = []
    for example in examples:
        ids, labels = example["input_ids"], example["labels"]
        start = None
        for i, label in enumerate([*labels, UNTRAINED]):
            is_written = label not in (UNTRAINED, end)
            if is_written and start is None:
                start = i
            if not is_written and start is not None:
                found.append((ids[:start], ids[start:i]))
                start = None
    return found


@pytest.mark.parametrize("thoughts", ["", THOUGHTS], ids=["no thoughts", "thoughts"])
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_every_turn_of_a_conversation_is_learnt_where_it_is_asked_for(
    template: str, thoughts: str
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    tokenizer.chat_template = template
    opened = thoughts.removeprefix("<think>\n") if OPENS in template else thoughts
    watched = Watched(
        tokenizer, [(opened if not i else "") + t for turn in WRITTEN for i, t in enumerate(turn)]
    )
    form = ConversationForm(sampling=Sampling(max_tokens=500), system="Check.")
    verification = asyncio.run(form(SOLUTION, watched.engine, Sandbox(), 0))
    assert verification.scores == pytest.approx([0.9] * 3)
    assert len(watched.asked) == 5

    shown = [f"Question: {SOLUTION.problem}\n\n{SOLUTION.steps[0]}", *SOLUTION.steps[1:]]
    row = [{"role": "system", "content": "Check."}]
    for step, turn in zip(shown, WRITTEN, strict=True):
        row.append({"role": "user", "content": step})
        row.append({"role": "assistant", "content": thoughts + PRINTED.join(turn)})
    found = contexts(tokenizer, row)
    examples = [encode_conversation(tokenizer, context) for context in found]
    assert tokenizer.eos_token_id is not None
    assert as_learnt(examples, tokenizer.eos_token_id) == watched.asked
    ends = [e["labels"].count(tokenizer.eos_token_id) for e in examples]
    assert sum(ends) == 3, "every turn has learnt to end"
    is_repeated = OPENS not in template and not (thoughts and "split" in template)
    assert (len(examples) == 1) == is_repeated or "nt|> " in template


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_a_chain_is_learnt_as_it_is_asked_for_and_so_is_its_question(template: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL_DIR)
    tokenizer.chat_template = template
    chain = "".join(f"Step {i}: Right. The step is \\boxed{{correct}}\n" for i in (1, 2, 3))
    opening = "" if OPENS in template else "<think>\n"
    watched = Watched(tokenizer, [f"{opening}{chain}</think>"])
    form = ChainForm(sampling=Sampling(max_tokens=500))
    asyncio.run(form(SOLUTION, watched.engine, Sandbox(), 0))

    row = {"problem": SOLUTION.problem, "prefix_steps": SOLUTION.steps, "cot": chain.strip()}
    [context] = contexts(tokenizer, messages_of({**row, "prefix_label": True}, "thinkprm"))
    example = encode_conversation(tokenizer, context)
    [(before, written)] = as_learnt([example], tokenizer.eos_token_id)
    [(prompt, drawn)] = watched.asked
    assert (before, written[: len(drawn)]) == (prompt, drawn)
    assert tokenizer.decode(before + written) == f"{watched.weighed[-1]} Yes"


def test_no_token_reaches_over_where_the_model_begins_to_write() -> None:
    """A template that ends with "<think>" and no line break: "><" is one token of this tokenizer,
    and no scorer gets it."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trained = trainers.BpeTrainer(
        special_tokens=["<|end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    bpe.train_from_iterator(["think><analyze", "><", "><"] * 9, trained)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|end|>")
    assert "><" in tokenizer.get_vocab()
    tokenizer.chat_template = EACH.replace("TURN", TURN) + OPENS.replace("\n", "")
    row = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": PLAINLY}]
    [context] = contexts(tokenizer, row)
    example = encode_conversation(tokenizer, context)
    prompt = Dialect(tokenizer, 10_000).encode(
        Prompt(messages=(Message(role="user", content="Q"),))
    )
    written = tokenizer(PLAINLY, add_special_tokens=False)["input_ids"]
    assert example["input_ids"] == [*prompt, *written, tokenizer.eos_token_id]
    assert example["labels"] == [UNTRAINED] * len(prompt) + [*written, tokenizer.eos_token_id]
