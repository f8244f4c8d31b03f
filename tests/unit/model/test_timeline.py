from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from pyopenadr.model import Event, Signal, Span, Target
from pyopenadr.model.timeline import Step, in_force, timeline
from tests.unit.v2.sample import BEFORE, HOUR, MINUTE, START, event, open_ended, signal

NO_OFFSET = timedelta(0)


def told(
    *events: Event, start: datetime = BEFORE, end: datetime | None = None
) -> list[tuple[int | None, int | None, float]]:
    """What applies, as minutes from `START` and values; the events all have one lane."""
    steps = timeline([(one, NO_OFFSET) for one in events], start, end)
    return [(minutes(step.span.start), minutes(step.span.end), step.value) for step in steps]


def minutes(instant: datetime | None) -> int | None:
    return None if instant is None else round((instant - START) / MINUTE)


def test_without_events_nothing_applies() -> None:
    assert timeline([], START) == ()


def test_the_intervals_of_one_event_follow_each_other() -> None:
    assert told(event("e1", signal(1, 2))) == [(0, 30, 1), (30, 60, 2)]


def test_steps_are_cut_to_the_window() -> None:
    steps = event("e1", signal(1, 2, 3))
    assert told(steps, start=START + 30 * MINUTE, end=START + 50 * MINUTE) == [(30, 40, 2), (40, 50, 3)]
    assert told(steps, start=START + HOUR) == []
    assert told(steps, end=START) == []


def test_an_open_ended_event_applies_for_ever() -> None:
    assert told(open_ended()) == [(0, None, 2)]
    assert told(open_ended(), end=START + MINUTE) == [(0, 1, 2)]


def test_of_overlapping_events_the_best_priority_applies_and_0_is_the_last() -> None:
    low = event("low", signal(1), priority=0)
    middle = event("middle", signal(2), priority=2, start=START + 10 * MINUTE)
    high = event("high", signal(3), priority=1, start=START + 20 * MINUTE, duration=10 * MINUTE)
    assert told(low, middle, high) == [(0, 10, 1), (10, 20, 2), (20, 30, 3), (30, 70, 2)]


def test_the_other_event_applies_again_when_the_better_one_ends() -> None:
    low = event("low", signal(1))
    high = event("high", signal(2), priority=1, start=START + 10 * MINUTE)
    steps = timeline([(low, NO_OFFSET), (high, Span(START + 10 * MINUTE, START + 20 * MINUTE))], BEFORE)
    assert [(minutes(step.span.start), step.event.event_id) for step in steps] == [
        (0, "low"),
        (10, "high"),
        (20, "low"),
    ]


def test_with_equal_priority_the_earlier_start_applies() -> None:
    first, second = event("a", signal(1)), event("b", signal(2), start=START + 30 * MINUTE)
    assert told(second, first) == [(0, 60, 1), (60, 90, 2)]


def test_with_an_equal_start_the_one_given_first_applies() -> None:
    assert told(event("a", signal(1)), event("b", signal(2))) == [(0, 60, 1)]


def test_of_adjacent_events_the_later_applies_where_they_meet() -> None:
    steps = timeline(
        [(event("a", signal(1)), NO_OFFSET), (event("b", signal(2), start=START + HOUR), NO_OFFSET)], BEFORE
    )
    assert [step.value for step in in_force(steps, START + HOUR)] == [2]
    assert in_force(steps, START - timedelta(microseconds=1)) == ()
    assert in_force(steps, START + 2 * HOUR) == ()


def test_an_offset_moves_the_whole_event() -> None:
    (step,) = timeline([(event(), 5 * MINUTE)], BEFORE)
    assert step.span == Span(START + 5 * MINUTE, START + 65 * MINUTE)


def test_a_cancelled_event_applies_only_for_the_span_that_is_given() -> None:
    gone = event(cancelled=True)
    assert timeline([(gone, NO_OFFSET)], BEFORE) == ()
    (step,) = timeline([(gone, Span(START, START + MINUTE))], BEFORE)
    assert step.span == Span(START, START + MINUTE)


def test_signals_of_different_names_do_not_compete() -> None:
    both = event("e1", signal(1), signal(5, name="x-fan", signal_id="s2"))
    assert sorted(step.value for step in timeline([(both, NO_OFFSET)], BEFORE)) == [1, 5]


def by_lane(steps: tuple[Step, ...]) -> dict[tuple[str, str], list[float]]:
    found: dict[tuple[str, str], list[float]] = {}
    for step in steps:
        found.setdefault((step.resource, step.device_class), []).append(step.value)
    return found


def test_an_event_for_all_competes_with_one_for_a_resource_only_there() -> None:
    general = event("general", signal(1))
    special = event("special", signal(2), priority=1, target=Target(resource_ids=("r1",)))
    steps = timeline([(general, NO_OFFSET), (special, NO_OFFSET)], BEFORE)
    assert by_lane(steps) == {("", ""): [1], ("r1", ""): [2]}


def test_the_same_holds_for_device_classes() -> None:
    general = event("general", signal(1))
    special = event("special", signal(2, device_classes=("Thermostat",)), priority=1)
    steps = timeline([(general, NO_OFFSET), (special, NO_OFFSET)], BEFORE)
    assert by_lane(steps) == {("", ""): [1], ("", "Thermostat"): [2]}


def test_signals_for_a_resource_and_for_a_class_meet_in_the_resources_devices_of_that_class() -> None:
    of_resource = event("a", signal(1), target=Target(resource_ids=("r1",)))
    of_class = event("b", signal(2, device_classes=("Thermostat",)), priority=1)
    steps = timeline([(of_resource, NO_OFFSET), (of_class, NO_OFFSET)], BEFORE)
    assert by_lane(steps) == {("r1", ""): [1], ("", "Thermostat"): [2], ("r1", "Thermostat"): [2]}


def test_the_caller_may_say_which_resources_a_target_means() -> None:
    groups = {"g1": ("r1", "r2")}

    def members(one: Event, _: Signal) -> tuple[str, ...]:
        return groups[one.target.group_ids[0]]

    steps = timeline([(event(target=Target(group_ids=("g1",))), NO_OFFSET)], BEFORE, resources_of=members)
    assert by_lane(steps) == {("r1", ""): [1], ("r2", ""): [1]}


def test_a_step_knows_where_it_comes_from() -> None:
    one = event("e1", signal(1, 2))
    first, second = timeline([(one, NO_OFFSET)], BEFORE)
    assert (second.event, second.signal, second.number) == (one, one.signals[0], 1)
    assert second.interval == one.signals[0].intervals[1]
    assert first.value == 1


@pytest.mark.parametrize("count", [200])
def test_many_events_are_no_trouble(count: int) -> None:
    events = [
        (event(f"e{n}", signal(*range(12)), priority=n % 7, start=START + n * MINUTE), NO_OFFSET) for n in range(count)
    ]
    steps = timeline(events, BEFORE)
    assert steps[0].span.start == START
    assert steps[-1].span.end == START + (count + 59) * MINUTE
