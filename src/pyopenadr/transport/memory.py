"""A transport without a network: a VEN and a VTN's door in one process, with every fault a network can have.

Give it the door's function and it calls that instead of opening a connection. `fault` decides for each request
what goes wrong; with a `FakeClock` a whole event can be lived through in no time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from pyopenadr.clock import Clock, SystemClock
from pyopenadr.errors import TransportError
from pyopenadr.transport.port import Reply

__all__ = ["Door", "Fault", "FaultHook", "MemoryTransport"]

Door = Callable[[str, bytes], Awaitable[tuple[int, bytes]]]
"""Takes the path of the URL and the document, gives status and document."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens to one request.

    `lose_request`: it never arrives. `lose_reply`: it arrives, its answer does not. `duplicate`: it arrives twice,
    the second answer comes back. `delay_s`: it takes that many seconds of the clock to arrive, and `delay_reply_s` the
    answer: what is sent meanwhile overtakes it. `repeat_after_s`: a copy of it arrives that much later once more, and
    nobody reads the answer. `truncate_request`, `truncate_reply`: only the first half arrives.
    """

    lose_request: bool = False
    lose_reply: bool = False
    duplicate: bool = False
    delay_s: float = 0.0
    delay_reply_s: float = 0.0
    repeat_after_s: float = 0.0
    truncate_request: bool = False
    truncate_reply: bool = False


FaultHook = Callable[[str, bytes], Fault | None]
"""Asked before each request with its path and document; None lets it pass."""


class MemoryTransport:
    """A `Transport` that calls `door` in place of a peer."""

    def __init__(self, door: Door, *, fault: FaultHook | None = None, clock: Clock | None = None) -> None:
        self.door = door
        self.fault = fault
        self._clock = clock if clock is not None else SystemClock()
        self._copies: set[asyncio.Task[None]] = set()

    async def post(self, url: str, body: bytes) -> Reply:
        """Hand `body` to the door, unless the fault for it says otherwise.

        Raises:
            TransportError: the request or its answer was lost.
        """
        path = urlsplit(url).path
        fault = (self.fault(path, body) if self.fault is not None else None) or Fault()
        if fault.delay_s > 0:
            await self._clock.sleep(fault.delay_s)
        if fault.lose_request:
            raise TransportError(f"the request to {path} was lost on its way")
        if fault.repeat_after_s > 0:
            copy = asyncio.get_running_loop().create_task(self._repeat(path, body, fault.repeat_after_s))
            self._copies.add(copy)
            copy.add_done_callback(self._copies.discard)
        arriving = body[: len(body) // 2] if fault.truncate_request else body
        status, answer = await self.door(path, arriving)
        if fault.duplicate:
            status, answer = await self.door(path, arriving)
        if fault.delay_reply_s > 0:
            await self._clock.sleep(fault.delay_reply_s)
        if fault.lose_reply:
            raise TransportError(f"the answer of {path} was lost on its way")
        return Reply(status, answer[: len(answer) // 2] if fault.truncate_reply else answer)

    async def _repeat(self, path: str, body: bytes, after_s: float) -> None:
        await self._clock.sleep(after_s)
        await self.door(path, body)

    async def close(self) -> None:
        """Forget the copies that are still on their way."""
        for copy in tuple(self._copies):
            copy.cancel()
