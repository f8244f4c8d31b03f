"""100,000 VENs at one VTN on SQLite: idle polls, an event for all that all fetch and answer, and memory.

Each VEN has a report of three data points. The database is filled directly; then every VEN polls, gets the event and
answers it over HTTP, each answer being committed to the disk. The rate of idle polls is compared with that of a VTN
with 100 VENs, by processor time, in turns.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.load import Load, Next, Server, post, serve
from bench.measure import Figure
from bench.poll import BASE, PATH
from pyopenadr.model import Capability, DataPoint, OptType, Registration, Unit
from pyopenadr.store import open_store
from pyopenadr.store.port import Source
from pyopenadr.v2 import encode, faults, wire

PACKAGES = ("pyopenadr", "sqlalchemy", "uvicorn", "uvloop", "httptools", "lxml", "msgspec")
FEW, MANY = 100, int(os.environ.get("BENCH_VENS", "100000"))
ROUNDS, SECONDS, AT_ONCE = 5, 2, 2000

__all__ = ["PACKAGES", "answering", "fill", "polls", "run"]

_EVENT_REQUEST = re.compile(rb"<(?:\w+:)?requestID>([^<]+)</(?:\w+:)?requestID><(?:\w+:)?vtnID>").search


async def fill(url: str, number: int) -> None:
    """Make the database of a VTN with so many registered VENs."""
    now = datetime.now(UTC).replace(microsecond=0)
    unit = Unit(name="powerReal", symbol="W", scale="k", hertz=50.0, voltage=230.0, ac=True)
    points = tuple(DataPoint(r_id=name, unit=unit) for name in ("load", "generation", "storage"))
    report = Capability(
        report_specifier_id="telemetry",
        report_name="TELEMETRY_USAGE",
        duration=timedelta(hours=1),
        points=points,
        created_date_time=now,
    )
    store = open_store(url)
    await store.open()

    async def add(count: int) -> None:
        ven = Registration(
            ven_id=f"ven-{count:06}",
            ven_name=f"building-{count:06}",
            registration_id=f"registration-{count:06}",
            registered_at=now,
            fingerprint=None,
        )
        await store.save_registration(ven)
        await store.save_capabilities(ven.ven_id, Source.VEN, [report])

    for first in range(0, number, AT_ONCE):
        await asyncio.gather(*map(add, range(first, min(first + AT_ONCE, number))))
    await store.close()


async def ours(port: int, folder: str, name: str) -> None:
    """Our VTN. At SIGUSR1 it publishes an event for all and writes down how long that took."""
    from pyopenadr import OpenADRServer

    vtn = OpenADRServer(
        "vtn", port=port, database=f"sqlite:///{folder}/{name}.db", poll_frequency=timedelta(minutes=10)
    )
    tasks = []

    async def publish() -> None:
        started = time.perf_counter()
        start = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
        await vtn.add_event(event_id="event", start=start, intervals=[(timedelta(hours=1), 1.0)])
        await asyncio.to_thread(_note, Path(folder), time.perf_counter() - started)

    asyncio.get_running_loop().add_signal_handler(
        signal.SIGUSR1, lambda: tasks.append(asyncio.ensure_future(publish()))
    )
    await vtn.run()


def _note(folder: Path, took_s: float) -> None:
    (folder / "partial").write_text(str(took_s))
    (folder / "partial").rename(folder / "published")


def polls(number: int) -> Iterator[bytes]:
    """One poll of each VEN."""
    return (post(PATH, encode(wire.OadrPoll(ven_id=f"ven-{count:06}"))) for count in range(number))


def answering(number: int) -> Next:
    """Each VEN polls, gets the event, and answers it."""
    fetching: dict[int, str] = {}
    left = iter(range(number))

    def following(connection: int, reply: bytes) -> bytes | None:
        found = _EVENT_REQUEST(reply)
        if found is not None:
            created = wire.OadrCreatedEvent(
                response=faults.response(),
                ven_id=fetching[connection],
                event_responses=(
                    wire.EventResponse(
                        response_code="200",
                        request_id=found[1].decode(),
                        event_id="event",
                        modification_number=0,
                        opt_type=OptType.IN,
                    ),
                ),
            )
            return post(f"{BASE}EiEvent", encode(created))
        count = next(left, None)
        if count is None:
            return None
        fetching[connection] = f"ven-{count:06}"
        return post(PATH, encode(wire.OadrPoll(ven_id=fetching[connection])))

    return following


def once(requests: Iterator[bytes]) -> Next:
    """Each request once."""
    return lambda number, reply: next(requests, None)


def _publish(server: Server, folder: Path) -> float:
    os.kill(server.pid, signal.SIGUSR1)
    done = folder / "published"
    while not done.exists():
        time.sleep(0.02)  # often enough beside the seconds that are measured there
    return float(done.read_text())


def _idle(few: Server, many: Server) -> list[Figure]:
    """Idle polls of all, in turns."""
    requests = {few: list(polls(FEW)), many: list(polls(MANY))}
    loads: dict[Server, list[Load]] = {few: [], many: []}
    for server, each in requests.items():
        server.load(once(iter(each)))  # now all have polled
    positions = dict.fromkeys(requests, 0)

    def following(server: Server) -> Next:
        def following(number: int, reply: bytes) -> bytes:
            positions[server] += 1
            return requests[server][positions[server] % len(requests[server])]

        return following

    for _ in range(ROUNDS):
        for server, measured in loads.items():
            measured.append(server.load(following(server), seconds=SECONDS))
    us = {server: statistics.median(load.us for load in measured) for server, measured in loads.items()}
    return [
        Figure(what=f"idle polls with {FEW} VENs", value=1e6 / us[few], unit="per s and core"),
        Figure(what=f"idle polls with {MANY:,} VENs", value=1e6 / us[many], unit="per s and core"),
        Figure(what="that is of the rate with 100", value=us[few] / us[many] * 100, unit="%", least=90),
    ]


def run() -> list[Figure]:
    """Measure; memory only where the system tells it as Linux does."""
    if not sys.platform.startswith("linux"):
        print("many VENs are not measured: this system does not say how much memory a process has")
        return []
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        for name, number in (("few", FEW), ("many", MANY)):
            asyncio.run(fill(f"sqlite:///{at / name}.db", number))
        with Server("bench.many", "ours", folder, "few") as few, Server("bench.many", "ours", folder, "many") as many:
            figures = [Figure(what="memory after the start", value=many.memory_mb(), unit="MB")]
            figures += _idle(few, many)
            published = _publish(many, at)
            pairs = many.load(answering(MANY))
            return [
                *figures,
                Figure(what=f"an event published to {MANY:,} VENs", value=published, unit="s", most=5),
                Figure(
                    what="fetched and answered, committed", value=1e6 / pairs.us / 2, unit="per s and core", least=2000
                ),
                Figure(what="the same by the clock", value=pairs.per_s / 2, unit="per s"),
                Figure(what="memory, all with the event", value=many.memory_mb(), unit="MB", most=500),
            ]


if __name__ == "__main__":
    serve({"ours": ours})
