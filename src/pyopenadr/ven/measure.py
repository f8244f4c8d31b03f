"""Getting values from the user's code: one report's source, or `next_report`."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from functools import partial

import msgspec

from pyopenadr.model import DataPoint, Reading, ReportRequest, Span
from pyopenadr.ven.handler import Caller, Handler, HandlerFailed
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.order import Offer, Order
from pyopenadr.ven.sample import NO_VALUE, SENSOR_FAILURE, Moment, complete, placeholder, readings_of

__all__ = ["Measurer"]


class Measurer:
    """Asks the user's code for values. Whatever it does, there is a reading for each data point.

    `next_report` gives the handler for reports without a source, or None where there is none.
    """

    def __init__(self, caller: Caller, journal: Journal, next_report: Callable[[], Handler | None]) -> None:
        self._caller = caller
        self._journal = journal
        self._next_report = next_report

    async def measured(
        self,
        order: Order,
        offer: Offer,
        points: Sequence[DataPoint],
        moment: Moment,
        patience: timedelta | None = None,
    ) -> list[Reading]:
        """The values of the points, with placeholders where the user's code has none (2.0b rule 318)."""
        timeout_s = patience.total_seconds() if patience is not None else None
        if offer.source is not None and not offer.is_history and _takes_r_id(offer.source):
            one = partial(self._measured_point, order, offer.source, moment, timeout_s)
            parts = await asyncio.gather(*map(one, points))
            return [reading for part in parts for reading in part]
        handler = offer.source if offer.source is not None else self._next_report()
        try:
            if handler is None:
                raise HandlerFailed("the next_report handler was taken away")
            takes_request = offer.source is None or offer.is_history
            answer = await self._caller.ask(handler, *([order.request] if takes_request else []), timeout_s=timeout_s)
            readings = complete(answer, points, moment, partial(self.complain, order))
        except HandlerFailed as error:
            self.complain(order, str(error))
            return [placeholder(point, moment, SENSOR_FAILURE) for point in points]
        return _within(readings, points, order.request, moment) if offer.is_history else readings

    async def _measured_point(
        self, order: Order, source: Handler, moment: Moment, timeout_s: float | None, point: DataPoint
    ) -> list[Reading]:
        try:
            return readings_of(await self._caller.ask(source, point.r_id, timeout_s=timeout_s), point, moment)
        except HandlerFailed as error:
            self.complain(order, str(error))
            return [placeholder(point, moment, SENSOR_FAILURE)]

    def complain(self, order: Order, problem: str) -> None:
        """Log what is wrong with the values of a report."""
        name = order.request.report_request_id
        self._journal.error(f"report {name}: {problem}; reported as bad quality", extra={"request_id": name})


def _takes_r_id(source: Handler) -> bool:
    """Whether the source wants to be called for each data point, with its rID."""
    try:
        parameters = inspect.signature(source).parameters.values()
    except (TypeError, ValueError):  # a built-in that does not say
        return True
    return any(
        parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD, parameter.VAR_POSITIONAL)
        and parameter.default is parameter.empty
        for parameter in parameters
    )


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
