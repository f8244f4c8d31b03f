"""Clocks that differ, that are set, and that sleep; and what applies when, as a table."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pyopenadr.clock import AcceleratedClock, FakeClock
from pyopenadr.errors import ConfigError
from pyopenadr.model import Event, Interval, Signal
from pyopenadr.transport.port import Reply
from pyopenadr.v2 import wire
from pyopenadr.v2.codec import encode
from pyopenadr.ven import OpenADRClient
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.ven.scripted import NOW, ScriptedVtn, client_of, event, problems, running

MINUTE = timedelta(minutes=1)


class WatchedVtn(ScriptedVtn):
    """A VTN whose HTTP server says what its clock shows."""

    def __init__(self, ahead: timedelta) -> None:
        super().__init__()
        self.ahead = ahead

    async def post(self, url: str, body: bytes) -> Reply:
        assert self.clock is not None
        return (await super().post(url, body))._replace(date=self.clock.now() + self.ahead)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.mark.parametrize(
    ("ahead", "text"), [(90, "90 s ahead of ours"), (-3600, "3600 s behind ours"), (9, None), (-9, None)]
)
async def test_a_clock_that_differs_is_told_once_and_tolerated(
    clock: FakeClock, ahead: int, text: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    vtn = WatchedVtn(timedelta(seconds=ahead))
    vtn.events = [event()]
    async with running(client_of(vtn, clock), clock) as client:
        await clock.advance(60)
        assert client.clock_skew == timedelta(seconds=ahead)
        assert set(client.events) == {"e1"}
        said = [line for line in problems(caplog.records) if "clock" in line]
        assert len(said) == (text is not None)
        assert text is None or text in said[0]
        vtn.ahead = timedelta(0)
        await clock.advance(20)
        vtn.ahead = timedelta(hours=1)
        await clock.advance(20)
        assert len([line for line in problems(caplog.records) if "clock" in line]) == len(said) + 1


async def test_an_event_that_was_written_ahead_of_our_time(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    vtn = ScriptedVtn()
    vtn.rules[wire.OadrRequestEvent] = lambda m: vtn.distribute(event(), now=NOW + 5 * MINUTE)
    async with running(client_of(vtn, clock), clock) as client:
        assert set(client.events) == {"e1"}
        assert client.clock_skew == 5 * MINUTE
    assert any("300 s ahead of ours" in line for line in problems(caplog.records))


class SlowVtn(WatchedVtn):
    """A VTN whose messages take their time on the way."""

    async def post(self, url: str, body: bytes) -> Reply:
        assert self.clock is not None
        await self.clock.sleep(15)
        reply = await super().post(url, body)
        await self.clock.sleep(15)
        return reply


@pytest.mark.parametrize(("ahead", "found"), [(0, 0), (-10, 0), (10, 0), (60, 45), (-60, -45)])
async def test_the_time_that_a_message_takes_is_no_difference(clock: FakeClock, ahead: int, found: int) -> None:
    async with running(client_of(SlowVtn(timedelta(seconds=ahead)), clock), clock) as client:
        await clock.advance(200)
        assert client.clock_skew == timedelta(seconds=found)


async def test_a_vtn_on_a_fast_clock_says_its_own_time(caplog: pytest.LogCaptureFixture) -> None:
    clock = AcceleratedClock(600.0, NOW)
    async with OpenADRServer("vtn", port=0, clock=clock) as server:
        client = OpenADRClient("ven", server.url, clock=clock)
        await clock.sleep(60)
        await client.create_party_registration()
        assert client.clock_skew is not None
        assert abs(client.clock_skew) < timedelta(seconds=2)
        await client.close()
    assert problems(caplog.records) == []


# --- the zone of the machine, and a machine that sleeps --------------------------------------------------------------

BERLIN_AUTUMN = datetime(2030, 10, 27, 0, 30, tzinfo=UTC)
BERLIN_SPRING = datetime(2030, 3, 31, 0, 30, tzinfo=UTC)


@pytest.fixture(params=["UTC", "Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3", "Australia/Lord_Howe"])
def zone(request: pytest.FixtureRequest) -> Iterator[None]:
    """The local zone of the machine; in some of these the clock changes during the event."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


class Story:
    """Notes each call of the device with its time; `clock.now()` is UTC whatever the zone."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.calls: list[tuple[str, datetime, float]] = []

    def handlers(self) -> dict[str, Any]:
        async def begins(event: Event, signal: Signal, interval: Any) -> None:
            self.calls.append(("+", interval.start, interval.value))

        async def ends(event: Event, signal: Signal, interval: Any) -> None:
            self.calls.append(("-", interval.end, interval.value))

        async def yes(_: Event) -> str:
            return "optIn"

        return {"on_event": yes, "on_interval_start": begins, "on_interval_end": ends}


def steps(start: datetime, *values: float, each: timedelta) -> Event:
    signal = Signal(
        signal_name="SIMPLE",
        signal_type="level",
        signal_id="s",
        intervals=tuple(Interval(each, value) for value in values),
    )
    return event(start=start, duration=len(values) * each, signals=(signal,), created_date_time=start)


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone can't be set here")
@pytest.mark.usefixtures("zone")
@pytest.mark.parametrize("start", [BERLIN_AUTUMN, BERLIN_SPRING])
async def test_summer_time_neither_skips_nor_repeats_an_interval(start: datetime) -> None:
    clock, vtn = FakeClock(start - MINUTE), ScriptedVtn()
    vtn.clock = clock
    story = Story(clock)
    values = (1.0, 2.0, 1.0, 2.0)
    body = encode(vtn.distribute(steps(start, *values, each=30 * MINUTE)))
    local = body.replace(start.strftime("%Y-%m-%dT%H:%M:%SZ").encode(), _in_berlin(start))
    assert local != body
    vtn.rules[wire.OadrRequestEvent] = lambda _: local
    async with running(client_of(vtn, clock, **story.handlers()), clock):
        await clock.advance(3 * 60 * MINUTE)
    expected = []
    for number, value in enumerate(values):
        expected += [("+", start + number * 30 * MINUTE, value), ("-", start + (number + 1) * 30 * MINUTE, value)]
    assert story.calls == expected


def _in_berlin(start: datetime) -> bytes:
    """The same instant as a VTN in Berlin writes it, before the change of the clock."""
    ahead = 2 if start.month == 10 else 1
    return f"{start + timedelta(hours=ahead):%Y-%m-%dT%H:%M:%S}+0{ahead}:00".encode()


@pytest.mark.parametrize("jump", [-3600, -90, -1, 1, 30, 89])
async def test_a_step_of_the_clock_within_an_interval_changes_no_call(clock: FakeClock, jump: int) -> None:
    vtn, story = ScriptedVtn(), Story(clock)
    vtn.events = [steps(NOW + 10 * MINUTE, 1.0, 2.0, 3.0, each=10 * MINUTE)]
    async with running(client_of(vtn, clock, **story.handlers()), clock):
        await clock.advance(12 * MINUTE)
        clock._now += timedelta(seconds=jump)
        await clock.advance(30 * MINUTE + timedelta(seconds=max(0, -jump)))
    assert [(sign, value) for sign, _, value in story.calls] == [
        (sign, value) for value in (1.0, 2.0, 3.0) for sign in "+-"
    ]


@pytest.mark.parametrize(
    ("slept", "values"),
    [
        (5, ["+1", "-1", "+2", "-2", "+3", "-3"]),
        (9, ["+1", "-1", "+2", "-2", "+3", "-3"]),
        (15, ["+1", "-1", "+2", "-2", "+3", "-3"]),
        (20, ["+1", "-1", "+3", "-3"]),
        (200, ["+1", "-1"]),
    ],
)
async def test_a_machine_that_slept_goes_on_where_it_should_be(clock: FakeClock, slept: int, values: list[str]) -> None:
    vtn, story = ScriptedVtn(), Story(clock)
    vtn.events = [steps(NOW + 10 * MINUTE, 1.0, 2.0, 3.0, each=10 * MINUTE)]
    async with running(client_of(vtn, clock, **story.handlers()), clock):
        await clock.advance(12 * MINUTE)
        woken = [(when + slept * MINUTE, order, future) for when, order, future in clock._sleepers]
        clock._sleepers[:] = woken  # while the machine sleeps, no timer of it runs
        clock._now += slept * MINUTE
        await clock.advance(40 * MINUTE)
    assert [f"{sign}{value:g}" for sign, _, value in story.calls] == values
    assert len(set(story.calls)) == len(story.calls)


# --- the table -------------------------------------------------------------------------------------------------------


async def test_the_timeline_as_a_table(clock: FakeClock) -> None:
    vtn, story = ScriptedVtn(), Story(clock)
    vtn.events = [
        steps(NOW + 10 * MINUTE, 1.0, 2.0, each=10 * MINUTE),
        event("open", start=NOW + 15 * MINUTE, duration=timedelta(0), priority=1, signals=(_open(),)),
    ]
    async with running(client_of(vtn, clock, **story.handlers()), clock) as client:
        await clock.advance(5)
        assert list(client.timeline_frame(NOW - MINUTE, NOW)["value"]) == []
        table = client.timeline_frame(NOW)
        assert list(table["event_id"]) == ["e1", "open"]
        assert list(table["value"]) == [1.0, 3.0]
        assert table["start"].dt.to_pydatetime().tolist() == [NOW + 10 * MINUTE, NOW + 15 * MINUTE]
        assert list(table["end"].isna()) == [False, True]
        assert str(table.dtypes["end"]).endswith("UTC]")


def _open() -> Signal:
    return Signal(signal_name="SIMPLE", signal_type="level", signal_id="s", intervals=(Interval(timedelta(0), 3.0),))


def test_without_pandas_one_is_told_what_to_do(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match=r"pip install 'pyopenadr\[pandas\]'"):
        client_of(ScriptedVtn(), clock).timeline_frame(NOW)
