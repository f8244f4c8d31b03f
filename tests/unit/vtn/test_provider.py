"""The VTN as a source of reports: what VENs are told, what they may ask for, what they get."""

from __future__ import annotations

import asyncio
import math
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from pyopenadr.errors import OpenADRError, StoreError
from pyopenadr.model import DataPoint, Reading, Report, ReportRequest, Unit
from pyopenadr.model.time import CalendarDuration
from pyopenadr.store import MemoryStore, Store
from pyopenadr.v2 import wire
from pyopenadr.vtn.provider import _next_due
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.vtn.sample import (
    HOUR,
    MINUTE,
    NOW,
    Broken,
    Ven,
    again,
    answer_to,
    clock_of,
    event,
    periodic,
    point,
    running,
    server,
    wanted,
)

SECOND = NOW.replace(microsecond=0)


def offering(store: Store | str | None = None, source: Any = None, **settings: Any) -> OpenADRServer:
    """A VTN that offers a tariff."""
    vtn = server(store, **settings)
    vtn.add_report("tariff", points=[point()], source=source)
    return vtn


async def create_report(ven: Ven, *requests: wire.ReportRequest) -> wire.OadrCreatedReport:
    message = wire.OadrCreateReport(request_id="cr1", report_requests=requests, ven_id=ven.ven_id)
    return await ven.send("EiReport", message, wire.OadrCreatedReport)


async def cancel_report(ven: Ven, *ids: str, follow: bool = False) -> wire.OadrCanceledReport:
    message = wire.OadrCancelReport(request_id="ca1", report_request_id=ids, report_to_follow=follow, ven_id=ven.ven_id)
    return await ven.send("EiReport", message, wire.OadrCanceledReport)


async def updated(ven: Ven, report: wire.OadrUpdateReport, code: str = "200", **fields: Any) -> wire.OadrResponse:
    message = wire.OadrUpdatedReport(response=answer_to(report.request_id, code), ven_id=ven.ven_id, **fields)
    return await ven.send("EiReport", message, wire.OadrResponse)


def payloads(message: wire.OadrUpdateReport) -> list[tuple[str, Any, str | None]]:
    return [
        (payload.r_id, payload.value, payload.data_quality)
        for report in message.reports
        for interval in report.intervals
        for payload in interval.payloads
        if isinstance(payload, wire.ReportPayload)
    ]


# --- telling ------------------------------------------------------------------------------------------------------


async def test_vens_are_told_what_there_is() -> None:
    vtn = offering()
    ven = Ven(vtn)
    await ven.register()
    offer = await ven.take_offer()
    [report] = offer.reports
    assert (report.report_specifier_id, report.report_name) == ("tariff", "METADATA_TELEMETRY_USAGE")
    assert (report.report_request_id, report.created_date_time) == ("0", SECOND)
    assert await ven.is_idle()
    await vtn.stop()


async def test_a_new_report_is_told_to_those_who_are_there(store: Store | str) -> None:
    vtn = offering(store)
    ven = await Ven(vtn).join()
    vtn = await again(vtn, store)
    vtn.add_report("tariff", points=[point()])
    ven.vtn = vtn
    assert await ven.is_idle()  # it knows that one
    vtn.add_report("weather", points=[point("wind")])
    await asyncio.sleep(0.05)
    assert [r.report_specifier_id for r in (await ven.take_offer()).reports] == ["tariff", "weather"]
    vtn = await again(vtn, store)
    vtn.add_report("weather", points=[point("wind")])
    ven.vtn = vtn
    assert [r.report_specifier_id for r in (await ven.take_offer()).reports] == ["weather"]
    assert await ven.is_idle()
    await vtn.stop()


async def test_an_offer_that_is_refused_is_not_repeated_now() -> None:
    vtn = offering()
    ven = Ven(vtn)
    await ven.register()
    offer = await ven.poll(wire.OadrRegisterReport)
    refused = wire.OadrResponse(response=answer_to(offer.request_id, "461"), ven_id=ven.ven_id)
    assert await ven.post("EiReport", refused) == (200, b"")
    await clock_of(vtn).advance(120)
    assert await ven.is_idle()
    await vtn.stop()


@pytest.mark.parametrize(
    "fields",
    [
        {"report_specifier_id": "tariff", "points": [point()]},
        {"report_specifier_id": "x", "points": []},
        {"report_specifier_id": "x", "points": [point(), point()]},
        {"report_specifier_id": "x", "points": [DataPoint(r_id="a", unit=Unit(name="lightyear"))]},
        {"report_specifier_id": "x", "points": [DataPoint(r_id="a", reading_type="guessed")]},
        {"report_specifier_id": "x", "points": [point()], "report_name": "WEATHER"},
    ],
)
async def test_a_report_that_can_not_be_told_is_refused(fields: dict[str, Any]) -> None:
    vtn = offering()
    with pytest.raises(OpenADRError):
        vtn.add_report(**fields)
    ven = Ven(vtn)
    await ven.register()
    assert len((await ven.poll(wire.OadrRegisterReport)).reports) == 1
    await vtn.stop()


async def test_the_list_is_sent_again_on_request_and_ends_earlier_requests() -> None:
    vtn = offering(source=lambda request: {"price": 1})
    ven = await Ven(vtn).join()
    assert (await create_report(ven, periodic("q1"))).pending_reports == ("q1",)
    await clock_of(vtn).advance(10)
    for _ in range(2):  # the second time because the reply is lost
        reply = await create_report(ven, wanted("m1", "METADATA", r_id="0"))
        assert (reply.response.response_code, reply.pending_reports) == ("200", ("q1",))
    offer = await ven.take_offer()
    assert offer.report_request_id == "m1"
    assert len(offer.reports) == 1
    assert await ven.is_idle()
    await clock_of(vtn).advance(10 * MINUTE)
    assert await ven.is_idle()
    await vtn.stop()


async def test_requests_come_inside_the_answer_to_the_list_too() -> None:
    vtn = offering(source=lambda request: {"price": 7})
    ven = Ven(vtn)
    await ven.register()
    offer = await ven.poll(wire.OadrRegisterReport)
    message = wire.OadrRegisteredReport(
        response=answer_to(offer.request_id), report_requests=(wanted(), periodic("q2")), ven_id=ven.ven_id
    )
    reply = await ven.send("EiReport", message, wire.OadrCreatedReport)
    assert (reply.response.request_id, reply.pending_reports) == (offer.request_id, ("q1", "q2"))
    assert payloads(await ven.poll(wire.OadrUpdateReport)) == [("price", 7.0, None)]
    await vtn.stop()


# --- asking -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requests", "code"),
    [
        ([wanted(specifier="other")], "452"),
        ([wanted(r_id="other")], "452"),
        ([wanted("a"), wanted("b", r_id="other")], "452"),
        ([wanted("a"), wanted("a")], "452"),
        ([periodic(report_back_duration=2 * HOUR)], "454"),
        ([periodic(report_back_duration=-MINUTE)], "454"),
        ([periodic(granularity=timedelta(seconds=1))], "454"),
    ],
)
@pytest.mark.parametrize("piggyback", [True, False])
async def test_what_is_not_offered_is_refused_and_nothing_is_scheduled(
    requests: list[wire.ReportRequest], code: str, piggyback: bool
) -> None:
    vtn = offering(source=lambda request: {"price": 1})
    ven = Ven(vtn)
    await ven.register()
    offer = await ven.take_offer()
    await create_report(ven, periodic("kept"))
    if piggyback:
        message = wire.OadrRegisteredReport(
            response=answer_to(offer.request_id), report_requests=tuple(requests), ven_id=ven.ven_id
        )
        reply = await ven.send("EiReport", message, wire.OadrCreatedReport)
    else:
        reply = await create_report(ven, *requests)
    assert (reply.response.response_code, reply.pending_reports) == (code, ("kept",))
    assert await ven.is_idle()
    await vtn.stop()


@pytest.mark.parametrize("answer", [None, True])
async def test_what_the_user_accepts_is_kept_but_our_own_reports_stay_within_bounds(answer: object) -> None:
    vtn = offering(on_create_report=lambda payload: answer, source=lambda request: {"price": 1})
    ven = await Ven(vtn).join()
    reply = await create_report(ven, wanted(specifier="the user's own"))
    assert (reply.response.response_code, reply.pending_reports) == ("200", ("q1",))
    backwards = CalendarDuration(1, negative=True)
    reply = await create_report(ven, periodic("q2", report_back_duration=backwards))
    assert (reply.response.response_code, reply.pending_reports) == ("454", ("q1",))
    assert await ven.is_idle()
    await vtn.stop()


async def test_the_user_may_refuse() -> None:
    vtn = offering(on_create_report=lambda payload: False)
    ven = await Ven(vtn).join()
    reply = await create_report(ven, wanted())
    assert (reply.response.response_code, reply.pending_reports) == ("461", ())
    await vtn.stop()


async def test_an_id_in_force_is_for_one_request() -> None:
    vtn = offering(source=lambda request: {"price": 1})
    ven = await Ven(vtn).join()
    for _ in range(2):  # the same once more is no error
        assert (await create_report(ven, periodic())).response.response_code == "200"
    reply = await create_report(ven, periodic(report_back_duration=10 * MINUTE))
    assert (reply.response.response_code, reply.pending_reports) == ("452", ("q1",))
    await vtn.stop()


# --- delivering ---------------------------------------------------------------------------------------------------


async def test_a_single_report_is_delivered_once_also_over_a_restart(store: Store | str) -> None:
    calls: list[ReportRequest] = []

    def source(request: ReportRequest) -> list[Reading]:
        calls.append(request)
        return [Reading(r_id="price", start=SECOND, value=3.5), Reading(r_id="other", start=SECOND, value=1.0)]

    vtn = offering(store, source)
    ven = await Ven(vtn).join()
    for _ in range(2):  # the second time because the reply is lost
        reply = await create_report(ven, wanted())
        assert reply.response.response_code == "200"
    assert len(calls) == 1
    report = await ven.poll(wire.OadrUpdateReport)  # lost
    assert (report.reports[0].report_request_id, report.reports[0].report_name) == ("q1", "TELEMETRY_USAGE")
    await vtn.stop()
    vtn = offering(store, source, clock=vtn.clock)
    ven.vtn = vtn
    report = await ven.poll(wire.OadrUpdateReport)
    assert payloads(report) == [("price", 3.5, None)]
    for _ in range(2):
        assert (await updated(ven, report)).response.response_code == "200"
    assert await ven.is_idle()
    assert (await cancel_report(ven, "q1")).response.response_code == "452"
    await vtn.stop()


async def test_a_request_that_was_kept_but_not_served_is_served_after_a_restart() -> None:
    kept = MemoryStore()
    store = Broken(kept)
    vtn = offering(store, lambda request: {"price": 1})
    ven = await Ven(vtn).join()
    store.fails["delete_requests"] = StoreError("the disk is full")
    assert (await create_report(ven, wanted())).response.response_code == "200"
    await vtn.stop()
    vtn = offering(kept, lambda request: {"price": 2}, clock=vtn.clock)
    ven.vtn = vtn
    assert payloads(await ven.poll(wire.OadrUpdateReport)) == [("price", 2.0, None)]
    await vtn.stop()


async def test_periodic_reports_come_when_they_are_due_also_after_a_restart(store: Store | str) -> None:
    value = [0]

    def source(request: ReportRequest) -> dict[str, float]:
        value[0] += 1
        return {"price": value[0]}

    async def received(ven: Ven) -> list[float]:
        found = []
        while isinstance(reply := await ven.poll(wire.Message), wire.OadrUpdateReport):
            found.append(payloads(reply)[0][1])
            await updated(ven, reply)
        return found

    async def passes(vtn: OpenADRServer, time: timedelta) -> None:
        await clock_of(vtn).advance(time)
        await asyncio.sleep(0.1)  # the source runs in a thread

    vtn = offering(store, source)
    ven = await Ven(vtn).join()
    await create_report(ven, periodic())
    await passes(vtn, 4 * MINUTE)
    assert await received(ven) == []
    await vtn.stop()
    vtn = offering(store, source, clock=vtn.clock)  # which does not begin to count anew
    ven.vtn = vtn
    await vtn.start()
    await passes(vtn, 70 * timedelta(seconds=1))
    assert await received(ven) == [1.0]
    await passes(vtn, 5 * MINUTE)
    assert await received(ven) == [2.0]
    assert (await cancel_report(ven, "q1")).pending_reports == ()
    await passes(vtn, 10 * MINUTE)
    assert await received(ven) == []
    await vtn.stop()


async def test_a_periodic_report_ends_with_a_last_one() -> None:
    async def source(request: ReportRequest) -> dict[str, float]:
        return {"price": 1}

    vtn = offering(source=source)
    ven = await Ven(vtn).join()
    interval = wire.WsCalendarInterval(dtstart=SECOND, duration=7 * MINUTE)
    await create_report(ven, periodic(report_interval=interval))
    await clock_of(vtn).advance(HOUR)
    for _ in range(2):
        await updated(ven, await ven.poll(wire.OadrUpdateReport))
    assert await ven.is_idle()
    assert (await create_report(ven, wanted("q2"))).pending_reports == ("q2",)
    await vtn.stop()


async def test_one_source_that_hangs_or_fails_does_not_hold_up_the_others() -> None:
    hanging = asyncio.Event()

    async def hangs(request: ReportRequest) -> dict[str, float]:
        await hanging.wait()
        return {}

    async def fails(request: ReportRequest) -> dict[str, float]:
        raise ZeroDivisionError

    async def works(request: ReportRequest) -> dict[str, float]:
        return {"price": 1}

    async with running() as vtn:
        for name, source in (("a", hangs), ("b", fails), ("c", works)):
            vtn.add_report(name, points=[point()], source=source)
        ven = await Ven(vtn).join()
        await asyncio.sleep(0)
        await create_report(ven, *(periodic(f"q{name}", specifier=name) for name in "abc"))
        await clock_of(vtn).advance(6 * MINUTE)
        found = [payloads(await ven.poll(wire.OadrUpdateReport)) for _ in range(2)]
        assert found == [[("price", 0.0, "Quality Bad - Sensor Failure")], [("price", 1.0, None)]]
        assert await ven.is_idle()


@pytest.mark.parametrize(
    "supplied",
    [None, {}, {"other": 1}, [], 7, "price", [7], {"price": "high"}, {"price": math.inf}],
)
async def test_what_a_source_does_not_say_is_a_placeholder(supplied: object) -> None:
    vtn = offering(source=lambda request: supplied)
    ven = await Ven(vtn).join()
    await create_report(ven, wanted())
    [(r_id, value, quality)] = payloads(await ven.poll(wire.OadrUpdateReport))
    assert (r_id, value) == ("price", 0.0)
    assert quality in ("No Quality - No Value", "Quality Bad - Sensor Failure")
    await vtn.stop()


async def test_a_ven_does_not_wait_long_for_a_slow_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyopenadr.vtn.provider.PATIENCE_S", 0.01)
    release = threading.Event()

    def slow(request: ReportRequest) -> dict[str, float]:
        release.wait(5)
        return {"price": 1}

    vtn = offering(source=slow)
    ven = await Ven(vtn).join()
    assert (await create_report(ven, wanted())).pending_reports == ("q1",)
    assert await ven.is_idle()
    release.set()
    await asyncio.sleep(0.1)
    assert payloads(await ven.poll(wire.OadrUpdateReport)) == [("price", 1.0, None)]
    await vtn.stop()


@pytest.mark.parametrize(("code", "repeated"), [("500", True), ("452", False)])
async def test_a_report_on_which_the_ven_fails_is_sent_again(code: str, repeated: bool) -> None:
    vtn = offering(source=lambda request: {"price": 1})
    ven = await Ven(vtn).join()
    await create_report(ven, wanted())
    await updated(ven, await ven.poll(wire.OadrUpdateReport), code)
    await clock_of(vtn).advance(60)
    assert await ven.is_idle() is not repeated
    await vtn.stop()


async def test_a_late_answer_to_one_report_does_not_answer_another() -> None:
    vtn = offering()
    ven = await Ven(vtn).join()
    await create_report(ven, periodic())
    await vtn.publish_report("tariff", [Reading(r_id="price", start=SECOND, value=1.0)])
    first = await ven.poll(wire.OadrUpdateReport)
    await updated(ven, first)
    await vtn.publish_report("tariff", [Reading(r_id="price", start=SECOND, value=2.0)])
    await ven.poll(wire.OadrUpdateReport)  # lost
    await updated(ven, first)  # once more
    await clock_of(vtn).advance(60)
    assert payloads(await ven.poll(wire.OadrUpdateReport)) == [("price", 2.0, None)]
    await vtn.stop()


# --- publishing ---------------------------------------------------------------------------------------------------


async def test_what_is_published_reaches_those_who_asked_and_is_kept_for_later_ones() -> None:
    vtn = offering()
    one, two = await Ven(vtn).join("one"), await Ven(vtn).join("two")
    await create_report(one, periodic())
    assert await vtn.publish_report("tariff", [Reading(r_id="price", start=SECOND, value=4.0)]) == 1
    assert await vtn.publish_report("tariff", []) == 0
    assert payloads(await one.poll(wire.OadrUpdateReport)) == [("price", 4.0, None)]
    assert await two.is_idle()
    await create_report(two, wanted())
    assert payloads(await two.poll(wire.OadrUpdateReport)) == [("price", 4.0, None)]
    await vtn.stop()


async def test_a_request_for_another_time_gets_nothing_now() -> None:
    vtn = offering()
    ven = await Ven(vtn).join()
    interval = wire.WsCalendarInterval(dtstart=SECOND + HOUR, duration=HOUR)
    await create_report(ven, periodic(report_interval=interval))
    reading = Reading(r_id="price", start=SECOND, value=4.0)
    assert await vtn.publish_report("tariff", [reading]) == 0
    await clock_of(vtn).advance(HOUR)
    assert await vtn.publish_report("tariff", [reading]) == 1
    await clock_of(vtn).advance(HOUR)
    assert await vtn.publish_report("tariff", [reading]) == 0
    assert (await cancel_report(ven, "q1")).response.response_code == "452"
    await vtn.stop()


@pytest.mark.parametrize(
    ("specifier", "reading"),
    [
        ("other", Reading(r_id="price", start=SECOND, value=1.0)),
        ("tariff", Reading(r_id="other", start=SECOND, value=1.0)),
        ("tariff", Reading(r_id="price", start=SECOND, value=math.nan)),
        ("tariff", Reading(r_id="price", start=SECOND, value=1.0, quality="quite good")),
        ("tariff", Reading(r_id="price", start=datetime(2030, 1, 1), value=1.0)),  # noqa: DTZ001 - that is the point
    ],
)
async def test_what_can_not_be_sent_is_not_queued(specifier: str, reading: Reading) -> None:
    vtn = offering()
    ven = await Ven(vtn).join()
    await create_report(ven, periodic())
    with pytest.raises(OpenADRError):
        await vtn.publish_report(specifier, [reading])
    assert await ven.is_idle()
    await vtn.stop()


# --- ending -------------------------------------------------------------------------------------------------------


async def test_a_ven_cancels_some_and_one_that_is_not_there() -> None:
    vtn = offering(source=lambda request: {"price": 1})
    ven = await Ven(vtn).join()
    await create_report(ven, periodic("q1"), periodic("q2"))
    reply = await cancel_report(ven, "q1", "unknown")
    assert (reply.response.response_code, reply.pending_reports) == ("452", ("q2",))
    assert reply.response.response_description is not None
    assert "unknown" in reply.response.response_description
    await vtn.stop()


async def test_a_last_report_follows_exactly_once() -> None:
    vtn = offering(source=lambda request: {"price": 1})
    ven = await Ven(vtn).join()
    await create_report(ven, periodic("q1"))
    reply = await cancel_report(ven, "q1", follow=True)
    assert (reply.response.response_code, reply.pending_reports) == ("200", ())
    await updated(ven, await ven.poll(wire.OadrUpdateReport))
    await cancel_report(ven, "q1", follow=True)
    await clock_of(vtn).advance(HOUR)
    assert await ven.is_idle()
    await vtn.stop()


async def test_a_cancellation_may_come_inside_the_answer_to_a_report() -> None:
    vtn = offering(source=lambda request: {"price": 1})
    ven = await Ven(vtn).join()
    await create_report(ven, periodic("q1"))
    await vtn.publish_report("tariff", [Reading(r_id="price", start=SECOND, value=1.0)])
    stop = wire.OadrCancelReport(request_id="x", report_request_id=("q1",), report_to_follow=False, ven_id=ven.ven_id)
    await updated(ven, await ven.poll(wire.OadrUpdateReport), cancel_report=stop)
    await clock_of(vtn).advance(HOUR)
    assert await ven.is_idle()
    await vtn.stop()


async def test_who_registers_anew_gets_no_reports_of_before() -> None:
    vtn = offering(source=lambda request: {"price": 1})
    ven = await Ven(vtn).join()
    await create_report(ven, periodic("q1"))
    await ven.join()
    await clock_of(vtn).advance(HOUR)
    assert await ven.is_idle()
    await vtn.stop()


# --- the user's reports -------------------------------------------------------------------------------------------


async def test_on_request_report_is_asked_when_nothing_else_waits_and_none_is_the_blank_response() -> None:
    mine = Report(
        report_request_id="q1",
        report_specifier_id="tariff",
        report_name="TELEMETRY_USAGE",
        created_date_time=SECOND,
        readings=(Reading(r_id="price", start=SECOND, value=8.0),),
    )
    line: list[Any] = [mine, None]
    async with running(on_request_report=lambda ven_id: line.pop(0)) as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        await ven.answer(await ven.poll(wire.OadrDistributeEvent))
        report = await ven.poll(wire.OadrUpdateReport)
        assert payloads(report) == [("price", 8.0, None)]
        assert await ven.is_idle()
        assert line == []
        vtn.on_request_report = None  # back to the default
        await clock_of(vtn).advance(60)
        assert payloads(await ven.poll(wire.OadrUpdateReport)) == [("price", 8.0, None)]


@pytest.mark.parametrize("name", ["on_request_report", "on_poll"])
async def test_what_is_no_report_is_an_error_of_the_server(name: str) -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        setattr(vtn, name, lambda ven_id: "a report")
        assert (await ven.poll(wire.OadrResponse)).response.response_code == "500"


@pytest.mark.parametrize(
    ("due", "step", "now", "expected"),
    [
        (0, MINUTE, 0, 1),
        (0, MINUTE, 0.5, 1),
        (0, MINUTE, 1, 2),
        (0, MINUTE, 10_000_000, 10_000_001),
        (5, MINUTE, 0, 6),
    ],
)
def test_the_next_report_is_due_at_a_multiple_of_the_step(
    due: float, step: timedelta, now: float, expected: float
) -> None:
    assert _next_due(SECOND + due * MINUTE, step, SECOND + now * MINUTE) == SECOND + expected * MINUTE


def test_months_are_counted_by_the_calendar() -> None:
    step = CalendarDuration(1)
    assert _next_due(SECOND, step, SECOND.replace(month=9)) == SECOND.replace(month=10)
