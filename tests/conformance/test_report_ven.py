"""The rules on reports that a VEN follows as their source, seen from outside by a VTN that plays by a script."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError, TransportError
from pyopenadr.model import DataPoint, LoadControlState, LoadControlValue, Reading, ReportRequest, ResourceStatus
from pyopenadr.v2 import wire
from pyopenadr.ven import OpenADRClient
from tests.conformance.scene import HearingVtn
from tests.unit.ven.scripted import HOUR, NOW, client_of, running
from tests.unit.ven.test_report import (
    KILOWATT,
    MINUTE,
    POWER,
    STATUS,
    TEN,
    ZERO,
    asked,
    create,
    number,
    offering,
    offsets,
    periodic,
    piggyback,
    readings,
    update,
)

METADATA = ReportRequest(report_request_id="m", report_specifier_id="METADATA", r_ids=())


def offered(vtn: HearingVtn) -> wire.OadrReport:
    """The first report of the last METADATA."""
    return vtn.last(wire.OadrRegisterReport).reports[0]


def data(vtn: HearingVtn) -> list[wire.OadrReport]:
    """All reports with data so far."""
    return [report for message in vtn.sent(wire.OadrUpdateReport) for report in message.reports]


def code(vtn: HearingVtn) -> str:
    """What was said to the last request for a report."""
    return vtn.last(wire.OadrCreatedReport).response.response_code


async def ask(vtn: HearingVtn, clock: FakeClock, *requests: ReportRequest) -> str:
    """Ask for reports with the next poll; what the VEN says to that."""
    vtn.queue.append(create(*requests))
    await clock.advance(10)
    return code(vtn)


# --- METADATA -----------------------------------------------------------------------------------------------------


async def test_rule_301_305_ven_without_reports_it_says_so(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock), clock):
        assert vtn.last(wire.OadrRegisterReport).reports == ()
        vtn.queue.append(wire.OadrRegisterReport(request_id="q"))
        assert await ask(vtn, clock, METADATA) == "200"
        assert vtn.last(wire.OadrRegisteredReport).response.response_code == "200"
        assert [message.report_request_id for message in vtn.sent(wire.OadrRegisterReport)] == [None, "m"]


async def test_rule_302_343_ven_it_says_which_resources_are_summed_up(vtn: HearingVtn, clock: FakeClock) -> None:
    client = client_of(vtn, clock)
    client.add_report(reading="powerReal", resource_id="boiler", source=number)
    client.add_report(reading="powerReal", source=number)
    async with running(client, clock):
        sources = [it.report_descriptions[0].report_data_source for it in vtn.last(wire.OadrRegisterReport).reports]
        assert sources == [wire.EiTarget(resource_id=("boiler",)), None]


async def test_rule_305_311_312_ven_metadata_describes_and_holds_no_data(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(offering(vtn, clock, number), clock):
        message, report = vtn.last(wire.OadrRegisterReport), offered(vtn)
        assert (message.report_request_id, report.report_request_id) == (None, "0")
        assert (report.dtstart, report.intervals, report.ei_report_id) == (None, (), None)
        assert report.duration == HOUR
        assert all(it.item_base is not None for it in report.report_descriptions)
        rates = [it.sampling_rate for it in report.report_descriptions]
        assert [rate is not None and rate.max_period <= HOUR for rate in rates] == [True, True]  # type: ignore[operator]
        await ask(vtn, clock, METADATA)
        assert vtn.last(wire.OadrRegisterReport).report_request_id == "m"
        assert offered(vtn).report_request_id == "0"


async def test_rule_306_ven_new_metadata_ends_what_was_asked_for(vtn: HearingVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic(every=MINUTE))
    async with running(offering(vtn, clock, number), clock) as client:
        del vtn.rules[wire.OadrRegisterReport]
        await client.register_reports()
        before = len(data(vtn))
        await clock.advance(300)
        assert len(data(vtn)) == before
        assert not client.report_requests


async def test_rule_307_ven_the_subject_is_device_classes(vtn: HearingVtn, clock: FakeClock) -> None:
    client = client_of(vtn, clock)
    client.add_report(
        points=[DataPoint(r_id="a", unit=KILOWATT, subject=("EVSE",)), DataPoint(r_id="b", unit=KILOWATT)]
    )
    async with running(client, clock):
        subjects = [it.report_subject for it in offered(vtn).report_descriptions]
        assert subjects == [wire.EiTarget(end_device_asset=("EVSE",)), None]


async def test_rule_308_ven_specifiers_and_rids_are_used_once(vtn: HearingVtn, clock: FakeClock) -> None:
    client = offering(vtn, clock, number)
    with pytest.raises(ConfigError, match="already"):
        client.add_report(points=[POWER], report_specifier_id="spec")
    with pytest.raises(ConfigError, match="only once"):
        client.add_report(points=[POWER, POWER])


async def test_rule_308_327_ven_the_rid_in_a_request_for_metadata_does_not_matter(
    vtn: HearingVtn, clock: FakeClock
) -> None:
    request = wire.ReportRequest(
        report_request_id="m",
        report_specifier=wire.ReportSpecifier(
            report_specifier_id="METADATA",
            granularity=ZERO,
            report_back_duration=ZERO,
            specifier_payloads=(wire.SpecifierPayload(r_id="whatever", reading_type="x-notApplicable"),),
        ),
    )
    async with running(offering(vtn, clock, number), clock):
        vtn.queue.append(wire.OadrCreateReport(request_id="q", report_requests=(request,)))
        await clock.advance(10)
        assert code(vtn) == "200"
        assert vtn.last(wire.OadrRegisterReport).report_request_id == "m"


async def test_rule_309_ven_metadata_comes_before_all_but_registration(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(offering(vtn, clock, number), clock):
        kinds = [message.message_type for _, message in vtn.log]
    assert kinds[:2] == ["oadrCreatePartyRegistration", "oadrRegisterReport"]
    assert "oadrPoll" in kinds[2:]


async def test_rule_330_331_ven_names_and_rids(vtn: HearingVtn, clock: FakeClock) -> None:
    client = client_of(vtn, clock)
    client.add_report(reading="powerReal", r_id="rid-ä 1", report_specifier_id="a", source=number)
    client.add_report(reading="status", report_specifier_id="b", source=number)
    client.add_report("HISTORY_USAGE", reading="energyReal", report_specifier_id="c", source=number)
    client.add_report(reading="voltage", report_specifier_id="d", source=number)
    async with running(client, clock):
        reports = vtn.last(wire.OadrRegisterReport).reports
        assert [it.report_name for it in reports] == [
            "METADATA_TELEMETRY_USAGE",
            "METADATA_TELEMETRY_STATUS",
            "METADATA_HISTORY_USAGE",
            "x-TELEMETRY_USAGE",
        ]
        assert reports[0].report_descriptions[0].r_id == "rid-ä 1"
        assert await ask(vtn, clock, asked("rid-ä 1", report_specifier_id="a")) == "200"
        assert [it.report_name for it in data(vtn)] == ["TELEMETRY_USAGE"]


async def test_rule_333_ven_telemetry_has_a_sampling_rate(vtn: HearingVtn, clock: FakeClock) -> None:
    client = client_of(vtn, clock)
    client.add_report(reading="powerReal", sampling=(10, 60), on_change=True, source=number)
    async with running(client, clock):
        (description,) = offered(vtn).report_descriptions
        assert description.sampling_rate == wire.SamplingRate(min_period=TEN, max_period=MINUTE, on_change=True)


# --- requests -----------------------------------------------------------------------------------------------------


async def test_rule_300_ven_each_report_has_all_that_was_asked_for(vtn: HearingVtn, clock: FakeClock) -> None:
    async def source(r_id: str) -> float | None:
        return None if r_id == "energy" else 5.0

    piggyback(vtn, periodic("power", "energy", every=MINUTE))
    async with running(offering(vtn, clock, source), clock):
        await clock.advance(130)
        assert len(readings(vtn)) >= 2
        assert {frozenset(it.r_id for it in found) for found in readings(vtn)} == {frozenset({"power", "energy"})}


@pytest.mark.parametrize("request_id", ["q-1", ""])
async def test_rule_303_ven_request_ids_are_echoed(vtn: HearingVtn, clock: FakeClock, request_id: str) -> None:
    vtn.queue += [
        wire.OadrRegisterReport(request_id=request_id),
        wire.OadrCreateReport(request_id=request_id, report_requests=create(periodic()).report_requests),
        update(request_id=request_id),
        wire.OadrCancelReport(request_id=request_id, report_request_id=("rr",), report_to_follow=False),
    ]
    async with running(offering(vtn, clock, number), clock):
        kinds = (wire.OadrRegisteredReport, wire.OadrCreatedReport, wire.OadrUpdatedReport, wire.OadrCanceledReport)
        assert [vtn.last(kind)["response"].request_id for kind in kinds] == [request_id] * 4


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (asked(), "200"),
        (asked(report_specifier_id="other"), "452"),
        (asked("power", "other"), "452"),
        (periodic(back=2 * HOUR), "454"),
        (periodic(every=timedelta(hours=2), back=HOUR), "454"),
        (periodic(every=ZERO), "454"),
    ],
)
async def test_rule_304_317_340_ven_what_is_not_offered_is_refused(
    vtn: HearingVtn, clock: FakeClock, request_: ReportRequest, answer: str
) -> None:
    async with running(offering(vtn, clock, number), clock):
        assert await ask(vtn, clock, request_) == answer


async def test_rule_304_ven_a_request_to_another_ven_is_refused(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(offering(vtn, clock, number), clock):
        vtn.queue.append(create(asked(), ven_id="VEN-1"))
        await clock.advance(10)
        assert code(vtn) == "452"
        assert not data(vtn)


async def test_rule_322_ven_a_request_id_in_force_is_not_used_for_another_request(
    vtn: HearingVtn, clock: FakeClock
) -> None:
    async with running(offering(vtn, clock, number), clock):
        assert await ask(vtn, clock, periodic()) == "200"
        assert await ask(vtn, clock, periodic()) == "200"  # the same once more
        assert await ask(vtn, clock, periodic("energy")) == "452"


async def test_rule_329_336_ven_all_that_is_pending_is_listed(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(offering(vtn, clock, number), clock):
        await ask(vtn, clock, periodic(name="a"))
        await ask(vtn, clock, periodic(name="b"))
        assert vtn.last(wire.OadrCreatedReport).pending_reports == ("a", "b")
        cancel = wire.OadrCancelReport(request_id="x", report_request_id=("a", "unknown"), report_to_follow=False)
        vtn.queue.append(cancel)
        await clock.advance(10)
        canceled = vtn.last(wire.OadrCanceledReport)
        assert (canceled.response.response_code, canceled.pending_reports) == ("452", ("b",))


async def test_rule_344_ven_a_request_inside_the_registered_report_is_served(vtn: HearingVtn, clock: FakeClock) -> None:
    piggyback(vtn, asked())
    async with running(offering(vtn, clock, number), clock):
        assert code(vtn) == "200"
        assert len(data(vtn)) == 1


# --- data ---------------------------------------------------------------------------------------------------------


async def test_rule_313_314_316_ven_data_says_what_and_when(vtn: HearingVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic("power", "energy"))
    async with running(offering(vtn, clock, number), clock):
        await clock.advance(61)
        report = data(vtn)[0]
    assert (report.report_name, report.report_descriptions) == ("TELEMETRY_USAGE", ())
    assert (report.report_request_id, report.report_specifier_id) == ("rr", "spec")
    starts = [it.dtstart for it in report.intervals]
    assert None not in starts
    assert report.dtstart == starts[0]
    assert starts == sorted(starts)  # type: ignore[type-var]


async def test_rule_315_342_ven_points_have_only_a_start_and_amounts_both(vtn: HearingVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic(name="p"), periodic("energy", name="e"), periodic("power", "energy", name="both"))
    async with running(offering(vtn, clock, number), clock):
        await clock.advance(65)
    durations = {it.report_request_id: {each.duration for each in it.intervals} for it in data(vtn)}
    assert durations == {"p": {None}, "e": {TEN}, "both": {ZERO, TEN}}
    assert all(it.duration is None for it in data(vtn))


async def test_rule_317_346_ven_a_report_has_as_many_intervals_as_was_asked(vtn: HearingVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic())
    async with running(offering(vtn, clock, number), clock):
        await clock.advance(3 * MINUTE + TEN)
        found = [offsets(it) for it in readings(vtn)]
    assert found == [[60.0 * n + 10 * k for k in range(6)] for n in range(3)]


async def test_rule_317_ven_on_change_only_changes_are_recorded(vtn: HearingVtn, clock: FakeClock) -> None:
    values = {"power": 1.0}

    async def source() -> dict[str, float]:
        return values

    client = client_of(vtn, clock)
    point = DataPoint(r_id="power", unit=KILOWATT, min_period=TEN, max_period=HOUR, on_change=True)
    client.add_report(points=[point], report_specifier_id="spec", source=source)
    piggyback(vtn, periodic(every=ZERO))
    async with running(client, clock):
        await clock.advance(25)
        values["power"] = 2.0
        await clock.advance(100)
        first, second = readings(vtn)
    assert [it.value for it in first] == [1.0, 2.0]
    assert [(it.value, it.quality) for it in second] == [(2.0, "No New Value - Previous Value Used")]


async def test_rule_318_319_ven_what_is_not_valid_is_marked_and_accuracy_kept(
    vtn: HearingVtn, clock: FakeClock
) -> None:
    async def source(r_id: str) -> Any:
        if r_id == "energy":
            raise OSError("unplugged")
        return Reading(r_id="power", start=clock.now(), value=5.0, accuracy=0.5, confidence=90)

    piggyback(vtn, asked("power", "energy"))
    async with running(offering(vtn, clock, source), clock):
        (found,) = readings(vtn)
    by_name = {it.r_id: it for it in found}
    assert (by_name["power"].value, by_name["power"].accuracy, by_name["power"].quality) == (5.0, 0.5, None)
    assert (by_name["energy"].quality or "").startswith("Quality Bad")
    assert by_name["energy"].accuracy is None


async def test_rule_324_ven_a_single_report_comes_at_once_and_once(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(offering(vtn, clock, number), clock) as client:
        await ask(vtn, clock, asked("power", "energy", granularity=MINUTE))
        await clock.advance(HOUR)
        (report,) = data(vtn)
        for r_id in ("power", "energy"):
            assert sum(p.r_id == r_id for it in report.intervals for p in it.payloads) == 1  # type: ignore[union-attr]
        assert not client.report_requests


async def test_rule_324_341_ven_a_history_is_of_the_time_that_was_asked_for(vtn: HearingVtn, clock: FakeClock) -> None:
    async def source(request: ReportRequest) -> list[Reading]:
        assert request.start is not None
        return [Reading(r_id="power", start=request.start + n * HOUR, value=1.0) for n in range(-1, 5)]

    client = client_of(vtn, clock)
    client.add_report("HISTORY_USAGE", points=[POWER], report_specifier_id="spec", duration=24 * HOUR, source=source)
    async with running(client, clock):
        assert await ask(vtn, clock, asked()) == "459"
        assert await ask(vtn, clock, periodic()) == "454"
        assert await ask(vtn, clock, asked(start=NOW - 4 * HOUR, duration=3 * HOUR)) == "200"
        assert [offsets(it) for it in readings(vtn)] == [[-4 * 3600, -3 * 3600, -2 * 3600]]


async def test_rule_325_341_ven_reports_begin_and_end_as_asked(vtn: HearingVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic(every=MINUTE, start=NOW + HOUR, duration=3 * MINUTE))
    async with running(offering(vtn, clock, number), clock) as client:
        await clock.advance(2 * HOUR)
        assert [offsets(it) for it in readings(vtn)] == [[3600], [3660], [3720]]
        assert not client.report_requests


async def test_rule_328_ven_a_cancellation_inside_an_answer_counts(vtn: HearingVtn, clock: FakeClock) -> None:
    cancel = wire.OadrCancelReport(request_id="", report_request_id=("rr",), report_to_follow=False)
    vtn.rules[wire.OadrUpdateReport] = lambda message: wire.OadrUpdatedReport(
        response=wire.EiResponse(response_code="200", request_id=message.request_id), cancel_report=cancel
    )
    piggyback(vtn, periodic(every=MINUTE))
    async with running(offering(vtn, clock, number), clock) as client:
        await clock.advance(300)
        assert len(data(vtn)) == 1
        assert not client.report_requests


async def test_rule_334_ven_the_state_of_a_resource_is_reported(vtn: HearingVtn, clock: FakeClock) -> None:
    state = LoadControlState(capacity=LoadControlValue(current=0.5, minimum=0.0, maximum=1.0, normal=1.0))

    async def source(_: str) -> ResourceStatus:
        return ResourceStatus(online=True, manual_override=False, load_control_state=state)

    client = client_of(vtn, clock)
    client.add_report("TELEMETRY_STATUS", points=[STATUS], report_specifier_id="spec", source=source)
    piggyback(vtn, periodic("status"))
    async with running(client, clock):
        await clock.advance(61)
        (found,) = readings(vtn)
    assert len(found) == 6
    assert {it.value for it in found} == {ResourceStatus(online=True, manual_override=False, load_control_state=state)}


async def test_rule_337_ven_a_single_amount_is_there_at_once_with_its_period(vtn: HearingVtn, clock: FakeClock) -> None:
    piggyback(vtn, asked("energy", granularity=MINUTE))
    async with running(offering(vtn, clock, number), clock):
        ((reading,),) = readings(vtn)
        assert (reading.start, reading.duration) == (NOW - MINUTE, MINUTE)


async def test_rule_339_ven_the_report_id_is_not_used(vtn: HearingVtn, clock: FakeClock) -> None:
    piggyback(vtn, asked())
    async with running(offering(vtn, clock, number), clock):
        assert data(vtn)
    assert not [body for body in vtn.bodies if b"eiReportID" in body]


async def test_rule_345_ven_exactly_one_report_follows_a_cancellation_that_wants_it(
    vtn: HearingVtn, clock: FakeClock
) -> None:
    piggyback(vtn, periodic())
    async with running(offering(vtn, clock, number), clock) as client:
        await clock.advance(19)
        vtn.queue.append(wire.OadrCancelReport(request_id="x", report_request_id=("rr",), report_to_follow=True))
        await clock.advance(300)
        assert len(data(vtn)) == 1
        assert not client.report_requests


async def test_rule_346_ven_a_report_that_was_lost_comes_again_as_it_was(vtn: HearingVtn, clock: FakeClock) -> None:
    failures = [TransportError("lost")] * 2
    vtn.rules[wire.OadrUpdateReport] = lambda m: failures.pop() if failures else vtn.default(m)
    piggyback(vtn, asked())
    client: OpenADRClient = offering(vtn, clock, number)
    async with running(client, clock):
        await clock.advance(30)
        first, *others = vtn.sent(wire.OadrUpdateReport)
        assert others == [first, first]
