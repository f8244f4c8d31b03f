"""What every message has in common: who may send it, where it belongs, and how an error looks."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pyopenadr.v2 import decode, encode, faults, wire
from tests.unit.vtn.sample import NOW, OK, Ven, data, event, metadata, running, wanted


def messages(ven_id: str) -> list[tuple[str, wire.Message, str]]:
    """Every message of a VEN, with its service and the reply that it calls for."""
    available = wire.WsCalendarInterval(dtstart=event().start, duration=timedelta(hours=1))
    return [
        ("OadrPoll", wire.OadrPoll(ven_id=ven_id), "oadrResponse"),
        ("EiEvent", wire.OadrRequestEvent(request_id="i", ven_id=ven_id), "oadrDistributeEvent"),
        ("EiEvent", wire.OadrCreatedEvent(response=OK, event_responses=(), ven_id=ven_id), "oadrResponse"),
        (
            "EiReport",
            wire.OadrRegisterReport(request_id="i", reports=(metadata(),), ven_id=ven_id),
            "oadrRegisteredReport",
        ),
        (
            "EiReport",
            wire.OadrUpdateReport(request_id="i", reports=(data("q", 1.0),), ven_id=ven_id),
            "oadrUpdatedReport",
        ),
        ("EiReport", wire.OadrCreatedReport(response=OK, pending_reports=(), ven_id=ven_id), "oadrResponse"),
        ("EiReport", wire.OadrRegisteredReport(response=OK, ven_id=ven_id), "oadrResponse"),
        ("EiReport", wire.OadrCanceledReport(response=OK, pending_reports=(), ven_id=ven_id), "oadrResponse"),
        ("EiReport", wire.OadrUpdatedReport(response=OK, ven_id=ven_id), "oadrResponse"),
        (
            "EiReport",
            wire.OadrCreateReport(request_id="i", report_requests=(wanted(),), ven_id=ven_id),
            "oadrCreatedReport",
        ),
        (
            "EiReport",
            wire.OadrCancelReport(request_id="i", report_request_id=("q",), report_to_follow=False, ven_id=ven_id),
            "oadrCanceledReport",
        ),
        (
            "EiOpt",
            wire.OadrCreateOpt(
                opt_id="o",
                opt_type="optIn",
                opt_reason="economic",
                ven_id=ven_id,
                created_date_time=NOW,
                request_id="i",
                vavailability=(available,),
                target=wire.EiTarget(),
            ),
            "oadrCreatedOpt",
        ),
        ("EiOpt", wire.OadrCancelOpt(request_id="i", opt_id="o", ven_id=ven_id), "oadrCanceledOpt"),
        (
            "EiRegisterParty",
            wire.OadrCancelPartyRegistration(request_id="i", registration_id="r", ven_id=ven_id),
            "oadrCanceledPartyRegistration",
        ),
        ("EiRegisterParty", wire.OadrCanceledPartyRegistration(response=OK, ven_id=ven_id), "oadrResponse"),
        ("EiRegisterParty", wire.OadrResponse(response=OK, ven_id=ven_id), "oadrResponse"),
    ]


KINDS = range(len(messages("")))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_ven_that_is_not_registered_is_told_so_in_the_fitting_reply(kind: int) -> None:
    async with running() as vtn:
        other = await Ven(vtn).join("other")
        before = vtn.vens
        service, message, reply_type = messages("nobody")[kind]
        reply = await Ven(vtn).send(service, message, wire.Message)
        response = faults.response_of(reply)
        assert response is not None
        assert (reply.message_type, response.response_code) == (reply_type, "463")
        assert response.request_id == message.get("request_id", "")
        assert vtn.vens == before
        assert await other.is_idle()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_without_a_ven_id_is_452(kind: int) -> None:
    async with running() as vtn:
        await Ven(vtn).join()
        service, message, reply_type = messages("")[kind]
        reply = await Ven(vtn).send(service, message, wire.Message)
        response = faults.response_of(reply)
        assert response is not None
        # A cancellation needs no venID, as it names the registration; this one names one that is not there.
        code = "463" if isinstance(message, wire.OadrCancelPartyRegistration) else "452"
        assert (reply.message_type, response.response_code) == (reply_type, code)


@pytest.mark.parametrize("kind", [k for k in KINDS if not isinstance(messages("")[k][1], wire.OadrResponse)])
async def test_a_message_at_the_wrong_service_is_459_and_does_nothing(kind: int) -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        service, message, reply_type = messages(ven.ven_id)[kind]
        wrong = "EiOpt" if service != "EiOpt" else "EiEvent"
        reply = await ven.send(wrong, message, wire.Message)
        response = faults.response_of(reply)
        assert response is not None
        assert (reply.message_type, response.response_code) == (reply_type, "459")
        assert await vtn.capabilities(ven.ven_id) == []
        assert await vtn.opts(ven.ven_id) == []


@pytest.mark.parametrize(
    "message",
    [
        wire.OadrDistributeEvent(request_id="i", vtn_id="vtn"),
        wire.OadrRequestReregistration(ven_id="v"),
        wire.OadrCreatedOpt(response=OK, opt_id="o"),
        wire.OadrCanceledOpt(response=OK),
    ],
)
async def test_a_message_that_a_vtn_sends_is_459_when_it_comes(message: wire.Message) -> None:
    async with running() as vtn:
        status, body = await Ven(vtn).post("EiEvent", message)
        reply = decode(body).message
        assert status == 200
        assert isinstance(reply, wire.OadrResponse)
        assert reply.response.response_code == "459"


async def test_the_sender_of_a_line_break_in_its_name_can_not_forge_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as vtn:
        await vtn.handle("/x\nERROR forged/OpenADR2/Simple/2.0b/OadrPoll", b"<")
        body = encode(wire.OadrPoll(ven_id="a b"))
        await vtn.handle("/OpenADR2/Simple/2.0b/OadrPoll", body.replace(b"a b", b"a&#10;ERROR forged"))
        assert not [record for record in caplog.records if "\nERROR forged" in record.getMessage()]
