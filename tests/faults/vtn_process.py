"""A VTN in a process of its own, to be killed: `python -m tests.faults.vtn_process DATABASE PORT FACTOR EPOCH`.

It plays the operator of the demonstration as well, each step only if it has not been done before, as an operator
would who finds the server down. EPOCH is the wall-clock time (seconds) at which the play began; the fast clock of
every restart goes on from there.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta

import msgspec

from pyopenadr.clock import AcceleratedClock
from pyopenadr.model import ReportRequest
from pyopenadr.v2 import wire
from pyopenadr.vtn.server import OpenADRServer

MINUTE = timedelta(minutes=1)
POLL = timedelta(seconds=10)
GRANULARITY = timedelta(seconds=30)


def clock_since(epoch: float, factor: float) -> AcceleratedClock:
    """The fast clock of a play that began at `epoch`."""
    start = datetime.fromtimestamp(epoch, UTC)
    return AcceleratedClock(factor, start + timedelta(seconds=(time.time() - epoch) * factor))


async def main(database: str, port: int, factor: float, epoch: float) -> None:
    clock = clock_since(epoch, factor)
    begin = datetime.fromtimestamp(int(epoch), UTC)

    def ask(payload: wire.OadrRegisterReport) -> list[ReportRequest]:
        return [
            ReportRequest(
                report_request_id=f"power-of-{payload.ven_id}",
                report_specifier_id="telemetry",
                r_ids=("power",),
                granularity=GRANULARITY,
                report_back_duration=MINUTE,
                start=begin,
            )
        ]

    server = OpenADRServer("vtn", database=database, port=port, poll_frequency=POLL, resend_after=2 * POLL, clock=clock)
    server.on_register_report = ask
    async with server:
        print("ready", flush=True)
        while True:
            await operate(server, clock, begin)
            await clock.sleep(5)


async def operate(server: OpenADRServer, clock: AcceleratedClock, begin: datetime) -> None:
    """Whatever the operator would have done by now and has not yet."""
    elapsed = clock.now() - begin
    events = {event.event_id: event for event in await server.events(include_closed=True)}
    start = begin + 7 * MINUTE
    if elapsed >= 2 * MINUTE and "peak" not in events:
        await server.add_event(
            event_id="peak", start=start, intervals=[(2 * MINUTE, 1), (2 * MINUTE, 2), (MINUTE, 1)], priority=1
        )
    if elapsed >= 2 * MINUTE and "evening" not in events:
        await server.add_event(event_id="evening", start=start + 40 * MINUTE, intervals=[(10 * MINUTE, 3)])
    if elapsed >= 5 * MINUTE and (peak := events.get("peak")) is not None and peak.modification_number == 0:
        signal = peak.signals[0]
        last = msgspec.structs.replace(signal.intervals[2], duration=2 * MINUTE)
        longer = msgspec.structs.replace(signal, intervals=(*signal.intervals[:2], last))
        await server.change_event("peak", signals=(longer,), duration=6 * MINUTE)
    if elapsed >= 8 * MINUTE and (evening := events.get("evening")) is not None and not evening.cancelled:
        await server.cancel_event("evening")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])))
