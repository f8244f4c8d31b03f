"""Manual mode: one method for each request that a VEN can make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from pyopenadr.errors import ConfigError, LocalProtocolError, ModelError
from pyopenadr.model import (
    Capability,
    DataPoint,
    Duration,
    Opt,
    OptType,
    Reading,
    ReportRequest,
    ResourceStatus,
    ResponseRequired,
    Span,
    Target,
    Unit,
)
from pyopenadr.model.time import as_utc
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge import lower_opt
from pyopenadr.v2.faults import response
from pyopenadr.v2.profile import B
from pyopenadr.v2.ven import created_event
from pyopenadr.ven.declaration import capability_of, data_point, offer_of
from pyopenadr.ven.handler import HandlerFailed
from pyopenadr.ven.part import Parts
from pyopenadr.ven.registration import State
from pyopenadr.ven.source import Source

__all__ = ["Exchange", "ManualMode"]


class Exchange(NamedTuple):
    """What came back: the message's type, such as `oadrResponse`, and its contents as a dict of native types.

    An empty body, which some answers may have, is `("", {})`.
    """

    message_type: str
    payload: dict[str, Any]


class ManualMode:
    """The requests of a VEN. Each returns the VTN's answer, and raises if the request failed:

    `PeerRefused` if the VTN answered with an error code, `TransportError` if it could not be reached or answered with
    an HTTP error, `WireError` if its answer is no message, `RemoteProtocolError` if it is a wrong one, and
    `LocalProtocolError` if it is us who must not ask that.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._delivered: dict[str, tuple[int, str]] = {}

    @property
    def running(self) -> bool:
        """Whether auto mode is at work."""
        return False

    @property
    def registered(self) -> bool:
        """Whether there is a registration."""
        return self._parts.registrar.state in (State.REGISTERED, State.STALE)

    # -- registration -------------------------------------------------------------------------------

    async def query_registration(self) -> Exchange:
        """Ask what the VTN supports (oadrQueryRegistration). Like every request, raises if it fails."""
        return _native(await self._parts.registrar.query())

    async def create_party_registration(self) -> Exchange:
        """Register, or confirm the registration there is (oadrCreatePartyRegistration).

        `ven_id` and `registration_id` are kept. After a cancellation this starts anew. In 2.0a, which has no
        registration, this sends nothing and returns `("", {})`.

        Raises:
            PeerRefused: the VTN will not have this VEN; `code` and `description` say why.
            TransportError: it could not be reached.
        """
        return _native(await self._parts.registrar.register(anew=not self.registered))

    async def cancel_party_registration(self) -> Exchange:
        """End the registration (oadrCancelPartyRegistration). Auto mode then waits until you register again."""
        reply = await self._parts.registrar.cancel()
        self._parts.dispatcher.forget()
        self._parts.registrar.state = State.ENDED
        await self._parts.ledger.kept()
        return _native(reply)

    # -- polling and events -------------------------------------------------------------------------

    async def poll(self) -> Exchange:
        """Fetch one message (oadrPoll): `("oadrResponse", {…})` if there is none.

        In 2.0a, which has no oadrPoll, that is always the list of events (oadrRequestEvent).
        While auto mode runs, the message is handled as well, like those that auto mode fetches itself.

        Raises:
            PeerRefused: the VTN answered with an error code (463: not registered).
            TransportError: it could not be reached, or answered with an HTTP error.
            WireError: it answered with something else than a message.
        """
        message = await self._parts.loop.poll()
        if self.running:
            await self._parts.loop.handle(message)
        return self._noted(message)

    async def handle(self, message_type: str, payload: Mapping[str, Any]) -> None:
        """Do with a message that `poll` gave what auto mode does: call handlers, answer, serve report requests."""
        kind = next((kind for kind in B.messages if kind.tag == f"oadr:{message_type}"), None)
        if kind is None:
            raise LocalProtocolError(f"there is no message {message_type!r} in OpenADR 2.0b")
        await self._parts.dispatcher.handle(kind.from_dict(payload))

    async def request_event(self, reply_limit: int | None = None) -> Exchange:
        """Fetch the events there are (oadrRequestEvent), at most `reply_limit` of them."""
        if self.running:
            return _native(await self._parts.loop.request_event(reply_limit))
        message = self._parts.loop.question(reply_limit)
        return self._noted(await self._parts.session.tell("EiEvent", message, wire.OadrDistributeEvent))

    async def created_event(
        self,
        event_id: str,
        opt_type: OptType | str,
        *,
        modification_number: int | None = None,
        request_id: str | None = None,
        response_code: str = "200",
        response_description: str | None = None,
    ) -> Exchange:
        """Answer an event, or change the answer (oadrCreatedEvent).

        The event's number and the requestID of the message that brought it are known if this client fetched it.
        """
        number, request = self._version_of(event_id, modification_number)
        answer = wire.EventResponse(
            response_code=response_code,
            response_description=response("", response_code, response_description).response_description,
            request_id=request if request_id is None else request_id,
            event_id=event_id,
            modification_number=number,
            opt_type=OptType(opt_type),
        )
        reply = await self._parts.session.tell("EiEvent", created_event(self._parts.registrar.ven_id, [answer]))
        self._parts.events.opted(event_id, OptType(opt_type))
        await self._parts.ledger.kept()
        return _native(reply)

    @property
    def deferred(self) -> Mapping[str, datetime]:
        """The events that wait for somebody's decision, by their id, with until when."""
        return self._parts.events.deferred

    async def opt_in(self, event_id: str) -> None:
        """Take part in an event of auto mode: one that was deferred, or against the answer that it has.

        The VTN hears of it as soon as it can be reached, also after a restart. An opt by `create_opt(event_id=…)`
        stands until another one (2.0b rule 206); change it by that.

        Raises:
            LocalProtocolError: there is no such event.
        """
        self._parts.events.decide(event_id, OptType.IN)
        await self._parts.ledger.kept()

    async def opt_out(self, event_id: str) -> None:
        """Take no part in an event, or no more; like `opt_in`."""
        self._parts.events.decide(event_id, OptType.OUT)
        await self._parts.ledger.kept()

    def _version_of(self, event_id: str, modification_number: int | None) -> tuple[int, str]:
        """The event's number, and the requestID of the message that brought it."""
        number, request_id = self._delivered.get(event_id, (None, ""))
        if (known := self._parts.events.known.get(event_id)) is not None:
            number, request_id = known.event.modification_number, known.request_id
        number = number if modification_number is None else modification_number
        if number is None:
            raise LocalProtocolError(f"event {event_id!r} is unknown: fetch it, or give its modification_number")
        return number, request_id

    def _noted(self, message: wire.Message | None) -> Exchange:
        if isinstance(message, wire.OadrDistributeEvent):
            self._delivered = {
                event.event_descriptor.event_id: (event.event_descriptor.modification_number, message.request_id)
                for event in message.events
            }
        return _native(message)

    # -- opts ---------------------------------------------------------------------------------------

    @property
    def opts(self) -> Mapping[str, Opt]:
        """The availabilities that the VTN has been told and that were not taken back, by optID."""
        return self._parts.opts.opts

    async def create_opt(
        self,
        opt_type: OptType | str,
        *,
        opt_reason: str = "notParticipating",
        opt_id: str | None = None,
        availability: Sequence[Span] = (),
        event_id: str | None = None,
        modification_number: int | None = None,
        market_context: str | None = None,
        target: Target | None = None,
        device_classes: Sequence[str] = (),
    ) -> Exchange:
        """Tell when this VEN is available, or its word on one event (oadrCreateOpt, 2.0b rules 200 to 211).

        Give either `availability` or `event_id`. The reply's `opt_id` is what `cancel_opt` takes. An opt on a whole
        event takes the place of the answer to it.

        Raises:
            ConfigError: the profile is 2.0a, which has no opts.
            LocalProtocolError: the event is unknown, or wants no answer (rule 206).
        """
        if self._parts.session.profile == "2.0a":
            raise ConfigError("2.0a has no opts: answer events by created_event, opt_in or opt_out")
        if event_id is not None:
            modification_number, _ = self._version_of(event_id, modification_number)
            known = self._parts.events.known.get(event_id)
            if known is not None and known.event.response_required is ResponseRequired.NEVER:
                raise LocalProtocolError(f"event {event_id!r} wants no answer and no opt", code="459", rule="206")
        opt = Opt(
            opt_id=opt_id if opt_id is not None else self._parts.session.new_id(),
            ven_id=self._parts.registrar.ven_id,
            opt_type=OptType(opt_type),
            opt_reason=opt_reason,
            created_date_time=self._parts.clock.now(),
            market_context=market_context,
            availability=tuple(availability),
            event_id=event_id,
            modification_number=modification_number,
            target=target if target is not None else Target(ven_ids=(self._parts.registrar.ven_id,)),
            device_classes=tuple(device_classes),
        )
        message = lower_opt(opt, self._parts.session.new_id())
        reply = await self._parts.session.tell("EiOpt", message, wire.OadrCreatedOpt)
        if event_id is None:
            self._parts.opts.put(opt)
            self._parts.events.revise()
        else:
            self._parts.opts.note_on_event(opt, {*self._parts.events.known, *self._delivered})
            if target is None and not device_classes:
                self._parts.events.opted(event_id, opt.opt_type)
        await self._parts.ledger.kept()
        return _native(reply)

    async def cancel_opt(self, opt_id: str) -> Exchange:
        """Take an availability back (oadrCancelOpt).

        Raises:
            LocalProtocolError: it is an opt on an event, which only another opt changes (2.0b rule 211).
        """
        if (event_id := self._parts.opts.event_of(opt_id)) is not None:
            raise LocalProtocolError(
                f"opt {opt_id!r} is on event {event_id!r}: change it by another opt on it", code="459", rule="211"
            )
        message = wire.OadrCancelOpt(
            request_id=self._parts.session.new_id(), opt_id=opt_id, ven_id=self._parts.registrar.ven_id
        )
        reply = await self._parts.session.tell("EiOpt", message, wire.OadrCanceledOpt)
        self._parts.opts.drop(opt_id)
        await self._parts.ledger.kept()
        return _native(reply)

    # -- reports -------------------------------------------------------------------------------------------------

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """The reports that this VEN offers."""
        return self._parts.reporter.capabilities

    @property
    def report_requests(self) -> Mapping[str, ReportRequest]:
        """What the VTN has asked for and still expects, by reportRequestID."""
        return self._parts.reporter.requests

    @property
    def vtn_capabilities(self) -> tuple[Capability, ...]:
        """The reports that the VTN offers."""
        return self._parts.requester.capabilities

    def add_report(
        self,
        report_name: str | None = None,
        *,
        reading: str | None = None,
        r_id: str | None = None,
        resource_id: str | None = None,
        unit: str | Unit | None = None,
        sampling: tuple[timedelta | float, timedelta | float] | None = None,
        on_change: bool = False,
        reading_type: str | None = None,
        report_type: str | None = None,
        points: Sequence[DataPoint] | None = None,
        report_specifier_id: str | None = None,
        duration: Duration | None = None,
        source: Source | None = None,
        sample_every: timedelta | float | None = None,
        statistic: str | Mapping[str, str] | None = None,
    ) -> str:
        """Offer a report; its reportSpecifierID. The VTN hears of it with `register_reports()`.

        A report of one data point is described here; one of several has `points`, each made by `data_point(…)` with
        the same arguments, or a `DataPoint`.

        Args:
            report_name: TELEMETRY_USAGE, TELEMETRY_STATUS, HISTORY_USAGE, or a name of yours with `x-`. By default
                the standard's if its rules allow the points in it (2.0b rule 331), else x-TELEMETRY_USAGE.
            reading: what is measured: the standard's name of the quantity (`powerReal`, `energyReal`, `voltage`, see
                `Unit`), any word for a unit of your own, or `status` for a `ResourceStatus`.
            r_id: its rID; by default made from the resource and the reading.
            resource_id: the resource it is measured at; without it, all of the VEN's.
            unit: the symbol with its prefix, such as "kW" (power: at 50 Hz, 230 V, AC), or a `Unit`.
            sampling: the shortest and the longest time between two values (seconds, if numbers). Of telemetry, if not
                given, a second and `duration`.
            on_change: whether it can be recorded when it changes (2.0b rule 317).
            reading_type: `Direct Read` (the default), `Mean`, `Peak`, `Projected` (a forecast) and so on.
            report_type: `usage` (the default), `demand`, `baseline`, `storedEnergy` and so on.
            report_specifier_id: the report's id; by default made from the name and the rIDs, and so the same at each
                start.
            duration: how much data is kept; an hour by default, of a HISTORY report 30 days.
            source: gives the values. A function without a parameter gives those of all data points as a mapping from
                rID, one with a parameter is called with an rID for that data point's value, one with the parameters
                `start, end, granularity` (and `r_id`) gives those of a whole time. `RECORDED`: what `record()` is
                given; a `Feed` tells by itself. A mapping has a source for each rID. The function of a HISTORY report
                is called with the `ReportRequest`; without one the client's own history is the answer. Without a
                source `next_report` is asked, and without that the report is yours to send by `update_report()`.
            sample_every: how often (seconds, if a number) the source is called, whether anybody has asked or not.
            statistic: what is made of the samples in each interval: `last`, `mean`, `min`, `max`, `sum`, or `energy`
                of power; one for all data points, or a mapping from rID. By default what the reading type stands for:
                Mean, Peak (max), Summed, x-Minimum; else `last`.

        Raises:
            ConfigError: it makes no report, or the profile is 2.0a, which has no reports.
        """
        if self._parts.session.profile == "2.0a":
            raise ConfigError("2.0a has no reports: leave out add_report, or the profile if the VTN speaks 2.0b")
        if points is None:
            if reading is None:
                raise ConfigError('say what the report holds: reading="powerReal", or points=[…] for several')
            points = [
                data_point(
                    reading,
                    r_id=r_id,
                    resource_id=resource_id,
                    unit=unit,
                    sampling=sampling,
                    on_change=on_change,
                    reading_type=reading_type,
                    report_type=report_type,
                )
            ]
        elif on_change or any(it is not None for it in (reading, r_id, resource_id, unit, sampling, reading_type)):
            raise ConfigError("what a data point is like is said in points, or beside it, but not in both places")
        capability = capability_of(
            report_name,
            points,
            report_specifier_id=report_specifier_id,
            duration=duration,
            taken=self._parts.reporter.offers,
            now=self._parts.clock.now(),
        )
        offer = offer_of(capability, source, sample_every=sample_every, statistic=statistic)
        self._parts.recorder.add(offer)
        self._parts.reporter.offer(offer)
        return capability.report_specifier_id

    def record(self, r_id: str, value: float | ResourceStatus | None, at: datetime | None = None) -> None:
        """Hand over what was measured, now or at the time given, for a report whose source is `RECORDED`.

        May be called from any thread. None says that there is no valid value. It replaces what was recorded for the
        same time.

        Raises:
            ConfigError: no report has such a data point, or it is no value.
        """
        try:
            self._parts.recorder.value(r_id, value, at)
        except (HandlerFailed, ModelError) as error:
            raise ConfigError(str(error)) from error

    async def history(self, r_id: str, start: datetime, end: datetime | None = None) -> list[Reading]:
        """What was measured of a data point from `start` until before `end` (None: now), the oldest first.

        Raises:
            StoreError: the state file can't be read.
        """
        until = end if end is not None else self._parts.clock.now() + timedelta(microseconds=1)
        return await self._parts.history.between(r_id, as_utc(start), as_utc(until))

    async def register_reports(self) -> Exchange:
        """Tell the VTN all reports of `add_report` (oadrRegisterReport), and begin with what it asks for at once."""
        return _native(await self._parts.reporter.register())

    async def update_report(self, report_request_id: str, values: object) -> Exchange:
        """Send values for one of `report_requests` (oadrUpdateReport).

        `values` is what `next_report` may return: readings, or a mapping from rID to value.
        """
        return _native(await self._parts.reporter.update(report_request_id, values))

    async def create_report(self, requests: Sequence[ReportRequest]) -> Exchange:
        """Ask the VTN for reports out of `vtn_capabilities` (oadrCreateReport); they arrive in `on_report`."""
        return _native(await self._parts.requester.create(requests))

    async def cancel_report(self, report_request_ids: Sequence[str], *, report_to_follow: bool = False) -> Exchange:
        """End reports of the VTN (oadrCancelReport); with `report_to_follow` it sends each one a last time."""
        return _native(await self._parts.requester.cancel(report_request_ids, report_to_follow))

    async def send(self, service: str, message: wire.Message) -> Exchange:
        """Send any message of `pyopenadr.v2.wire` to a service, such as `EiReport`; its reply, whatever it is."""
        return _native(await self._parts.session.tell(service, message, wire.Message))


def _native(message: wire.Message | None) -> Exchange:
    return Exchange("", {}) if message is None else Exchange(message.message_type, message.to_dict())
