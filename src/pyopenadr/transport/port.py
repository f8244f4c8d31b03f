"""What a client side transport does: one request, one reply."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Protocol

__all__ = ["Reply", "Transport"]


class Reply(NamedTuple):
    """What came back: HTTP status and body.

    `retry_after_s` is how long the peer asks to wait before the next try (seconds), `date` what its clock shows.
    """

    status: int
    body: bytes
    retry_after_s: float | None = None
    date: datetime | None = None


class Transport(Protocol):
    """Sends a document and waits for the answer."""

    async def post(self, url: str, body: bytes) -> Reply:
        """POST `body` to `url` as application/xml and return whatever status and body come back.

        Raises:
            TransportError: no answer: no connection, TLS failure, time-out, a redirect, or a reply beyond the limits.
                `retry` says whether another try can help.
        """
        ...

    async def close(self) -> None:
        """Let go of every connection. Safe to call twice."""
        ...
