"""The grader's verdicts, and how it comes by them."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.records import Verdict
from workers.grading import GRADER_VERSION, Grader, GraderSettings, GradingBroken
from workers.grading.exact import is_equal, number, tidy

RIGHT, WRONG = Verdict.CORRECT, Verdict.WRONG


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    made = Grader()
    yield made
    made.close()


@pytest.fixture(scope="module")
def plain() -> Iterator[Grader]:
    made = Grader(GraderSettings(normalise=False))
    yield made
    made.close()


TABLE = [
    ("72", "72", RIGHT),
    ("72", "73", WRONG),
    ("-3", "3", WRONG),
    ("1234", "1,234", RIGHT),
    ("5", "5.0", RIGHT),
    ("0.5", "\\frac{1}{2}", RIGHT),
    ("\\frac{1}{2}", "1/2", RIGHT),
    ("\\frac{1}{2}", "\\dfrac{2}{4}", RIGHT),
    ("\\frac12", "0.50", RIGHT),
    ("\\frac{1}{3}", "0.333333", RIGHT),
    ("\\frac{1}{3}", "0.3333", WRONG),
    ("\\frac{1}{3}", "\\frac{1}{4}", WRONG),
    ("2\\sqrt{3}", "\\sqrt{12}", RIGHT),
    ("2\\sqrt{3}", "\\sqrt{13}", WRONG),
    ("x^2+2x+1", "(x+1)^2", RIGHT),
    ("x^2+2x+1", "(x-1)^2", WRONG),
    ("5", "5\\text{ cm}", RIGHT),
    ("5\\%", "5", RIGHT),
    ("[1,2)", "[1, 2)", RIGHT),
    ("[1,2)", "[1,2]", WRONG),
    ("(1,2)", "\\left(1,2\\right)", RIGHT),
    ("(1,2,3)", "(1,2,4)", WRONG),
    ("1,2,3", "3,1,2", RIGHT),
    ("\\text{east}", "east", RIGHT),
    ("\\text{east}", "\\text{west}", WRONG),
    ("42", "42.", RIGHT),
    ("90^\\circ", "90°", RIGHT),
    ("\\emptyset", "\\varnothing", RIGHT),
    ("-5", "−5", RIGHT),
    ("5", "五", WRONG),
    ("5", "\x00", WRONG),
    ("5", "\ud800", WRONG),
    ("5", "", Verdict.NO_ANSWER),
    ("5", "  \n", Verdict.NO_ANSWER),
    ("5", None, Verdict.NO_ANSWER),
    ("5", "7 garbage " * 100_000, Verdict.TOO_LONG),
    ("$5$", "5", RIGHT),
    ("\\boxed{\\frac{1}{2}}", "0.5", RIGHT),
    ("\\boxed{x+1}", "1+x", RIGHT),
]


@pytest.mark.parametrize(("gold", "answer", "verdict"), TABLE)
def test_an_answer_gets_its_verdict(
    grader: Grader, gold: str, answer: str | None, verdict: Verdict
) -> None:
    assert grader.grade_now(gold, [answer]) == [verdict]


def test_without_normalisation_verdicts_are_those_of_math_verify(plain: Grader) -> None:
    from math_verify import parse, verify

    for gold, answer, _ in TABLE:
        if answer is None or len(answer) > 2000 or "boxed" in gold or "$" in gold:
            continue
        naive = verify(parse(f"${gold}$"), parse(f"\\boxed{{{answer}}}"))
        assert (plain.grade_now(gold, [answer]) == [RIGHT]) == naive, (gold, answer)


def test_a_final_full_stop_is_wrong_to_math_verify_alone(plain: Grader) -> None:
    assert plain.grade_now("42", ["42."]) == [WRONG]


def test_the_reference_decides_which_side_is_which(grader: Grader) -> None:
    assert grader.grade_now("1<x<2", ["(1,2)"]) == [RIGHT]
    assert grader.grade_now("(1,2)", ["1<x<2"]) == [WRONG]


def test_rounding_is_a_setting() -> None:
    assert Grader().grade_now("0.001", ["0.002"]) == [WRONG]
    coarse = Grader(GraderSettings(float_rounding=2))
    assert coarse.grade_now("0.001", ["0.002"]) == [RIGHT]
    coarse.close()


def _spell(value: Fraction, style: int) -> str:
    sign = "-" if value < 0 else ""
    top, bottom = abs(value.numerator), value.denominator
    spellings = [
        f"{sign}{top}/{bottom}",
        f"{sign}\\frac{{{top}}}{{{bottom}}}",
        f"\\frac{{{sign}{3 * top}}}{{{3 * bottom}}}",
    ]
    if bottom == 1:
        spellings += [f"{sign}{top}", f"{sign}{top:,}", f"{sign}{top}.0"]
    if 10**6 % bottom == 0:
        spellings += [
            f"{sign}{float(abs(value)):.6f}",
            f"{sign}{float(abs(value)):.6f}".rstrip("0"),
        ]
    return spellings[style % len(spellings)]


VALUES = st.one_of(
    st.integers(-(10**8), 10**8).map(Fraction),
    st.fractions(-1000, 1000, max_denominator=2000),
    st.integers(-(10**9), 10**9).map(lambda n: Fraction(n, 10**4)),
    st.integers(-300, 300).map(lambda n: Fraction(n, 10**6)),
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_exact_arithmetic_never_disagrees_with_math_verify(data: st.DataObject) -> None:
    from math_verify import parse, verify

    a = data.draw(VALUES)
    near = st.sampled_from([0, 1, -1, 2, 5, 50]).map(lambda d: a + Fraction(d, 10**6))
    b = data.draw(st.one_of(st.just(a), near, VALUES, st.just(-a)))
    gold, answer = (_spell(v, data.draw(st.integers(0, 9))) for v in (a, b))
    g, n = number(gold), number(answer)
    if g is None or n is None or (decided := is_equal(g, n, 6)) is None:
        return
    assert decided == verify(parse(f"${gold}$"), parse(f"\\boxed{{{answer}}}")), (gold, answer)


@pytest.mark.parametrize(
    "text", ["", "1/0", "\\frac{1}{0}", "1.", ".", "1e5", "0,5", "1 000", "٣", "x", "5%", "12,34"]
)
def test_what_is_not_plainly_a_number_is_left_to_math_verify(text: str) -> None:
    assert number(text) is None


@pytest.mark.parametrize(
    ("text", "tidied"),
    [
        ("  42. ", "42"),
        ("$42$", "42"),
        ("\\(x\\)", "x"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("\\boxed{1} or \\boxed{2}", "\\boxed{1} or \\boxed{2}"),
        ("$1$ and $2$", "$1$ and $2$"),
        ("\\$5", "\\$5"),
        ("1,2,...", "1,2,..."),
        ("\\left[ 1,2 \\right)", "[ 1,2 )"),
        ("a \\leftarrow b", "a \\leftarrow b"),
        ("10,\\!000", "10,000"),
        ("$$", "$$"),
        ("", ""),
    ],
)
def test_tidying_keeps_what_an_answer_says(text: str, tidied: str) -> None:
    assert tidy(text) == tidied
    assert tidy(tidied) == tidied


def test_one_check_serves_every_answer_of_the_same_spelling() -> None:
    grader = Grader()
    assert grader.grade_now("x+1", ["1+x", "1 + x", "1+x", "$1+x$", "x+1", None]) == [
        *[RIGHT] * 5,
        Verdict.NO_ANSWER,
    ]
    grader.grade_now("x+1", ["1+x"] * 10)
    stats = grader.stats
    grader.close()
    assert (stats.num_checked, stats.num_cached, stats.num_fast) == (2, 12, 2)
    assert stats.num_answers == 16


def test_calls_at_the_same_time_share_a_check(grader: Grader) -> None:
    async def ask() -> list[list[Verdict]]:
        return await asyncio.gather(*(grader.grade("y+7", ["7+y", "y"]) for _ in range(20)))

    before = grader.stats.num_checked
    assert asyncio.run(ask()) == [[RIGHT, WRONG]] * 20
    assert grader.stats.num_checked == before + 2


def test_grading_works_off_the_main_thread_and_in_a_running_loop(grader: Grader) -> None:
    found: list[Verdict] = []

    async def ask() -> list[Verdict]:
        return await grader.grade("z+3", ["3+z"])

    def run() -> None:
        found.extend(asyncio.run(ask()))
        found.extend(grader.grade_now("z+4", ["4+z"]))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [RIGHT, RIGHT]


def test_references_that_nothing_can_match_are_found(grader: Grader) -> None:
    golds = ["5", "\\frac{1}{2}", "", "\\", "x+1", "\\text{east}", "9" * 3000]
    assert grader.unparsable(golds) == [False, False, True, True, False, False, True]


def test_plain_numbers_need_no_process() -> None:
    code = (
        "import sys; from workers.grading import Grader; import multiprocessing, subprocess\n"
        "g = Grader(); g.grade_now('5', ['5', '6.5', None]); g.unparsable(['5', '0.5'])\n"
        "assert g._pool._template._process is None\n"
        "assert not {'math_verify', 'sympy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_closed_grader_says_so() -> None:
    grader = Grader()
    grader.close()
    assert grader.grade_now("5", ["5"]) == [RIGHT]
    with pytest.raises(GradingBroken, match="closed"):
        grader.grade_now("x", ["y"])


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="deadline_s is 0"):
        GraderSettings(deadline_s=0)


def test_the_version_names_what_decides() -> None:
    assert GRADER_VERSION.startswith("math-verify ")
    assert "tidy 1" in GRADER_VERSION
