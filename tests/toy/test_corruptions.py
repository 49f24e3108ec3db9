"""Replaced places are known exactly, and what is not replaced is true."""

from fractions import Fraction
from random import Random

import pytest

from factory.toy.corruptions import Rates, replace_number, write_corrupted, write_drill
from factory.toy.lines import is_answer, read_line
from factory.toy.operations import apply
from factory.toy.oracle import judge
from factory.toy.prm_samples import SEPARATOR, UNKNOWN, encode, make_detection_chunk, prompt_of
from factory.toy.tokenizer import END, build_tokenizer
from factory.toy.world import TRAINING_SEEDS, ToyProblem, make_problems

PROBLEMS = make_problems(150, 5, training=True)
OFTEN = Rates(replaced=0.3, aside=0.2, again=0.2)


def test_without_replacements_every_line_is_true() -> None:
    for problem in PROBLEMS:
        lines = write_corrupted(problem, Random(1), Rates(replaced=0.0, aside=0.3, again=0.3))
        assert not any(line.is_replaced for line in lines)
        assert all(truth.is_true for truth in judge(problem, [line.text for line in lines]))
        assert is_answer(lines[-1].text)


def test_the_first_replaced_line_is_seldom_called_true() -> None:
    """A replaced line can be true all the same: an operation done before its turn, say."""
    num_replaced = num_true = 0
    for problem in PROBLEMS:
        lines = write_corrupted(problem, Random(2), OFTEN)
        first = next((i for i, line in enumerate(lines) if line.is_replaced), None)
        if first is not None:
            truths = judge(problem, [line.text for line in lines])
            assert all(truth.is_true for truth in truths[:first])
            num_replaced += 1
            num_true += truths[first].is_true
    assert num_replaced > 80
    assert num_true / num_replaced < 0.05


def test_a_carried_error_is_believed_from_then_on() -> None:
    """Each line's left number is the last result of a chain, right or wrong."""
    for problem in [p for p in PROBLEMS if p.family == "E"]:
        rates = Rates(replaced=0.3, aside=0.0, again=0.0, carry=1.0)
        honest = [read_line(x.honest) for x in write_corrupted(problem, Random(3), rates)[:-1]]
        texts = [read_line(x.text) for x in write_corrupted(problem, Random(3), rates)[:-1]]
        for before, after in zip(texts[:-1], honest[1:], strict=True):
            assert before is not None
            assert after is not None
            assert after.calculation is not None
            assert after.calculation.left == before.result


@pytest.mark.parametrize("number", [Fraction(7), Fraction(0), Fraction(121), Fraction(-5, 4)])
def test_a_replaced_number_is_another_one(number: Fraction) -> None:
    rng = Random(0)
    assert all(replace_number(number, rng) != number for _ in range(300))


def test_a_residue_is_replaced_by_a_residue_mostly() -> None:
    rng = Random(0)
    others = [replace_number(Fraction(3), rng, Fraction(7)) for _ in range(300)]
    assert sum(0 <= other < 7 for other in others) > 240


def test_a_drill_is_right_where_nothing_is_replaced() -> None:
    for line in write_drill(PROBLEMS[:60], Random(4), 0.5):
        read = read_line(line.text)
        assert read is not None
        assert read.calculation is not None
        calculation = read.calculation
        value = apply(calculation.operator, calculation.left, calculation.right)
        assert (value == read.result) != line.is_replaced


def test_exactly_the_replaced_place_is_marked() -> None:
    tokenizer = build_tokenizer()
    written = [(prompt_of(p), write_corrupted(p, Random(6), OFTEN)) for p in PROBLEMS]
    separator = tokenizer.convert_tokens_to_ids(SEPARATOR)
    for sample, (prompt, lines) in zip(encode(written, tokenizer), written, strict=True):
        assert tokenizer.decode(sample.ids) == prompt + "".join(x.text + SEPARATOR for x in lines)
        ends = [i for i, token in enumerate(sample.ids) if token == separator]
        start = sample.ids.index(tokenizer.convert_tokens_to_ids(END)) + 2
        is_broken = False
        for end, line in zip(ends, lines, strict=True):
            is_broken |= line.is_replaced
            marked = [i for i in range(start, end) if sample.is_replaced[i] == 1]
            assert len(marked) == line.is_replaced
            assert sample.is_replaced[end] == line.is_replaced
            assert sample.is_broken[end] == is_broken
            honest = tokenizer(line.honest, add_special_tokens=False)["input_ids"]
            if line.is_replaced:
                place = marked[0] - start
                assert list(sample.ids[start : marked[0]]) == honest[:place]
                assert sample.ids[marked[0]] != honest[place]
                assert set(sample.is_replaced[marked[0] + 1 : end]) <= {UNKNOWN}
            start = end + 1


def test_a_chunk_is_the_same_every_time_and_knows_only_training_questions() -> None:
    assert make_detection_chunk(3, 0.5, 1, 3000) == make_detection_chunk(3, 0.5, 1, 3000)
    assert make_detection_chunk(3, 0.5, 1, 3000) != make_detection_chunk(4, 0.5, 1, 3000)


def _is_training(problem: ToyProblem) -> bool:
    return problem.seed in TRAINING_SEEDS


def test_problems_of_these_tests_are_for_training() -> None:
    assert all(map(_is_training, PROBLEMS))
