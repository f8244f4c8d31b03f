"""The readings of a report that is being served: which data points are measured when, and how."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import StoreError
from pyopenadr.model import DataPoint, Reading, Span
from pyopenadr.model.time import add, total_seconds
from pyopenadr.ven.handler import HandlerFailed
from pyopenadr.ven.history import History
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.measure import Measurer
from pyopenadr.ven.order import Offer, Order, OrderBook
from pyopenadr.ven.recorder import Recorder
from pyopenadr.ven.sample import FASTEST, NO_VALUE, UNCHANGED, Moment, complete, is_interval_data, placeholder
from pyopenadr.ven.schedule import Plan
from pyopenadr.ven.source import Way
from pyopenadr.ven.statistic import Statistic, condensed, intervals

__all__ = ["Sampler"]

MOST_PAST = 20_000
"""So many readings of the past go into one report, because a message must not be larger than peers can take."""


class Sampler:
    """Measures for orders and puts the readings into the book, from which they are sent.

    Sources that are called are called at their instants. What is kept in the history, or can be asked for by time, is
    looked up when the report is due, with all intervals since the last time, so that a restart loses none.
    """

    def __init__(
        self,
        *,
        measurer: Measurer,
        recorder: Recorder,
        history: History,
        orders: OrderBook,
        clock: Clock,
        journal: Journal,
    ) -> None:
        self._measurer = measurer
        self._recorder = recorder
        self._history = history
        self._book = orders
        self._clock = clock
        self._journal = journal

    def begin(self) -> None:
        """Measure in the background from here on, if it does not already."""
        self._recorder.begin()

    # -- on its schedule -----------------------------------------------------------------------------------------

    async def period(self, order: Order, offer: Offer, plan: Plan, start: datetime, end: datetime) -> None:
        """A period has ended: ask for what was accumulated in it."""
        points = [] if plan.on_change else [point for point in _called(order, offer) if is_interval_data(point)]
        if not points or _is_past(end, order.period_to):
            return
        readings = await self._called(order, offer, points, Moment(end, end - start), plan.step)
        order.period_to = end
        self._book.sampled(order, readings)

    async def instant(self, order: Order, offer: Offer, plan: Plan, instant: datetime) -> None:
        """An instant has come: ask for what is true now."""
        points = [point for point in _called(order, offer) if plan.on_change or not is_interval_data(point)]
        kept = [point for point in _kept(order, offer) if plan.on_change]
        if not (points or kept) or _is_past(instant, order.instant_to):
            return
        readings = await self._called(order, offer, points, Moment(instant, plan.step), plan.step)
        for point in kept:
            newest, found = await self._read(point.r_id, instant, instant + timedelta(microseconds=1))
            newest = found[-1] if found else newest
            readings.append(newest if newest is not None else placeholder(point, Moment(instant), NO_VALUE))
        recorded = []
        for reading in readings:
            last = order.last.get(reading.r_id)
            if not plan.on_change or last is None or (last.value, last.quality) != (reading.value, reading.quality):
                recorded.append(reading)
            order.last[reading.r_id] = reading
        order.instant_to = instant
        self._book.sampled(order, recorded)

    async def due(self, order: Order, offer: Offer, plan: Plan, now: datetime) -> bool:
        """A report is due: get what is still missing in it. False if it has been sent before."""
        if _is_past(now, order.sent_to):
            return False
        more: list[Reading] = []
        if offer.source is None:
            more = await self._called(order, offer, order.points, Moment(now, plan.back), plan.step)
        more += await self._forecast(order, offer, now, plan.step)
        until = now if now == plan.end else plan.start + (now - plan.start) // plan.step * plan.step
        if not plan.on_change:
            more += await self._covered(order, offer, plan, until)
            if plan.at_once and now == plan.start:
                more += [await self._last(offer, point, Moment(now, plan.step)) for point in _kept(order, offer)]
        else:
            more += self._repeated(order, plan, now)
        order.sent_to, order.covered_to = now, until
        self._book.sampled(order, more)
        return True

    def _repeated(self, order: Order, plan: Plan, now: datetime) -> list[Reading]:
        """What has not changed is said once in each report (2.0b rule 317)."""
        recorded = {reading.r_id for reading in order.readings}
        return [
            msgspec.structs.replace(
                last, start=now - plan.step if last.duration is not None else now, quality=UNCHANGED
            )
            for r_id, last in order.last.items()
            if r_id not in recorded
        ]

    # -- without a schedule --------------------------------------------------------------------------------------

    async def final(self, order: Order, offer: Offer) -> None:
        """The only or the last report is due: get what is there (2.0b rules 324, 345)."""
        if order.buffer:
            return
        if offer.is_history and self._is_kept(offer):
            self._book.sampled(order, await self._past(order, offer))
            return
        moment = self.moment(order)
        readings: list[Reading] = []
        asked = order.points if offer.source is None else _called(order, offer)
        readings += await self._called(order, offer, asked, moment)
        readings += [await self._last(offer, point, moment) for point in _kept(order, offer)]
        if ranged := _ranged(order, offer):
            readings += await self._measurer.ranged(
                order.request, offer, ranged, *self._asked_for(order, offer, ranged)
            )
        readings += await self._forecast(order, offer, moment.end, moment.period or FASTEST)
        self._book.sampled(order, readings)

    async def rest(self, order: Order, offer: Offer, plan: Plan) -> None:
        """The order ends before its time: get what has not been sent of what is looked up when a report is due."""
        now = self._clock.now()
        readings = [] if plan.on_change else await self._covered(order, offer, plan, now)
        order.covered_to = now
        self._book.sampled(order, readings)

    def moment(self, order: Order) -> Moment:
        """Now, as the moment of a report that has no schedule."""
        now = self._clock.now()
        seconds = total_seconds(order.request.granularity, now)
        return Moment(now, timedelta(seconds=seconds) if seconds > 0 else None)

    def given(self, order: Order, offer: Offer, values: object) -> list[Reading]:
        """The user's values as readings.

        Raises:
            HandlerFailed: they are no values of the report.
        """

        def refuse(problem: str) -> None:
            raise HandlerFailed(problem)

        readings = complete(values, order.points, self.moment(order), refuse)
        self._keep(offer, readings)
        return readings

    def _is_kept(self, offer: Offer) -> bool:
        """Whether a report about the past is answered from the history."""
        points = offer.capability.points
        if offer.source is None:
            return not self._measurer.has_next_report
        return all(offer.way_of(point.r_id) is Way.KEPT for point in points)

    def is_automatic(self, offer: Offer) -> bool:
        """Whether its values come without the user's doing."""
        return offer.source is not None or offer.is_history or self._measurer.has_next_report

    def _asked_for(
        self, order: Order, offer: Offer, points: Sequence[DataPoint]
    ) -> tuple[tuple[datetime, datetime], timedelta]:
        """The time that a single report is about, and its granularity: of the past all, else the last interval."""
        now, request = self._clock.now(), order.request
        if offer.is_history and request.start is not None:
            return (request.start, min(now, Span.of(request.start, request.duration).end or now)), timedelta(0)
        moment = self.moment(order)
        shortest = max((total_seconds(point.min_period or FASTEST, now) for point in points), default=1.0)
        step = moment.period or timedelta(seconds=shortest)
        return (now - step, now), step

    # -- the ways ------------------------------------------------------------------------------------------------

    async def _called(
        self,
        order: Order,
        offer: Offer,
        points: Sequence[DataPoint],
        moment: Moment,
        patience: timedelta | None = None,
    ) -> list[Reading]:
        if not points:
            return []
        readings = await self._measurer.called(order.request, offer, points, moment, patience)
        if not offer.is_history:
            self._keep(offer, readings)
        return readings

    def _keep(self, offer: Offer, readings: Sequence[Reading]) -> None:
        """What was measured goes into the history; what is only expected does not."""
        points = {point.r_id: point for point in offer.capability.points}
        for reading in readings:
            if (point := points.get(reading.r_id)) is not None and _is_measured(point):
                self._history.add(reading)

    async def _covered(self, order: Order, offer: Offer, plan: Plan, until: datetime) -> list[Reading]:
        """The readings of all intervals since the last report."""
        since = order.covered_to if order.covered_to is not None else plan.start
        if since >= until:
            return []
        if (until - since) // plan.step > MOST_PAST:
            since += ((until - since) // plan.step - MOST_PAST) * plan.step
            self._journal.warning(
                f"request {order.request.report_request_id} is more than {MOST_PAST} intervals behind: "
                f"it goes on with the one from {since}; the history has the rest"
            )
        readings: list[Reading] = []
        if kept := _kept(order, offer):
            await self._recorder.settled(offer)
        for point in kept:
            readings += await self._condensed(offer, point, since, until, plan.step)
        if ranged := _ranged(order, offer):
            readings += await self._measurer.ranged(order.request, offer, ranged, (since, until), plan.step)
        return readings

    async def _condensed(
        self, offer: Offer, point: DataPoint, since: datetime, until: datetime, step: timedelta
    ) -> list[Reading]:
        """One reading for each interval. Those before the last one in which nothing was measured are left out."""
        statistic = offer.statistics.get(point.r_id, Statistic.LAST)
        former, samples = await self._read(point.r_id, since, until)
        readings = []
        position = 0
        for start, end in intervals(since, until, step):
            first = position
            while position < len(samples) and samples[position].start < end:
                position += 1
            inside = samples[first:position]
            if inside or end == until:
                made = condensed(point, statistic, inside, former, start=start, end=end, hold=offer.hold)
                reason = (inside[-1].quality if inside else None) or NO_VALUE
                readings.append(made if made is not None else placeholder(point, Moment(end, end - start), reason))
            former = inside[-1] if inside else former
        return readings

    async def _last(self, offer: Offer, point: DataPoint, moment: Moment) -> Reading:
        """What there is now, or of the period that has just ended."""
        now = moment.end
        period = moment.period or timedelta(seconds=total_seconds(point.min_period or FASTEST, now))
        if is_interval_data(point):
            await self._recorder.settled(offer)
            return (await self._condensed(offer, point, now - period, now, period))[-1]
        former, found = await self._read(point.r_id, now - period, now + timedelta(microseconds=1))
        if found:
            return found[-1]
        if former is None or (offer.hold is not None and former.start + offer.hold <= now):
            return placeholder(point, moment, NO_VALUE)
        return msgspec.structs.replace(former, start=now, quality=former.quality or UNCHANGED)

    async def _read(self, r_id: str, since: datetime, until: datetime) -> tuple[Reading | None, list[Reading]]:
        try:
            return await self._history.before(r_id, since), await self._history.between(r_id, since, until)
        except StoreError as error:
            self._journal.error(f"the history of {r_id} can't be read: {error}")
            return None, []

    async def _past(self, order: Order, offer: Offer) -> list[Reading]:
        """The history itself (2.0b rules 317, 324): its points as they are, within bounds."""
        (start, end), _ = self._asked_for(order, offer, order.points)
        if end >= self._clock.now():
            end += timedelta(microseconds=1)  # what was measured this very moment belongs to it
        readings: list[Reading] = []
        for point in order.points:
            try:
                found = await self._history.between(point.r_id, start, end, MOST_PAST)
            except StoreError as error:
                self._journal.error(f"the history of {point.r_id} can't be read: {error}")
                found = []
            none = msgspec.structs.replace(placeholder(point, Moment(end), NO_VALUE), start=start)
            readings += found or [none]
        if len(readings) > MOST_PAST:
            readings = sorted(readings, key=lambda reading: reading.start)[:MOST_PAST]
            self._journal.warning(
                f"request {order.request.report_request_id} is about more than {MOST_PAST} readings: "
                f"those after {readings[-1].start} are left out, the VTN has to ask for them separately"
            )
        return readings

    async def _forecast(self, order: Order, offer: Offer, now: datetime, step: timedelta) -> list[Reading]:
        """What is expected from now on, as far ahead as the report offers."""
        points = [point for point in order.points if _is_forecast(point) and offer.source is not None]
        ranged = [point for point in points if offer.way_of(point.r_id) is Way.RANGED]
        span = (now, add(now, offer.capability.duration))
        readings = await self._measurer.ranged(order.request, offer, ranged, span, step) if ranged else []
        called = [point for point in points if point not in ranged]
        if called:
            readings += await self._measurer.called(order.request, offer, called, Moment(now, step))
        return readings


def _is_forecast(point: DataPoint) -> bool:
    return point.reading_type == "Projected"


def _is_measured(point: DataPoint) -> bool:
    return not _is_forecast(point) and point.report_type != "baseline"


def _by_way(order: Order, offer: Offer, way: Way) -> list[DataPoint]:
    if offer.source is None:  # then it is all of them, by next_report or out of the history
        return []
    return [point for point in order.points if offer.way_of(point.r_id) is way and not _is_forecast(point)]


_called = partial(_by_way, way=Way.CALLED)
_ranged = partial(_by_way, way=Way.RANGED)
_kept = partial(_by_way, way=Way.KEPT)


def _is_past(instant: datetime, mark: datetime | None) -> bool:
    """Whether that has been done before: before a restart, or before the clock was set back."""
    return mark is not None and instant <= mark
