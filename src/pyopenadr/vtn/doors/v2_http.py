"""OpenADR 2.0 over HTTP, pull side: a path and a body in, a status and a body out.

This is all that a server or another transport needs to put underneath; it knows no sockets and no ASGI.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from typing import Final

from pyopenadr.errors import ProtocolError, RemoteProtocolError, WireError
from pyopenadr.v2 import decode, encode, faults, wire
from pyopenadr.v2.leniency import rules as leniency_rules
from pyopenadr.v2.profile import ProfileName
from pyopenadr.v2.xml import DEFAULT_LIMITS, Limits
from pyopenadr.vtn.doors.conversation import SERVICES, Conversation
from pyopenadr.vtn.doors.talk import Peer

__all__ = ["IDLE_BODY", "V2Door"]

log = logging.getLogger("pyopenadr.vtn")

_PATH = re.compile(
    r"(?:.*/)?OpenADR2/Simple/(?:(?P<b>2\.0b)/)?"
    r"(?P<service>EiEvent|EiReport|EiOpt|EiRegisterParty|OadrPoll)/?",
    re.IGNORECASE,
).fullmatch

IDLE_BODY: Final = encode(wire.OadrResponse(response=faults.response()))
"""The reply to every idle poll; it says nothing of the VEN, so that one text serves all."""


class V2Door:
    """The 2.0 endpoints of one VTN.

    `heard(ven_id)` is called for every message of a registered VEN. `leniency` names the deviations that are
    accepted from VENs (see `pyopenadr.v2.leniency`).
    """

    def __init__(
        self,
        conversation: Conversation,
        *,
        heard: Callable[[str], None],
        limits: Limits = DEFAULT_LIMITS,
        leniency: Iterable[str] = (),
    ) -> None:
        self._conversation = conversation
        self._heard = heard
        self._limits = limits
        self._leniency = tuple(sorted(leniency_rules(leniency)))

    def is_mine(self, path: str) -> bool:
        """Whether the path is one of the 2.0 endpoints."""
        return _PATH(path) is not None

    async def handle(self, path: str, body: bytes, peer: Peer) -> tuple[int, bytes]:
        """Answer a POST: the HTTP status, and the reply (or, for a status that is not 200, plain text)."""
        found = _PATH(path)
        if found is None:
            return 404, b"no OpenADR 2.0 service has this address\n"
        profile: ProfileName = "2.0b" if found["b"] else "2.0a"
        if profile == "2.0a" and found["service"].lower() != "eievent":
            return 404, b"OpenADR 2.0a has only the service EiEvent; for 2.0b put 2.0b/ into the address\n"
        where = peer.address or "unknown"
        try:
            payload = decode(body, profile=profile, limits=self._limits, leniency=self._leniency)
        except WireError as error:
            log.warning("%r from %s: not a valid message: %s", path, where, error)
            return 406, f"{error}\n".encode()
        for deviation in payload.deviations:
            log.info("%r from %s: accepted by leniency rule %s", path, where, deviation.rule)
        message = payload.message
        service = SERVICES.get(message.message_type, found["service"])
        if profile == "2.0b" and service.lower() != found["service"].lower():
            stray = RemoteProtocolError(f"{message.message_type} belongs to {service}, not {found['service']}")
            return 200, encode(self._conversation.fault_reply(message, stray))
        if type(message) is wire.OadrPoll and self._conversation.is_idle(message.ven_id, peer):
            self._heard(message.ven_id)
            return 200, IDLE_BODY
        answer = self._conversation.answer_a if profile == "2.0a" else self._conversation.answer
        reply = await answer(message, peer)
        self._note(message, reply)
        return 200, self._encode(message, reply, profile)

    def _encode(self, message: wire.Message, reply: wire.Message | None, profile: ProfileName) -> bytes:
        """The reply as bytes; what can't be written, as a message of the user's own may be, becomes a fault."""
        if reply is None:
            return b""
        try:
            return encode(reply, profile=profile)
        except Exception:  # the user's messages may hold anything, also values of the wrong type
            log.exception("the %s in reply to %s can't be written", reply.message_type, message.message_type)
            failure = ProtocolError(f"the server failed on {message.message_type}", code="500")
            fault = self._conversation.fault_reply(message, failure)
            return encode(self._conversation.as_a(fault) or fault if profile == "2.0a" else fault, profile=profile)

    def _note(self, message: wire.Message, reply: wire.Message | None) -> None:
        """The VEN has been heard of; a new one has its venID from the reply."""
        of = reply if isinstance(reply, wire.OadrCreatedPartyRegistration) else message
        ven_id = of.get("ven_id")
        if isinstance(ven_id, str) and self._conversation.is_registered(ven_id):
            self._heard(ven_id)
