"""What goes wrong with a request to the local Hub: chosen by a script, or at random by a seed."""

import random
import re
import threading
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An answer in place of the right one: before anything happened, or after it did."""

    status: int | None = None
    """`None`: the connection is reset."""
    is_after: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    hang_s: float = 0.0
    """Silence before the answer."""
    body: bytes | None = None
    """In place of the error's."""


@dataclass(slots=True, kw_only=True)
class Faults:
    """Scripted faults come first, each once; `rate` of all other requests fail at random."""

    script: list[tuple[str, Fault]] = field(default_factory=list)
    """Pattern of "METHOD /path" and what happens to the first request that has it."""
    rate: float = 0.0
    draw: random.Random = field(default_factory=lambda: random.Random(0))
    lock: threading.Lock = field(default_factory=threading.Lock)
    num_injected: int = 0

    def next(self, request: str) -> Fault | None:
        """What is to happen to this request."""
        with self.lock:
            fault = self._scripted(request) or self._random()
            self.num_injected += fault is not None
            return fault

    def _scripted(self, request: str) -> Fault | None:
        for number, (pattern, fault) in enumerate(self.script):
            if re.search(pattern, request):
                del self.script[number]
                return fault
        return None

    def _random(self) -> Fault | None:
        if self.draw.random() >= self.rate:
            return None
        status = self.draw.choice([500, 502, 503, 429, None])
        headers = {"Retry-After": "0"} if status == 429 else {}
        return Fault(status=status, is_after=self.draw.random() < 0.5, headers=headers)
