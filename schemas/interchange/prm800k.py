"""PRM800K: labels by people, -1, 0 or 1, of the completions offered at each step.

Format: openai/prm800k (arXiv 2305.20050), README. A solution follows the chosen completion of each
step. In phase 2 labelling stops at the first error, and the whole solution stands in
`pre_generated_steps`.
"""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from schemas.interchange.fields import items, optional_text, struct, text, texts
from schemas.interchange.labelled import (
    LabelledSolution,
    Loss,
    Row,
    Skip,
    keeping,
    metadata_json,
    metadata_of,
)
from schemas.interchange.prm800k_path import NeutralRating, Rated, walk

NOT_A_SOLUTION = ("bad_problem", "give_up")
"""Endings after which the labels are of no use."""
FLAGS = ("is_quality_control_question", "is_initial_screening_question")
METADATA = {
    "labeler": str, "timestamp": str, "generation": int, **dict.fromkeys(FLAGS, bool),
    "total_time": int,
}  # fmt: skip
_QUESTION = pa.struct(
    [
        ("problem", pa.string()),
        ("ground_truth_solution", pa.string()),
        ("ground_truth_answer", pa.string()),
        ("pre_generated_steps", pa.list_(pa.string())),
        ("pre_generated_answer", pa.string()),
        ("pre_generated_verifier_score", pa.float64()),
    ]
)
_COMPLETION = pa.struct([("text", pa.string()), ("rating", pa.int64()), ("flagged", pa.bool_())])
_STEP = pa.struct(
    [
        ("completions", pa.list_(_COMPLETION)),
        ("human_completion", _COMPLETION),
        ("chosen_completion", pa.int64()),
    ]
)
_LABEL = pa.struct(
    [("steps", pa.list_(_STEP)), ("total_time", pa.int64()), ("finish_reason", pa.string())]
)
SCHEMA = pa.schema(
    [
        ("labeler", pa.string()),
        ("timestamp", pa.string()),
        ("generation", pa.int64()),
        *((flag, pa.bool_()) for flag in FLAGS),
        ("question", _QUESTION),
        ("label", _LABEL),
    ]
)


def read(
    row: Row, *, neutral: NeutralRating, alternatives: bool = False
) -> tuple[LabelledSolution, ...]:
    """The labelled solution; with `alternatives` also one for each completion that was not taken.

    - A step takes the chosen completion, else the human one, which is good, else its first one,
      and ends there. A step without any ends the solution before it.
    - Steps of `pre_generated_steps` that were not reached follow without a label.
    - An alternative's solution ends with it; one without text is left out.
    - The ending "solution" means that the answer is right; others leave that open.
    - `is_human` and `is_flagged` steps are listed in the metadata.

    Raises Skip for the endings "bad_problem" and "give_up", and where there are no steps at all.
    """
    question, label = struct(row, "question"), struct(row, "label")
    finish = optional_text(label, "finish_reason")
    if finish in NOT_A_SOLUTION:
        raise Skip(f"finish_reason {finish}")
    path, branches = walk(items(label, "steps"), neutral)
    known = {k: {**label, **row}.get(k) for k in METADATA}
    pre = texts(question, "pre_generated_steps") if question.get("pre_generated_steps") else ()
    is_pre_generated = bool(pre) and tuple(step.text for step in path) == pre[: len(path)]
    rest = [Rated(text=t, label=None) for t in pre[len(path) :]] if is_pre_generated else []
    main = _solution(question, [*path, *rest], known)
    main = replace(
        main,
        answer=optional_text(question, "pre_generated_answer") if is_pre_generated else None,
        is_correct=True if finish == "solution" else None,
    )
    if not alternatives:
        return (main,)
    return (main, *(_solution(question, b, known) for b in branches if b[-1].text.strip()))


def read_losses(row: Row, *, alternatives: bool = False) -> frozenset[Loss]:
    """What of a readable row the solutions do not say."""
    question = row["question"]
    steps = row["label"]["steps"]
    offered = [step.get("completions") or [] for step in steps]
    ratings = [completion.get("rating") for step in offered for completion in step]
    unread = ("ground_truth_solution", "pre_generated_verifier_score")
    is_lost = {
        Loss.NEUTRAL_RATINGS: 0 in ratings,
        Loss.ALTERNATIVES: not alternatives and any(len(step) > 1 for step in offered),
        Loss.COLUMNS: any(question.get(name) is not None for name in unread),
    }
    return frozenset(loss for loss, lost in is_lost.items() if lost)


def kept(solution: LabelledSolution) -> LabelledSolution:
    """Question, steps, labels up to the first error, both answers, and a row's own metadata.

    Labels may be missing anywhere. Lost are labels after the first error, soft scores, the row's
    id, other metadata, and correctness, save that of a right answer without a bad step. An answer
    is kept as that of `pre_generated_steps`.
    """
    error = solution.first_error
    cut = len(solution.steps) if error is None else error + 1
    kept = keeping(solution, "answer", "reference_answer", metadata=METADATA)
    return replace(
        kept,
        labels=(*solution.labels[:cut], *[None] * (len(solution.steps) - cut)),
        is_correct=True if solution.is_correct and error is None else None,
    )


def write(solution: LabelledSolution) -> dict[str, Any]:
    """The row of what is kept, as in phase 2: one completion per step up to the last label."""
    known = metadata_of(solution)
    labels = solution.labels
    num_rated = max((i for i, label in enumerate(labels, start=1) if label is not None), default=0)
    rated = zip(solution.steps[:num_rated], labels[:num_rated], strict=True)
    return {
        **{name: known.get(name) for name in ("labeler", "timestamp", "generation")},
        **{name: known.get(name, False) for name in FLAGS},
        "question": {
            "problem": solution.question,
            "ground_truth_solution": None,
            "ground_truth_answer": solution.reference_answer,
            "pre_generated_steps": list(solution.steps),
            "pre_generated_answer": solution.answer,
            "pre_generated_verifier_score": None,
        },
        "label": {
            "steps": [_step(step, label) for step, label in rated],
            "total_time": known.get("total_time"),
            "finish_reason": _finish_reason(solution),
        },
    }


def _solution(question: Row, path: list[Rated], known: Row) -> LabelledSolution:
    marked = {
        "human_steps": [i for i, step in enumerate(path) if step.is_human] or None,
        "flagged_steps": [i for i, step in enumerate(path) if step.is_flagged] or None,
    }
    return LabelledSolution(
        question=text(question, "problem"),
        steps=tuple(step.text for step in path),
        labels=tuple(step.label for step in path),
        reference_answer=optional_text(question, "ground_truth_answer"),
        metadata=metadata_json({**known, **marked}),
    )


def _step(step: str, label: bool | None) -> dict[str, Any]:
    rating = None if label is None else 1 if label else -1
    return {
        "completions": [{"text": step, "rating": rating, "flagged": None}],
        "human_completion": None,
        "chosen_completion": 0,
    }


def _finish_reason(solution: LabelledSolution) -> str | None:
    """Null where no error was found and nobody says that the answer is right."""
    if solution.first_error is not None:
        return "found_error"
    return "solution" if solution.is_correct else None
