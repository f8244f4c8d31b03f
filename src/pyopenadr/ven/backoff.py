"""How long to wait after a failure: truncated binary exponential back-off with jitter."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Backoff", "Draw"]

MOST_RETRY_AFTER_S = 3600.0
"""The longest wait that a peer's Retry-After can ask for."""


class Draw(Protocol):
    """Where random numbers come from; a `random.Random` does."""

    def random(self) -> float:
        """A number from 0.0 to just below 1.0."""
        ...

    def getrandbits(self, k: int, /) -> int:
        """A number of `k` random bits."""
        ...


class Backoff:
    """Waits that double from `first_s` up to `most_s`, each shifted by up to 10 % at random."""

    def __init__(self, draw: Draw, *, first_s: float = 1.0, most_s: float = 60.0) -> None:
        self.most_s = most_s
        self._draw = draw
        self._first_s = first_s
        self._failures = 0

    def next(self, retry_after_s: float | None = None) -> float:
        """The seconds to wait now, at least as long as the peer asked for."""
        # The exponent is bounded too: 2.0 ** 2000 is an error, and a VTN can be away for months.
        wait = min(self.most_s, self._first_s * 2.0 ** min(self._failures, 40))
        self._failures += 1
        wait *= 0.9 + 0.2 * self._draw.random()
        return max(wait, min(retry_after_s or 0.0, MOST_RETRY_AFTER_S))

    def reset(self) -> None:
        """All is well again: the next failure starts with the first wait."""
        self._failures = 0
