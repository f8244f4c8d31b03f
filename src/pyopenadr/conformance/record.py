"""Every exchange of a run, and which of them belong to the check that is being made."""

from __future__ import annotations

from pyopenadr.clock import Clock
from pyopenadr.conformance.check import Exchange, Side

__all__ = ["Record"]

_MOST = 12
"""How many exchanges are kept as the evidence of one check."""


class Record:
    """The exchanges in their order."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: list[Exchange] = []
        self._mark = 0

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, by: Side, request: str, sent: bytes, status: int, received: bytes) -> Exchange:
        """Note one exchange."""
        made = Exchange(
            number=len(self._kept) + 1,
            at=self._clock.now(),
            by=by,
            request=request,
            sent=sent,
            status=status,
            received=received,
        )
        self._kept.append(made)
        return made

    def mark(self) -> None:
        """A new check begins."""
        self._mark = len(self._kept)

    def since_mark(self) -> tuple[Exchange, ...]:
        """What has been exchanged in this check, the last of it where it is much."""
        return tuple(self._kept[self._mark :][-_MOST:])
