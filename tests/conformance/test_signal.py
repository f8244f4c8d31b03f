"""The rules that 2.0b added on events and their signals (section B), each by what the pure rules and the bridge do.

`tests.unit.v2` tries the same functions case by case; here stands one test for each rule, under its number.
"""

from __future__ import annotations

import msgspec
import pytest

from pyopenadr.errors import ModelError, RemoteProtocolError
from pyopenadr.model import (
    Baseline,
    EventStatus,
    Interval,
    Target,
)
from pyopenadr.v2 import encode, wire
from pyopenadr.v2.bridge import lift_event, lower_event, lower_events
from pyopenadr.v2.ven import (
    consider,
)
from pyopenadr.v2.vtn import (
    check_event,
)
from tests.unit.v2.sample import (
    BEFORE,
    HOUR,
    KILOWATT,
    MINUTE,
    START,
    distribute,
    element,
    event,
    scope,
    signal,
)

DURING = START + 30 * MINUTE
AFTER = START + HOUR
replace = msgspec.structs.replace
DISPATCH = signal(5, 6, name="LOAD_DISPATCH", kind="setpoint", unit=KILOWATT, signal_id="s2")


def test_rule_100_vtn_an_interval_has_one_value() -> None:
    one = element(event("e1", signal(1, 2), baseline=BASELINE))
    assert one.event_baseline is not None
    for interval in (*one.event_signals[0].intervals, *one.event_baseline.intervals):
        assert [type(payload) for payload in interval.payloads] == [wire.SignalPayload]
    first = one.event_signals[0].intervals[0]
    doubled = replace(one.event_signals[0], intervals=(replace(first, payloads=first.payloads * 2),))
    with pytest.raises(RemoteProtocolError, match="rule 100"):
        lift_event(replace(one, event_signals=(doubled,)))


BASELINE = Baseline(
    baseline_id="b1",
    baseline_name="as ever",
    start=BEFORE,
    duration=2 * HOUR,
    intervals=(Interval(HOUR, 60.0), Interval(HOUR, 61.0)),
    resource_ids=("r1", "r2"),
)


def test_rule_101_103_108_vtn_the_baseline_has_numbered_intervals_with_durations_alone() -> None:
    baseline = element(event(baseline=BASELINE)).event_baseline
    assert baseline is not None
    assert [(each.uid, each.duration, each.dtstart) for each in baseline.intervals] == [
        ("0", HOUR, None),
        ("1", HOUR, None),
    ]
    assert baseline.resource_id == ("r1", "r2")


def test_rule_102_vtn_the_intervals_of_the_baseline_sum_to_its_duration() -> None:
    check_event(event(baseline=BASELINE))
    with pytest.raises(ModelError, match="rule 102"):
        check_event(event(baseline=replace(BASELINE, duration=HOUR)))


def test_rule_103_vtn_intervals_have_no_start() -> None:
    assert {each.dtstart for each in element(event("e1", signal(1, 2))).event_signals[0].intervals} == {None}


@pytest.mark.parametrize(
    ("name", "kind", "has_unit", "legal"),
    [
        ("SIMPLE", "level", False, True),
        ("LOAD_DISPATCH", "setpoint", True, True),
        ("LOAD_DISPATCH", "setpoint", False, False),
        ("LOAD_DISPATCH", "price", True, False),
        ("LOAD_CONTROL", "x-loadControlCapacity", False, True),
        ("LOAD_CONTROL", "level", False, False),
        ("x-own", "setpoint", True, True),
        ("OWN", "setpoint", True, False),
    ],
)
def test_rule_104_vtn_the_table_of_signals(name: str, kind: str, has_unit: bool, legal: bool) -> None:
    one = event("e1", signal(1, name=name, kind=kind, unit=KILOWATT if has_unit else None))
    if legal:
        check_event(one)
    else:
        with pytest.raises(ModelError, match="rule 104"):
            check_event(one)


def test_rule_105_vtn_the_notification_is_always_there() -> None:
    assert b"<ei:x-eiNotification><xcal:duration>PT0S</xcal:duration></ei:x-eiNotification>" in encode(
        distribute(event())
    )


def test_rule_106_vtn_simple_may_stand_beside_other_signals() -> None:
    both = event("e1", signal(1), DISPATCH)
    check_event(both)
    assert consider(distribute(both), {}, scope=scope(), now=BEFORE).verdicts[0].kind == "new"


def test_rule_107_vtn_signals_have_ids_of_their_own() -> None:
    with pytest.raises(ModelError, match="rule 107"):
        check_event(event("e1", signal(1), replace(DISPATCH, signal_id="s1")))


def test_rule_109_ven_an_unsupported_signal_is_refused_whole() -> None:
    both = event("e1", signal(1), DISPATCH)
    own = scope(supports=lambda one: one.signal_name == "SIMPLE")
    assert consider(distribute(both), {}, scope=own, now=BEFORE).verdicts[0].code == "460"


def test_rule_111_vtn_signals_are_narrowed_by_device_classes_alone() -> None:
    narrow = element(event("e1", signal(1, device_classes=("Thermostat",)))).event_signals[0]
    assert narrow.target == wire.EiTarget(end_device_asset=("Thermostat",))
    assert element(event()).event_signals[0].target is None
    with pytest.raises(ModelError, match="rule 111"):
        check_event(event("e1", signal(1, device_classes=("Toaster",))))


def test_rule_112_ven_an_unclear_resource_is_a_deployment_error() -> None:
    own = scope(resolves=lambda one, _: len(one.target.resource_ids) < 2)
    two = event(target=Target(resource_ids=("r1", "r2")))
    assert consider(distribute(two), {}, scope=own, now=BEFORE).verdicts[0].code == "469"


def test_rule_113_vtn_2_0a_vens_get_a_current_value() -> None:
    lowered = lower_event(event(), now=DURING, profile="2.0a").value
    assert lowered is not None
    assert lowered.event_signals[0].current_value == 1


def test_rule_114_ven_goes_by_its_clock() -> None:
    stale = element(event(), BEFORE)
    assert stale.event_descriptor.event_status == "far"
    assert lift_event(stale).status_at(START) is EventStatus.ACTIVE


def test_rule_115_vtn_all_events_of_a_message_were_created_at_once() -> None:
    message = distribute(event("a", created_date_time=START), event("b"), now=DURING)
    assert {each.event_descriptor.created_date_time for each in message.events} == {DURING}
    assert {each.event_descriptor.event_status for each in message.events} == {"active"}


def test_rule_116_vtn_the_type_of_simple_is_level() -> None:
    with pytest.raises(ModelError, match="rule 116"):
        check_event(event("e1", signal(1, kind="setpoint")))


def test_n14_a_2_0a_message_has_none_of_what_2_0b_added() -> None:
    full = event("e1", signal(1, device_classes=("Thermostat",)), DISPATCH, baseline=BASELINE, modification_reason="x")
    message = lower_events([full], now=BEFORE, vtn_id="vtn", request_id="1", profile="2.0a").value
    text = encode(message, profile="2.0a").decode()
    for word in ("schemaVersion", "modificationReason", "Baseline", "powerReal", "endDeviceAsset", "oadrPayload"):
        assert word not in text
    for word in ("currentValue", "x-eiNotification"):
        assert word in text
