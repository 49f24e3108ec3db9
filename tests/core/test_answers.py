"""The answer a text states is found, whatever the text, in time linear in its length."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory.core.answers import extract_answer, reference_answer

FRAGMENTS = ["\\boxed", "\\fbox", "{", "}", "\\", "\\{", "####", "answer is", "answer:", "\n", " ",
             "5", ",", ".", "*", "**", "é", "½"]  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(st.sampled_from(FRAGMENTS)).map("".join))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", None),
        ("no statement here, only 5", None),
        (r"so \boxed{5}.", "5"),
        (r"\boxed{\frac{1}{\sqrt{2}}}", r"\frac{1}{\sqrt{2}}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{ x \right.}", r"\left\{ x \right"),
        (r"\boxed{a \\ b}", r"a \\ b"),
        (r"\boxed {5}", "5"),
        (r"\fbox{7}", "7"),
        (r"\boxed{1} or rather \boxed{2}", "2"),
        (r"\boxed{\boxed{3}}", "3"),
        (r"\boxed{1} and then \boxed{2", "1"),
        (r"\boxed{\boxed{3} and", "3"),
        (r"cut at \boxed{\frac{1", None),
        (r"#### 4 or \boxed{", None),
        (r"\boxed{}", None),
        (r"\boxed{ **5.** }", "5"),
        (r"\boxed{z^*}", "z^*"),
        (r"in \boxed form {x}, the answer is 5", "5"),
        ("**The answer is 5**.", "5"),
        ("work\n#### 42", "42"),
        ("#### 1\n#### 1,234\nbye", "1,234"),
        ("####", None),
        ("The answer is 5.", "5"),
        ("The answer is: $x = 5$\nbye", "$x = 5$"),
        ("the answer is 4, no, the final answer is 6", "6"),
        ("**Final Answer:** 12", "12"),
        ("**Answer**: 12", "12"),
        ("**Answer: 12.**", "12"),
        ("Answer:\n\n12", "12"),
        ("the answer is 3\nThe answer is:\n\n", "3"),
        ("the answer isn't clear", None),
        ("The answer is ½π", "½π"),
        ("the answer is .5", ".5"),
    ],
)
def test_the_last_stated_answer_is_found(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("", None),
        ("  ", None),
        ("42", "42"),
        ("x = 2.", "x = 2"),
        ("8 + 8 = 16\n#### 16", "16"),
        ("#### 1,234,567", "1234567"),
        ("#### (1, 2)", "(1, 2)"),
        ("#### 1,2,3", "1,2,3"),
        ("#### ", None),
        (r"so $\boxed{\frac12}$", r"\frac12"),
        (r"so \boxed{", None),
        ("1,000", "1,000"),
    ],
)
def test_a_reference_answer_is_found(text: str, answer: str | None) -> None:
    assert reference_answer(text) == answer


@given(TEXTS)
def test_any_text_has_a_bare_answer_or_none(text: str) -> None:
    for answer in (extract_answer(text), reference_answer(text)):
        assert answer is None or (answer and answer == answer.strip())


@given(TEXTS, st.text(alphabet="abc xyz0123456789+-", min_size=1).filter(str.strip))
def test_a_box_after_any_text_without_an_open_escape_wins(text: str, answer: str) -> None:
    assert extract_answer(text + "\n\\boxed{" + answer + "}") == answer.strip()


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{" * 28_000,
        "\\fbox{" * 28_000,
        "\\boxed{1}" + "\\boxed{ {" * 28_000,
        "{" * 200_000 + "\\boxed{" + "}" * 200_000,
        "\\boxed" + " " * 200_000,
        "answer:" + "\n" * 200_000,
        "answer is \n" * 20_000,
        "answer is " * 20_000,
        "#### " * 50_000,
        "the answer is 5" + " ." * 100_000,
    ],
)
def test_degenerate_text_takes_no_time(text: str) -> None:
    """Blank lines after "answer:" once took minutes: two greedy runs shared them in every way."""
    started_s = time.perf_counter()
    extract_answer(text)
    reference_answer(text)
    assert time.perf_counter() - started_s < 3
