"""Reading the body of a request to an ASGI application, within bounds of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

__all__ = ["BodyRefused", "Gone", "read_body"]


class Gone(Exception):
    """The client has left in the middle of its request."""


class BodyRefused(Exception):
    """The body is too long (413), or too long on its way (408)."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


async def read_body(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
    headers: Mapping[bytes, bytes],
    *,
    most: int,
    timeout_s: float,
) -> bytes:
    """The whole body: at most `most` bytes, within `timeout_s` seconds.

    Raises:
        BodyRefused: it is larger, also if it only says so, or takes longer. The rest of it is not read.
        Gone: the client has left.
    """
    try:
        with _Deadline(timeout_s):
            return await _read(receive, headers, most)
    except TimeoutError:
        raise BodyRefused(408, f"the message did not arrive within {timeout_s:g} seconds") from None


async def _read(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]], headers: Mapping[bytes, bytes], most: int
) -> bytes:
    declared = headers.get(b"content-length", b"0")
    size = int(declared) if declared.isdigit() else 0
    parts: list[bytes] = []
    received = 0
    more = True
    while more and size <= most:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
        received += len(parts[-1])
        size = max(size, received)
    if size > most:
        raise BodyRefused(413, f"a message may have {most} bytes")
    return parts[0] if len(parts) == 1 else b"".join(parts)


class _Deadline:
    """Bounds the time of what is awaited inside, as `asyncio.timeout` does at four times the cost."""

    __slots__ = ("_alarm", "_passed", "_task")

    def __init__(self, seconds: float) -> None:
        self._task = asyncio.current_task()
        self._passed = False
        self._alarm = asyncio.get_running_loop().call_later(seconds, self._pass)

    def _pass(self) -> None:
        self._passed = True
        if self._task is not None:
            self._task.cancel()

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._alarm.cancel()
        is_ours = self._passed and kind is not None and issubclass(kind, asyncio.CancelledError)
        # Only our own cancellation is turned into a time-out; one from outside on top of it goes on.
        if is_ours and (self._task is None or self._task.uncancel() == 0):
            raise TimeoutError
