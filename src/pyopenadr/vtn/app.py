"""The VTN as an ASGI application: HTTP around the doors.

The 2.0 endpoints are answered right here, without a framework in between, because VENs call them all day.
"""

from __future__ import annotations

import gzip
import logging
import re
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from typing import Any, Final, Protocol

import msgspec

from pyopenadr.errors import OpenADRError, StoreUnavailable, TransportError
from pyopenadr.transport.body import BodyRefused, Gone, read_body
from pyopenadr.transport.proxy import TrustedProxy
from pyopenadr.transport.reach import is_loopback
from pyopenadr.v2.xml import DEFAULT_LIMITS
from pyopenadr.vtn.doors.talk import Peer
from pyopenadr.vtn.doors.v2_http import IDLE_BODY
from pyopenadr.vtn.login import LoginRefused, Logins
from pyopenadr.vtn.rate import DEFAULT_RATES, Buckets, Rates

__all__ = ["App", "Door"]

log = logging.getLogger("pyopenadr.vtn")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_BODY_TIMEOUT_S: Final = 30.0
_PEER: Final = "pyopenadr.peer"
_ZERO: Final = re.compile(rb"q=0(\.0*)?").fullmatch
_XML: Final = (b"content-type", b"application/xml")
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_CHALLENGE: Final = (b"www-authenticate", b'Basic realm="OpenADR", charset="UTF-8"')
_GZIPPED_IDLE: Final = gzip.compress(IDLE_BODY, 6, mtime=0)


class Door(Protocol):
    """What answers the messages."""

    def is_mine(self, path: str) -> bool:
        """Whether the path is one that it serves."""
        ...

    async def handle(self, path: str, body: bytes, peer: Peer) -> tuple[int, bytes]:
        """Answer a POST: the HTTP status, and the reply."""
        ...


class App:
    """An ASGI 3 application; it can be mounted in any other.

    `start` and `stop` are called at the host's start and end. `wake` is called at each request: it starts what has
    not been started, where the application is mounted without these events, and says whether it works. `now` is asked
    whether certificates are still valid, on connections that have been open for long (2.0b rule 516). `met` is told who
    has shown a certificate, once per connection. What `proxy` writes into headers is believed. `logins` says whose an
    Authorization header is. A message may have `max_body` bytes and take `body_timeout_s` seconds to arrive.
    """

    def __init__(
        self,
        door: Door,
        *,
        start: Callable[[], Awaitable[None]],
        wake: Callable[[], Awaitable[bool]],
        stop: Callable[[], Awaitable[None]],
        now: Callable[[], datetime],
        met: Callable[[Peer], None] = lambda peer: None,
        proxy: TrustedProxy | None = None,
        logins: Logins | None = None,
        rates: Rates = DEFAULT_RATES,
        beside: Callable[[Scope, Receive, Send], Awaitable[None]] | None = None,
        max_body: int = DEFAULT_LIMITS.max_bytes,
        body_timeout_s: float = _BODY_TIMEOUT_S,
    ) -> None:
        self._door = door
        self._start = start
        self._wake = wake
        self._stop = stop
        self._now = now
        self._met = met
        self._proxy = proxy
        self._logins = logins
        self._retry_after = str(rates.retry_after_s).encode()
        self._addresses = Buckets(rates.per_address, rates.burst)
        self._most_in_flight = rates.in_flight
        self._in_flight = 0
        self._beside = beside
        self._max_body = max_body
        self._body_timeout_s = body_timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self._start()
                except OpenADRError as error:
                    await send({"type": "lifespan.startup.failed", "message": str(error)})
                    return
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        try:
            status, body = await self._answer(scope, receive, headers)
        except Gone:
            return
        except _Elsewhere:
            await self._serve_beside(scope, receive, send)
            return
        except (_Refused, BodyRefused) as refused:
            status, body = refused.status, f"{refused}\n".encode()
        except StoreUnavailable as error:
            log.warning("a request to %r is not answered: %s", scope["path"], error)
            status, body = 503, b"this VTN can't reach its database now: try again later\n"
        except Exception:  # whatever it is, the peer gets an answer and others are not concerned
            log.exception("a request to %r failed", scope["path"])
            status, body = 500, b"the server failed on this request\n"
        coding = _coding(headers.get(b"accept-encoding", b"")) if status == 200 and body else b""
        if coding == b"gzip":
            body = _GZIPPED_IDLE if body is IDLE_BODY else gzip.compress(body, 6, mtime=0)
        elif coding == b"deflate":
            body = zlib.compress(body, 6)
        out = [_XML if status == 200 else _TEXT, (b"content-length", str(len(body)).encode())]
        if coding:
            out.append((b"content-encoding", coding))
        if status in (429, 503):
            out.append((b"retry-after", self._retry_after))
        if status == 401:
            out.append(_CHALLENGE)
        if status in (408, 413):
            out.append((b"connection", b"close"))  # the rest of the body is not read
        await send({"type": "http.response.start", "status": status, "headers": out})
        await send({"type": "http.response.body", "body": body})

    async def _serve_beside(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._beside is not None:
            await self._wake()
            await self._beside(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> tuple[int, bytes]:
        path = _normal(scope["path"])
        if not self._door.is_mine(path):
            if self._beside is not None:  # also under load, or whoever watches the server would take it for dead
                raise _Elsewhere
            raise _Refused(404, "nothing is here; OpenADR 2.0b is at /OpenADR2/Simple/2.0b/<service>")
        if self._in_flight >= self._most_in_flight:
            raise _Refused(503, "this VTN has too much to do, try again later")
        self._in_flight += 1
        try:
            return await self._answer_one(path, scope, receive, headers)
        finally:
            self._in_flight -= 1

    async def _answer_one(
        self, path: str, scope: Scope, receive: Receive, headers: dict[bytes, bytes]
    ) -> tuple[int, bytes]:
        if scope["method"] != "POST":
            raise _Refused(501, "OpenADR 2.0 uses POST only")
        peer = self._peer(scope)
        if not self._addresses.take(peer.address.rpartition(":")[0] or peer.address):
            raise _Refused(503, "too many requests from this address, try again later")
        _check_kind(headers)
        body = await read_body(receive, headers, most=self._max_body, timeout_s=self._body_timeout_s)
        if not await self._wake():
            raise _Refused(503, "this VTN has been stopped")
        if peer.not_after is not None and peer.not_after < self._now():
            raise _Refused(403, "the certificate of this connection has expired: connect with a new one")
        if self._logins is not None and b"authorization" in headers and self._logins.are_used:
            peer = await self._logged_in(self._logins, headers[b"authorization"], peer)
        return await self._door.handle(path, body, peer)

    @staticmethod
    async def _logged_in(logins: Logins, header: bytes, peer: Peer) -> Peer:
        """Who is at the other end, with the login that the header is; any certificate does not count besides."""
        address = peer.address.rpartition(":")[0] or peer.address
        if not (peer.over_tls or is_loopback(address)):
            log.warning("%s sends a login that everybody on the way can read: refused", peer.address or "somebody")
            raise _Refused(403, "this login came in the clear, take another password: send it by https only")
        try:
            ven_id = await logins.ven_of(header, address)
        except LoginRefused as refused:
            raise _Refused(refused.status, str(refused)) from refused
        return msgspec.structs.replace(peer, fingerprint=None, common_name=None, login=ven_id)

    def _peer(self, scope: Scope) -> Peer:
        """Who is at the other end; with TLS the same for all requests of a connection."""
        if self._proxy is not None:
            client = scope.get("client")
            if client and self._proxy.is_proxy(client[0]):
                return self._peer_behind(self._proxy, scope["headers"], client)
            self._check_direct(self._proxy, scope, f"{client[0]}:{client[1]}" if client else "")
        tls = (scope.get("extensions") or {}).get("tls", {})
        known: Peer | None = tls.get(_PEER)
        if known is None:
            client = scope.get("client")
            known = Peer(
                address=f"{client[0]}:{client[1]}" if client else "",
                fingerprint=tls.get("fingerprint"),
                common_name=tls.get("common_name"),
                not_after=tls.get("not_after"),
                over_tls=bool(tls) or scope.get("scheme") == "https",
            )
            if tls:
                tls[_PEER] = known
                self._met(known)
        return known

    def _peer_behind(self, proxy: TrustedProxy, headers: list[tuple[bytes, bytes]], client: tuple[str, int]) -> Peer:
        """Who is at the other end of a trusted proxy."""
        address = proxy.client(headers) or f"{client[0]}:{client[1]}"
        try:
            certificate, fingerprint = proxy.shown(headers)
        except TransportError as error:
            log.warning("%s, through the proxy %s: refused: %s", address, client[0], error)
            raise _Refused(403, str(error)) from error
        if certificate is None:
            return Peer(address=address, fingerprint=fingerprint, over_tls=True)
        from pyopenadr.transport.certificate import described

        shown = described(certificate)
        peer = Peer(address, shown.fingerprint, shown.common_name, shown.not_after, over_tls=True)
        self._met(peer)
        return peer

    @staticmethod
    def _check_direct(proxy: TrustedProxy, scope: Scope, address: str) -> None:
        """Refuse whoever does not come through the proxy, and pretends to, or has no TLS."""
        if proxy.has_header(scope["headers"]):
            log.warning("%s is no trusted proxy and sends %s: refused", address or "somebody", proxy.header)
            raise _Refused(403, f"only the proxy may send {proxy.header}")
        if scope.get("scheme") != "https":
            log.warning("%s is no trusted proxy and has no TLS: refused", address or "somebody")
            raise _Refused(403, "connect through the proxy")


def _check_kind(headers: dict[bytes, bytes]) -> None:
    """Refuse a body that is no XML, or in another charset or compressed (2.0b rule 53)."""
    kind = headers.get(b"content-type", b"application/xml")
    if kind != b"application/xml":
        kind = kind.lower().replace(b" ", b"")
        if kind.split(b";")[0] not in (b"application/xml", b"text/xml"):
            raise _Refused(406, "the Content-Type must be application/xml")
        if b"charset=" in kind and b"charset=utf-8" not in kind.replace(b'"', b""):
            raise _Refused(406, "the charset must be utf-8")
    coding = headers.get(b"content-encoding")
    if coding is not None and coding.strip().lower() not in (b"", b"identity"):
        raise _Refused(406, "send messages uncompressed, without Content-Encoding")


class _Elsewhere(Exception):
    """The request is for what is beside the 2.0 endpoints."""


class _Refused(Exception):
    """The request is answered by an HTTP error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def _normal(path: str) -> str:
    """The path without dot segments and doubled slashes (RFC 3986 equivalence, 2.0b rule 511)."""
    if "/." not in path and "//" not in path:
        return path
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    return "/" + "/".join(kept)


def _coding(accepted: bytes) -> bytes:
    """The compression that the client asks for, of those OpenADR knows; nothing if it asks for none."""
    if not accepted:
        return b""
    for part in accepted.lower().split(b","):
        name, _, weight = part.replace(b" ", b"").partition(b";")
        if name in (b"gzip", b"deflate") and not _ZERO(weight):
            return bytes(name)
    return b""
