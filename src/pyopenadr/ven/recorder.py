"""Measuring in the background, whether anybody has asked or not (2.0b rule 337)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

from pyopenadr.clock import Clock
from pyopenadr.errors import OpenADRError
from pyopenadr.model import DataPoint, Reading, ResourceStatus
from pyopenadr.ven.backoff import Backoff, Draw
from pyopenadr.ven.handler import HandlerFailed
from pyopenadr.ven.history import History
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.measure import Measurer
from pyopenadr.ven.order import Offer
from pyopenadr.ven.sample import NOT_CONNECTED, Moment, placeholder, readings_of
from pyopenadr.ven.schedule import sleep_until
from pyopenadr.ven.source import Feed
from pyopenadr.ven.task import Crew

__all__ = ["Recorder"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Recorder:
    """Fills the history: calls the sources that are to be sampled, and listens to those that tell by themselves."""

    def __init__(
        self, *, crew: Crew, clock: Clock, draw: Draw, journal: Journal, measurer: Measurer, history: History
    ) -> None:
        self._crew = crew
        self._clock = clock
        self._draw = draw
        self._journal = journal
        self._measurer = measurer
        self._history = history
        self._offers: list[Offer] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._busy: dict[str, asyncio.Lock] = {}

    def add(self, offer: Offer) -> None:
        """Fill the history for that report, too."""
        self._offers.append(offer)
        if self._tasks:
            self.begin()

    def begin(self) -> None:
        """Start what does not run yet."""
        self._history.begin()
        for offer in self._offers:
            specifier = offer.capability.report_specifier_id
            if offer.sample_every is not None:
                self._start(specifier, self._sample(offer, offer.sample_every))
            for point in offer.capability.points:
                if isinstance(feed := offer.source_of(point.r_id), Feed):
                    self._start(f"{specifier} {point.r_id}", self._listen(feed, point))

    def _start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        if (task := self._tasks.get(name)) is not None and not task.done():
            work.close()
        else:
            self._tasks[name] = self._crew.spawn(work, f"measuring {name}")

    def value(self, r_id: str, value: object, at: datetime | None = None) -> None:
        """Record what the user has measured, now or at the time given.

        Raises:
            HandlerFailed: it is no value of that data point, or no report has such a data point.
        """
        points = (offer.capability.point(r_id) for offer in self._offers)
        point = next((point for point in points if point is not None), None)
        if point is None:
            raise HandlerFailed(f"no report has a data point {r_id!r}: declare it by add_report first")
        self._note(point, value, at)

    def _note(self, point: DataPoint, value: object, at: datetime | None = None) -> None:
        start = at if at is not None else self._clock.now()
        if not isinstance(value, Reading) and (value is None or isinstance(value, int | float | ResourceStatus)):
            (found,) = readings_of(value, point, Moment(start))
            self._history.add(_sample(found, start))
            return
        raise HandlerFailed(f"the value of {point.r_id} is {value!r}: give a number, a ResourceStatus or None")

    async def settled(self, offer: Offer) -> None:
        """Wait until the samples that are being taken are in the history."""
        async with self._lock(offer):
            return

    def _lock(self, offer: Offer) -> asyncio.Lock:
        return self._busy.setdefault(offer.capability.report_specifier_id, asyncio.Lock())

    async def _sample(self, offer: Offer, every: timedelta) -> None:
        """Samples lie on a grid of time that is the same after a restart; those that are missed are left out."""
        points = offer.capability.points
        instant = _grid(self._clock.now(), every)
        while True:
            await sleep_until(self._clock, instant)
            async with self._lock(offer):
                for reading in await self._measurer.called(None, offer, points, Moment(instant, every), every):
                    self._history.add(_sample(reading, instant))
            instant = max(instant + every, _grid(self._clock.now(), every))

    async def _listen(self, feed: Feed, point: DataPoint) -> None:
        backoff = Backoff(self._draw)

        def record(value: float | ResourceStatus | Exception | None) -> None:
            backoff.reset()
            try:
                if isinstance(value, Exception):
                    raise HandlerFailed(f"the feed of {point.r_id}: {value}")
                self._note(point, value)
            except HandlerFailed as error:
                self._journal.error(f"{error}; reported as bad quality")
                self._note(point, None)

        while True:
            problem = "it ended"
            try:
                await feed.run(record)
            except OpenADRError as error:
                problem = str(error)
            except Exception as error:  # noqa: BLE001 - it is the user's code, which may raise anything
                problem = f"it raised {type(error).__name__}: {error}"
            now = self._clock.now()
            self._history.add(_sample(placeholder(point, Moment(now), NOT_CONNECTED), now))
            wait = backoff.next(None)
            self._journal.warning(f"the feed of {point.r_id} is started again in {wait:.1f} s: {problem}")
            await self._clock.sleep(wait)


def _grid(now: datetime, every: timedelta) -> datetime:
    """The first instant from `now` on that is a whole number of times `every` after 1970."""
    return _EPOCH - (_EPOCH - now) // every * every


def _sample(reading: Reading, at: datetime) -> Reading:
    """The value as a sample; only the reading that is made of samples may have a duration."""
    return Reading(r_id=reading.r_id, start=at, value=reading.value, quality=reading.quality)
