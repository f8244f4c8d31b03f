"""Reports in both directions, in auto mode, with a clock that the test moves."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import TransportError
from pyopenadr.model import Capability, DataPoint, Reading, Report, ReportRequest, ResourceStatus, Unit
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge import lift_readings, lower_capability, lower_readings, lower_request
from pyopenadr.v2.faults import response
from pyopenadr.ven import OpenADRClient
from tests.unit.ven.scripted import HOUR, NOW, ScriptedVtn, client_of, ok, problems, refusal, running

KILOWATT = Unit(name="powerReal", symbol="W", scale="k", hertz=50.0, voltage=230.0, ac=True)
WATT_HOUR = Unit(name="energyReal", symbol="Wh")
POWER = DataPoint(r_id="power", unit=KILOWATT)
ENERGY = DataPoint(r_id="energy", unit=WATT_HOUR)
STATUS = DataPoint(r_id="status", report_type="x-resourceStatus", reading_type="x-notApplicable")
ZERO = timedelta(0)
TEN = timedelta(seconds=10)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def vtn() -> ScriptedVtn:
    return ScriptedVtn()


def asked(*r_ids: str, name: str = "rr", **fields: Any) -> ReportRequest:
    """A one-shot request, unless the fields say otherwise."""
    values: dict[str, Any] = {"report_request_id": name, "report_specifier_id": "spec", "r_ids": r_ids or ("power",)}
    return ReportRequest(**(values | fields))


def periodic(*r_ids: str, every: timedelta = TEN, back: timedelta = MINUTE, **fields: Any) -> ReportRequest:
    values: dict[str, Any] = {"granularity": every, "report_back_duration": back, "start": NOW, "duration": ZERO}
    return asked(*r_ids, **(values | fields))


def piggyback(vtn: ScriptedVtn, *requests: ReportRequest) -> None:
    """Have the VTN ask in its oadrRegisteredReport."""
    vtn.rules[wire.OadrRegisterReport] = lambda message: wire.OadrRegisteredReport(
        response=response(message.request_id), report_requests=tuple(map(lower_request, requests))
    )


def create(*requests: ReportRequest, **fields: Any) -> wire.OadrCreateReport:
    return wire.OadrCreateReport(request_id="cr", report_requests=tuple(map(lower_request, requests)), **fields)


def offering(vtn: ScriptedVtn, clock: FakeClock, source: Any = None, **settings: Any) -> OpenADRClient:
    client = client_of(vtn, clock, **settings)
    client.add_report(points=[POWER, ENERGY], report_specifier_id="spec", source=source)
    return client


def readings(vtn: ScriptedVtn) -> list[list[Reading]]:
    """The readings of every report that was sent."""
    return [list(lift_readings(report)) for message in vtn.sent(wire.OadrUpdateReport) for report in message.reports]


def offsets(found: list[Reading]) -> list[float]:
    return [(reading.start - NOW).total_seconds() for reading in found]


def constant(r_id: str) -> float:
    return 5.0 if r_id == "power" else 7.0


async def number(r_id: str) -> float:
    return constant(r_id)


# -- the ceremony, VEN as source -------------------------------------------------------------------------------------


async def test_a_request_inside_the_registered_report(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, asked())
    async with running(offering(vtn, clock, number), clock) as client:
        assert vtn.names()[:4] == [
            "oadrCreatePartyRegistration",
            "oadrRegisterReport",
            "oadrCreatedReport",
            "oadrRequestEvent",
        ]
        registered = vtn.last(wire.OadrRegisterReport)
        created = vtn.last(wire.OadrCreatedReport)
        assert created.pending_reports == ("rr",)
        assert created.response.request_id == registered.request_id
        ((reading,),) = readings(vtn)
        assert (reading.r_id, reading.value, reading.start, reading.duration) == ("power", 5.0, NOW, None)
        report = vtn.last(wire.OadrUpdateReport).reports[0]
        assert (report.report_request_id, report.report_specifier_id) == ("rr", "spec")
        assert report.report_name == "TELEMETRY_USAGE"
        assert not client.report_requests


async def test_a_request_by_poll(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async with running(offering(vtn, clock, number), clock):
        vtn.queue.append(create(asked()))
        await clock.advance(10)
        created = vtn.last(wire.OadrCreatedReport)
        assert (created.response.request_id, created.response.response_code) == ("cr", "200")
        assert (created.pending_reports, created.ven_id) == (("rr",), "ven-1")
        names = vtn.names()
        assert names.index("oadrCreatedReport") < names.index("oadrUpdateReport")
        assert len(readings(vtn)) == 1


async def test_a_repeated_request_is_no_error_and_served_once(vtn: ScriptedVtn, clock: FakeClock) -> None:
    request = periodic()
    piggyback(vtn, request)
    async with running(offering(vtn, clock, number), clock):
        vtn.queue.append(create(request))
        await clock.advance(65)
        assert [m.response.response_code for m in vtn.sent(wire.OadrCreatedReport)] == ["200", "200"]
        assert len(readings(vtn)) == 1


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (asked("nothing"), "452"),
        (asked(report_specifier_id="other"), "452"),
        (periodic(back=2 * HOUR), "454"),
    ],
)
async def test_one_bad_request_spoils_the_lot(
    vtn: ScriptedVtn, clock: FakeClock, bad: ReportRequest, code: str
) -> None:
    vtn.queue.append(create(asked(name="good"), bad))
    async with running(offering(vtn, clock, number), clock):
        created = vtn.last(wire.OadrCreatedReport)
        assert (created.response.response_code, created.pending_reports) == (code, ())
        assert readings(vtn) == []


async def test_pending_reports_list_all_that_is_to_come(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async with running(offering(vtn, clock, number), clock) as client:
        vtn.queue += [create(periodic(name="a")), create(periodic(name="b"))]
        await clock.advance(10)
        assert vtn.last(wire.OadrCreatedReport).pending_reports == ("a", "b")
        vtn.queue.append(wire.OadrCancelReport(request_id="x", report_request_id=("a", "z"), report_to_follow=False))
        await clock.advance(10)
        canceled = vtn.last(wire.OadrCanceledReport)
        assert (canceled.response.response_code, canceled.response.request_id) == ("452", "x")
        assert canceled.pending_reports == ("b",)
        assert list(client.report_requests) == ["b"]
        await clock.advance(120)
        assert {m.reports[0].report_request_id for m in vtn.sent(wire.OadrUpdateReport)} == {"b"}


async def test_one_last_report_after_a_cancellation(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic())
    async with running(offering(vtn, clock, number), clock) as client:
        await clock.advance(19)
        vtn.queue.append(wire.OadrCancelReport(request_id="x", report_request_id=("rr",), report_to_follow=True))
        await clock.advance(300)
        # It is fetched at 20, before what is measured at that very instant.
        assert [offsets(found) for found in readings(vtn)] == [[0, 10]]
        assert not client.report_requests


async def test_a_cancellation_inside_the_updated_report(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic(name="a"), periodic(name="b"))
    cancel = wire.OadrCancelReport(request_id="", report_request_id=("a", "b"), report_to_follow=False)

    def updated(message: wire.OadrUpdateReport) -> wire.OadrUpdatedReport:
        mine = message.reports[0].report_request_id == "a"
        return wire.OadrUpdatedReport(response=response(message.request_id), cancel_report=cancel if mine else None)

    vtn.rules[wire.OadrUpdateReport] = updated
    async with running(offering(vtn, clock, number), clock) as client:
        await clock.advance(60)
        # Only what the answered report was about may be cancelled that way (rule 328).
        assert list(client.report_requests) == ["b"]


# -- the values ------------------------------------------------------------------------------------------------------


async def test_periodic_points_are_sampled_and_sent_in_bundles(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic(duration=timedelta(seconds=130)))
    async with running(offering(vtn, clock, number), clock) as client:
        await clock.advance(59)
        assert readings(vtn) == []
        await clock.advance(2)
        assert [offsets(found) for found in readings(vtn)] == [[0, 10, 20, 30, 40, 50]]
        await clock.advance(200)
        assert [offsets(found) for found in readings(vtn)][1:] == [[60, 70, 80, 90, 100, 110], [120]]
        assert not client.report_requests


async def test_points_that_are_sent_one_by_one_begin_at_once(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic(every=MINUTE, duration=timedelta(minutes=3)))
    async with running(offering(vtn, clock, number), clock):
        assert [offsets(found) for found in readings(vtn)] == [[0]]
        await clock.advance(600)
        assert [offsets(found) for found in readings(vtn)] == [[0], [60], [120]]


async def test_accumulated_values_have_their_period(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic("energy", every=MINUTE, back=MINUTE))
    async with running(offering(vtn, clock, number), clock):
        await clock.advance(121)
        assert [[(r.start - NOW, r.duration, r.value) for r in found] for found in readings(vtn)] == [
            [(ZERO, MINUTE, 7.0)],
            [(MINUTE, MINUTE, 7.0)],
        ]


async def test_a_single_accumulated_value_ends_now(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, asked("energy", granularity=MINUTE))
    async with running(offering(vtn, clock, number), clock):
        ((reading,),) = readings(vtn)
        assert (reading.start, reading.duration) == (NOW - MINUTE, MINUTE)


async def test_a_report_that_begins_later(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic(every=MINUTE, start=NOW + HOUR))
    async with running(offering(vtn, clock, number), clock):
        await clock.advance(HOUR - TEN)
        assert readings(vtn) == []
        await clock.advance(20)
        assert [offsets(found) for found in readings(vtn)] == [[3600]]


async def test_only_changes_are_recorded_and_the_last_value_repeated(vtn: ScriptedVtn, clock: FakeClock) -> None:
    values = {"power": 1.0}
    client = client_of(vtn, clock)
    point = DataPoint(r_id="power", unit=KILOWATT, min_period=TEN, max_period=HOUR, on_change=True)

    async def source() -> dict[str, float]:
        return values

    client.add_report(points=[point], report_specifier_id="spec", source=source)
    piggyback(vtn, periodic(every=ZERO))
    async with running(client, clock):
        await clock.advance(25)
        values["power"] = 2.0
        await clock.advance(100)
        first, second = readings(vtn)
        assert [(offset, r.value) for offset, r in zip(offsets(first), first, strict=True)] == [(0, 1.0), (30, 2.0)]
        (repeated,) = second
        assert (repeated.value, repeated.quality) == (2.0, "No New Value - Previous Value Used")


async def test_status_reports(vtn: ScriptedVtn, clock: FakeClock) -> None:
    client = client_of(vtn, clock)

    async def source(_: str) -> ResourceStatus:
        return ResourceStatus(online=True, manual_override=False)

    client.add_report("TELEMETRY_STATUS", points=[STATUS], report_specifier_id="spec", source=source)
    piggyback(vtn, asked("status"))
    async with running(client, clock):
        offered = vtn.last(wire.OadrRegisterReport).reports[0]
        assert offered.report_name == "METADATA_TELEMETRY_STATUS"
        ((reading,),) = readings(vtn)
        assert reading.value == ResourceStatus(online=True, manual_override=False)


@pytest.mark.parametrize(
    ("value", "quality", "said"),
    [
        (None, "Quality Bad - Non Specific", ""),
        (float("nan"), "Quality Bad - Sensor Failure", "no number"),
        ("much", "Quality Bad - Sensor Failure", "'much'"),
        (True, "Quality Bad - Sensor Failure", "True"),
        (RuntimeError("unplugged"), "Quality Bad - Sensor Failure", "RuntimeError: unplugged"),
        (ResourceStatus(online=True, manual_override=False), "Quality Bad - Sensor Failure", "must be a number"),
        ([Reading(r_id="energy", start=NOW, value=1.0)], "Quality Bad - Sensor Failure", "given for power"),
        ([Reading(r_id="power", start=datetime(2030, 1, 1), value=1.0)], "Quality Bad - Sensor", "time zone"),  # noqa: DTZ001
    ],
)
async def test_a_value_that_is_none_has_a_bad_quality_and_harms_no_other(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture, value: object, quality: str, said: str
) -> None:
    async def source(r_id: str) -> object:
        if r_id == "energy":
            return 7.0
        if isinstance(value, Exception):
            raise value
        return value

    piggyback(vtn, asked("power", "energy"))
    async with running(offering(vtn, clock, source), clock):
        (found,) = readings(vtn)
        by_name = {reading.r_id: reading for reading in found}
        assert (by_name["power"].quality or "").startswith(quality)
        assert (by_name["energy"].value, by_name["energy"].quality) == (7.0, None)
    assert any(said in line for line in problems(caplog.records)) == bool(said)


async def test_a_source_that_hangs_costs_only_its_own_value(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async def source(r_id: str) -> float:
        if r_id == "power":
            await clock.sleep(10_000)
        return 7.0

    piggyback(vtn, periodic("power", "energy", every=MINUTE, back=MINUTE))
    async with running(offering(vtn, clock, source), clock):
        await clock.advance(301)
        sent = readings(vtn)
        assert len(sent) >= 2
        assert all(r.quality == "Quality Bad - Sensor Failure" for f in sent for r in f if r.r_id == "power")
        assert any(r.quality is None for f in sent for r in f if r.r_id == "energy")


async def test_next_report_supplies_whole_reports(vtn: ScriptedVtn, clock: FakeClock) -> None:
    requests: list[ReportRequest] = []

    async def next_report(request: ReportRequest) -> object:
        requests.append(request)
        return [Reading(r_id="power", start=clock.now() - TEN * n, value=float(n)) for n in (2, 1)]

    piggyback(vtn, periodic(name="p"))
    async with running(offering(vtn, clock, next_report=next_report), clock):
        await clock.advance(60)
        assert [request.report_request_id for request in requests] == ["p"]
        assert [offsets(found) for found in readings(vtn)] == [[40, 50]]
        vtn.queue.append(create(asked(name="once")))
        await clock.advance(10)
        assert requests[-1].report_request_id == "once"


async def test_what_next_report_leaves_out_stands_there_as_bad(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async def next_report(_: ReportRequest) -> object:
        return {"power": 3, "stranger": 4}

    piggyback(vtn, asked("power", "energy"))
    async with running(offering(vtn, clock, next_report=next_report), clock):
        (found,) = readings(vtn)
        assert {r.r_id: (r.value, r.quality) for r in found} == {
            "power": (3.0, None),
            "energy": (0.0, "Quality Bad - Non Specific"),
        }


async def test_next_report_may_fail(vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    async def next_report(_: ReportRequest) -> object:
        raise ValueError("nothing there")

    piggyback(vtn, asked())
    async with running(offering(vtn, clock, next_report=next_report), clock):
        ((reading,),) = readings(vtn)
        assert reading.quality == "Quality Bad - Sensor Failure"
        await clock.advance(20)
        assert len(vtn.sent(wire.OadrPoll)) == 3
    assert any("report rr" in line and "nothing there" in line for line in problems(caplog.records))


async def test_history_is_asked_for_as_a_whole(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async def source(request: ReportRequest) -> list[Reading]:
        assert request.start is not None
        return [Reading(r_id="power", start=request.start + n * HOUR, value=1.0) for n in range(-1, 5)]

    client = client_of(vtn, clock)
    client.add_report("HISTORY_USAGE", points=[POWER], report_specifier_id="spec", duration=24 * HOUR, source=source)
    piggyback(vtn, asked(start=NOW - 4 * HOUR, duration=3 * HOUR))
    async with running(client, clock):
        assert [offsets(found) for found in readings(vtn)] == [[-4 * 3600, -3 * 3600, -2 * 3600]]


async def test_without_source_and_handler_the_report_is_the_users(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic(every=MINUTE))
    async with running(offering(vtn, clock), clock) as client:
        await clock.advance(300)
        assert readings(vtn) == []
        await client.update_report("rr", {"power": 9})
        ((reading,),) = readings(vtn)
        assert reading.value == 9.0
        assert list(client.report_requests) == ["rr"]


# -- delivery --------------------------------------------------------------------------------------------------------


async def test_no_reading_is_lost_while_the_vtn_is_away(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic(every=MINUTE, duration=HOUR / 2))
    async with running(offering(vtn, clock, number), clock):
        vtn.rules[wire.OadrUpdateReport] = lambda _: TransportError("away")
        await clock.advance(600)
        vtn.log.clear()
        del vtn.rules[wire.OadrUpdateReport]
        await clock.advance(1500)
        starts = [offset for found in readings(vtn) for offset in offsets(found)]
        assert starts == [60.0 * n for n in range(1, 30)], "all but the first, which got through, and in order"


async def test_a_report_that_the_vtn_does_not_know_ends(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic(every=MINUTE))
    vtn.rules[wire.OadrUpdateReport] = lambda _: refusal("452")
    async with running(offering(vtn, clock, number), clock) as client:
        await clock.advance(300)
        assert len(readings(vtn)) == 1
        assert not client.report_requests


async def test_a_report_that_breaks_the_vtn_stops_neither_the_next_nor_another(
    vtn: ScriptedVtn, clock: FakeClock
) -> None:
    piggyback(vtn, periodic(name="poison", every=MINUTE), periodic(name="fine", every=MINUTE))
    vtn.rules[wire.OadrUpdateReport] = lambda message: (
        500 if message.reports[0].report_request_id == "poison" else vtn.default(message)
    )
    async with running(offering(vtn, clock, number), clock):
        await clock.advance(900)
        fine = [m for m in vtn.sent(wire.OadrUpdateReport) if m.reports[0].report_request_id == "fine"]
        assert len(fine) == 16
        poison = [m.request_id for m in vtn.sent(wire.OadrUpdateReport) if m not in fine]
        assert len(poison) > len(set(poison)) > 1, "tried again, then put behind the next"


async def test_new_metadata_end_what_was_asked_for(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic(name="old"))
    async with running(offering(vtn, clock, number), clock) as client:
        piggyback(vtn, periodic(name="new"))
        await client.register_reports()
        assert list(client.report_requests) == ["new"]


async def test_metadata_on_request(vtn: ScriptedVtn, clock: FakeClock) -> None:
    once = ReportRequest(report_request_id="m", report_specifier_id="METADATA", r_ids=())
    async with running(offering(vtn, clock, number), clock):
        vtn.queue.append(create(once))
        await clock.advance(10)
        message = vtn.last(wire.OadrRegisterReport)
        assert (message.report_request_id, message.reports[0].report_request_id) == ("m", "0")
        assert len(vtn.sent(wire.OadrRegisterReport)) == 2


async def test_periodic_metadata_go_on_until_they_are_cancelled(vtn: ScriptedVtn, clock: FakeClock) -> None:
    request = ReportRequest(
        report_request_id="m", report_specifier_id="METADATA", r_ids=(), report_back_duration=HOUR, start=NOW
    )
    async with running(offering(vtn, clock, number), clock) as client:
        vtn.queue.append(create(request, periodic(name="data")))
        await clock.advance(2.5 * HOUR)
        solicited = [m for m in vtn.sent(wire.OadrRegisterReport) if m.report_request_id == "m"]
        assert len(solicited) == 3
        assert list(client.report_requests) == ["m"], "METADATA end all but their own request (rule 306)"
        vtn.queue.append(wire.OadrCancelReport(request_id="x", report_request_id=("m",), report_to_follow=False))
        await clock.advance(3 * HOUR)
        assert len([m for m in vtn.sent(wire.OadrRegisterReport) if m.report_request_id == "m"]) == 3


async def test_metadata_are_tried_again(vtn: ScriptedVtn, clock: FakeClock) -> None:
    once = ReportRequest(report_request_id="m", report_specifier_id="METADATA", r_ids=())
    async with running(offering(vtn, clock, number), clock) as client:
        failures = [TransportError("lost")] * 3
        vtn.rules[wire.OadrRegisterReport] = lambda m: failures.pop() if failures else vtn.default(m)
        vtn.queue.append(create(once))
        await clock.advance(30)
        assert len([m for m in vtn.sent(wire.OadrRegisterReport) if m.report_request_id == "m"]) == 4
        assert not client.report_requests


async def test_the_end_of_the_registration_ends_the_reports(vtn: ScriptedVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic(every=MINUTE))
    async with running(offering(vtn, clock, number), clock) as client:
        vtn.queue.append(wire.OadrCancelPartyRegistration(request_id="c", registration_id="reg-1"))
        del vtn.rules[wire.OadrRegisterReport]
        await clock.advance(300)
        assert len(readings(vtn)) == 1
        assert not client.report_requests


# -- the VTN as source -----------------------------------------------------------------------------------------------

OFFER = Capability(
    report_specifier_id="vtn-spec",
    report_name="TELEMETRY_USAGE",
    duration=HOUR,
    points=(DataPoint(r_id="grid", unit=KILOWATT, min_period=TEN, max_period=HOUR),),
    created_date_time=NOW,
)
WANTED = ReportRequest(report_request_id="mine", report_specifier_id="vtn-spec", r_ids=("grid",))


def metadata(request_id: str = "q") -> wire.OadrRegisterReport:
    return wire.OadrRegisterReport(request_id=request_id, reports=(lower_capability(OFFER),))


def update(value: float = 1.0, created: datetime = NOW, request_id: str = "u") -> wire.OadrUpdateReport:
    reading = Reading(r_id="grid", start=NOW, value=value)
    report = lower_readings(WANTED, "TELEMETRY_USAGE", [reading], created=created)
    return wire.OadrUpdateReport(request_id=request_id, reports=(report,))


async def test_asking_the_vtn_for_its_reports(vtn: ScriptedVtn, clock: FakeClock) -> None:
    offered: list[Capability] = []

    async def wanted_reports(capabilities: tuple[Capability, ...]) -> list[ReportRequest]:
        offered.extend(capabilities)
        return [WANTED]

    vtn.queue.append(metadata())
    async with running(client_of(vtn, clock, wanted_reports=wanted_reports), clock) as client:
        assert offered == [OFFER]
        assert client.vtn_capabilities == (OFFER,)
        assert vtn.names()[-2:] == ["oadrRegisteredReport", "oadrCreateReport"]
        (request,) = vtn.last(wire.OadrCreateReport).report_requests
        assert request == lower_request(WANTED)
        assert vtn.last(wire.OadrCreateReport).ven_id == "ven-1"


@pytest.mark.parametrize("answer", [[3], 7, RuntimeError("no")])
async def test_a_wish_that_makes_no_sense_is_logged(
    vtn: ScriptedVtn, clock: FakeClock, answer: object, caplog: pytest.LogCaptureFixture
) -> None:
    async def wanted_reports(_: object) -> object:
        if isinstance(answer, Exception):
            raise answer
        return answer

    vtn.queue.append(metadata())
    async with running(client_of(vtn, clock, wanted_reports=wanted_reports), clock):
        assert vtn.sent(wire.OadrRegisteredReport)
        assert not vtn.sent(wire.OadrCreateReport)
    assert any("no report is asked for" in line for line in problems(caplog.records))


async def test_a_report_of_the_vtn_is_acknowledged_when_the_handler_has_it(vtn: ScriptedVtn, clock: FakeClock) -> None:
    taken: list[Report] = []

    async def on_report(report: Report) -> None:
        await clock.sleep(20)
        taken.append(report)

    vtn.queue.append(update(request_id="u1"))
    async with running(client_of(vtn, clock, on_report=on_report), clock):
        await clock.advance(15)
        assert len(vtn.sent(wire.OadrPoll)) == 3, "polling goes on"
        assert not vtn.sent(wire.OadrUpdatedReport)
        await clock.advance(6)
        message = vtn.last(wire.OadrUpdatedReport)
        assert (message.response.response_code, message.response.request_id) == ("200", "u1")
        assert message.ven_id == "ven-1"
        (report,) = taken
        assert (report.report_request_id, report.report_name) == ("mine", "TELEMETRY_USAGE")
        assert report.readings == (Reading(r_id="grid", start=NOW, value=1.0),)


async def test_a_report_that_comes_again_is_acknowledged_but_handed_over_once(
    vtn: ScriptedVtn, clock: FakeClock
) -> None:
    taken: list[float] = []

    async def on_report(report: Report) -> None:
        value = report.readings[0].value
        assert isinstance(value, float)
        taken.append(value)

    vtn.queue += [update(1.0), update(1.0), update(2.0)]
    async with running(client_of(vtn, clock, on_report=on_report), clock):
        assert taken == [1.0, 2.0]
        assert len(vtn.sent(wire.OadrUpdatedReport)) == 3


async def test_a_report_that_comes_again_while_it_is_handed_over_waits_for_the_outcome(
    vtn: ScriptedVtn, clock: FakeClock
) -> None:
    taken: list[Report] = []

    async def on_report(report: Report) -> None:
        taken.append(report)
        await clock.sleep(5)
        if len(taken) == 1:
            raise OSError("disk full")

    vtn.queue += [update(), update(), update()]
    async with running(client_of(vtn, clock, on_report=on_report), clock):
        await clock.advance(4)
        assert len(taken) == 1
        await clock.advance(30)
        codes = [m.response.response_code for m in vtn.sent(wire.OadrUpdatedReport)]
        assert codes == ["500", "200", "200"]
        assert len(taken) == 2, "the second is tried again, the third has arrived before"


async def test_a_report_that_the_handler_failed_to_take_is_told_to_the_vtn(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    taken: list[Report] = []

    async def on_report(report: Report) -> None:
        taken.append(report)
        if len(taken) == 1:
            raise OSError("disk full")

    vtn.queue += [update()]
    async with running(client_of(vtn, clock, on_report=on_report), clock):
        assert vtn.last(wire.OadrUpdatedReport).response.response_code == "500"
        vtn.queue += [update()]
        await clock.advance(10)
        assert vtn.last(wire.OadrUpdatedReport).response.response_code == "200"
        assert len(taken) == 2, "what was not taken is handed over again"
    assert any("disk full" in line for line in problems(caplog.records))


async def test_without_a_handler_reports_are_acknowledged_and_that_is_said(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    vtn.queue += [update(1.0), update(2.0)]
    async with running(client_of(vtn, clock), clock):
        assert [m.response.response_code for m in vtn.sent(wire.OadrUpdatedReport)] == ["200", "200"]
    assert len([line for line in problems(caplog.records) if "no on_report" in line]) == 1


async def test_a_report_that_says_nothing_is_refused(vtn: ScriptedVtn, clock: FakeClock) -> None:
    report = wire.OadrReport(
        intervals=(
            wire.Interval(payloads=(wire.ReportPayload(r_id="a", value=1.0),)),
            wire.Interval(payloads=(wire.ReportPayload(r_id="a", value=1.0),)),
        ),
        report_request_id="mine",
        report_specifier_id="vtn-spec",
        created_date_time=NOW,
    )
    vtn.queue.append(wire.OadrUpdateReport(request_id="u", reports=(report,)))
    async with running(client_of(vtn, clock), clock):
        assert vtn.last(wire.OadrUpdatedReport).response.response_code.startswith("4")


async def test_the_receipt_is_sent_until_it_arrives(vtn: ScriptedVtn, clock: FakeClock) -> None:
    failures = [TransportError("lost")] * 2
    vtn.rules[wire.OadrUpdatedReport] = lambda _: failures.pop() if failures else ok()
    vtn.queue.append(update(request_id="u9"))
    async with running(client_of(vtn, clock), clock) as client:
        await clock.advance(10)
        assert [m.response.request_id for m in vtn.sent(wire.OadrUpdatedReport)] == ["u9"] * 3
        assert client.unsent == 0
