"""Polls that return an event of 24 intervals: our VTN and openleadr's.

Each of many VENs fetches the event once, from a VTN that keeps everything in memory. openleadr gives it out by its
`on_poll`. What publishing to 100,000 VENs takes, and fetching and answering by all of them, is in `bench.many`.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.load import Load, Next, Server, serve
from bench.many import polls
from bench.measure import Row
from bench.poll import compared
from pyopenadr.v2 import encode, faults, wire

PACKAGES = ("pyopenadr", "openleadr", "uvicorn", "uvloop", "httptools", "aiohttp", "lxml", "msgspec")
VENS, INTERVALS, ROUNDS = 3000, 24, 3

__all__ = ["PACKAGES", "run"]


def _start() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)


async def ours(port: int) -> None:
    """Our VTN with an event for all."""
    from pyopenadr import OpenADRServer

    vtn = OpenADRServer("vtn", port=port, poll_frequency=timedelta(minutes=10))
    for count in range(VENS):
        ven_id = f"ven-{count:06}"
        await vtn.add_ven(ven_id)
        await vtn.handle("/OpenADR2/Simple/2.0b/OadrPoll", encode(wire.OadrPoll(ven_id=ven_id)))
        ready = wire.OadrRegisteredReport(response=faults.response(), ven_id=ven_id)
        await vtn.handle("/OpenADR2/Simple/2.0b/EiReport", encode(ready))
    prices = [(timedelta(hours=1), 0.1 + step / 100) for step in range(INTERVALS)]
    await vtn.add_event(
        start=_start(), intervals=prices, signal_name="ELECTRICITY_PRICE", signal_type="priceMultiplier"
    )
    await vtn.run()


async def theirs(port: int) -> None:
    """openleadr's VTN with the same event."""
    from openleadr import OpenADRServer, objects

    logging.disable(logging.CRITICAL)

    async def lookup(ven_id: str) -> dict[str, Any]:
        return {"ven_id": ven_id, "registration_id": "r-1", "fingerprint": None}

    vtn = OpenADRServer(vtn_id="vtn", http_port=port, ven_lookup=lookup, verify_message_signatures=False)
    start = _start()
    intervals = [
        objects.Interval(
            dtstart=start + step * timedelta(hours=1), duration=timedelta(hours=1), signal_payload=0.1, uid=step
        )
        for step in range(INTERVALS)
    ]
    signal = objects.EventSignal(
        intervals=intervals, signal_name="ELECTRICITY_PRICE", signal_type="priceMultiplier", signal_id="signal-1"
    )
    event = objects.Event(
        event_descriptor=objects.EventDescriptor(
            event_id="event-1", modification_number=0, market_context="http://market.example.com", event_status="far"
        ),
        event_signals=[signal],
        targets=[objects.Target(ven_id="ven-1")],
        active_period=objects.ActivePeriod(dtstart=start, duration=INTERVALS * timedelta(hours=1)),
    )

    async def next_message(ven_id: str) -> objects.Event:
        return event

    vtn.add_handler("on_poll", next_message)
    await vtn.run_async()
    await asyncio.Event().wait()


SERVERS = {"ours": ours, "theirs": theirs}


def _fetching() -> Next:
    """Each VEN polls once, and must get the event."""
    left = polls(VENS)

    def following(number: int, reply: bytes) -> bytes | None:
        if reply and reply.count(b"signalPayload") < INTERVALS:
            raise RuntimeError(f"there is no event in {reply!r}")
        return next(left, None)

    return following


def run() -> list[Row]:
    """Measure in turns."""
    loads: dict[str, list[Load]] = {name: [] for name in SERVERS}
    for _ in range(ROUNDS):
        for name, measured in loads.items():
            with Server("bench.publish", name) as server:
                measured.append(server.load(_fetching(), seconds=5))
    return [compared(f"poll that returns an event of {INTERVALS} intervals", loads, target=4, floor_target=0)]


if __name__ == "__main__":
    serve(SERVERS)
