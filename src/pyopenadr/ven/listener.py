"""The VEN's own server, for a VTN that pushes: what comes is handled like what a poll brings, and answered at once."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from pyopenadr.errors import ConfigError, OpenADRError, RemoteProtocolError, SignatureInvalid, WireError
from pyopenadr.model.uri import normalised
from pyopenadr.transport.body import BodyRefused, Gone, read_body
from pyopenadr.transport.server import HttpServer
from pyopenadr.transport.tls import ServerTls
from pyopenadr.v2 import wire
from pyopenadr.v2.faults import fault
from pyopenadr.v2.xml import DEFAULT_LIMITS
from pyopenadr.ven.outbox import Letter
from pyopenadr.ven.part import Parts, interval
from pyopenadr.ven.registration import State

__all__ = ["Listener", "PushApp", "PushDoor", "Reception"]

_PATHS: Final = MappingProxyType(
    {
        "2.0a": re.compile(r"(?:.*/)?OpenADR2/Simple/EiEvent/?", re.IGNORECASE).fullmatch,
        "2.0b": re.compile(
            r"(?:.*/)?OpenADR2/Simple/2\.0b/(?:EiEvent|EiReport|EiRegisterParty)/?", re.IGNORECASE
        ).fullmatch,
    }
)
_HINTS: Final = MappingProxyType(
    {
        "2.0a": b"a 2.0a VEN has the service EiEvent below /OpenADR2/Simple\n",
        "2.0b": b"a VEN has the services EiEvent, EiReport and EiRegisterParty below /OpenADR2/Simple/2.0b\n",
    }
)
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_BODY_TIMEOUT_S = 30.0

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Listener:
    """How a VEN is pushed to.

    Args:
        host, port: where its server listens; 0 takes a free port. With None for the host there is no server: mount
            `client.app` in your own application.
        public_url: the base address that the VTN is told; None: that of the server.
        tls: serve HTTPS, and ask the VTN for a certificate.
        vtn_fingerprints: OpenADR's fingerprints of the VTN's certificates. Empty: the certificate must be good for the
            host name in `vtn_url`.
        insecure: serve plain HTTP on an address that others can reach.
        resync: how often (seconds, if a number) the client asks for its events besides, in case that a push was lost or
            the VTN has forgotten the VEN.

    Raises:
        ConfigError: a setting is wrong.
    """

    host: str | None = "127.0.0.1"
    port: int = 8081
    public_url: str | None = None
    tls: ServerTls | None = None
    vtn_fingerprints: Sequence[str] = ()
    insecure: bool = False
    resync: timedelta | float = timedelta(minutes=15)

    def __post_init__(self) -> None:
        interval("resync", self.resync)
        if self.host is None and self.public_url is None:
            raise ConfigError("a listener without a server of its own needs public_url, which the VTN is told")
        if self.public_url is not None:
            parts = urlsplit(self.public_url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
                raise ConfigError(f"public_url must be like https://ven.example.com:8443, not {self.public_url!r}")
        if self.host not in (None, *_THIS_MACHINE) and self.tls is None and not self.insecure:
            raise ConfigError(
                f"plain HTTP on {self.host} would let anybody on the network command this VEN: give "
                "tls=ServerTls(…), or say insecure=True if you mean it"
            )


class PushDoor:
    """Answers what the VTN pushes. `vtn_host` is the host name of the VTN's address. `hint` says where to push to."""

    def __init__(self, parts: Parts, listener: Listener, vtn_host: str) -> None:
        self._parts = parts
        self._marks = frozenset(mark.upper() for mark in listener.vtn_fingerprints)
        self._host = vtn_host
        self._path = _PATHS[parts.session.profile]
        self.hint = _HINTS[parts.session.profile]

    def is_mine(self, path: str) -> bool:
        """Whether something is answered at that path, or one that is the same by RFC 3986 (2.0b rule 511)."""
        return (self._path(path) or self._path(normalised(path))) is not None

    def admits(self, tls: MutableMapping[str, Any]) -> bool:
        """Whether the certificate of a connection is that of our VTN."""
        if self._marks:
            return tls.get("fingerprint") in self._marks
        from pyopenadr.transport.certificate import is_good_for

        return "certificate" in tls and is_good_for(tls["certificate"], self._host)

    async def handle(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Answer a POST: the HTTP status, and the reply (or, for a status that is not 200, plain text)."""
        if not self.is_mine(path):
            return 404, self.hint
        parts = self._parts
        try:
            message = parts.session.read(body).message
        except SignatureInvalid as error:
            parts.journal.warning(f"a pushed message is refused: {error}")
            return 403, f"{error}\n".encode()
        except WireError as error:
            parts.journal.warning(f"what was pushed is no message: {error}")
            return 406, f"{error}\n".encode()
        parts.guard.heard()
        try:
            reply = await self._answered(message)
            await parts.ledger.kept()  # what we have said yes to must not be forgotten
        except OpenADRError as error:
            parts.journal.warning(f"{message.message_type} that was pushed is refused: {error}")
            reply = _fault_reply(message, error, parts.registrar.identity.ven_id)
            if parts.session.profile == "2.0a":
                reply = wire.OadrResponse(response=reply["response"])  # without a venID
        except Exception:  # noqa: BLE001 - a bug in the handling of one message must not be the VTN's matter
            parts.journal.exception(f"{message.message_type} could not be handled; this is a bug in pyopenadr")
            return 500, b"the VEN failed on this message\n"
        if parts.registrar.state is not State.REGISTERED or parts.dispatcher.cancelled:
            parts.loop.wake()
        return 200, parts.session.seal.written(reply) if reply is not None else b""

    async def _answered(self, message: wire.Message) -> wire.Message | None:
        registrar = self._parts.registrar
        if registrar.identity.ven_id is None or registrar.state not in (State.REGISTERED, State.STALE):
            raise RemoteProtocolError("this VEN is not registered with you", code="463", rule="405")
        answers: list[wire.Message] = []

        async def deliver(letter: Letter) -> None:
            answer = letter.build()
            if answer is not None:
                answers.append(answer)
                letter.delivered(None)

        await self._parts.dispatcher.handle(message, deliver=deliver)
        return answers[0] if answers else None


def _fault_reply(message: wire.Message, error: OpenADRError, ven_id: str | None) -> wire.Message:
    """The error in the reply that the message calls for."""
    response = fault(error, str(message.get("request_id") or ""))
    ven_id = ven_id or str(message.get("ven_id") or "") or None
    match message:
        case wire.OadrRegisterReport():
            return wire.OadrRegisteredReport(response=response, ven_id=ven_id)
        case wire.OadrCreateReport():
            return wire.OadrCreatedReport(response=response, pending_reports=(), ven_id=ven_id)
        case wire.OadrCancelReport():
            return wire.OadrCanceledReport(response=response, pending_reports=(), ven_id=ven_id)
        case wire.OadrUpdateReport():
            return wire.OadrUpdatedReport(response=response, ven_id=ven_id)
        case wire.OadrCancelPartyRegistration():
            return wire.OadrCanceledPartyRegistration(
                response=response, registration_id=message.registration_id, ven_id=ven_id
            )
    return wire.OadrResponse(response=response, ven_id=ven_id)


class PushApp:
    """`PushDoor` as an ASGI 3 application, to be served alone or mounted in any other.

    `needs_certificate`: only connections on which the VTN has shown its certificate are answered. `now` is asked
    whether it is still valid.
    """

    def __init__(self, door: PushDoor, *, needs_certificate: bool, now: Callable[[], datetime]) -> None:
        self._door = door
        self._needs_certificate = needs_certificate
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            while (await receive())["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = dict(scope["headers"])
        status, body = self._refusal(scope, asked) or await self._answer(scope["path"], receive, asked)
        kind = b"application/xml" if status == 200 else b"text/plain; charset=utf-8"
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        if status in (408, 413):
            headers.append((b"connection", b"close"))  # the rest of the body is not read
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _refusal(self, scope: Scope, headers: Mapping[bytes, bytes]) -> tuple[int, bytes] | None:
        """What is wrong with the request before its body is read, if anything is."""
        if not self._door.is_mine(scope["path"]):
            return 404, self._door.hint
        tls = (scope.get("extensions") or {}).get("tls", {})
        if "not_after" in tls and tls["not_after"] < self._now():
            return 403, b"the certificate of this connection has expired: connect with a new one\n"
        if self._needs_certificate and not self._door.admits(tls):
            return 403, b"this certificate is not that of the VTN of this VEN\n"
        if scope["method"] != "POST":
            return 501, b"OpenADR 2.0 uses POST only\n"
        kind = headers.get(b"content-type", b"application/xml").lower().replace(b" ", b"")
        if kind.split(b";")[0] not in (b"application/xml", b"text/xml"):
            return 406, b"the Content-Type must be application/xml\n"
        if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
            return 406, b"send messages uncompressed, without Content-Encoding\n"
        return None

    async def _answer(self, path: str, receive: Receive, headers: Mapping[bytes, bytes]) -> tuple[int, bytes]:
        try:
            body = await read_body(receive, headers, most=DEFAULT_LIMITS.max_bytes, timeout_s=_BODY_TIMEOUT_S)
        except Gone:
            return 400, b"the message broke off\n"
        except BodyRefused as refused:
            return refused.status, f"{refused}\n".encode()
        return await self._door.handle(path, body)


class Reception:
    """A client's listener at work: its door, its application, and its server if it has one."""

    def __init__(self, parts: Parts, listener: Listener) -> None:
        base = urlsplit(parts.session.base)
        self.door = PushDoor(parts, listener, base.hostname or "")
        asks = listener.tls is not None and listener.tls.client_certificate_required
        needs = asks or bool(listener.vtn_fingerprints)
        self.app = PushApp(self.door, needs_certificate=needs, now=parts.clock.now)
        self._public_url = listener.public_url
        self._server: HttpServer | None = None
        if listener.host is not None:
            self._server = HttpServer(self.app, listener.host, listener.port, tls=listener.tls)

    @property
    def address(self) -> str:
        """What the VTN is told."""
        if self._public_url is not None:
            return self._public_url
        assert self._server is not None
        return self._server.url

    async def start(self) -> None:
        """Listen, if there is a server. Safe to repeat.

        Raises:
            ConfigError: what it needs is not installed.
            TransportError: the address can't be listened on.
        """
        if self._server is not None:
            try:
                await self._server.start()
            except ConfigError as error:
                raise ConfigError(str(error).replace("[vtn]", "[push]")) from error

    async def stop(self) -> None:
        """Finish what is in flight and close. Safe to repeat."""
        if self._server is not None:
            await self._server.stop()
