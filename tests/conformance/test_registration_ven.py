"""The rules on registration that a VEN follows, seen from outside by a VTN that plays by the test's script."""

from __future__ import annotations

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import RemoteProtocolError
from pyopenadr.v2 import wire
from pyopenadr.ven.listener import Listener
from tests.conformance.scene import HearingVtn, yes
from tests.unit.ven.scripted import HOUR, client_of, event, refusal, running
from tests.unit.ven.test_report import number, offering, periodic, piggyback

BOOTSTRAP = ["oadrCreatePartyRegistration", "oadrRegisterReport", "oadrRequestEvent"]


def cancellation(registration_id: str = "reg-1", **fields: str) -> wire.OadrCancelPartyRegistration:
    return wire.OadrCancelPartyRegistration(request_id="c", registration_id=registration_id, **fields)


@pytest.mark.parametrize("message", [cancellation("REG-1"), cancellation(ven_id="VEN-1")])
async def test_rule_400_ven_wrong_ids_are_452(
    vtn: HearingVtn, clock: FakeClock, message: wire.OadrCancelPartyRegistration
) -> None:
    vtn.queue.append(message)
    async with running(client_of(vtn, clock), clock) as ven:
        assert vtn.last(wire.OadrCanceledPartyRegistration).response.response_code == "452"
        assert ven.registered


async def test_rule_400_ven_another_vtn_is_not_registered_with(vtn: HearingVtn, clock: FakeClock) -> None:
    ven = client_of(vtn, clock, vtn_id="VTN-1")
    with pytest.raises(RemoteProtocolError, match="vtn-1"):
        await ven.create_party_registration()
    assert not ven.registered


async def test_rule_401_ven_it_tries_again_after_the_vtn_has_ended_it(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock, register_again_after=300), clock) as ven:
        vtn.queue.append(cancellation())
        await clock.advance(10)
        vtn.log.clear()
        await clock.advance(280)
        assert vtn.log == []
        await clock.advance(40)
        assert ven.registered
        await ven.cancel_party_registration()
        assert vtn.names()[-1] == "oadrCancelPartyRegistration"


async def test_rule_401_ven_it_asks_and_registers_itself(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock, query_first=True), clock):
        pass
    assert vtn.names() == ["oadrQueryRegistration", *BOOTSTRAP]


async def test_rule_402_ven_a_new_registration_has_no_ids_and_a_renewed_one_both(
    vtn: HearingVtn, clock: FakeClock
) -> None:
    async with running(client_of(vtn, clock), clock):
        vtn.queue.append(wire.OadrRequestReregistration(ven_id="ven-1"))
        await clock.advance(10)
    first, second = vtn.sent(wire.OadrCreatePartyRegistration)
    assert (first.registration_id, first.ven_id, first.http_pull_model) == (None, None, True)
    assert (second.registration_id, second.ven_id) == ("reg-1", "ven-1")
    assert (first.profile_name, first.transport_name, first.transport_address) == ("2.0b", "simpleHttp", None)


async def test_rule_402_ven_one_that_is_pushed_to_says_where(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock, push=Listener(host=None, public_url="https://ven.example/")), clock):
        pass
    message = vtn.last(wire.OadrCreatePartyRegistration)
    assert (message.http_pull_model, message.transport_address) == (False, "https://ven.example/")


async def test_rule_405_ven_what_follows_a_new_registration_and_not_a_renewed_one(
    vtn: HearingVtn, clock: FakeClock
) -> None:
    async with running(client_of(vtn, clock), clock):
        assert [message.message_type for _, message in vtn.log] == [*BOOTSTRAP, "oadrPoll"]
        vtn.log.clear()
        vtn.queue.append(wire.OadrRequestReregistration(ven_id="ven-1"))
        await clock.advance(10)
        assert vtn.names() == ["oadrResponse", "oadrCreatePartyRegistration"]


async def test_rule_405_ven_before_it_is_registered_it_does_nothing_else(vtn: HearingVtn, clock: FakeClock) -> None:
    vtn.rules[wire.OadrCreatePartyRegistration] = lambda _: refusal("463")
    client = client_of(vtn, clock, push=Listener(host=None, public_url="https://ven.example/"))
    async with running(client, clock):
        await clock.advance(HOUR)
        assert set(vtn.names()) == {"oadrCreatePartyRegistration"}


async def test_rule_406_ven_one_that_is_no_longer_known_registers_anew(vtn: HearingVtn, clock: FakeClock) -> None:
    piggyback(vtn, periodic())
    async with running(offering(vtn, clock, number), clock) as ven:
        del vtn.rules[wire.OadrRegisterReport]
        vtn.queue.append(refusal("463"))
        vtn.log.clear()
        await clock.advance(60)
        assert vtn.names()[:3] == BOOTSTRAP
        message = vtn.last(wire.OadrCreatePartyRegistration)
        assert (message.registration_id, message.ven_id) == (None, None)
        assert ven.registered


async def test_rule_407_ven_after_a_cancellation_nothing_is_left(vtn: HearingVtn, clock: FakeClock) -> None:
    vtn.events = [event()]
    piggyback(vtn, periodic())
    async with running(offering(vtn, clock, number, on_event=yes, register_again_after=7200), clock) as ven:
        assert ven.events
        assert ven.report_requests
        vtn.queue.append(cancellation())
        await clock.advance(10)
        answer = vtn.last(wire.OadrCanceledPartyRegistration)
        assert (answer.response.response_code, answer.response.request_id, answer.ven_id) == ("200", "c", "ven-1")
        assert (ven.ven_id, ven.registration_id, dict(ven.events), dict(ven.report_requests)) == (None, None, {}, {})
        vtn.log.clear()
        await clock.advance(HOUR)
        assert vtn.log == []
