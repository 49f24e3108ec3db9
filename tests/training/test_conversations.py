"""A generative PRM learns to write its own words, and neither questions nor printed output."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from factory.core.teachers.genprm import GenPrmForm
from factory.errors import InputError
from factory.toy import MODEL_DIR
from factory.training.conversations import (
    NO_ANSWER,
    NO_LABEL,
    ConversationMaker,
    encode_conversation,
    executed_output,
    form_of,
    messages_of,
    num_unknown_outputs,
)
from factory.training.examples import TOO_LONG, Tally
from factory.training.layouts import LayoutError
from factory.training.settings import TrainSettings
from factory.training.spans import UNTRAINED, TokenExample
from factory.training.turns import Context

OPEN = "<analyze>\nFine.\n</analyze>\n<verify>\n```python\nprint(1 + 1)\n"
BEFORE, AFTER = f"{OPEN}```\n", "</verify>\n<output>\nYes\n</output>"
SECTION = GenPrmForm().with_output(OPEN, "2\nTrue") + AFTER
CHAT = [
    {"role": "user", "content": "Question: 1 + 1\n\n1 + 1 = 2."},
    {"role": "assistant", "content": SECTION},
    {"role": "user", "content": "Yes"},
    {"role": "assistant", "content": "Yes"},
]
COT = "<think>\nStep 1: Well. The step is \\boxed{correct}\n</think>\nIs the solution correct? Yes"
CHAIN = {"problem": "1 + 1?", "prefix_steps": ["2."], "cot": COT, "prefix_label": True}
THINKING = (
    "{% for m in messages %}<|user|>{{ m['content'].split('</think>')[-1] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)


@pytest.fixture
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(MODEL_DIR)


def learnt(tokenizer: PreTrainedTokenizerBase, example: TokenExample) -> str:
    pairs = zip(example["input_ids"], example["labels"], strict=True)
    assert all(label in (UNTRAINED, token) for token, label in pairs)
    return tokenizer.decode([label for label in example["labels"] if label != UNTRAINED])


def encoded(tokenizer: PreTrainedTokenizerBase, messages: Any) -> TokenExample:
    return encode_conversation(tokenizer, Context(messages=messages))


def test_only_what_the_model_wrote_is_learnt(tokenizer: PreTrainedTokenizerBase) -> None:
    example = encoded(tokenizer, CHAT)
    assert learnt(tokenizer, example) == f"{BEFORE}{AFTER}<|end|>Yes<|end|>"
    everything = tokenizer.decode(example["input_ids"])
    assert everything == tokenizer.apply_chat_template(CHAT, tokenize=False)


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("", []),
        ("```python\nx\n```\n", []),
        ("a [Code Output] b", []),
        ("```\n[Code Output]\n```", []),
        (SECTION, ["[Code Output]\n\n```\n2\nTrue\n```\n"]),
        (f"{SECTION}\n{SECTION}", ["[Code Output]\n\n```\n2\nTrue\n```\n"] * 2),
        ("```python\nx\n```[code output]\n```\n1\n```.", ["[code output]\n```\n1\n```"]),
        ("```py\nx\n```\n**[Code Output]:**\n```\n1\n```", ["**[Code Output]:**\n```\n1\n```"]),
    ],
)
def test_executed_output_runs_from_its_heading_to_its_fence(text: str, output: list[str]) -> None:
    assert [text[span.start : span.end] for span in executed_output(text)] == output


@pytest.mark.parametrize(
    ("text", "num"),
    [
        ("", 0),
        (SECTION, 0),
        ("```python\nx\n```\nSo it prints:\n```output\n2\n```", 1),
        (f"{SECTION}\n```python\nx\n[Code Output]\n```\n2\n```", 0),  # it is in the code
        ("```python\nx\n```\n[Code Output (cut)]\n```\n2\n```", 1),
        ("```python\nx\n```\n[Code Output]\n2", 1),
    ],
)
def test_output_of_no_known_form_is_counted_and_told(
    text: str, num: int, tokenizer: PreTrainedTokenizerBase
) -> None:
    assert num_unknown_outputs(text) == num
    settings = TrainSettings(data="d", model="m", out=Path("o"), kind="generative")
    make = ConversationMaker(tokenizer=tokenizer, settings=settings, form="genprm", max_length=2048)
    tally = Tally()
    said = {"role": "assistant", "content": text or "Yes"}
    make({"conversations": [{"role": "user", "content": text}, said]}, tally)
    told = [line for line in tally.lines() if "without the heading" in line]
    assert [line.split()[0] for line in told] == ([str(num)] if num else [])


@pytest.mark.parametrize("is_trimmed", [False, True])
def test_white_space_is_learnt_whatever_a_tokenizer_says_of_its_place(
    is_trimmed: bool, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Byte-level tokenizers of the RoBERTa kind leave it out of their offsets."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    letters = pre_tokenizers.ByteLevel.alphabet()
    base = Tokenizer(
        models.BPE(vocab={letter: i for i, letter in enumerate(sorted(letters))}, merges=[])
    )
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    base.decoder = decoders.ByteLevel()
    base.post_processor = processors.ByteLevel(trim_offsets=is_trimmed)
    plain = PreTrainedTokenizerFast(tokenizer_object=base, eos_token="~")
    plain.chat_template = (
        "{% for m in messages %}{{ m['role'][:1] + ':' + m['content'] + '~' }}{% endfor %}"
        "{% if add_generation_prompt %}a:{% endif %}"
    )
    said = "two  words,\n\n  and é"
    chat = [{"role": "user", "content": " so "}, {"role": "assistant", "content": said}]
    example = encode_conversation(plain, Context(messages=chat))
    assert learnt(plain, example) == f"{said}~"


def test_a_chain_is_asked_for_as_a_scorer_will_ask(tokenizer: PreTrainedTokenizerBase) -> None:
    assert (form_of(CHAIN), form_of({"conversations": CHAT})) == ("thinkprm", "genprm")
    messages = messages_of(CHAIN, "thinkprm")
    assert "1 + 1?" in messages[0]["content"]
    assert learnt(tokenizer, encoded(tokenizer, messages)) == f"{COT}<|end|>"
    with pytest.raises(InputError, match="--part rationales"):
        form_of({"prompt": "x"})


@pytest.mark.parametrize(
    "cot",
    [
        "Step 1: Well. The step is \\boxed{correct}",
        "Step 1: Well. The step is \\boxed{correct} I am done.",
        "<think>\nStep 1: Well. The step is \\boxed{correct}\n</think>\n\nAll right.",
        "Step 1: Well. The step is \\boxed{correct}\nIs the solution correct? Yes",
        COT,
    ],
)
@pytest.mark.parametrize(
    ("labels", "answer"),
    [
        ({"prefix_label": True}, "Yes"),
        ({"prefix_label": False, "gt_step_labels": ["+"]}, "No"),
        ({"gt_step_labels": ["+", "-"]}, "No"),
        ({"prefix_label": None, "gt_step_labels": ["+", "+"]}, "Yes"),
    ],
)
def test_public_chains_end_with_the_question_that_a_scorer_asks(
    cot: str, labels: dict[str, Any], answer: str
) -> None:
    """ThinkPRM-1K's have neither the end of the thoughts nor the question, and number the steps."""
    row = {"problem": "Q", "prefix_steps": ["Step 1: a", "Step 2: b"], "cot": cot, **labels}
    [asked, said] = messages_of(row, "thinkprm")
    assert said["content"] == f"{COT.removesuffix('Yes')}{answer}"
    assert asked["content"].endswith("Step 1: a\nStep 2: b")


def test_a_chain_without_a_label_is_dropped_and_counted(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    settings = TrainSettings(data="d", model="m", out=Path("o"), kind="generative")
    make = ConversationMaker(
        tokenizer=tokenizer, settings=settings, form="thinkprm", max_length=500
    )
    tally = Tally()
    assert make({**CHAIN, "prefix_label": None}, tally) is None
    assert tally.dropped == {NO_LABEL: 1}


def test_a_template_that_opens_the_thoughts_itself_does_not_open_them_twice(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    tokenizer.chat_template = THINKING
    example = encoded(tokenizer, messages_of(CHAIN, "thinkprm"))
    assert learnt(tokenizer, example) == COT.removeprefix("<think>\n") + "<|end|>"
    assert tokenizer.decode(example["input_ids"]).count("<think>") == 1


def test_a_chat_that_ends_with_a_question_cannot_be_learnt_from(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    for messages in ([], CHAT[:1]):
        with pytest.raises(LayoutError, match=NO_ANSWER):
            encoded(tokenizer, messages)


def test_conversations_in_sharegpts_words_are_the_same() -> None:
    names = {"user": "human", "assistant": "gpt"}
    foreign = [{"from": names[turn["role"]], "value": turn["content"]} for turn in CHAT]
    assert messages_of({"conversations": foreign}, "genprm") == CHAT
    half_empty = [turn | {"from": None, "value": None} for turn in CHAT]
    assert messages_of({"conversations": half_empty}, "genprm") == CHAT


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"conversations": [{"speaker": "x", "text": "y"}]}, "row 1 of the data: .*'speaker'"),
        ({"conversations": [{"role": "user", "content": None}]}, "row 1 of the data"),
        (CHAIN | {"problem": None}, "row 1 of the data: a cot needs problem"),
        (CHAIN | {"prefix_steps": None}, "row 1 of the data: a cot needs problem"),
    ],
)
def test_a_broken_rationale_is_named_with_its_row(
    tokenizer: PreTrainedTokenizerBase, row: dict[str, Any], message: str
) -> None:
    settings = TrainSettings(data="d", model="m", out=Path("o"), kind="generative")
    make = ConversationMaker(
        tokenizer=tokenizer, settings=settings, form=form_of(row), max_length=512
    )
    with pytest.raises(InputError, match=message):
        make(row, Tally())


def test_a_long_conversation_is_dropped_cut_or_refused(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    whole, first = (len(encoded(tokenizer, c)["input_ids"]) for c in (CHAT, CHAT[:2]))

    def made(max_length: int, too_long: str) -> tuple[Any, Tally]:
        settings = TrainSettings(
            data="d", model="m", out=Path("o"), kind="generative", too_long=too_long
        )
        make = ConversationMaker(
            tokenizer=tokenizer, settings=settings, form="genprm", max_length=max_length
        )
        tally = Tally()
        return make({"conversations": CHAT}, tally), tally

    assert len(made(whole, "drop")[0]["input_ids"]) == whole
    assert made(whole - 1, "drop")[1].dropped == {TOO_LONG: 1}
    example, tally = made(whole - 1, "truncate-at-step")
    assert (len(example["input_ids"]), tally.num_truncated) == (first, 1)
    assert made(first - 1, "truncate-at-step")[1].dropped == {TOO_LONG: 1}
    with pytest.raises(InputError, match="--too-long drop"):
        made(whole - 1, "error")
