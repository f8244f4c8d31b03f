"""A VTN that runs in a thread, for tests of what is synchronous itself: the command line, and generated requests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyopenadr.vtn.server import OpenADRServer


class Background:
    """A server and how to reach it; `run` runs a coroutine in its loop."""

    def __init__(self, server: OpenADRServer, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.loop = loop

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    @property
    def url(self) -> str:
        return self.server.url


@contextmanager
def background(make: Any) -> Iterator[Background]:
    """Run the server that `make()` makes, until the end of the block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> OpenADRServer:
        server: OpenADRServer = make()
        await server.serve()
        return server

    try:
        server = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
        yield Background(server, loop)
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
