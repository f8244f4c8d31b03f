"""VENs in one process over kept connections: CPU for a poll and memory for an idle VEN, ours and openleadr's.

The VTN is a process of its own that answers every message with a constant, so that only the client is measured. Memory
is the growth of the process from FEW to MANY VENs, so that what is loaded once does not count.
Then a fleet polls as fast as one core can; the VTN has another.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from bench.load import Server
from bench.measure import Figure, Row, pin
from pyopenadr.v2 import encode, faults, wire

PACKAGES = ("pyopenadr", "openleadr", "aiohttp", "lxml")
FEW, MANY, SECONDS, EVERY_S = 100, 500, 20.0, 5.0
FLEET, FLEET_EVERY_S, FLEET_START_S = 10_000, 2.0, 15.0

__all__ = ["PACKAGES", "constant_vtn", "run"]


class Constant(asyncio.Protocol):
    """A VTN that says the same to everybody."""

    registered = 0
    answers: ClassVar[dict[bytes, bytes]] = {
        b"OadrPoll": encode(wire.OadrResponse(response=faults.response())),
        b"EiEvent": encode(wire.OadrDistributeEvent(request_id="r", vtn_id="vtn", response=faults.response())),
        b"EiReport": encode(wire.OadrRegisteredReport(response=faults.response())),
    }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            if len(self._data) < end + 4 + length:
                return
            service = self._data.split(b" ", 2)[1].rpartition(b"/")[2]
            self._data = self._data[end + 4 + length :]
            body = self.answers.get(service) or self._registration()
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % len(body)
            self._transport.write(head + body)

    def _registration(self) -> bytes:
        Constant.registered += 1
        return encode(
            wire.OadrCreatedPartyRegistration(
                response=faults.response(),
                registration_id=f"r-{self.registered}",
                ven_id=f"ven-{self.registered}",
                vtn_id="vtn",
                profiles=(wire.OadrProfile(profile_name="2.0b", transports=("simpleHttp",)),),
                requested_oadr_poll_freq=timedelta(seconds=EVERY_S),
            )
        )


async def serve(port: int) -> None:
    """The VTN of the measurement, on a core of its own if there are two."""
    if hasattr(os, "sched_setaffinity") and (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - {max(os.sched_getaffinity(0))})
    server = await asyncio.get_running_loop().create_server(Constant, "127.0.0.1", port)
    await server.serve_forever()


def memory_kb() -> float:
    """What the process has in memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1024


async def ours(port: int, number: int) -> tuple[float, float]:
    """CPU in microseconds for a poll, and memory in kB."""
    from pyopenadr import VenFleet

    fleet = VenFleet(start_over_s=EVERY_S)
    clients = [fleet.add(f"v{count}", f"http://127.0.0.1:{port}") for count in range(number)]
    task = asyncio.create_task(fleet.run())
    await asyncio.sleep(4 * EVERY_S)
    assert all(client.registered for client in clients)
    before, begun = sum(client._parts.session.successes for client in clients), time.process_time()
    await asyncio.sleep(SECONDS)
    spent = time.process_time() - begun
    polls = sum(client._parts.session.successes for client in clients) - before
    used = memory_kb()
    fleet.stop()
    await task
    await fleet.close()
    return spent / polls * 1e6, used


async def theirs(port: int, number: int) -> tuple[float, float]:
    """The same for openleadr."""
    import logging

    from openleadr import OpenADRClient

    logging.disable(logging.CRITICAL)
    polls = 0
    clients: list[Any] = []
    for count in range(number):
        client = OpenADRClient(ven_name=f"v{count}", vtn_url=f"http://127.0.0.1:{port}/OpenADR2/Simple/2.0b")
        poll = client.poll

        async def counted(poll: Any = poll) -> Any:
            nonlocal polls
            polls += 1
            return await poll()

        client.poll = counted
        clients.append(client)
        await client.run()
    await asyncio.sleep(2 * EVERY_S)
    before, begun = polls, time.process_time()
    await asyncio.sleep(SECONDS)
    return (time.process_time() - begun) / (polls - before) * 1e6, memory_kb()


async def driven(port: int, number: int) -> tuple[float, float]:
    """Polls in a second, by CPU and by the clock, of a fleet that wants to poll more often than one core can."""
    from pyopenadr import VenFleet

    fleet = VenFleet(start_over_s=FLEET_START_S, poll_interval=FLEET_EVERY_S)
    clients = [fleet.add(f"v{count}", f"http://127.0.0.1:{port}") for count in range(number)]
    task = asyncio.create_task(fleet.run())
    for _ in range(80):
        await asyncio.sleep(1.0)
        if all(client.registered for client in clients):
            break
    assert all(client.registered for client in clients)
    await asyncio.sleep(FLEET_EVERY_S)
    before = sum(client._parts.session.successes for client in clients)
    begun, started = time.process_time(), time.perf_counter()
    await asyncio.sleep(SECONDS / 2)
    spent, lasted = time.process_time() - begun, time.perf_counter() - started
    polls = sum(client._parts.session.successes for client in clients) - before
    task.cancel()
    return polls / spent, polls / lasted


CLIENTS = {"ours": ours, "theirs": theirs, "driven": driven}


def constant_vtn() -> Server:
    """The VTN of the measurement in a process of its own."""
    return Server("bench.ven", "serve")


def _measured(name: str, number: int) -> tuple[float, float]:
    with constant_vtn() as vtn:
        command = [sys.executable, "-m", "bench.ven", name, str(vtn.port), str(number)]
        out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=900).stdout
    first, second = out.split()
    return float(first), float(second)


def run() -> list[Row | Figure]:
    """Measure; memory only where the system tells it as Linux does."""
    if not Path("/proc/self/statm").exists():
        print("idle VENs are not measured: this system does not say how much memory a process has")
        return []
    cpu: dict[str, float] = {}
    memory: dict[str, float] = {}
    for name in ("ours", "theirs"):
        _, few = _measured(name, FEW)
        cpu[name], many = _measured(name, MANY)
        memory[name] = (many - few) / (MANY - FEW)
    by_cpu, by_clock = _measured("driven", FLEET)
    return [
        Row(what=f"CPU of a poll, {MANY} idle VENs", ours_us=cpu["ours"], theirs_us=cpu["theirs"], target=2.35),
        Figure(what="CPU of a poll", value=cpu["ours"], unit="µs", most=200.0),
        Figure(what="memory of an idle VEN", value=memory["ours"], unit="kB", most=25.0),
        Figure(what="openleadr's memory of an idle VEN", value=memory["theirs"], unit="kB"),
        Figure(what=f"polls of one core, fleet of {FLEET:,}", value=by_cpu, unit="per s", least=3000.0),
        Figure(what="the same by the clock", value=by_clock, unit="per s"),
    ]


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        asyncio.run(serve(int(sys.argv[2])))
    else:
        pin()
        result = asyncio.run(CLIENTS[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3])))
        print(*result, flush=True)
        os._exit(0)  # openleadr's schedulers would go on
