"""The rules of 2.0b that a VTN follows in its exchanges, each seen from outside by a VEN made by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.errors import LocalProtocolError, ModelError
from pyopenadr.model import Interval, OptType, Reading, Signal, Target
from pyopenadr.v2 import decode, encode, faults, wire
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.vtn.sample import (
    HOUR,
    MINUTE,
    SECOND,
    Ven,
    answer_to,
    clock_of,
    data,
    event,
    event_response,
    ids,
    metadata,
    open_ended,
    periodic,
    point,
    running,
    server,
    wanted,
)

REREGISTERED = "oadrRequestReregistration"


def simple(*values: float) -> Signal:
    """Levels for an hour in equal parts."""
    return Signal(
        signal_name="SIMPLE",
        signal_type="level",
        signal_id="s1",
        intervals=tuple(Interval(HOUR / len(values), value) for value in values),
    )


def numbers(message: wire.OadrDistributeEvent) -> list[int]:
    return [each.event_descriptor.modification_number for each in message.events]


def statuses(message: wire.OadrDistributeEvent) -> list[str]:
    return [each.event_descriptor.event_status for each in message.events]


async def offering() -> tuple[OpenADRServer, Ven]:
    """A VTN that offers a tariff, and a VEN that has taken note of it."""
    vtn = server()
    vtn.add_report("tariff", points=[point()], source=lambda request: {"price": 1.0})
    return vtn, await Ven(vtn).join()


async def create_report(ven: Ven, *requests: wire.ReportRequest, request_id: str = "c") -> wire.OadrCreatedReport:
    message = wire.OadrCreateReport(request_id=request_id, report_requests=requests, ven_id=ven.ven_id)
    return await ven.send("EiReport", message, wire.OadrCreatedReport)


async def asked(vtn: OpenADRServer, ven: Ven, **fields: Any) -> str:
    """Ask a VEN for its power every 5 minutes and have it accept. Returns the request's ID."""
    defaults: dict[str, Any] = {"granularity": MINUTE, "report_back_duration": 5 * MINUTE}
    request = await vtn.request_report(ven.ven_id, report_specifier_id="telemetry", **(defaults | fields))
    question = await ven.poll(wire.OadrCreateReport)
    await ven.created_report(question.request_id, request.report_request_id)
    return request.report_request_id


# --- events -------------------------------------------------------------------------------------------------------


async def test_rule_001_times_that_are_sent_are_in_utc_and_whole_seconds() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(start=clock_of(vtn).now(), intervals=[(MINUTE, 1)])
        _, body = await ven.post("OadrPoll", wire.OadrPoll(ven_id=ven.ven_id))
        assert b"T10:00:00Z</" in body
        assert b"00.25" not in body
        assert b"+00:00" not in body


async def test_rule_003_015_active_events_come_first_by_priority_then_by_start() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        for event_id, start, priority in (
            ("later", SECOND + 2 * HOUR, 1),
            ("soon", SECOND + HOUR, 9),
            ("none", SECOND - 20 * MINUTE, 0),
            ("second", SECOND - 10 * MINUTE, 2),
            ("first", SECOND - 5 * MINUTE, 1),
        ):
            await vtn.add_event(event(event_id, start=start, priority=priority))
        expected = ["first", "second", "none", "soon", "later"]
        assert ids(await ven.request_events()) == expected
        await vtn.cancel_event("second")
        assert ids(await ven.request_events()) == expected  # cancelled ones keep their place


async def test_rule_004_005_010_versions_are_counted_from_0() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        assert numbers(await ven.request_events()) == [0]
        await clock_of(vtn).advance(HOUR)  # a change of status is none of the event
        message = await ven.request_events()
        assert (numbers(message), statuses(message)) == ([0], ["active"])
        await vtn.change_event("e1", vtn_comment="a")
        assert numbers(await ven.request_events()) == [1]
        await vtn.cancel_event("e1")
        message = await ven.request_events()
        assert (numbers(message), statuses(message)) == ([2], ["cancelled"])


@pytest.mark.parametrize("signals", [(simple(4),), (simple(1.5),), (simple(1), simple(2)), ()])
async def test_rule_008_009_107_an_event_against_the_rules_is_not_published(signals: tuple[Signal, ...]) -> None:
    async with running() as vtn:
        with pytest.raises(ModelError):
            await vtn.add_event(event(signals=signals))
        with pytest.raises(ModelError):
            await vtn.add_event(event("e2", duration=2 * HOUR))


async def test_rule_013_an_event_is_far_near_active_and_gone() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event(ramp_up=10 * MINUTE))
        found = []
        for step in (timedelta(0), 51 * MINUTE, 10 * MINUTE, HOUR):
            await clock_of(vtn).advance(step)
            found.append(statuses(await ven.request_events()))
        assert found == [["far"], ["near"], ["active"], []]


async def test_rule_014_029_current_value_is_that_of_the_running_interval() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event(signals=(simple(1, 3),)))
        found = []
        for step in (timedelta(0), HOUR, 30 * MINUTE):
            await clock_of(vtn).advance(step)
            found.append((await ven.request_events()).events[0].event_signals[0].current_value)
        assert found == [0, 1, 3]


async def test_rule_016_017_an_answer_may_change_later() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        message = await ven.poll(wire.OadrDistributeEvent)
        for opt_type in ("optIn", "optOut", "optIn"):
            await ven.answer(message, opt_type)
            assert [answer.opt_type for answer in await vtn.answers()] == [OptType(opt_type)]


async def test_rule_020_the_past_is_not_changed() -> None:
    async with running() as vtn:
        await vtn.add_event(event(start=SECOND - MINUTE))
        with pytest.raises(LocalProtocolError, match="rule 20"):
            await vtn.change_event("e1", start=SECOND + HOUR)


async def test_rule_025_an_answer_as_a_whole_may_be_an_error() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        await ven.poll(wire.OadrDistributeEvent)
        message = wire.OadrCreatedEvent(response=answer_to("d", "452"), ven_id=ven.ven_id)
        reply = await ven.send("EiEvent", message, wire.OadrResponse)
        assert (reply.response.response_code, reply.response.request_id) == ("200", "d")
        assert await vtn.answers() == []


async def test_rule_027_no_more_events_than_the_ven_can_take() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        for number in range(3):
            await vtn.add_event(event(f"e{number}", start=SECOND + (4 - number) * HOUR))
        assert ids(await ven.request_events(reply_limit=2)) == ["e2", "e1"]


async def test_rule_040_041_a_list_of_events_has_a_response_and_a_request_id() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        empty = await ven.request_events()
        await vtn.add_event(event())
        polled = await ven.poll(wire.OadrDistributeEvent)
        for message, echo in ((empty, "q1"), (polled, "")):
            assert message.response is not None
            assert (message.response.response_code, message.response.request_id) == ("200", echo)
            assert message.request_id


async def test_rule_042_answers_are_known_by_event_and_not_by_request_id() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        await ven.poll(wire.OadrDistributeEvent)
        reply = await ven.created_event([event_response("e1", request_id="something else")])
        assert (reply.response.response_code, reply.response.request_id) == ("200", "")
        assert len(await vtn.answers()) == 1


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (event_response("e1"), "200"),
        (event_response("e1", opt_type="optOut", code="462"), "200"),
        (event_response("unknown"), "452"),
        (event_response("e1", 1), "450"),
    ],
)
async def test_rule_048_wrong_answers_are_said(response: wire.EventResponse, code: str) -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        assert (await ven.created_event([response])).response.response_code == code
        assert len(await vtn.answers()) == (code == "200")


async def test_rule_050_a_list_has_all_events_also_those_opted_out_of() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event("a"))
        await ven.answer(await ven.poll(wire.OadrDistributeEvent), "optOut")
        await vtn.add_event(event("b"))
        await vtn.add_event(event("over", start=SECOND - HOUR + MINUTE))
        await clock_of(vtn).advance(60)
        assert ids(await ven.poll(wire.OadrDistributeEvent)) == ["a", "b"]


@pytest.mark.parametrize("make", [event, open_ended])
async def test_rule_047_052_a_cancellation_is_sent_until_it_is_answered(make: Any) -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(make())
        await ven.answer(await ven.poll(wire.OadrDistributeEvent))
        await vtn.cancel_event("e1")
        for _ in range(3):
            message = await ven.poll(wire.OadrDistributeEvent)
            assert statuses(message) == ["cancelled"]
            assert await ven.is_idle()
            await clock_of(vtn).advance(60)
        await ven.answer(message, "optOut")
        assert ids(await ven.request_events()) == []
        assert await ven.is_idle()


async def test_rule_063_a_ven_reads_of_no_other_ven() -> None:
    async with running() as vtn:
        one, two = await Ven(vtn).join("one"), await Ven(vtn).join("two")
        await vtn.add_event(event(target=Target(ven_ids=(one.ven_id, two.ven_id), group_ids=("g",))))
        for ven in (one, two):
            message = await ven.poll(wire.OadrDistributeEvent)
            assert message.events[0].target == wire.EiTarget(ven_id=(ven.ven_id,), group_id=("g",))


async def test_rule_066_an_event_is_listed_until_the_last_ven_may_have_ended_it() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event(start=SECOND - 59 * MINUTE, start_after=5 * MINUTE))
        await clock_of(vtn).advance(2 * MINUTE)
        assert statuses(await ven.request_events()) == ["completed"]
        await clock_of(vtn).advance(5 * MINUTE)
        assert statuses(await ven.request_events()) == []


async def test_rule_070_an_event_id_is_used_once() -> None:
    async with running() as vtn:
        await vtn.add_event(event())
        with pytest.raises(LocalProtocolError):
            await vtn.add_event(event(priority=1))


async def test_rule_007_113_506_a_20a_ven_gets_one_simple_signal_with_its_value() -> None:
    async with running() as vtn:
        price = Signal(signal_name="x-price", signal_type="price", signal_id="s2", intervals=(Interval(HOUR, 7.0),))
        await vtn.add_event(event(signals=(price, simple(2)), start=SECOND - MINUTE))
        ven_b, ven_a = await Ven(vtn).join(), Ven(vtn, "old")
        request = wire.OadrRequestEvent(schema_version=None, request_id="q", ven_id="old")
        message = await ven_a.send("EiEvent", request, wire.OadrDistributeEvent, "2.0a")
        [signal] = message.events[0].event_signals
        assert (signal.signal_name.upper(), signal.current_value) == ("SIMPLE", 2)
        _, body = await ven_a.post("EiEvent", request, "2.0a")
        assert b"schemaVersion" not in body
        assert len((await ven_b.request_events()).events[0].event_signals) == 2


async def test_rule_115_all_events_of_a_message_are_of_its_time() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event("a"))
        await clock_of(vtn).advance(MINUTE)
        await vtn.add_event(event("b"))
        await clock_of(vtn).advance(MINUTE)
        made = {each.event_descriptor.created_date_time for each in (await ven.request_events()).events}
        assert made == {SECOND + 2 * MINUTE}


# --- opts ---------------------------------------------------------------------------------------------------------


def opt(ven: Ven, **fields: Any) -> wire.OadrCreateOpt:
    available = wire.WsCalendarInterval(dtstart=SECOND, duration=HOUR)
    defaults: dict[str, Any] = {
        "opt_id": "o1",
        "opt_type": "optOut",
        "opt_reason": "economic",
        "ven_id": ven.ven_id,
        "created_date_time": SECOND,
        "request_id": "co",
        "target": wire.EiTarget(),
        "vavailability": (available,),
    }
    return wire.OadrCreateOpt(**(defaults | fields))


async def create_opt(ven: Ven, **fields: Any) -> wire.EiResponse:
    return (await ven.send("EiOpt", opt(ven, **fields), wire.OadrCreatedOpt)).response


async def cancel_opt(ven: Ven, opt_id: str = "o1", request_id: str = "x") -> wire.EiResponse:
    message = wire.OadrCancelOpt(request_id=request_id, opt_id=opt_id, ven_id=ven.ven_id)
    return (await ven.send("EiOpt", message, wire.OadrCanceledOpt)).response


async def test_rule_200_a_time_of_availability_has_no_tolerance() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        tolerant = wire.WsCalendarInterval(dtstart=SECOND, duration=HOUR, start_after=MINUTE)
        assert (await create_opt(ven, vavailability=(tolerant,))).response_code.startswith("4")
        assert await vtn.opts(ven.ven_id) == []


async def test_rule_203_a_new_schedule_supersedes_and_211_the_old_one_can_still_be_cancelled() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await create_opt(ven, opt_id="old")
        await create_opt(ven, opt_id="new")
        assert [each.opt_id for each in await vtn.opts(ven.ven_id)] == ["new"]
        assert (await cancel_opt(ven, "old")).response_code == "200"


async def test_rule_204_all_schedules_with_an_id_go_together() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await create_opt(ven)
        await create_opt(ven, opt_type="optIn")
        assert (await cancel_opt(ven)).response_code == "200"
        assert await vtn.opts(ven.ven_id) == []


async def test_rule_206_an_opt_of_an_event_stands_until_another_one() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        message = await ven.poll(wire.OadrDistributeEvent)
        about = {"vavailability": None, "event_id": "e1", "modification_number": 0}
        assert (await create_opt(ven, **about)).response_code == "200"
        await ven.answer(message, "optIn")
        assert [answer.opt_type for answer in await vtn.answers()] == [OptType.OUT]


async def test_rule_207_303_request_ids_are_echoed_also_empty_ones() -> None:
    vtn, ven = await offering()
    for request_id in ("mine", ""):
        assert (await create_opt(ven, request_id=request_id)).request_id == request_id
        assert (await cancel_opt(ven, request_id=request_id)).request_id == request_id
        assert (
            await create_report(ven, wanted("m", "METADATA"), request_id=request_id)
        ).response.request_id == request_id
    assert (await ven.register_reports()).response.request_id == "rr1"
    assert (await ven.update_report()).response.request_id == "u1"
    await vtn.stop()


async def test_rule_208_an_unknown_opt_is_452() -> None:
    async with running() as vtn:
        assert (await cancel_opt(await Ven(vtn).join(), "unknown")).response_code == "452"


async def test_rule_210_an_availability_without_duration_is_for_ever() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        endless = wire.WsCalendarInterval(dtstart=SECOND, duration=timedelta(0))
        await create_opt(ven, vavailability=(endless,))
        [kept] = await vtn.opts(ven.ven_id)
        assert [span.end for span in kept.availability] == [None]


async def test_rule_211_an_opt_of_an_event_is_not_cancelled() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        await create_opt(ven, vavailability=None, event_id="e1", modification_number=0)
        assert (await cancel_opt(ven)).response_code.startswith("4")
        assert len(await vtn.opts(ven.ven_id)) == 1


# --- reports ------------------------------------------------------------------------------------------------------


async def test_rule_300_317_340_the_vtn_asks_for_no_more_than_is_offered() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        for fields in (
            {"r_ids": ("other",)},
            {"report_back_duration": 2 * HOUR, "granularity": MINUTE},
            {"report_back_duration": MINUTE, "granularity": timedelta(seconds=1)},
        ):
            with pytest.raises(LocalProtocolError):
                await vtn.request_report(ven.ven_id, report_specifier_id="telemetry", **fields)
        assert await ven.is_idle()


async def test_rule_301_305_309_a_vtn_without_reports_says_so_first_after_a_registration() -> None:
    async with running() as vtn:
        await vtn.add_event(event())
        ven = Ven(vtn)
        await ven.register()
        offer = await ven.poll(wire.OadrRegisterReport)
        assert (offer.reports, offer.report_request_id) == ((), None)


@pytest.mark.parametrize("report", [data("q", 1.0, specifier="other"), data("q", 1.0), data("q", 1.0, r_id="other")])
async def test_rule_304_data_with_unknown_ids_is_452(report: wire.OadrReport) -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        assert (await ven.update_report(report)).response.response_code == "452"
        assert await vtn.readings(ven.ven_id) == []


async def test_rule_306_new_metadata_replaces_the_old_and_requests_are_made_again() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports(metadata("telemetry"), metadata("other"))
        request_id = await asked(vtn, ven)
        reply = await ven.register_reports(metadata("telemetry", "power", "energy"))
        assert [c.report_specifier_id for c in await vtn.capabilities(ven.ven_id)] == ["telemetry"]
        assert [request.report_request_id for request in reply.report_requests] == [request_id]
        assert [stored.confirmed for stored in await vtn.report_requests(ven.ven_id)] == [False]


async def test_rule_306_the_vtns_own_new_metadata_ends_what_was_asked_before() -> None:
    vtn, ven = await offering()
    await create_report(ven, periodic())
    await clock_of(vtn).advance(1)
    await create_report(ven, wanted("m", "METADATA"))
    await ven.take_offer()
    await clock_of(vtn).advance(HOUR)
    assert await ven.is_idle()
    await vtn.stop()


async def test_rule_311_312_313_metadata_has_the_ids_that_it_should() -> None:
    vtn, ven = await offering()
    await create_report(ven, wanted("m", "METADATA"))
    offer = await ven.take_offer()
    assert offer.report_request_id == "m"
    [report] = offer.reports
    assert (report.report_request_id, report.report_name) == ("0", "METADATA_TELEMETRY_USAGE")
    assert report.duration is not None
    assert (report.dtstart, report.intervals) == (None, ())
    await vtn.stop()


async def test_rule_313_data_has_a_start_and_the_bare_name() -> None:
    vtn, ven = await offering()
    await create_report(ven, wanted())
    [report] = (await ven.poll(wire.OadrUpdateReport)).reports
    assert (report.report_name, report.report_descriptions) == ("TELEMETRY_USAGE", ())
    assert report.dtstart == SECOND
    assert len(report.intervals) == 1
    await vtn.stop()


async def test_rule_318_a_missing_value_is_a_placeholder() -> None:
    vtn = server()
    vtn.add_report("tariff", points=[point()])
    ven = await Ven(vtn).join()
    await create_report(ven, wanted())
    [report] = (await ven.poll(wire.OadrUpdateReport)).reports
    [payload] = report.intervals[0].payloads
    assert isinstance(payload, wire.ReportPayload)
    assert payload.data_quality == "No Quality - No Value"
    await vtn.stop()


async def test_rule_321_325_338_a_request_says_when_and_nothing_that_it_should_not() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        await vtn.request_report(
            ven.ven_id, report_specifier_id="telemetry", granularity=MINUTE, report_back_duration=HOUR
        )
        specifier = (await ven.poll(wire.OadrCreateReport)).report_requests[0].report_specifier
        assert specifier.report_interval is not None
        assert (specifier.report_interval.dtstart, specifier.report_interval.duration) == (SECOND, timedelta(0))
        assert [(p.reading_type, p.item_base) for p in specifier.specifier_payloads] == [("x-notApplicable", None)]


async def test_rule_322_a_request_id_is_used_once() -> None:
    vtn, ven = await offering()
    await create_report(ven, periodic())
    reply = await create_report(ven, periodic(report_back_duration=10 * MINUTE))
    assert reply.response.response_code == "452"
    await vtn.stop()


async def test_rule_324_a_single_report_comes_once_and_at_once() -> None:
    vtn, ven = await offering()
    await create_report(ven, wanted())
    report = await ven.poll(wire.OadrUpdateReport)
    message = wire.OadrUpdatedReport(response=answer_to(report.request_id), ven_id=ven.ven_id)
    await ven.send("EiReport", message, wire.OadrResponse)
    await clock_of(vtn).advance(HOUR)
    assert await ven.is_idle()
    await vtn.stop()


async def test_rule_327_the_vtn_can_ask_for_metadata() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.request_report(ven.ven_id, report_specifier_id="METADATA")
        [request] = (await ven.poll(wire.OadrCreateReport)).report_requests
        specifier = request.report_specifier
        assert specifier.report_specifier_id == "METADATA"
        assert [payload.r_id for payload in specifier.specifier_payloads] == ["0"]


async def test_rule_328_a_cancellation_inside_an_answer_counts() -> None:
    vtn, ven = await offering()
    await create_report(ven, periodic())
    await vtn.publish_report("tariff", [Reading(r_id="price", start=SECOND, value=1.0)])
    report = await ven.poll(wire.OadrUpdateReport)
    stop = wire.OadrCancelReport(request_id="x", report_request_id=("q1",), report_to_follow=False, ven_id=ven.ven_id)
    message = wire.OadrUpdatedReport(response=answer_to(report.request_id), cancel_report=stop, ven_id=ven.ven_id)
    await ven.send("EiReport", message, wire.OadrResponse)
    await clock_of(vtn).advance(HOUR)
    assert await ven.is_idle()
    await vtn.stop()


async def test_rule_329_336_all_that_is_pending_is_listed_and_what_is_unknown_is_452() -> None:
    vtn, ven = await offering()
    assert (await create_report(ven, periodic("a"))).pending_reports == ("a",)
    assert (await create_report(ven, periodic("b"))).pending_reports == ("a", "b")
    stop = wire.OadrCancelReport(
        request_id="x", report_request_id=("a", "unknown"), report_to_follow=False, ven_id=ven.ven_id
    )
    reply = await ven.send("EiReport", stop, wire.OadrCanceledReport)
    assert (reply.response.response_code, reply.pending_reports) == ("452", ("b",))
    await vtn.stop()


async def test_rule_340_more_than_is_offered_is_454() -> None:
    vtn, ven = await offering()
    reply = await create_report(ven, periodic(report_back_duration=2 * HOUR))
    assert (reply.response.response_code, reply.pending_reports) == ("454", ())
    await vtn.stop()


async def test_rule_344_requests_inside_the_answer_to_metadata_are_served() -> None:
    vtn = server()
    vtn.add_report("tariff", points=[point()], source=lambda request: {"price": 1.0})
    ven = Ven(vtn)
    await ven.register()
    offer = await ven.poll(wire.OadrRegisterReport)
    message = wire.OadrRegisteredReport(
        response=answer_to(offer.request_id), report_requests=(wanted(),), ven_id=ven.ven_id
    )
    reply = await ven.send("EiReport", message, wire.OadrCreatedReport)
    assert reply.response.response_code == "200"
    await ven.poll(wire.OadrUpdateReport)
    await vtn.stop()


async def test_rule_345_exactly_one_report_follows_a_cancellation_that_wants_it() -> None:
    vtn, ven = await offering()
    await create_report(ven, periodic())
    stop = wire.OadrCancelReport(request_id="x", report_request_id=("q1",), report_to_follow=True, ven_id=ven.ven_id)
    await ven.send("EiReport", stop, wire.OadrCanceledReport)
    report = await ven.poll(wire.OadrUpdateReport)
    message = wire.OadrUpdatedReport(response=answer_to(report.request_id), ven_id=ven.ven_id)
    await ven.send("EiReport", message, wire.OadrResponse)
    await clock_of(vtn).advance(HOUR)
    assert await ven.is_idle()
    await vtn.stop()


async def test_rule_346_a_value_that_comes_again_replaces_the_old_one() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        request_id = await asked(vtn, ven)
        for values in ((1.0, 2.0), (1.0, 2.0), (5.0,)):
            assert (await ven.update_report(data(request_id, *values))).response.response_code == "200"
        assert [stored.reading.value for stored in await vtn.readings(ven.ven_id)] == [5.0, 2.0]


# --- registration -------------------------------------------------------------------------------------------------


async def test_rule_400_wrong_ids_are_452() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        reply = await Ven(vtn).register(None, ven_id=ven.ven_id, registration_id="wrong")
        assert reply.response.response_code == "452"
        message = wire.OadrCancelPartyRegistration(request_id="x", registration_id="wrong", ven_id=ven.ven_id)
        cancelled = await ven.send("EiRegisterParty", message, wire.OadrCanceledPartyRegistration)
        assert cancelled.response.response_code == "452"
        assert await ven.is_idle()


async def test_rule_403_a_registration_is_answered_with_everything() -> None:
    async with running() as vtn:
        reply = await Ven(vtn).register()
        assert None not in (reply.registration_id, reply.ven_id, reply.requested_oadr_poll_freq)
        found = {(profile.profile_name, profile.transports) for profile in reply.profiles}
        assert found == {("2.0a", ("simpleHttp",)), ("2.0b", ("simpleHttp",))}


async def test_rule_404_a_query_is_answered_without_ids() -> None:
    async with running() as vtn:
        message = wire.OadrQueryRegistration(request_id="x")
        reply = await Ven(vtn).send("EiRegisterParty", message, wire.OadrCreatedPartyRegistration)
        assert (reply.response.response_code, reply.ven_id, reply.registration_id) == ("200", None, None)


async def test_rule_405_registering_again_keeps_reports_and_needs_no_metadata() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        await asked(vtn, ven)
        await vtn.request_reregistration(ven.ven_id)
        assert (await ven.poll(wire.Message)).message_type == REREGISTERED
        await ven.register(ven_id=ven.ven_id, registration_id=ven.registration_id)
        assert len(await vtn.report_requests(ven.ven_id)) == 1
        assert await ven.is_idle()


async def test_rule_406_registering_anew_wipes_reports_and_registration() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        await asked(vtn, ven)
        old = ven.registration_id
        await ven.register()
        assert await vtn.report_requests(ven.ven_id) == []
        assert await vtn.capabilities(ven.ven_id) == []
        reply = await Ven(vtn).register(None, ven_id=ven.ven_id, registration_id=old)
        assert reply.response.response_code == "452"


async def test_rule_407_after_a_cancellation_nothing_is_left() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        await asked(vtn, ven)
        message = wire.OadrCancelPartyRegistration(
            request_id="x", registration_id=ven.registration_id, ven_id=ven.ven_id
        )
        await ven.send("EiRegisterParty", message, wire.OadrCanceledPartyRegistration)
        assert await vtn.report_requests(ven.ven_id) == []
        assert (await ven.poll(wire.OadrResponse)).response.response_code == "463"


# --- in general ---------------------------------------------------------------------------------------------------


async def test_rule_500_one_message_for_each_poll_until_the_blank_response() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        await vtn.add_event(event())
        await vtn.request_report(ven.ven_id, report_specifier_id="telemetry")
        await vtn.request_reregistration(ven.ven_id)
        kinds = [(await ven.poll(wire.Message)).message_type for _ in range(4)]
        assert kinds == ["oadrDistributeEvent", "oadrCreateReport", REREGISTERED, "oadrResponse"]


async def test_rule_500_logical_replies_may_come_in_any_order() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        requests = [await vtn.request_report(ven.ven_id, report_specifier_id="telemetry") for _ in range(2)]
        questions = [await ven.poll(wire.OadrCreateReport) for _ in range(2)]
        for question, request in reversed(list(zip(questions, requests, strict=True))):
            reply = await ven.created_report(question.request_id, request.report_request_id)
            assert reply.response.response_code == "200"
        assert [stored.confirmed for stored in await vtn.report_requests(ven.ven_id)] == [True, True]
        assert await ven.is_idle()


async def test_rule_502_a_change_of_status_is_not_sent() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event(ramp_up=MINUTE))
        await ven.answer(await ven.poll(wire.OadrDistributeEvent))
        for _ in range(3):
            await clock_of(vtn).advance(40 * MINUTE)
            assert await ven.is_idle()


async def test_rule_508_a_message_without_a_ven_id_is_452() -> None:
    async with running() as vtn:
        await Ven(vtn).join()
        message = wire.OadrRegisterReport(request_id="x")
        reply = await Ven(vtn).send("EiReport", message, wire.OadrRegisteredReport)
        assert reply.response.response_code == "452"


async def test_rule_045_509_messages_name_the_schemas_version_and_no_place_of_it() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        for _ in range(2):
            _, body = await ven.post("OadrPoll", wire.OadrPoll(ven_id=ven.ven_id))
            assert b'schemaVersion="2.0b"' in body
            assert b"schemaLocation" not in body
            if not await vtn.events():
                await vtn.add_event(event())


async def test_rule_512_ids_are_case_sensitive() -> None:
    async with running() as vtn:
        ven = Ven(vtn)
        await ven.register(None, ven_id="Ven")
        assert (await Ven(vtn, "ven").poll(wire.OadrResponse)).response.response_code == "463"
        assert (await Ven(vtn).register(None, ven_id="ven")).ven_id == "ven"
        assert {known.ven_id for known in vtn.vens} == {"Ven", "ven"}


async def test_rule_021_033_517_errors_come_in_the_fitting_reply_with_http_200() -> None:
    async with running() as vtn:
        status, body = await vtn.handle(
            "/OpenADR2/Simple/2.0b/EiEvent", encode(wire.OadrRequestEvent(request_id="x", ven_id="nobody"))
        )
        message = decode(body).message
        response = faults.response_of(message)
        assert response is not None
        assert (status, message.message_type) == (200, "oadrDistributeEvent")
        assert (response.response_code, response.request_id) == ("463", "x")
