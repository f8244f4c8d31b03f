"""The rules on events that a VTN follows, each seen from outside by a VEN made by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from pyopenadr.errors import LocalProtocolError, ModelError
from pyopenadr.model import Interval, OptType, Signal, Target
from pyopenadr.v2 import decode, encode, faults, wire
from tests.conformance.scene import (
    numbers,
    simple,
    statuses,
)
from tests.unit.vtn.sample import (
    HOUR,
    MINUTE,
    SECOND,
    Ven,
    answer_to,
    clock_of,
    event,
    event_response,
    ids,
    open_ended,
    running,
)

replace = msgspec.structs.replace


async def test_rule_001_vtn_times_that_are_sent_are_in_utc_and_whole_seconds() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(start=clock_of(vtn).now(), intervals=[(MINUTE, 1)])
        _, body = await ven.post("OadrPoll", wire.OadrPoll(ven_id=ven.ven_id))
        assert b"T10:00:00Z</" in body
        assert b"00.25" not in body
        assert b"+00:00" not in body


async def test_rule_003_015_vtn_active_events_come_first_by_priority_then_by_start() -> None:
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


async def test_rule_004_005_010_vtn_versions_are_counted_from_0() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event(start=SECOND + MINUTE))
        assert numbers(await ven.request_events()) == [0]
        await clock_of(vtn).advance(2 * MINUTE)  # a change of status is none of the event
        message = await ven.request_events()
        assert (numbers(message), statuses(message)) == ([0], ["active"])
        await vtn.change_event("e1", vtn_comment="a")
        assert numbers(await ven.request_events()) == [1]
        await vtn.cancel_event("e1")
        message = await ven.request_events()
        assert (numbers(message), statuses(message)) == ([2], ["cancelled"])


@pytest.mark.parametrize("signals", [(simple(4),), (simple(1.5),), (simple(1), simple(2)), ()])
async def test_rule_008_009_107_vtn_an_event_against_the_rules_is_not_published(signals: tuple[Signal, ...]) -> None:
    async with running() as vtn:
        with pytest.raises(ModelError):
            await vtn.add_event(event(signals=signals))
        with pytest.raises(ModelError):
            await vtn.add_event(event("e2", duration=2 * HOUR))


async def test_rule_013_vtn_an_event_is_far_near_active_and_gone() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(start=SECOND + 2 * MINUTE, intervals=[(MINUTE, 1)], ramp_up=MINUTE)
        found = []
        for step in (timedelta(0), 1.5 * MINUTE, MINUTE, MINUTE):
            await clock_of(vtn).advance(step)
            found.append(statuses(await ven.request_events()))
        assert found == [["far"], ["near"], ["active"], []]


async def test_rule_014_029_vtn_current_value_is_that_of_the_running_interval() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(start=SECOND + MINUTE, intervals=[(MINUTE, 1), (MINUTE, 3)])
        found = []
        for step in (timedelta(0), MINUTE, MINUTE):
            await clock_of(vtn).advance(step)
            found.append((await ven.request_events()).events[0].event_signals[0].current_value)
        assert found == [0, 1, 3]


async def test_rule_016_017_vtn_an_answer_may_change_later() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        message = await ven.poll(wire.OadrDistributeEvent)
        for opt_type in ("optIn", "optOut", "optIn"):
            await ven.answer(message, opt_type)
            assert [answer.opt_type for answer in await vtn.answers()] == [OptType(opt_type)]


async def test_rule_020_vtn_the_past_is_not_changed() -> None:
    async with running() as vtn:
        await vtn.add_event(event(start=SECOND - MINUTE))
        with pytest.raises(LocalProtocolError, match="rule 20"):
            await vtn.change_event("e1", start=SECOND + HOUR)


async def test_rule_025_vtn_an_answer_as_a_whole_may_be_an_error() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        await ven.poll(wire.OadrDistributeEvent)
        message = wire.OadrCreatedEvent(response=answer_to("d", "452"), ven_id=ven.ven_id)
        reply = await ven.send("EiEvent", message, wire.OadrResponse)
        assert (reply.response.response_code, reply.response.request_id) == ("200", "d")
        assert await vtn.answers() == []


async def test_rule_027_vtn_no_more_events_than_the_ven_can_take() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        for number in range(3):
            await vtn.add_event(event(f"e{number}", start=SECOND + (4 - number) * HOUR))
        assert ids(await ven.request_events(reply_limit=2)) == ["e2", "e1"]


async def test_rule_040_041_vtn_a_list_of_events_has_a_response_and_a_request_id() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        empty = await ven.request_events()
        await vtn.add_event(event())
        polled = await ven.poll(wire.OadrDistributeEvent)
        for message, echo in ((empty, "q1"), (polled, "")):
            assert message.response is not None
            assert (message.response.response_code, message.response.request_id) == ("200", echo)
            assert message.request_id


async def test_rule_042_vtn_answers_are_known_by_event_and_not_by_request_id() -> None:
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
async def test_rule_048_vtn_wrong_answers_are_said(response: wire.EventResponse, code: str) -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        assert (await ven.created_event([response])).response.response_code == code
        assert len(await vtn.answers()) == (code == "200")


async def test_rule_050_vtn_a_list_has_all_events_also_those_opted_out_of() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event("a"))
        await ven.answer(await ven.poll(wire.OadrDistributeEvent), "optOut")
        await vtn.add_event(event("b"))
        await vtn.add_event(event("over", start=SECOND - HOUR + MINUTE))
        await clock_of(vtn).advance(60)
        assert ids(await ven.poll(wire.OadrDistributeEvent)) == ["a", "b"]


@pytest.mark.parametrize("make", [event, open_ended])
async def test_rule_047_052_vtn_a_cancellation_is_sent_until_it_is_answered(make: Any) -> None:
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


async def test_rule_063_vtn_a_ven_reads_of_no_other_ven() -> None:
    async with running() as vtn:
        one, two = await Ven(vtn).join("one"), await Ven(vtn).join("two")
        await vtn.add_event(event(target=Target(ven_ids=(one.ven_id, two.ven_id), group_ids=("g",))))
        for ven in (one, two):
            message = await ven.poll(wire.OadrDistributeEvent)
            assert message.events[0].target == wire.EiTarget(ven_id=(ven.ven_id,), group_id=("g",))


async def test_rule_066_vtn_an_event_is_listed_until_the_last_ven_may_have_ended_it() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event(start=SECOND - 59 * MINUTE, start_after=5 * MINUTE))
        await clock_of(vtn).advance(2 * MINUTE)
        assert statuses(await ven.request_events()) == ["completed"]
        await clock_of(vtn).advance(5 * MINUTE)
        assert statuses(await ven.request_events()) == []


async def test_rule_070_vtn_an_event_id_is_used_once() -> None:
    async with running() as vtn:
        await vtn.add_event(event())
        with pytest.raises(LocalProtocolError):
            await vtn.add_event(event(priority=1))


async def test_rule_007_113_506_vtn_a_20a_ven_gets_one_simple_signal_with_its_value() -> None:
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


async def test_rule_115_vtn_all_events_of_a_message_are_of_its_time() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event("a"))
        await clock_of(vtn).advance(MINUTE)
        await vtn.add_event(event("b"))
        await clock_of(vtn).advance(MINUTE)
        made = {each.event_descriptor.created_date_time for each in (await ven.request_events()).events}
        assert made == {SECOND + 2 * MINUTE}


async def test_rule_018_vtn_events_that_touch_do_not_overlap() -> None:
    async with running(overlap="refuse") as vtn:
        await vtn.add_event(event("first"))
        await vtn.add_event(event("next", start=SECOND + 2 * HOUR))
        with pytest.raises(LocalProtocolError, match="overlaps with first"):
            await vtn.add_event(event("both", start=SECOND + HOUR + MINUTE, duration=HOUR))
        await vtn.add_event(event("both", start=SECOND + HOUR + MINUTE), overlap="allow")
        ven = await Ven(vtn).join()
        assert ids(await ven.request_events()) == ["first", "both", "next"]


async def test_rule_021_vtn_wrong_ids_are_refused() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        stranger = Ven(vtn, ven.ven_id + "x")
        reply = await stranger.request_events()
        assert reply.response is not None
        assert (reply.response.response_code, reply.events) == ("463", ())
        assert (await ven.created_event([event_response("E1")])).response.response_code == "452"
        assert await vtn.answers() == []


async def test_rule_023_vtn_only_a_ven_asks_for_events() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        await vtn.request_reregistration(ven.ven_id)
        kinds = [(await ven.poll(wire.Message)).message_type for _ in range(3)]
        assert "oadrRequestEvent" not in kinds
        # What only a VTN sends is no message for it, though the schema knows it.
        reply = await ven.send("EiEvent", wire.OadrDistributeEvent(request_id="d", vtn_id="vtn"), wire.OadrResponse)
        assert reply.response.response_code == "459"


async def test_rule_032_vtn_each_interval_leaves_with_its_duration_and_value() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(start=SECOND + HOUR, intervals=[(10 * MINUTE, 1), (20 * MINUTE, 3), (MINUTE, 2)])
        [one] = (await ven.request_events()).events
        [found] = one.event_signals
        values = [(it.duration, payload.value) for it in found.intervals for payload in it.payloads]  # type: ignore[union-attr]
        assert values == [(10 * MINUTE, 1), (20 * MINUTE, 3), (MINUTE, 2)]
        assert one.active_period.duration == 31 * MINUTE


async def test_rule_033_vtn_what_makes_no_sense_is_459_and_what_is_no_message_is_406() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        for service, message in (
            ("EiReport", wire.OadrRequestEvent(request_id="q", ven_id=ven.ven_id)),
            ("EiEvent", wire.OadrCreatedReport(response=answer_to("c"), pending_reports=(), ven_id=ven.ven_id)),
        ):
            status, body = await ven.post(service, message)
            response = faults.response_of(decode(body).message)
            assert response is not None
            assert (status, response.response_code) == (200, "459")
        good = encode(wire.OadrPoll(ven_id=ven.ven_id))
        status, _ = await vtn.handle("/OpenADR2/Simple/2.0b/OadrPoll", good.replace(b"venID", b"venId"))
        assert status == 406


async def test_rule_046_vtn_what_is_empty_counts_as_absent() -> None:
    async with running() as vtn:
        ven = Ven(vtn)
        await ven.register("", request_id="")
        await vtn.add_event(event())
        bare = wire.EventResponse(
            response_code="200",
            response_description="",
            request_id="",
            event_id="e1",
            modification_number=0,
            opt_type="optIn",
        )
        assert (await ven.created_event([bare])).response.response_code == "200"
        [answer] = await vtn.answers()
        assert not answer.response_description
        [known] = vtn.vens
        assert not known.ven_name


async def test_rule_069_116_vtn_simple_leaves_as_a_level() -> None:
    async with running() as vtn:
        await vtn.add_event(event())
        for profile in ("2.0a", "2.0b"):
            ven = Ven(vtn, "old") if profile == "2.0a" else await Ven(vtn).join()
            version = None if profile == "2.0a" else "2.0b"
            request = wire.OadrRequestEvent(schema_version=version, request_id="q", ven_id=ven.ven_id)
            message = await ven.send("EiEvent", request, wire.OadrDistributeEvent, profile)
            assert [it.signal_type for it in message.events[0].event_signals] == ["level"]
        with pytest.raises(ModelError, match="rule 116"):
            await vtn.add_event(event("e2", signals=(replace(simple(1), signal_type="delta"),)))


async def test_rule_070_vtn_each_ven_has_an_id_of_its_own() -> None:
    async with running() as vtn:
        vens = [await Ven(vtn).join(name) for name in ("one", "two", "three", None)]
        assert len({ven.ven_id for ven in vens}) == 4
