"""Records survive Arrow, Parquet and `datasets` unchanged."""

import io
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.arrow import arrow_schema, features_schema, from_row, to_row
from schemas.generation import FinishReason
from schemas.published import PublishedSolution
from schemas.records import (
    AnswerCount,
    Evidence,
    ProblemGroup,
    Solution,
    Status,
    StopReason,
    Verdict,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
COUNT = st.integers(0, 2**40)


@st.composite
def evidences(draw: st.DrawFn) -> Evidence:
    answers = draw(
        st.lists(
            st.builds(
                AnswerCount,
                answer=st.none() | TEXT,
                verdict=st.sampled_from(Verdict),
                count=st.integers(1, 99),
            ),
            max_size=3,
        )
    )
    sums: Counter[Verdict] = Counter()
    for answer in answers:
        sums[answer.verdict] += answer.count
    num_rollouts = sum(n for verdict, n in sums.items() if verdict.is_decided)
    num_first = draw(st.integers(0, num_rollouts))
    return Evidence(
        num_rollouts=num_rollouts,
        num_correct=sums[Verdict.CORRECT],
        num_ungraded=sums.total() - num_rollouts,
        num_truncated=draw(st.integers(0, sums.total())),
        num_tokens=draw(COUNT),
        num_rounds=draw(st.integers(0, 9)),
        num_first=num_first,
        num_first_correct=draw(st.integers(0, min(num_first, sums[Verdict.CORRECT]))),
        stop_reason=draw(st.sampled_from(StopReason)),
        answers=tuple(answers),
    )


@st.composite
def solutions(draw: st.DrawFn) -> Solution:
    steps = draw(st.lists(TEXT, min_size=1, max_size=3))
    has_evidence = draw(st.booleans())
    return Solution(
        solution_id=draw(TEXT),
        steps=tuple(steps),
        answer=draw(st.none() | TEXT),
        verdict=draw(st.sampled_from(Verdict)),
        num_samples=draw(COUNT),
        num_tokens=draw(st.none() | COUNT),
        finish_reason=draw(st.none() | st.sampled_from(FinishReason)),
        evidence=tuple(draw(evidences()) for _ in steps) if has_evidence else (),
    )


@st.composite
def groups(draw: st.DrawFn) -> ProblemGroup:
    status = draw(st.sampled_from(Status))
    return ProblemGroup(
        problem_id=draw(TEXT),
        question=draw(TEXT),
        answer=draw(TEXT),
        metadata=draw(st.none() | TEXT),
        status=status,
        reason=None if status is Status.OK else draw(TEXT),
        sampled=draw(st.none() | evidences()),
        root=draw(st.none() | evidences()),
        solutions=tuple(draw(st.lists(solutions(), max_size=3))),
        num_rollout_tokens=draw(COUNT),
    )


@settings(max_examples=50)
@given(st.lists(groups(), max_size=4))
def test_groups_survive_a_parquet_file(stored: list[ProblemGroup]) -> None:
    schema = arrow_schema(ProblemGroup)
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([to_row(g) for g in stored], schema=schema), file)
    found = pq.read_table(file)
    assert found.schema.equals(schema)
    assert [from_row(ProblemGroup, row) for row in found.to_pylist()] == stored


@pytest.mark.parametrize("record", [ProblemGroup, PublishedSolution])
def test_the_features_of_datasets_have_the_same_types(record: type) -> None:
    schema = features_schema(arrow_schema(record))
    assert schema.names == arrow_schema(record).names
    assert schema.types == arrow_schema(record).types
    assert b"huggingface" in (schema.metadata or {})


def test_enums_are_stored_as_their_words() -> None:
    assert arrow_schema(ProblemGroup).field("status").type == pa.string()
    group = ProblemGroup(problem_id="p", question="?", answer="4")
    assert to_row(group)["status"] == "ok"
    assert type(from_row(ProblemGroup, to_row(group)).status) is Status


ROW = to_row(ProblemGroup(problem_id="p", question="?", answer="4"))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({k: v for k, v in ROW.items() if k not in ("status", "root")}, "lacks status, root"),
        ({**ROW, "answer": None}, "a <class 'str'> is missing"),
        ({**ROW, "status": "good"}, "good"),
        ({**ROW, "status": "failed"}, "dropped and failed groups state a reason"),
    ],
)
def test_a_row_that_is_no_record_is_refused(row: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_row(ProblemGroup, row)


def test_columns_of_other_origin_are_passed_over() -> None:
    assert from_row(ProblemGroup, {**ROW, "extra": 1}).problem_id == "p"
