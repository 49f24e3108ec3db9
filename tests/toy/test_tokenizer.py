"""The tokenizer loses nothing and its chat template is the training format."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from factory.toy import MODEL_DIR
from factory.toy.samples import make_chunk
from factory.toy.solver import write_solution
from factory.toy.tokenizer import END, TAGS, build_tokenizer, chat_text
from factory.toy.world import make_problem, make_problems

TOKENIZER = PreTrainedTokenizerFast.from_pretrained(MODEL_DIR)
any_text = st.text(st.characters(exclude_categories=["Cs"]))


@given(any_text | st.lists(any_text | st.sampled_from(TAGS)).map("".join))
@settings(max_examples=300, deadline=None)
def test_any_text_survives_the_round_trip(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER(text).input_ids) == text


def solution_texts() -> Iterator[tuple[str, str]]:
    for problem in make_problems(100, 2):
        yield problem.question, "\n\n".join(s.text for s in write_solution(problem, 0))


def test_the_shipped_tokenizer_is_the_one_training_builds() -> None:
    assert build_tokenizer().get_vocab() == TOKENIZER.get_vocab()


def test_toy_text_needs_no_bytes() -> None:
    for question, solution in solution_texts():
        tokens = TOKENIZER.tokenize(question + "\n\n" + solution)
        assert len(tokens) <= 260
        assert all(len(t) > 1 or t.isascii() for t in tokens), tokens


def test_chat_prompt_and_text_and_end_are_the_training_format() -> None:
    for question, solution in solution_texts():
        messages = [{"role": "user", "content": question}]
        prompt = TOKENIZER.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        whole = TOKENIZER.apply_chat_template(
            [*messages, {"role": "assistant", "content": solution}], tokenize=False
        )
        assert prompt + solution + END == whole == chat_text(question, solution)


def test_what_is_trained_on_is_what_is_prompted() -> None:
    texts = [
        TOKENIZER.decode(list(sample.ids)) for sample in make_chunk(0, 0.5, 0, num_tokens=5000)
    ]
    solutions = [t for t in texts if t.startswith("<|user|>")]
    assert solutions
    assert all(t.count("<|assistant|>") == 1 and t.endswith(END) for t in solutions)


def test_a_prefix_can_be_continued_by_the_template() -> None:
    messages = [
        {"role": "user", "content": "Q"},
        {"role": "assistant", "content": "1 + 1 = 2.\n\n"},
    ]
    text = TOKENIZER.apply_chat_template(messages, continue_final_message=True, tokenize=False)
    assert text == "<|user|>Q<|end|><|assistant|>1 + 1 = 2.\n\n"


def test_a_system_message_is_ignored() -> None:
    user = [{"role": "user", "content": "Q"}]
    system = [{"role": "system", "content": "Be brief."}]
    assert TOKENIZER.apply_chat_template(
        system + user, tokenize=False
    ) == TOKENIZER.apply_chat_template(user, tokenize=False)


def test_steps_split_where_tokens_do() -> None:
    steps = [s.text for s in write_solution(make_problem("E", 4, 5), 0)]
    apart = [i for s in steps for i in [*TOKENIZER(s).input_ids, *TOKENIZER("\n\n").input_ids]]
    assert TOKENIZER("\n\n".join(steps) + "\n\n").input_ids == apart
    assert len(TOKENIZER("\n\n").input_ids) == 1


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_is_one_token_that_stays_visible(tag: str) -> None:
    (token,) = TOKENIZER(tag).input_ids
    assert TOKENIZER.decode([token], skip_special_tokens=True) == tag
