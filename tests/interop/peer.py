"""The test's end of the remote control, and what goes with it."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import IO, Any, Self

from pyopenadr.transport.http import HttpTransport
from pyopenadr.transport.port import Reply
from tests.house.source import ROOT
from tests.interop.control import LONGEST_LINE

PATIENCE_S = 10.0


class PeerFailed(Exception):
    """The peer's own code raised an error while it carried out a command."""


class Peer:
    """A program in `tests.interop` that runs as a process of its own and obeys.

    `async with Peer("openleadr_ven") as peer: await peer.ask("start", url=…)`
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._process: asyncio.subprocess.Process | None = None
        self._log: IO[bytes] | None = None

    async def __aenter__(self) -> Self:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed in __aexit__
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "ignore",
            "-m",
            f"tests.interop.{self._module}",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
            limit=LONGEST_LINE,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._running()
        assert process.stdin is not None
        process.stdin.close()  # this ends it
        try:
            await asyncio.wait_for(process.wait(), PATIENCE_S)
        except TimeoutError:
            process.kill()
            await process.wait()
        if error is not None:
            print(f"--- log of {self._module}\n{self.log}")
        assert self._log is not None
        self._log.close()

    async def ask(self, command: str, **arguments: Any) -> Any:
        """Have a command carried out and return what it returns.

        Raises:
            PeerFailed: it raised an error there.
        """
        process = self._running()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([command, arguments]).encode() + b"\n")
        line = await asyncio.wait_for(process.stdout.readline(), PATIENCE_S)
        assert line, f"{self._module} has ended:\n{self.log}"
        answer = json.loads(line)
        if "error" in answer:
            raise PeerFailed(answer["error"])
        return answer["result"]

    @property
    def log(self) -> str:
        """What the peer has printed and logged so far."""
        assert self._log is not None
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")

    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None, "use it in async with"
        return self._process


class Recorder:
    """A `Transport` over HTTP that keeps every exchange: service, what was sent, what came back."""

    def __init__(self, transport: HttpTransport) -> None:
        self._transport = transport
        self.exchanges: list[tuple[str, bytes, Reply]] = []

    async def post(self, url: str, body: bytes) -> Reply:
        reply = await self._transport.post(url, body)
        self.exchanges.append((url.rpartition("/")[2], body, reply))
        return reply

    async def close(self) -> None:
        await self._transport.close()


async def eventually(condition: Callable[[], Awaitable[Any] | Any], timeout_s: float = PATIENCE_S) -> Any:
    """Wait until the condition gives something true, and return that."""
    end = time.monotonic() + timeout_s
    while True:
        result = condition()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return result
        assert time.monotonic() < end, f"it did not happen within {timeout_s:g} seconds"
        await asyncio.sleep(0.03)
