"""Reports of VENs: what they offer, what they are asked for, what they deliver."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.errors import ConfigError, LocalProtocolError, StoreError
from pyopenadr.model import ReportRequest, ResourceStatus
from pyopenadr.store import MemoryStore, Store
from pyopenadr.v2 import wire
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
    data,
    metadata,
    running,
    server,
)


async def reporting(vtn: OpenADRServer, *reports: wire.OadrReport) -> Ven:
    """A VEN that has said what it can report."""
    ven = await Ven(vtn).join()
    await ven.register_reports(*reports)
    return ven


async def request(vtn: OpenADRServer, ven: Ven, **fields: Any) -> ReportRequest:
    """A periodic request, unless told otherwise."""
    defaults: dict[str, Any] = {"granularity": MINUTE, "report_back_duration": 5 * MINUTE}
    return await vtn.request_report(ven.ven_id, **({"report_specifier_id": "telemetry"} | defaults | fields))


async def values(vtn: OpenADRServer, ven: Ven, **filters: Any) -> list[float | ResourceStatus]:
    return [stored.reading.value for stored in await vtn.readings(ven.ven_id, **filters)]


async def confirmations(vtn: OpenADRServer, ven: Ven) -> dict[str, bool]:
    return {s.request.report_request_id: s.confirmed for s in await vtn.report_requests(ven.ven_id)}


# --- asking -------------------------------------------------------------------------------------------------------


async def test_the_whole_ceremony_survives_a_restart_at_every_step(store: Store | str) -> None:
    vtn = server(store)
    ven = await reporting(vtn)
    assert [c.report_name for c in await vtn.capabilities(ven.ven_id)] == ["TELEMETRY_USAGE"]
    vtn = await again(vtn, store)
    ven.vtn = vtn
    asked = await request(vtn, ven)
    vtn = await again(vtn, store)
    ven.vtn = vtn
    question = await ven.poll(wire.OadrCreateReport)
    [sent] = question.report_requests
    assert sent.report_specifier.report_back_duration == 5 * MINUTE
    assert sent.report_specifier.report_interval is not None
    assert sent.report_specifier.report_interval.dtstart == NOW.replace(microsecond=0)
    vtn = await again(vtn, store)
    ven.vtn = vtn
    question = await ven.poll(wire.OadrCreateReport)  # because the reply may have been lost
    assert await confirmations(vtn, ven) == {asked.report_request_id: False}
    for _ in range(2):  # the second time because the reply is lost
        reply = await ven.created_report(question.request_id, asked.report_request_id)
        assert reply.response.response_code == "200"
    vtn = await again(vtn, store)
    ven.vtn = vtn
    assert await ven.is_idle()
    assert await confirmations(vtn, ven) == {asked.report_request_id: True}
    for _ in range(2):
        updated = await ven.update_report(data(asked.report_request_id, 1.5, 2.5))
        assert (updated.response.response_code, updated.response.request_id) == ("200", "u1")
    vtn = await again(vtn, store)
    assert await values(vtn, ven) == [1.5, 2.5]
    assert await values(vtn, ven, start=NOW) == [2.5]
    with pytest.raises(ConfigError):
        await vtn.readings(ven.ven_id, begin=NOW)
    await vtn.stop()


async def test_requests_of_a_handler_go_inside_the_reply_and_wait_until_they_are_confirmed() -> None:
    asked = ReportRequest(report_request_id="q1", report_specifier_id="telemetry", r_ids=("power",))
    async with running(on_register_report=lambda payload: asked) as vtn:
        ven = await Ven(vtn).join()
        reply = await ven.register_reports()
        assert [r.report_request_id for r in reply.report_requests] == ["q1"]
        assert (await ven.poll(wire.OadrCreateReport)).report_requests == reply.report_requests
        await ven.created_report("rr1", "q1")  # the VEN quotes its own request, for want of another
        await clock_of(vtn).advance(120)
        assert await ven.is_idle()
        assert await confirmations(vtn, ven) == {"q1": True}


async def test_a_message_of_the_users_own_is_remembered_as_a_request() -> None:
    def register(payload: wire.OadrRegisterReport) -> wire.OadrRegisteredReport:
        specifier = wire.ReportSpecifier(
            report_specifier_id="telemetry",
            granularity=timedelta(0),
            report_back_duration=timedelta(0),
            specifier_payloads=(wire.SpecifierPayload(r_id="power", reading_type="x-notApplicable"),),
        )
        asked = wire.ReportRequest(report_request_id="mine", report_specifier=specifier)
        return wire.OadrRegisteredReport(response=answer_to(payload.request_id), report_requests=(asked,))

    async with running(on_register_report=register) as vtn:
        ven = await reporting(vtn)
        assert (await ven.update_report(data("mine", 7.0))).response.response_code == "200"
        assert await values(vtn, ven) == [7.0]


@pytest.mark.parametrize(
    "answer", ["q1", 7, [7], [ReportRequest(report_request_id="q", report_specifier_id="x", r_ids=())]]
)
async def test_a_handler_that_asks_for_nonsense_is_an_error_and_changes_nothing(answer: object) -> None:
    async with running(on_register_report=lambda payload: answer) as vtn:
        ven = await Ven(vtn).join()
        reply = await ven.register_reports()
        assert reply.response.response_code == "500"
        assert await vtn.capabilities(ven.ven_id) == []


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"report_specifier_id": "other"}, LocalProtocolError),
        ({"report_specifier_id": None}, ConfigError),
        ({"r_ids": ["other"]}, LocalProtocolError),
        ({"r_ids": [7]}, ConfigError),
        ({"granularity": timedelta(seconds=1)}, LocalProtocolError),
        ({"report_back_duration": 2 * HOUR}, LocalProtocolError),
    ],
)
async def test_nobody_is_asked_for_more_than_it_offers(fields: dict[str, Any], error: type[Exception]) -> None:
    async with running() as vtn:
        ven = await reporting(vtn)
        with pytest.raises(error):
            await request(vtn, ven, **fields)
        assert await vtn.report_requests(ven.ven_id) == []
        assert await ven.is_idle()


async def test_a_request_id_in_force_is_not_used_again() -> None:
    async with running() as vtn:
        ven = await reporting(vtn)
        asked = await request(vtn, ven, r_ids="power")
        assert asked.r_ids == ("power",)
        with pytest.raises(LocalProtocolError, match="in force"):
            await vtn.request_report(ven.ven_id, asked)


async def test_a_refused_request_is_dropped() -> None:
    async with running() as vtn:
        ven = await reporting(vtn)
        kept = await request(vtn, ven)
        await ven.created_report((await ven.poll(wire.OadrCreateReport)).request_id, kept.report_request_id)
        await request(vtn, ven)
        question = await ven.poll(wire.OadrCreateReport)
        reply = await ven.created_report(question.request_id, kept.report_request_id, code="454")
        assert reply.response.response_code == "200"
        assert await confirmations(vtn, ven) == {kept.report_request_id: True}
        await clock_of(vtn).advance(120)
        assert await ven.is_idle()


async def test_a_refused_repetition_leaves_the_request_in_force() -> None:
    async with running() as vtn:
        ven = await reporting(vtn)
        asked = await request(vtn, ven)
        question = await ven.poll(wire.OadrCreateReport)
        await ven.created_report(question.request_id, asked.report_request_id, code="452")
        assert await confirmations(vtn, ven) == {asked.report_request_id: False}
        assert await ven.is_idle()


async def test_a_ven_that_fails_on_a_request_is_asked_again() -> None:
    async with running() as vtn:
        ven = await reporting(vtn)
        asked = await request(vtn, ven)
        await ven.created_report((await ven.poll(wire.OadrCreateReport)).request_id, code="500")
        await clock_of(vtn).advance(60)
        question = await ven.poll(wire.OadrCreateReport)
        assert [r.report_request_id for r in question.report_requests] == [asked.report_request_id]


@pytest.mark.parametrize("code", ["200", "459"])
async def test_a_plain_response_answers_a_request(code: str) -> None:
    async with running() as vtn:
        ven = await reporting(vtn)
        asked = await request(vtn, ven)
        question = await ven.poll(wire.OadrCreateReport)
        message = wire.OadrResponse(response=answer_to(question.request_id, code), ven_id=ven.ven_id)
        assert await ven.post("EiReport", message) == (200, b"")
        assert await ven.is_idle()
        assert await confirmations(vtn, ven) == ({asked.report_request_id: True} if code == "200" else {})


async def test_whoever_delivers_has_the_request() -> None:
    async with running() as vtn:
        ven = await reporting(vtn)
        first, second = await request(vtn, ven), await request(vtn, ven)
        await ven.update_report(data(first.report_request_id, 1.0))
        assert (await confirmations(vtn, ven))[first.report_request_id]
        question = await ven.poll(wire.OadrCreateReport)
        assert [r.report_request_id for r in question.report_requests] == [second.report_request_id]
        assert await ven.is_idle()


async def test_a_late_answer_to_one_question_does_not_answer_another() -> None:
    async with running() as vtn:
        ven = await reporting(vtn)
        first = await request(vtn, ven)
        answered = (await ven.poll(wire.OadrCreateReport)).request_id
        await ven.created_report(answered, first.report_request_id)
        await request(vtn, ven)
        await ven.poll(wire.OadrCreateReport)  # lost
        await ven.created_report(answered, first.report_request_id)  # once more
        await clock_of(vtn).advance(60)
        await ven.poll(wire.OadrCreateReport)


async def test_a_reply_without_a_request_id_answers_the_oldest_question() -> None:
    async with running() as vtn:
        ven = await reporting(vtn)
        await request(vtn, ven, report_back_duration=timedelta(0), granularity=timedelta(0))
        await ven.poll(wire.OadrCreateReport)
        await ven.created_report("")
        await clock_of(vtn).advance(60)
        assert await ven.is_idle()


# --- registering again --------------------------------------------------------------------------------------------


async def test_new_metadata_has_the_requests_made_again_where_they_fit(store: Store | str) -> None:
    vtn = server(store)
    ven = await reporting(vtn, metadata("telemetry"), metadata("other"))
    fits, single = await request(vtn, ven), await request(vtn, ven, report_back_duration=timedelta(0))
    await request(vtn, ven, report_specifier_id="other")
    reply = await ven.register_reports(metadata("telemetry"))
    again_asked = {fits.report_request_id, single.report_request_id}
    assert {r.report_request_id for r in reply.report_requests} == again_asked
    # The reply is lost, the VTN restarts, and the VEN registers once more.
    vtn = await again(vtn, store)
    ven.vtn = vtn
    reply = await ven.register_reports(metadata("telemetry"))
    assert {r.report_request_id for r in reply.report_requests} == again_asked
    assert await confirmations(vtn, ven) == dict.fromkeys(again_asked, False)
    question = await ven.poll(wire.OadrCreateReport)
    assert {r.report_request_id for r in question.report_requests} == again_asked
    assert await ven.is_idle()
    await vtn.stop()


@pytest.mark.parametrize("step", ["add_outgoing", "save_capabilities", "save_requests", "remove_outgoing"])
@pytest.mark.parametrize("when", ["fails", "fails_after"])
async def test_no_request_is_lost_when_the_store_fails_while_a_ven_registers_its_reports(step: str, when: str) -> None:
    kept = MemoryStore()
    store = Broken(kept)
    vtn = server(store)
    ven = await reporting(vtn)
    asked = await request(vtn, ven)
    await ven.created_report((await ven.poll(wire.OadrCreateReport)).request_id, asked.report_request_id)
    getattr(store, when)[step] = StoreError("the disk is full")
    reply = await ven.register_reports()
    assert reply.response.response_code == "500"
    vtn = await again(vtn, kept)  # as if it had been killed there
    ven.vtn = vtn
    reply = await ven.register_reports()
    assert [r.report_request_id for r in reply.report_requests] == [asked.report_request_id]
    await ven.created_report("rr1", asked.report_request_id)
    assert await confirmations(vtn, ven) == {asked.report_request_id: True}
    assert await ven.is_idle()
    await vtn.stop()


async def test_the_list_of_reports_can_be_asked_for() -> None:
    async with running() as vtn:
        ven = await reporting(vtn)
        asked = await vtn.request_report(ven.ven_id, report_specifier_id="METADATA")
        question = await ven.poll(wire.OadrCreateReport)
        [sent] = question.report_requests
        assert sent.report_specifier.report_specifier_id == "METADATA"
        await ven.register_reports(metadata("new"), report_request_id=asked.report_request_id)
        assert [c.report_specifier_id for c in await vtn.capabilities(ven.ven_id)] == ["new"]
        assert await ven.is_idle()


# --- delivering ---------------------------------------------------------------------------------------------------


async def test_a_single_report_fulfils_its_request_also_if_it_comes_twice() -> None:
    async with running() as vtn:
        ven = await reporting(vtn)
        asked = await request(vtn, ven, report_back_duration=timedelta(0), granularity=timedelta(0))
        await ven.poll(wire.OadrCreateReport)
        for _ in range(2):
            reply = await ven.update_report(data(asked.report_request_id, 1.0))
            assert reply.response.response_code == "200"
        assert await vtn.report_requests(ven.ven_id) == []
        assert await ven.is_idle()


@pytest.mark.parametrize(
    "wrong",
    [{"specifier": "other"}, {"r_id": "other"}, {"report_request_id": "other"}],
)
async def test_data_that_nobody_asked_for_is_refused_as_a_whole(wrong: dict[str, str]) -> None:
    async with running() as vtn:
        ven = await reporting(vtn)
        asked = await request(vtn, ven)
        fields = {"report_request_id": asked.report_request_id} | wrong
        good = data(asked.report_request_id, 1.0)
        reply = await ven.update_report(good, data(fields.pop("report_request_id"), 2.0, **fields))  # type: ignore[arg-type]  # texts
        assert reply.response.response_code == "452"
        assert await values(vtn, ven) == []


async def test_status_and_missing_values_are_kept(store: Store | str) -> None:
    vtn = server(store)
    ven = await reporting(vtn)
    asked = await request(vtn, ven)
    report = data(asked.report_request_id, math.nan)
    status = wire.ReportPayload(r_id="power", value=wire.ResourceStatus(online=True, manual_override=False))
    interval = wire.Interval(dtstart=NOW.replace(microsecond=0) + MINUTE, payloads=(status,))
    both = wire.OadrReport(**{**dict(report.items()), "intervals": (*report.intervals, interval)})
    assert (await ven.update_report(both)).response.response_code == "200"
    missing, state = await values(vtn, ven)
    assert isinstance(missing, float)
    assert math.isnan(missing)
    assert state == ResourceStatus(online=True, manual_override=False)
    await vtn.stop()


async def test_a_handler_takes_the_place_of_the_store_and_of_its_checks() -> None:
    seen: list[wire.OadrUpdateReport] = []
    async with running(on_update_report=seen.append) as vtn:
        ven = await Ven(vtn).join()
        assert (await ven.update_report(data("anything", 1.0))).response.response_code == "200"
        assert seen[0]["reports"][0]["intervals"][0]["payloads"][0]["value"] == 1.0
        assert await values(vtn, ven) == []


async def test_an_acknowledgement_means_that_it_is_kept() -> None:
    store = Broken(MemoryStore())
    async with running(store) as vtn:
        ven = await reporting(vtn)
        asked = await request(vtn, ven)
        store.fails["save_readings"] = StoreError("the disk is full")
        assert (await ven.update_report(data(asked.report_request_id, 1.0))).response.response_code == "500"
        store.fails.clear()
        assert (await ven.update_report(data(asked.report_request_id, 1.0))).response.response_code == "200"
        assert await values(vtn, ven) == [1.0]


# --- cancelling ---------------------------------------------------------------------------------------------------


async def test_a_report_is_cancelled_when_the_ven_has_answered(store: Store | str) -> None:
    vtn = server(store)
    ven = await reporting(vtn)
    asked = await request(vtn, ven)
    await ven.created_report((await ven.poll(wire.OadrCreateReport)).request_id, asked.report_request_id)
    await vtn.cancel_report(ven.ven_id, asked.report_request_id)
    assert await vtn.report_requests(ven.ven_id) == []
    vtn = await again(vtn, store)
    ven.vtn = vtn
    order = await ven.poll(wire.OadrCancelReport)
    assert (order.report_request_id, order.report_to_follow) == ((asked.report_request_id,), False)
    done = wire.OadrCanceledReport(response=answer_to(order.request_id), pending_reports=(), ven_id=ven.ven_id)
    for _ in range(2):
        assert (await ven.send("EiReport", done, wire.OadrResponse)).response.response_code == "200"
    assert await ven.is_idle()
    await vtn.stop()


async def test_a_cancelled_request_is_not_asked_for_any_more() -> None:
    async with running() as vtn:
        ven = await reporting(vtn)
        one = await request(vtn, ven)
        await vtn.cancel_report(ven.ven_id, one.report_request_id)
        assert (await ven.poll(wire.OadrCancelReport)).report_request_id == (one.report_request_id,)
        reply = await ven.register_reports()
        assert reply.report_requests == ()
        assert await ven.is_idle()  # the VEN has forgotten all requests by that


async def test_a_last_report_may_follow_also_after_a_restart(store: Store | str) -> None:
    vtn = server(store)
    ven = await reporting(vtn)
    asked = await request(vtn, ven)
    await vtn.cancel_report(ven.ven_id, asked.report_request_id, one_more=True)
    order = await ven.poll(wire.OadrCancelReport)
    assert order.report_to_follow
    done = wire.OadrCanceledReport(
        response=answer_to(order.request_id), pending_reports=(asked.report_request_id,), ven_id=ven.ven_id
    )
    await ven.send("EiReport", done, wire.OadrResponse)
    vtn = await again(vtn, store)
    ven.vtn = vtn
    assert (await ven.update_report(data(asked.report_request_id, 9.0))).response.response_code == "200"
    assert await values(vtn, ven) == [9.0]
    assert await vtn.report_requests(ven.ven_id) == []
    await vtn.stop()
