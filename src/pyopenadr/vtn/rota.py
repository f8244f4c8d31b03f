"""Whose turn it is: work for very many VENs, a bounded number at a time, so that no slow one delays the others.

A VEN for which there is nothing to do costs nothing: no task, no timer, no entry.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from pyopenadr.clock import Clock

__all__ = ["Failure", "Random", "Rota"]

log = logging.getLogger("pyopenadr.vtn")

FIRST_WAIT_S, MOST_WAIT_S = 1.0, 120.0
"""The wait after the first failure, and the longest. Each further failure doubles it, and a tenth is left to chance."""

MOST_RETRY_AFTER_S = 3600.0
"""The longest wait that a VEN can ask for."""

SLOW_S = 1.0
"""Work that takes longer, in seconds of the machine's clock, no longer takes a place from that which is quick."""


class Random(Protocol):
    """Where chance comes from; a `random.Random` does."""

    def random(self) -> float:
        """A number from 0.0 to just below 1.0."""
        ...


class Failure(msgspec.Struct, frozen=True):
    """The work for a VEN failed. `lasting`: another try soon is of no use. `retry_after_s`: what the VEN asked for.

    `ours`: the VEN has nothing to do with it.
    """

    reason: str
    lasting: bool = False
    retry_after_s: float | None = None
    ours: bool = False


class _Trouble(msgspec.Struct):
    """A VEN for which the work has failed `times` times in a row, at first by its own fault at `since`."""

    since: datetime | None = None
    times: int = 0


class Rota:
    """Calls `work(ven_id)` for each VEN that is to be served, one call at a time for each.

    `work` returns None if all is done, an instant at which to call again, or a `Failure`, which is followed by another
    try after a while; meanwhile `call` for that VEN changes nothing, but `relieve` does. `on_failure(ven_id, since)`
    hears of each failure of a VEN and when the row of them began.

    At most `places` calls are quick and at most `places * 4` slow at the same time. A call becomes slow when it takes
    long, and a VEN that has failed before begins as slow: so those that are dead take no place from the others.
    """

    def __init__(
        self,
        work: Callable[[str], Awaitable[datetime | Failure | None]],
        on_failure: Callable[[str, datetime], None],
        *,
        clock: Clock,
        draw: Random,
        places: int,
    ) -> None:
        self._work = work
        self._on_failure = on_failure
        self._clock = clock
        self._draw = draw
        self._quick_places, self._slow_places = places, places * 4
        self._due: dict[str, None] = {}
        self._trials: dict[str, None] = {}
        self._later: list[tuple[datetime, int, str]] = []
        self._at: dict[str, datetime] = {}
        self._numbers = itertools.count()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._slow: set[str] = set()
        self._again: set[str] = set()
        self._troubles: dict[str, _Trouble] = {}
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at: datetime | None = None

    @property
    def troubled(self) -> int:
        """For how many VENs the last call failed."""
        return len(self._troubles)

    def call(self, ven_id: str) -> None:
        """Serve the VEN as soon as there is a place."""
        if ven_id in self._running:
            self._again.add(ven_id)
        elif ven_id not in self._troubles:
            self._at.pop(ven_id, None)
            self._due[ven_id] = None
            self._fill()

    def relieve(self, ven_id: str) -> None:
        """The VEN shows signs of life: where it is in trouble, try it at once."""
        if self._troubles.pop(ven_id, None) is not None:
            self._trials.pop(ven_id, None)
            self.call(ven_id)

    async def stop(self) -> None:
        """End the work that is under way, and forget everything."""
        tasks = [*self._running.values(), *([self._alarm] if self._alarm is not None else [])]
        self._due.clear()
        self._trials.clear()
        self._later.clear()
        self._at.clear()
        self._troubles.clear()
        self._quick_places = self._slow_places = 0  # nothing begins any more
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _fill(self) -> None:
        while self._due and len(self._running) - len(self._slow) < self._quick_places:
            self._begin(_first(self._due))
        while self._trials and len(self._slow) < self._slow_places:
            ven_id = _first(self._trials)
            self._slow.add(ven_id)
            self._begin(ven_id)

    def _begin(self, ven_id: str) -> None:
        self._again.discard(ven_id)
        task = asyncio.create_task(self._serve(ven_id), name=f"pyopenadr push {ven_id}")
        self._running[ven_id] = task
        alarm = asyncio.get_running_loop().call_later(SLOW_S, self._note_slow, ven_id)

        def end(_: asyncio.Task[None]) -> None:
            # Here and not in `_serve`: a task that is cancelled before its first step runs none of its code.
            alarm.cancel()
            del self._running[ven_id]
            self._slow.discard(ven_id)
            if ven_id in self._again:
                self._again.discard(ven_id)
                self.call(ven_id)
            self._fill()

        task.add_done_callback(end)

    def _note_slow(self, ven_id: str) -> None:
        if len(self._slow) < self._slow_places:
            self._slow.add(ven_id)
            self._fill()

    async def _serve(self, ven_id: str) -> None:
        try:
            outcome = await self._work(ven_id)
        except Exception:  # a bug or a broken store must not end the service of this VEN for good
            log.exception("serving VEN %s failed; trying again later", ven_id)
            outcome = Failure("the server failed", ours=True)
        if isinstance(outcome, Failure):
            self._note_failure(ven_id, outcome)
            return
        self._troubles.pop(ven_id, None)
        if outcome is not None and ven_id not in self._again:
            self._call_at(ven_id, outcome)

    def _note_failure(self, ven_id: str, failure: Failure) -> None:
        now = self._clock.now()
        trouble = self._troubles.setdefault(ven_id, _Trouble())
        # The exponent is bounded: a VEN may be away for months.
        wait = MOST_WAIT_S if failure.lasting else min(MOST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(trouble.times, 20))
        wait *= 0.9 + 0.2 * self._draw.random()
        wait = max(wait, min(failure.retry_after_s or 0.0, MOST_RETRY_AFTER_S))
        trouble.times += 1
        what = "can't be pushed to" if failure.ours else "can't be reached"
        log.warning("VEN %s %s: %s; next try in %.1f s", ven_id, what, failure.reason, wait)
        self._call_at(ven_id, now + timedelta(seconds=wait))
        if not failure.ours:
            trouble.since = trouble.since or now
            self._on_failure(ven_id, trouble.since)

    # --- later ------------------------------------------------------------------------------------------------------

    def _call_at(self, ven_id: str, when: datetime) -> None:
        self._at[ven_id] = when
        heapq.heappush(self._later, (when, next(self._numbers), ven_id))
        if len(self._later) > 2 * len(self._at) + 100:  # most are of no account any more
            self._later = [entry for entry in self._later if self._at.get(entry[2]) == entry[0]]
            heapq.heapify(self._later)
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Wake up when the first of those that are to be called later is due."""
        if not self._later or (self._alarm_at is not None and self._alarm_at <= self._later[0][0]):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = self._later[0][0]
        self._alarm = asyncio.create_task(self._ring(self._alarm_at), name="pyopenadr push later")

    async def _ring(self, when: datetime) -> None:
        await self._clock.sleep((when - self._clock.now()).total_seconds())
        self._alarm = self._alarm_at = None
        now = self._clock.now()
        while self._later and self._later[0][0] <= now:
            due, _, ven_id = heapq.heappop(self._later)
            if self._at.get(ven_id) != due:
                continue
            del self._at[ven_id]
            if ven_id in self._running:
                self._again.add(ven_id)
            else:
                (self._trials if ven_id in self._troubles else self._due)[ven_id] = None
        self._fill()
        self._set_alarm()


def _first(waiting: dict[str, None]) -> str:
    """Take the first one."""
    ven_id = next(iter(waiting))
    del waiting[ven_id]
    return ven_id
