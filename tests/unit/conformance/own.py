"""Our own VTN and VEN as those under test, on loopback and a clock that runs fast."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from pyopenadr import DataPoint, OpenADRClient, OpenADRServer, Unit
from pyopenadr.clock import AcceleratedClock
from pyopenadr.conformance.line import Line
from pyopenadr.conformance.runner import Result, chosen, run
from pyopenadr.conformance.served import Served
from pyopenadr.conformance.ven.registry import VEN_CHECKS
from pyopenadr.conformance.ven.stage import VenStage
from pyopenadr.conformance.vtn.registry import VTN_CHECKS
from pyopenadr.conformance.vtn.stage import VtnStage
from pyopenadr.model import ResourceStatus
from pyopenadr.transport.server import HttpServer
from pyopenadr.transport.tls import ServerTls
from tests.unit.conformance.stimulus import ServerStimulus

SPEED = 60
VTN_SPEED = 15
"""Slower, because some events last seconds and have to arrive before they are over."""
PATIENCE_S = 120.0
"""Seconds of real time: how long a slow machine may take."""

POWER = Unit(name="powerReal", symbol="W", scale="k", hertz=50, voltage=230, ac=True)
SECOND = timedelta(seconds=1)


def unkept(result: Result) -> set[str]:
    """The checks that failed or were warned of."""
    return {outcome.check.id for outcome in result.outcomes if outcome.verdict in ("fail", "warning")}


def reasons(result: Result) -> list[str]:
    """The same, with why."""
    return [f"{o.check.id}: {o.reason}" for o in result.outcomes if o.verdict in ("fail", "warning")]


async def check_vtn(
    *patterns: str,
    server: dict[str, Any] | None = None,
    tls: dict[str, Any] | None = None,
    patience_s: float = PATIENCE_S,
    **stage: Any,
) -> Result:
    """Run the checks on a VTN of ours."""
    clock = AcceleratedClock(VTN_SPEED)
    async with OpenADRServer("VTN_1", port=0, clock=clock, **(server or {})) as vtn:
        line = Line(vtn.url.replace("127.0.0.1", "localhost") if tls else vtn.url, **(tls or {}))
        tester = VtnStage(line, clock=clock, stimulus=ServerStimulus(vtn), patience_s=patience_s, **stage)
        return await run(tester, chosen(VTN_CHECKS, patterns), target="ours")


@asynccontextmanager
async def a_ven(
    *, tls: ServerTls | None = None, ven: dict[str, Any] | None = None, **stage: Any
) -> AsyncIterator[VenStage]:
    """A VEN of ours that talks to us, with two reports."""
    clock = AcceleratedClock(SPEED)
    tester = VenStage(clock=clock, **{"patience_s": PATIENCE_S, **stage})
    server = HttpServer(Served(tester.handle), "127.0.0.1", 0, tls=tls)
    await server.start()
    url = server.url.replace("127.0.0.1", "localhost") if tls else server.url
    settings = {"jitter": 0.0, "register_again_after": 5, "on_event": lambda event: "optIn", **(ven or {})}
    client = OpenADRClient("ven", url, clock=clock, **settings)
    client.add_report(points=[DataPoint(r_id="power", unit=POWER, min_period=SECOND)], source=lambda: 1.0)
    status = DataPoint(r_id="status", report_type="x-resourceStatus", reading_type="x-notApplicable", min_period=SECOND)
    client.add_report(
        "TELEMETRY_STATUS", points=[status], source=lambda: ResourceStatus(online=True, manual_override=False)
    )
    running = asyncio.create_task(client.run())
    try:
        yield tester
    finally:
        await client.close()
        await running
        await server.stop()


async def check_ven(patterns: Iterable[str] = (), **settings: Any) -> Result:
    """Run the checks on a VEN of ours."""
    async with a_ven(**settings) as tester:
        return await run(tester, chosen(VEN_CHECKS, patterns), target="ours")
