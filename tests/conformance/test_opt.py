"""The numbered rules on opts (2.0b section C), by what the pure rules and the bridge do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from pyopenadr.errors import ModelError, RemoteProtocolError
from pyopenadr.model import EVERYONE, Opt, OptType, Span, Target
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge import lift_opt, lower_opt
from pyopenadr.v2.vtn import may_overrule
from tests.unit.v2.sample import BEFORE, HOUR, START

AVAILABLE = wire.WsCalendarInterval(dtstart=START, duration=HOUR)


def opt(**fields: Any) -> Opt:
    defaults: dict[str, Any] = {
        "opt_id": "o1",
        "ven_id": "ven1",
        "opt_type": OptType.OUT,
        "opt_reason": "economic",
        "created_date_time": BEFORE,
    }
    return Opt(**(defaults | fields))


SCHEDULE = opt(availability=(Span(START, START + HOUR),))
OF_EVENT = opt(event_id="e1", modification_number=0)


@pytest.mark.parametrize("field", ["start_after", "notification", "ramp_up", "recovery"])
def test_rule_200_both_an_availability_has_only_a_start_and_a_duration(field: str) -> None:
    assert lower_opt(SCHEDULE).vavailability == (AVAILABLE,)
    extended = msgspec.structs.replace(AVAILABLE, **{field: timedelta(0)})
    with pytest.raises(RemoteProtocolError, match="rule 200"):
        lift_opt(msgspec.structs.replace(lower_opt(SCHEDULE), vavailability=(extended,)))


def test_rule_202_both_an_empty_target_is_everything_behind_the_ven() -> None:
    message = lower_opt(SCHEDULE)
    assert lift_opt(message).target == EVERYONE
    assert lift_opt(msgspec.structs.replace(message, target=wire.EiTarget())).target == EVERYONE


def test_rule_205_vtn_a_schedule_may_be_for_one_market_context() -> None:
    narrow = opt(availability=SCHEDULE.availability, market_context="urn:a")
    assert lift_opt(lower_opt(narrow)).market_context == "urn:a"


def test_rule_206_both_an_opt_is_about_an_event_or_about_times() -> None:
    for wrong in (opt(), opt(event_id="e1", modification_number=0, availability=SCHEDULE.availability)):
        with pytest.raises(ModelError, match="rule 206"):
            lower_opt(wrong)
    with pytest.raises(RemoteProtocolError, match="rule 206"):
        lift_opt(msgspec.structs.replace(lower_opt(OF_EVENT), vavailability=(AVAILABLE,)))


def test_rule_206_ven_an_opt_on_an_event_may_be_for_some_of_its_resources() -> None:
    some = opt(event_id="e1", modification_number=0, target=Target(resource_ids=("r1",)))
    assert lower_opt(some).target == wire.EiTarget(resource_id=("r1",))


def test_rule_206_vtn_what_an_opt_said_stands_until_another_opt() -> None:
    assert not may_overrule(old_by_opt=True, new_by_opt=False)
    assert may_overrule(old_by_opt=True, new_by_opt=True)


def test_rule_207_208_ven_an_opt_has_its_ids() -> None:
    message = lower_opt(SCHEDULE, "q1")
    assert (message.ven_id, message.opt_id, message.request_id) == ("ven1", "o1", "q1")


def test_rule_209_both_device_classes_stand_apart_and_alone() -> None:
    narrow = opt(availability=SCHEDULE.availability, device_classes=("EVSE",))
    message = lower_opt(narrow)
    assert message.device_class == wire.EiTarget(end_device_asset=("EVSE",))
    assert lower_opt(SCHEDULE).device_class is None
    with pytest.raises(RemoteProtocolError, match="rule 209"):
        lift_opt(msgspec.structs.replace(message, device_class=wire.EiTarget(group_id=("g1",))))


def test_rule_210_both_a_duration_of_zero_is_for_ever() -> None:
    endless = opt(availability=(Span(START),))
    assert lower_opt(endless).vavailability == (wire.WsCalendarInterval(dtstart=START, duration=timedelta(0)),)
    assert lift_opt(lower_opt(endless)) == endless
