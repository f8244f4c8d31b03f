"""The rules on no single service that a VTN follows, each seen from outside by a VEN made by hand."""

from __future__ import annotations

from pyopenadr.v2 import decode, encode, faults, wire
from tests.conformance.scene import (
    REREGISTERED,
)
from tests.unit.vtn.sample import (
    MINUTE,
    Ven,
    clock_of,
    event,
    running,
)


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
        await vtn.add_event(event(ramp_up=MINUTE))
        await ven.answer(await ven.poll(wire.OadrDistributeEvent))
        for _ in range(3):
            await clock_of(vtn).advance(40 * MINUTE)
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
