"""Runs a simulation: makes the sites and their VENs, lets them live, and looks at what came of it."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable
from datetime import datetime

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import ConfigError
from pyopenadr.simulation.counterpart import Counterpart, OtherVtn, OwnVtn
from pyopenadr.simulation.device import make_device
from pyopenadr.simulation.fault import FaultTransport, Tally
from pyopenadr.simulation.forgery import Forger
from pyopenadr.simulation.loop import INSTANTLY, LoopClock, SkewedClock, run_at_speed
from pyopenadr.simulation.plan import Plan
from pyopenadr.simulation.report import Outcome, outcome_of
from pyopenadr.simulation.site import Site
from pyopenadr.ven.fleet import VenFleet

__all__ = ["Progress", "Simulation", "simulate"]

_REACTION_S = 0.5
"""How long after the beginning of a step the devices look at what is asked of them: by then it is known."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a simulation is: its time, the share of its length, and what there is to see."""

    at: datetime
    done: float
    registered: int
    answered: int
    load_kw: float
    baseline_kw: float
    exchanges: int
    faults: int


class Simulation:
    """A fleet of VENs with devices at one VTN.

    `await simulation.run()` runs it in the present event loop, as fast as that loop's time: in a plain one in real
    time, in a `SimulationLoop` at any speed. `simulate` does all that for programs without a loop.

    Attributes:
        sites: the VENs with their devices, from when `run` has begun.
        counterpart: the VTN, likewise.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        vtn_url: str | None = None,
        anywhere: bool = False,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Make ready.

        Args:
            plan: what is simulated.
            vtn_url: a VTN that runs already; None: one of its own. The plan's events are for the latter.
            anywhere: that VTN may be on another machine.
            progress: called after each step.

        Raises:
            ConfigError: the two don't go together, or the address is not allowed.
        """
        if vtn_url is not None and plan.events:
            raise ConfigError("the events of a plan are for a VTN of its own: publish them at the other VTN instead")
        make_device(plan.devices, random.Random(0))
        self.plan = plan
        self.sites: list[Site] = []
        self.counterpart: Counterpart | None = OtherVtn(vtn_url, anywhere=anywhere) if vtn_url is not None else None
        self._progress = progress
        self._tally = Tally()
        self._stop: asyncio.Event | None = None

    def stop(self) -> None:
        """End it before its time; what there is until then is reported. To be called in its event loop."""
        if self._stop is not None:
            self._stop.set()

    async def run(self) -> Outcome:
        """Run it to its end."""
        plan = self.plan
        clock = LoopClock(plan.start)
        self._stop = asyncio.Event()
        counterpart = self.counterpart = self.counterpart or OwnVtn(plan, clock)
        wall, cpu = time.perf_counter(), time.process_time()
        fleet = VenFleet(
            clock=clock, random=random.Random(f"{plan.seed} fleet"), start_over_s=plan.ramp.total_seconds()
        )
        self._people(fleet, counterpart, clock)
        await counterpart.start()
        try:
            running = asyncio.create_task(fleet.run(), name="fleet")
            publishing = asyncio.create_task(self._publish(counterpart, clock), name="events")
            await self._live(clock)
            wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
            publishing.cancel()
            outcome = outcome_of(
                plan,
                self.sites,
                vtn="of its own, in the same process" if isinstance(counterpart, OwnVtn) else counterpart.url,
                source=counterpart.sees,
                participation=await counterpart.participation(self.sites),
                readings=[await counterpart.readings(site) for site in self.sites],
                tally=self._tally,
                wall_s=wall_s,
                cpu_s=cpu_s,
            )
            fleet.stop()
            await running
            await asyncio.gather(publishing, return_exceptions=True)
            return outcome
        finally:
            await fleet.close()
            await counterpart.stop()

    def _people(self, fleet: VenFleet, counterpart: Counterpart, clock: Clock) -> None:
        plan = self.plan
        inner = counterpart.transport()
        for number in range(1, plan.vens + 1):
            name = f"ven-{number:05d}"
            draw = random.Random(f"{plan.seed} {name}")
            skew = plan.faults.skew(draw)
            opts_out = draw.random() < plan.opt_out
            site = Site(
                name,
                make_device(plan.devices, draw),
                seed=f"{plan.seed} {name} device",
                clock=clock,
                start=plan.start,
                step=plan.step,
                opts_out=opts_out,
                skew=skew,
                usual_price=plan.usual_price,
                keeps_readings=counterpart.keeps_readings,
            )
            own_clock = SkewedClock(clock, skew) if skew else clock
            transport = FaultTransport(
                inner,
                plan.faults,
                draw=random.Random(f"{plan.seed} {name} faults"),
                clock=clock,
                tally=self._tally,
                forge=Forger(own_clock, draw),
                answered=site.answered,
                until=plan.faults_until,
            )
            site.attach(fleet.add(name, counterpart.url, transport=transport, clock=own_clock))
            self.sites.append(site)

    async def _publish(self, counterpart: Counterpart, clock: Clock) -> None:
        """Publish the events when the VENs have had the time to register."""
        await clock.sleep(self.plan.ramp.total_seconds() + min(60.0, self.plan.poll.total_seconds()))
        await counterpart.publish()

    async def _live(self, clock: Clock) -> None:
        """Let the devices live, step by step, until the end."""
        assert self._stop is not None
        step_s = self.plan.step.total_seconds()
        steps = math.ceil(self.plan.length.total_seconds() / step_s)
        for number in range(steps + 1):
            due = number * step_s + (_REACTION_S if number < steps else 0.0)
            rest = due - (clock.now() - self.plan.start).total_seconds()
            try:
                async with asyncio.timeout(rest):
                    await self._stop.wait()
                return
            except TimeoutError:
                pass
            if number < steps:
                for site in self.sites:
                    site.step()
            self._tell(clock.now(), number / steps)

    def _tell(self, now: datetime, done: float) -> None:
        if self._progress is None:
            return
        self._progress(
            Progress(
                at=now,
                done=done,
                registered=sum(site.client is not None and site.client.registered for site in self.sites),
                answered=sum(bool(site.responses) for site in self.sites),
                load_kw=sum(site.load[-1] for site in self.sites if site.load),
                baseline_kw=sum(site.baseline[-1] for site in self.sites if site.baseline),
                exchanges=self._tally.exchanges,
                faults=self._tally.injected.total(),
            )
        )


def simulate(
    plan: Plan,
    *,
    speed: float | None = None,
    vtn_url: str | None = None,
    anywhere: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Run a simulation to its end, in an event loop of its own.

    Args:
        plan: what is simulated.
        speed: how many times faster than real time it may be; infinity: as fast as the machine can. By default
            that, and 1 at another VTN.
        vtn_url, anywhere, progress: see `Simulation`.

    Raises:
        ConfigError: these don't go together: another VTN lives in real time.
    """
    if vtn_url is not None and speed not in (None, 1.0):
        raise ConfigError("a VTN that runs elsewhere lives in real time: leave the speed out")
    simulation = Simulation(plan, vtn_url=vtn_url, anywhere=anywhere, progress=progress)
    if speed is None:
        speed = 1.0 if vtn_url is not None else INSTANTLY
    return run_at_speed(simulation.run(), speed)
