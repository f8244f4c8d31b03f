"""One day in the life of a VTN and a VEN, with one thing that goes wrong at one message."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pyopenadr import DataPoint, Event, ReportRequest
from pyopenadr.errors import OpenADRError
from pyopenadr.model import Capability, Report, Span
from pyopenadr.testing import Fault, Pair, StillClock
from pyopenadr.testing.recorder import Recorded

__all__ = ["BEGIN", "Day", "Outcome"]

BEGIN = datetime(2030, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
POLL = timedelta(minutes=20)
RETRY_S = 300.0
GRAIN_S = 300.0
Operation = Callable[[], Awaitable[object]]


class GrainClock(StillClock):
    """A clock on which every wait ends at a multiple of five minutes: a day has 288 instants and takes no time."""

    async def sleep(self, seconds: float) -> None:
        now = (self.now() - BEGIN).total_seconds()
        until = math.ceil((now + seconds) / GRAIN_S) * GRAIN_S if seconds > 0 else now
        await super().sleep(until - now)

    async def settle(self, rounds: int = 20) -> None:
        await super().settle(min(rounds, 20))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What must be the same whatever happened on the way.

    `calls` counts what the VEN's handlers were called with; `answers` are the VTN's, `decisions` the VEN's.
    """

    calls: Counter[str]
    answers: dict[str, tuple[int, str, bool]]
    decisions: dict[str, str]
    opts: tuple[list[str], list[str]]
    readings: list[tuple[datetime, object]]
    received: Counter[str]
    requests: tuple[int, int]
    registered: tuple[bool, int]
    unsent: int
    agreed: list[bool]


class Day:
    """Runs a day. `fault` hits the message with the number `strike`; None: nothing goes wrong."""

    def __init__(self, strike: int | None = None, fault: Fault | None = None) -> None:
        self.strike = strike
        self.fault = fault
        self.messages = 0
        self.calls: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self._agreed: list[bool] = []
        self._tasks: list[asyncio.Task[None]] = []
        self.pair = Pair(
            clock=GrainClock(BEGIN),
            ven={
                "query_first": True,
                "on_event": self._decide,
                "on_report": self._receive,
                "wanted_reports": self._want,
                "on_event_start": self._note("start"),
                "on_interval_start": self._note("interval"),
                "on_event_end": self._note("end"),
            },
            vtn={"poll_frequency": POLL},
        )
        self.pair.fault = self._strike
        self.pair.ven.add_report(
            report_specifier_id="load", points=[DataPoint(r_id="p")], duration=24 * HOUR, source=lambda: self._hours()
        )
        self.pair.vtn.add_report(
            "price", points=[DataPoint(r_id="c")], duration=24 * HOUR, source=lambda request: {"c": self._hours()}
        )

    @property
    def exchanges(self) -> list[Recorded]:
        """Every exchange there was."""
        return self.pair.recorder.exchanges

    async def run(self) -> Outcome:
        """Live the day.

        Returns:
            The state half an hour before the VEN takes leave of the VTN, and whether it was registered after it.
        """
        async with self.pair:
            for hour, operation in self._plan():
                await self._until(hour)
                self._tasks.append(asyncio.get_running_loop().create_task(self._insist(operation)))
            await self._until(22.5)
            outcome = await self._outcome()
            self._tasks.append(
                asyncio.get_running_loop().create_task(self._insist(self.pair.ven.cancel_party_registration))
            )
            await self._until(24)
            assert not self.pair.ven.registered
            assert self._registered() == 0, "the VTN still counts on a VEN that has gone"
            await asyncio.gather(*self._tasks)
        return outcome

    def _plan(self) -> list[tuple[float, Operation]]:
        vtn, ven = self.pair.vtn, self.pair.ven
        span = Span(start=BEGIN + 16 * HOUR, end=BEGIN + 17 * HOUR)
        return [
            (0.5, self._ask_for_report),
            (1.0, lambda: self._event("moved", 3)),
            (2.0, lambda: vtn.change_event("moved", start=BEGIN + 3.5 * HOUR)),
            (3.25, self._compare),
            (4.0, lambda: self._event("dropped", 7)),
            (5.0, lambda: vtn.cancel_event("dropped")),
            (8.0, lambda: self._event("stopped", 10)),
            (9.75, self._compare),
            (10.25, lambda: vtn.cancel_event("stopped")),
            (11.0, lambda: self._event("declined", 14)),
            (12.0, lambda: ven.create_opt("optOut", event_id="declined", opt_id="word")),
            (12.5, lambda: ven.create_opt("optOut", availability=[span], opt_id="away")),
            (13.0, lambda: ven.create_opt("optIn", availability=[span], opt_id="there")),
            (13.5, lambda: ven.cancel_opt("away")),
            (13.75, self._compare),
            (14.5, ven.request_event),
            (15.0, self._stop_price),
            (16.0, lambda: vtn.request_reregistration(ven.ven_id or "")),
            (17.0, lambda: self._event("evening", 19)),
            (18.75, self._compare),
            (20.0, self._stop_report),
        ]

    async def _until(self, hour: float) -> None:
        await self.pair.advance(BEGIN + hour * HOUR - self.pair.clock.now())

    async def _insist(self, operation: Operation) -> None:
        """Do it until it is done, as a user would."""
        for _ in range(4):
            try:
                await operation()
                return
            except OpenADRError:
                await self.pair.clock.sleep(RETRY_S)
        await operation()

    def _strike(self, path: str, body: bytes) -> Fault | None:
        self.messages += 1
        return self.fault if self.messages - 1 == self.strike else None

    def _hours(self) -> float:
        return (self.pair.clock.now() - BEGIN) / HOUR

    # --- the operator ---------------------------------------------------------------------------

    async def _event(self, event_id: str, hour: float) -> None:
        await self.pair.vtn.add_event(event_id=event_id, start=BEGIN + hour * HOUR, intervals=[(HOUR, 1), (HOUR, 2)])

    async def _ask_for_report(self) -> None:
        await self.pair.vtn.request_report(
            self.pair.ven.ven_id or "",
            report_specifier_id="load",
            granularity=HOUR,
            report_back_duration=2 * HOUR,
            start=BEGIN + 2 * HOUR,
        )

    async def _stop_report(self) -> None:
        ven_id = self.pair.ven.ven_id or ""
        for stored in await self.pair.vtn.report_requests(ven_id):
            if stored.source == "ven":
                await self.pair.vtn.cancel_report(ven_id, stored.request.report_request_id)

    async def _stop_price(self) -> None:
        await self.pair.ven.cancel_report(list(self.pair.ven._parts.requester.requests))

    # --- the VEN's handlers ---------------------------------------------------------------------

    async def _decide(self, event: Event) -> str:
        self.calls[f"{event.event_id} {event.modification_number} {'cancelled' if event.cancelled else 'on'}"] += 1
        return "optIn"

    def _note(self, what: str) -> Callable[..., Awaitable[None]]:
        async def called(event: Event, *more: Any) -> None:
            which = getattr(more[-1], "value", more[-1]) if more else ""
            self.calls[f"{event.event_id} {what} {which}"] += 1

        return called

    async def _want(self, offered: list[Capability]) -> list[ReportRequest]:
        return [
            ReportRequest(
                report_request_id="wanted",
                report_specifier_id=one.report_specifier_id,
                r_ids=("c",),
                granularity=2 * HOUR,
                report_back_duration=4 * HOUR,
                start=BEGIN + 4 * HOUR,
            )
            for one in offered
        ]

    async def _receive(self, report: Report) -> None:
        for reading in report.readings:
            self.received[f"{reading.start:%H:%M}"] += 1

    # --- how it ended ---------------------------------------------------------------------------

    async def _compare(self) -> None:
        """Whether the VTN knows of each event what the VEN has said, and says the same."""
        said = {name: str(known.opt_type) for name, known in self.pair.ven.events.items()}
        heard = {a.event_id: str(a.opt_type) for a in await self.pair.vtn.answers()}
        self._agreed.append(bool(said) and said == {name: heard.get(name) for name in said})

    def _registered(self) -> int:
        return sum(one.registration_id is not None for one in self.pair.vtn.vens)

    async def _outcome(self) -> Outcome:
        vtn, ven = self.pair.vtn, self.pair.ven
        ven_id = ven.ven_id or ""
        answers = await vtn.answers()
        stored = await vtn.report_requests(ven_id)
        return Outcome(
            calls=Counter(self.calls),
            answers={a.event_id: (a.modification_number, str(a.opt_type), a.by_opt) for a in answers},
            decisions={name: str(known.opt_type) for name, known in ven.events.items()},
            opts=(sorted(o.opt_id for o in await vtn.opts(ven_id) if o.event_id is None), sorted(ven.opts)),
            readings=[(one.reading.start, one.reading.value) for one in await vtn.readings(ven_id)],
            received=Counter(self.received),
            requests=(len(stored), len(ven.report_requests)),
            registered=(ven.registered, self._registered()),
            unsent=ven.unsent,
            agreed=self._agreed,
        )
