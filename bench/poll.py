"""Idle polls over HTTP with connections kept: our VTN, openleadr's, and the floor of the stack.

The load is made by `wrk` (a Debian package). The floor is an ASGI application on uvicorn that parses the poll with lxml
and answers a constant. Times are processor time of the server for a poll. With a folder of certificates the same
servers do mutual TLS, see `bench.tls`.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import ssl
import statistics
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.load import CONNECTIONS, Load, Server, loading, serve
from bench.measure import Row
from pyopenadr.v2 import encode, faults, wire

PACKAGES = ("pyopenadr", "openleadr", "uvicorn", "uvloop", "httptools", "aiohttp", "lxml")
BASE = "/OpenADR2/Simple/2.0b/"
PATH = f"{BASE}OadrPoll"
POLL = encode(wire.OadrPoll(ven_id="ven-1"))
ROUNDS, SECONDS = 3, 3

__all__ = ["PACKAGES", "run"]


async def ours(port: int, folder: str = "") -> None:
    """Our VTN with one VEN that nothing waits for."""
    from pyopenadr import OpenADRServer
    from pyopenadr.transport.certificate import described
    from pyopenadr.transport.tls import ServerTls

    at = Path(folder)
    tls = ServerTls(certificates=[(at / "vtn.pem", at / "vtn.key")], ca_file=at / "ca.pem") if folder else None
    vtn = OpenADRServer("vtn", port=port, poll_frequency=timedelta(seconds=10), tls=tls, enrolment="open")
    await vtn.add_ven("ven-1")
    ready = wire.OadrRegisteredReport(response=faults.response(), ven_id="ven-1")
    await vtn.handle(PATH, POLL)
    await vtn.handle(f"{BASE}EiReport", encode(ready))
    await vtn.handle(PATH, POLL)
    if folder:
        shown = ssl.PEM_cert_to_DER_cert((at / "ven.pem").read_text("ascii"))
        await vtn.add_fingerprint("ven-1", described(shown).fingerprint)
    await vtn.run()


async def theirs(port: int, folder: str = "") -> None:
    """openleadr's VTN with the same."""
    from openleadr import OpenADRServer, utils

    logging.disable(logging.CRITICAL)
    at = Path(folder)
    shown = utils.certificate_fingerprint((at / "ven.pem").read_text("ascii")) if folder else None
    files = {"http_cert": "vtn.pem", "http_key": "vtn.key", "http_ca_file": "ca.pem"} if folder else {}

    async def lookup(ven_id: str) -> dict[str, Any]:
        return {"ven_id": ven_id, "registration_id": "r-1", "fingerprint": shown}

    vtn = OpenADRServer(
        vtn_id="vtn",
        http_port=port,
        ven_lookup=lookup,
        verify_message_signatures=False,
        **{name: str(at / file) for name, file in files.items()},
    )
    await vtn.run_async()
    await asyncio.Event().wait()


async def floor(port: int, folder: str = "") -> None:
    """The least that a server on this stack can do."""
    import uvicorn
    from lxml import etree

    answer = encode(wire.OadrResponse(response=faults.response()))
    headers = [(b"content-type", b"application/xml"), (b"content-length", str(len(answer)).encode())]

    async def app(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        etree.fromstring((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    files = {"ssl_certfile": "vtn.pem", "ssl_keyfile": "vtn.key", "ssl_ca_certs": "ca.pem"} if folder else {}
    settings: dict[str, Any] = {name: str(Path(folder) / file) for name, file in files.items()}
    if folder:
        settings["ssl_cert_reqs"] = ssl.CERT_REQUIRED
    await uvicorn.Server(
        uvicorn.Config(
            app, port=port, lifespan="off", log_config=None, access_log=False, server_header=False, **settings
        )
    ).serve()


SERVERS = {"ours": ours, "theirs": theirs, "floor": floor}


def _by_wrk(server: Server, script: Path) -> Load:
    """What wrk measures."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script)]
    with loading(), server.measured() as result:
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{server.port}{PATH}"], capture_output=True, text=True, check=True
        )
        if "Non-2xx" in done.stdout:
            raise RuntimeError(f"polls were refused:\n{done.stdout}")
        return result(next(int(line.split()[0]) for line in done.stdout.splitlines() if " requests in " in line))


def compared(what: str, loads: dict[str, list[Load]], *, target: float, floor_target: float) -> Row:
    """The row of `ours`, `theirs` and `floor`, by the medians of what was measured in turns."""
    us = {name: statistics.median(load.us for load in measured) for name, measured in loads.items()}
    return Row(
        what=what,
        ours_us=us["ours"],
        theirs_us=us["theirs"],
        floor_us=us.get("floor"),
        target=target,
        floor_target=floor_target,
        per_s={name: round(statistics.median(one.per_s for one in measured)) for name, measured in loads.items()},
    )


def run() -> list[Row]:
    """Measure in turns; without wrk there is nothing to measure."""
    if shutil.which("wrk") is None:
        print("idle polls are not measured: install wrk (apt-get install wrk)")
        return []
    loads: dict[str, list[Load]] = {name: [] for name in SERVERS}
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "poll.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = [==[{POLL.decode()}]==]\n'
            'wrk.headers["Content-Type"] = "application/xml"\n'
        )
        for _ in range(ROUNDS):
            for name, measured in loads.items():
                with Server("bench.poll", name) as server:
                    measured.append(_by_wrk(server, script))
    return [compared("idle poll, plain HTTP", loads, target=4, floor_target=0.8)]


if __name__ == "__main__":
    serve(SERVERS)
