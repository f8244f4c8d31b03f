"""Opts: a VEN's word on its availability, or on one event."""

from __future__ import annotations

from pyopenadr.errors import ModelError, RemoteProtocolError
from pyopenadr.model import EVERYONE, Opt, OptType, Span, Target
from pyopenadr.model.time import ZERO, is_positive, is_zero
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge.target import has_only, lift_target, lower_target

__all__ = ["lift_opt", "lower_opt"]


def lift_opt(opt: wire.OadrCreateOpt) -> Opt:
    """What the message says. A target that is empty or names only the sender means everything behind it (2.0b
    rules 202, 206), and is empty in the model.

    Raises:
        RemoteProtocolError: the message says nothing, or two things at once.
    """
    if (opt.event_id is None) == (not opt.vavailability):
        raise RemoteProtocolError(
            f"opt {opt.opt_id!r} has to be about either an event or times of availability", code="459", rule="206"
        )
    if not has_only(opt.device_class, "end_device_asset"):
        # Passing over them would make the opt count for more than it was meant for.
        raise RemoteProtocolError(
            f"opt {opt.opt_id!r}: oadrDeviceClass may name only device classes", code="459", rule="209"
        )
    target = lift_target(opt.target)
    return Opt(
        opt_id=opt.opt_id,
        ven_id=opt.ven_id,
        opt_type=OptType(opt.opt_type),
        opt_reason=opt.opt_reason,
        created_date_time=opt.created_date_time,
        market_context=opt.market_context or None,
        availability=tuple(_lift_available(opt.opt_id, available) for available in opt.vavailability or ()),
        event_id=opt.event_id,
        modification_number=opt.modification_number,
        target=EVERYONE if target == Target(ven_ids=(opt.ven_id,)) else target,
        device_classes=opt.device_class.end_device_asset if opt.device_class is not None else (),
    )


def _lift_available(opt_id: str, available: wire.WsCalendarInterval) -> Span:
    extra = (available.start_after, available.notification, available.ramp_up, available.recovery)
    if any(part is not None for part in extra):
        raise RemoteProtocolError(
            f"opt {opt_id!r}: a time of availability has only dtstart and duration", code="459", rule="200"
        )
    if not is_zero(available.duration) and not is_positive(available.duration):
        raise RemoteProtocolError(f"opt {opt_id!r}: a time of availability ends before it begins", code="454")
    return Span.of(available.dtstart, available.duration)


def lower_opt(opt: Opt, request_id: str = "") -> wire.OadrCreateOpt:
    """The message of an opt. An empty target is written as the venID alone, which means the same: the standard's
    text and its rule 202 disagree on whether the venID may be missing, so we never leave it out.

    Raises:
        ModelError: it is about nothing, about both an event and times, or about times that end before they begin.
    """
    if (opt.event_id is None) == (not opt.availability):
        raise ModelError(f"opt {opt.opt_id!r} has to be about either an event or times of availability", rule="206")
    if opt.event_id is not None and opt.market_context is not None:
        raise ModelError(f"opt {opt.opt_id!r} is about an event, so it has no market_context", rule="206")
    if (opt.event_id is None) != (opt.modification_number is None):
        raise ModelError(f"opt {opt.opt_id!r}: event_id and modification_number go together", rule="206")
    target = Target(ven_ids=(opt.ven_id,)) if opt.target.is_empty else opt.target
    return wire.OadrCreateOpt(
        opt_id=opt.opt_id,
        opt_type=str(opt.opt_type),
        opt_reason=opt.opt_reason,
        market_context=opt.market_context,
        ven_id=opt.ven_id,
        vavailability=tuple(_lower_available(opt.opt_id, span) for span in opt.availability) or None,
        created_date_time=opt.created_date_time,
        request_id=request_id,
        event_id=opt.event_id,
        modification_number=opt.modification_number,
        target=lower_target(target).value,
        device_class=wire.EiTarget(end_device_asset=opt.device_classes) if opt.device_classes else None,
    )


def _lower_available(opt_id: str, span: Span) -> wire.WsCalendarInterval:
    if span.end is not None and span.end <= span.start:
        raise ModelError(f"opt {opt_id!r}: a time of availability has to end after it begins", rule="210")
    return wire.WsCalendarInterval(dtstart=span.start, duration=span.end - span.start if span.end is not None else ZERO)
