"""A VEN that is killed without warning, at any moment, goes on where it stopped."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from pyopenadr.clock import AcceleratedClock
from pyopenadr.model import Interval, OptType, Reading, ReportRequest
from pyopenadr.v2 import wire
from pyopenadr.vtn.server import OpenADRServer
from tests.faults.test_vtn_kill import ROOT, free_port
from tests.faults.ven_process import GRANULARITY
from tests.faults.vtn_process import MINUTE, POLL, clock_since

FACTOR = 25.0
LENGTH = 13 * MINUTE
KILLS = int(os.environ.get("PYOPENADR_VEN_KILLS", "20"))
"""With more than 20 there is one event after the other until the last kill."""
STEPS = (3 * MINUTE, 3 * MINUTE)
"""The intervals of each of those events."""
SLACK_S = 0.75
"""Seconds of the machine in which the process may be busy with a sample; what is due then may die with it."""


@dataclass
class Line:
    """A line of the VEN's diary."""

    at: float
    what: str
    call: tuple[str, ...]


def read(diary: Path) -> list[Line]:
    lines = [line.split() for line in diary.read_text().splitlines()]
    return [Line(float(at), what, tuple(call)) for at, what, *call in lines]


class Play:
    """The VTN, its operator, and the VEN's process."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.epoch = time.time()
        self.clock: AcceleratedClock = clock_since(self.epoch, FACTOR)
        self.begin = datetime.fromtimestamp(int(self.epoch), UTC)
        self.first_sample = self.begin + 5 * MINUTE
        self.start = self.begin + 6 * MINUTE
        self.diary = folder / "diary"
        self.state = folder / "ven.db"
        self.port = free_port()
        self.kills: list[float] = []
        self.chance = random.Random(seed)
        self.server = OpenADRServer(
            "vtn",
            database=f"sqlite:///{folder / 'vtn.db'}",
            port=self.port,
            poll_frequency=POLL,
            resend_after=2 * POLL,
            clock=self.clock,
        )
        self.server.on_register_report = self.ask
        self.more: dict[str, datetime] = {}

    def ask(self, payload: wire.OadrRegisterReport) -> list[ReportRequest]:
        return [
            ReportRequest(
                report_request_id=f"{r_id}-of-{payload.ven_id}",
                report_specifier_id=specifier,
                r_ids=(r_id,),
                granularity=GRANULARITY,
                report_back_duration=3 * GRANULARITY,
                start=self.first_sample,
            )
            for specifier, r_id in (("telemetry", "power"), ("counter", "count"))
        ]

    async def start_ven(self) -> asyncio.subprocess.Process:
        arguments = [str(self.state), f"http://127.0.0.1:{self.port}", str(self.diary), str(FACTOR), str(self.epoch)]
        lot = str(self.chance.random())
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.faults.ven_process", *arguments, lot),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 20) == b"up\n"
        return process

    async def operator(self) -> None:
        """Two events, one of which is made longer and the other cancelled."""
        await self.until(MINUTE / 2)
        await self.server.add_event(
            event_id="peak", start=self.start, intervals=[(2 * MINUTE, 1), (2 * MINUTE, 2), (MINUTE, 1)], priority=1
        )
        await self.server.add_event(event_id="evening", start=self.start + 40 * MINUTE, intervals=[(MINUTE, 3)])
        await self.until(2 * MINUTE)
        (peak,) = [event for event in await self.server.events() if event.event_id == "peak"]
        last = Interval(duration=2 * MINUTE, value=1)
        longer = msgspec.structs.replace(peak.signals[0], intervals=(*peak.signals[0].intervals[:2], last))
        await self.server.change_event("peak", signals=(longer,), duration=6 * MINUTE)
        await self.until(5 * MINUTE)
        await self.server.cancel_event("evening")
        while 20 < KILLS > len(self.kills):
            name, start = f"more-{len(self.more)}", self.clock.now() + 3 * MINUTE
            await self.server.add_event(event_id=name, start=start, intervals=[(step, 1) for step in STEPS], priority=1)
            (event,) = [event for event in await self.server.events() if event.event_id == name]
            self.more[name] = event.start
            await self.clock.sleep(10 * MINUTE.total_seconds())

    async def until(self, since: timedelta) -> None:
        await self.clock.sleep((self.begin + since - self.clock.now()).total_seconds())

    async def run(self) -> None:
        """Play until the end, with at least `KILLS` kills on the way."""
        end = self.epoch + LENGTH.total_seconds() / FACTOR
        async with self.server:
            operator = asyncio.create_task(self.operator())
            ven = await self.start_ven()
            try:
                while time.time() < end or len(self.kills) < KILLS:
                    await asyncio.sleep(self.chance.choice([0.02, 0.1, 0.3, 0.8, 1.5, 3.0]))
                    os.kill(ven.pid, signal.SIGKILL)
                    self.kills.append(time.time())
                    await ven.wait()
                    ven = await self.start_ven()
                await operator
                await asyncio.sleep(4)
                ven.terminate()
                assert await asyncio.wait_for(ven.wait(), 10) == 0
            finally:
                operator.cancel()
                if ven.returncode is None:
                    ven.kill()
                    await ven.wait()

    def instant(self, wall: float) -> datetime:
        """What the fast clock shows at a time of the machine's."""
        return datetime.fromtimestamp(self.epoch, UTC) + timedelta(seconds=(wall - self.epoch) * FACTOR)

    def alive(self) -> list[tuple[datetime, datetime]]:
        """When samples that were due had to be taken, for certain."""
        ups = [line.at for line in read(self.diary) if line.what == "up"]
        return [
            (self.instant(up + SLACK_S), self.instant(down - SLACK_S))
            for up, down in zip(ups, [*self.kills, time.time()], strict=True)
        ]


@pytest.mark.slow
async def test_a_killed_ven_goes_on_where_it_stopped(tmp_path: Path) -> None:
    play = Play(tmp_path, seed=3)
    await play.run()
    assert len(play.kills) >= KILLS
    try:
        await check_readings(play)
        await check_records(play)
        await check_answers(play)
    finally:
        await play.server.stop()
    check_execution(play)
    check_more(play)


async def check_readings(play: Play) -> None:
    """Every reading once, at its own time; only those are missing that were due while the VEN was dead."""
    (ven,) = play.server.vens
    stored = await play.server.readings(ven.ven_id)
    readings: list[Reading] = [item.reading for item in stored if item.reading.r_id == "power"]
    starts = [reading.start for reading in readings]
    assert starts == sorted(set(starts))
    steps = {(start - play.first_sample) % GRANULARITY for start in starts}
    assert steps == {timedelta(0)}, "they stay on the grid that the VTN asked for"
    for reading in readings:
        assert isinstance(reading.value, float)
        late = reading.value - (reading.start.timestamp() - play.epoch)
        assert -0.001 <= late <= SLACK_S * FACTOR, "each was measured when it says"
    grid = (play.first_sample + k * GRANULARITY for k in itertools.count())
    wanted = list(itertools.takewhile(lambda instant: instant < max(starts), grid))
    alive = play.alive()
    certain = [instant for instant in wanted if any(up <= instant <= down for up, down in alive)]
    assert len(certain) > 5
    assert [instant for instant in certain if instant not in starts] == []


async def check_records(play: Play) -> None:
    """Every value that was safe when the process died is at the VTN once, with the time at which it was recorded."""
    (ven,) = play.server.vens
    stored = [item.reading for item in await play.server.readings(ven.ven_id) if item.reading.r_id == "count"]
    found = {it.start: it.value for it in stored if it.quality is None}
    assert len(found) == sum(it.quality is None for it in stored)
    assert len(set(found.values())) == len(found)
    written = {
        datetime.fromtimestamp(float(line.call[1]), UTC): float(line.call[0])
        for line in read(play.diary)
        if line.what == "recorded"
    }
    wanted = {at: value for at, value in written.items() if play.first_sample <= at <= max(found)}
    print(f"{len(play.kills)} kills; {len(wanted)} values recorded, {len(found)} at the VTN")
    assert len(wanted) > 10
    assert {at: found.get(at) for at in wanted} == wanted


async def check_answers(play: Play) -> None:
    """Every version is answered; it is decided a second time only if the process died while it was being decided."""
    (ven,) = play.server.vens
    answers = {answer.event_id: answer for answer in await play.server.answers(ven_id=ven.ven_id)}
    assert (answers["peak"].opt_type, answers["peak"].modification_number) == (OptType.IN, 1)
    assert answers["evening"].modification_number == 1
    done = made(play, lambda call: call[0] == "on_event")
    assert {("on_event", "peak", "1", "False"), ("on_event", "evening", "1", "True")} <= set(done)


def check_execution(play: Play) -> None:
    """Every call to the device code is made, in order, not before its time, and again only after a death during it."""
    wanted = [
        ("on_event_start peak", 0),
        ("on_interval_start peak 0", 0),
        ("on_interval_end peak 0", 2),
        ("on_interval_start peak 1", 2),
        ("on_interval_end peak 1", 4),
        ("on_interval_start peak 2", 4),
        ("on_interval_end peak 2", 6),
        ("on_event_end peak completed", 6),
    ]
    done = made(play, lambda call: call[0] != "on_event" and call[1] == "peak")
    assert [" ".join(call) for call in done] == [call for call, _ in wanted]
    for (call, at), (_, minutes) in zip(done.items(), wanted, strict=True):
        late = (play.instant(at) - play.start - minutes * MINUTE).total_seconds()
        assert late >= 0, f"{call} was made too early"


def check_more(play: Play) -> None:
    """Of each further event every call is made in order and once, but for intervals that passed in death."""
    calls = 0
    for name, start in play.more.items():
        done = [" ".join(call) for call in made(play, lambda call: call[0] != "on_event" and call[1] == name)]  # noqa: B023
        wanted = [f"on_event_start {name}"]
        for number in range(len(STEPS)):
            begin = start + number * STEPS[0]
            lived = any(max(up, begin) < min(down, begin + STEPS[0]) for up, down in play.alive())
            if lived or f"on_interval_start {name} {number}" in done:
                wanted += [f"on_interval_start {name} {number}", f"on_interval_end {name} {number}"]
        wanted += [f"on_event_end {name} completed"]
        assert done == wanted or (done == [] and len(wanted) == 2)
        calls += len(done)
    print(f"{len(play.more)} further events with {calls} calls")


def made(play: Play, among: Callable[[tuple[str, ...]], bool]) -> dict[tuple[str, ...], float]:
    """When each call came to its end, in order. None is made twice without a death in it or right after it."""
    found: dict[tuple[str, ...], float] = {}
    for line in read(play.diary):
        if line.what != "end" or not among(line.call):
            continue
        if line.call in found:
            died = any(found[line.call] <= kill <= found[line.call] + SLACK_S for kill in play.kills)
            assert died, f"{line.call} was made again at {line.at}"
        found.setdefault(line.call, line.at)
    return found
