"""The rules on the contents of reports that a VTN follows, as their source and as the one who asks for them."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

import msgspec
import pytest

from pyopenadr.errors import ConfigError
from pyopenadr.model import DataPoint, Reading, Target
from pyopenadr.v2 import wire
from tests.conformance.scene import asked, create_report, offering
from tests.unit.vtn.sample import (
    HOUR,
    KILOWATT,
    MINUTE,
    SECOND,
    Ven,
    answer_to,
    clock_of,
    data,
    metadata,
    periodic,
    point,
    running,
    server,
    wanted,
)

replace = msgspec.structs.replace
ZERO = timedelta(0)


def report_of(report_request_id: str, *intervals: wire.Interval) -> wire.OadrReport:
    """A report with these intervals from now on."""
    return replace(data(report_request_id, 1.0), intervals=intervals)


def interval(value: float, **fields: object) -> wire.Interval:
    return wire.Interval(payloads=(wire.ReportPayload(r_id="power", value=value),), **fields)  # type: ignore[arg-type]


async def test_rule_302_307_343_vtn_it_says_what_its_points_are_about() -> None:
    vtn = server()
    points = [
        DataPoint(r_id="a", unit=KILOWATT, data_source=Target(resource_ids=("feeder",)), subject=("EVSE",)),
        DataPoint(r_id="b", unit=KILOWATT),
    ]
    vtn.add_report("grid", points=points, report_name="HISTORY_USAGE", source=lambda _: {"a": 1.0, "b": 2.0})
    ven = Ven(vtn)
    await ven.register()
    [report] = (await ven.poll(wire.OadrRegisterReport)).reports
    first, second = report.report_descriptions
    assert first.report_data_source == wire.EiTarget(resource_id=("feeder",))
    assert first.report_subject == wire.EiTarget(end_device_asset=("EVSE",))
    assert (second.report_data_source, second.report_subject, second.market_context) == (None, None, None)
    await vtn.stop()


async def test_rule_302_343_vtn_it_keeps_what_a_vens_points_are_about() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        report = metadata("telemetry", "power", "all")
        first, second = report.report_descriptions
        narrow = replace(first, report_data_source=wire.EiTarget(resource_id=("boiler", "pump")))
        await ven.register_reports(replace(report, report_descriptions=(narrow, second)))
        [known] = await vtn.capabilities(ven.ven_id)
        assert [it.data_source for it in known.points] == [Target(resource_ids=("boiler", "pump")), Target()]


async def test_rule_308_vtn_specifiers_and_rids_are_used_once() -> None:
    vtn = server()
    vtn.add_report("tariff", points=[point()])
    with pytest.raises(ConfigError, match="already"):
        vtn.add_report("tariff", points=[point()])
    with pytest.raises(ConfigError, match="rID of its own"):
        vtn.add_report("other", points=[point(), point()])


async def test_rule_314_315_vtn_intervals_follow_each_other_from_the_reports_start() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        request_id = await asked(vtn, ven)
        amounts = [interval(n, uid=str(n), duration=MINUTE) for n in range(3)]
        assert (await ven.update_report(report_of(request_id, *amounts))).response.response_code == "200"
        found = [(it.reading.start, it.reading.duration) for it in await vtn.readings(ven.ven_id)]
        assert found == [(SECOND + n * MINUTE, MINUTE) for n in range(3)]


async def test_rule_315_316_vtn_intervals_that_are_at_no_time_are_refused() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        request_id = await asked(vtn, ven)
        points = [interval(1.0, uid="0"), interval(2.0, uid="1")]
        assert (await ven.update_report(report_of(request_id, *points))).response.response_code.startswith("4")
        assert await vtn.readings(ven.ven_id) == []


async def test_rule_314_315_316_342_vtn_its_own_data_has_a_start_for_each_interval() -> None:
    vtn, ven = await offering()
    await create_report(ven, periodic())
    values = [Reading(r_id="price", start=SECOND + n * MINUTE, value=float(n)) for n in (2, 0, 1)]
    await vtn.publish_report("tariff", values)
    [report] = (await ven.poll(wire.OadrUpdateReport)).reports
    assert [(it.dtstart, it.duration) for it in report.intervals] == [(SECOND + n * MINUTE, None) for n in range(3)]
    assert report.dtstart == SECOND
    await vtn.stop()


async def test_rule_319_vtn_accuracy_is_kept() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        request_id = await asked(vtn, ven)
        exact = wire.Interval(
            dtstart=SECOND, payloads=(wire.ReportPayload(r_id="power", value=1.0, accuracy=0.25, confidence=99),)
        )
        await ven.update_report(report_of(request_id, exact))
        [kept] = await vtn.readings(ven.ven_id)
        assert (kept.reading.accuracy, kept.reading.confidence) == (0.25, 99)


async def test_rule_330_vtn_an_rid_is_any_text() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports(metadata("telemetry", "rid-ä 1"))
        request_id = await asked(vtn, ven, r_ids=["rid-ä 1"])
        await ven.update_report(data(request_id, 4.0, r_id="rid-ä 1"))
        assert [it.reading.r_id for it in await vtn.readings(ven.ven_id)] == ["rid-ä 1"]


async def test_rule_331_vtn_the_prefix_is_in_metadata_alone() -> None:
    vtn, ven = await offering()
    await create_report(ven, wanted("m", "METADATA"))
    assert [it.report_name for it in (await ven.take_offer()).reports] == ["METADATA_TELEMETRY_USAGE"]
    await ven.register_reports()
    assert [it.report_name for it in await vtn.capabilities(ven.ven_id)] == ["TELEMETRY_USAGE"]
    await vtn.stop()


async def test_rule_335_vtn_it_stops_reports_by_a_message_of_their_own() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        request_id = await asked(vtn, ven)
        await vtn.cancel_report(ven.ven_id, request_id, one_more=True)
        reply = await ven.update_report(data(request_id, 1.0))
        assert reply.cancel_report is None
        cancel = await ven.poll(wire.OadrCancelReport)
        assert (cancel.report_request_id, cancel.report_to_follow) == ((request_id,), True)


async def test_rule_337_vtn_a_single_report_of_its_own_is_the_next_message() -> None:
    vtn = server()
    vtn.add_report(
        "meter",
        points=[point("energy")],
        source=lambda _: [Reading(r_id="energy", start=SECOND - MINUTE, value=3.0, duration=MINUTE)],
    )
    ven = await Ven(vtn).join()
    await create_report(ven, wanted("q1", "meter", r_id="energy"))
    [report] = (await ven.poll(wire.OadrUpdateReport)).reports
    assert [(it.dtstart, it.duration) for it in report.intervals] == [(SECOND - MINUTE, MINUTE)]
    await vtn.stop()


async def test_rule_339_vtn_a_report_id_makes_no_difference() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        request_id = await asked(vtn, ven)
        for report_id, value in (("9", 1.0), ("8", 2.0)):
            report = replace(data(request_id, value), ei_report_id=report_id)
            assert (await ven.update_report(report)).response.response_code == "200"
        assert [it.reading.value for it in await vtn.readings(ven.ven_id)] == [2.0]


async def test_rule_341_vtn_a_history_is_asked_for_from_its_oldest_instant() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports(replace(metadata("past"), report_name="METADATA_HISTORY_USAGE", duration=24 * HOUR))
        await vtn.request_report(ven.ven_id, report_specifier_id="past", start=SECOND - 5 * HOUR, duration=4 * HOUR)
        [request] = (await ven.poll(wire.OadrCreateReport)).report_requests
        specifier = request.report_specifier
        assert specifier.report_interval == wire.WsCalendarInterval(dtstart=SECOND - 5 * HOUR, duration=4 * HOUR)
        assert (specifier.granularity, specifier.report_back_duration) == (ZERO, ZERO)


async def test_rule_342_vtn_points_and_amounts_are_told_apart() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        request_id = await asked(vtn, ven)
        mixed = [interval(1.0, dtstart=SECOND, duration=ZERO), interval(2.0, dtstart=SECOND, duration=MINUTE)]
        await ven.update_report(report_of(request_id, mixed[0]))
        [kept] = await vtn.readings(ven.ven_id)
        assert kept.reading.duration is None
        await ven.update_report(report_of(request_id, mixed[1]))
        assert {it.reading.duration for it in await vtn.readings(ven.ven_id)} >= {MINUTE}


async def test_rule_317_324_vtn_its_periodic_reports_come_each_time() -> None:
    vtn, ven = await offering()
    await create_report(ven, periodic(granularity=5 * MINUTE))
    starts = []
    for _ in range(3):
        await clock_of(vtn).advance(5 * MINUTE)
        message = await ven.poll(wire.OadrUpdateReport)
        starts.append(message.reports[0].dtstart)
        done = wire.OadrUpdatedReport(response=answer_to(message.request_id), ven_id=ven.ven_id)
        await ven.send("EiReport", done, wire.OadrResponse)
        assert await ven.is_idle()
    assert [after - before for before, after in pairwise(starts) if before and after] == [5 * MINUTE] * 2
    await vtn.stop()
