"""Keeps what goes over a transport: every request with its reply, or with what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

from pyopenadr.clock import Clock
from pyopenadr.errors import TransportError
from pyopenadr.transport.port import Reply, Transport

__all__ = ["Keep", "RecordingTransport", "Traffic"]


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
