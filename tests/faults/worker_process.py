"""Workers to be killed: `python -m tests.faults.worker_process DATABASE PORT COUNT EVENTS`.

It forks COUNT workers, says the process ID of each, and forks another for each that dies. The workers play the operator
too: they publish EVENTS events one after the other and change every third of them once, each step if nobody has done
it before.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from datetime import UTC, datetime, timedelta

from pyopenadr.errors import OpenADRError
from pyopenadr.model import ReportRequest
from pyopenadr.store import sql  # noqa: F401 - imported once here, so that a worker starts at once
from pyopenadr.v2 import wire
from pyopenadr.vtn.server import OpenADRServer

START = datetime(2100, 1, 1, tzinfo=UTC)


def ask(payload: wire.OadrRegisterReport) -> list[ReportRequest]:
    return [
        ReportRequest(
            report_request_id=f"power-of-{payload.ven_id}",
            report_specifier_id="telemetry",
            r_ids=("power",),
            granularity=timedelta(minutes=1),
            report_back_duration=timedelta(minutes=1),
            start=START,
        )
    ]


async def operate(server: OpenADRServer, events: int) -> None:
    """One step of what the operator does."""
    made = await server.events(include_closed=True)
    for event in made:
        if int(event.event_id[1:]) % 3 == 0 and event.modification_number == 0:
            await server.change_event(event.event_id, priority=1)
    if len(made) < events:
        await server.add_event(event_id=f"e{len(made)}", start=START, intervals=[(timedelta(hours=1), 1.0)])


async def work(database: str, port: int, events: int) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.setblocking(False)
        server = OpenADRServer(
            "vtn", database=database, listener=listener, resend_after=timedelta(seconds=0.5), on_register_report=ask
        )
        async with server:
            while True:
                try:
                    await operate(server, events)
                except OpenADRError as error:  # another worker was quicker, or the database is away
                    print(f"operator: {error}", flush=True)
                await asyncio.sleep(0.3)


def main(database: str, port: int, count: int, events: int) -> None:
    children: set[int] = set()

    def end(*_: object) -> None:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    while True:
        while len(children) < count:
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                asyncio.run(work(database, port, events))
                os._exit(0)
            children.add(pid)
            print(f"worker {pid}", flush=True)
        gone, _ = os.wait()
        children.discard(gone)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
