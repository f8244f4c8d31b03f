"""How far the VTN's clock is from ours: tolerated, but told, because events begin by our own."""

from __future__ import annotations

from datetime import datetime, timedelta

from pyopenadr.clock import Clock
from pyopenadr.ven.journal import Journal

__all__ = ["Skew"]

TOLERANCE = timedelta(seconds=10)
"""A difference that is not worth a word: the network takes its time, and headers have whole seconds."""


class Skew:
    """Compares each time that the VTN tells with ours. `value` is its clock minus ours; None: not known."""

    def __init__(self, clock: Clock, journal: Journal) -> None:
        self.value: timedelta | None = None
        self._clock = clock
        self._journal = journal
        self._is_told = False

    def seen(self, date: datetime, since: datetime | None = None) -> None:
        """The VTN's clock has shown `date`, at some moment since then by ours (None: now)."""
        now = self._clock.now()
        # What lies within that time is no difference, however long the message took.
        self.value = date - min(max(date, now if since is None else since), now)
        if abs(self.value) <= TOLERANCE:
            self._is_told = False
        elif not self._is_told:
            self._is_told = True
            seconds = self.value.total_seconds()
            self._journal.warning(
                f"the VTN's clock is {abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} ours: events begin "
                "by ours, so one of the two should be set right; said once"
            )

    def created(self, instant: datetime) -> None:
        """The VTN says that it wrote something at `instant` (createdDateTime), which can't lie ahead."""
        if instant - self._clock.now() > TOLERANCE:
            self.seen(instant)
