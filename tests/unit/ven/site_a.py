"""Our VTN and a VEN of 2.0a, in memory."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pyopenadr.clock import FakeClock
from pyopenadr.model import Event
from pyopenadr.transport.memory import MemoryTransport
from pyopenadr.v2 import decode, encode, faults, wire
from pyopenadr.ven import OpenADRClient
from pyopenadr.vtn.push import Push
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.vtn.sample import NOW

PATH = "/OpenADR2/Simple/EiEvent"
Settings = dict[str, Any]


class Site:
    """Our VTN and a 2.0a VEN in memory.

    `posted` is what the VEN sends, `refusal` the code it gets for it, and `failing` the kind of message that brings
    HTTP 500. `replies` is what it says to pushes.
    """

    def __init__(self, *, vtn: Settings | None = None, **settings: Any) -> None:
        self.clock = FakeClock(NOW)
        self.posted: list[wire.Message] = []
        self.replies: list[tuple[int, bytes]] = []
        self.heard: list[tuple[str, int, bool]] = []
        self.refusal = ""
        self.failing: type[wire.Message] | None = None
        self.settings = settings
        push = Push(transport=MemoryTransport(self._to_ven, clock=self.clock))
        self.vtn = OpenADRServer("vtn", clock=self.clock, push=push, **(vtn or {}))
        self.ven = self.client()

    def client(self, **settings: Any) -> OpenADRClient:
        async def on_event(event: Event) -> str:
            self.heard.append((event.event_id, event.modification_number, event.cancelled))
            return "optIn"

        values: Settings = {
            "ven_id": "old",
            "profile": "2.0a",
            "poll_interval": 10,
            "jitter": 0.0,
            "on_event": on_event,
            "clock": self.clock,
            "random": random.Random(1),
            "transport": MemoryTransport(self._to_vtn, clock=self.clock),
        }
        return OpenADRClient("my ven", "http://localhost", **(values | self.settings | settings))

    async def _to_vtn(self, path: str, body: bytes) -> tuple[int, bytes]:
        assert path == PATH
        self.posted.append(decode(body, profile="2.0a").message)
        if self.failing is not None and isinstance(self.posted[-1], self.failing):
            return 500, b"no"
        if self.refusal:
            response = faults.response("", self.refusal)
            reply = wire.OadrDistributeEvent(response=response, request_id="d", vtn_id="vtn", events=())
            return 200, encode(reply, profile="2.0a")
        return await self.vtn.handle(path, body)

    async def _to_ven(self, path: str, body: bytes) -> tuple[int, bytes]:
        self.replies.append(await self.ven.receive(path, body))
        return self.replies[-1]

    @property
    def kinds(self) -> list[str]:
        return [message.message_type for message in self.posted]

    async def opts(self) -> list[tuple[str, int, str]]:
        """What the VTN has heard: event, version, opt."""
        return [(it.event_id, it.modification_number, str(it.opt_type)) for it in await self.vtn.answers()]


@asynccontextmanager
async def site(**settings: Any) -> AsyncIterator[Site]:
    """Such a pair, with the VTN started."""
    both = Site(**settings)
    await both.vtn.start()
    try:
        yield both
    finally:
        await both.ven.close()
        await both.vtn.stop()


@asynccontextmanager
async def running(both: Site) -> AsyncIterator[None]:
    """The VEN in auto mode."""
    task = asyncio.create_task(both.ven.run())
    await both.clock.advance(1)
    try:
        yield
    finally:
        await both.ven.stop()
        await task
