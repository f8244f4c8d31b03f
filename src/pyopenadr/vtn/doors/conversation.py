"""The whole conversation with VENs: a decoded message goes in, the reply goes out; None is an empty reply."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

import msgspec

from pyopenadr.errors import OpenADRError, ProtocolError, RemoteProtocolError, StoreUnavailable
from pyopenadr.model import Event, Report, ReportRequest
from pyopenadr.store.port import Outgoing
from pyopenadr.v2 import bridge, faults, wire
from pyopenadr.vtn.context import WHO
from pyopenadr.vtn.delivery import (
    CancelRegistration,
    CancelReports,
    CreateReports,
    RegisterReports,
    Reregister,
    UpdateReport,
    Ven,
    unpack,
)
from pyopenadr.vtn.doors.event import EventTalk
from pyopenadr.vtn.doors.registration import RegistrationTalk
from pyopenadr.vtn.doors.report import ReportTalk, lift_report
from pyopenadr.vtn.doors.talk import UNSET, Answer, Peer, Talk
from pyopenadr.vtn.enrolment import Enrolment
from pyopenadr.vtn.handler import Caller
from pyopenadr.vtn.identity import LoginMissing
from pyopenadr.vtn.provider import Provider
from pyopenadr.vtn.question import Backend
from pyopenadr.vtn.service import Application, Service

__all__ = ["SERVICES", "Conversation", "Parcel"]

log = logging.getLogger("pyopenadr.vtn")

SERVICES: Mapping[str, str] = MappingProxyType(
    {
        "oadrQueryRegistration": "EiRegisterParty",
        "oadrCreatePartyRegistration": "EiRegisterParty",
        "oadrCancelPartyRegistration": "EiRegisterParty",
        "oadrCanceledPartyRegistration": "EiRegisterParty",
        "oadrPoll": "OadrPoll",
        "oadrRequestEvent": "EiEvent",
        "oadrCreatedEvent": "EiEvent",
        "oadrCreateOpt": "EiOpt",
        "oadrCancelOpt": "EiOpt",
        "oadrRegisterReport": "EiReport",
        "oadrRegisteredReport": "EiReport",
        "oadrCreateReport": "EiReport",
        "oadrCreatedReport": "EiReport",
        "oadrUpdateReport": "EiReport",
        "oadrUpdatedReport": "EiReport",
        "oadrCancelReport": "EiReport",
        "oadrCanceledReport": "EiReport",
    }
)
"""The service that each message from a VEN is sent to; oadrResponse may come to any, it answers them all."""


class Parcel(msgspec.Struct, frozen=True):
    """A message for a VEN: the one that waits for it under `item_id`, or its `events`, or one of the user's own."""

    message: wire.Message
    item_id: str | None = None
    events: tuple[Event, ...] = ()


class Conversation(Talk):
    """Answers the messages of VENs for one VTN."""

    def __init__(
        self,
        vtn_id: str,
        service: Service,
        provider: Provider,
        backend: Backend,
        caller: Caller,
        enrolment: Enrolment,
    ) -> None:
        super().__init__(vtn_id, service, provider, backend, caller)
        self._enrolment = enrolment
        self._registration = RegistrationTalk(vtn_id, service, provider, backend, caller, enrolment)
        self._event = EventTalk(vtn_id, service, provider, backend, caller)
        self._report = ReportTalk(vtn_id, service, provider, backend, caller)
        self._answers: dict[type[wire.Message], Answer] = {
            wire.OadrPoll: self._poll,
            wire.OadrResponse: self._response,
            **self._registration.answers(),
            **self._event.answers(),
            **self._report.answers(),
        }

    async def answer(self, message: wire.Message, peer: Peer) -> wire.Message | None:
        """The reply to a message; errors become the fault of the fitting reply.

        Raises:
            StoreUnavailable: nobody can be served now.
            LoginMissing: it speaks for a VEN that has to log in.
        """
        respond = self._answers.get(type(message))
        where = (message.message_type, message.get("ven_id"), _request_id(message))
        WHO.set(where[1:])
        if respond is None:
            error = RemoteProtocolError(f"{message.message_type} is no message that a VTN receives", code="459")
            return self.fault_reply(message, error)
        try:
            await self.service.catch_up()
            if peer.profile == "2.0a":
                await self._admit_a(message, peer)
            await self._check_peer(message, peer)
            return await respond(message, peer)
        except (StoreUnavailable, LoginMissing):
            raise  # whoever carries the message has better ways to say "later", or "log in", than the reply
        except OpenADRError as error:
            log.warning("%s of VEN %r (request %r): %s", *where, error, exc_info=faults.code_of(error) == "500")
            return self.fault_reply(message, error)
        except Exception as error:  # the user's handlers may raise anything; the VEN gets a 500 and may try again
            log.exception("%s of VEN %r (request %r) failed", *where)
            failure = ProtocolError(f"the server failed on {message.message_type}: {type(error).__name__}", code="500")
            return self.fault_reply(message, failure)

    def fault_reply(self, message: wire.Message, error: OpenADRError) -> wire.Message:
        """The error in the reply that the message calls for."""
        request_id = _request_id(message)
        response = faults.fault(error, request_id)
        ven_id = message.get("ven_id")
        match message:
            case wire.OadrQueryRegistration() | wire.OadrCreatePartyRegistration():
                return self._registration.reply(response, None)
            case wire.OadrCancelPartyRegistration():
                return wire.OadrCanceledPartyRegistration(response=response, ven_id=ven_id)
            case wire.OadrRequestEvent():
                # Its own requestID may not be empty (2.0b rule 41).
                return wire.OadrDistributeEvent(response=response, request_id=self.service.new_id(), vtn_id=self.vtn_id)
            case wire.OadrRegisterReport():
                return wire.OadrRegisteredReport(response=response, ven_id=ven_id)
            case wire.OadrCreateReport():
                return wire.OadrCreatedReport(response=response, pending_reports=(), ven_id=ven_id)
            case wire.OadrUpdateReport():
                return wire.OadrUpdatedReport(response=response, ven_id=ven_id)
            case wire.OadrCancelReport():
                return wire.OadrCanceledReport(response=response, pending_reports=(), ven_id=ven_id)
            case wire.OadrCreateOpt():
                return wire.OadrCreatedOpt(response=response, opt_id=message.opt_id)
            case wire.OadrCancelOpt():
                return wire.OadrCanceledOpt(response=response, opt_id=message.opt_id)
            case _:
                return wire.OadrResponse(response=response, ven_id=ven_id)

    def allow_push(self, check_address: Callable[[str], str]) -> None:
        """Let VENs register for push, at addresses that the check passes."""
        self._registration.check_address = check_address

    def is_registered(self, ven_id: str) -> bool:
        """Whether the VEN is registered."""
        return self.service.is_registered(ven_id)

    async def _check_peer(self, message: wire.Message, peer: Peer) -> None:
        """See that the peer may speak for the VEN that the message names; who registers is looked at there."""
        if isinstance(message, wire.OadrQueryRegistration | wire.OadrCreatePartyRegistration):
            return
        ven_id = message.get("ven_id")
        if not ven_id and isinstance(message, wire.OadrCancelPartyRegistration):
            known = self.service.concerned(Application(registration_id=message.registration_id))
            ven_id = known.ven_id if known is not None else None
        if ven_id:
            await self._enrolment.introduce(ven_id, peer)

    def is_idle(self, ven_id: str, peer: Peer) -> bool:
        """Whether nothing waits for a VEN, known without asking the store or the user."""
        return not self.backend.answers_polls and self._enrolment.is_of(ven_id, peer) and self.service.is_idle(ven_id)

    async def answer_a(self, message: wire.Message, peer: Peer) -> wire.Message | None:
        """The reply to a message of a 2.0a VEN, in 2.0a (v20a.md §4, §5)."""
        reply = await self.answer(message, msgspec.structs.replace(peer, profile="2.0a"))
        return self.as_a(reply)

    @staticmethod
    def as_a(reply: wire.Message | None) -> wire.Message | None:
        """The reply without what 2.0a does not have."""
        if isinstance(reply, wire.OadrResponse):
            return msgspec.structs.replace(reply, ven_id=None)
        return reply

    async def _admit_a(self, message: wire.Message, peer: Peer) -> None:
        """2.0a has no registration: a VEN is known by asking, where it may come in."""
        if not isinstance(message, wire.OadrRequestEvent) or not message.ven_id:
            return
        if not self.service.is_registered(message.ven_id):
            application = Application(
                ven_id=message.ven_id, profile="2.0a", fingerprint=peer.fingerprint, login=peer.login
            )
            admission = await self._enrolment.enrol(application, peer)
            registration = await self.service.admit(message.ven_id, None, "2.0a", fingerprint=peer.fingerprint)
            if admission is not None:
                await self._enrolment.note(admission, registration)

    async def _poll(self, message: wire.OadrPoll, peer: Peer) -> wire.Message:
        parcel = await self._next(self.ven(message.ven_id), "")
        return parcel.message if parcel is not None else self.acknowledge("", message.ven_id)

    async def _next(self, ven: Ven, request_id: str | None) -> Parcel | None:
        """What comes next for a VEN; `request_id` is None if it is pushed."""
        ven_id = ven.registration.ven_id
        answer = await self.ask("on_poll", ven_id)
        if answer is not UNSET:
            return await self._chosen(ven, answer, request_id)
        events = await self._event.events_for(ven_id)
        sent = request_id is not None
        due = await self.service.due(ven, events, sent=sent)
        if due is None and await self._take_report(ven_id):
            due = await self.service.due(ven, events, sent=sent)
        if isinstance(due, Outgoing):
            return Parcel(self._lower_item(due, ven_id), due.item_id)
        if due is not None:
            return Parcel(await self._event.distribute(ven, due, request_id), events=tuple(due))
        return None

    async def next_push(self, ven_id: str) -> Parcel | None:
        """What is to be pushed to a VEN now; one of 2.0a gets only what 2.0a has.

        Raises:
            RemoteProtocolError: 463, it is not registered.
        """
        ven = self.ven(ven_id)
        if ven.registration.profile == "2.0b":
            parcel = await self._next(ven, None)
            return parcel if parcel is not None and not isinstance(parcel.message, wire.OadrResponse) else None
        due = await self.service.due(ven, await self._events_a(ven_id), sent=False)
        if not isinstance(due, list):
            return None
        return Parcel(await self._event.distribute(ven, due, None, profile="2.0a"), events=tuple(due))

    async def next_due(self, ven_id: str) -> datetime | None:
        """When `next_push` may have something again that it has given before."""
        ven = self.ven(ven_id)
        return await self.service.next_due(
            ven, None if ven.registration.profile == "2.0b" else await self._events_a(ven_id)
        )

    async def _events_a(self, ven_id: str) -> list[Event]:
        """The events for a VEN that 2.0a can say."""
        events = await self._event.events_for(ven_id)
        now = self.service.clock.now().replace(microsecond=0)
        return [
            event
            for event in (self.service.events_of(ven_id) if events is None else events)
            if bridge.lower_event(event, now=now, ven_id=ven_id, profile="2.0a").value is not None
        ]

    async def _chosen(self, ven: Ven, answer: object, request_id: str | None) -> Parcel | None:
        """What the user's on_poll has chosen."""
        ven_id = ven.registration.ven_id
        if isinstance(answer, wire.OadrDistributeEvent):
            self._event.offer(ven_id, [bridge.lift_event(event) for event in answer.events])
        if isinstance(answer, wire.Message):
            return Parcel(answer)
        if isinstance(answer, Event):
            self._event.offer(ven_id, [answer])
            return Parcel(await self._event.distribute(ven, [answer], request_id), events=(answer,))
        if isinstance(answer, Report):
            await self.service.deliver_report(ven_id, await self._request_for(ven_id, answer), answer)
        elif answer is not None:
            raise ProtocolError(
                f"on_poll must return a message, an Event, a Report or None, not {type(answer).__name__}", code="500"
            )
        # A report that on_poll chose is delivered until the VEN has answered it, also when nothing new is chosen.
        item = await self.service.due_item(ven, UpdateReport, sent=request_id is not None)
        return Parcel(self._lower_item(item, ven_id), item.item_id) if item is not None else None

    async def _take_report(self, ven_id: str) -> bool:
        """Ask the user for a report for the VEN; whether one waits now."""
        report = await self.ask("on_request_report", ven_id)
        if report is None or report is UNSET:
            return False
        if isinstance(report, wire.OadrUpdateReport):
            lifted = [lift_report(one) for one in report.reports]
        elif isinstance(report, Report):
            lifted = [report]
        else:
            raise ProtocolError(
                f"on_request_report must return a Report or None, not {type(report).__name__}", code="500"
            )
        for one in lifted:
            await self.service.deliver_report(ven_id, await self._request_for(ven_id, one), one)
        return bool(lifted)

    async def _response(self, message: wire.OadrResponse, peer: Peer) -> None:
        """A VEN's plain answer, to oadrRequestReregistration or in the place of another; no message is due in return.

        A VEN that can't do what a message asks may say so by this (protocol notes §6, §10.2).
        """
        ven_id = self.ven(message.ven_id).registration.ven_id
        response = message.response
        kind = await self.service.kind_of(ven_id, response.request_id)
        if kind is CancelRegistration:
            await self._registration.cancelled(ven_id, response)
        elif kind is CreateReports:
            await self._report.answered(ven_id, response, ())
        elif kind is RegisterReports:
            await self._report.offered(ven_id, response)
        else:
            await self.settle(ven_id, kind or Reregister, response)

    async def _request_for(self, ven_id: str, report: Report) -> ReportRequest:
        for stored in await self.service.requests_of(ven_id):
            if stored.request.report_request_id == report.report_request_id:
                return stored.request
        r_ids = tuple(dict.fromkeys(reading.r_id for reading in report.readings))
        return ReportRequest(
            report_request_id=report.report_request_id, report_specifier_id=report.report_specifier_id, r_ids=r_ids
        )

    def _lower_item(self, outgoing: Outgoing, ven_id: str) -> wire.Message:
        request_id = outgoing.item_id
        match unpack(outgoing):
            case RegisterReports(report_request_id=asked):
                return wire.OadrRegisterReport(
                    request_id=request_id,
                    reports=tuple(bridge.lower_capability(c) for c in self.provider.capabilities),
                    ven_id=ven_id,
                    report_request_id=asked,
                )
            case CreateReports(requests=requests):
                return wire.OadrCreateReport(
                    request_id=request_id,
                    report_requests=tuple(bridge.lower_request(request) for request in requests),
                    ven_id=ven_id,
                )
            case CancelReports(report_request_ids=ids, report_to_follow=follow):
                return wire.OadrCancelReport(
                    request_id=request_id, report_request_id=ids, report_to_follow=follow, ven_id=ven_id
                )
            case UpdateReport(request=request, report=report):
                lowered = bridge.lower_readings(
                    request, report.report_name or "TELEMETRY_USAGE", report.readings, created=report.created_date_time
                )
                return wire.OadrUpdateReport(request_id=request_id, reports=(lowered,), ven_id=ven_id)
            case CancelRegistration(registration_id=registration_id):
                return wire.OadrCancelPartyRegistration(
                    request_id=request_id, registration_id=registration_id, ven_id=ven_id
                )
            case Reregister():
                return wire.OadrRequestReregistration(ven_id=ven_id)


def _request_id(message: wire.Message) -> str:
    """The request ID of a message, or the one that it answers."""
    response = faults.response_of(message)
    return str(message.get("request_id") or (response.request_id if response is not None else ""))
