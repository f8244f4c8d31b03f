from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from pyopenadr.errors import LocalProtocolError
from pyopenadr.model import (
    CalendarDuration,
    Event,
    Interval,
    OptType,
    ResponseRequired,
    Span,
    Target,
    Unit,
)
from pyopenadr.v2 import faults, wire
from pyopenadr.v2.ven import (
    Consideration,
    KnownEvent,
    VenScope,
    Verdict,
    cancel_delay,
    consider,
    created_event,
    created_event_fault,
    event_response,
    executed_span,
    keep_offset,
    random_offset,
)
from tests.unit.v2.sample import (
    BEFORE,
    EURO_PER_KWH,
    HOUR,
    KILOWATT,
    MINUTE,
    START,
    distribute,
    event,
    known,
    open_ended,
    scope,
    signal,
)

AFTER = START + HOUR
NOTHING = timedelta(0)
replace = msgspec.structs.replace


def judged(new: Event, *old: Event, now: Any = BEFORE, own: VenScope | None = None, **known_fields: Any) -> Verdict:
    """The verdict on one event."""
    (verdict,) = consider(distribute(new, now=now), known(*old, **known_fields), scope=own or scope(), now=now).verdicts
    return verdict


def seen(one: Event) -> Event:
    """The event as it comes out of the message of `distribute`."""
    return replace(one, created_date_time=BEFORE)


# --- the whole message --------------------------------------------------------------------------------------------


def test_an_error_reply_says_nothing_about_events() -> None:
    message = distribute(response=faults.response("q1", "463"))
    assert consider(message, known(event()), scope=scope(), now=BEFORE) == Consideration()


def test_a_success_reply_does() -> None:
    message = distribute(response=faults.response("q1"))
    assert consider(message, known(event()), scope=scope(), now=BEFORE).implied_cancels == ("e1",)


def test_another_vtn_makes_the_message_unusable() -> None:
    found = consider(distribute(event(), vtn_id="VTN"), known(event("e2")), scope=scope(), now=BEFORE)
    assert found.verdicts == ()
    assert found.implied_cancels == ()
    assert found.fault is not None
    assert (found.fault.response_code, found.fault.request_id) == ("452", "d1")


@pytest.mark.parametrize(("expected", "sent"), [("vtn", "vtn"), ("vtn", ""), (None, "any")])
def test_the_vtn_may_be_unknown_or_silent(expected: str | None, sent: str) -> None:
    found = consider(distribute(event(), vtn_id=sent), {}, scope=scope(vtn_id=expected), now=BEFORE)
    assert [verdict.kind for verdict in found.verdicts] == ["new"]


def test_what_is_no_longer_listed_is_cancelled() -> None:
    found = consider(distribute(event("b")), known(event("a"), event("b"), event("c")), scope=scope(), now=BEFORE)
    assert found.implied_cancels == ("a", "c")


def test_what_is_over_is_not_cancelled() -> None:
    two = known(event("a"), offset=NOTHING) | known(event("b"), offset=MINUTE)
    assert consider(distribute(), two, scope=scope(), now=AFTER).implied_cancels == ("b",)
    assert consider(distribute(), known(open_ended()), scope=scope(), now=AFTER).implied_cancels == ("e1",)


def test_a_list_that_may_be_cut_off_cancels_nothing() -> None:
    message = distribute(event("a"), event("b"))
    for limit, gone in ((2, ()), (1, ()), (3, ("c",)), (None, ("c",))):
        found = consider(message, known(event("c")), scope=scope(), now=BEFORE, reply_limit=limit)
        assert found.implied_cancels == gone


def test_a_refused_event_is_not_cancelled() -> None:
    old = event(modification_number=2)
    found = consider(distribute(event(modification_number=1)), known(old), scope=scope(), now=BEFORE)
    assert (found.verdicts[0].kind, found.implied_cancels) == ("refused", ())


def test_good_events_are_taken_beside_bad_ones() -> None:
    message = distribute(event("bad", signal(4)), event("good"), event("foreign", target=Target(ven_ids=("ven2",))))
    found = consider(message, {}, scope=scope(), now=BEFORE)
    assert [(verdict.event_id, verdict.kind) for verdict in found.verdicts] == [
        ("bad", "refused"),
        ("good", "new"),
        ("foreign", "refused"),
    ]


def test_an_event_that_stands_twice_is_judged_by_its_first_version() -> None:
    message = distribute(event(modification_number=1), event(modification_number=0), event(modification_number=1))
    found = consider(message, {}, scope=scope(), now=BEFORE)
    assert [verdict.kind for verdict in found.verdicts] == ["new", "refused", "unchanged"]
    message = distribute(event(cancelled=True), event(cancelled=True))
    found = consider(message, known(event()), scope=scope(), now=BEFORE)
    assert [verdict.kind for verdict in found.verdicts] == ["cancelled", "unknown-cancelled"]


# --- versions -----------------------------------------------------------------------------------------------------


def test_an_unknown_event_is_new() -> None:
    assert judged(event(modification_number=7)) == Verdict(
        kind="new", event_id="e1", modification_number=7, event=seen(event(modification_number=7))
    )


def test_a_higher_number_is_a_change() -> None:
    verdict = judged(event(modification_number=2), event(), opt_type=OptType.IN)
    assert (verdict.kind, verdict.opt_type, verdict.code) == ("changed", None, "200")
    assert verdict.event == event(modification_number=2)


@pytest.mark.parametrize("opt_type", [OptType.IN, OptType.OUT, None])
def test_the_same_number_changes_nothing(opt_type: OptType | None) -> None:
    verdict = judged(event(), event(created_date_time=START), opt_type=opt_type)
    assert (verdict.kind, verdict.opt_type, verdict.event) == ("unchanged", opt_type, event())


def test_the_same_number_with_another_content_is_a_change_all_the_same() -> None:
    verdict = judged(event(priority=1), event(), opt_type=OptType.IN)
    assert (verdict.kind, verdict.opt_type) == ("changed", None)


@pytest.mark.parametrize("gone", [False, True])
def test_a_lower_number_is_out_of_sequence(gone: bool) -> None:
    verdict = judged(event(modification_number=1, cancelled=gone), event(modification_number=2))
    assert (verdict.kind, verdict.code, verdict.opt_type, verdict.event) == ("refused", "450", OptType.OUT, None)


@pytest.mark.parametrize("number", [2, 3])
def test_a_known_event_is_cancelled(number: int) -> None:
    old = event(modification_number=2, vtn_comment="ours")
    verdict = judged(event(modification_number=number, cancelled=True), old)
    assert (verdict.kind, verdict.code, verdict.opt_type) == ("cancelled", "200", OptType.IN)
    assert verdict.event == replace(old, cancelled=True, modification_number=number)


def test_an_unknown_event_that_is_cancelled_is_no_error() -> None:
    verdict = judged(event(cancelled=True))
    assert (verdict.kind, verdict.code, verdict.opt_type, verdict.event) == (
        "unknown-cancelled",
        "200",
        OptType.IN,
        None,
    )


@pytest.mark.parametrize("required", list(ResponseRequired))
@pytest.mark.parametrize(
    ("fields", "old"),
    [({}, ()), ({"cancelled": True}, ()), ({"market_context": "urn:other"}, ()), ({}, (event(modification_number=1),))],
)
def test_an_answer_is_due_exactly_if_it_is_required(
    required: ResponseRequired, fields: dict[str, Any], old: tuple[Event, ...]
) -> None:
    own = scope(market_contexts=frozenset({"http://market.example/a"}))
    verdict = judged(event(response_required=required, **fields), *old, own=own)
    assert verdict.answer is (required is ResponseRequired.ALWAYS)


# --- what is not for us, or beyond us -----------------------------------------------------------------------------


def refusal(one: Event, own: VenScope | None = None, now: Any = BEFORE) -> str | None:
    """The code with which the event is refused."""
    verdict = judged(one, own=own, now=now)
    if verdict.kind != "refused":
        return None
    assert verdict.event is None
    assert verdict.opt_type is OptType.OUT
    assert verdict.description
    return verdict.code


@pytest.mark.parametrize(
    ("contexts", "code"),
    [
        (None, None),
        ({"http://market.example/a"}, None),
        ({"urn:other", "HTTP://Market.Example:80/a"}, None),
        ({"http://market.example/b"}, "462"),
        (set(), "462"),
    ],
)
def test_the_market_context_has_to_be_ours(contexts: set[str] | None, code: str | None) -> None:
    own = scope(market_contexts=None if contexts is None else frozenset(contexts))
    assert refusal(event(), own) == code


OWN = {
    "group_ids": frozenset({"g1"}),
    "group_names": frozenset({"north"}),
    "resource_ids": frozenset({"r1", "r2"}),
    "party_ids": frozenset({"p1"}),
    "device_classes": frozenset({"Thermostat"}),
    "others": Target(pnodes=("n1",), meter_assets=("m1",)),
}


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ({}, None),
        ({"ven_ids": ("ven1",)}, None),
        ({"ven_ids": ("ven1",), "resource_ids": ("foreign",)}, None),
        ({"group_ids": ("g1",)}, None),
        ({"group_names": ("south", "north")}, None),
        ({"resource_ids": ("r2",)}, None),
        ({"party_ids": ("p1",)}, None),
        ({"end_device_assets": ("Thermostat",)}, None),
        ({"pnodes": ("n1",)}, None),
        ({"meter_assets": ("m1",), "pnodes": ("foreign",)}, None),
        ({"resource_ids": ("foreign",)}, "462"),
        ({"group_ids": ("r1",)}, "462"),
        ({"aggregated_pnodes": ("n1",)}, "462"),
        ({"end_device_assets": ("EVSE",)}, "462"),
        ({"ven_ids": ("VEN1",)}, "452"),
        ({"ven_ids": ("ven2",), "resource_ids": ("r1",)}, "452"),
    ],
)
def test_the_target_has_to_be_ours(target: dict[str, Any], code: str | None) -> None:
    assert refusal(event(target=Target(**target)), scope(**OWN)) == code


def test_who_was_told_nothing_takes_any_target_but_another_ven() -> None:
    unknown, foreign = event(target=Target(resource_ids=("r9",))), event(target=Target(ven_ids=("ven9",)))
    assert refusal(unknown) is None
    assert refusal(foreign) == "452"
    assert refusal(unknown, scope(accepts_unknown_targets=False)) == "462"
    assert refusal(unknown, scope(accepts_unknown_targets=True, **OWN)) is None


def test_some_signal_has_to_be_for_our_devices() -> None:
    own = scope(device_classes=frozenset({"Thermostat"}))
    heater = signal(1, device_classes=("Water_Heater",))
    assert refusal(event("e1", heater), own) == "462"
    assert refusal(event("e1", signal(1, device_classes=("Water_Heater", "Thermostat"))), own) is None
    assert refusal(event("e1", heater, signal(1, signal_id="s2")), own) is None
    assert refusal(event("e1", heater)) is None


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (signal(1, name="ELECTRICITY_PRICE", kind="price"), "460"),
        (signal(1, name="ELECTRICITY_PRICE", kind="level", unit=EURO_PER_KWH), "460"),
        (signal(1, unit=KILOWATT), "460"),
        (signal(4), "454"),
        (signal(intervals=(Interval(2 * HOUR, 1.0),)), "459"),
    ],
)
def test_a_signal_without_meaning_spoils_the_event(bad: Any, code: str) -> None:
    assert refusal(event("e1", signal(1), bad)) == code


def test_the_ven_may_support_less_or_more() -> None:
    strange = signal(1, name="ELECTRICITY_PRICE", kind="price", unit=Unit(name="currency", symbol="EUR"))
    assert refusal(event("e1", strange), scope(supports=lambda _: True)) is None
    assert refusal(event(), scope(supports=lambda one: one.signal_name != "SIMPLE")) == "460"


def test_the_ven_may_not_know_which_resource_is_meant() -> None:
    assert refusal(event(), scope(resolves=lambda _, one: one.signal_id != "s1")) == "469"
    assert refusal(event(), scope(resolves=lambda _, one: one.signal_id == "s1")) is None


def test_a_new_event_that_is_over_is_refused() -> None:
    assert refusal(event(), now=AFTER - MINUTE) is None
    assert refusal(event(), now=AFTER) == "459"
    assert refusal(event(start_after=MINUTE), now=AFTER) is None
    assert refusal(open_ended(), now=AFTER) is None
    assert judged(event(), event(), now=AFTER).kind == "unchanged"


def test_a_bad_version_of_a_known_event_is_refused() -> None:
    verdict = judged(event("e1", signal(4), modification_number=1), event())
    assert (verdict.kind, verdict.code, verdict.event) == ("refused", "454", None)


# --- answers ------------------------------------------------------------------------------------------------------

NEW = Verdict(kind="new", event_id="e1", modification_number=3)
BAD = replace(NEW, kind="refused", code="462", description="not here")


def test_an_answer_names_the_version_and_the_message_that_brought_it() -> None:
    assert event_response(NEW, OptType.IN, "d1") == wire.EventResponse(
        response_code="200",
        response_description="OK",
        request_id="d1",
        event_id="e1",
        modification_number=3,
        opt_type="optIn",
    )


def test_an_error_is_always_an_opt_out() -> None:
    refused = event_response(BAD, OptType.IN, "d1")
    assert (refused.response_code, refused.response_description, refused.opt_type) == ("462", "not here", "optOut")
    own = event_response(NEW, OptType.IN, "d1", code="469", description="which one?")
    assert (own.response_code, own.response_description, own.opt_type) == ("469", "which one?", "optOut")
    assert event_response(NEW, OptType.IN, "d1", code="469").response_description == "deployment error"
    assert event_response(NEW, OptType.OUT, "d1").opt_type == "optOut"


def test_answers_go_together_in_a_message_without_a_request_id() -> None:
    answers = [event_response(NEW, OptType.IN, "d1"), event_response(BAD, OptType.OUT, "d1")]
    message = created_event("ven1", answers)
    assert (message.ven_id, message.event_responses) == ("ven1", tuple(answers))
    assert message.response == faults.response("", "200")
    with pytest.raises(LocalProtocolError, match="send none"):
        created_event("ven1", [])


def test_a_whole_message_is_refused_without_answers() -> None:
    fault = faults.response("d1", "452")
    message = created_event_fault("ven1", fault)
    assert (message.response, message.event_responses, message.ven_id) == (fault, None, "ven1")


# --- random times -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "draw", "seconds"),
    [
        (timedelta(seconds=9), 0.0, 0),
        (timedelta(seconds=9), 0.0999, 0),
        (timedelta(seconds=9), 0.1, 1),
        (timedelta(seconds=9), 0.9999, 9),
        (timedelta(seconds=9), 1.0, 9),
        (NOTHING, 0.9, 0),
        (-HOUR, 0.9, 0),
        (timedelta(milliseconds=900), 0.9, 0),
        (CalendarDuration(1), 0.999999999, 30 * 24 * 3600),
        (CalendarDuration(1, negative=True), 0.5, 0),
    ],
)
def test_an_offset_is_a_whole_number_of_seconds_in_the_window(window: Any, draw: float, seconds: int) -> None:
    assert random_offset(window, START, draw) == timedelta(seconds=seconds)


def test_an_event_is_executed_as_a_whole_later() -> None:
    assert executed_span(event(), 5 * MINUTE) == Span(START + 5 * MINUTE, AFTER + 5 * MINUTE)
    assert executed_span(open_ended(), MINUTE) == Span(START + MINUTE)


def test_an_offset_is_kept_while_its_window_is() -> None:
    old = KnownEvent(event=event(start_after=MINUTE), offset=timedelta(seconds=7))
    assert keep_offset(old, event(start_after=MINUTE, start=BEFORE, modification_number=1))
    assert not keep_offset(old, event(start_after=2 * MINUTE))


@pytest.mark.parametrize(
    ("minutes", "delay"),
    [(-1, 0), (0, 0), (4, 0), (5, 5), (60, 5), (64, 1), (65, 0)],
)
def test_a_running_event_is_cancelled_at_random_but_never_after_its_end(minutes: int, delay: int) -> None:
    running = KnownEvent(event=event(start_after=10 * MINUTE), offset=5 * MINUTE)
    assert cancel_delay(running, START + minutes * MINUTE, 0.5) == delay * MINUTE


def test_without_a_window_a_running_event_is_cancelled_at_once() -> None:
    assert cancel_delay(KnownEvent(event=event()), START, 0.9) == NOTHING
    endless = KnownEvent(event=open_ended(start_after=10 * MINUTE))
    assert cancel_delay(endless, AFTER, 0.5) == 5 * MINUTE
