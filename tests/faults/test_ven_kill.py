"""A VEN that is killed without warning, at any moment, goes on where it stopped."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pyopenadr.clock import AcceleratedClock
from pyopenadr.model import Interval, OptType, Reading, ReportRequest
from pyopenadr.v2 import wire
from pyopenadr.vtn.server import OpenADRServer
from tests.faults.test_vtn_kill import ROOT, free_port
from tests.faults.ven_process import GRANULARITY
from tests.faults.vtn_process import MINUTE, POLL, clock_since

FACTOR = 30.0
LENGTH = 5.5 * MINUTE
KILLS = int(os.environ.get("PYOPENADR_VEN_KILLS", "0"))
"""With more than there is time for there is one event after the other until the last kill."""
STEP = MINUTE
"""The length of each interval of those events, which have three."""
SIGNAL = "signal-1"
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
        self.folder = folder
        self.diary = folder / "diary"
        self.state = folder / "ven.db"
        self.port = free_port()
        self.kills: list[float] = []
        self.chance = random.Random(seed)
        self.plain: dict[str, datetime] = {}
        self.cancelled: set[str] = set()

    def begin_now(self) -> None:
        """The fast clock of the play is set going, and the VTN is made."""
        self.epoch = time.time()
        self.clock: AcceleratedClock = clock_since(self.epoch, FACTOR)
        self.begin = datetime.fromtimestamp(int(self.epoch), UTC)
        self.first_sample = self.begin + 1.5 * MINUTE
        self.start = self.begin + 2.5 * MINUTE
        self.plain["peak"] = self.start
        self.server = OpenADRServer(
            "vtn",
            database=f"sqlite:///{self.folder / 'vtn.db'}",
            port=self.port,
            poll_frequency=POLL,
            resend_after=2 * POLL,
            clock=self.clock,
        )
        self.server.on_register_report = self.ask

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

    async def start_vens(self) -> asyncio.subprocess.Process:
        arguments = [str(self.state), f"http://127.0.0.1:{self.port}", str(self.diary), str(FACTOR)]
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.faults.ven_process", *arguments, str(self.chance.random())),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )

    async def operator(self) -> None:
        """Two events, one of which is made longer and the other cancelled; then more, also changed and cancelled."""
        await self.until(MINUTE / 4)
        await self.server.add_event(
            event_id="peak", start=self.start, intervals=[(STEP, 1), (STEP, 2), (STEP / 2, 1)], priority=1
        )
        await self.server.add_event(event_id="evening", start=self.start + 40 * MINUTE, intervals=[(MINUTE, 3)])
        await self.until(MINUTE)
        await self.change("peak", 2, Interval(duration=STEP, value=1), duration=3 * STEP)
        await self.until(2 * MINUTE)
        await self.server.cancel_event("evening")
        number = 0
        while len(self.kills) < KILLS:
            name, start = f"more-{number}", self.clock.now() + 2 * MINUTE
            await self.server.add_event(event_id=name, start=start, intervals=[(STEP, it) for it in (1, 2, 1)])
            (event,) = [event for event in await self.server.events() if event.event_id == name]
            await self.clock.sleep((event.start + 1.5 * STEP - self.clock.now()).total_seconds())
            match number % 4:
                case 1:
                    await self.server.cancel_event(name)
                    self.cancelled.add(name)
                case 3:
                    await self.change(name, 2, Interval(duration=STEP, value=3))
                case _:
                    self.plain[name] = event.start
            number += 1
            await self.clock.sleep(STEP.total_seconds())

    async def change(self, name: str, number: int, interval: Interval, **fields: Any) -> None:
        (event,) = [event for event in await self.server.events() if event.event_id == name]
        intervals = [interval if place == number else it for place, it in enumerate(event.signals[0].intervals)]
        signal = msgspec.structs.replace(event.signals[0], intervals=tuple(intervals))
        await self.server.change_event(name, signals=(signal,), **fields)

    async def until(self, since: timedelta) -> None:
        await self.clock.sleep((self.begin + since - self.clock.now()).total_seconds())

    async def run(self) -> None:
        """Play until the end, with at least `KILLS` kills on the way."""
        vens = await self.start_vens()
        assert vens.stdin is not None
        assert vens.stdout is not None
        assert await asyncio.wait_for(vens.stdout.readline(), 20) == b"ready\n"
        self.begin_now()
        end = self.epoch + LENGTH.total_seconds() / FACTOR
        async with self.server:
            vens.stdin.write(f"{self.epoch}\n".encode())
            operator = asyncio.create_task(self.operator())
            try:
                while time.time() < end or len(self.kills) < KILLS:
                    pid = int(await asyncio.wait_for(vens.stdout.readline(), 20))
                    await asyncio.sleep(self.chance.choice([0.02, 0.1, 0.2, 0.3, 0.5, 0.8, 1.5, 3.0]))
                    os.kill(pid, signal.SIGKILL)
                    self.kills.append(time.time())
                await operator
                await self.calm()
                vens.terminate()
                assert await asyncio.wait_for(vens.wait(), 10) == 0
            finally:
                operator.cancel()
                if vens.returncode is None:
                    vens.terminate()
                    await vens.wait()

    async def calm(self) -> None:
        """Wait until all that was begun has ended, and what was measured by then has been sent."""
        for _ in range(100):
            if not open_ends(self.done()):
                break
            await asyncio.sleep(0.2)
        await asyncio.sleep(1.5)

    def done(self) -> list[Line]:
        """What the device carried out."""
        return [line for line in read(self.diary) if line.what == "did"]

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


def open_ends(done: list[Line]) -> list[str]:
    """The ends that have not come yet of what was begun."""
    keys = [line.call[0] for line in done]
    return [end for key in keys if "_start" in key and (end := key.replace("_start", "_end")) not in keys]


@pytest.mark.slow
async def test_a_killed_ven_goes_on_where_it_stopped(tmp_path: Path) -> None:
    play = Play(tmp_path, seed=3)
    await play.run()
    assert len(play.kills) >= max(KILLS, 4)
    try:
        await check_readings(play)
        await check_records(play)
        await check_answers(play)
    finally:
        await play.server.stop()
    check_execution(play)


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
    assert len(certain) > 3
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
    done = decided(play)
    assert {("on_event", "peak", "1", "False"), ("on_event", "evening", "1", "True")} <= set(done)


def check_execution(play: Play) -> None:
    """Each call to the device is carried out once and not before its time; each start has its end; none is skipped."""
    done = play.done()
    keys = [line.call[0] for line in done]
    assert len(keys) == len(set(keys)), "each is carried out once"
    assert open_ends(done) == [], "whatever began has ended"
    places = {key: place for place, key in enumerate(keys)}
    for line in done:
        key = line.call[0]
        assert play.instant(line.at).timestamp() >= float(line.call[1]) - 0.001, f"{key} was carried out too early"
        if "_end" in key:
            assert places[key.replace("_end", "_start")] < places[key], f"{key} has its start before it"
    for name, start in play.plain.items():
        check_plain(play, name, start, [key for key in keys if key.startswith(f"{name}/")])
    reasons = {line.call[0]: line.call[2] for line in done}
    for name in play.cancelled:
        assert reasons.get(f"{name}/on_event_end/1", "cancelled") == "cancelled"
    asked = [line.call[1] for line in read(play.diary) if line.what == "asked"]
    print(
        f"{len(keys)} calls carried out once each, in {len({key.partition('/')[0] for key in keys})} events; "
        f"{len(asked)} were under way at a kill, {asked.count('True')} of them carried out"
    )


def check_plain(play: Play, name: str, start: datetime, done: list[str]) -> None:
    """Of an event that ran its course all calls are made in order, but for intervals that passed in death."""
    known = [at for call, at in decided(play).items() if call[1] == name]
    wanted = [f"{name}/on_event_start/1"]
    for number in range(3):
        begin, end = start + number * STEP, start + (number + 1) * STEP
        since = max([begin, *(play.instant(at + SLACK_S) for at in known[:1])])
        lived = bool(known) and any(max(up, since) < min(down, end) for up, down in play.alive())
        key = f"{name}/on_interval_start/{SIGNAL}/{number}/1"
        if lived or key in done:
            wanted += [key, key.replace("_start", "_end")]
    wanted += [f"{name}/on_event_end/1"]
    assert done == wanted or (done == [] and len(wanted) == 2)


def decided(play: Play) -> dict[tuple[str, ...], float]:
    """When each question came to its end, in order. None is asked twice without a death in it or right after it."""
    found: dict[tuple[str, ...], float] = {}
    for line in read(play.diary):
        if line.what == "end":
            if line.call in found:
                died = any(found[line.call] <= kill <= found[line.call] + SLACK_S for kill in play.kills)
                assert died, f"{line.call} was asked again at {line.at}"
            found.setdefault(line.call, line.at)
    return found
