"""Keeps what goes over a transport, or what a server is asked: each request with its reply, or with what went wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from pyopenadr.clock import Clock
from pyopenadr.errors import TransportError
from pyopenadr.transport.port import Reply, Transport

__all__ = ["Keep", "RecordingApp", "RecordingTransport", "Traffic"]


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """One exchange. `at` is when the request left (VEN) or arrived (VTN), `seconds` how long the answer took.

    `status` is 0 and `error` a sentence where no answer came. `who` is whose exchange it is: at a VEN its name, at a
    VTN the address of the one who asked.
    """

    at: datetime
    who: str
    path: str
    request: bytes = field(repr=False)
    status: int = 0
    reply: bytes = field(default=b"", repr=False)
    seconds: float = 0.0
    error: str | None = None


Keep = Callable[[Traffic], None]
"""Takes each exchange when it is over."""


class RecordingTransport:
    """A `Transport` that passes everything on to another one, and gives each exchange to `keep`."""

    def __init__(self, inner: Transport, keep: Keep, *, who: str, clock: Clock) -> None:
        self.inner = inner
        self._keep = keep
        self._who = who
        self._clock = clock

    async def post(self, url: str, body: bytes) -> Reply:
        """As the other transport does.

        Raises:
            TransportError: as the other transport does.
        """
        at = self._clock.now()
        path = urlsplit(url).path
        try:
            reply = await self.inner.post(url, body)
        except TransportError as error:
            took = (self._clock.now() - at).total_seconds()
            self._keep(Traffic(at=at, who=self._who, path=path, request=body, seconds=took, error=str(error)))
            raise
        took = (self._clock.now() - at).total_seconds()
        self._keep(
            Traffic(
                at=at,
                who=self._who,
                path=path,
                request=body,
                status=reply.status,
                reply=reply.body,
                seconds=took,
            )
        )
        return reply

    async def close(self) -> None:
        """Close the other transport."""
        await self.inner.close()


class RecordingApp:
    """An ASGI application that passes everything on to another one, and gives each HTTP exchange to `keep`.

    It asks for answers without compression, so that what is kept can be read. Paths that `leave_out` names are
    passed on as they are: those with secrets, and those whose answers have no end.
    """

    def __init__(
        self, app: Any, keep: Keep, clock: Clock, *, leave_out: Callable[[str], bool] = lambda path: False
    ) -> None:
        self._app = app
        self._keep = keep
        self._clock = clock
        self._leave_out = leave_out

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http" or self._leave_out(scope["path"]):
            await self._app(scope, receive, send)
            return
        at, request, reply, status = self._clock.now(), bytearray(), bytearray(), 0

        async def received() -> MutableMapping[str, Any]:
            message = await receive()
            request.extend(message.get("body", b""))
            return message

        async def sent(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            reply.extend(message.get("body", b""))
            await send(message)

        headers = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        try:
            await self._app({**scope, "headers": headers}, received, sent)
        finally:
            client = scope.get("client")
            self._keep(
                Traffic(
                    at=at,
                    who=str(client[0]) if client else "",
                    path=scope["path"],
                    request=bytes(request),
                    status=status,
                    reply=bytes(reply),
                    seconds=(self._clock.now() - at).total_seconds(),
                    error=None if status else "the client left before it was answered",
                )
            )
