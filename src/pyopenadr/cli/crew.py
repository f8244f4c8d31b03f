"""Several workers on one socket: starts them, replaces those that die, and ends them in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import sys
import time
from collections.abc import Sequence

from pyopenadr.cli.interrupt import on_interrupt

__all__ = ["Crew", "inherited"]

log = logging.getLogger("pyopenadr.vtn")

_GRACE_S = 20.0
"""How long workers may take to finish what is in flight."""

_STEADY_S = 10.0
_LONGEST_PAUSE_S = 30.0
"""A worker that dies younger than that is started again after a pause that grows up to this."""

_VARIABLE = "PYOPENADR_WORKER"


def inherited() -> tuple[socket.socket, int] | None:
    """What a worker has from its crew: the socket to serve on, and a pipe that ends with the crew; None for others."""
    given = os.environ.get(_VARIABLE)
    if given is None:
        return None
    listener, pipe = (int(number) for number in given.split(","))
    return socket.socket(fileno=listener), pipe


class Crew:
    """Runs `count` processes of the same command, which find the listening socket by `inherited`."""

    def __init__(self, arguments: Sequence[str], listener: socket.socket, count: int) -> None:
        self._arguments = list(arguments)
        self._listener = listener
        self._count = count
        self._stopping = asyncio.Event()
        self._processes: set[asyncio.subprocess.Process] = set()

    async def run(self) -> None:
        """Keep the workers running until the process is told to end by SIGTERM or SIGINT."""
        self._listener.listen(4096)
        on_interrupt(self._stopping.set)
        reader, writer = os.pipe()  # the workers have the one end; when we die, the other ends
        try:
            places = [asyncio.create_task(self._fill(place, reader)) for place in range(1, self._count + 1)]
            await self._stopping.wait()
            await self._end(places)
        finally:
            os.close(reader)
            os.close(writer)

    async def _fill(self, place: int, pipe: int) -> None:
        """Have a worker run at this place, one after the other."""
        pause = 0.0
        while not self._stopping.is_set():
            await asyncio.sleep(pause)
            began = time.monotonic()
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "pyopenadr", *self._arguments),
                env={**os.environ, _VARIABLE: f"{self._listener.fileno()},{pipe}"},
                pass_fds=(self._listener.fileno(), pipe),
                start_new_session=True,  # Ctrl-C is for the crew, which tells the workers
            )
            self._processes.add(process)
            log.info("worker %d runs as process %d", place, process.pid)
            code = await process.wait()
            self._processes.discard(process)
            if not self._stopping.is_set():
                is_steady = time.monotonic() - began >= _STEADY_S
                pause = 0.1 if is_steady else min(max(0.1, pause * 2), _LONGEST_PAUSE_S)
                log.warning(
                    "worker %d (process %d) has ended with %d; another takes its place", place, process.pid, code
                )

    async def _end(self, places: Sequence[asyncio.Task[None]]) -> None:
        for process in tuple(self._processes):
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        _, late = await asyncio.wait(places, timeout=_GRACE_S)
        for process in tuple(self._processes):
            log.warning("process %d did not end in time and is killed", process.pid)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for task in late:
            task.cancel()
        await asyncio.gather(*places, return_exceptions=True)
