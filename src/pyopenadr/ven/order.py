"""What the VTN wants to know: each request with its offer, how far it has been served, and what waits to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from pyopenadr.model import Capability, DataPoint, Reading, ReportRequest, Span
from pyopenadr.ven.source import Single, Source, Way, way_of
from pyopenadr.ven.state import Ledger
from pyopenadr.ven.statistic import Statistic

__all__ = ["Offer", "Order", "OrderBook"]


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A report that we can deliver, and the user's code that has the values (None: see `Reporter`).

    `sample_every`: the source is called in the background, and `statistics` says what is made of its values in each
    interval, by rID.
    """

    capability: Capability
    source: Source | None = None
    sample_every: timedelta | None = None
    statistics: Mapping[str, Statistic] = {}

    @property
    def is_history(self) -> bool:
        """Whether it is about the past, so that its source is asked once and for all."""
        return self.capability.report_name.startswith("HISTORY_")

    def source_of(self, r_id: str) -> Single | None:
        """The source of one data point."""
        return self.source.get(r_id) if isinstance(self.source, Mapping) else self.source

    def way_of(self, r_id: str) -> Way:
        """How the values of a data point are got."""
        source = self.source_of(r_id)
        if source is None:
            return Way.CALLED
        return Way.KEPT if self.sample_every is not None else way_of(source)

    @property
    def hold(self) -> timedelta | None:
        """How long a recorded value holds if none follows (None: without end)."""
        return 2 * self.sample_every if self.sample_every is not None else None


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an order; the readings have rows of their own."""

    request: ReportRequest
    begun: datetime | None
    finishing: bool
    period_to: datetime | None
    instant_to: datetime | None
    sent_to: datetime | None
    last: dict[str, Reading]
    covered_to: datetime | None = None


class _Samples(msgspec.Struct, frozen=True, kw_only=True):
    """Readings that have been taken and not been sent."""

    order: str
    readings: tuple[Reading, ...]


class Order:
    """A request of the VTN that is being served. `offer` is None if it asks for METADATA.

    `begun` is when serving it began, `finishing` whether one last report is due. `period_to`, `instant_to` and
    `sent_to` say until when it has been sampled and sent, so that a restart does nothing twice, and `covered_to` up to
    when readings have been made of the history. `last` are the last readings by rID.
    """

    def __init__(self, request: ReportRequest, offer: Offer | None = None) -> None:
        self.request = request
        self.offer = offer
        self.begun: datetime | None = None
        self.finishing = False
        self.period_to: datetime | None = None
        self.instant_to: datetime | None = None
        self.sent_to: datetime | None = None
        self.covered_to: datetime | None = None
        self.last: dict[str, Reading] = {}
        self.buffer: dict[str, tuple[Reading, ...]] = {}
        self.task: asyncio.Task[None] | None = None

    @property
    def points(self) -> list[DataPoint]:
        """The data points that are asked for."""
        points = self.offer.capability.points if self.offer is not None else ()
        return [point for point in points if point.r_id in self.request.r_ids]

    @property
    def readings(self) -> list[Reading]:
        """What waits to be sent."""
        return [reading for some in self.buffer.values() for reading in some]

    def is_over(self, now: datetime) -> bool:
        """Whether its time is up."""
        end = Span.of(self.request.start, self.request.duration).end if self.request.start is not None else None
        return end is not None and now >= end and not self.request.is_one_shot


class OrderBook:
    """The orders there are, by reportRequestID, in memory and in the ledger."""

    def __init__(self, ledger: Ledger, new_id: Callable[[], str]) -> None:
        self.orders: dict[str, Order] = {}
        self._ledger = ledger
        self._new_id = new_id
        for name, row in ledger.load("order", _Row).items():
            order = self.orders[name] = Order(row.request)
            order.begun, order.finishing = row.begun, row.finishing
            order.period_to, order.instant_to, order.sent_to = row.period_to, row.instant_to, row.sent_to
            order.last, order.covered_to = row.last, row.covered_to
        for name, samples in ledger.load("sample", _Samples).items():
            if samples.order in self.orders:
                self.orders[samples.order].buffer[name] = samples.readings

    def note(self, order: Order) -> None:
        """Keep the order as it is now."""
        row = _Row(
            request=order.request,
            begun=order.begun,
            finishing=order.finishing,
            period_to=order.period_to,
            instant_to=order.instant_to,
            sent_to=order.sent_to,
            last=order.last,
            covered_to=order.covered_to,
        )
        self.orders[order.request.report_request_id] = order
        self._ledger.put("order", order.request.report_request_id, row)

    def sampled(self, order: Order, readings: Sequence[Reading]) -> None:
        """Keep readings that were taken, and the order with how far that has got it."""
        if self.orders.get(order.request.report_request_id) is not order:
            return  # the VTN has taken it back while the user's code was measuring
        if readings:
            name = self._new_id()
            order.buffer[name] = tuple(readings)
            self._ledger.put("sample", name, _Samples(order=order.request.report_request_id, readings=tuple(readings)))
        self.note(order)

    def emptied(self, order: Order) -> list[Reading]:
        """Take out what waits to be sent."""
        readings = order.readings
        for name in order.buffer:
            self._ledger.drop("sample", name)
        order.buffer.clear()
        return readings

    def remove(self, order: Order) -> None:
        """The order is over, and what waits for it is dropped."""
        name = order.request.report_request_id
        self.emptied(order)
        if self.orders.get(name) is order:
            del self.orders[name]
            self._ledger.drop("order", name)
