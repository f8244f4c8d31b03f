"""How much one VEN, one address and all together may ask for, before they are told to come back later."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pyopenadr.errors import ConfigError

__all__ = ["DEFAULT_RATES", "Buckets", "Rates"]

_MOST_KEYS: Final = 200_000


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Bounds for one process; what is beyond them is answered by 503 with Retry-After.

    `per_ven` and `per_address` are requests per second, on the average; None is no bound. `burst` is how many seconds'
    worth of them may come at once. `in_flight` is how many requests may be worked on at a time, `connections` how many
    may be open (more are told so, and closed), and `connections_per_address` how many of one address, or of one /64 of
    IPv6, where None is no bound; a `TrustedProxy` has as many as it likes. `retry_after_s` is when to come back.

    Raises:
        ConfigError: a bound is not positive.
    """

    per_ven: float | None = None
    per_address: float | None = None
    burst: float = 10.0
    in_flight: int = 2000
    connections: int = 50_000
    connections_per_address: int | None = 5000
    retry_after_s: int = 10

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not value > 0:
                raise ConfigError(f"rates: {name} must be positive, not {value}")


DEFAULT_RATES: Final = Rates()


class Buckets:
    """Whether each of many keeps to a rate: a bucket that fills by `rate` a second, and each request takes one out."""

    def __init__(self, rate: float | None, burst_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._size = max(1.0, rate * burst_s) if rate is not None else 0.0
        self._now = now
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, key: str) -> bool:
        """Whether there is one left for that key; if so, it is taken."""
        if self._rate is None:
            return True
        now = self._now()
        left, at = self._left.get(key, (self._size, now))
        left = min(self._size, left + (now - at) * self._rate)
        if len(self._left) >= _MOST_KEYS and key not in self._left:
            self._forget_full(now, self._rate)
        self._left[key] = (left - 1 if left >= 1 else left, now)
        return left >= 1

    def has(self, key: str) -> bool:
        """Whether there is one left for that key; none is taken."""
        if self._rate is None:
            return True
        left, at = self._left.get(key, (self._size, 0.0))
        return left + (self._now() - at) * self._rate >= 1

    def _forget_full(self, now: float, rate: float) -> None:
        """Make room: a bucket that is full again is like one that was never touched."""
        self._left = {
            key: (left, at) for key, (left, at) in self._left.items() if left + (now - at) * rate < self._size
        }
        if len(self._left) >= _MOST_KEYS:
            self._left.clear()
