"""The VEN as a source of reports: what it offers, what the VTN has asked for, and how that is delivered."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from types import MappingProxyType

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import LocalProtocolError, ModelError, OpenADRError, PeerRefused, ProtocolError
from pyopenadr.model import Capability, DataPoint, Reading, ReportRequest, Span
from pyopenadr.model.time import total_seconds
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge import lift_request, lower_capability, lower_readings
from pyopenadr.v2.faults import fault, response
from pyopenadr.v2.vtn import check_request
from pyopenadr.ven.backoff import Backoff, Draw
from pyopenadr.ven.handler import Caller, Handler, HandlerFailed
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.outbox import Letter, Outbox, may_succeed_later
from pyopenadr.ven.sample import (
    NO_VALUE,
    SENSOR_FAILURE,
    UNCHANGED,
    Moment,
    complete,
    is_interval_data,
    placeholder,
    readings_of,
)
from pyopenadr.ven.schedule import Plan, follow, plan_of
from pyopenadr.ven.session import Session, asks_to_register
from pyopenadr.ven.task import Crew

__all__ = ["Offer", "Reporter"]


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A report that we can deliver, and the user's code that has the values (None: see `Reporter`)."""

    capability: Capability
    source: Handler | None = None

    @property
    def is_history(self) -> bool:
        """Whether it is about the past, so that its source is asked once and for all."""
        return self.capability.report_name.startswith("HISTORY_")


class _Order:
    """A request of the VTN that is being served. `offer` is None if it asks for METADATA."""

    def __init__(self, request: ReportRequest, offer: Offer | None) -> None:
        self.request = request
        self.offer = offer
        self.buffer: list[Reading] = []
        self.last: dict[str, Reading] = {}
        self.task: asyncio.Task[None] | None = None

    @property
    def points(self) -> list[DataPoint]:
        """The data points that are asked for."""
        points = self.offer.capability.points if self.offer is not None else ()
        return [point for point in points if point.r_id in self.request.r_ids]

    def is_over(self, now: datetime) -> bool:
        """Whether its time is up."""
        end = Span.of(self.request.start, self.request.duration).end if self.request.start is not None else None
        return end is not None and now >= end and not self.request.is_one_shot


class Reporter:
    """Offers reports and delivers them.

    The values come from the offer's own source, sample by sample; where it has none, from `next_report`, which is
    asked each time a report is due; where there is none either, from the user, who calls `update` when he likes.
    """

    def __init__(
        self,
        *,
        session: Session,
        outbox: Outbox,
        caller: Caller,
        crew: Crew,
        clock: Clock,
        draw: Draw,
        journal: Journal,
        ven_id: Callable[[], str],
        next_report: Callable[[], Handler | None],
        on_lost: Callable[[OpenADRError], None],
    ) -> None:
        self.offers: dict[str, Offer] = {}
        self._session = session
        self._outbox = outbox
        self._caller = caller
        self._crew = crew
        self._clock = clock
        self._draw = draw
        self._journal = journal
        self._ven_id = ven_id
        self._next_report = next_report
        self._on_lost = on_lost
        self._orders: dict[str, _Order] = {}

    # -- what there is -------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What is offered."""
        return tuple(offer.capability for offer in self.offers.values())

    @property
    def requests(self) -> Mapping[str, ReportRequest]:
        """What the VTN has asked for and has yet to get, by reportRequestID."""
        now = self._clock.now()
        for name in [name for name, order in self._orders.items() if order.task is None and order.is_over(now)]:
            del self._orders[name]
        return MappingProxyType({name: order.request for name, order in self._orders.items()})

    # -- METADATA ------------------------------------------------------------------------------------------------

    async def register(
        self, report_request_id: str | None = None
    ) -> wire.OadrRegisteredReport | wire.OadrResponse | None:
        """Tell the VTN everything we can report (2.0b rules 301, 305, 309), and take what it asks for in its reply.

        That ends whatever it had asked for before, except periodic METADATA (rule 306).
        """
        now = self._clock.now()
        replaced = [order for order in self._orders.values() if order.offer is not None]
        message = wire.OadrRegisterReport(
            request_id=self._session.new_id(),
            reports=tuple(
                lower_capability(msgspec.structs.replace(capability, created_date_time=now))
                for capability in self.capabilities
            ),
            ven_id=self._ven_id(),
            report_request_id=report_request_id,
        )
        reply = await self._session.tell("EiReport", message, wire.OadrRegisteredReport)
        for order in replaced:
            self._remove(order)
        if isinstance(reply, wire.OadrRegisteredReport) and reply.report_requests:
            await self.take(reply.report_requests, reply.response.request_id or message.request_id)
        return reply

    async def take(self, requests: Sequence[wire.ReportRequest], request_id: str) -> None:
        """Accept or refuse what the VTN asks for, tell it so, and begin (2.0b rules 300, 304, 329, 340)."""
        accepted: list[_Order] = []
        answer = response(request_id)
        try:
            accepted = self._judged(requests)
        except (ModelError, ProtocolError) as error:
            self._journal.warning(f"a report request is refused: {error}", extra={"request_id": request_id})
            answer = fault(error, request_id)
        for order in accepted:
            if (former := self._orders.get(order.request.report_request_id)) is not None:
                self._remove(former)  # only METADATA may take over an ID
            self._orders[order.request.report_request_id] = order
        created = wire.OadrCreatedReport(response=answer, pending_reports=tuple(self.requests), ven_id=self._ven_id())
        try:
            await self._outbox.deliver(
                Letter(service="EiReport", subject="the answer to a report request", build=lambda: created)
            )
        finally:
            for order in accepted:
                self._begin(order)

    def _judged(self, requests: Sequence[wire.ReportRequest]) -> list[_Order]:
        """The new ones among the requests; a repeated one is no error, and one bad one spoils the lot."""
        accepted: dict[str, _Order] = {}
        for item in requests:
            request = lift_request(item)
            known = self._orders.get(request.report_request_id)
            if known is not None and known.request == request:
                continue
            check_request(request, self.capabilities, [*self._orders, *accepted])
            offer = None if request.is_metadata else self.offers[request.report_specifier_id]
            accepted[request.report_request_id] = _Order(request, offer)
        return list(accepted.values())

    # -- the end of requests -------------------------------------------------------------------------------------

    def cancel(self, message: wire.OadrCancelReport) -> wire.OadrCanceledReport:
        """Stop what the VTN no longer wants, maybe after one last report (2.0b rules 329, 336, 345)."""
        unknown = self._cancel(message.report_request_id, message.report_to_follow)
        answer = response(message.request_id)
        if unknown:
            error = ProtocolError(f"there is no report request {', '.join(unknown)}", code="452", rule="336")
            answer = fault(error, message.request_id)
        return wire.OadrCanceledReport(response=answer, pending_reports=tuple(self.requests), ven_id=self._ven_id())

    def _cancel(self, names: Iterable[str], to_follow: bool) -> list[str]:
        """Cancel those that are known; the names of the others."""
        unknown = []
        for name in dict.fromkeys(names):
            order = self._orders.get(name)
            if order is None:
                unknown.append(name)
            elif to_follow and order.offer is not None and self._is_automatic(order.offer):
                if order.task is not None:
                    order.task.cancel()
                order.task = self._crew.spawn(self._finish(order), f"last report {name}")
            else:
                self._remove(order)
        return unknown

    def _remove(self, order: _Order) -> None:
        if self._orders.get(order.request.report_request_id) is order:
            del self._orders[order.request.report_request_id]
        if order.task is not None and order.task is not asyncio.current_task():
            order.task.cancel()

    def forget(self) -> None:
        """The registration is over, and with it every request and what was not sent yet (2.0b rule 407)."""
        for order in list(self._orders.values()):
            self._remove(order)
            self._outbox.drop(_lane(order.request))

    # -- delivery ------------------------------------------------------------------------------------------------

    async def update(self, report_request_id: str, values: object) -> wire.Message | None:
        """Send values now, at the user's request; they are what `next_report` could return.

        Raises:
            LocalProtocolError: the VTN has no such request.
            HandlerFailed: the values are no values of the report.
        """
        order = self._orders.get(report_request_id)
        if order is None or order.offer is None:
            live = ", ".join(self.requests) or "none"
            raise LocalProtocolError(f"the VTN has no report request {report_request_id!r}; live: {live}", code="452")

        def refuse(problem: str) -> None:
            raise HandlerFailed(problem)

        readings = complete(values, order.points, self._moment(order), refuse)
        name = order.offer.capability.report_name
        message = self._message(lower_readings(order.request, name, readings, created=self._clock.now()))
        reply = await self._session.tell("EiReport", message, wire.OadrUpdatedReport)
        if order.task is None and order.request.is_one_shot:
            self._remove(order)
        self._heard(order.request, reply)
        return reply

    def _is_automatic(self, offer: Offer) -> bool:
        return offer.source is not None or self._next_report() is not None

    def _begin(self, order: _Order) -> None:
        name = order.request.report_request_id
        if order.offer is None:
            order.task = self._crew.spawn(self._serve_metadata(order), f"METADATA {name}")
        elif self._is_automatic(order.offer):
            order.task = self._crew.spawn(self._serve(order, order.offer), f"report {name}")
        else:
            self._journal.info(
                f"report request {name} for {order.offer.capability.report_name} is yours to serve: "
                "the report has no source, and there is no next_report handler, so call update_report()"
            )

    async def _serve_metadata(self, order: _Order) -> None:
        """Send METADATA once, or again and again (2.0b rules 301, 311, 324, 327)."""
        name = order.request.report_request_id

        async def nothing(*_: datetime) -> None:
            return

        async def send(_: datetime) -> None:
            backoff = Backoff(self._draw, most_s=self._outbox.most_wait_s)
            while True:
                try:
                    await self.register(name)
                    return
                except OpenADRError as error:
                    if not may_succeed_later(error):
                        self._journal.error(f"METADATA for request {name} was refused: {error}")
                        if asks_to_register(error):
                            self._on_lost(error)
                        return
                    await self._clock.sleep(backoff.next(getattr(error, "retry_after_s", None)))

        if order.request.is_one_shot:
            await send(self._clock.now())
        else:
            plan = plan_of(order.request, (), self._clock.now(), in_one_go=True)
            plan = msgspec.structs.replace(plan, at_once=True)
            await follow(plan, self._clock, sample_period=nothing, sample_instant=nothing, send=send)
        self._remove(order)

    async def _serve(self, order: _Order, offer: Offer) -> None:
        if order.request.is_one_shot or offer.is_history:
            await self._finish(order)
            return
        in_one_go = offer.source is None
        plan = plan_of(order.request, order.points, self._clock.now(), in_one_go=in_one_go)
        await follow(
            plan,
            self._clock,
            sample_period=partial(self._sample_period, order, offer, plan),
            sample_instant=partial(self._sample_instant, order, offer, plan),
            send=partial(self._send_due, order, offer, plan),
        )
        self._remove(order)

    async def _finish(self, order: _Order) -> None:
        """Send one report with what there is, and be done (2.0b rules 324, 345)."""
        assert order.offer is not None
        if not order.buffer:
            order.buffer += await self._measured(order, order.offer, order.points, self._moment(order))
        self._post(order, order.offer)
        self._remove(order)

    def _moment(self, order: _Order) -> Moment:
        """Now, as the moment of a report that has no schedule."""
        now = self._clock.now()
        seconds = total_seconds(order.request.granularity, now)
        return Moment(now, timedelta(seconds=seconds) if seconds > 0 else None)

    async def _sample_period(self, order: _Order, offer: Offer, plan: Plan, start: datetime, end: datetime) -> None:
        points = [] if plan.on_change else [point for point in order.points if is_interval_data(point)]
        if offer.source is not None and points:
            order.buffer += await self._measured(order, offer, points, Moment(end, end - start), plan.step)

    async def _sample_instant(self, order: _Order, offer: Offer, plan: Plan, instant: datetime) -> None:
        points = [point for point in order.points if plan.on_change or not is_interval_data(point)]
        if offer.source is None or not points:
            return
        for reading in await self._measured(order, offer, points, Moment(instant, plan.step), plan.step):
            last = order.last.get(reading.r_id)
            if not plan.on_change or last is None or (last.value, last.quality) != (reading.value, reading.quality):
                order.buffer.append(reading)
            order.last[reading.r_id] = reading

    async def _send_due(self, order: _Order, offer: Offer, plan: Plan, now: datetime) -> None:
        if offer.source is None:
            order.buffer += await self._measured(order, offer, order.points, Moment(now, plan.back), plan.step)
        if plan.on_change:
            recorded = {reading.r_id for reading in order.buffer}
            for r_id, last in order.last.items():
                if r_id not in recorded:
                    start = now - plan.step if last.duration is not None else now
                    order.buffer.append(msgspec.structs.replace(last, start=start, quality=UNCHANGED))
        self._post(order, offer)

    # -- the user's values ---------------------------------------------------------------------------------------

    async def _measured(
        self,
        order: _Order,
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
            readings = complete(answer, points, moment, partial(self._complain, order))
        except HandlerFailed as error:
            self._complain(order, str(error))
            return [placeholder(point, moment, SENSOR_FAILURE) for point in points]
        return _within(readings, points, order.request, moment) if offer.is_history else readings

    async def _measured_point(
        self, order: _Order, source: Handler, moment: Moment, timeout_s: float | None, point: DataPoint
    ) -> list[Reading]:
        try:
            return readings_of(await self._caller.ask(source, point.r_id, timeout_s=timeout_s), point, moment)
        except HandlerFailed as error:
            self._complain(order, str(error))
            return [placeholder(point, moment, SENSOR_FAILURE)]

    def _complain(self, order: _Order, problem: str) -> None:
        name = order.request.report_request_id
        self._journal.error(f"report {name}: {problem}; reported as bad quality", extra={"request_id": name})

    # -- sending -------------------------------------------------------------------------------------------------

    def _post(self, order: _Order, offer: Offer) -> None:
        """Hand what has been sampled to the outbox, which keeps it until the VTN has it."""
        readings, order.buffer = order.buffer, []
        if not readings:
            return
        request, name = order.request, offer.capability.report_name
        try:
            report = lower_readings(request, name, readings, created=self._clock.now())
        except OpenADRError as error:
            self._complain(order, f"the readings make no report: {error}")
            bad = [placeholder(point, self._moment(order), SENSOR_FAILURE) for point in order.points]
            report = lower_readings(request, name, bad, created=self._clock.now())
        message = self._message(report)
        letter = Letter(
            service="EiReport",
            subject=f"report {request.report_request_id}",
            build=lambda: message,
            expected=(wire.OadrUpdatedReport,),
            delivered=partial(self._heard, request),
            refused=partial(self._refused, order),
        )
        self._outbox.put(_lane(request), letter)

    def _message(self, report: wire.OadrReport) -> wire.OadrUpdateReport:
        return wire.OadrUpdateReport(request_id=self._session.new_id(), reports=(report,), ven_id=self._ven_id())

    def _heard(self, request: ReportRequest, reply: wire.Message | None) -> None:
        """Act on a cancellation that came with the acknowledgement (2.0b rules 328, 335)."""
        if isinstance(reply, wire.OadrUpdatedReport) and reply.cancel_report is not None:
            cancel = reply.cancel_report
            strangers = [name for name in cancel.report_request_id if name != request.report_request_id]
            if strangers:
                self._journal.warning(
                    f"the VTN cancels {', '.join(strangers)} in its answer to another report: passed over (rule 328)"
                )
            if request.report_request_id in cancel.report_request_id:
                self._cancel([request.report_request_id], cancel.report_to_follow)

    def _refused(self, order: _Order, error: OpenADRError) -> None:
        if asks_to_register(error):
            self._on_lost(error)
        elif isinstance(error, PeerRefused) and error.code == "452":
            self._journal.warning(f"the VTN does not know report request {order.request.report_request_id}: it ends")
            self._remove(order)


def _lane(request: ReportRequest) -> str:
    return f"report {request.report_request_id}"


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
