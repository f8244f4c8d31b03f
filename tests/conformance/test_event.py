"""The numbered rules on events (2.0b sections A and B), each by what the pure rules and the bridge do.

`tests.unit.v2` tries the same functions case by case; here stands one test for each rule, under its number.
"""

from __future__ import annotations

import re
from datetime import timedelta

import msgspec
import pytest

from pyopenadr.errors import LocalProtocolError, ModelError, SchemaMismatch
from pyopenadr.model import (
    CalendarDuration,
    Event,
    EventStatus,
    OptType,
    ResponseRequired,
    Span,
    Target,
)
from pyopenadr.model.timeline import in_force, timeline
from pyopenadr.v2 import decode, encode, faults, wire
from pyopenadr.v2.bridge import lift_event, lower_event
from pyopenadr.v2.ven import (
    KnownEvent,
    cancel_delay,
    consider,
    created_event,
    created_event_fault,
    event_response,
    executed_span,
    keep_offset,
    random_offset,
)
from pyopenadr.v2.vtn import (
    cancelled,
    check_event,
    in_order,
    is_listed,
    judge_answer,
    may_overrule,
    next_version,
)
from tests.unit.v2.sample import (
    BEFORE,
    EURO_PER_KWH,
    HOUR,
    KILOWATT,
    MINUTE,
    START,
    distribute,
    element,
    event,
    known,
    open_ended,
    scope,
    signal,
    vector,
)

DURING = START + 30 * MINUTE
AFTER = START + HOUR
replace = msgspec.structs.replace
DISPATCH = signal(5, 6, name="LOAD_DISPATCH", kind="setpoint", unit=KILOWATT, signal_id="s2")


def test_rule_001_vtn_times_are_in_utc_and_durations_have_no_decimals() -> None:
    full = event("e1", signal(1, 2), start_after=CalendarDuration(13), ramp_up=-MINUTE, notification=timedelta(weeks=2))
    text = encode(distribute(full)).decode()
    times = re.findall("<xcal:date-time>([^<]+)<|DateTime>([^<]+)<", text)
    assert len(times) == 2
    assert all(re.fullmatch(r"[-0-9]{10}T[:0-9]{8}Z", "".join(time)) for time in times)
    durations = re.findall("<xcal:duration>([^<]+)<|<xcal:startafter>([^<]+)<", text)
    assert sorted("".join(duration) for duration in durations) == [
        *("-PT1M", "P14D", "P1Y1M", "PT1H"),
        *("PT30M", "PT30M"),
    ]
    with pytest.raises(ModelError, match="whole number of seconds"):
        check_event(event("e1", ramp_up=timedelta(milliseconds=1)))


def test_rule_001_ven_a_fraction_of_a_second_is_taken() -> None:
    data = encode(distribute(event())).replace(b"T10:00:00Z", b"T10:00:00.123Z")
    message = decode(data).message
    assert isinstance(message, wire.OadrDistributeEvent)
    assert lift_event(message.events[0]).start == START + timedelta(milliseconds=123)


def test_rule_002_vtn_intervals_are_numbered_from_0() -> None:
    for each in element(event("e1", signal(1, 2, 3), DISPATCH)).event_signals:
        assert [interval.uid for interval in each.intervals] == [str(n) for n in range(len(each.intervals))]


def test_rule_003_vtn_priority_1_is_the_highest_and_0_the_lowest() -> None:
    events = [event(str(priority), priority=priority) for priority in (0, 2, 1)]
    assert [each.event_id for each in in_order(events, DURING)] == ["1", "2", "0"]


def test_rule_004_vtn_a_new_event_has_number_0() -> None:
    assert element(event()).event_descriptor.modification_number == 0


def test_rule_005_vtn_every_change_raises_the_number_and_time_does_not() -> None:
    old = event(modification_number=3)
    assert next_version(old, event(vtn_comment="x"), BEFORE).modification_number == 4
    assert next_version(old, event(test_event="true"), BEFORE).modification_number == 4
    assert cancelled(old, BEFORE).modification_number == 4
    assert next_version(old, event(created_date_time=START), BEFORE).modification_number == 3
    assert {element(old, now).event_descriptor.modification_number for now in (BEFORE, DURING, AFTER)} == {3}


def test_rule_006_ven_anything_but_false_is_a_test_event() -> None:
    assert [lift_event(element(event(test_event=text))).is_test for text in ("true", "x", "false")] == [
        True,
        True,
        False,
    ]


def test_rule_007_vtn_a_2_0a_ven_gets_one_signal_named_simple() -> None:
    lowered = lower_event(event("e1", DISPATCH, signal(1)), now=BEFORE, profile="2.0a").value
    assert lowered is not None
    assert [each.signal_name.upper() for each in lowered.event_signals] == ["SIMPLE"]
    assert lower_event(event("e1", DISPATCH), now=BEFORE, profile="2.0a").value is None


def test_rule_008_vtn_the_durations_of_the_intervals_sum_to_that_of_the_event() -> None:
    with pytest.raises(ModelError, match="rule 8"):
        check_event(event("e1", signal(1), duration=2 * HOUR))


@pytest.mark.parametrize("value", [4, 1.5, -1])
def test_rule_009_vtn_simple_has_the_values_0_to_3(value: float) -> None:
    with pytest.raises(ModelError, match="rule 9"):
        check_event(event("e1", signal(value)))


def test_rule_010_vtn_cancelling_is_a_status() -> None:
    gone = element(cancelled(event(), BEFORE)).event_descriptor
    assert (gone.event_status, gone.modification_number) == ("cancelled", 1)


def test_rule_012_ven_an_event_is_answered_each_time_or_never() -> None:
    old = known(event("same"), event("changed"), event("gone"), opt_type=OptType.IN)
    for required in ResponseRequired:
        message = distribute(
            event("new", response_required=required),
            event("same", response_required=required),
            event("changed", modification_number=1, response_required=required),
            event("gone", cancelled=True, response_required=required),
            event("unknown", cancelled=True, response_required=required),
        )
        found = consider(message, old, scope=scope(), now=BEFORE)
        assert [verdict.answer for verdict in found.verdicts] == [required is ResponseRequired.ALWAYS] * 5


def test_rule_013_vtn_far_near_active() -> None:
    ramped = event(ramp_up=10 * MINUTE)
    instants = [START - 11 * MINUTE, START - 10 * MINUTE, START, AFTER]
    assert [ramped.status_at(now).value for now in instants] == ["far", "near", "active", "completed"]
    assert [event().status_at(now).value for now in instants] == ["far", "far", "active", "completed"]


def test_rule_014_vtn_simple_has_the_current_value_0_while_not_active() -> None:
    for one, now in ((event(), BEFORE), (event(), AFTER), (event(cancelled=True), DURING)):
        assert element(one, now).event_signals[0].current_value == 0


def test_rule_015_vtn_active_first_then_priority_then_start() -> None:
    events = [
        event("pending-2", start=AFTER + HOUR, priority=1),
        event("pending-1", start=AFTER + MINUTE),
        event("none", priority=0),
        event("low", priority=2),
        event("high-late", priority=1),
        event("high-early", priority=1, start=START - MINUTE),
        event("gone", priority=1, start=START - 2 * MINUTE, cancelled=True),
    ]
    expected = ["gone", "high-early", "high-late", "low", "none", "pending-1", "pending-2"]
    assert [each.event_id for each in in_order(events, DURING)] == expected
    assert [each.event_id for each in in_order(events[::-1], DURING)] == expected


def test_rule_016_017_vtn_a_later_answer_replaces_an_earlier_one() -> None:
    assert may_overrule(old_by_opt=False, new_by_opt=False)


def test_rule_018_ven_of_adjacent_events_the_later_one_counts_where_they_meet() -> None:
    first, second = event("a", signal(1)), event("b", signal(2), start=AFTER)
    assert not first.active_span.overlaps(second.active_span)
    steps = timeline([(first, timedelta(0)), (second, timedelta(0))], BEFORE)
    assert [step.event.event_id for step in in_force(steps, AFTER)] == ["b"]


def test_rule_019_ven_a_bad_event_does_not_spoil_the_good_ones() -> None:
    own = scope(market_contexts=frozenset({"http://market.example/a"}))
    message = distribute(
        event("good"),
        event("value", signal(4)),
        event("context", market_context="urn:other"),
        event("signal", signal(1, unit=KILOWATT)),
    )
    found = consider(message, {}, scope=own, now=BEFORE)
    assert {verdict.event_id: verdict.code for verdict in found.verdicts} == {
        "good": "200",
        "value": "454",
        "context": "462",
        "signal": "460",
    }
    assert found.fault is None


def test_rule_020_vtn_the_past_of_an_event_does_not_change() -> None:
    with pytest.raises(LocalProtocolError, match="rule 20"):
        next_version(event(), event(start=START - MINUTE), DURING)
    assert next_version(event("e1", signal(1, 2)), event("e1", signal(1, 3)), DURING).modification_number == 1


def test_rule_021_ven_ids_are_validated() -> None:
    other_vtn = consider(distribute(event(), vtn_id="Vtn"), {}, scope=scope(), now=BEFORE)
    assert other_vtn.fault is not None
    assert other_vtn.fault.response_code == "452"
    other_ven = consider(distribute(event(target=Target(ven_ids=("Ven1",)))), {}, scope=scope(), now=BEFORE)
    assert other_ven.verdicts[0].code == "452"
    unknown = consider(distribute(event(cancelled=True)), {}, scope=scope(), now=BEFORE)
    assert unknown.verdicts[0].code == "200"


def test_rule_022_ven_targets_are_alternatives() -> None:
    own = scope(resource_ids=frozenset({"r1"}), group_ids=frozenset({"g1"}))
    codes = {}
    for name, target in {
        "empty": Target(),
        "one of two": Target(resource_ids=("r9", "r1")),
        "of another kind": Target(resource_ids=("r9",), group_ids=("g1",)),
        "none": Target(resource_ids=("r9",), group_ids=("g9",)),
    }.items():
        codes[name] = consider(distribute(event(target=target)), {}, scope=own, now=BEFORE).verdicts[0].code
    assert codes == {"empty": "200", "one of two": "200", "of another kind": "200", "none": "462"}


def test_rule_029_vtn_the_current_value_is_that_of_the_running_interval() -> None:
    one = event("e1", signal(1, 2), DISPATCH)
    for minute, values in ((0, [1, 5]), (29, [1, 5]), (30, [2, 6]), (59, [2, 6])):
        lowered = element(one, START + minute * MINUTE)
        assert [each.current_value for each in lowered.event_signals] == values


def test_rule_030_ven_the_start_is_random_within_the_window_and_the_event_moves_as_a_whole() -> None:
    offsets = [random_offset(timedelta(seconds=9), START, draw / 1000) for draw in range(1000)]
    assert {offset.total_seconds() for offset in offsets} == set(range(10))
    assert all(offsets.count(timedelta(seconds=n)) == 100 for n in range(10))
    assert executed_span(event(), MINUTE) == Span(START + MINUTE, AFTER + MINUTE)
    old = KnownEvent(event=event(start_after=MINUTE))
    assert keep_offset(old, event(start_after=MINUTE, priority=1))
    assert not keep_offset(old, event(start_after=HOUR))


def test_rule_031_ven_ramps_inside_and_outside_are_understood() -> None:
    one = event(ramp_up=-MINUTE, recovery=-MINUTE, start_after=MINUTE)
    assert lift_event(element(one)) == one


def test_rule_032_ven_the_values_of_the_intervals_apply_in_turn() -> None:
    steps = timeline([(event("e1", signal(1, 2)), MINUTE)], BEFORE)
    assert [(step.span.start, step.value) for step in steps] == [(START + MINUTE, 1), (START + 31 * MINUTE, 2)]


def test_rule_033_ven_what_makes_no_sense_is_an_application_error() -> None:
    wholly_past = consider(distribute(event(), now=AFTER), {}, scope=scope(), now=AFTER).verdicts[0]
    assert (wholly_past.code, wholly_past.opt_type) == ("459", OptType.OUT)
    with pytest.raises(SchemaMismatch):
        decode(encode(distribute(event())).replace(b"<ei:priority>0</ei:priority>", b"<ei:priority/>"))


def test_rule_035_ven_answers_are_there_unless_the_message_is_refused() -> None:
    refused = created_event_fault("ven1", faults.response("d1", "452"))
    assert refused.event_responses is None
    verdict = consider(distribute(event()), {}, scope=scope(), now=BEFORE).verdicts[0]
    accepted = created_event("ven1", [event_response(verdict, OptType.IN, "d1")])
    assert accepted.event_responses
    with pytest.raises(LocalProtocolError, match="rule 35"):
        created_event("ven1", [])


def test_rule_036_ven_a_cancellation_is_confirmed_and_then_forgotten() -> None:
    gone = event(cancelled=True, modification_number=1)
    verdict = consider(distribute(gone), known(event()), scope=scope(), now=BEFORE).verdicts[0]
    assert (verdict.kind, verdict.opt_type) == ("cancelled", OptType.IN)
    assert event_response(verdict, OptType.OUT, "d1").opt_type == "optOut"
    assert not is_listed(gone, BEFORE, acknowledged=True)


def test_rule_040_041_vtn_a_message_has_an_id_and_an_answer_a_response() -> None:
    answer = distribute(event(), response=faults.response("q1"))
    assert answer.request_id == "d1"
    assert answer.response is not None
    assert answer.response.request_id == "q1"
    assert distribute(event()).response is None


def test_rule_042_ven_answers_name_the_message_that_brought_the_event() -> None:
    verdict = consider(distribute(event()), {}, scope=scope(), now=BEFORE).verdicts[0]
    message = created_event("ven1", [event_response(verdict, OptType.IN, "d1")])
    assert message.response.request_id == ""
    assert message.event_responses is not None
    assert message.event_responses[0].request_id == "d1"


def test_rule_043_ven_messages_may_share_an_id() -> None:
    first = consider(distribute(event("a")), {}, scope=scope(), now=BEFORE)
    second = consider(distribute(event("a"), event("b")), known(event("a")), scope=scope(), now=BEFORE)
    assert [verdict.kind for verdict in (*first.verdicts, *second.verdicts)] == ["new", "unchanged", "new"]


def test_rule_046_ven_empty_is_absent() -> None:
    plain = element(event())
    descriptor = replace(plain.event_descriptor, test_event="", vtn_comment="", priority=None)
    assert lift_event(replace(plain, event_descriptor=descriptor, target=wire.EiTarget())) == event()


def test_rule_047_ven_an_event_without_a_duration_lasts_until_it_is_cancelled() -> None:
    check_event(open_ended())
    assert open_ended().status_at(START + timedelta(days=9999)) is EventStatus.ACTIVE
    lifted = lift_event(vector("24", wire.OadrDistributeEvent).events[0])
    assert lifted.is_open_ended
    assert executed_span(lifted, timedelta(0)).end is None


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (event(market_context="urn:other"), "462"),
        (event(target=Target(resource_ids=("r9",))), "462"),
        (event("e1", signal(1, name="BID_PRICE", kind="price", unit=EURO_PER_KWH)), "460"),
    ],
)
def test_rule_048_ven_logical_errors_have_their_codes_and_opt_out(one: Event, code: str) -> None:
    own = scope(market_contexts=frozenset({"http://market.example/a"}), resource_ids=frozenset({"r1"}))
    verdict = consider(distribute(one), {}, scope=own, now=BEFORE).verdicts[0]
    answer = event_response(verdict, OptType.IN, "d1")
    assert (answer.response_code, answer.opt_type) == (code, "optOut")
    assert created_event("ven1", [answer]).response.response_code == "200"


def test_rule_048_vtn_what_is_answered_is_checked() -> None:
    verdict = consider(distribute(event(modification_number=1)), {}, scope=scope(), now=BEFORE).verdicts[0]
    answer = event_response(verdict, OptType.IN, "d1")
    judged = [judge_answer(answer, event(modification_number=number)) for number in (0, 1, 2)]
    assert [*judged, judge_answer(answer, None)] == ["450", "200", "450", "452"]


def test_rule_050_vtn_pending_and_active_events_are_listed_and_cancelled_ones_until_acknowledged() -> None:
    near = event(ramp_up=2 * HOUR)
    assert all(is_listed(near, now, acknowledged=True) for now in (BEFORE - 2 * HOUR, BEFORE, DURING))
    assert not is_listed(near, AFTER, acknowledged=False)
    gone = cancelled(event(), BEFORE)
    assert is_listed(gone, DURING, acknowledged=False)
    assert not is_listed(gone, DURING, acknowledged=True)


def test_rule_052_vtn_a_cancelled_event_is_listed_no_longer_than_it_would_have_lasted() -> None:
    assert not is_listed(cancelled(event(), BEFORE), AFTER, acknowledged=False)


def test_rule_056_057_058_059_060_ven_new_changed_lower_cancelled() -> None:
    old = known(event("known", modification_number=2), opt_type=OptType.IN)

    def verdict(event_id: str, number: int, *, gone: bool = False) -> tuple[str, str]:
        message = distribute(event(event_id, modification_number=number, cancelled=gone))
        found = consider(message, old, scope=scope(), now=BEFORE).verdicts[0]
        return found.kind, found.code

    assert verdict("other", 5) == ("new", "200")
    assert verdict("known", 4) == ("changed", "200")
    assert verdict("known", 1) == ("refused", "450")
    assert verdict("known", 1, gone=True) == ("refused", "450")
    assert verdict("known", 3, gone=True) == ("cancelled", "200")
    assert verdict("other", 0, gone=True) == ("unknown-cancelled", "200")


def test_rule_061_ven_what_is_missing_is_cancelled() -> None:
    old = known(event("a"), event("b"))
    assert consider(distribute(event("b")), old, scope=scope(), now=DURING).implied_cancels == ("a",)
    assert consider(distribute(), old, scope=scope(), now=DURING).implied_cancels == ("a", "b")


def test_rule_062_ven_every_event_of_every_message_is_judged() -> None:
    message = distribute(*[event(str(n)) for n in range(9)])
    assert len(consider(message, {}, scope=scope(), now=BEFORE).verdicts) == 9


def test_rule_063_vtn_a_target_names_at_most_one_ven() -> None:
    three = event(target=Target(ven_ids=("ven1", "ven2", "ven3")))
    for ven_id in (None, "ven2"):
        lowered = lower_event(three, now=BEFORE, ven_id=ven_id).value
        assert lowered is not None
        assert len(lowered.target.ven_id) == (ven_id is not None)


def test_rule_065_ven_cancelling_a_running_event_is_random_too() -> None:
    running = KnownEvent(event=event(start_after=timedelta(seconds=9)))
    delays = {cancel_delay(running, DURING, draw / 100) for draw in range(100)}
    assert delays == {timedelta(seconds=n) for n in range(10)}
    assert cancel_delay(running, BEFORE, 0.9) == timedelta(0)


def test_rule_066_ven_an_event_stays_listed_for_its_random_window() -> None:
    late = event(start_after=5 * MINUTE)
    assert is_listed(late, AFTER + 4 * MINUTE, acknowledged=True)
    assert not is_listed(late, AFTER + 5 * MINUTE, acknowledged=True)
    completed = element(late, AFTER + MINUTE)
    assert completed.event_descriptor.event_status == "completed"
    message = distribute(late, now=AFTER + MINUTE)
    found = consider(message, known(late, offset=4 * MINUTE), scope=scope(), now=AFTER + MINUTE)
    assert [verdict.kind for verdict in found.verdicts] == ["unchanged"]
    assert found.implied_cancels == ()


def test_rule_069_ven_the_type_of_simple_says_nothing_in_2_0a() -> None:
    message = vector("a2", wire.OadrDistributeEvent)
    one = message.events[0]
    priced = replace(one, event_signals=(replace(one.event_signals[0], signal_type="price"),))
    assert lift_event(priced) == lift_event(one)
