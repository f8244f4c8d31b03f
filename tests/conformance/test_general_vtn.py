"""The rules on no single service that a VTN follows, each seen from outside by a VEN made by hand."""

from __future__ import annotations

import pytest

from pyopenadr.errors import LocalProtocolError
from pyopenadr.model import Interval, Signal, Target
from pyopenadr.v2 import decode, encode, faults, wire
from tests.conformance.scene import (
    REREGISTERED,
)
from tests.unit.v2.sample import EURO_PER_KWH
from tests.unit.vtn.sample import (
    HOUR,
    KILOWATT,
    MINUTE,
    SECOND,
    Ven,
    clock_of,
    event,
    ids,
    running,
    wanted,
)
from tests.unit.vtn.test_push import join, pushing


async def test_rule_500_vtn_one_message_for_each_poll_until_the_blank_response() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        await vtn.add_event(event())
        await vtn.request_report(ven.ven_id, report_specifier_id="telemetry")
        await vtn.request_reregistration(ven.ven_id)
        kinds = [(await ven.poll(wire.Message)).message_type for _ in range(4)]
        assert kinds == ["oadrDistributeEvent", "oadrCreateReport", REREGISTERED, "oadrResponse"]


async def test_rule_500_vtn_logical_replies_may_come_in_any_order() -> None:
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


async def test_rule_502_vtn_a_change_of_status_is_not_sent() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(start=SECOND + 2 * MINUTE, intervals=[(MINUTE, 1)], ramp_up=MINUTE)
        await ven.answer(await ven.poll(wire.OadrDistributeEvent))
        for _ in range(4):
            await clock_of(vtn).advance(50)
            assert await ven.is_idle()


async def test_rule_508_vtn_a_message_without_a_ven_id_is_452() -> None:
    async with running() as vtn:
        await Ven(vtn).join()
        message = wire.OadrRegisterReport(request_id="x")
        reply = await Ven(vtn).send("EiReport", message, wire.OadrRegisteredReport)
        assert reply.response.response_code == "452"


async def test_rule_045_509_vtn_messages_name_the_schemas_version_and_no_place_of_it() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        for _ in range(2):
            _, body = await ven.post("OadrPoll", wire.OadrPoll(ven_id=ven.ven_id))
            assert b'schemaVersion="2.0b"' in body
            assert b"schemaLocation" not in body
            if not await vtn.events():
                await vtn.add_event(event())


async def test_rule_512_vtn_ids_are_case_sensitive() -> None:
    async with running() as vtn:
        ven = Ven(vtn)
        await ven.register(None, ven_id="Ven")
        assert (await Ven(vtn, "ven").poll(wire.OadrResponse)).response.response_code == "463"
        assert (await Ven(vtn).register(None, ven_id="ven")).ven_id == "ven"
        assert {known.ven_id for known in vtn.vens} == {"Ven", "ven"}


async def test_rule_021_033_517_vtn_errors_come_in_the_fitting_reply_with_http_200() -> None:
    async with running() as vtn:
        status, body = await vtn.handle(
            "/OpenADR2/Simple/2.0b/EiEvent", encode(wire.OadrRequestEvent(request_id="x", ven_id="nobody"))
        )
        message = decode(body).message
        response = faults.response_of(message)
        assert response is not None
        assert (status, message.message_type) == (200, "oadrDistributeEvent")
        assert (response.response_code, response.request_id) == ("463", "x")


async def test_rule_501_511_vtn_polls_have_a_service_of_their_own_under_equal_addresses() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        body = encode(wire.OadrPoll(ven_id=ven.ven_id))
        for path in (
            "/OpenADR2/Simple/2.0b/OadrPoll",
            "/some/where/OpenADR2/Simple/2.0b/OadrPoll",
            "/OpenADR2/./Simple/x/../2.0b/OadrPoll",
            "/%4FpenADR2/Simple/2.0b/OadrPoll",
        ):
            status, reply = await vtn.handle(path, body)
            assert (status, decode(reply).message.message_type) == (200, "oadrResponse")
        assert (await vtn.handle("/OpenADR2/Simple/2.0b/OadrPolls", body))[0] == 404


async def test_rule_500_vtn_an_unknown_ven_is_told_so_by_oadr_response() -> None:
    async with running() as vtn:
        await Ven(vtn).join()
        assert (await Ven(vtn, "nobody").poll(wire.OadrResponse)).response.response_code in ("452", "463")


async def test_rule_508_vtn_what_it_sends_names_the_ven_where_it_can() -> None:
    async with running() as vtn:
        ven = Ven(vtn)
        await ven.register()
        assert (await ven.poll(wire.OadrRegisterReport)).ven_id == ven.ven_id


async def test_rule_502_vtn_a_list_by_poll_is_always_complete() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        for event_id in ("a", "b"):
            await vtn.add_event(event(event_id))
            await ven.answer(await ven.poll(wire.OadrDistributeEvent))
        await vtn.change_event("b", priority=1)
        assert ids(await ven.poll(wire.OadrDistributeEvent)) == ["a", "b"]


async def test_rule_510_vtn_the_least_that_a_vtn_can_do() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        for name, kind, unit in (
            ("SIMPLE", "level", None),
            ("ELECTRICITY_PRICE", "price", EURO_PER_KWH),
            ("LOAD_DISPATCH", "setpoint", KILOWATT),
        ):
            signal = Signal(
                signal_name=name, signal_type=kind, signal_id="s", unit=unit, intervals=(Interval(HOUR, 1.0),)
            )
            target = Target(ven_ids=(ven.ven_id,), resource_ids=("boiler",))
            await vtn.add_event(event(name, signals=(signal,), target=target))
        message = await ven.request_events()
        assert sorted(ids(message)) == ["ELECTRICITY_PRICE", "LOAD_DISPATCH", "SIMPLE"]
        assert {each.target for each in message.events} == {
            wire.EiTarget(ven_id=(ven.ven_id,), resource_id=("boiler",))
        }
        # Without reports of its own, a request for periodic METADATA is served once.
        request = wanted("m", "METADATA", report_back_duration=MINUTE)
        created = wire.OadrCreateReport(request_id="c", report_requests=(request,), ven_id=ven.ven_id)
        assert (await ven.send("EiReport", created, wire.OadrCreatedReport)).response.response_code == "200"
        assert (await ven.take_offer()).report_request_id == "m"
        await ven.answer(message)
        await clock_of(vtn).advance(2 * MINUTE)
        assert await ven.is_idle()


async def test_rule_051_vtn_a_pushed_ven_is_called_and_does_not_poll() -> None:
    async with pushing() as (vtn, other):
        pulling = await Ven(vtn).join("pulls")
        pushed = await join(vtn)
        await vtn.add_event(event())
        await clock_of(vtn).advance(5)
        assert other.kinds == ["oadrRegisterReport", "oadrDistributeEvent"]
        assert {url.split("/")[2] for url, _ in other.log} == {"ven.example:8443"}
        assert ids(await pulling.poll(wire.OadrDistributeEvent)) == ["e1"]
        assert ids(await pushed.request_events()) == ["e1"]


async def test_rule_038_vtn_it_answers_polls_and_pushes_over_http() -> None:
    async with pushing() as (vtn, other):
        pulling = await Ven(vtn).join("pulls")
        await join(vtn)
        await vtn.add_event(event())
        await clock_of(vtn).advance(5)
        [pushed] = other.got(wire.OadrDistributeEvent)
        pulled = await pulling.poll(wire.OadrDistributeEvent)
        assert ids(pushed) == ids(pulled) == ["e1"]
        assert (pushed.response, pulled.response is None) == (None, False)


async def test_rule_512_vtn_market_contexts_are_compared_as_uris() -> None:
    async with running(overlap="refuse") as vtn:
        await vtn.add_event(event("a", market_context="http://market.example/a"))
        with pytest.raises(LocalProtocolError, match="overlaps with a"):
            await vtn.add_event(event("b", market_context="HTTP://Market.Example:80/%61"))
        await vtn.add_event(event("c", market_context="http://market.example/A"))
