"""Chains in a line: how many of K rollouts were right, prefix by prefix."""

from factory.core.chain import Chain, Counts

K = 20


def counts(score: float | None, num_rollouts: int = K) -> Counts:
    """The counts of an MC score; `None` is a prefix without rollouts."""
    if score is None:
        return Counts()
    num_correct = round(score * num_rollouts)
    return Counts(num_rollouts=num_rollouts, num_correct=num_correct, num_issued=num_rollouts)


def chain(root: float | None, scores: list[float | None], is_correct: bool | None = None) -> Chain:
    """A chain with these MC scores."""
    steps = tuple(counts(score) for score in scores)
    return Chain(root=counts(root), steps=steps, is_correct=is_correct)
