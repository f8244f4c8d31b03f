"""Checks on a VTN: EiOpt."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from pyopenadr.conformance.check import NotApplicable, check
from pyopenadr.conformance.vtn import sample
from pyopenadr.conformance.vtn.event import published
from pyopenadr.conformance.vtn.expectation import accepted, echoed, refused, same
from pyopenadr.conformance.vtn.stage import Answer, VtnStage
from pyopenadr.v2 import faults, wire

__all__ = ["CHECKS"]


async def _create(stage: VtnStage, **fields: Any) -> Answer:
    await stage.registered()
    answer = await stage.say(sample.opt(stage, **fields))
    if answer.reply.status == 404:
        raise NotApplicable("the VTN has no EiOpt")
    return answer


async def _cancel(stage: VtnStage, opt_id: str, **fields: Any) -> Answer:
    request_id = fields.pop("request_id", None) or stage.new_id("request")
    ven_id = fields.pop("ven_id", stage.ven_id)
    return await stage.say(wire.OadrCancelOpt(request_id=request_id, opt_id=opt_id, ven_id=ven_id))


async def _there(stage: VtnStage, **fields: Any) -> str:
    """An opt that the VTN has taken; its optID."""
    created = accepted(await _create(stage, **fields), wire.OadrCreatedOpt)
    return created.opt_id


@check("vtn-opt-create", "203", "208")
async def _created(stage: VtnStage) -> None:
    """oadrCreateOpt with a schedule is answered by oadrCreatedOpt."""
    await stage.registered()
    accepted(await stage.say(sample.opt(stage)), wire.OadrCreatedOpt)


@check("vtn-opt-create-id", "208")
async def _created_id(stage: VtnStage) -> None:
    """oadrCreatedOpt names the optID."""
    created = accepted(await _create(stage, opt_id="conformance-opt"), wire.OadrCreatedOpt)
    same("optID", created.opt_id, "conformance-opt")


@check("vtn-opt-create-echo", "207")
async def _created_echo(stage: VtnStage) -> None:
    """oadrCreatedOpt quotes the requestID."""
    answer = await _create(stage, request_id="request-of-opt")
    accepted(answer, wire.OadrCreatedOpt)
    echoed(answer, "request-of-opt")


@check("vtn-opt-create-empty-request-id", "207")
async def _no_request_id(stage: VtnStage) -> None:
    """The requestID of oadrCreateOpt may be empty."""
    accepted(await _create(stage, request_id=""), wire.OadrCreatedOpt)


@check("vtn-opt-in", "203")
async def _opt_in(stage: VtnStage) -> None:
    """A schedule may opt in, too."""
    accepted(await _create(stage, opt_type="optIn"), wire.OadrCreatedOpt)


@check("vtn-opt-open-ended", "210")
async def _open_ended(stage: VtnStage) -> None:
    """A period of duration 0 has no end."""
    start = stage.clock.now().replace(microsecond=0)
    period = wire.WsCalendarInterval(dtstart=start, duration=timedelta(0))
    accepted(await _create(stage, vavailability=(period,)), wire.OadrCreatedOpt)


@check("vtn-opt-periods", "202")
async def _periods(stage: VtnStage) -> None:
    """A schedule may have several periods."""
    start = stage.clock.now().replace(microsecond=0)
    periods = tuple(
        wire.WsCalendarInterval(dtstart=start + timedelta(days=day), duration=timedelta(hours=1)) for day in (1, 2, 3)
    )
    accepted(await _create(stage, vavailability=periods), wire.OadrCreatedOpt)


@check("vtn-opt-context", "205")
async def _context(stage: VtnStage) -> None:
    """A schedule may be limited to a market context."""
    accepted(await _create(stage, market_context="http://MarketContext1"), wire.OadrCreatedOpt)


@check("vtn-opt-device-class", "209")
async def _device_class(stage: VtnStage) -> None:
    """A schedule may be limited to a device class."""
    accepted(await _create(stage, device_class=wire.EiTarget(end_device_asset=("Thermostat",))), wire.OadrCreatedOpt)


@check("vtn-opt-fraction", "1")
async def _fraction(stage: VtnStage) -> None:
    """A time may have fractions of a second."""
    await _there(stage)
    created = stage.clock.now().replace(microsecond=123_000)
    body = stage.seal.write(sample.opt(stage, created_date_time=created))
    accepted(await stage.post("EiOpt", body), wire.OadrCreatedOpt)


@check("vtn-opt-supersede", "203")
async def _supersede(stage: VtnStage) -> None:
    """A schedule may be superseded by another one."""
    await _there(stage)
    await _there(stage, opt_type="optIn")


@check("vtn-opt-cancel", "204", "208")
async def _cancelled(stage: VtnStage) -> None:
    """oadrCancelOpt is answered by oadrCanceledOpt with the optID."""
    opt_id = await _there(stage)
    canceled = accepted(await _cancel(stage, opt_id), wire.OadrCanceledOpt)
    same("optID", canceled.opt_id, opt_id)


@check("vtn-opt-cancel-echo", "207")
async def _cancelled_echo(stage: VtnStage) -> None:
    """oadrCanceledOpt quotes the requestID."""
    echoed(await _cancel(stage, await _there(stage), request_id="request-of-cancel"), "request-of-cancel")


@check("vtn-opt-cancel-superseded", "211")
async def _cancel_superseded(stage: VtnStage) -> None:
    """A schedule that was superseded can be cancelled without an error."""
    first = await _there(stage)
    await _there(stage)
    accepted(await _cancel(stage, first), wire.OadrCanceledOpt)


@check("vtn-opt-shared-id", "204")
async def _shared_id(stage: VtnStage) -> None:
    """Two schedules may have the same optID, and are cancelled by it together."""
    start = stage.clock.now().replace(microsecond=0)
    opt_id = stage.new_id("shared")
    for resource, day in (("a", 3), ("b", 4)):
        period = wire.WsCalendarInterval(dtstart=start + timedelta(days=day), duration=timedelta(hours=1))
        await _there(stage, opt_id=opt_id, vavailability=(period,), target=wire.EiTarget(resource_id=(resource,)))
    accepted(await _cancel(stage, opt_id), wire.OadrCanceledOpt)


@check("vtn-opt-cancel-unknown", "208", "21", level="should")
async def _cancel_unknown(stage: VtnStage) -> None:
    """oadrCancelOpt with an unknown optID is refused with 452."""
    await _there(stage)
    refused(await _cancel(stage, "never-there"), "452")


@check("vtn-opt-create-wrong-ven", "208", "517", level="should")
async def _wrong_ven(stage: VtnStage) -> None:
    """oadrCreateOpt with a wrong venID is refused."""
    await stage.registered()
    refused(await _create(stage, ven_id=f"{stage.ven_id}-wrong"), "452", "463")


@check("vtn-opt-cancel-wrong-ven", "208", "517", level="should")
async def _cancel_wrong_ven(stage: VtnStage) -> None:
    """oadrCancelOpt with a wrong venID is refused."""
    opt_id = await _there(stage)
    refused(await _cancel(stage, opt_id, ven_id=f"{stage.ven_id}-wrong"), "452", "463")


@check("vtn-opt-tolerance", "200", level="should")
async def _tolerance(stage: VtnStage) -> None:
    """A schedule with a tolerance, which it must not have, is refused."""
    period = sample.opt(stage).vavailability
    assert period is not None
    wrong = msgspec.structs.replace(period[0], start_after=timedelta(minutes=5))
    refused(await _create(stage, vavailability=(wrong,)))


@check("vtn-opt-neither", "206")
async def _neither(stage: VtnStage) -> None:
    """oadrCreateOpt without schedule and event is refused."""
    refused(await _create(stage, vavailability=None))


@check("vtn-opt-unknown-event", "206", "21")
async def _unknown_event(stage: VtnStage) -> None:
    """oadrCreateOpt for an event that the VTN does not know is refused with 452."""
    answer = await _create(stage, vavailability=None, event_id="never-there", modification_number=0)
    refused(answer, "452")


@check("vtn-opt-created-sent", "33", level="should")
async def _created_sent(stage: VtnStage) -> None:
    """oadrCreatedOpt, which only a VTN sends, is refused."""
    await stage.registered()
    answer = await stage.say(wire.OadrCreatedOpt(response=faults.response(), opt_id="o"))
    if answer.reply.status == 200:
        refused(answer)


async def _opt_on_event(stage: VtnStage, **fields: Any) -> Answer:
    event = await published(stage)
    descriptor = event.event_descriptor
    defaults: dict[str, Any] = {
        "vavailability": None,
        "event_id": descriptor.event_id,
        "modification_number": descriptor.modification_number,
    }
    answer = await _create(stage, **(defaults | fields))
    await stage.stimulus.cancel_event(descriptor.event_id)
    return answer


@check("vtn-opt-event", "206")
async def _event(stage: VtnStage) -> None:
    """oadrCreateOpt may qualify the answer to an event."""
    accepted(await _opt_on_event(stage), wire.OadrCreatedOpt)


@check("vtn-opt-event-and-schedule", "206")
async def _event_and_schedule(stage: VtnStage) -> None:
    """oadrCreateOpt with an event and a schedule is refused."""
    refused(await _opt_on_event(stage, vavailability=sample.opt(stage).vavailability))


@check("vtn-opt-event-context", "206")
async def _event_and_context(stage: VtnStage) -> None:
    """oadrCreateOpt with an event and a market context is refused."""
    refused(await _opt_on_event(stage, market_context="http://MarketContext1"))


@check("vtn-opt-event-target", "206")
async def _event_target(stage: VtnStage) -> None:
    """oadrCreateOpt for another VEN than its sender is refused."""
    refused(await _opt_on_event(stage, target=wire.EiTarget(ven_id=("another-ven",))))


CHECKS = (
    _created,
    _created_id,
    _created_echo,
    _no_request_id,
    _opt_in,
    _open_ended,
    _periods,
    _context,
    _device_class,
    _fraction,
    _supersede,
    _cancelled,
    _cancelled_echo,
    _cancel_superseded,
    _shared_id,
    _cancel_unknown,
    _wrong_ven,
    _cancel_wrong_ven,
    _tolerance,
    _neither,
    _unknown_event,
    _created_sent,
    _event,
    _event_and_schedule,
    _event_and_context,
    _event_target,
)
