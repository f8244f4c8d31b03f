"""Push over HTTP: messages go to the VEN's own server as soon as there are any, and it answers in the response."""

from __future__ import annotations

import logging
import random
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import OpenADRError, PeerRefused, RemoteProtocolError, StoreError, TransportError
from pyopenadr.model import Registration
from pyopenadr.model.time import add
from pyopenadr.store.port import Change, Topic
from pyopenadr.transport.port import Reply, Transport
from pyopenadr.transport.push import PushTransport
from pyopenadr.transport.reach import Reach, base_of
from pyopenadr.transport.tls import ClientTls, client_context
from pyopenadr.v2 import decode, encode, faults, wire
from pyopenadr.v2.leniency import rules as leniency_rules
from pyopenadr.v2.profile import ProfileName
from pyopenadr.v2.xml import DEFAULT_LIMITS, Limits
from pyopenadr.vtn.doors.conversation import Conversation, Parcel
from pyopenadr.vtn.doors.talk import Peer
from pyopenadr.vtn.rota import Failure, Random, Rota
from pyopenadr.vtn.service import Service

if TYPE_CHECKING:  # it loads `cryptography`, which a VTN without signatures does not need
    from pyopenadr.vtn.doors.signature import Signatures

__all__ = ["DEFAULT_PUSH", "Push", "Pusher", "service_url"]

log = logging.getLogger("pyopenadr.vtn")

PATHS: Final[Mapping[str, str]] = MappingProxyType({"2.0a": "/OpenADR2/Simple", "2.0b": "/OpenADR2/Simple/2.0b"})
SERVICES: Final[Mapping[type[wire.Message], tuple[str, type[wire.Message]]]] = MappingProxyType(
    {
        wire.OadrDistributeEvent: ("EiEvent", wire.OadrCreatedEvent),
        wire.OadrRegisterReport: ("EiReport", wire.OadrRegisteredReport),
        wire.OadrCreateReport: ("EiReport", wire.OadrCreatedReport),
        wire.OadrCancelReport: ("EiReport", wire.OadrCanceledReport),
        wire.OadrUpdateReport: ("EiReport", wire.OadrUpdatedReport),
        wire.OadrCancelPartyRegistration: ("EiRegisterParty", wire.OadrCanceledPartyRegistration),
        wire.OadrRequestReregistration: ("EiRegisterParty", wire.OadrResponse),
    }
)
"""Where each message is pushed to, and what answers it besides a plain oadrResponse or nothing."""

GREETING = timedelta(seconds=1)
"""How long a VEN is left to itself after it has registered, so that it can take in the reply to that first."""

MOST_IN_A_ROW = 100
"""How many messages one VEN gets before others have a turn."""

_REFUSED = (404, 406, 501)
"""What a VEN says to a message that must not be sent again as it is (2.0b §9.1.5)."""


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """How a VTN pushes.

    Args:
        tls: how to call VENs over TLS. None takes the server's own: its first certificate and its authorities.
        insecure: push over plain `http:` to other machines, too.
        networks: the networks in which VENs may be, such as `("10.0.0.0/8",)`. None: anywhere but on this machine
            (there only if the server itself listens just there) and on the local link.
        timeout: how long one exchange may take, at least 5 seconds.
        places: how many VENs are served at the same time; four times as many more if they are slow.
        transport: something else in place of HTTP, for tests.
    """

    tls: ClientTls | None = None
    insecure: bool = False
    networks: tuple[str, ...] | None = None
    timeout: timedelta = timedelta(seconds=30)
    places: int = 64
    transport: Transport | None = None


DEFAULT_PUSH: Final = Push()


Keep = Callable[[Registration, bytes, datetime, Reply | None], None]
"""Is told of a push: to whom, what, when, and the reply; None if there was none."""


class Presence(Protocol):
    """Who wants to know which VENs can be reached."""

    def heard(self, ven_id: str) -> None:
        """The VEN has answered."""
        ...

    def unreachable(self, ven_id: str, since: datetime) -> None:
        """No push has reached the VEN since then."""
        ...


class Pusher:
    """Delivers to push VENs what waits for them.

    What waits is what a poll would bring, from the same queue; a message is done when the VEN has answered it. A VEN
    that can't be reached is tried again after 1, 2, 4 … up to 120 seconds, or when it is heard of.

    Of several workers on one database, the one that leads pushes (`look`). Where a message counts as sent, all of them
    know; so whoever takes the lead goes on with what no VEN has taken, as the store has it.

    Args:
        tls: how to call VENs, where `settings` don't say.
        loopback: whether VENs may be on this machine.
        signatures: what signs messages for VENs that sign, and verifies their replies.

    Raises:
        ConfigError: a setting or a file is wrong.
    """

    def __init__(
        self,
        settings: Push,
        conversation: Conversation,
        service: Service,
        presence: Presence,
        clock: Clock,
        *,
        tls: ClientTls | None = None,
        loopback: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        leniency: Iterable[str] = (),
        signatures: Signatures | None = None,
        draw: Random | None = None,
    ) -> None:
        self._settings = settings
        self._conversation = conversation
        self._service = service
        self._presence = presence
        self._clock = clock
        self._limits = limits
        self._leniency = tuple(sorted(leniency_rules(leniency)))
        self._signatures = signatures
        self._heard: set[str] = set()
        self._reach = Reach(settings.networks, loopback=loopback, insecure=settings.insecure)
        self._draw = draw if draw is not None else random.SystemRandom()
        self._contexts = _contexts(settings.tls if settings.tls is not None else tls)
        self._rota: Rota | None = None
        self.keep: Keep = lambda *exchange: None
        """Called with each exchange, for the audit."""

    def check(self, address: str) -> str:
        """The transport address of a VEN that wants to be pushed to, in the form in which it is kept.

        Raises:
            TransportError: it is none, or one that is not called from here.
        """
        return self._reach.check(address)

    # --- running ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin to push, at first what was left by the last run; if another worker does, wait for its end."""
        self._service.on_due = self._due
        self._service.on_heard = self._relieve
        await self.look()

    async def stop(self) -> None:
        """End what is under way. What was not answered is pushed again by the next run."""
        self._service.on_due = lambda _: None
        self._service.on_heard = lambda _: None
        await self._leave_off()

    async def look(self) -> None:
        """Begin to push if it is this worker's turn, leave off if it is no more, and tell whose turn it is of news.

        Raises:
            StoreError: the database is away.
        """
        if await self._service.store.leads():
            if self._rota is None:
                await self._begin()
            return
        await self._leave_off()
        heard, self._heard = self._heard, set()
        try:
            await self._service.store.tell([Change(Topic.HEARD, ven_id) for ven_id in sorted(heard)])
        except StoreError:
            self._heard |= heard
            raise

    async def _begin(self) -> None:
        await self._service.catch_up()
        self._heard.clear()
        self._rota = Rota(
            self._serve, self._presence.unreachable, clock=self._clock, draw=self._draw, places=self._settings.places
        )
        self._due(None)

    async def _leave_off(self) -> None:
        rota, self._rota = self._rota, None
        if rota is not None:
            await rota.stop()

    def heard(self, ven_id: str) -> None:
        """The VEN has sent something, so it is there."""
        if self._rota is not None:
            self._rota.relieve(ven_id)
            return
        registration = self._service.registration(ven_id)
        if registration is not None and _is_pushed_to(registration):
            self._heard.add(ven_id)  # whoever pushes to it is told soon

    def _relieve(self, ven_id: str) -> None:
        if self._rota is not None:
            self._rota.relieve(ven_id)

    def _due(self, ven_ids: Iterable[str] | None) -> None:
        """There may be something new for these VENs, or for any."""
        if self._rota is None:
            return
        known = self._service.registrations if ven_ids is None else map(self._service.registration, ven_ids)
        for registration in known:
            if registration is not None and _is_pushed_to(registration):
                self._rota.call(registration.ven_id)

    async def _serve(self, ven_id: str) -> datetime | Failure | None:
        """Push what waits for a VEN; when to look again."""
        try:
            await self._service.catch_up()
        except StoreError as error:
            return Failure(f"the server's store fails: {error}", ours=True)
        registration = self._service.registration(ven_id)
        if registration is None or not _is_pushed_to(registration):
            return None
        ready_at = (registration.registered_at or self._clock.now()) + GREETING
        if self._clock.now() < ready_at:
            return ready_at
        transport = self._connect(registration)
        try:
            return await self._serve_by(transport, registration)
        except StoreError as error:
            return Failure(f"the server's store fails: {error}", ours=True)
        except OpenADRError as error:
            if not self._service.is_registered(ven_id):
                return None  # it has left in the meantime
            lasting = not error.retry if isinstance(error, TransportError) else False
            return Failure(str(error), lasting, getattr(error, "retry_after_s", None))
        finally:
            if transport is not self._settings.transport:
                await transport.close()

    async def _serve_by(self, transport: Transport, registration: Registration) -> datetime | None:
        ven_id = registration.ven_id
        one_only = self._conversation.backend.get("on_poll") is not None
        for _ in range(MOST_IN_A_ROW):
            parcel = await self._conversation.next_push(ven_id)
            if parcel is None:
                break
            await self._deliver(transport, registration, parcel)
            if self._service.registration(ven_id) != registration or one_only:
                break  # it has another address now, or none; or on_poll is asked as seldom as by polls
        else:
            return self._clock.now()
        if not self._service.is_registered(ven_id):
            return None
        next_at = await self._conversation.next_due(ven_id)
        if self._conversation.backend.answers_polls:  # the user's own data are looked at as often as by polls
            later = add(self._clock.now(), self._service.poll_frequency)
            return later if next_at is None else min(next_at, later)
        return next_at

    def _connect(self, registration: Registration) -> Transport:
        if self._settings.transport is not None:
            return self._settings.transport
        return PushTransport(
            self._reach,
            fingerprints=registration.fingerprints,
            context=self._contexts(bool(registration.fingerprints)),
            timeout_s=self._settings.timeout.total_seconds(),
        )

    # --- one message ------------------------------------------------------------------------------------------------

    async def _deliver(self, transport: Transport, registration: Registration, parcel: Parcel) -> None:
        """Push one message and take the answer. Only then it counts as sent.

        Raises:
            OpenADRError: it did not get through, and is still due.
        """
        ven_id = registration.ven_id
        profile: ProfileName = "2.0a" if registration.profile == "2.0a" else "2.0b"
        sent_at = self._clock.now()
        body = self._written(parcel.message, registration, profile)
        try:
            reply = await transport.post(service_url(registration, parcel.message), body)
        except OpenADRError:
            self.keep(registration, body, sent_at, None)
            raise
        self.keep(registration, body, sent_at, reply)
        answer = await self._read(reply, parcel, registration, profile)
        self._presence.heard(ven_id)
        if answer is not None:
            await self._take(answer, registration, profile)
        if self._service.is_registered(ven_id):  # else its answer was to the end of its registration
            await self._service.note_pushed(ven_id, parcel.item_id, parcel.events, sent_at)
        log.debug("VEN %s has taken %s", ven_id, parcel.message.message_type)

    def _written(self, message: wire.Message, registration: Registration, profile: ProfileName) -> bytes:
        """The message as it is posted; signed anew for each try."""
        if self._signatures is not None and self._signatures.signs_for(registration):
            return self._signatures.seal(message)
        return encode(message, profile=profile)

    async def _read(
        self, reply: Reply, parcel: Parcel, registration: Registration, profile: ProfileName
    ) -> wire.Message | None:
        """What the VEN says to a message; None is a plain yes to events, or an answer that is still to come.

        Raises:
            TransportError: an HTTP error.
            WireError: it is no message, or its signature is not in order.
            RemoteProtocolError: it is a wrong one.
            PeerRefused: the VEN can't take it now.
        """
        ven_id, kind = registration.ven_id, parcel.message.message_type
        if reply.status in _REFUSED and parcel.item_id is not None:
            log.error("VEN %s refuses %s by HTTP %d: it is given up", ven_id, kind, reply.status)
            return _plain(parcel, ven_id, faults.response("", "459", f"HTTP {reply.status}"))
        if reply.status not in (200, 202, 204):
            raise TransportError(
                f"the VEN answers {kind} by HTTP {reply.status}",
                status=reply.status,
                retry=reply.status not in (*_REFUSED, 401, 403),
                retry_after_s=reply.retry_after_s,
            )
        signatures = self._signatures if profile == "2.0b" else None
        if not reply.body.strip():
            is_proof = signatures is None or not signatures.needs_signed(registration)
            return _plain(parcel, ven_id, faults.response()) if parcel.item_id is not None and is_proof else None
        if signatures is None:
            message = decode(reply.body, profile=profile, limits=self._limits, leniency=self._leniency).message
        else:
            message = await signatures.open_reply(
                reply.body, registration, limits=self._limits, leniency=self._leniency
            )
        expected = SERVICES[type(parcel.message)][1]
        if not isinstance(message, (expected, wire.OadrResponse)):
            raise RemoteProtocolError(f"the VEN answers {kind} by {message.message_type}")
        return _addressed(message, parcel, ven_id)

    async def _take(self, answer: wire.Message, registration: Registration, profile: ProfileName) -> None:
        """Do what the VEN's answer asks for, as if it had posted it.

        Raises:
            PeerRefused: we have failed on it.
        """
        peer = Peer(address=registration.push_address or "", fingerprint=registration.fingerprint, profile=profile)
        outcome = await self._conversation.answer(answer, peer)
        response = faults.response_of(outcome) if outcome is not None else None
        if response is not None and response.response_code.startswith("5"):
            raise PeerRefused(response.response_code, f"the server failed on {answer.message_type}")


def _addressed(message: wire.Message, parcel: Parcel, ven_id: str) -> wire.Message | None:
    """The answer with what a synchronous reply may leave out: whose it is, and to what.

    Raises:
        RemoteProtocolError: it is another VEN's.
        PeerRefused: the VEN does not count itself as registered, or has failed.
    """
    if message.get("ven_id") not in (None, "", ven_id):
        raise RemoteProtocolError(f"the answer is that of VEN {message.get('ven_id')!r}", code="452")
    response = faults.response_of(message)
    if response is not None and isinstance(parcel.message, wire.OadrCancelPartyRegistration):
        if response.response_code in ("452", "463"):
            response = faults.response()  # it does not know of the registration, which is what we want
    elif response is not None and response.response_code == "463":
        raise PeerRefused("463", "the VEN says that it is not registered", message_type=message.message_type)
    if isinstance(parcel.message, wire.OadrDistributeEvent) and isinstance(message, wire.OadrResponse):
        if response is not None and response.response_code.startswith("5"):
            raise PeerRefused(response.response_code, response.response_description)
        faulty = response is not None and not faults.is_success(response.response_code)
        if faulty and response is not None:
            log.warning(
                "VEN %s answers events by %s %s", ven_id, response.response_code, response.response_description or ""
            )
        return None
    changed: dict[str, object] = {"ven_id": ven_id}
    if response is not None and parcel.item_id is not None:
        changed["response"] = msgspec.structs.replace(response, request_id=parcel.item_id)
    return msgspec.structs.replace(message, **changed)


def _plain(parcel: Parcel, ven_id: str, response: wire.EiResponse) -> wire.OadrResponse:
    """The plain answer to a message that waits for the VEN."""
    return wire.OadrResponse(response=msgspec.structs.replace(response, request_id=parcel.item_id or ""), ven_id=ven_id)


def service_url(registration: Registration, message: wire.Message) -> str:
    """Where a message is pushed to.

    Raises:
        RemoteProtocolError: the message is none that is pushed.
        TransportError: the VEN's address is none.
    """
    found = SERVICES.get(type(message))
    if found is None:
        raise RemoteProtocolError(f"{message.message_type} is no message that a VTN pushes")
    base, path = base_of(registration.push_address or ""), PATHS[registration.profile]
    return f"{base.removesuffix(path)}{path}/{found[0]}"


def _is_pushed_to(registration: Registration) -> bool:
    return registration.push_address is not None and registration.registration_id is not None


def _contexts(tls: ClientTls | None) -> Callable[[bool], ssl.SSLContext | None]:
    """The TLS context for VENs, given whether the VEN's certificate is known.

    Where it is, the host name says nothing more: many VENs have device names in their certificates.
    """

    def context(is_bound: bool) -> ssl.SSLContext | None:
        return None if tls is None else client_context(replace(tls, check_hostname=not is_bound))

    return lru_cache(2)(context)  # read when the first VEN needs it
