"""OpenADR 2.0 over HTTP, pull side: a path and a body in, a status and a body out.

This is all that a server or another transport needs to put underneath; it knows no sockets and no ASGI.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pyopenadr.errors import (
    ProtocolError,
    RemoteProtocolError,
    SignatureInvalid,
    StoreError,
    StoreUnavailable,
    WireError,
)
from pyopenadr.model.uri import normalised
from pyopenadr.store.port import Claim
from pyopenadr.v2 import Payload, decode, encode, faults, wire
from pyopenadr.v2.leniency import rules as leniency_rules
from pyopenadr.v2.profile import ProfileName
from pyopenadr.v2.xml import DEFAULT_LIMITS, Limits
from pyopenadr.vtn.doors.conversation import SERVICES, Conversation
from pyopenadr.vtn.doors.talk import Peer
from pyopenadr.vtn.identity import LoginMissing
from pyopenadr.vtn.rate import DEFAULT_RATES, Buckets, Rates

if TYPE_CHECKING:  # it loads `cryptography`, which a VTN without signatures does not need
    from pyopenadr.vtn.doors.signature import Signatures

__all__ = ["IDLE_BODY", "V2Door"]

log = logging.getLogger("pyopenadr.vtn")

_PATH = re.compile(
    r"(?:.*/)?OpenADR2/Simple/(?:(?P<b>2\.0b)/)?"
    r"(?P<service>EiEvent|EiReport|EiOpt|EiRegisterParty|OadrPoll)/?",
    re.IGNORECASE,
).fullmatch

_IDLE: Final = wire.OadrResponse(response=faults.response())
IDLE_BODY: Final = encode(_IDLE)
"""The reply to every idle poll; it says nothing of the VEN, so that one text serves all."""


_LONGEST_REMEMBERED: Final = 1024
_MOST_FRAMES: Final = 16
_PLAIN_ID: Final = re.compile(rb"[A-Za-z0-9._:-]+").fullmatch
"""A venID whose bytes are the same in every document."""
_TOO_MUCH: Final = b"too many requests of this VEN, try again later\n"
_SIGNED: Final = b"SignatureValue"
"""What is in every signed message, and hardly ever in another."""


@lru_cache(maxsize=64)  # a few addresses are called all the time
def _endpoint(path: str) -> tuple[ProfileName, str] | None:
    """The profile and the service, in lower case, that an address stands for; equal ones count (2.0b rule 511)."""
    found = _PATH(path) or _PATH(normalised(path))
    return None if found is None else ("2.0b" if found["b"] else "2.0a", found["service"].lower())


class _Polls:
    """How polls are written, with the venID cut out: VENs with the same software differ in nothing else.

    So a poll that is written as one that was decoded before need not be decoded.
    """

    def __init__(self) -> None:
        self._frames: list[tuple[bytes, bytes]] = []

    def ven_id(self, body: bytes) -> str | None:
        """The VEN that a body is the poll of, if polls like this have been seen."""
        for before, behind in self._frames:
            if body.startswith(before) and body.endswith(behind):
                ven_id = body[len(before) : len(body) - len(behind)]
                return ven_id.decode("ascii") if _PLAIN_ID(ven_id) else None
        return None

    def keep(self, body: bytes, ven_id: str) -> None:
        """Remember how a poll is written."""
        name = ven_id.encode()
        before, _, behind = body.partition(b">" + name + b"<")
        # Without entities, comments and instructions, what stands once between tags can only be the text of venID.
        is_clear = b"&" not in body and b"<!" not in body and b"<?" not in body[1:]
        is_once = body.count(b">" + name + b"<") == 1
        if _PLAIN_ID(name) and is_clear and is_once and len(body) <= _LONGEST_REMEMBERED:
            self._frames = [*self._frames, (before + b">", b"<" + behind)][-_MOST_FRAMES:]


class V2Door:
    """The 2.0 endpoints of one VTN.

    `heard(ven_id)` is called for every message of a registered VEN. `leniency` names the deviations that are
    accepted from VENs (see `pyopenadr.v2.leniency`). Without `signatures` none is looked at.
    """

    def __init__(
        self,
        conversation: Conversation,
        *,
        heard: Callable[[str], None],
        limits: Limits = DEFAULT_LIMITS,
        leniency: Iterable[str] = (),
        signatures: Signatures | None = None,
        rates: Rates = DEFAULT_RATES,
    ) -> None:
        self._conversation = conversation
        self._heard = heard
        self._limits = limits
        self._leniency = tuple(sorted(leniency_rules(leniency)))
        self._signatures = signatures
        self._vens = Buckets(rates.per_ven, rates.burst)
        self._polls = _Polls()

    def is_mine(self, path: str) -> bool:
        """Whether the path is one of the 2.0 endpoints."""
        return _endpoint(path) is not None

    async def handle(self, path: str, body: bytes, peer: Peer) -> tuple[int, bytes]:
        """Answer a POST: the HTTP status, and the reply (or, for a status that is not 200, plain text)."""
        endpoint = _endpoint(path)
        if endpoint is None:
            return 404, b"no OpenADR 2.0 service has this address\n"
        profile, called = endpoint
        if called == "oadrpoll" and profile == "2.0b":
            polling = self._polls.ven_id(body)
            if polling is not None and self._may_be_unsigned(polling) and self._conversation.is_idle(polling, peer):
                self._heard(polling)
                return (200, IDLE_BODY) if self._vens.take(polling) else (503, _TOO_MUCH)
        if profile == "2.0a" and called != "eievent":
            return 404, b"OpenADR 2.0a has only the service EiEvent; for 2.0b put 2.0b/ into the address\n"
        try:
            payload, peer, claim = await self._open(body, profile, peer)
        except SignatureInvalid as error:
            log.warning("%r from %s: refused: %s", path, peer.address or "unknown", error)
            return 403, f"{error}\n".encode()
        except WireError as error:
            log.warning("%r from %s: not a valid message: %s", path, peer.address or "unknown", error)
            return 406, f"{error}\n".encode()
        except StoreError as error:
            log.error("%r from %s: can't be answered now: %s", path, peer.address or "unknown", error)
            return 503, b"the VTN can't check signatures at the moment, try again later\n"
        ven_id = payload.message.get("ven_id")
        if isinstance(ven_id, str) and self._conversation.is_registered(ven_id) and not self._vens.take(ven_id):
            log.warning("%r from %s: VEN %s asks too often", path, peer.address or "unknown", ven_id)
            self._give_back(claim)
            return 503, _TOO_MUCH
        for deviation in payload.deviations:
            log.info("%r from %s: accepted by leniency rule %s", path, peer.address or "unknown", deviation.rule)
        try:
            return 200, await self._answer(body, payload, called, peer)
        except StoreUnavailable as error:
            log.warning("%r from %s is not answered: %s", path, peer.address or "unknown", error)
            self._give_back(claim)
            return 503, b"this VTN can't reach its database now: try again later\n"
        except LoginMissing as error:
            log.warning("%r from %s: %s", path, peer.address or "unknown", error)
            self._give_back(claim)
            return 401, f"{error}\n".encode()

    def _give_back(self, claim: Claim | None) -> None:
        """The message is to come later: then it is not a repetition, also where it is not signed anew."""
        if claim is not None and self._signatures is not None:
            self._signatures.give_back(claim)

    async def _open(self, body: bytes, profile: ProfileName, peer: Peer) -> tuple[Payload, Peer, Claim | None]:
        """The message in the body, the peer with what its signature shows, and the claim to the nonce in that.

        Raises:
            WireError: it is none, or its signature is not in order.
            StoreError: whether it is a replay can't be found out.
        """
        signatures = self._signatures
        if signatures is None or _SIGNED not in body or profile == "2.0a":
            payload = decode(body, profile=profile, limits=self._limits, leniency=self._leniency)
        else:
            document = signatures.read(body, limits=self._limits, leniency=self._leniency)
            payload = document.payload
            if payload.signature is not None and signatures.mode_for(payload.message, peer) != "off":
                return payload, *await signatures.open(document, peer)
        if signatures is not None and signatures.mode_for(payload.message, peer) == "require":
            reason = "2.0a has no signatures" if profile == "2.0a" else "sign it, or have the operator switch that off"
            raise SignatureInvalid(
                f"{payload.message.message_type} is not signed, and this VTN wants signatures: {reason}", rule="514"
            )
        return payload, peer, None

    def _may_be_unsigned(self, ven_id: str) -> bool:
        return self._signatures is None or self._signatures.allows_unsigned(ven_id)

    async def _answer(self, body: bytes, payload: Payload, called: str, peer: Peer) -> bytes:
        """The reply to a message, as bytes."""
        message, profile = payload.message, payload.profile
        service = SERVICES.get(message.message_type, called)
        if profile == "2.0b" and service.lower() != called:
            stray = RemoteProtocolError(f"{message.message_type} belongs to {service}, which is another address")
            return self._write(self._conversation.fault_reply(message, stray), profile, peer)
        if type(message) is wire.OadrPoll:
            is_plain = not payload.deviations and payload.signature is None
            is_new = is_plain and self._polls.ven_id(body) is None
            if is_new and self._conversation.is_registered(message.ven_id):
                self._polls.keep(body, message.ven_id)
            if self._conversation.is_idle(message.ven_id, peer):
                self._heard(message.ven_id)
                return self._write(_IDLE, profile, peer) if peer.signed else IDLE_BODY
        answer = self._conversation.answer_a if profile == "2.0a" else self._conversation.answer
        reply = await answer(message, peer)
        self._note(message, reply)
        return self._encode(message, reply, profile, peer)

    def _write(self, reply: wire.Message, profile: ProfileName, peer: Peer) -> bytes:
        """The reply as bytes, signed for those that sign."""
        if peer.signed and self._signatures is not None:
            return self._signatures.seal(reply)
        return encode(reply, profile=profile)

    def _encode(self, message: wire.Message, reply: wire.Message | None, profile: ProfileName, peer: Peer) -> bytes:
        """The reply as bytes; what can't be written, as a message of the user's own may be, becomes a fault."""
        if reply is None:
            return b""
        try:
            return self._write(reply, profile, peer)
        except Exception:  # the user's messages may hold anything, also values of the wrong type
            log.exception("the %s in reply to %s can't be written", reply.message_type, message.message_type)
            failure = ProtocolError(f"the server failed on {message.message_type}", code="500")
            fault = self._conversation.fault_reply(message, failure)
            return self._write(self._conversation.as_a(fault) or fault if profile == "2.0a" else fault, profile, peer)

    def _note(self, message: wire.Message, reply: wire.Message | None) -> None:
        """The VEN has been heard of; a new one has its venID from the reply."""
        of = reply if isinstance(reply, wire.OadrCreatedPartyRegistration) else message
        ven_id = of.get("ven_id")
        if isinstance(ven_id, str) and self._conversation.is_registered(ven_id):
            self._heard(ven_id)
