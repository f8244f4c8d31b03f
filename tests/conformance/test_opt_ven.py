"""The rules on opts that a VEN follows, seen from outside by a VTN that plays by the test's script."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import LocalProtocolError, ModelError
from pyopenadr.model import OptType, ResponseRequired, Span, Target
from pyopenadr.v2 import wire
from pyopenadr.v2.faults import response
from tests.conformance.scene import HearingVtn, yes
from tests.unit.ven.scripted import HOUR, NOW, client_of, event, running

TONIGHT = Span(NOW + HOUR, NOW + 2 * HOUR)


async def test_rule_200_ven_a_schedule_holds_starts_and_durations_alone(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock), clock) as ven:
        await ven.create_opt("optOut", availability=[TONIGHT, Span(NOW + 3 * HOUR, NOW + 4 * HOUR)])
    assert vtn.last(wire.OadrCreateOpt).vavailability == (
        wire.WsCalendarInterval(dtstart=NOW + HOUR, duration=HOUR),
        wire.WsCalendarInterval(dtstart=NOW + 3 * HOUR, duration=HOUR),
    )
    assert b"tolerance" not in vtn.bodies[-1]
    assert b"x-ei" not in vtn.bodies[-1]


@pytest.mark.parametrize(("decide", "opt"), [(True, "optOut"), (False, "optIn")])
async def test_rule_201_ven_whether_schedules_answer_events_is_a_setting(
    vtn: HearingVtn, clock: FakeClock, decide: bool, opt: str
) -> None:
    async with running(client_of(vtn, clock, on_event=yes, opts_decide=decide), clock) as ven:
        await ven.create_opt("optOut", availability=[TONIGHT])
        vtn.queue.append(vtn.distribute(event()))
        await clock.advance(10)
    answers = vtn.last(wire.OadrCreatedEvent).event_responses
    assert answers is not None
    assert [answer.opt_type for answer in answers] == [opt]


async def test_rule_202_ven_there_may_be_several_schedules_each_for_its_targets(
    vtn: HearingVtn, clock: FakeClock
) -> None:
    async with running(client_of(vtn, clock), clock) as ven:
        await ven.create_opt("optOut", availability=[TONIGHT])
        await ven.create_opt("optIn", availability=[TONIGHT], target=Target(resource_ids=("r1", "r2")))
        assert [opt.opt_type for opt in ven.opts.values()] == [OptType.OUT, OptType.IN]
    assert [message.target for message in vtn.sent(wire.OadrCreateOpt)] == [
        wire.EiTarget(ven_id=("ven-1",)),
        wire.EiTarget(resource_id=("r1", "r2")),
    ]


async def test_rule_204_208_ven_an_opt_has_its_ids_and_is_cancelled_by_them(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock), clock) as ven:
        await ven.create_opt("optOut", availability=[TONIGHT])
        sent = vtn.last(wire.OadrCreateOpt)
        assert sent.opt_id
        assert sent.ven_id == "ven-1"
        await ven.cancel_opt(sent.opt_id)
        assert not ven.opts
    cancel = vtn.last(wire.OadrCancelOpt)
    assert (cancel.opt_id, cancel.ven_id) == (sent.opt_id, "ven-1")


async def test_rule_206_ven_an_opt_on_an_event_names_its_version_and_nothing_else(
    vtn: HearingVtn, clock: FakeClock
) -> None:
    vtn.events = [event(modification_number=3)]
    async with running(client_of(vtn, clock, on_event=yes), clock) as ven:
        await ven.create_opt("optOut", event_id="e1")
        with pytest.raises(ModelError, match="rule 206"):
            await ven.create_opt("optOut", event_id="e1", availability=[TONIGHT])
        with pytest.raises(ModelError, match="rule 206"):
            await ven.create_opt("optOut", event_id="e1", market_context="http://market.example/")
        with pytest.raises(ModelError, match="rule 206"):
            await ven.create_opt("optOut")
    (sent,) = vtn.sent(wire.OadrCreateOpt)
    assert (sent.event_id, sent.modification_number) == ("e1", 3)
    assert (sent.vavailability, sent.market_context) == (None, None)


async def test_rule_206_ven_an_event_that_wants_no_answer_gets_no_opt(vtn: HearingVtn, clock: FakeClock) -> None:
    vtn.events = [event(response_required=ResponseRequired.NEVER)]
    async with running(client_of(vtn, clock, on_event=yes), clock) as ven:
        with pytest.raises(LocalProtocolError, match="rule 206"):
            await ven.create_opt("optOut", event_id="e1")
    assert not vtn.sent(wire.OadrCreateOpt)


@pytest.mark.parametrize("echo", [True, False])
async def test_rule_207_ven_it_takes_an_answer_with_or_without_an_echo(
    vtn: HearingVtn, clock: FakeClock, echo: bool
) -> None:
    vtn.rules[wire.OadrCreateOpt] = lambda message: wire.OadrCreatedOpt(
        response=response(message.request_id if echo else ""), opt_id=message.opt_id
    )
    async with running(client_of(vtn, clock), clock) as ven:
        answer = await ven.create_opt("optOut", availability=[TONIGHT])
        assert answer.payload["response"]["request_id"] == (vtn.last(wire.OadrCreateOpt).request_id if echo else "")
        assert len(ven.opts) == 1


async def test_rule_209_ven_device_classes_stand_apart_from_the_target(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock), clock) as ven:
        await ven.create_opt("optOut", availability=[TONIGHT], device_classes=["EVSE"])
        await ven.create_opt("optOut", availability=[TONIGHT])
    first, second = vtn.sent(wire.OadrCreateOpt)
    assert first.device_class == wire.EiTarget(end_device_asset=("EVSE",))
    assert (first.target.end_device_asset, second.device_class) == ((), None)


async def test_rule_210_ven_what_has_no_end_has_the_duration_0(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock), clock) as ven:
        await ven.create_opt("optOut", availability=[Span(NOW)])
    assert vtn.last(wire.OadrCreateOpt).vavailability == (wire.WsCalendarInterval(dtstart=NOW, duration=timedelta(0)),)


async def test_rule_211_ven_an_opt_on_an_event_is_not_cancelled(vtn: HearingVtn, clock: FakeClock) -> None:
    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=yes), clock) as ven:
        await ven.create_opt("optOut", event_id="e1", opt_id="mine")
        with pytest.raises(LocalProtocolError, match="rule 211"):
            await ven.cancel_opt("mine")
    assert not vtn.sent(wire.OadrCancelOpt)
