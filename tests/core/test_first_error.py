"""First-error accuracy as ProcessBench counts it."""

import pytest

from factory.core.first_error import score_first_errors


@pytest.mark.parametrize(
    ("pairs", "erroneous", "correct", "f1"),
    [
        ([], None, None, None),
        ([(None, None)], None, 1.0, None),
        ([(2, 2)], 1.0, None, None),
        ([(2, 2), (None, None)], 1.0, 1.0, 1.0),
        ([(1, 2), (0, None)], 0.0, 0.0, 0.0),
        ([(None, 2), (None, None)], 0.0, 1.0, 0.0),
        ([(0, 0), (1, 2), (None, None), (None, None), (3, None)], 0.5, 2 / 3, 4 / 7),
    ],
)
def test_f1_is_the_harmonic_mean_of_both_accuracies(
    pairs: list[tuple[int | None, int | None]],
    erroneous: float | None,
    correct: float | None,
    f1: float | None,
) -> None:
    score = score_first_errors(pairs)
    assert score.accuracy_erroneous == erroneous
    assert score.accuracy_correct == correct
    assert score.f1 == (None if f1 is None else pytest.approx(f1))
