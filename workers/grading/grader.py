"""The answer grader: is this answer the reference answer, and if that cannot be told, why not.

math-verify decides, in processes that are killed at a deadline; spelling, exact arithmetic and a
cache spare it most pairs. Its own timeouts are switched off: they use a signal that works on the
main thread only, in whole seconds, and turn "could not tell" into "wrong".

Known wrong verdicts of math-verify 0.9, kept as they are:
- wrongly correct: values closer than `float_rounding` decimals when one is a decimal (0.0000001 and
  0.0000002), or closer than 15 digits when both are formulas (1/2^{99} and 1/2^{98}); sequences
  with dots ("1,2,..,n" and "1,3,5,..").
- wrongly wrong: i and \\sqrt{-1}, 6.02e23, e^{i\\pi} and -1, "8 000". Tidying cures `42.`, `90°`
  and `\\varnothing`.
- not symmetric: the answer (1,2) fits the reference 1<x<2, and not the other way round.
"""

import asyncio
import threading
from collections import Counter, OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.metadata import version

from schemas.records import Verdict
from workers.grading.exact import TIDY_VERSION, is_equal, number, tidy
from workers.grading.pool import Limits, Pool

GRADER_VERSION = " ".join(
    [f"{name} {version(name)}" for name in ("math-verify", "latex2sympy2_extended", "sympy")]
    + [f"tidy {TIDY_VERSION}"]
)
"""Everything whose change may change a verdict, beside the settings."""

_tidy = lru_cache(maxsize=2**13)(tidy)
_number = lru_cache(maxsize=2**13)(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraderSettings:
    """The first three may change verdicts and belong in an output's digest."""

    normalise: bool = True
    """Off: every decided verdict is the one that bare math-verify gives."""
    float_rounding: int = 6
    """Decimals that must agree where either side is a decimal number."""
    max_length: int = 2000
    """Characters; a longer answer, or an answer to a longer reference, is TOO_LONG."""
    deadline_s: float = 3.0
    """Of processor time: a busy machine or one that stands still changes no verdict."""
    memory_bytes: int = 2 << 30
    """Address space of one worker, about 0.1 GiB of it there from the start."""
    num_processes: int = 2
    cache_size: int = 100_000
    """Pairs."""

    def __post_init__(self) -> None:
        for name in ("max_length", "deadline_s", "memory_bytes", "num_processes", "cache_size"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, it must be above 0")
        if not 0 <= self.float_rounding <= 15:
            raise ValueError(f"float_rounding is {self.float_rounding}, it must be 0 to 15")


@dataclass(frozen=True, slots=True, kw_only=True)
class GraderStats:
    """Answers since the grader was made, each counted in one of the next three."""

    num_fast: int = 0
    """Decided by spelling, length or arithmetic."""
    num_cached: int = 0
    """Decided by a check made for another answer with the same spelling."""
    num_checked: int = 0
    """Sent to a process."""
    num_timeouts: int = 0
    """Checks ended at the deadline."""
    num_deaths: int = 0
    """Workers killed by something other than the deadline; their pairs were tried once more."""

    @property
    def num_answers(self) -> int:
        """Answers asked about."""
        return self.num_fast + self.num_cached + self.num_checked


@dataclass(frozen=True, slots=True)
class _LookUp:
    """What is known of a call's distinct answers at once, and what is being checked."""

    verdicts: dict[str | None, Verdict]
    pending: dict[str, Future[Verdict]]


class Grader:
    """Grades answers from any thread or event loop. No process runs until one is needed."""

    def __init__(self, settings: GraderSettings | None = None) -> None:
        self.settings = settings or GraderSettings()
        self._pool = Pool(
            self.settings.num_processes,
            Limits(
                deadline_s=self.settings.deadline_s,
                memory_bytes=self.settings.memory_bytes,
                float_rounding=self.settings.float_rounding,
            ),
        )
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[str, str], Verdict] = OrderedDict()
        self._pending: dict[tuple[str, str], Future[Verdict]] = {}
        self._stats = GraderStats()

    async def grade(self, gold: str, answers: Sequence[str | None]) -> list[Verdict]:
        """One verdict per answer to the reference answer `gold`; `None` is NO_ANSWER.

        Raises GradingBroken when processes are needed and cannot be had.
        """
        found = self._look_up(gold, answers)
        for answer, future in found.pending.items():
            found.verdicts[answer] = await asyncio.wrap_future(future)
        return [found.verdicts[answer] for answer in answers]

    def grade_now(self, gold: str, answers: Sequence[str | None]) -> list[Verdict]:
        """`grade` for callers that may wait."""
        found = self._look_up(gold, answers)
        for answer, future in found.pending.items():
            found.verdicts[answer] = future.result()
        return [found.verdicts[answer] for answer in answers]

    def unparsable(self, golds: Sequence[str]) -> list[bool]:
        """Which reference answers cannot be graded against: not even they themselves fit them.

        That is so when math-verify can make nothing of them, or not within the limits. Plain
        numbers are let through without a process.
        """
        texts = {g: self._text(g) for g in golds if g.strip() and not self._is_too_long(g)}
        fine = {text for text in texts.values() if _number(text) is not None}
        asked = {text: self._pool.submit(text, [text])[0] for text in {*texts.values()} - fine}
        fine |= {text for text, future in asked.items() if future.result() is Verdict.CORRECT}
        return [texts.get(gold) not in fine for gold in golds]

    @property
    def stats(self) -> GraderStats:
        """A snapshot."""
        return replace(self._stats, num_deaths=self._pool.num_deaths)

    def close(self) -> None:
        """Ends the processes. Grading goes on only as far as none is needed."""
        self._pool.close()

    def _look_up(self, gold: str, answers: Sequence[str | None]) -> _LookUp:
        found = _LookUp({}, {})
        counts = Counter(answers)
        gold_text = self._text(gold)
        fast = cached = checked = 0
        missing: dict[str, list[str]] = {}
        with self._lock:
            for answer, count in counts.items():
                verdict, text = self._fast(gold_text, answer)
                if verdict is not None:
                    found.verdicts[answer] = verdict
                    fast += count
                    continue
                assert answer is not None
                cached += count
                key = (gold_text, text)
                if (known := self._cache.get(key)) is not None:
                    self._cache.move_to_end(key)
                    found.verdicts[answer] = known
                elif (pending := self._pending.get(key)) is not None:
                    found.pending[answer] = pending
                else:
                    missing.setdefault(text, []).append(answer)
            if missing:
                futures = self._pool.submit(gold_text, list(missing))
                for (text, spelt), future in zip(missing.items(), futures, strict=True):
                    self._pending[gold_text, text] = future
                    found.pending.update(dict.fromkeys(spelt, future))
                checked = len(missing)
            self._stats = replace(
                self._stats,
                num_fast=self._stats.num_fast + fast,
                num_cached=self._stats.num_cached + cached - checked,
                num_checked=self._stats.num_checked + checked,
            )
        for text in missing:
            self._settle_later((gold_text, text))
        return found

    def _fast(self, gold: str, answer: str | None) -> tuple[Verdict | None, str]:
        """The verdict if it needs no check, and the answer as a check would see it."""
        if answer is None:
            return Verdict.NO_ANSWER, ""
        if self._is_too_long(answer) or self._is_too_long(gold):
            return Verdict.TOO_LONG, ""
        text = self._text(answer)
        if not text.strip():
            return Verdict.NO_ANSWER, text
        if self.settings.normalise and text == gold:
            return Verdict.CORRECT, text
        is_right = None
        if (g := _number(gold)) is not None and (a := _number(text)) is not None:
            is_right = is_equal(g, a, self.settings.float_rounding)
        if is_right is None:
            return None, text
        return Verdict.CORRECT if is_right else Verdict.WRONG, text

    def _settle_later(self, key: tuple[str, str]) -> None:
        """Once checked, a pair moves to the cache. An error is not kept: it may be tried again."""

        def settle(future: Future[Verdict]) -> None:
            with self._lock:
                self._pending.pop(key, None)
                if future.exception() is not None or future.result() is Verdict.ERROR:
                    return
                self._cache[key] = future.result()
                if len(self._cache) > self.settings.cache_size:
                    self._cache.popitem(last=False)
                if future.result() is Verdict.TIMEOUT:
                    self._stats = replace(self._stats, num_timeouts=self._stats.num_timeouts + 1)

        self._pending[key].add_done_callback(settle)

    def _text(self, text: str) -> str:
        if self._is_too_long(text):
            return text
        return _tidy(text) if self.settings.normalise else text

    def _is_too_long(self, text: str) -> bool:
        return len(text) > self.settings.max_length
