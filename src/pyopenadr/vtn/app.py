"""The VTN as an ASGI application: HTTP around the doors.

The 2.0 endpoints are answered right here, without a framework in between, because VENs call them all day.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from pyopenadr.v2.xml import DEFAULT_LIMITS
from pyopenadr.vtn.doors.talk import Peer
from pyopenadr.vtn.doors.v2_http import IDLE_BODY, V2Door

__all__ = ["App"]

log = logging.getLogger("pyopenadr.vtn")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_BODY_TIMEOUT_S: Final = 30.0
_XML: Final = (b"content-type", b"application/xml")
_TEXT: Final = (b"content-type", b"text/plain; charset=utf-8")
_GZIPPED_IDLE: Final = gzip.compress(IDLE_BODY, 6, mtime=0)


class App:
    """An ASGI 3 application; it can be mounted in any other.

    `start` and `stop` are called at the server's start and end, or, where the application is mounted without these
    events, `start` at the first request.
    """

    def __init__(
        self,
        door: V2Door,
        *,
        start: Callable[[], Awaitable[None]],
        stop: Callable[[], Awaitable[None]],
        max_body: int = DEFAULT_LIMITS.max_bytes,
    ) -> None:
        self._door = door
        self._start = start
        self._stop = stop
        self._max_body = max_body

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
                await self._start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                await self._stop()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        status, body = await self._answer(scope, receive, headers)
        coding = _coding(headers.get(b"accept-encoding", b"")) if status == 200 and body else b""
        if coding == b"gzip":
            body = _GZIPPED_IDLE if body is IDLE_BODY else gzip.compress(body, 6, mtime=0)
        elif coding == b"deflate":
            body = zlib.compress(body, 6)
        out = [_XML if status == 200 else _TEXT, (b"content-length", str(len(body)).encode())]
        if coding:
            out.append((b"content-encoding", coding))
        if status == 413:
            out.append((b"connection", b"close"))  # the rest of the body is not read
        await send({"type": "http.response.start", "status": status, "headers": out})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive, headers: dict[bytes, bytes]) -> tuple[int, bytes]:
        path = _normal(scope["path"])
        if scope["method"] != "POST":
            if self._door.is_mine(path):
                return 501, b"OpenADR 2.0 uses POST only\n"
            return 404, b"nothing is here\n"
        if not self._door.is_mine(path):
            return 404, b"nothing is here; OpenADR 2.0b is at /OpenADR2/Simple/2.0b/<service>\n"
        kind = headers.get(b"content-type", b"application/xml").lower().replace(b" ", b"")
        if kind.split(b";")[0] not in (b"application/xml", b"text/xml"):
            return 406, b"the Content-Type must be application/xml\n"
        if b"charset=" in kind and b"charset=utf-8" not in kind.replace(b'"', b""):
            return 406, b"the charset must be utf-8\n"
        body = await self._body(receive, headers)
        if body is None:
            return 413, f"a message may have {self._max_body} bytes\n".encode()
        await self._start()
        client = scope.get("client")
        fingerprint = scope.get("extensions", {}).get("tls", {}).get("fingerprint")
        peer = Peer(address=f"{client[0]}:{client[1]}" if client else "", fingerprint=fingerprint)
        return await self._door.handle(path, body, peer)

    async def _body(self, receive: Receive, headers: dict[bytes, bytes]) -> bytes | None:
        """The request's body, or None if it is too large."""
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._max_body:
            return None
        message = await receive()
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            return body if len(body) <= self._max_body else None
        parts = [body]
        size = len(body)
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            while message.get("more_body", False):
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise asyncio.CancelledError
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > self._max_body:
                    return None
        return b"".join(parts)


def _headers(scope: Scope) -> dict[bytes, bytes]:
    return dict(scope["headers"])


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
        name, _, weight = part.strip().partition(b";")
        if name in (b"gzip", b"deflate") and weight.replace(b" ", b"") not in (b"q=0", b"q=0.0"):
            return bytes(name)
    return b""
