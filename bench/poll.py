"""Idle polls over HTTP with connections kept: our VTN, openleadr's, and the floor of the stack.

The server has one core and the load, by `wrk` (a Debian package), another. The floor is an ASGI application
on uvicorn that parses the poll with lxml and answers a constant. Times are per poll, from the rate.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.measure import Row
from pyopenadr.v2 import encode, faults, wire

PACKAGES = ("pyopenadr", "openleadr", "uvicorn", "uvloop", "httptools", "aiohttp", "lxml")
PATH = "/OpenADR2/Simple/2.0b/OadrPoll"
POLL = encode(wire.OadrPoll(ven_id="ven-1"))
ROUNDS, SECONDS, CONNECTIONS = 3, 3, 64

__all__ = ["PACKAGES", "run"]


async def ours(port: int) -> None:
    """Our VTN with one VEN that nothing waits for."""
    from pyopenadr import OpenADRServer

    vtn = OpenADRServer("vtn", port=port, poll_frequency=timedelta(seconds=10))
    await vtn.add_ven("ven-1")
    ready = wire.OadrRegisteredReport(response=faults.response(), ven_id="ven-1")
    await vtn.handle(PATH, POLL)
    await vtn.handle("/OpenADR2/Simple/2.0b/EiReport", encode(ready))
    await vtn.run()


async def theirs(port: int) -> None:
    """openleadr's VTN with the same."""
    import logging

    from openleadr import OpenADRServer

    logging.disable(logging.CRITICAL)

    async def lookup(ven_id: str) -> dict[str, Any]:
        return {"ven_id": ven_id, "registration_id": "r-1", "fingerprint": None}

    vtn = OpenADRServer(vtn_id="vtn", http_port=port, ven_lookup=lookup, verify_message_signatures=False)
    await vtn.run_async()
    await asyncio.Event().wait()


async def floor(port: int) -> None:
    """The least that a server on this stack can do."""
    import uvicorn
    from lxml import etree

    answer = encode(wire.OadrResponse(response=faults.response()))
    headers = [(b"content-type", b"application/xml"), (b"content-length", str(len(answer)).encode())]

    async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        etree.fromstring((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    await uvicorn.Server(
        uvicorn.Config(app, port=port, lifespan="off", log_config=None, access_log=False, server_header=False)
    ).serve()


SERVERS = {"ours": ours, "theirs": theirs, "floor": floor}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _rate(name: str, script: str) -> float:
    """Polls per second that a server of its own process answers."""
    port = _free_port()
    server = subprocess.Popen([sys.executable, "-m", "bench.poll", name, str(port)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", script, f"http://127.0.0.1:{port}{PATH}"]
        if hasattr(os, "sched_getaffinity") and shutil.which("taskset"):
            command = ["taskset", "-c", str(_cores()[0]), *command]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    finally:
        server.kill()
        server.wait()
    if "Non-2xx" in out:
        raise RuntimeError(f"{name} refused polls:\n{out}")
    return float(next(line.split()[1] for line in out.splitlines() if line.startswith("Requests/sec")))


def _cores() -> list[int]:
    return list(range(os.cpu_count() or 1))


def run() -> list[Row]:
    """Measure in turns; without wrk there is nothing to measure."""
    if shutil.which("wrk") is None:
        print("idle polls are not measured: install wrk (apt-get install wrk)")
        return []
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "poll.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = [==[{POLL.decode()}]==]\n'
            'wrk.headers["Content-Type"] = "application/xml"\n'
        )
        rates: dict[str, list[float]] = {name: [] for name in SERVERS}
        for _ in range(ROUNDS):
            for name, measured in rates.items():
                measured.append(_rate(name, str(script)))
    us = {name: 1e6 / statistics.median(measured) for name, measured in rates.items()}
    return [
        Row(what="idle poll, plain HTTP", ours_us=us["ours"], theirs_us=us["theirs"], floor_us=us["floor"], target=4),
    ]


if __name__ == "__main__":
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {_cores()[-1]})
    if sys.argv[1] == "theirs":
        asyncio.run(theirs(int(sys.argv[2])))
    else:
        import uvloop

        uvloop.run(SERVERS[sys.argv[1]](int(sys.argv[2])))
