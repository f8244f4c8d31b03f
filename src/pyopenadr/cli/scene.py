"""The demonstration's play: one VTN, three VENs, two events, on a clock that runs fast.

Everything in it is the real thing: HTTP on loopback, a database file, the public classes. The scene keeps what
happened, and judges in the end whether it was what should have happened.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

import msgspec

from pyopenadr.clock import AcceleratedClock
from pyopenadr.errors import TransportError
from pyopenadr.model import DataPoint, Event, EventStatus, OptType, Reading, ReportRequest, Unit
from pyopenadr.store.port import Answer
from pyopenadr.transport.http import HttpTransport
from pyopenadr.transport.port import Reply
from pyopenadr.v2 import wire
from pyopenadr.ven.client import OpenADRClient
from pyopenadr.vtn.server import OpenADRServer

__all__ = ["Check", "Happening", "Outcome", "Scene", "Series"]

MARKET: Final = "http://localhost/demo"
MINUTE: Final = timedelta(minutes=1)
POLL: Final = timedelta(seconds=10)
GRANULARITY: Final = timedelta(seconds=30)
NAMES: Final = ("bakery", "charger", "laundry")
OFFLINE_FROM: Final = timedelta(minutes=6)
OFFLINE_UNTIL: Final = timedelta(minutes=8)
LENGTH: Final = timedelta(minutes=13)


class Happening(msgspec.Struct, frozen=True):
    """Something that was seen, with when and by whom."""

    at: datetime
    who: str
    what: str


class Series(msgspec.Struct, frozen=True):
    """What one VEN measured, as the VTN has it."""

    name: str
    readings: tuple[Reading, ...]


class Check(msgspec.Struct, frozen=True):
    """Something that should have happened, and whether it did."""

    what: str
    holds: bool
    seen: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """All that is known in the end."""

    start: datetime
    event: Event
    happenings: tuple[Happening, ...]
    series: tuple[Series, ...]
    checks: tuple[Check, ...]


class _Cable(HttpTransport):
    """A transport whose cable can be pulled."""

    def __init__(self) -> None:
        super().__init__()
        self.pulled = False

    async def post(self, url: str, body: bytes) -> Reply:
        if self.pulled:
            raise TransportError("the cable is pulled")
        return await super().post(url, body)


class _Site:
    """A site with a VEN: 8 kW of load, of which each level of an accepted event takes off a quarter."""

    def __init__(self, name: str, url: str, clock: AcceleratedClock, note: Callable[[str, str], None]) -> None:
        self.name = name
        self.willing = name != "laundry"
        self.note = note
        self.clock = clock
        self.cable = _Cable()
        self.followed: dict[str, Event] = {}
        self.calls: list[tuple[str, int, bool]] = []
        self.client = OpenADRClient(name, url, clock=clock, transport=self.cable, on_event=self.on_event)
        self.client.add_report(
            report_specifier_id="telemetry",
            points=[
                DataPoint(
                    r_id="power",
                    unit=Unit(name="powerReal", symbol="W", scale="k", hertz=50.0, voltage=230.0, ac=True),
                    min_period=GRANULARITY,
                    max_period=timedelta(hours=1),
                )
            ],
            source=self.power,
        )

    def on_event(self, event: Event) -> str:
        """The VEN's handler: one call for each version of each event."""
        self.calls.append((event.event_id, event.modification_number, event.cancelled))
        if event.cancelled:
            self.followed.pop(event.event_id, None)
            self.note(self.name, f"lets go of {event.event_id}")
            return OptType.IN
        if not self.willing:
            self.note(self.name, f"has {event.event_id} (version {event.modification_number}), opts out")
            return OptType.OUT
        self.followed[event.event_id] = event
        self.note(self.name, f"has {event.event_id} (version {event.modification_number}), opts in")
        return OptType.IN

    def power(self) -> float:
        """The site's power in kW at this moment."""
        now = self.clock.now()
        running = [event for event in self.followed.values() if event.status_at(now) is EventStatus.ACTIVE]
        level = max((event.current_value(event.signals[0], now) for event in running), default=0.0)
        return 8.0 - 2.0 * level


class Scene:
    """The play. `progress(fraction)` is called as it goes on."""

    def __init__(
        self, database: str, speed: float, progress: Callable[[float], None], say: Callable[[str, str], None]
    ) -> None:
        self.clock = AcceleratedClock(speed)
        self.start = self.clock.now()
        self._progress = progress
        self._say = say
        self._happenings: list[Happening] = []
        self._offline: list[str] = []
        self._online: list[str] = []
        self._cancelled = ""
        self.vtn = OpenADRServer(
            "demo-vtn",
            database=database,
            port=0,
            poll_frequency=POLL,
            resend_after=3 * POLL,
            clock=self.clock,
            on_register_report=self._on_register_report,
            on_created_event=self._on_created_event,
            on_ven_online=self._on_ven_online,
            on_ven_offline=self._on_ven_offline,
        )

    def note(self, who: str, what: str) -> None:
        """Keep something for the timeline, and say it."""
        self._happenings.append(Happening(self.clock.now(), who, what))
        self._say(who, what)

    def _name_of(self, ven_id: str) -> str:
        return next((v.ven_name or ven_id for v in self.vtn.vens if v.ven_id == ven_id), ven_id)

    # --- the VTN's handlers -----------------------------------------------------------------------------------------

    async def _on_register_report(self, payload: wire.OadrRegisterReport) -> list[ReportRequest]:
        self.note("vtn", f"asks {self._name_of(payload.ven_id or '')} for its power, two readings a minute")
        return [
            ReportRequest(
                report_request_id=f"power-of-{payload.ven_id}",
                report_specifier_id="telemetry",
                r_ids=("power",),
                granularity=GRANULARITY,
                report_back_duration=MINUTE,
                start=self.clock.now().replace(microsecond=0),
            )
        ]

    async def _on_created_event(self, payload: wire.OadrCreatedEvent) -> None:
        for response in payload.event_responses or ():
            text = f"{self._name_of(payload.ven_id)} answers {response.event_id}: {response.opt_type}"
            if self._cancelled == response.event_id:
                text = f"{self._name_of(payload.ven_id)} confirms that {response.event_id} is cancelled"
            self.note("vtn", f"{text} (version {response.modification_number})")

    async def _on_ven_online(self, ven_id: str) -> None:
        self._online.append(ven_id)
        self.note("vtn", f"{self._name_of(ven_id)} is online")

    async def _on_ven_offline(self, ven_id: str) -> None:
        self._offline.append(ven_id)
        self.note("vtn", f"{self._name_of(ven_id)} is offline: three polls missed")

    # --- the play ---------------------------------------------------------------------------------------------------

    async def play(self) -> Outcome:
        """Let it all happen and look at the result."""
        logging.getLogger("pyopenadr").setLevel(logging.CRITICAL)  # the pulled cable is no news here
        async with self.vtn:
            self.note("vtn", f"serves at {self.vtn.url}")
            sites = [_Site(name, self.vtn.url, self.clock, self.note) for name in NAMES]
            running = [asyncio.create_task(site.client.run()) for site in sites]
            try:
                event = await self._acts(sites)
                return await self._outcome(event, sites)
            finally:
                for site in sites:
                    site.client.stop()
                await asyncio.gather(*running, return_exceptions=True)

    async def _until(self, offset: timedelta) -> None:
        """Wait for a moment of the play."""
        end = self.start + offset
        while (left := (end - self.clock.now()).total_seconds()) > 0:
            self._progress(min(1.0, (self.clock.now() - self.start) / LENGTH))
            await self.clock.sleep(min(left, 15.0))

    async def _acts(self, sites: list[_Site]) -> Event:
        await self._until(MINUTE)
        start = (self.start + 4 * MINUTE).replace(microsecond=0)
        event = await self.vtn.add_event(
            event_id="peak",
            start=start,
            intervals=[(2 * MINUTE, 1), (2 * MINUTE, 2), (MINUTE, 1)],
            market_context=MARKET,
            priority=1,
        )
        self.note("vtn", "publishes peak: levels 1, 2, 1 for 5 minutes, starting in 3")
        await self.vtn.add_event(
            event_id="evening", start=start + 40 * MINUTE, intervals=[(10 * MINUTE, 3)], market_context=MARKET
        )
        self.note("vtn", "publishes evening: level 3 for 10 minutes, much later")
        await self._until(2 * MINUTE + 20 * timedelta(seconds=1))
        event = await self._change(event)
        await self._until(5 * MINUTE)
        await self.vtn.cancel_event("evening")
        self._cancelled = "evening"
        self.note("vtn", "cancels evening")
        await self._until(OFFLINE_FROM)
        self._charger(sites).cable.pulled = True
        self.note("charger", "loses its connection, in the middle of peak")
        await self._until(OFFLINE_UNTIL)
        self._charger(sites).cable.pulled = False
        self.note("charger", "has its connection back")
        await self._until(LENGTH)
        return event

    async def _change(self, event: Event) -> Event:
        signal = event.signals[0]
        longer = msgspec.structs.replace(
            signal, intervals=(*signal.intervals[:2], msgspec.structs.replace(signal.intervals[2], duration=2 * MINUTE))
        )
        changed = await self.vtn.change_event(event.event_id, signals=(longer,), duration=6 * MINUTE)
        self.note("vtn", "changes peak: its last level lasts a minute longer")
        return changed

    @staticmethod
    def _charger(sites: list[_Site]) -> _Site:
        return next(site for site in sites if site.name == "charger")

    # --- the judgement ----------------------------------------------------------------------------------------------

    async def _outcome(self, event: Event, sites: list[_Site]) -> Outcome:
        ids = {ven.ven_name: ven.ven_id for ven in self.vtn.vens}
        series = []
        for site in sites:
            stored = await self.vtn.readings(ids[site.name])
            series.append(Series(site.name, tuple(s.reading for s in stored)))
        answers = {(a.event_id, a.ven_id): a for a in await self.vtn.answers()}
        checks = [check for site in sites for check in self._judge(site, ids[site.name], answers, event)]
        checks += [check for one in series for check in self._judge_readings(one, event)]
        charger = ids["charger"]
        checks.append(Check("charger was seen going offline", charger in self._offline))
        checks.append(Check("charger was seen coming back", self._online.count(charger) == 2))
        return Outcome(
            start=self.start,
            event=event,
            happenings=tuple(self._happenings),
            series=tuple(series),
            checks=tuple(checks),
        )

    def _judge(self, site: _Site, ven_id: str, answers: dict[tuple[str, str], Answer], event: Event) -> Iterator[Check]:
        wanted = OptType.IN if site.willing else OptType.OUT
        answer = answers.get(("peak", ven_id))
        seen = f"{answer.opt_type} to version {answer.modification_number}" if answer else "nothing"
        holds = answer is not None and (answer.opt_type, answer.modification_number) == (wanted, 1)
        yield Check(f"{site.name} answered the changed peak with {wanted}", holds, seen)
        answer = answers.get(("evening", ven_id))
        seen = f"version {answer.modification_number}" if answer else "nothing"
        yield Check(
            f"{site.name} acknowledged the cancelled evening", bool(answer and answer.modification_number == 1), seen
        )
        versions = [("peak", 0, False), ("evening", 0, False), ("peak", 1, False), ("evening", 1, True)]
        calls = sorted(site.calls)
        yield Check(f"{site.name} was told of each version once", calls == sorted(versions), str(calls))

    def _judge_readings(self, series: Series, event: Event) -> Iterator[Check]:
        instants = [reading.start for reading in series.readings]
        gaps = [b - a for a, b in itertools.pairwise(instants) if b - a != GRANULARITY]
        yield Check(f"{series.name} has no gap in its readings", len(instants) > 15 and not gaps, f"{len(instants)}")
        wrong = [r for r in series.readings if r.value != _expected(series.name, event, r.start)]
        yield Check(f"{series.name} followed the levels", len(wrong) <= 2, f"{len(wrong)} readings off")


def _expected(name: str, event: Event, at: datetime) -> float:
    level = event.current_value(event.signals[0], at) if name != "laundry" else 0.0
    return 8.0 - 2.0 * level
