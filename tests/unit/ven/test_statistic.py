"""One value for each interval, made of many samples."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError, TransportError
from pyopenadr.model import DataPoint, Reading, ResourceStatus, Unit
from pyopenadr.v2 import wire
from pyopenadr.ven import RECORDED, OpenADRClient, data_point
from pyopenadr.ven.state import MemoryLedger
from pyopenadr.ven.statistic import UNCERTAIN, Statistic, condensed
from tests.unit.ven.scripted import NOW, ScriptedVtn, client_of, running
from tests.unit.ven.test_report import asked, create, offsets, periodic, piggyback, readings

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
POWER = DataPoint(r_id="p", unit=Unit(name="powerReal", hertz=50.0, voltage=230.0, ac=True))
MEAN = DataPoint(r_id="p", reading_type="Mean")
ENERGY = DataPoint(r_id="p", unit=Unit(name="energyReal"))
BAD = "Quality Bad - Sensor Failure"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def vtn() -> ScriptedVtn:
    return ScriptedVtn()


def at(seconds: float, value: float, quality: str | None = None) -> Reading:
    return Reading(r_id="p", start=NOW + seconds * SECOND, value=value, quality=quality)


def made(
    statistic: Statistic,
    *samples: Reading,
    former: Reading | None = None,
    hold: float | None = None,
    point: DataPoint = MEAN,
) -> Any:
    """Value, quality and confidence of the interval of a minute from NOW."""
    reading = condensed(
        point,
        statistic,
        samples,
        former,
        start=NOW,
        end=NOW + MINUTE,
        hold=hold * SECOND if hold is not None else None,
    )
    return (reading.value, reading.quality, reading.confidence) if reading is not None else None


FOUR = [at(0, 1.0), at(15, 2.0), at(30, 6.0), at(45, 3.0)]


@pytest.mark.parametrize(
    ("statistic", "value"), [("mean", 3.0), ("min", 1.0), ("max", 6.0), ("last", 3.0), ("sum", 12.0), ("energy", 0.05)]
)
def test_each_statistic(statistic: str, value: float) -> None:
    assert made(Statistic(statistic), *FOUR) == (pytest.approx(value), None, None)


def test_a_mean_is_over_time_and_not_over_samples() -> None:
    assert made(Statistic.MEAN, at(30, 4.0), at(31, 4.0), former=at(-100, 2.0)) == (3.0, None, None)


def test_a_value_holds_until_the_next_one() -> None:
    assert made(Statistic.ENERGY, former=at(-3000, 60.0)) == (1.0, "No New Value - Previous Value Used", None)
    assert made(Statistic.LAST, former=at(-3000, 60.0)) == (60.0, "No New Value - Previous Value Used", None)


def test_but_not_longer_than_samples_are_apart() -> None:
    assert made(Statistic.MEAN, former=at(-3000, 60.0), hold=20) is None
    assert made(Statistic.LAST, former=at(-3000, 60.0), hold=20) is None
    assert made(Statistic.MEAN, at(0, 1.0), at(10, 3.0), hold=20) == (pytest.approx(70 / 30), UNCERTAIN, 50)


def test_failures_count_for_nothing() -> None:
    assert made(Statistic.MEAN, at(0, 1.0), at(30, 0.0, BAD)) == (1.0, UNCERTAIN, 50)
    assert made(Statistic.SUM, at(0, 1.0), at(30, 7.0, BAD)) == (1.0, None, None)
    assert made(Statistic.LAST, at(0, 1.0), at(30, 0.0, BAD)) == (1.0, None, None)
    for statistic in Statistic:
        assert made(statistic, at(0, 0.0, BAD), former=at(-1, 9.0), hold=1) is None
    assert made(Statistic.LAST, former=at(-1, 9.0, BAD)) is None


def test_nothing_comes_of_nothing() -> None:
    for statistic in Statistic:
        assert made(statistic) is None


def test_a_mean_has_a_duration_and_a_last_value_its_own_time() -> None:
    mean = condensed(MEAN, Statistic.MEAN, FOUR, None, start=NOW, end=NOW + MINUTE, hold=None)
    assert mean is not None
    assert (mean.start, mean.duration) == (NOW, MINUTE)
    last = condensed(POWER, Statistic.LAST, FOUR, None, start=NOW, end=NOW + MINUTE, hold=None)
    assert last is not None
    assert (last.start, last.duration) == (NOW + 45 * SECOND, None)
    energy = condensed(ENERGY, Statistic.LAST, FOUR, None, start=NOW, end=NOW + MINUTE, hold=None)
    assert energy is not None
    assert (energy.start, energy.duration, energy.value) == (NOW, MINUTE, 3.0)


# -- the client ------------------------------------------------------------------------------------------------------


def sampling(vtn: ScriptedVtn, clock: FakeClock, **settings: Any) -> OpenADRClient:
    """A client that reads its meter every ten seconds; the meter shows the seconds since NOW."""
    client = client_of(vtn, clock, **settings)

    async def meter() -> float:
        return (clock.now() - NOW).total_seconds()

    client.add_report(
        points=[
            data_point("powerReal", unit="kW", r_id="p"),
            data_point("powerReal", unit="kW", r_id="mean", reading_type="Mean"),
            data_point("powerReal", unit="kW", r_id="peak", reading_type="Peak"),
            data_point("energyReal", unit="kWh", r_id="energy"),
        ],
        report_specifier_id="spec",
        source={"p": meter, "mean": meter, "peak": meter, "energy": meter},
        sample_every=10,
        statistic={"energy": "energy"},
    )
    return client


async def test_samples_become_intervals_and_intervals_reports(vtn: ScriptedVtn, clock: FakeClock) -> None:
    """Granularity a minute, sent every five, sampled every ten seconds."""
    piggyback(vtn, periodic("p", "mean", "peak", "energy", every=MINUTE, back=5 * MINUTE))
    async with running(sampling(vtn, clock), clock):
        await clock.advance(299)
        assert readings(vtn) == []
        await clock.advance(302)
        first, second = readings(vtn)
        assert (len(first), len(second)) == (20, 20)
        by_id = {r_id: [it for it in first if it.r_id == r_id] for r_id in ("p", "mean", "peak", "energy")}
        assert [(it.start - NOW, it.value) for it in by_id["p"]] == [
            (timedelta(seconds=60 * n + 50), 60.0 * n + 50) for n in range(5)
        ]
        assert [(it.start - NOW, it.duration, it.value) for it in by_id["mean"]] == [
            (n * MINUTE, MINUTE, 60.0 * n + 25) for n in range(5)
        ]
        assert [it.value for it in by_id["peak"]] == [60.0 * n + 50 for n in range(5)]
        assert [it.value for it in by_id["energy"]] == [pytest.approx((60.0 * n + 25) / 60) for n in range(5)]
        assert {it.quality for it in first + second} == {None}


async def test_it_is_sampled_before_anybody_asks_so_a_single_report_is_there_at_once(
    vtn: ScriptedVtn, clock: FakeClock
) -> None:
    """2.0b rule 337."""
    async with running(sampling(vtn, clock), clock):
        await clock.advance(65)
        vtn.queue.append(create(asked("p", "mean", granularity=MINUTE)))
        await clock.advance(5)
        (found,) = readings(vtn)
        values = {it.r_id: (it.start - NOW, it.duration, it.value) for it in found}
        # The request is fetched at 70, before what is measured at that very instant.
        assert values["p"] == (60 * SECOND, None, 60.0)
        assert values["mean"] == (10 * SECOND, MINUTE, 35.0)


async def test_a_restart_loses_no_interval(vtn: ScriptedVtn, clock: FakeClock) -> None:
    """What was sampled before is reported after it; only the time in between is missing."""
    ledger = MemoryLedger()
    piggyback(vtn, periodic("mean", every=MINUTE, back=5 * MINUTE))
    async with running(sampling(vtn, clock, state=ledger), clock):
        await clock.advance(275)
    await clock.advance(1000)
    vtn.rules.clear()
    async with running(sampling(vtn, clock, state=ledger), clock):
        await clock.advance(400)
        found = [it for some in readings(vtn) for it in some]
        starts = offsets(found)
        assert starts == sorted(set(starts))
        assert [start for start in starts if start < 275] == [0.0, 60.0, 120.0, 180.0, 240.0]
        assert [start for start in starts if 300 <= start < 1260] == []
        assert max(starts) >= 1320
        partial = {offset: it for offset, it in zip(starts, found, strict=True) if it.quality is not None}
        assert partial[240.0].quality == UNCERTAIN


async def test_a_sample_that_fails_is_missing_in_the_mean_and_makes_it_uncertain(
    vtn: ScriptedVtn, clock: FakeClock
) -> None:
    calls = 0

    async def meter() -> float | None:
        nonlocal calls
        calls += 1
        return None if calls % 6 in (2, 3, 4) else 8.0

    client = client_of(vtn, clock)
    client.add_report(
        reading="powerReal", r_id="p", reading_type="Mean", report_specifier_id="spec", source=meter, sample_every=10
    )
    piggyback(vtn, periodic("p", every=MINUTE, back=MINUTE))
    async with running(client, clock):
        await clock.advance(61)
        ((reading,),) = readings(vtn)
        assert (reading.value, reading.quality, reading.confidence) == (8.0, UNCERTAIN, 50)


# -- recorded values -------------------------------------------------------------------------------------------------


def recorded(vtn: ScriptedVtn, clock: FakeClock, **words: Any) -> OpenADRClient:
    client = client_of(vtn, clock)
    client.add_report(**({"reading": "powerReal", "r_id": "p", "report_specifier_id": "spec"} | words), source=RECORDED)
    return client


async def test_pushed_values_are_reported_with_their_own_time(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic("p", every=MINUTE, back=3 * MINUTE))
    async with running(recorded(vtn, clock), clock) as client:
        client.record("p", 1.0)
        await clock.advance(20)
        client.record("p", 2.0)
        await clock.advance(50)
        client.record("p", 3.0, NOW + 65 * SECOND)
        await clock.advance(120)
        (found,) = readings(vtn)
        assert [(offsets([it])[0], it.value, it.quality) for it in found] == [
            (20.0, 2.0, None),
            (65.0, 3.0, None),
            (180.0, 3.0, "No New Value - Previous Value Used"),
        ]


async def test_pushed_values_have_statistics_too(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic("p", every=MINUTE, back=MINUTE))
    async with running(recorded(vtn, clock, reading_type="Mean"), clock) as client:
        client.record("p", 1.0)
        await clock.advance(45)
        client.record("p", 5.0)
        await clock.advance(16)
        ((reading,),) = readings(vtn)
        assert (reading.value, reading.duration) == (2.0, MINUTE)


async def test_what_changes_is_reported_when_only_changes_are_wanted(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic("p", every=timedelta(0), back=MINUTE))
    async with running(recorded(vtn, clock, sampling=(5, 3600), on_change=True), clock) as client:
        client.record("p", 1.0)
        await clock.advance(12)
        client.record("p", 1.0)
        await clock.advance(10)
        client.record("p", 2.0, NOW + 21 * SECOND)
        await clock.advance(40)
        found = readings(vtn)[0]
        assert [(offsets([it])[0], it.value) for it in found if it.quality is None] == [(0.0, 1.0), (21.0, 2.0)]


async def test_a_status_can_be_pushed(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, asked("p"))
    client = recorded(vtn, clock, reading="status")
    client.record("p", ResourceStatus(online=True, manual_override=True))
    async with running(client, clock):
        ((reading,),) = readings(vtn)
        assert reading.value == ResourceStatus(online=True, manual_override=True)


async def test_the_last_report_holds_what_was_not_sent(vtn: ScriptedVtn, clock: FakeClock) -> None:
    """2.0b rule 345."""
    piggyback(vtn, periodic("p", every=MINUTE, back=30 * MINUTE))
    async with running(recorded(vtn, clock), clock) as client:
        for _ in range(3):
            client.record("p", 1.0)
            await clock.advance(60)
        vtn.queue.append(wire.OadrCancelReport(request_id="c", report_request_id=("rr",), report_to_follow=True))
        await clock.advance(10)
        (found,) = readings(vtn)
        assert offsets(found)[:3] == [0.0, 60.0, 120.0]
        assert not client.report_requests


async def test_nothing_pushed_is_lost_while_the_vtn_is_away(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic("p", every=MINUTE, back=MINUTE))
    async with running(recorded(vtn, clock), clock) as client:
        vtn.rules[wire.OadrUpdateReport] = lambda _: TransportError("away")
        for number in range(10):
            client.record("p", number)
            await clock.advance(60)
        vtn.log.clear()
        del vtn.rules[wire.OadrUpdateReport]
        await clock.advance(120)
        found = [it for some in readings(vtn) for it in some]
        measured = {it.start: it.value for it in found if it.quality is None}
        assert list(measured.items()) == [(NOW + n * MINUTE, float(n)) for n in range(10)]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({"statistic": "median"}, "there is no statistic 'median'"),
        ({"statistic": "mean", "reading_type": "Mean"}, "say how often"),
        ({"sample_every": 0, "source": len}, "must be positive"),
        ({"sample_every": 5}, "functions of no time"),
        ({"sample_every": 5, "source": RECORDED}, "functions of no time"),
        ({"sample_every": 5, "source": len, "statistic": "mean"}, 'reading_type="Mean"'),
        ({"sample_every": 5, "source": len, "statistic": "energy"}, "no statistic of powerReal"),
        ({"sample_every": 5, "source": len, "statistic": {"q": "max"}}, "names q"),
        ({"sample_every": 5, "source": len, "statistic": "max", "reading": "status"}, "of which there is no max"),
        ({"source": {"q": len}}, "one for each of powerReal"),
    ],
)
def test_nonsense_is_refused(words: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        client_of(ScriptedVtn()).add_report(**({"reading": "powerReal"} | words))
