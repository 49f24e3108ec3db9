"""Rates of a running stage from readings of its counters."""

from collections import deque
from dataclasses import dataclass, field

from factory.watching.status import Rates
from workers.tally import WorkerCounts

WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class _Reading:
    at_s: float
    tokens: int
    rollouts: int


@dataclass(slots=True)
class RateMeter:
    """Tokens and rollouts over the last minute; groups since the first token was seen.

    Starting engines is part of no rate. Groups end in batches, so their rate is a mean over all
    of the stage's work.
    """

    _readings: deque[_Reading] = field(default_factory=deque)
    _began_s: float | None = None

    def read(self, total: WorkerCounts, now_s: float) -> Rates:
        """The rates, with this reading among those they are made from."""
        tokens, rollouts = total.engine.num_generated_tokens, total.program.num_rollouts
        if self._began_s is None and (tokens or total.num_groups or total.num_in_flight):
            self._began_s = now_s
        if self._began_s is None:
            return Rates()
        self._readings.append(_Reading(now_s, tokens, rollouts))
        while len(self._readings) > 2 and now_s - self._readings[1].at_s >= WINDOW_S:
            self._readings.popleft()
        first = self._readings[0]
        over_s, worked_s = now_s - first.at_s, now_s - self._began_s
        if over_s <= 0:
            return Rates()
        return Rates(
            tokens_per_s=(tokens - first.tokens) / over_s,
            rollouts_per_s=(rollouts - first.rollouts) / over_s,
            groups_per_s=total.num_groups / worked_s if worked_s > 0 else None,
        )
