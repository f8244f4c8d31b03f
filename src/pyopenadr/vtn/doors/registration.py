"""Registration: the messages of EiRegisterParty."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import msgspec

from pyopenadr.errors import ProtocolError, RemoteProtocolError, TransportError
from pyopenadr.model import Registration
from pyopenadr.v2 import faults, wire
from pyopenadr.v2.profile import ProfileName
from pyopenadr.vtn.delivery import CancelRegistration
from pyopenadr.vtn.doors.talk import UNSET, Answer, Peer, Talk
from pyopenadr.vtn.enrolment import Enrolment
from pyopenadr.vtn.handler import Caller
from pyopenadr.vtn.provider import Provider
from pyopenadr.vtn.question import Backend
from pyopenadr.vtn.service import Application, Service

__all__ = ["RegistrationTalk"]

log = logging.getLogger("pyopenadr.vtn")


class RegistrationTalk(Talk):
    """Answers EiRegisterParty.

    `check_address` judges the addresses of VENs that want to be pushed to; None: none may.
    """

    check_address: Callable[[str], str] | None = None

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

    def answers(self) -> Mapping[type[wire.Message], Answer]:
        """What this part answers."""
        return {
            wire.OadrQueryRegistration: self._query,
            wire.OadrCreatePartyRegistration: self._create,
            wire.OadrCancelPartyRegistration: self._cancel,
            wire.OadrCanceledPartyRegistration: self._canceled,
        }

    def reply(self, response: wire.EiResponse, registration: Registration | None) -> wire.OadrCreatedPartyRegistration:
        """What the VTN supports, and the VEN's IDs if it has any."""

        def profile(name: ProfileName) -> wire.OadrProfile:
            return wire.OadrProfile(profile_name=name, transports=("simpleHttp",))

        frequency = registration.poll_frequency if registration is not None else self.service.poll_frequency
        return wire.OadrCreatedPartyRegistration(
            response=response,
            registration_id=registration.registration_id if registration is not None else None,
            ven_id=registration.ven_id if registration is not None else None,
            vtn_id=self.vtn_id,
            profiles=(profile("2.0a"), profile("2.0b")),
            requested_oadr_poll_freq=frequency,
        )

    async def _query(self, message: wire.OadrQueryRegistration, peer: Peer) -> wire.Message:
        answer = await self.ask("on_query_registration", message)
        if isinstance(answer, wire.Message):
            return answer
        known = self.service.concerned(Application(fingerprint=peer.fingerprint, login=peer.login))
        registered = known if known is not None and known.registration_id is not None else None
        return self.reply(faults.response(message.request_id), registered)

    async def _create(self, message: wire.OadrCreatePartyRegistration, peer: Peer) -> wire.Message:
        if message.transport_name != "simpleHttp":
            raise RemoteProtocolError(
                f"transport {message.transport_name} is not supported: use simpleHttp", code="459", rule="402"
            )
        push_address = self._push_address(message)
        application = Application(
            ven_id=message.ven_id or None,
            registration_id=message.registration_id or None,
            ven_name=message.ven_name or None,
            profile=message.profile_name,
            transport=message.transport_name,
            push_address=push_address,
            report_only=message.report_only,
            xml_signature=message.xml_signature,
            fingerprint=peer.fingerprint,
            login=peer.login,
        )
        admission = await self._enrolment.enrol(application, peer)  # before the user's code hears of it
        answer = await self.ask("on_create_party_registration", message)
        ven_id, registration_id = _chosen_ids(answer)
        if ven_id is None and admission is not None:
            ven_id = admission.ven_id
        registration, fresh = await self.service.register(application, ven_id=ven_id, registration_id=registration_id)
        if admission is not None:
            await self._enrolment.note(admission, registration)
        if fresh:
            self.provider.drop(registration.ven_id)
            log.info("VEN %s registers as %r", registration.ven_id, registration.ven_name or "")
        if isinstance(answer, wire.OadrCreatedPartyRegistration):
            return msgspec.structs.replace(
                answer,
                ven_id=registration.ven_id,
                registration_id=registration.registration_id,
                requested_oadr_poll_freq=answer.requested_oadr_poll_freq or registration.poll_frequency,
            )
        return self.reply(faults.response(message.request_id), registration)

    def _push_address(self, message: wire.OadrCreatePartyRegistration) -> str | None:
        """Where the VEN wants its messages to be pushed to; None if it polls."""
        if message.http_pull_model is not False:
            return None
        if self.check_address is None:
            raise RemoteProtocolError(
                "this VTN does not push: register with oadrHttpPullModel true and poll", code="459", rule="402"
            )
        if not message.transport_address:
            raise RemoteProtocolError(
                "who wants to be pushed to has to say where: oadrTransportAddress is missing", code="459", rule="402"
            )
        try:
            return self.check_address(message.transport_address)
        except TransportError as error:
            raise RemoteProtocolError(f"oadrTransportAddress: {error}", code="459", rule="402") from error

    async def _cancel(self, message: wire.OadrCancelPartyRegistration, peer: Peer) -> wire.Message:
        ven_id = message.ven_id
        if not ven_id:
            found = self.service.concerned(Application(registration_id=message.registration_id))
            ven_id = found.ven_id if found is not None else ""
        reply: wire.Message = wire.OadrCanceledPartyRegistration(
            response=faults.response(message.request_id), registration_id=message.registration_id, ven_id=ven_id
        )
        if self.service.has_ended(ven_id, message.registration_id):
            return reply  # the reply to the first one was lost
        self.service.registered(ven_id, message.registration_id)
        answer = await self.ask("on_cancel_party_registration", message)
        await self._end_registration(ven_id)
        return answer if isinstance(answer, wire.Message) else reply

    async def _end_registration(self, ven_id: str) -> None:
        log.info("the registration of VEN %s ends", ven_id)
        await self.service.end_registration(ven_id)
        self.provider.drop(ven_id)

    async def _canceled(self, message: wire.OadrCanceledPartyRegistration, peer: Peer) -> wire.Message:
        if not (message.ven_id and self.service.has_ended(message.ven_id)):  # else it is repeated
            await self.cancelled(self.ven(message.ven_id).registration.ven_id, message.response)
        return self.acknowledge(message.response.request_id, message.ven_id)

    async def cancelled(self, ven_id: str, response: wire.EiResponse) -> None:
        """The VEN has answered that its registration ends."""
        item = await self.service.open_item(ven_id, CancelRegistration, response.request_id)
        if item is not None and faults.is_success(response.response_code):
            await self._end_registration(ven_id)  # the message goes with it
        else:
            await self.settle(ven_id, CancelRegistration, response)


def _chosen_ids(answer: object) -> tuple[str | None, str | None]:
    """The IDs that the user's handler has chosen for a VEN; None for those that it leaves to us."""
    if answer is False:
        raise RemoteProtocolError("this VEN may not register here: ask the operator to admit it", code="463")
    if answer is None or answer is True or answer is UNSET:
        return None, None
    if isinstance(answer, wire.OadrCreatedPartyRegistration):
        faults.raise_for(answer)
        return answer.ven_id or None, answer.registration_id or None
    if (
        isinstance(answer, tuple)
        and len(answer) == 2
        and all(part is None or (isinstance(part, str) and part) for part in answer)
    ):
        return answer[0], answer[1]
    raise ProtocolError(
        f"on_create_party_registration must return None, (ven_id, registration_id) or False, not {answer!r}", code="500"
    )
