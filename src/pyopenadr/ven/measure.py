"""Getting values from the user's code: one report's source, or `next_report`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeGuard

import msgspec

from pyopenadr.errors import ModelError
from pyopenadr.model import DataPoint, Reading, ReportRequest, Span
from pyopenadr.model.time import as_utc
from pyopenadr.ven.handler import Caller, Handler, HandlerFailed
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.order import Offer
from pyopenadr.ven.sample import NO_VALUE, SENSOR_FAILURE, Moment, complete, placeholder, readings_of
from pyopenadr.ven.source import Feed, Recorded, Source, arguments_of, takes_r_id
from pyopenadr.ven.statistic import Statistic, condensed, intervals

__all__ = ["Measurer"]


class Measurer:
    """Asks the user's code for values. Whatever it does, there is a reading for each data point.

    `next_report` gives the handler for reports without a source, or None where there is none.
    """

    def __init__(self, caller: Caller, journal: Journal, next_report: Callable[[], Handler | None]) -> None:
        self._caller = caller
        self._journal = journal
        self._next_report = next_report

    @property
    def has_next_report(self) -> bool:
        """Whether there is a `next_report` handler."""
        return self._next_report() is not None

    async def called(
        self,
        request: ReportRequest | None,
        offer: Offer,
        points: Sequence[DataPoint],
        moment: Moment,
        patience: timedelta | None = None,
    ) -> list[Reading]:
        """The values of the points, with placeholders where the user's code has none (2.0b rule 318).

        `request` is None where nobody has asked, so that the values are only recorded.
        """
        timeout_s = patience.total_seconds() if patience is not None else None
        one = partial(self._called_point, request, offer, moment, timeout_s)
        source = offer.source
        if isinstance(source, Mapping) or (_is_function(source) and not offer.is_history and takes_r_id(source)):
            parts = await asyncio.gather(*map(one, points))
            return [reading for part in parts for reading in part]
        try:
            handler = source if _is_function(source) else self._next_report()
            if handler is None:
                raise HandlerFailed("the next_report handler was taken away")
            takes_request = source is None or offer.is_history
            answer = await self._caller.ask(handler, *([request] if takes_request else []), timeout_s=timeout_s)
            readings = complete(answer, points, moment, partial(self.complain, request, offer))
        except HandlerFailed as error:
            self.complain(request, offer, str(error))
            return [placeholder(point, moment, SENSOR_FAILURE) for point in points]
        return _within(readings, points, request, moment) if offer.is_history and request is not None else readings

    async def _called_point(
        self, request: ReportRequest | None, offer: Offer, moment: Moment, timeout_s: float | None, point: DataPoint
    ) -> list[Reading]:
        source = offer.source_of(point.r_id)
        try:
            if not _is_function(source):
                raise HandlerFailed(f"{point.r_id} has no source")
            arguments = [point.r_id] if takes_r_id(source) else []
            return readings_of(await self._caller.ask(source, *arguments, timeout_s=timeout_s), point, moment)
        except HandlerFailed as error:
            self.complain(request, offer, str(error))
            return [placeholder(point, moment, SENSOR_FAILURE)]

    async def ranged(
        self,
        request: ReportRequest,
        offer: Offer,
        points: Sequence[DataPoint],
        span: tuple[datetime, datetime],
        granularity: timedelta,
    ) -> list[Reading]:
        """The values of a whole time from functions that take `(start, end, granularity)`.

        What such a function gives for a data point is a list of `Reading`s, of pairs of time and value, which are
        condensed to the granularity (zero: not at all), or of numbers, one for each interval; or one of these for
        each rID in a mapping. Where there is nothing at all, a placeholder stands for it (2.0b rule 318).
        """
        answers: dict[tuple[int, str], object] = {}
        result: list[Reading] = []
        for point in points:
            source = offer.source_of(point.r_id)
            assert _is_function(source)
            moment = Moment(span[1], granularity or None)
            try:
                key = (id(source), point.r_id if takes_r_id(source) else "")
                if key not in answers:
                    arguments = arguments_of(source, point.r_id, *span, granularity)
                    answers[key] = await self._caller.ask(source, *arguments)
                answer = answers[key]
                part = answer.get(point.r_id) if isinstance(answer, Mapping) else answer
                statistic = offer.statistics.get(point.r_id, Statistic.LAST)
                found = spread(part, point, statistic, span, granularity)
                result += found or [placeholder(point, moment, NO_VALUE)]
            except HandlerFailed as error:
                self.complain(request, offer, str(error))
                result.append(placeholder(point, moment, SENSOR_FAILURE))
        return result

    def complain(self, request: ReportRequest | None, offer: Offer, problem: str) -> None:
        """Log what is wrong with the values of a report."""
        name = request.report_request_id if request is not None else offer.capability.report_specifier_id
        self._journal.error(f"report {name}: {problem}; reported as bad quality", extra={"request_id": name})


def _is_function(source: Source | None) -> TypeGuard[Handler]:
    return source is not None and not isinstance(source, Mapping | Feed | Recorded)


def spread(
    answer: object,
    point: DataPoint,
    statistic: Statistic,
    span: tuple[datetime, datetime],
    granularity: timedelta,
) -> list[Reading]:
    """What a function for a whole time gave for one data point, as readings of that time.

    Raises:
        HandlerFailed: it is something else.
    """
    if answer is None:
        return []
    if not isinstance(answer, Sequence) or isinstance(answer, str | bytes):
        raise HandlerFailed(
            f"{point.r_id} was given {answer!r}: give a list of Readings, of (time, value) or of numbers"
        )
    start, end = span
    pieces = list(intervals(start, end, granularity or end - start))
    readings: list[Reading] = []
    samples: list[Reading] = []
    for number, item in enumerate(answer):
        if isinstance(item, Reading):
            readings += [it for it in readings_of(item, point, Moment(end)) if start <= as_utc(it.start) < end]
        elif isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], datetime):
            (found,) = readings_of(item[1], point, Moment(end))
            at = _utc(item[0], point)
            if start <= at < end:
                samples.append(Reading(r_id=point.r_id, start=at, value=found.value, quality=found.quality))
        elif number < len(pieces):
            begin, until = pieces[number]
            (found,) = readings_of(item, point, Moment(until, until - begin))
            readings.append(msgspec.structs.replace(found, start=begin))
    samples.sort(key=lambda sample: sample.start)
    if not granularity:
        return readings + samples
    former: Reading | None = None
    for begin, until in pieces:
        inside = [sample for sample in samples if begin <= sample.start < until]
        made = condensed(point, statistic, inside, former, start=begin, end=until, hold=None) if inside else None
        readings += [made] if made is not None else []
        former = inside[-1] if inside else former
    return readings


def _utc(instant: datetime, point: DataPoint) -> datetime:
    try:
        return as_utc(instant)
    except ModelError as error:
        raise HandlerFailed(f"a value of {point.r_id}: {error}") from error


def _within(
    readings: Iterable[Reading], points: Iterable[DataPoint], request: ReportRequest, moment: Moment
) -> list[Reading]:
    """The readings of the time that a request for history is about, with a placeholder where there are none."""
    if request.start is None:
        return list(readings)
    span = Span.of(request.start, request.duration)
    kept = [reading for reading in readings if reading.start in span]
    there = {reading.r_id for reading in kept}
    for point in points:
        if point.r_id not in there:
            none = placeholder(point, moment, NO_VALUE)
            kept.append(msgspec.structs.replace(none, start=request.start))
    return kept
