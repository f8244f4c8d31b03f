"""Checks on a VTN: the course of an event from its making to its end. They need the operator's side."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from pyopenadr.conformance.check import Broken, NotApplicable, check
from pyopenadr.conformance.vtn.event import answered, find, listed, published, wished
from pyopenadr.conformance.vtn.expectation import accepted, refused, same
from pyopenadr.conformance.vtn.stage import VtnStage
from pyopenadr.v2 import wire

__all__ = ["CHECKS"]

_SOON_S = 3
_ENDS_S = 12
"""Long enough for the event to arrive before it is over."""


@asynccontextmanager
async def _event(stage: VtnStage, **fields: Any) -> AsyncIterator[wire.OadrEvent]:
    """An event that is cancelled in the end."""
    event = await published(stage, **fields)
    try:
        yield event
    finally:
        await stage.stimulus.cancel_event(event.event_descriptor.event_id)


def _ids(message: wire.OadrDistributeEvent, *wanted: str) -> list[str]:
    return [each.event_descriptor.event_id for each in message.events if each.event_descriptor.event_id in wanted]


async def _changed(stage: VtnStage, event: wire.OadrEvent) -> wire.OadrEvent:
    event_id, number = event.event_descriptor.event_id, event.event_descriptor.modification_number
    await stage.stimulus.change_event(event_id, 5)

    def is_new(message: wire.OadrDistributeEvent) -> bool:
        found = find(message, event_id)
        return found is not None and found.event_descriptor.modification_number != number

    message = await stage.fetch(wire.OadrDistributeEvent, holds=is_new)
    await stage.answer(message)
    changed = find(message, event_id)
    assert changed is not None
    return changed


def _is_cancelled(event_id: str, message: wire.OadrDistributeEvent) -> bool:
    found = find(message, event_id)
    return found is not None and found.event_descriptor.event_status == "cancelled"


async def _cancelled(stage: VtnStage, **fields: Any) -> tuple[wire.OadrEvent, wire.OadrDistributeEvent]:
    """An event as it was, and the list that says that it is cancelled, not yet answered."""
    event = await published(stage, **fields)
    event_id = event.event_descriptor.event_id
    await stage.stimulus.cancel_event(event_id)
    message = await stage.fetch(wire.OadrDistributeEvent, holds=lambda each: _is_cancelled(event_id, each))
    return event, message


@check("vtn-event-new", "502", "50")
async def _new(stage: VtnStage) -> None:
    """A new event reaches the VEN by itself."""
    async with _event(stage):
        pass


@check("vtn-event-new-response", "40")
async def _new_response(stage: VtnStage) -> None:
    """An event that is polled for comes with an eiResponse."""
    await stage.registered()
    if stage.push_url is not None:
        raise NotApplicable("we are pushed to")
    event_id = await stage.stimulus.create_event(wished(stage))
    message = await stage.fetch(wire.OadrDistributeEvent, holds=lambda each: find(each, event_id) is not None)
    await stage.answer(message)
    await stage.stimulus.cancel_event(event_id)
    if message.response is None:
        raise Broken("there is none")


@check("vtn-event-new-number", "4")
async def _new_number(stage: VtnStage) -> None:
    """A new event has the modificationNumber 0."""
    async with _event(stage) as event:
        same("modificationNumber", event.event_descriptor.modification_number, 0)


@check("vtn-event-far", "13")
async def _far(stage: VtnStage) -> None:
    """An event that begins later, without a ramp, is far."""
    async with _event(stage) as event:
        same("eventStatus", event.event_descriptor.event_status, "far")


@check("vtn-event-near", "13")
async def _near(stage: VtnStage) -> None:
    """An event whose ramp has begun is near."""
    async with _event(stage, after=1800, ramp_up=3600) as event:
        same("eventStatus", event.event_descriptor.event_status, "near")


@check("vtn-event-active", "13")
async def _active(stage: VtnStage) -> None:
    """An event that has begun is active."""
    async with _event(stage, after=-60) as event:
        same("eventStatus", event.event_descriptor.event_status, "active")


@check("vtn-event-begins", "13", "115")
async def _begins(stage: VtnStage) -> None:
    """An event turns from far to active at its start, as oadrRequestEvent shows."""
    async with _event(stage, after=_SOON_S) as event:
        await stage.clock.sleep(_SOON_S + 1)
        found = await listed(stage, event.event_descriptor.event_id)
        same("eventStatus", found.event_descriptor.event_status, "active")


@check("vtn-event-begins-number", "5")
async def _begins_number(stage: VtnStage) -> None:
    """A change of the status with time is no change of the event: the modificationNumber stays."""
    async with _event(stage, after=_SOON_S) as event:
        await stage.clock.sleep(_SOON_S + 1)
        found = await listed(stage, event.event_descriptor.event_id)
        same("modificationNumber", found.event_descriptor.modification_number, 0)


@check("vtn-event-current-value", "29")
async def _current_value(stage: VtnStage) -> None:
    """currentValue, if it is there, is the value of the running interval."""
    async with _event(stage, after=-90, steps=((60, 1.0), (3600, 2.0))) as event:
        value = (await listed(stage, event.event_descriptor.event_id)).event_signals[0].current_value
        if value is not None:
            same("currentValue in the second interval", value, 2.0)


@check("vtn-event-current-value-far", "14")
async def _value_far(stage: VtnStage) -> None:
    """currentValue of SIMPLE, if it is there, is 0 before the start."""
    async with _event(stage, steps=((3600, 3.0),)) as event:
        if event.event_signals[0].current_value is not None:
            same("currentValue", event.event_signals[0].current_value, 0.0)


@check("vtn-event-completed", "50", level="should")
async def _completed(stage: VtnStage) -> None:
    """An event that is over is not listed any more."""
    event = await published(stage, after=_ENDS_S - 60, steps=((60, 1.0),))
    await stage.clock.sleep(_ENDS_S + 1)
    if find(await stage.events(), event.event_descriptor.event_id) is not None:
        raise Broken("it is still in the answer to oadrRequestEvent")


@check("vtn-event-window", "66", "30")
async def _window(stage: VtnStage) -> None:
    """An event with startafter is listed until the last VEN may have ended it."""
    async with _event(stage, after=-58, steps=((60, 1.0),), start_after=600) as event:
        await stage.clock.sleep(_SOON_S + 1)
        await listed(stage, event.event_descriptor.event_id)


@check("vtn-event-steps", "2", "8", "102")
async def _steps(stage: VtnStage) -> None:
    """The intervals of an event come in their order, with their durations, values and uids."""
    steps = ((600, 1.0), (1200, 2.0), (1800, 3.0))
    async with _event(stage, steps=steps) as event:
        intervals = event.event_signals[0].intervals
        found = [(each.duration, each.payloads[0].get("value"), each.uid) for each in intervals]
        wanted = [(timedelta(seconds=s), value, str(number)) for number, (s, value) in enumerate(steps)]
        same("the intervals", found, wanted)


@check("vtn-event-start", "31")
async def _start(stage: VtnStage) -> None:
    """An event has the start and the length that the operator gave it."""
    wish = wished(stage)
    async with _event(stage, start=wish.start) as event:
        same("dtstart", event.active_period.dtstart, wish.start)
        same("duration", event.active_period.duration, timedelta(hours=1))


@check("vtn-event-startafter", "30")
async def _start_after(stage: VtnStage) -> None:
    """An event may tell the VEN to choose its start at random: startafter."""
    async with _event(stage, start_after=300) as event:
        same("startafter", event.active_period.start_after, timedelta(seconds=300))


@check("vtn-event-open-ended", "47")
async def _open_ended(stage: VtnStage) -> None:
    """An event without an end has the duration 0, and stays active until it is cancelled."""
    async with _event(stage, after=-3600, steps=((0, 1.0),)) as event:
        same("duration", event.active_period.duration, timedelta(0))
        found = await listed(stage, event.event_descriptor.event_id)
        same("eventStatus", found.event_descriptor.event_status, "active")


@check("vtn-event-never", "12")
async def _never(stage: VtnStage) -> None:
    """An event may want no answer: oadrResponseRequired never."""
    async with _event(stage, response_required="never") as event:
        same("oadrResponseRequired", event.response_required, "never")


@check("vtn-event-test", "6")
async def _test(stage: VtnStage) -> None:
    """A test event says so: testEvent is something else than false."""
    async with _event(stage, is_test=True) as event:
        if (event.event_descriptor.test_event or "false") == "false":
            raise Broken(f"testEvent is {event.event_descriptor.test_event!r}")


@check("vtn-event-price", "510", "104")
async def _price(stage: VtnStage) -> None:
    """An event may have the signal ELECTRICITY_PRICE, price."""
    wish = {"signal_name": "ELECTRICITY_PRICE", "signal_type": "price", "unit": "currencyPerKWh"}
    async with _event(stage, steps=((3600, 0.25),), **wish) as event:
        signal = event.event_signals[0]
        same("the signal", (signal.signal_name, signal.signal_type), ("ELECTRICITY_PRICE", "price"))


@check("vtn-event-dispatch", "510", "104")
async def _dispatch(stage: VtnStage) -> None:
    """An event may have the signal LOAD_DISPATCH, setpoint."""
    wish = {"signal_name": "LOAD_DISPATCH", "signal_type": "setpoint", "unit": "powerReal"}
    async with _event(stage, steps=((3600, 40.0),), **wish) as event:
        signal = event.event_signals[0]
        same("the signal", (signal.signal_name, signal.signal_type), ("LOAD_DISPATCH", "setpoint"))


@check("vtn-event-target", "63", "22")
async def _target(stage: VtnStage) -> None:
    """An event for us names no other VEN."""
    async with _event(stage) as event:
        others = [each for each in event.target.ven_id if each != stage.ven_id]
        if others:
            raise Broken(f"its target names {others}")


@check("vtn-event-order", "15")
async def _order(stage: VtnStage) -> None:
    """Pending events are listed by their start."""
    async with _event(stage, after=30_000) as later, _event(stage, after=20_000) as sooner:
        wanted = [sooner.event_descriptor.event_id, later.event_descriptor.event_id]
        same("the order", _ids(await stage.events(), *wanted), wanted)


@check("vtn-event-order-active", "15")
async def _order_active(stage: VtnStage) -> None:
    """Active events are listed before pending ones."""
    async with _event(stage, after=20_000) as pending, _event(stage, after=-60) as active:
        wanted = [active.event_descriptor.event_id, pending.event_descriptor.event_id]
        same("the order", _ids(await stage.events(), *wanted), wanted)


@check("vtn-event-order-priority", "15", "3")
async def _order_priority(stage: VtnStage) -> None:
    """Active events are listed by priority: 1 before 2, and 0 last."""
    wish: dict[str, Any] = {"after": -60}
    async with (
        _event(stage, priority=0, **wish) as none,
        _event(stage, priority=2, **wish) as second,
        _event(stage, priority=1, **wish) as first,
    ):
        wanted = [each.event_descriptor.event_id for each in (first, second, none)]
        same("the order", _ids(await stage.events(), *wanted), wanted)


@check("vtn-event-created-equal", "115")
async def _created_equal(stage: VtnStage) -> None:
    """All events of a message have the same createdDateTime."""
    async with _event(stage), _event(stage, after=20_000):
        created = {each.event_descriptor.created_date_time for each in (await stage.events()).events}
        if len(created) > 1:
            raise Broken(f"there are {len(created)} different ones")


@check("vtn-event-opt-in", "16")
async def _opt_in(stage: VtnStage) -> None:
    """optIn to an event is taken: oadrResponse with 200."""
    async with _event(stage) as event:
        accepted(await answered(stage, event, "optIn"), wire.OadrResponse)


@check("vtn-event-opt-out", "16")
async def _opt_out(stage: VtnStage) -> None:
    """optOut of an event is taken: oadrResponse with 200."""
    async with _event(stage) as event:
        accepted(await answered(stage, event, "optOut"), wire.OadrResponse)


@check("vtn-event-opt-later", "17")
async def _opt_later(stage: VtnStage) -> None:
    """A VEN may change its mind: optIn, optOut, optIn."""
    async with _event(stage) as event:
        for opt_type in ("optIn", "optOut", "optIn"):
            accepted(await answered(stage, event, opt_type), wire.OadrResponse)


@check("vtn-event-refusal", "48")
async def _refusal(stage: VtnStage) -> None:
    """A VEN may refuse an event with an error and optOut: that is no error of the message."""
    async with _event(stage) as event:
        accepted(await answered(stage, event, "optOut", code="460"), wire.OadrResponse)


@check("vtn-event-wrong-number", "48", level="should")
async def _wrong_number(stage: VtnStage) -> None:
    """An answer with a modificationNumber that never was is refused with 450."""
    async with _event(stage) as event:
        refused(await answered(stage, event, "optIn", number=7), "450")


@check("vtn-event-opted-out-listed", "50", level="may")
async def _opted_out(stage: VtnStage) -> None:
    """An event that a VEN has opted out of may still be listed, and the others are."""
    async with _event(stage) as one, _event(stage, after=20_000) as other:
        await answered(stage, one, "optOut")
        await listed(stage, other.event_descriptor.event_id)


@check("vtn-event-change", "5", "502")
async def _change(stage: VtnStage) -> None:
    """A changed event reaches the VEN, with its modificationNumber one higher."""
    async with _event(stage) as event:
        changed = await _changed(stage, event)
        same("modificationNumber", changed.event_descriptor.modification_number, 1)


@check("vtn-event-change-content", "5")
async def _change_content(stage: VtnStage) -> None:
    """A changed event has what was changed."""
    async with _event(stage) as event:
        changed = await _changed(stage, event)
        same("priority", changed.event_descriptor.priority, 5)


@check("vtn-event-change-created", "115", level="should")
async def _change_created(stage: VtnStage) -> None:
    """A changed event has a later createdDateTime."""
    async with _event(stage) as event:
        await stage.clock.sleep(1.1)
        changed = await _changed(stage, event)
        if changed.event_descriptor.created_date_time <= event.event_descriptor.created_date_time:
            raise Broken(f"it is {changed.event_descriptor.created_date_time.isoformat()} as before")


@check("vtn-event-complete-list", "50", "502")
async def _complete(stage: VtnStage) -> None:
    """The list that brings a new event holds the earlier ones, too."""
    async with _event(stage) as one:
        event_id = await stage.stimulus.create_event(wished(stage, after=20_000))
        message = await stage.fetch(wire.OadrDistributeEvent, holds=lambda each: find(each, event_id) is not None)
        await stage.answer(message)
        await stage.stimulus.cancel_event(event_id)
        if find(message, one.event_descriptor.event_id) is None:
            raise Broken(f"event {one.event_descriptor.event_id} is missing in it")


@check("vtn-event-cancel", "10", "50")
async def _cancel(stage: VtnStage) -> None:
    """A cancelled event reaches the VEN with the status cancelled."""
    _, message = await _cancelled(stage)
    await stage.answer(message)


@check("vtn-event-cancel-number", "5", "10")
async def _cancel_number(stage: VtnStage) -> None:
    """Cancelling adds 1 to the modificationNumber."""
    event, message = await _cancelled(stage)
    await stage.answer(message)
    found = find(message, event.event_descriptor.event_id)
    assert found is not None
    same("modificationNumber", found.event_descriptor.modification_number, 1)


@check("vtn-event-cancel-listed", "50", "52")
async def _cancel_listed(stage: VtnStage) -> None:
    """A cancelled event is listed until its cancellation is answered."""
    event, message = await _cancelled(stage)
    found = await listed(stage, event.event_descriptor.event_id)
    await stage.answer(message)
    same("eventStatus", found.event_descriptor.event_status, "cancelled")


@check("vtn-event-cancel-answered", "50", "36")
async def _cancel_answered(stage: VtnStage) -> None:
    """A cancelled event is not listed any more once its cancellation is answered."""
    event, message = await _cancelled(stage)
    await stage.answer(message)
    if find(await stage.events(), event.event_descriptor.event_id) is not None:
        raise Broken("it is still there")


@check("vtn-event-cancel-refused", "36")
async def _cancel_refused(stage: VtnStage) -> None:
    """A VEN may answer a cancellation by optOut, if it can't stop."""
    _, message = await _cancelled(stage)
    answer = await stage.answer(message, "optOut")
    if answer is None:
        raise NotApplicable("the event wants no answer")
    accepted(answer, wire.OadrResponse)


@check("vtn-event-cancel-never", "10", "12")
async def _cancel_never(stage: VtnStage) -> None:
    """An event that wants no answer is cancelled like others."""
    event, message = await _cancelled(stage, response_required="never")
    found = find(message, event.event_descriptor.event_id)
    assert found is not None
    same("oadrResponseRequired", found.response_required, "never")


CHECKS = (
    _new,
    _new_response,
    _new_number,
    _far,
    _near,
    _active,
    _begins,
    _begins_number,
    _current_value,
    _value_far,
    _completed,
    _window,
    _steps,
    _start,
    _start_after,
    _open_ended,
    _never,
    _test,
    _price,
    _dispatch,
    _target,
    _order,
    _order_active,
    _order_priority,
    _created_equal,
    _opt_in,
    _opt_out,
    _opt_later,
    _refusal,
    _wrong_number,
    _opted_out,
    _change,
    _change_content,
    _change_created,
    _complete,
    _cancel,
    _cancel_number,
    _cancel_listed,
    _cancel_answered,
    _cancel_refused,
    _cancel_never,
)
