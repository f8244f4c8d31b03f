"""A VEN in a process of its own, to be killed: `python -m tests.faults.ven_process STATE URL DIARY FACTOR EPOCH SEED`.

What the user's code is asked goes line by line into the file DIARY, before and after: a process that is killed leaves
a call without its second line. EPOCH is the wall-clock time (seconds) at which the play began; the fast clock of every
restart goes on from there.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from datetime import UTC, datetime, timedelta

import aiohttp  # noqa: F401 - loaded before the process says that it is up, not while samples are due

from pyopenadr.model import DataPoint, Event, Unit
from pyopenadr.ven import RECORDED
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
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def write(self, *words: object) -> None:
        os.write(self._file, (" ".join(map(str, (f"{time.time():.3f}", *words))) + "\n").encode())


async def main(state: str, url: str, diary: Diary, factor: float, epoch: float, seed: str) -> None:
    clock = clock_since(epoch, factor)
    chance = random.Random(seed)

    async def note(*call: object) -> None:
        diary.write("begin", *call)
        await asyncio.sleep(chance.choice([0, 0, 0.1, 0.3]))
        diary.write("end", *call)

    async def on_event(event: Event) -> str:
        await note("on_event", event.event_id, event.modification_number, event.cancelled)
        return "optIn"

    client = OpenADRClient("site", url, state=state, clock=clock, on_event=on_event)
    client.on_event_start = lambda event: note("on_event_start", event.event_id)
    client.on_interval_start = lambda event, signal, it: note("on_interval_start", event.event_id, it.number)
    client.on_interval_end = lambda event, signal, it: note("on_interval_end", event.event_id, it.number)
    client.on_event_end = lambda event, reason: note("on_event_end", event.event_id, reason)
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
    print("up", flush=True)
    async with client:
        await client.run()
        counting.cancel()


if __name__ == "__main__":
    _, path, vtn, log, speed, since, lot = sys.argv
    asyncio.run(main(path, vtn, Diary(log), float(speed), float(since), lot))
