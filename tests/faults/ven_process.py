"""A VEN in a process of its own, to be killed: `python -m tests.faults.ven_process STATE URL DIARY FACTOR SEED`.

It says that it is ready, and reads EPOCH, the wall-clock time (seconds) at which the play begins; the fast clock of
every restart goes on from there. Then it forks a VEN, which says its process ID, and another when that has died, until
it is terminated, with the VEN.

What `on_event` is asked goes line by line into the file DIARY, before and after: a process that is killed leaves a call
without its second line. What the device carries out is one line, with the key of the call: its journal, by which it
says after a restart whether an interrupted call was carried out.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp  # noqa: F401 - loaded once, here, so that a VEN starts at once

from pyopenadr.model import DataPoint, Event, Unit
from pyopenadr.ven import RECORDED, DeviceCall
from pyopenadr.ven.client import OpenADRClient
from tests.faults.vtn_process import clock_since

GRANULARITY = timedelta(seconds=10)
POWER = DataPoint(
    r_id="power",
    unit=Unit(name="powerReal", symbol="W", scale="k", hertz=50.0, voltage=230.0, ac=True),
    min_period=GRANULARITY,
    max_period=timedelta(hours=1),
)
COUNT = DataPoint(r_id="count", unit=POWER.unit, min_period=GRANULARITY, max_period=timedelta(hours=1))


class Diary:
    """Lines with the wall-clock time, each written at once and as a whole."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def has(self, key: str) -> bool:
        """Whether the call of that key was carried out."""
        return any(line.split()[1:3] == ["did", key] for line in self._path.read_text().splitlines())

    def write(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, (f"{time.time():.3f}", *words))) + "\n").encode())


async def main(state: str, url: str, diary: Diary, factor: float, epoch: float, seed: str) -> None:
    clock = clock_since(epoch, factor)
    chance = random.Random(seed)

    async def work() -> None:
        await asyncio.sleep(chance.choice([0, 0.05, 0.15, 0.3]))

    async def on_event(event: Event) -> str:
        call = ("on_event", event.event_id, event.modification_number, event.cancelled)
        diary.write("begin", *call)
        await work()
        diary.write("end", *call)
        return "optIn"

    async def carry_out(*_: object, call: DeviceCall) -> None:
        await work()
        diary.write("did", call.key, call.at.timestamp(), call.reason or "-")
        await work()

    async def was_made(call: DeviceCall) -> bool:
        found = diary.has(call.key)
        diary.write("asked", call.key, found)
        return found

    client = OpenADRClient("site", url, state=state, clock=clock, on_event=on_event, on_interrupted=was_made)
    client.on_event_start = client.on_interval_start = carry_out
    client.on_interval_end = client.on_event_end = carry_out
    # The value tells when it was measured: seconds since the epoch of the play.
    client.add_report(
        report_specifier_id="telemetry", points=[POWER], source=lambda: round(clock.now().timestamp() - epoch, 3)
    )
    client.add_report(report_specifier_id="counter", points=[COUNT], source=RECORDED)

    async def count() -> None:
        """Record a number in the middle of each interval; what the diary has is safe."""
        while True:
            number = int((clock.now().timestamp() - epoch) // GRANULARITY.total_seconds()) + 1
            at = datetime.fromtimestamp(int(epoch), UTC) + (number + 0.5) * GRANULARITY
            await clock.sleep((at - clock.now()).total_seconds())
            client.record("count", number, at)
            await client._parts.ledger.kept()
            diary.write("recorded", number, at.timestamp())

    counting = asyncio.create_task(count())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, client.stop)
    diary.write("up")
    print(os.getpid(), flush=True)
    async with client:
        await client.run()
        counting.cancel()


def fork(path: str, vtn: str, log: str, speed: str, lot: str) -> None:
    """A VEN after the other."""
    print("ready", flush=True)
    since = float(sys.stdin.readline())
    child, lives = 0, 0
    ending = False

    def end(*_: object) -> None:
        nonlocal ending
        ending = True
        os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    while not ending:
        lives += 1
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            asyncio.run(main(path, vtn, Diary(log), float(speed), since, f"{lot} {lives}"))
            os._exit(0)
        _, status = os.waitpid(child, 0)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    fork(*sys.argv[1:])
