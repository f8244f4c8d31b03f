"""Reports by rule, and what is done with readings: found, added up, filled up, exported, forgotten."""

from __future__ import annotations

import csv
import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pyopenadr.errors import ConfigError, LocalProtocolError
from pyopenadr.model import Reading, ReportRule, ResourceStatus
from pyopenadr.store import Store
from pyopenadr.store.port import StoredReading
from pyopenadr.v2 import wire
from pyopenadr.vtn import export
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.vtn.sample import (
    HOUR,
    MINUTE,
    NOW,
    SECOND,
    Ven,
    again,
    clock_of,
    data,
    event,
    eventually,
    metadata,
    running,
    server,
)

EACH_5: dict[str, Any] = {"granularity": MINUTE, "report_back_duration": 5 * MINUTE}
METER = "rule:r1:telemetry"


async def joined(vtn: OpenADRServer, *names: str) -> list[Ven]:
    """VENs with the IDs that they are called by, that have said what they can report."""
    vens = []
    for name in names:
        ven = Ven(vtn, name)
        await ven.register(name, ven_id=name)
        await ven.take_offer()
        await ven.register_reports()
        vens.append(ven)
    return vens


async def requested(vtn: OpenADRServer, ven_id: str) -> list[str]:
    return [stored.request.report_request_id for stored in await vtn.report_requests(ven_id)]


def history(*r_ids: str) -> wire.OadrReport:
    return msgspec.structs.replace(metadata("history", *r_ids), report_name="METADATA_HISTORY_USAGE")


def in_report(report: wire.OadrReport, resource_id: str) -> wire.OadrReport:
    """The report with its points being those of one resource."""
    source = wire.EiTarget(resource_id=(resource_id,))
    points = tuple(msgspec.structs.replace(p, report_data_source=source) for p in report.report_descriptions)
    return msgspec.structs.replace(report, report_descriptions=points)


# --- rules ------------------------------------------------------------------------------------------------------------


async def test_a_rule_asks_the_members_of_a_group_now_and_later(store: Store | str) -> None:
    vtn = server(store)
    one, _two = await joined(vtn, "one", "two")
    await vtn.add_group("g", ven_ids=["one", "three"])
    await vtn.add_report_rule(rule_id="r1", group_id="g", r_ids=("power",), **EACH_5)
    assert [await requested(vtn, ven_id) for ven_id in ("one", "two")] == [[METER], []]
    asked = await one.poll(wire.OadrCreateReport)
    [request] = asked.report_requests
    specifier = request.report_specifier
    assert (specifier.granularity, specifier.report_back_duration) == (MINUTE, 5 * MINUTE)
    assert [payload.r_id for payload in specifier.specifier_payloads] == ["power"]
    await one.created_report(asked.request_id, METER)
    vtn = await again(vtn, store)
    one.vtn = vtn
    three = Ven(vtn)
    await three.register("three", ven_id="three")
    reply = await three.register_reports(metadata("telemetry", "power", "voltage"))  # asked for in the reply itself
    assert [request.report_request_id for request in reply.report_requests] == [METER]
    await vtn.add_to_group("g", ven_ids=["two"])
    assert await requested(vtn, "two") == [METER]
    await vtn.remove_from_group("g", ven_ids=["one"])
    assert await requested(vtn, "one") == []
    assert (await one.poll(wire.OadrCancelReport)).report_request_id == (METER,)
    again_asked = await one.register_reports()
    assert again_asked.report_requests == ()
    assert [await vtn.remove_report_rule("r1"), await vtn.remove_report_rule("r1")] == [True, False]
    assert await requested(vtn, "two") == []
    await vtn.stop()


async def test_a_group_that_goes_takes_its_requests_along_and_requests_by_hand_stay() -> None:
    async with running() as vtn:
        await joined(vtn, "one")
        by_hand = await vtn.request_report("one", report_specifier_id="telemetry")
        await vtn.add_report_rule(ReportRule(rule_id="r1", group_id="g", **EACH_5))
        await vtn.add_group("g", ven_ids=["one"])
        assert await requested(vtn, "one") == [by_hand.report_request_id, METER]
        await vtn.remove_group("g")
        assert await requested(vtn, "one") == [by_hand.report_request_id]


async def test_a_changed_rule_is_asked_anew_and_an_unchanged_one_is_not() -> None:
    async with running() as vtn:
        [ven] = await joined(vtn, "one")
        rule = await vtn.add_report_rule(rule_id="r1", **EACH_5)
        [before] = await vtn.report_requests("one")
        await clock_of(vtn).advance(60)
        await vtn.add_report_rule(rule)
        assert await vtn.report_requests("one") == [before]
        await vtn.add_report_rule(rule_id="r1", granularity=MINUTE, report_back_duration=10 * MINUTE)
        [after] = await vtn.report_requests("one")
        assert after.request.report_back_duration == 10 * MINUTE
        assert [rule.report_back_duration for rule in await vtn.report_rules()] == [10 * MINUTE]
        await vtn.add_report_rule(rule_id="r1", ven_ids=["two"], **EACH_5)
        assert await vtn.report_requests("one") == []
        assert ven.ven_id == "one"


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, True),
        ({"report_name": None}, True),
        ({"report_name": "HISTORY_USAGE"}, False),
        ({"report_specifier_id": "telemetry"}, True),
        ({"report_specifier_id": "other"}, False),
        ({"r_ids": ("power", "other")}, True),
        ({"r_ids": ("other",)}, False),
        ({"report_type": "usage"}, True),
        ({"report_type": "demand"}, False),
        ({"ven_ids": ("one",)}, True),
        ({"ven_ids": ("two",)}, False),
        ({"group_id": "none"}, False),
    ],
)
async def test_what_a_rule_asks_for(fields: dict[str, Any], asked: bool) -> None:
    async with running() as vtn:
        await joined(vtn, "one")
        await vtn.add_report_rule(rule_id="r1", **EACH_5, **fields)
        assert await requested(vtn, "one") == ([METER] if asked else [])


async def test_what_a_ven_can_not_do_is_not_asked_of_it(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as vtn:
        [ven] = await joined(vtn, "one")
        too_fast: dict[str, Any] = {"granularity": timedelta(seconds=1), "report_back_duration": MINUTE}
        with caplog.at_level(logging.WARNING):
            await vtn.add_report_rule(rule_id="r1", **too_fast)
        assert "VEN one can't do what a rule asks" in caplog.text
        assert (await ven.register_reports()).report_requests == ()
        assert await requested(vtn, "one") == []


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"rule_id": "", **EACH_5},
        {"rule_id": "a:b", **EACH_5},
        {"rule_id": "r1"},
        {"rule_id": "r1", "colour": "red", **EACH_5},
        {"rule_id": "r1", "report_back_duration": -MINUTE},
        {"rule_id": "r1", "report_back_duration": "often"},
    ],
)
async def test_a_wrong_rule_is_refused(fields: dict[str, Any]) -> None:
    async with running() as vtn:
        with pytest.raises(ConfigError, match="rule"):
            await vtn.add_report_rule(**fields)
        assert await vtn.report_rules() == []


# --- readings of many VENs --------------------------------------------------------------------------------------------


async def filled(vtn: OpenADRServer) -> None:
    """Three VENs with readings; the car of `two` is measured by itself."""
    one, two, three = await joined(vtn, "one", "two", "three")
    await two.register_reports(in_report(metadata("telemetry", "car"), "car"), metadata("whole", "power"))
    await vtn.add_report_rule(rule_id="r1", **EACH_5)
    await one.update_report(data(METER, 1.0, 2.0, 3.0))
    await two.update_report(data(METER, 10.0, 20.0, r_id="car"), data("rule:r1:whole", 100.0, specifier="whole"))
    await three.update_report(data(METER, 1000.0))
    await vtn.add_group("g", ven_ids=["one"], resources=[("two", "car")])


async def values(vtn: OpenADRServer, **filters: Any) -> list[float]:
    return [stored.reading.value for stored in (await vtn.find_readings(**filters)).readings]  # type: ignore[misc]


async def test_readings_are_found_by_ven_group_resource_report_and_time(store: Store | str) -> None:
    vtn = server(store)
    await filled(vtn)
    vtn = await again(vtn, store)
    assert await values(vtn) == [1.0, 2.0, 3.0, 1000.0, 10.0, 100.0, 20.0]
    assert await values(vtn, ven_ids="one") == [1.0, 2.0, 3.0]
    assert await values(vtn, group_id="g") == [1.0, 2.0, 3.0, 10.0, 20.0]
    assert await values(vtn, group_id="g", ven_ids=["two", "three"]) == [10.0, 20.0]
    assert await values(vtn, resource_id="car") == [10.0, 20.0]
    assert await values(vtn, group_id="g", resource_id="boiler") == []
    assert await values(vtn, r_id="power", report_specifier_id="telemetry") == [1.0, 2.0, 3.0, 1000.0]
    assert await values(vtn, start=SECOND + MINUTE, end=SECOND + 2 * MINUTE) == [2.0, 20.0]
    with pytest.raises(LocalProtocolError, match="no group 'x'"):
        await vtn.find_readings(group_id="x")
    await vtn.stop()


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("filters", [{}, {"group_id": "g"}, {"r_id": "power"}])
async def test_pages_hold_everything_once(limit: int, filters: dict[str, Any]) -> None:
    async with running() as vtn:
        await filled(vtn)
        everything = (await vtn.find_readings(**filters)).readings
        found: list[StoredReading] = []
        after = None
        while True:
            page = await vtn.find_readings(limit=limit, after=after, **filters)
            assert len(page.readings) <= limit
            found += page.readings
            after = page.after
            if after is None:
                break
        assert tuple(found) == everything


@pytest.mark.parametrize(
    "filters", [{"limit": 0}, {"after": "x"}, {"after": "äöü"}, {"colour": "red"}, {"ven_ids": []}, {"after": "W10="}]
)
async def test_a_wrong_question_is_refused(filters: dict[str, Any]) -> None:
    async with running() as vtn:
        with pytest.raises(ConfigError):
            await vtn.find_readings(**filters)


async def test_sums_over_a_group_are_in_unscaled_units() -> None:
    async with running() as vtn:
        await filled(vtn)
        totals = await vtn.sum_readings(MINUTE, group_id="g")
        assert [(total.start, total.value, total.vens, total.unit) for total in totals] == [
            (SECOND, 11_000.0, 2, "powerReal"),
            (SECOND + MINUTE, 22_000.0, 2, "powerReal"),
            (SECOND + 2 * MINUTE, 3000.0, 1, "powerReal"),
        ]
        [hour] = await vtn.sum_readings(HOUR, ven_ids=["one"])
        assert (hour.value, hour.points) == (2000.0, 1)


# --- export -----------------------------------------------------------------------------------------------------------


async def test_csv_has_a_line_for_each_reading(tmp_path: Path) -> None:
    async with running() as vtn:
        await filled(vtn)
        assert await vtn.export_readings(tmp_path / "out.csv", group_id="g") == 5
        with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        assert [(line["ven_id"], line["value"]) for line in lines[2:4]] == [("one", "3.0"), ("two", "10.0")]
        assert list(lines[0]) == list(export.COLUMNS)
        assert (lines[0]["start"], lines[0]["unit"], lines[0]["quality"]) == ("2030-06-01T10:00:00+00:00", "kW", "")
        with pytest.raises(ConfigError, match=r"neither \.csv nor \.parquet"):
            await vtn.export_readings(tmp_path / "out.xls")


async def test_parquet_and_pandas_have_the_same_lines(tmp_path: Path) -> None:
    import pandas

    async with running() as vtn:
        await filled(vtn)
        frame = await vtn.frame(r_id="power")
        assert frame["value"].tolist() == [1.0, 2.0, 3.0, 1000.0, 100.0]
        assert str(frame["start"].dt.tz) == "UTC"
        assert await vtn.export_readings(tmp_path / "out.parquet", r_id="power") == 5
        read = pandas.read_parquet(tmp_path / "out.parquet")
        assert read["value"].tolist() == frame["value"].tolist()
        assert list(read.columns) == list(frame.columns) == list(export.COLUMNS)
        assert (await vtn.frame(ven_ids="nobody")).empty


def test_every_kind_of_reading_is_a_line() -> None:
    status = ResourceStatus(online=True, manual_override=False)
    reading = Reading(r_id="=1+1", start=NOW, value=status, duration=HOUR)
    stored = StoredReading(ven_id="v", report_specifier_id="s", report_request_id="q", reading=reading)
    line = export.line_of(stored, None)
    assert (line["value"], line["online"], line["manual_override"], line["duration_s"]) == (None, True, False, 3600.0)


def test_a_spreadsheet_takes_no_text_for_a_formula(tmp_path: Path) -> None:
    reading = Reading(r_id="=1+1", start=NOW, value=-1.0)
    stored = StoredReading(ven_id="v", report_specifier_id="s", report_request_id="q", reading=reading)
    export.write_csv([export.line_of(stored, None)], tmp_path / "x.csv")
    assert ",'=1+1," in (tmp_path / "x.csv").read_text("utf-8")
    assert ",-1.0," in (tmp_path / "x.csv").read_text("utf-8")


@pytest.mark.parametrize("package", ["pandas", "pyarrow"])
async def test_a_missing_package_is_named(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(export, "import_module", absent)
    async with running() as vtn:
        with pytest.raises(
            ConfigError, match=rf"pip install 'pyopenadr\[pa{'ndas' if package == 'pandas' else 'rquet'}\]'"
        ):
            await (vtn.frame() if package == "pandas" else vtn.export_readings(tmp_path / "x.parquet"))


# --- gaps -------------------------------------------------------------------------------------------------------------


async def test_gaps_are_found_and_what_is_only_under_way_is_none() -> None:
    async with running() as vtn:
        [ven] = await joined(vtn, "one")
        await vtn.add_report_rule(rule_id="r1", **EACH_5)
        await clock_of(vtn).advance(5 * 60)
        assert await vtn.gaps(start=SECOND) == []  # the first report may still come
        await ven.update_report(data(METER, 1.0, 1.0))
        await ven.update_report(data(METER, 1.0, start=SECOND + 4 * MINUTE))
        await clock_of(vtn).advance(10 * 60)
        inner, late = await vtn.gaps(start=SECOND)
        assert (inner.span.start, inner.span.end, inner.late) == (SECOND + 2 * MINUTE, SECOND + 4 * MINUTE, False)
        assert (late.span.start, late.late) == (SECOND + 5 * MINUTE, True)
        assert await vtn.gaps(start=SECOND, end=SECOND + 2 * MINUTE) == []


async def test_gaps_are_filled_from_the_history_that_the_ven_offers(store: Store | str) -> None:
    vtn = server(store)
    one, two = await joined(vtn, "one", "two")
    await one.register_reports(metadata(), history("power", "other"))
    await vtn.add_report_rule(rule_id="r1", **EACH_5)
    confirmed = await one.poll(wire.OadrCreateReport)
    await one.created_report(confirmed.request_id, METER)
    await clock_of(vtn).advance(15 * 60)
    for ven in (one, two):
        await ven.update_report(data(METER, 1.0, 1.0), data(METER, *[1.0] * 9, start=SECOND + 4 * MINUTE))
    assert await vtn.fill_gaps(start=SECOND) == 1
    assert await vtn.fill_gaps(start=SECOND) == 0  # it is under way
    asked = await one.poll(wire.OadrCreateReport)
    [request] = asked.report_requests
    specifier = request.report_specifier
    assert specifier.report_specifier_id == "history"
    assert [payload.r_id for payload in specifier.specifier_payloads] == ["power"]
    assert specifier.report_interval is not None
    assert (specifier.report_interval.dtstart, specifier.report_interval.duration) == (SECOND + 2 * MINUTE, 2 * MINUTE)
    vtn = await again(vtn, store)
    one.vtn = two.vtn = vtn
    await one.created_report(asked.request_id, METER, request.report_request_id)
    late = data(request.report_request_id, 7.0, 8.0, 9.0, specifier="history", start=SECOND + 2 * MINUTE)
    await one.update_report(msgspec.structs.replace(late, report_name="HISTORY_USAGE"))
    series = await values(vtn, ven_ids="one", report_specifier_id="telemetry")
    assert series == [1.0, 1.0, 7.0, 8.0, *[1.0] * 9]  # 9.0 is not taken: there was a value
    assert await values(vtn, report_specifier_id="history") == [7.0, 8.0, 9.0]
    assert await vtn.gaps(start=SECOND, ven_ids=["one"]) == []
    assert await vtn.fill_gaps(start=SECOND) == 0
    await vtn.stop()


async def test_gaps_are_filled_by_themselves_if_wanted() -> None:
    async with running(fill_gaps_every=10 * MINUTE) as vtn:
        [one] = await joined(vtn, "one")
        await one.register_reports(metadata(), history("power"))
        await vtn.add_report_rule(rule_id="r1", **EACH_5)
        await clock_of(vtn).advance(21 * 60)
        assert any(r_id.startswith("fill:telemetry:") for r_id in await requested(vtn, "one"))


# --- retention --------------------------------------------------------------------------------------------------------


async def test_what_is_old_is_forgotten(store: Store | str) -> None:
    settings: dict[str, Any] = {"keep_readings": 90 * MINUTE, "keep_events": 10 * MINUTE}
    vtn = server(store, **settings)
    [ven] = await joined(vtn, "one")
    await vtn.add_report_rule(rule_id="r1", **EACH_5)
    await ven.update_report(data(METER, 1.0), data(METER, 2.0, start=SECOND + HOUR))
    await vtn.add_event(event(start=SECOND - HOUR + MINUTE))
    await ven.answer(await ven.request_events())
    await clock_of(vtn).advance(75)

    async def is_over() -> bool:
        return await vtn.events() == []

    await eventually(is_over)
    vtn = await again(vtn, store, **settings)
    await clock_of(vtn).advance(105 * MINUTE)
    await vtn.start()

    async def is_forgotten() -> bool:
        return await values(vtn) == [2.0] and await vtn.events(include_closed=True) == []

    await eventually(is_forgotten)
    assert await vtn.answers() == []
    await vtn.forget(readings_before=vtn.clock.now())
    assert await values(vtn) == []
    await vtn.stop()


@pytest.mark.parametrize("name", ["keep_readings", "keep_events", "fill_gaps_every"])
def test_a_time_of_upkeep_is_positive(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        server(None, **{name: timedelta(0)})
