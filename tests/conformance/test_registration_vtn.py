"""The rules on registration that a VTN follows, each seen from outside by a VEN made by hand."""

from __future__ import annotations

from pyopenadr.v2 import wire
from tests.conformance.scene import (
    REREGISTERED,
    asked,
)
from tests.unit.vtn.sample import (
    Ven,
    answer_to,
    running,
)


async def test_rule_400_vtn_wrong_ids_are_452() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        reply = await Ven(vtn).register(None, ven_id=ven.ven_id, registration_id="wrong")
        assert reply.response.response_code == "452"
        message = wire.OadrCancelPartyRegistration(request_id="x", registration_id="wrong", ven_id=ven.ven_id)
        cancelled = await ven.send("EiRegisterParty", message, wire.OadrCanceledPartyRegistration)
        assert cancelled.response.response_code == "452"
        assert await ven.is_idle()


async def test_rule_403_vtn_a_registration_is_answered_with_everything() -> None:
    async with running() as vtn:
        reply = await Ven(vtn).register()
        assert None not in (reply.registration_id, reply.ven_id, reply.requested_oadr_poll_freq)
        found = {(profile.profile_name, profile.transports) for profile in reply.profiles}
        assert found == {("2.0a", ("simpleHttp",)), ("2.0b", ("simpleHttp",))}


async def test_rule_404_vtn_a_query_is_answered_without_ids() -> None:
    async with running() as vtn:
        message = wire.OadrQueryRegistration(request_id="x")
        reply = await Ven(vtn).send("EiRegisterParty", message, wire.OadrCreatedPartyRegistration)
        assert (reply.response.response_code, reply.ven_id, reply.registration_id) == ("200", None, None)


async def test_rule_405_vtn_registering_again_keeps_reports_and_needs_no_metadata() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await ven.register_reports()
        await asked(vtn, ven)
        await vtn.request_reregistration(ven.ven_id)
        assert (await ven.poll(wire.Message)).message_type == REREGISTERED
        await ven.register(ven_id=ven.ven_id, registration_id=ven.registration_id)
        assert len(await vtn.report_requests(ven.ven_id)) == 1
        assert await ven.is_idle()


async def test_rule_406_vtn_registering_anew_wipes_reports_and_registration() -> None:
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


async def test_rule_407_vtn_after_a_cancellation_nothing_is_left() -> None:
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


async def test_rule_401_vtn_it_asks_for_a_new_registration_and_never_registers_itself() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.request_reregistration(ven.ven_id)
        assert (await ven.poll(wire.OadrRequestReregistration)).ven_id == ven.ven_id
        done = wire.OadrResponse(response=answer_to(), ven_id=ven.ven_id)
        assert await ven.post("EiRegisterParty", done) == (200, b"")
        await vtn.cancel_registration(ven.ven_id)
        cancel = await ven.poll(wire.OadrCancelPartyRegistration)
        assert cancel.registration_id == ven.registration_id
        answer = wire.OadrCanceledPartyRegistration(
            response=answer_to(cancel.request_id), registration_id=cancel.registration_id, ven_id=ven.ven_id
        )
        await ven.send("EiRegisterParty", answer, wire.OadrResponse)
        assert (await ven.poll(wire.OadrResponse)).response.response_code == "463"
        assert (await ven.register()).response.response_code == "200"
