"""The VEN as a source of reports: what it offers, what the VTN has asked for, and how that is delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from types import MappingProxyType

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import LocalProtocolError, ModelError, OpenADRError, PeerRefused, ProtocolError
from pyopenadr.model import Capability, ReportRequest
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge import lift_request, lower_capability, lower_readings
from pyopenadr.v2.faults import fault, response
from pyopenadr.v2.vtn import check_request
from pyopenadr.ven.backlog import Backlog, Unsent
from pyopenadr.ven.backoff import Backoff, Draw
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.measure import Measurer
from pyopenadr.ven.order import Offer, Order, OrderBook
from pyopenadr.ven.outbox import Letter, Outbox, may_succeed_later
from pyopenadr.ven.sample import SENSOR_FAILURE, placeholder
from pyopenadr.ven.sampler import Sampler
from pyopenadr.ven.schedule import Plan, follow, plan_of
from pyopenadr.ven.session import Session, asks_to_register
from pyopenadr.ven.task import Crew

__all__ = ["Reporter"]

MOST_TRIES = 100
"""How often readings are sent to a VTN that is well otherwise but fails at them, before they are given up."""

_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


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
        measurer: Measurer,
        sampler: Sampler,
        crew: Crew,
        clock: Clock,
        draw: Draw,
        journal: Journal,
        orders: OrderBook,
        backlog: Backlog,
        ven_id: Callable[[], str],
        registrations: Callable[[], int],
        on_told: Callable[[tuple[Capability, ...]], None],
        on_lost: Callable[[OpenADRError], None],
    ) -> None:
        self.offers: dict[str, Offer] = {}
        self.backlog = backlog
        self._session = session
        self._outbox = outbox
        self._measurer = measurer
        self._sampler = sampler
        self._crew = crew
        self._clock = clock
        self._draw = draw
        self._journal = journal
        self._ven_id = ven_id
        self._registrations = registrations
        self._on_told = on_told
        self._on_lost = on_lost
        self._book = orders
        self._strangers: dict[str, int] = {}

    # -- what there is -------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What is offered."""
        return tuple(offer.capability for offer in self.offers.values())

    @property
    def offered(self) -> tuple[Capability, ...]:
        """What is offered, without when that was, so that it can be compared with what was offered before."""
        return tuple(msgspec.structs.replace(it, created_date_time=_NO_TIME) for it in self.capabilities)

    @property
    def requests(self) -> Mapping[str, ReportRequest]:
        """What the VTN has asked for and has yet to get, by reportRequestID."""
        now = self._clock.now()
        for order in [order for order in self._orders.values() if order.task is None and order.is_over(now)]:
            self._book.remove(order)
        return MappingProxyType({name: order.request for name, order in self._orders.items()})

    @property
    def _orders(self) -> Mapping[str, Order]:
        return self._book.orders

    def offer(self, offer: Offer) -> None:
        """Offer one more report; what was asked of it before a restart is bound to it."""
        specifier = offer.capability.report_specifier_id
        self.offers[specifier] = offer
        for order in self._orders.values():
            if order.request.report_specifier_id == specifier:
                order.offer = offer

    def resume(self) -> None:
        """Go on with what was begun before a stop or a restart."""
        self.backlog.prune()
        self._recall()
        for request_id in self.backlog.reports:
            self._mail(request_id)
        for order in list(self._orders.values()):
            if order.offer is not None or order.request.is_metadata:
                self._begin(order)
            else:
                self._journal.warning(
                    f"report {order.request.report_specifier_id!r} is not offered any more: "
                    f"request {order.request.report_request_id} ends"
                )
                self._book.remove(order)

    # -- METADATA ------------------------------------------------------------------------------------------------

    async def register(
        self, report_request_id: str | None = None
    ) -> wire.OadrRegisteredReport | wire.OadrResponse | None:
        """Tell the VTN everything we can report (2.0b rules 301, 305, 309), and take what it asks for in its reply.

        That ends whatever it had asked for before, except periodic METADATA (rule 306).
        """
        now, offered = self._clock.now(), self.offered
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
        self._on_told(offered)
        if isinstance(reply, wire.OadrRegisteredReport) and reply.report_requests:
            await self.take(reply.report_requests, reply.response.request_id or message.request_id)
        return reply

    async def take(
        self,
        requests: Sequence[wire.ReportRequest],
        request_id: str,
        deliver: Callable[[Letter], Awaitable[None]] | None = None,
    ) -> None:
        """Accept or refuse what the VTN asks for, tell it so (by `deliver`, if it is given), and begin.

        2.0b rules 300, 304, 329, 340.
        """
        accepted: list[Order] = []
        answer = response(request_id)
        try:
            accepted = self._judged(requests)
        except (ModelError, ProtocolError) as error:
            self._journal.warning(f"a report request is refused: {error}", extra={"request_id": request_id})
            answer = fault(error, request_id)
        for order in accepted:
            if (former := self._orders.get(order.request.report_request_id)) is not None:
                self._remove(former)  # only METADATA may take over an ID
            self._book.note(order)
        created = wire.OadrCreatedReport(response=answer, pending_reports=tuple(self.requests), ven_id=self._ven_id())
        try:
            await (deliver or self._outbox.deliver)(
                Letter(service="EiReport", subject="the answer to a report request", build=lambda: created)
            )
        finally:
            for order in accepted:
                self._begin(order)

    def _judged(self, requests: Sequence[wire.ReportRequest]) -> list[Order]:
        """The new ones among the requests; a repeated one is no error, and one bad one spoils the lot."""
        accepted: dict[str, Order] = {}
        for item in requests:
            request = lift_request(item)
            known = self._orders.get(request.report_request_id)
            if known is not None and known.request == request:
                continue
            check_request(request, self.capabilities, [*self._orders, *accepted])
            offer = None if request.is_metadata else self.offers[request.report_specifier_id]
            accepted[request.report_request_id] = Order(request, offer)
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
            elif to_follow and order.offer is not None and self._sampler.is_automatic(order.offer):
                order.finishing = True
                self._book.note(order)
                self._begin(order)
            else:
                self._remove(order)
        return unknown

    def _remove(self, order: Order) -> None:
        self._book.remove(order)
        if order.task is not None and order.task is not asyncio.current_task():
            order.task.cancel()

    def forget(self) -> None:
        """The registration is over, and with it every request and what was not sent yet (2.0b rule 407)."""
        for order in list(self._orders.values()):
            self._remove(order)
        self._recall()
        for request_id in list(self.backlog.reports):
            self.backlog.give_up(request_id)
        self._strangers.clear()

    def _recall(self) -> None:
        """Take the reports back from the outbox."""
        for report in self.backlog.reports.values():
            self._outbox.drop(_lane(report.request))

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
        readings = self._sampler.given(order, order.offer, values)
        name = order.offer.capability.report_name
        message = self._message(lower_readings(order.request, name, readings, created=self._clock.now()))
        reply = await self._session.tell("EiReport", message, wire.OadrUpdatedReport)
        if order.task is None and order.request.is_one_shot:
            self._remove(order)
        self._heard(order.request, reply)
        return reply

    def _begin(self, order: Order) -> None:
        name = order.request.report_request_id
        if order.task is not None:
            order.task.cancel()
        if order.offer is None:
            order.task = self._crew.spawn(self._serve_metadata(order), f"METADATA {name}")
        elif self._sampler.is_automatic(order.offer):
            self._sampler.begin()
            order.task = self._crew.spawn(self._serve(order, order.offer), f"report {name}")
        else:
            self._journal.info(
                f"report request {name} for {order.offer.capability.report_name} is yours to serve: "
                "the report has no source, and there is no next_report handler, so call update_report()"
            )

    async def _serve_metadata(self, order: Order) -> None:
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
            resumed = order.begun is not None
            plan = plan_of(order.request, (), self._begun(order), in_one_go=True)
            plan = msgspec.structs.replace(plan, at_once=True)
            await follow(plan, self._clock, sample_period=nothing, sample_instant=nothing, send=send, resumed=resumed)
        self._remove(order)

    async def _serve(self, order: Order, offer: Offer) -> None:
        if order.finishing or order.request.is_one_shot or offer.is_history:
            await self._finish(order, offer)
            return
        resumed = order.begun is not None
        plan = plan_of(order.request, order.points, self._begun(order), in_one_go=offer.source is None)
        if plan.at_once:
            self._post(order, offer)  # what was taken before a restart, if there is any
        await follow(
            plan,
            self._clock,
            sample_period=partial(self._sampler.period, order, offer, plan),
            sample_instant=partial(self._sampler.instant, order, offer, plan),
            send=partial(self._send_due, order, offer, plan),
            resumed=resumed,
            sent_to=order.sent_to,
        )
        self._remove(order)

    def _begun(self, order: Order) -> datetime:
        """When serving the order began, which its times are counted from."""
        if order.begun is None:
            order.begun = self._clock.now()
            self._book.note(order)
        return order.begun

    async def _finish(self, order: Order, offer: Offer) -> None:
        """Send one report with what there is, and be done (2.0b rules 324, 345)."""
        if order.finishing and order.begun is not None and not offer.is_history:
            plan = plan_of(order.request, order.points, order.begun, in_one_go=offer.source is None)
            await self._sampler.rest(order, offer, plan)
        await self._sampler.final(order, offer)
        self._post(order, offer)
        self._remove(order)

    async def _send_due(self, order: Order, offer: Offer, plan: Plan, now: datetime) -> None:
        if await self._sampler.due(order, offer, plan, now):
            self._post(order, offer)

    # -- sending -------------------------------------------------------------------------------------------------

    def _post(self, order: Order, offer: Offer) -> None:
        """Put what has been sampled into the backlog, which keeps it until the VTN has it."""
        readings = self._book.emptied(order)
        if not readings:
            return
        report = Unsent(
            request_id=self._session.new_id(),
            request=order.request,
            report_name=offer.capability.report_name,
            readings=tuple(readings),
            created=self._clock.now(),
        )
        try:
            self._written(report)
        except OpenADRError as error:
            self._measurer.complain(order.request, offer, f"the readings make no report: {error}")
            bad = tuple(placeholder(point, self._sampler.moment(order), SENSOR_FAILURE) for point in order.points)
            report = msgspec.structs.replace(report, readings=bad)
        self.backlog.add(report)
        self._mail(report.request_id)

    def _mail(self, request_id: str) -> None:
        """Hand a report of the backlog to the outbox."""
        report = self.backlog.reports[request_id]

        def build() -> wire.OadrUpdateReport | None:
            return self._written(report) if request_id in self.backlog.reports else None

        letter = Letter(
            service="EiReport",
            subject=f"report {report.request.report_request_id}",
            build=build,
            expected=(wire.OadrUpdatedReport,),
            delivered=partial(self._delivered, report),
            refused=partial(self._refused, report),
            outlives_registration=True,
            tries=MOST_TRIES,
        )
        self._outbox.put(_lane(report.request), letter)

    def _written(self, report: Unsent) -> wire.OadrUpdateReport:
        written = lower_readings(report.request, report.report_name, report.readings, created=report.created)
        return self._message(written, report.request_id)

    def _message(self, report: wire.OadrReport, request_id: str | None = None) -> wire.OadrUpdateReport:
        return wire.OadrUpdateReport(
            request_id=self._session.new_id() if request_id is None else request_id,
            reports=(report,),
            ven_id=self._ven_id(),
        )

    def _delivered(self, report: Unsent, reply: wire.Message | None) -> None:
        self.backlog.remove(report.request_id)
        self._strangers.pop(report.request_id, None)
        self._heard(report.request, reply)

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

    def _refused(self, report: Unsent, error: OpenADRError) -> None:
        """The VTN will not have a report; one that doesn't know us gets it again after the next registration, once."""
        name = report.request.report_request_id
        if asks_to_register(error):
            self._on_lost(error)
            if self._strangers.setdefault(report.request_id, self._registrations()) == self._registrations():
                return
        self._strangers.pop(report.request_id, None)
        lost = self.backlog.give_up(report.request_id)
        self._journal.error(f"report {name} is given up, with {lost} readings: {error}")
        order = self._orders.get(name)
        is_unknown = isinstance(error, PeerRefused) and error.code == "452"
        if is_unknown and order is not None and order.request == report.request:
            self._journal.warning(f"the VTN does not know report request {name}: it ends")
            self._remove(order)


def _lane(request: ReportRequest) -> str:
    return f"report {request.report_request_id}"
