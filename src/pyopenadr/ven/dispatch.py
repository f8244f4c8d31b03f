"""What the client does with each message that a poll can bring (2.0b rule 500)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from pyopenadr.errors import RemoteProtocolError
from pyopenadr.v2 import wire
from pyopenadr.v2.faults import fault, response
from pyopenadr.v2.ven import VenScope
from pyopenadr.ven.event import EventBook
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.outbox import Letter, Outbox
from pyopenadr.ven.registration import Registrar, State
from pyopenadr.ven.report import Reporter
from pyopenadr.ven.requester import Requester
from pyopenadr.ven.task import Crew

__all__ = ["Dispatcher"]

Deliver = Callable[[Letter], Awaitable[None]]


class Dispatcher(msgspec.Struct, kw_only=True):
    """Gives each message to the part that it is for, and the VTN the answer that is due.

    `scope` says which events are for this VEN. `cancelled` is set when the VTN has ended the registration.
    """

    registrar: Registrar
    events: EventBook
    reporter: Reporter
    requester: Requester
    outbox: Outbox
    crew: Crew
    journal: Journal
    scope: Callable[[], VenScope]
    cancelled: bool = False

    async def handle(
        self, message: wire.Message, *, reply_limit: int | None = None, deliver: Deliver | None = None
    ) -> bool:
        """Do what the message asks for; whether it said anything new.

        `deliver` takes the answer of a message that was pushed; without it, the answer is sent to the VTN.

        Raises:
            RemoteProtocolError: it is none that a VTN may send here.
            PeerRefused: the VTN does not know us as registered.
        """
        send = deliver if deliver is not None else self.outbox.deliver
        match message:
            case wire.OadrResponse():
                return False
            case wire.OadrDistributeEvent():
                return self.events.receive(message, self.scope(), reply_limit=reply_limit)
            case wire.OadrCreateReport():
                await self._create_report(message, send)
            case wire.OadrRegisterReport():
                await self._register_report(message, send)
            case wire.OadrCancelReport():
                await self._cancel_report(message, send)
            case wire.OadrUpdateReport():
                await self._update_report(message, deliver)
            case wire.OadrCancelPartyRegistration():
                await self._cancel_party_registration(message, send)
            case wire.OadrRequestReregistration():
                await self._request_reregistration(message, send)
            case _:
                raise RemoteProtocolError(f"a VTN must not send {message.message_type} as the answer to a poll")
        return True

    def forget(self) -> None:
        """The registration is over: drop everything that came with it (2.0b rule 407)."""
        self.events.forget()
        self.reporter.forget()
        self.requester.forget()
        self.registrar.forget()

    async def _create_report(self, message: wire.OadrCreateReport, send: Deliver) -> None:
        problem = self._misaddressed(message.ven_id, message.request_id)
        if problem is None:
            await self.reporter.take(message.report_requests, message.request_id, send)
            return
        pending = tuple(self.reporter.requests)
        await self._answer(
            send, "EiReport", wire.OadrCreatedReport(response=problem, pending_reports=pending, ven_id=self._ven_id)
        )

    async def _register_report(self, message: wire.OadrRegisterReport, send: Deliver) -> None:
        problem = self._misaddressed(message.ven_id, message.request_id)
        if problem is not None:
            await self._answer(send, "EiReport", wire.OadrRegisteredReport(response=problem, ven_id=self._ven_id))
            return
        await self._answer(send, "EiReport", self.requester.registered(message), wire.OadrCreatedReport)
        self.crew.spawn(self.requester.ask_for_wanted(), "asking for reports")

    async def _cancel_report(self, message: wire.OadrCancelReport, send: Deliver) -> None:
        problem = self._misaddressed(message.ven_id, message.request_id)
        if problem is None:
            await self._answer(send, "EiReport", self.reporter.cancel(message))
            return
        pending = tuple(self.reporter.requests)
        await self._answer(
            send, "EiReport", wire.OadrCanceledReport(response=problem, pending_reports=pending, ven_id=self._ven_id)
        )

    async def _update_report(self, message: wire.OadrUpdateReport, deliver: Deliver | None) -> None:
        problem = self._misaddressed(message.ven_id, message.request_id)
        if problem is not None:
            await self._answer(
                deliver or self.outbox.deliver,
                "EiReport",
                wire.OadrUpdatedReport(response=problem, ven_id=self._ven_id),
            )
            return
        if deliver is not None:
            await self.requester.receive(message, deliver)
            return
        # The user's handler may take its time; polling goes on meanwhile.
        self.crew.spawn(self.requester.receive(message), "taking reports")

    async def _cancel_party_registration(self, message: wire.OadrCancelPartyRegistration, send: Deliver) -> None:
        own = self.registrar.identity.registration_id
        problem = self._misaddressed(message.ven_id, message.request_id)
        if problem is None and own is not None and message.registration_id != own:
            error = RemoteProtocolError(
                f"our registrationID is not {message.registration_id!r}", code="452", rule="400"
            )
            problem = fault(error, message.request_id)
        await self._answer(
            send,
            "EiRegisterParty",
            wire.OadrCanceledPartyRegistration(
                response=problem or response(message.request_id),
                registration_id=message.registration_id,
                ven_id=self._ven_id,
            ),
        )
        if problem is None:
            self.journal.warning("the VTN has ended the registration")
            self.forget()
            self.cancelled = True

    async def _request_reregistration(self, message: wire.OadrRequestReregistration, send: Deliver) -> None:
        problem = self._misaddressed(message.ven_id, "")
        if problem is None and self.registrar.state is State.REGISTERED:
            self.registrar.state = State.STALE
        await self._answer(
            send, "EiRegisterParty", wire.OadrResponse(response=problem or response(), ven_id=self._ven_id)
        )

    @staticmethod
    async def _answer(send: Deliver, service: str, message: wire.Message, *expected: type[wire.Message]) -> None:
        letter = Letter(
            service=service, subject=f"the {message.message_type}", build=lambda: message, expected=expected
        )
        await send(letter)

    @property
    def _ven_id(self) -> str:
        return self.registrar.ven_id

    def _misaddressed(self, ven_id: str | None, request_id: str) -> wire.EiResponse | None:
        """The refusal of a message that names another VEN (2.0b rules 21, 304, 400)."""
        if not ven_id or ven_id == self._ven_id:
            return None
        error = RemoteProtocolError(f"this is VEN {self._ven_id!r}, not {ven_id!r}", code="452", rule="21")
        self.journal.warning(f"a message is refused: {error}", extra={"request_id": request_id})
        return fault(error, request_id)
