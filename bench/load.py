"""Servers in processes of their own, and the load on them: many connections that are kept, over TLS where it has to be.

A server has the last core to itself and the load the first. What a server takes for an answer is told as processor
time of its process, where the system says that: with a core of its own that is one over the rate, and where it has to
share the core it stays true. The load is sockets that are written and read in turns, which costs a fraction of what
any server does: all but one connection always have a request under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

import msgspec

__all__ = ["Load", "Server", "drive", "loading", "post", "repeat", "serve"]

CONNECTIONS = 64
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100

Next = Callable[[int, bytes], bytes | None]
"""The next request on the connection of that number, which has got that reply; None for no more."""


class Load(msgspec.Struct, frozen=True):
    """What came of it: how many answers, in what time by the clock, and how much of the server's processor time."""

    answers: int
    clock_s: float
    cpu_s: float | None

    @property
    def us(self) -> float:
        """Microseconds that the server takes for an answer."""
        return (self.clock_s if self.cpu_s is None else self.cpu_s) / self.answers * 1e6

    @property
    def per_s(self) -> float:
        """Answers per second by the clock."""
        return self.answers / self.clock_s


# --- in the server's process ----------------------------------------------------------------------------------------


def serve(servers: Mapping[str, Callable[..., Coroutine[Any, Any, None]]]) -> None:
    """Run the server that the command line names: name, port, and what else it wants. openleadr runs on asyncio."""
    name, port, *rest = sys.argv[1:]
    _stay_on(_cores()[-1])
    if name.startswith("theirs"):
        asyncio.run(servers[name](int(port), *rest))
    else:
        import uvloop

        uvloop.run(servers[name](int(port), *rest))


def _cores() -> list[int]:
    return list(range(os.cpu_count() or 1))


def _stay_on(core: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        with contextlib.suppress(OSError):  # a core that is not ours to use
            os.sched_setaffinity(0, {core})


@contextlib.contextmanager
def loading() -> Iterator[None]:
    """A block in which this process has the core of the load."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    _stay_on(_cores()[0])
    try:
        yield
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)


# --- in the process of the measurement ------------------------------------------------------------------------------


class Server:
    """A block in which `python -m MODULE NAME PORT …` runs; it has to listen on that port within two minutes."""

    def __init__(self, module: str, name: str, *arguments: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._command = [sys.executable, "-m", module, name, str(self.port), *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, stdout=quiet, stderr=quiet, start_new_session=True)
        for _ in range(2400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            if self._process.poll() is not None:
                break
            time.sleep(0.05)  # it is not measured how long a start takes
        self.__exit__()
        raise RuntimeError(f"{' '.join(self._command[1:])} does not listen: run it by hand and see")

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def pid(self) -> int:
        """The ID of the process."""
        assert self._process is not None
        return self._process.pid

    def cpu_s(self) -> float | None:
        """Processor time of all its threads until now, where the system says that as Linux does."""
        stat = Path(f"/proc/{self.pid}/stat")
        if not stat.exists():
            return None
        fields = stat.read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_mb(self) -> float:
        """What it has in memory, where the system says that as Linux does; million bytes."""
        status = Path(f"/proc/{self.pid}/status").read_text("ascii")
        kb = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
        return int(kb) * 1024 / 1e6

    @contextlib.contextmanager
    def measured(self) -> Iterator[Callable[[int], Load]]:
        """A block whose load is measured; call what it gives with the number of answers at the end."""
        cpu, started = self.cpu_s(), time.perf_counter()

        def result(answers: int) -> Load:
            spent = None if cpu is None else (self.cpu_s() or cpu) - cpu
            return Load(answers, time.perf_counter() - started, spent)

        yield result

    def load(
        self,
        next_request: Next,
        *,
        seconds: float = 1e9,
        context: ssl.SSLContext | None = None,
        many: int = CONNECTIONS,
    ) -> Load:
        """Measure it under load until there are no more requests, or for so many seconds."""
        with loading(), self.measured() as result:
            return result(drive(self.port, next_request, seconds=seconds, context=context, many=many))


def post(path: str, body: bytes) -> bytes:
    """A request of HTTP."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def repeat(*requests: bytes) -> Next:
    """The same requests again and again."""
    again = cycle(requests)
    return lambda number, reply: next(again)


def _connect(port: int, context: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection if context is None else context.wrap_socket(connection, server_hostname="localhost")


def _reply(connection: socket.socket) -> bytes:
    """The body of the next reply, which must be 200."""
    data = connection.recv(65536)
    while (end := data.find(b"\r\n\r\n")) < 0 and data:
        data += connection.recv(65536)
    head = data[:end].lower()
    if not head.startswith(b"http/1.1 200"):
        raise RuntimeError(f"the server answers {data[:300]!r}")
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    while len(data) < end + 4 + length:
        data += connection.recv(65536)
    return data[end + 4 :]


def drive(
    port: int,
    next_request: Next,
    *,
    seconds: float = 1e9,
    context: ssl.SSLContext | None = None,
    many: int = CONNECTIONS,
) -> int:
    """Ask over `many` connections until there are no more requests, or time is up. Returns the number of answers."""
    connections = [_connect(port, context) for _ in range(many)]
    answers, deadline, waiting = 0, time.perf_counter() + seconds, dict(enumerate(connections))
    try:
        for number, connection in list(waiting.items()):
            _ask(waiting, number, connection, next_request(number, b""))
        while waiting:
            for number, connection in list(waiting.items()):
                reply = _reply(connection)
                answers += 1
                is_over = time.perf_counter() >= deadline
                _ask(waiting, number, connection, None if is_over else next_request(number, reply))
    finally:
        for connection in connections:
            connection.close()
    return answers


def _ask(waiting: dict[int, socket.socket], number: int, connection: socket.socket, request: bytes | None) -> None:
    if request is None:
        del waiting[number]
    else:
        connection.sendall(request)
