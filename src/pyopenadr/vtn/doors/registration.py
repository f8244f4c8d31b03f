"""Registration: the messages of EiRegisterParty."""

from __future__ import annotations

from collections.abc import Mapping

from pyopenadr.errors import ProtocolError, RemoteProtocolError
from pyopenadr.model import Registration
from pyopenadr.v2 import faults, wire
from pyopenadr.v2.profile import ProfileName
from pyopenadr.vtn.delivery import CancelRegistration, Reregister
from pyopenadr.vtn.doors.talk import UNSET, Answer, Peer, Talk
from pyopenadr.vtn.service import Application

__all__ = ["RegistrationTalk"]


class RegistrationTalk(Talk):
    """Answers EiRegisterParty."""

    def answers(self) -> Mapping[type[wire.Message], Answer]:
        """What this part answers."""
        return {
            wire.OadrQueryRegistration: self._query,
            wire.OadrCreatePartyRegistration: self._create,
            wire.OadrCancelPartyRegistration: self._cancel,
            wire.OadrCanceledPartyRegistration: self._canceled,
            wire.OadrResponse: self._response,
        }

    def reply(self, response: wire.EiResponse, registration: Registration | None) -> wire.OadrCreatedPartyRegistration:
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
        known = None
        if peer.fingerprint is not None:
            known = self.service.find(Application(fingerprint=peer.fingerprint))
        registered = known if known is not None and known.registration_id is not None else None
        return self.reply(faults.response(message.request_id), registered)

    async def _create(self, message: wire.OadrCreatePartyRegistration, peer: Peer) -> wire.Message:
        if message.transport_name != "simpleHttp":
            raise RemoteProtocolError(
                f"transport {message.transport_name} is not supported: use simpleHttp", code="459"
            )
        if not message.http_pull_model and message.http_pull_model is not None:
            raise RemoteProtocolError(
                "this VTN does not push: register with oadrHttpPullModel true and poll", code="459", rule="402"
            )
        application = Application(
            ven_id=message.ven_id or None,
            registration_id=message.registration_id or None,
            ven_name=message.ven_name or None,
            profile=message.profile_name,
            transport=message.transport_name,
            report_only=message.report_only,
            xml_signature=message.xml_signature,
            fingerprint=peer.fingerprint,
        )
        answer = await self.ask("on_create_party_registration", message)
        if answer is False:
            raise RemoteProtocolError("this VEN may not register here: ask the operator to admit it", code="463")
        ven_id = registration_id = None
        if isinstance(answer, wire.OadrCreatedPartyRegistration):
            faults.raise_for(answer)
            ven_id, registration_id = answer.ven_id, answer.registration_id
        elif isinstance(answer, tuple) and len(answer) == 2:
            ven_id, registration_id = answer
        elif answer is not None and answer is not True and answer is not UNSET:
            raise ProtocolError(
                "on_create_party_registration must return None, (ven_id, registration_id) or False", code="500"
            )
        registration, fresh = await self.service.register(application, ven_id=ven_id, registration_id=registration_id)
        if fresh:
            self.provider.drop(registration.ven_id)
        if isinstance(answer, wire.OadrCreatedPartyRegistration):
            return answer
        return self.reply(faults.response(message.request_id), registration)

    async def _cancel(self, message: wire.OadrCancelPartyRegistration, peer: Peer) -> wire.Message:
        ven_id = message.ven_id
        if ven_id is None:
            found = [r for r in self.service.registrations if r.registration_id == message.registration_id]
            ven_id = found[0].ven_id if found else ""
        self.service.registered(ven_id, message.registration_id)
        answer = await self.ask("on_cancel_party_registration", message)
        await self._end_registration(ven_id)
        if isinstance(answer, wire.Message):
            return answer
        return wire.OadrCanceledPartyRegistration(
            response=faults.response(message.request_id), registration_id=message.registration_id, ven_id=ven_id
        )

    async def _end_registration(self, ven_id: str) -> None:
        await self.service.end_registration(ven_id)
        self.provider.drop(ven_id)

    async def _canceled(self, message: wire.OadrCanceledPartyRegistration, peer: Peer) -> wire.Message:
        ven = self.ven(message.ven_id)
        done = await self.service.done(ven.registration.ven_id, CancelRegistration, message.response.request_id)
        if done is not None and message.response.response_code.startswith("2"):
            await self._end_registration(ven.registration.ven_id)
        return self.acknowledge(message.response.request_id, message.ven_id)

    async def _response(self, message: wire.OadrResponse, peer: Peer) -> None:
        """A VEN acknowledges oadrRequestReregistration; no message is due in return (protocol notes §10.2)."""
        ven = self.ven(message.ven_id)
        await self.service.done(ven.registration.ven_id, Reregister, message.response.request_id)
