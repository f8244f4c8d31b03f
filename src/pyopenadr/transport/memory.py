"""A transport without a network: a VEN and a VTN's door in one process, with every fault a network can have.

Give it the door's function and it calls that instead of opening a connection. `fault` decides for each request
what goes wrong; with a `FakeClock` a whole event can be lived through in no time.
"""

from __future__ import annotations

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
    the second answer comes back. `delay_s`: it takes that many seconds of the clock to arrive.
    """

    lose_request: bool = False
    lose_reply: bool = False
    duplicate: bool = False
    delay_s: float = 0.0


FaultHook = Callable[[str, bytes], Fault | None]
"""Asked before each request with its path and document; None lets it pass."""


class MemoryTransport:
    """A `Transport` that calls `door` in place of a peer."""

    def __init__(self, door: Door, *, fault: FaultHook | None = None, clock: Clock | None = None) -> None:
        self.door = door
        self.fault = fault
        self._clock = clock if clock is not None else SystemClock()

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
        status, answer = await self.door(path, body)
        if fault.duplicate:
            status, answer = await self.door(path, body)
        if fault.lose_reply:
            raise TransportError(f"the answer of {path} was lost on its way")
        return Reply(status, answer)

    async def close(self) -> None:
        """There is nothing to close."""
