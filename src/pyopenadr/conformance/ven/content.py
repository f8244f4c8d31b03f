"""Checks on a VEN: what an event may hold. Each must be understood, whatever the VEN opts for."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from pyopenadr.conformance.check import NotApplicable, check
from pyopenadr.conformance.quantity import POWER
from pyopenadr.conformance.ven.expectation import followed
from pyopenadr.conformance.ven.reply import distribution
from pyopenadr.conformance.ven.sample import HOUR, PRICE, event, signal
from pyopenadr.conformance.ven.stage import VenStage
from pyopenadr.v2 import wire

__all__ = ["CHECKS"]


async def _understood(stage: VenStage, one: wire.OadrEvent) -> None:
    await stage.distribute(one)
    followed(await stage.response_to(one.event_descriptor.event_id))


async def _understood_as(stage: VenStage, one: wire.OadrEvent, *changes: tuple[bytes, bytes]) -> None:
    """The same with changes to the text."""
    if stage.seal.key is not None:
        raise NotApplicable("the text of a signed message can't be changed")
    stage.events = [one]
    message = distribution(stage, stage.new_id("list"), is_push=stage.push_address is not None)
    body = stage.seal.write(message)
    for old, new in changes:
        body = body.replace(old, new)
    await stage.deliver_bytes("EiEvent", body)
    followed(await stage.response_to(one.event_descriptor.event_id))


@check("ven-event-intervals", "32")
async def _intervals(stage: VenStage) -> None:
    """An event with several intervals is understood."""
    await stage.registered()
    await _understood(stage, event(stage, signal(1.0, 2.0, 3.0)))


@check("ven-event-price", "510")
async def _price(stage: VenStage) -> None:
    """An event with the signal ELECTRICITY_PRICE, price, is understood."""
    await stage.registered()
    price = signal(0.25, signal_name="ELECTRICITY_PRICE", signal_type="price", item_base=PRICE)
    await _understood(stage, event(stage, price))


@check("ven-event-dispatch", "510")
async def _dispatch(stage: VenStage) -> None:
    """An event with the signal LOAD_DISPATCH, setpoint, is understood."""
    await stage.registered()
    setpoint = signal(40.0, signal_name="LOAD_DISPATCH", signal_type="setpoint", item_base=POWER)
    await _understood(stage, event(stage, setpoint))


@check("ven-event-signals", "106", "107")
async def _signals(stage: VenStage) -> None:
    """An event with SIMPLE beside another signal is understood."""
    await stage.registered()
    price = signal(0.5, signal_id="signal-2", signal_name="ELECTRICITY_PRICE", signal_type="price", item_base=PRICE)
    await _understood(stage, event(stage, signal(1.0), price))


@check("ven-event-baseline", "108", "46")
async def _baseline(stage: VenStage) -> None:
    """An event with a baseline is understood."""
    await stage.registered()
    one = event(stage)
    baseline = wire.EiEventBaseline(
        dtstart=one.active_period.dtstart,
        duration=HOUR,
        intervals=signal(10.0, 20.0).intervals,
        baseline_id="baseline-1",
        baseline_name="usual",
        item_base=POWER,
    )
    await _understood(stage, msgspec.structs.replace(one, event_baseline=baseline))


@check("ven-event-active", "114")
async def _active(stage: VenStage) -> None:
    """An event that has begun already is understood."""
    await stage.registered()
    await _understood(stage, event(stage, after=timedelta(minutes=-10), status="active"))


@check("ven-event-stale-status", "114")
async def _stale(stage: VenStage) -> None:
    """An event that has begun, but still says that it is far, is understood."""
    await stage.registered()
    await _understood(stage, event(stage, after=timedelta(minutes=-10), status="far"))


@check("ven-event-completed", "66")
async def _completed(stage: VenStage) -> None:
    """An event that is completed, and listed because of its startafter, is understood."""
    await stage.registered()
    one = event(
        stage,
        after=timedelta(minutes=-61),
        status="completed",
        start_after=timedelta(minutes=10),
    )
    await _understood(stage, one)


@check("ven-event-open-ended", "47")
async def _open_ended(stage: VenStage) -> None:
    """An event without an end is understood."""
    await stage.registered()
    one = event(stage, signal(1.0, length=timedelta(0)), duration=timedelta(0))
    await _understood(stage, one)


@check("ven-event-startafter", "30")
async def _start_after(stage: VenStage) -> None:
    """An event with a random start, startafter, is understood."""
    await stage.registered()
    await _understood(stage, event(stage, start_after=timedelta(minutes=5)))


@check("ven-event-ramps", "31")
async def _ramps(stage: VenStage) -> None:
    """An event with ramps before and after, and within, is understood."""
    await stage.registered()
    ramp = timedelta(minutes=5)
    await _understood(stage, event(stage, ramp_up=ramp, recovery=ramp))
    await _understood(stage, event(stage, ramp_up=-ramp, recovery=-ramp))


@check("ven-event-test", "6")
async def _test(stage: VenStage) -> None:
    """A test event is answered like others."""
    await stage.registered()
    await _understood(stage, event(stage, test_event="true"))


@check("ven-event-all-options", "46", "111")
async def _options(stage: VenStage) -> None:
    """An event with every optional element is understood."""
    await stage.registered()
    one = event(
        stage,
        signal(1.0, current_value=0.0),
        priority=1,
        modification_date_time=stage.clock.now().replace(microsecond=0),
        modification_reason="a reason",
        test_event="false",
        vtn_comment="a comment",
        start_after=timedelta(minutes=5),
        ramp_up=timedelta(minutes=1),
        recovery=timedelta(minutes=1),
    )
    await _understood(stage, one)


@check("ven-event-empty-options", "46")
async def _empty_options(stage: VenStage) -> None:
    """Optional elements that are empty count as missing."""
    await stage.registered()
    await _understood_as(stage, event(stage, vtn_comment="x"), (b"<ei:vtnComment>x<", b"<ei:vtnComment><"))


@check("ven-event-fraction", "1")
async def _fraction(stage: VenStage) -> None:
    """An event with fractions of a second in its times is understood."""
    await stage.registered()
    await _understood_as(stage, event(stage), (b"Z</xcal:date-time>", b".123Z</xcal:date-time>"))


@check("ven-event-prefixes", "33", "46")
async def _prefixes(stage: VenStage) -> None:
    """An event in other namespace prefixes is understood."""
    await stage.registered()
    changes = ((b"oadr:", b"ns2:"), (b":oadr=", b":ns2="), (b"<ei:", b"<e:"), (b"</ei:", b"</e:"), (b":ei=", b":e="))
    await _understood_as(stage, event(stage), *changes, (b" ei:schemaVersion", b" e:schemaVersion"))


@check("ven-event-indented", "33")
async def _indented(stage: VenStage) -> None:
    """An event with an XML declaration and white space between the elements is understood."""
    await stage.registered()
    changes = ((b"><", b">\n  <"), (b"<oadr:oadrPayload", b'<?xml version="1.0" encoding="UTF-8"?>\n<oadr:oadrPayload'))
    await _understood_as(stage, event(stage), *changes)


CHECKS = (
    _intervals,
    _price,
    _dispatch,
    _signals,
    _baseline,
    _active,
    _stale,
    _completed,
    _open_ended,
    _start_after,
    _ramps,
    _test,
    _options,
    _empty_options,
    _fraction,
    _prefixes,
    _indented,
)
