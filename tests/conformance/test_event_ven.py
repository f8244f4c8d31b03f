"""The rules on events that a VEN follows, seen from outside by a VTN that plays by the test's script."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import LocalProtocolError
from pyopenadr.model import Event, Interval, ResponseRequired, Signal, Span, Target
from pyopenadr.v2 import decode, encode, faults, wire
from pyopenadr.v2.bridge import lift_event
from pyopenadr.v2.ven import consider
from pyopenadr.ven import EndReason, TimedInterval
from pyopenadr.ven.listener import Listener
from tests.conformance.scene import HearingVtn, yes
from tests.unit.v2 import sample
from tests.unit.v2.sample import KILOWATT, MINUTE
from tests.unit.ven import site_a as profile_a
from tests.unit.ven.scripted import HOUR, NOW, client_of, event, running
from tests.unit.vtn.sample import event as vtn_event

PATH = "/OpenADR2/Simple/2.0b/"
replace = msgspec.structs.replace


def simple(*values: float, each: timedelta = MINUTE, **fields: Any) -> Signal:
    """Levels that last a minute each."""
    intervals = tuple(Interval(each, value) for value in values)
    defaults: dict[str, Any] = {"signal_name": "SIMPLE", "signal_type": "level", "signal_id": "s"}
    return Signal(intervals=intervals, **(defaults | fields))


def levels(*values: float, **fields: Any) -> Event:
    """An event in a minute, with a minute for each level."""
    defaults: dict[str, Any] = {
        "start": NOW + MINUTE,
        "duration": len(values) * MINUTE,
        "signals": (simple(*values),),
    }
    return event(**(defaults | fields))


def answers(vtn: HearingVtn) -> list[tuple[str, int, str, str]]:
    """What the VEN has said of events: ID, version, code, opt."""
    return [
        (it.event_id, it.modification_number, it.response_code, it.opt_type)
        for message in vtn.sent(wire.OadrCreatedEvent)
        for it in message.event_responses or ()
    ]


class Told:
    """Device code that notes what it is told, and in which second."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(f"{(self.clock.now() - NOW).total_seconds():g} {text}")

    @property
    def handlers(self) -> dict[str, Any]:
        async def on_interval_start(_: Event, __: Signal, interval: TimedInterval) -> None:
            self.say(f"level {interval.value:g}")

        async def on_event_end(_: Event, reason: EndReason) -> None:
            self.say(str(reason))

        async def on_ramp_up(_: Event, span: Span) -> None:
            self.say("ramp-up")

        async def on_recovery(_: Event, span: Span) -> None:
            self.say("recovery")

        return {
            "on_event": yes,
            "on_interval_start": on_interval_start,
            "on_event_end": on_event_end,
            "on_ramp_up": on_ramp_up,
            "on_recovery": on_recovery,
        }


# --- what goes out ------------------------------------------------------------------------------------------------


async def test_rule_001_ven_times_are_in_utc_and_durations_have_no_decimals(vtn: HearingVtn, clock: FakeClock) -> None:
    await clock.advance(0.25)
    client = client_of(vtn, clock)
    client.add_report(reading="voltage", source=lambda: 230.0)
    async with running(client, clock):
        await client.create_opt("optOut", availability=[Span(NOW + HOUR, NOW + 2 * HOUR)])
    text = b"".join(vtn.bodies).decode()
    times = re.findall("<xcal:date-time>([^<]+)<|DateTime>([^<]+)<", text)
    assert len(times) >= 3
    assert [time for time in times if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "".join(time))] == []
    durations = re.findall("<xcal:duration>([^<]+)<|Period>([^<]+)<", text)
    assert len(durations) >= 3
    assert all(re.fullmatch(r"-?P[0-9DTHMS]+", "".join(duration)) for duration in durations)


async def test_rule_006_ven_a_test_event_is_answered_and_not_executed(vtn: HearingVtn, clock: FakeClock) -> None:
    told = Told(clock)
    vtn.events = [levels(1, test_event="x"), levels(2, event_id="e2", test_event="false")]
    async with running(client_of(vtn, clock, **told.handlers), clock):
        await clock.advance(150)
    assert [line[:2] for line in answers(vtn)] == [("e1", 0), ("e2", 0)]
    assert told.lines == ["60 level 2", "120 completed"]


async def test_rule_012_062_ven_each_delivery_is_answered_or_none(vtn: HearingVtn, clock: FakeClock) -> None:
    vtn.events = [event(), event("quiet", response_required=ResponseRequired.NEVER)]
    async with running(client_of(vtn, clock, on_event=yes), clock):
        for _ in range(2):
            vtn.queue.append(vtn.distribute())
            await clock.advance(10)
    assert answers(vtn) == [("e1", 0, "200", "optIn")] * 3


async def test_rule_019_ven_the_good_events_of_a_mixed_message_are_taken(vtn: HearingVtn, clock: FakeClock) -> None:
    vtn.events = [event("good"), event("bad", market_context="urn:other")]
    async with running(client_of(vtn, clock, on_event=yes, market_contexts=["http://market.example/"]), clock) as ven:
        assert list(ven.events) == ["good"]
    assert sorted(answers(vtn)) == [("bad", 0, "462", "optOut"), ("good", 0, "200", "optIn")]


async def test_rule_021_ven_another_vtns_events_are_refused_as_a_whole(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock, on_event=yes), clock) as ven:
        vtn.queue.append(vtn.distribute(event(), vtn_id="VTN-1"))
        await clock.advance(10)
        assert not ven.events
        message = vtn.last(wire.OadrCreatedEvent)
        assert (message.response.response_code, message.event_responses) == ("452", None)
        assert message.response.request_id == "d-1"


async def test_rule_023_ven_it_does_not_answer_a_request_for_events(vtn: HearingVtn, clock: FakeClock) -> None:
    client = client_of(vtn, clock, push=Listener(host=None, public_url="https://ven.example/"))
    async with running(client, clock):
        assert vtn.sent(wire.OadrRequestEvent), "it asks itself"
        status, body = await client.receive(PATH + "EiEvent", encode(wire.OadrRequestEvent(request_id="q", ven_id="v")))
        response = faults.response_of(decode(body).message)
        assert (status, response is not None and response.response_code) == (200, "459")


async def test_rule_031_ven_it_keeps_the_times_of_the_event(vtn: HearingVtn, clock: FakeClock) -> None:
    told = Told(clock)
    vtn.events = [levels(2, ramp_up=timedelta(seconds=30), recovery=timedelta(seconds=-20))]
    async with running(client_of(vtn, clock, **told.handlers), clock):
        await clock.advance(180)
    assert told.lines == ["30 ramp-up", "60 level 2", "100 recovery", "120 completed"]


async def test_rule_030_031_ven_the_random_start_moves_the_whole_event(vtn: HearingVtn, clock: FakeClock) -> None:
    told = Told(clock)
    vtn.events = [levels(1, 2, start_after=10 * MINUTE)]
    async with running(client_of(vtn, clock, **told.handlers), clock) as ven:
        offset = ven.events["e1"].offset
        assert timedelta(0) < offset <= 10 * MINUTE
        vtn.events = [levels(1, 3, start_after=10 * MINUTE, modification_number=1)]
        vtn.queue.append(vtn.distribute())
        await clock.advance(20 * MINUTE)
    begin = 60 + offset.total_seconds()
    assert told.lines == [f"{begin:g} level 1", f"{begin + 60:g} level 3", f"{begin + 120:g} completed"]


async def test_rule_032_ven_each_interval_has_its_turn(vtn: HearingVtn, clock: FakeClock) -> None:
    told = Told(clock)
    vtn.events = [levels(1, 3, 2)]
    async with running(client_of(vtn, clock, **told.handlers), clock):
        await clock.advance(300)
    assert told.lines == ["60 level 1", "120 level 3", "180 level 2", "240 completed"]


async def test_rule_035_042_ven_the_answers_name_the_delivering_message(vtn: HearingVtn, clock: FakeClock) -> None:
    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=yes), clock) as ven:
        vtn.queue.append(vtn.distribute(request_id="d-2"))
        await clock.advance(10)
        await ven.created_event("e1", "optOut")
    messages = vtn.sent(wire.OadrCreatedEvent)
    assert {message.response.request_id for message in messages} == {""}
    ids = [it.request_id for message in messages for it in message.event_responses or ()]
    assert ids == ["d-1", "d-2", "d-2"]


async def test_rule_036_059_ven_a_cancelled_event_is_confirmed_once_and_gone(vtn: HearingVtn, clock: FakeClock) -> None:
    vtn.events = [event(), event("other")]
    async with running(client_of(vtn, clock, on_event=yes), clock) as ven:
        vtn.queue += [
            vtn.distribute(event(cancelled=True, modification_number=1), event("other")),
            vtn.distribute(event("other", modification_number=1)),
        ]
        await clock.advance(10)
        assert list(ven.events) == ["other"]
    assert [line for line in answers(vtn) if line[0] == "e1"] == [("e1", 0, "200", "optIn"), ("e1", 1, "200", "optIn")]


async def test_rule_037_507_ven_it_pulls_unless_it_is_made_to_be_pushed_to(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock), clock):
        await clock.advance(20)
    assert vtn.last(wire.OadrCreatePartyRegistration).http_pull_model is True
    assert len(vtn.sent(wire.OadrPoll)) == 3
    pushed = HearingVtn()
    async with running(client_of(pushed, clock, push=Listener(host=None, public_url="https://ven.example/")), clock):
        await clock.advance(20)
    assert pushed.last(wire.OadrCreatePartyRegistration).http_pull_model is False


async def test_rule_043_ven_messages_may_all_have_the_same_id(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock, on_event=yes), clock) as ven:
        for events in ([event()], [event(), event("e2")]):
            vtn.queue.append(vtn.distribute(*events, request_id="x"))
            await clock.advance(10)
        assert sorted(ven.events) == ["e1", "e2"]
    assert [line[0] for line in answers(vtn)] == ["e1", "e1", "e2"]


async def test_rule_045_509_ven_messages_name_the_schemas_version_and_no_place_of_it(
    vtn: HearingVtn, clock: FakeClock
) -> None:
    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=yes), clock) as ven:
        vtn.queue.append(wire.OadrRequestReregistration(ven_id="ven-1"))
        await clock.advance(10)
        await ven.create_opt("optOut", availability=[Span(NOW + HOUR, NOW + 2 * HOUR)])
    kinds = {message.message_type for _, message in vtn.log}
    assert kinds >= {"oadrPoll", "oadrResponse", "oadrCreatedEvent", "oadrCreateOpt", "oadrRegisterReport"}
    for body in vtn.bodies:
        assert body.count(b'ei:schemaVersion="2.0b"') == 1
        assert b"schemaLocation" not in body


async def test_rule_046_ven_what_is_optional_is_understood(vtn: HearingVtn, clock: FakeClock) -> None:
    seen: list[Event] = []

    async def on_event(it: Event) -> str:
        seen.append(it)
        return "optIn"

    full = event(
        priority=3,
        vtn_comment="please",
        modification_reason="none yet",
        notification=HOUR,
        ramp_up=MINUTE,
        recovery=MINUTE,
        target=Target(resource_ids=("r1",)),
    )
    vtn.events = [full, event("bare")]
    async with running(client_of(vtn, clock, on_event=on_event), clock):
        pass
    assert [(it.priority, it.vtn_comment, it.ramp_up, it.target.resource_ids) for it in seen] == [
        (3, "please", MINUTE, ("r1",)),
        (0, None, None, ()),
    ]


async def test_rule_047_ven_an_open_ended_event_runs_until_it_is_cancelled(vtn: HearingVtn, clock: FakeClock) -> None:
    told = Told(clock)
    endless = levels(signals=(simple(2, each=timedelta(0)),), duration=timedelta(0))
    vtn.events = [endless]
    async with running(client_of(vtn, clock, **told.handlers), clock):
        await clock.advance(HOUR)
        assert told.lines == ["60 level 2"]
        vtn.queue.append(vtn.distribute(replace(endless, cancelled=True, modification_number=1)))
        await clock.advance(10)
    assert told.lines[1].endswith("cancelled")


async def test_rule_051_ven_pulling_it_begins_every_exchange_itself(vtn: HearingVtn, clock: FakeClock) -> None:
    client = client_of(vtn, clock, push=Listener(host=None, public_url="https://ven.example/"))
    async with running(client, clock):
        await clock.advance(HOUR)
        with pytest.raises(LocalProtocolError, match="pushed to"):
            await client.poll()
    assert not vtn.sent(wire.OadrPoll)
    pulling = client_of(HearingVtn(), clock)
    with pytest.raises(Exception, match="push"):
        await pulling.receive(PATH + "EiEvent", encode(vtn.distribute(event())))


async def test_rule_056_057_058_ven_versions_go_up(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock, on_event=yes), clock) as ven:
        for number in (2, 5, 4):
            vtn.queue.append(vtn.distribute(event(modification_number=number, priority=number)))
            await clock.advance(10)
        assert ven.events["e1"].event.priority == 5
    assert [line[1:] for line in answers(vtn)] == [(2, "200", "optIn"), (5, "200", "optIn"), (4, "450", "optOut")]


async def test_rule_060_ven_an_unknown_cancelled_event_is_answered_and_ignored(
    vtn: HearingVtn, clock: FakeClock
) -> None:
    vtn.events = [event(cancelled=True, modification_number=1)]
    async with running(client_of(vtn, clock, on_event=yes), clock) as ven:
        assert not ven.events
    assert answers(vtn) == [("e1", 1, "200", "optIn")]


async def test_rule_061_065_ven_what_is_no_longer_listed_ends_within_its_window(
    vtn: HearingVtn, clock: FakeClock
) -> None:
    told = Told(clock)
    vtn.events = [levels(1, duration=HOUR, signals=(simple(1, each=HOUR),), start_after=5 * MINUTE)]
    async with running(client_of(vtn, clock, **told.handlers), clock) as ven:
        await clock.advance(10 * MINUTE)
        empty = wire.OadrDistributeEvent(response=faults.response(), request_id="d-2", vtn_id="vtn-1")
        vtn.events = []
        vtn.queue.append(empty)
        await clock.advance(10)
        assert not ven.events
        await clock.advance(6 * MINUTE)
    second = float(told.lines[-1].split()[0])
    assert 600 < second <= 610 + 300
    assert told.lines[-1].endswith("cancelled")


async def test_rule_112_ven_a_signal_for_nobody_knows_which_resource_is_469(vtn: HearingVtn, clock: FakeClock) -> None:
    vtn.events = [event(), event("both", target=Target(resource_ids=("r1", "r2")))]
    client = client_of(vtn, clock, on_event=yes, resolves=lambda it, _: len(it.target.resource_ids) < 2)
    async with running(client, clock) as ven:
        assert list(ven.events) == ["e1"]
    assert sorted(answers(vtn)) == [("both", 0, "469", "optOut"), ("e1", 0, "200", "optIn")]


# --- signals ------------------------------------------------------------------------------------------------------


def verdict(message: wire.OadrDistributeEvent, **fields: Any) -> str:
    """The code with which a VEN of that scope answers the message's only event."""
    found = consider(message, {}, scope=sample.scope(**fields), now=sample.BEFORE)
    return found.verdicts[0].code


def test_rule_110_ven_the_current_value_before_the_start_says_nothing() -> None:
    one = sample.event("e1", sample.signal(7, name="LOAD_DISPATCH", kind="setpoint", unit=KILOWATT))
    message = sample.distribute(one)
    (element,) = message.events
    odd = replace(element.event_signals[0], current_value=-99.0)
    changed = replace(message, events=(replace(element, event_signals=(odd,)),))
    assert verdict(changed) == "200"


def test_rule_111_ven_a_signal_for_other_devices_alone_is_none_of_ours() -> None:
    for classes, code in (((), "200"), (("Sauna", "EVSE"), "200"), (("Sauna",), "462")):
        message = sample.distribute(sample.event("e1", sample.signal(1, device_classes=classes)))
        assert verdict(message, device_classes=frozenset({"EVSE"})) == code
    other = sample.event("e1", sample.signal(1, device_classes=("EVSE",)), target=Target(resource_ids=("r9",)))
    scope = {"device_classes": frozenset({"EVSE"}), "resource_ids": frozenset({"r1"})}
    assert verdict(sample.distribute(other), **scope) == "462"


def test_rule_069_116_ven_simple_is_a_level_whatever_its_type_says() -> None:
    (element,) = sample.distribute(sample.event("e1", sample.signal(2))).events
    priced = replace(element, event_signals=(replace(element.event_signals[0], signal_type="price"),))
    assert lift_event(priced) == lift_event(element)
    assert lift_event(priced).signals[0].signal_type == "level"


async def test_rule_064_ven_a_20a_ven_answers_before_it_asks_again() -> None:
    async def slowly(event: Event) -> str:
        await both.clock.sleep(25)
        return "optIn"

    async with profile_a.site(on_event=slowly, poll_interval=10) as both, profile_a.running(both):
        for number in range(2):
            await both.vtn.add_event(vtn_event(f"e{number}"))
        await both.clock.advance(50)
        first, *rest = both.kinds
        assert first == "oadrRequestEvent"
        assert rest[:3] == ["oadrRequestEvent", "oadrCreatedEvent", "oadrRequestEvent"]
        answer = next(it for it in both.posted if isinstance(it, wire.OadrCreatedEvent))
        assert [it.event_id for it in answer.event_responses or ()] == ["e0", "e1"]
