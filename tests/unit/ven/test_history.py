"""What was measured is kept for a while, in memory and in the state file alike, and the VTN can ask for it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError, StoreError
from pyopenadr.model import Reading
from pyopenadr.ven import RECORDED, OpenADRClient
from pyopenadr.ven.history import History
from pyopenadr.ven.state import Ledger, MemoryLedger
from pyopenadr.ven.statefile import MIGRATIONS, FileLedger
from tests.unit.ven.scripted import NOW, ScriptedVtn, client_of, problems, running, threads
from tests.unit.ven.test_report import asked, create, offsets, periodic, piggyback, readings

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture(params=["memory", "file"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    made: Ledger = MemoryLedger() if request.param == "memory" else FileLedger(str(tmp_path / "ven.db"), pytest.fail)
    yield made
    await made.close()


def history(ledger: Ledger, clock: FakeClock, age: timedelta = DAY, most: int = 1000) -> History:
    return History(ledger, clock, age=age, most=most)


def at(seconds: float, value: float = 1.0, r_id: str = "p") -> Reading:
    return Reading(r_id=r_id, start=NOW + seconds * SECOND, value=value)


# -- the store -------------------------------------------------------------------------------------------------------


async def test_readings_are_found_by_time(ledger: Ledger, clock: FakeClock) -> None:
    kept = history(ledger, clock)
    for seconds in (30, 10, 20):
        kept.add(at(seconds, seconds))
    kept.add(at(20, 5, "other"))
    assert await kept.between("p", NOW + 10 * SECOND, NOW + 30 * SECOND) == [at(10, 10), at(20, 20)]
    assert await kept.between("p", NOW, NOW + HOUR, 2) == [at(10, 10), at(20, 20)]
    assert await kept.between("nobody", NOW, NOW + HOUR) == []
    assert await kept.before("p", NOW + 30 * SECOND) == at(20, 20)
    assert await kept.before("p", NOW + 10 * SECOND) is None


async def test_a_reading_of_the_same_time_takes_the_place(ledger: Ledger, clock: FakeClock) -> None:
    kept = history(ledger, clock)
    kept.add(at(1, 1))
    await ledger.kept()
    kept.add(at(1, 2))
    assert await kept.between("p", NOW, NOW + HOUR) == [at(1, 2)]


async def test_old_ones_go_but_for_the_last_hundred(ledger: Ledger, clock: FakeClock) -> None:
    """2.0b rule 510: at least 100 points, however old."""
    kept = history(ledger, clock, age=HOUR)
    for number in range(150):
        kept.add(at(number))
    await clock.advance(timedelta(days=40))
    for number in range(150, 201):  # the 201st is the one at which it is looked after
        kept.add(at(number))
    found = await kept.between("p", NOW, NOW + DAY)
    assert [offsets([reading])[0] for reading in found] == list(range(101, 201))


async def test_there_are_never_too_many(ledger: Ledger, clock: FakeClock) -> None:
    kept = history(ledger, clock, most=120)
    for number in range(401):
        kept.add(at(number))
    assert len(await kept.between("p", NOW, NOW + DAY)) == 120


async def test_what_is_young_stays(ledger: Ledger, clock: FakeClock) -> None:
    kept = history(ledger, clock, age=DAY, most=100_000)
    for number in range(501):
        kept.add(at(number))
    assert len(await kept.between("p", NOW, NOW + DAY)) == 501


async def test_an_older_state_file_gets_the_history_too(tmp_path: Path) -> None:
    path = str(tmp_path / "ven.db")
    ledger = FileLedger(path, pytest.fail)
    await ledger.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE record")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    ledger = FileLedger(path, pytest.fail)
    ledger.record("p", NOW, at(0))
    assert await ledger.recorded("p", NOW, NOW + SECOND, Reading, 10) == [at(0)]
    await ledger.close()
    assert len(MIGRATIONS) == 2


async def test_what_can_not_be_written_is_still_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[str] = []
    ledger = FileLedger(str(tmp_path / "ven.db"), complaints.append)
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "_write", lambda batch: sqlite3.OperationalError("disk full"))
        ledger.record("p", NOW, at(0))
        assert await ledger.recorded("p", NOW, NOW + SECOND, Reading, 10) == [at(0)]
        assert await ledger.recorded_before("p", NOW + SECOND, Reading) == at(0)
        assert "disk full" in complaints[0]
    await ledger.close()


async def test_a_file_that_can_not_be_read_is_a_store_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = FileLedger(str(tmp_path / "ven.db"), pytest.fail)
    ledger.release()
    monkeypatch.setattr(
        "pyopenadr.ven.statefile._connected", lambda path: sqlite3.connect(":memory:", check_same_thread=False)
    )
    with pytest.raises(StoreError, match="can't be read"):
        await ledger.recorded("p", NOW, NOW + SECOND, Reading, 10)
    ledger.release()


# -- the client ------------------------------------------------------------------------------------------------------


async def value(r_id: str) -> float:
    return 5.0


def declared(vtn: ScriptedVtn, clock: FakeClock, **settings: Any) -> OpenADRClient:
    client = client_of(vtn, clock, **settings)
    client.add_report(reading="powerReal", unit="kW", r_id="p", report_specifier_id="now", source=value)
    client.add_report("HISTORY_USAGE", reading="powerReal", unit="kW", r_id="p", report_specifier_id="spec")
    return client


async def test_the_vtn_gets_what_was_measured_out_of_the_clients_own_history(clock: FakeClock) -> None:
    vtn = ScriptedVtn()
    piggyback(vtn, periodic("p", every=MINUTE, back=10 * MINUTE, report_specifier_id="now"))
    async with running(declared(vtn, clock), clock):
        await clock.advance(305)
        vtn.queue.append(create(asked("p", name="past", start=NOW + MINUTE, duration=3 * MINUTE)))
        await clock.advance(10)
        (found,) = readings(vtn)
        assert [(reading.start - NOW, reading.value) for reading in found] == [(n * MINUTE, 5.0) for n in (1, 2, 3)]


async def test_a_history_of_nothing_says_so(clock: FakeClock) -> None:
    vtn = ScriptedVtn()
    piggyback(vtn, asked("p", start=NOW - HOUR, duration=HOUR))
    async with running(declared(vtn, clock), clock):
        ((reading,),) = readings(vtn)
        assert (reading.start, reading.quality) == (NOW - HOUR, "Quality Bad - Non Specific")


async def test_the_history_outlives_a_restart_and_the_registration(clock: FakeClock, tmp_path: Path) -> None:
    vtn = ScriptedVtn()
    client = client_of(vtn, clock, state=tmp_path / "ven.db")
    client.add_report(reading="powerReal", unit="kW", r_id="p", source=RECORDED)
    client.record("p", 1.5)
    client.record("p", 2.5, NOW - HOUR)
    await client.create_party_registration()
    await client.cancel_party_registration()
    await client.close()
    vtn = ScriptedVtn()
    piggyback(vtn, asked("p", start=NOW - DAY, duration=2 * DAY))
    client = declared(vtn, clock, state=tmp_path / "ven.db")
    assert await client.history("p", NOW - DAY) == [at(-3600, 2.5), at(0, 1.5)]
    async with running(client, clock):
        await threads(clock, lambda: bool(readings(vtn)))  # the file is read in one
        ((first, second),) = readings(vtn)
        assert (first.value, second.value) == (2.5, 1.5)
    await client.close()


async def test_a_history_that_is_too_long_for_a_message_is_cut(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("pyopenadr.ven.sampler.MOST_PAST", 3)
    vtn = ScriptedVtn()
    client = declared(vtn, clock)
    for number in range(5):
        client.record("p", number, NOW - DAY + number * MINUTE)
    piggyback(vtn, asked("p", start=NOW - DAY, duration=DAY))
    async with running(client, clock):
        (found,) = readings(vtn)
        assert [reading.value for reading in found] == [0.0, 1.0, 2.0]


async def test_values_may_be_recorded_in_another_thread(clock: FakeClock) -> None:
    client = client_of(ScriptedVtn(), clock)
    client.add_report(reading="powerReal", r_id="p", source=RECORDED)
    async with running(client, clock):
        await asyncio.to_thread(client.record, "p", 3.0)
        assert await client.history("p", NOW) == [at(0, 3.0)]


@pytest.mark.parametrize(
    ("r_id", "wrong", "problem"),
    [
        ("q", 1.0, "no report has a data point 'q'"),
        ("p", "1.0", "give a number"),
        ("p", float("nan"), "no number"),
        ("p", True, "give a number"),
    ],
)
def test_what_is_no_value_is_refused(r_id: str, wrong: Any, problem: str) -> None:
    client = client_of(ScriptedVtn(), FakeClock(NOW))
    client.add_report(reading="powerReal", r_id="p", source=RECORDED)
    with pytest.raises(ConfigError, match=problem):
        client.record(r_id, wrong)


def test_a_value_without_a_time_zone_is_refused() -> None:
    client = client_of(ScriptedVtn(), FakeClock(NOW))
    client.add_report(reading="powerReal", r_id="p", source=RECORDED)
    with pytest.raises(ConfigError, match="no time zone"):
        client.record("p", 1.0, NOW.replace(tzinfo=None))


def test_a_history_shorter_than_the_standards_is_refused() -> None:
    with pytest.raises(ConfigError, match="rule 510"):
        client_of(ScriptedVtn(), most_history=99)


async def test_a_history_that_can_not_be_read_harms_nothing_else(
    clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> list[Reading]:
        raise StoreError("no disk")

    vtn = ScriptedVtn()
    piggyback(vtn, asked("p", start=NOW - DAY, duration=DAY))
    client = declared(vtn, clock)
    monkeypatch.setattr(client._parts.history, "between", broken)
    async with running(client, clock):
        ((reading,),) = readings(vtn)
        assert reading.quality == "Quality Bad - Non Specific"
        assert any("no disk" in text for text in problems(caplog.records))
