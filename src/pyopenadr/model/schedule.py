"""What a VEN has said by EiOpt: which schedules are in force, and what they and its opts mean for an event."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import msgspec

from pyopenadr.model.event import Event, Opt, OptType
from pyopenadr.model.party import Target
from pyopenadr.model.uri import is_same

__all__ = ["in_force", "opted_out", "resource_opts"]


def in_force(opts: Iterable[Opt]) -> list[Opt]:
    """Those of the opts, given in the order in which they came, that later ones have not superseded (2.0b rule 203).

    A schedule for everything behind the VEN replaces all earlier ones. One for some resources takes these out of the
    earlier ones that name them; an earlier one for everything stays, and the later one goes before it. optIn and
    optOut schedules, and those for different programmes or devices, do not touch each other. Of the opts about one
    event and the same targets the last counts (rule 206).
    """
    kept: list[Opt] = []
    for opt in opts:
        kept = [left for old in kept if (left := _without(old, opt)) is not None]
        kept.append(opt)
    return kept


def _without(old: Opt, new: Opt) -> Opt | None:
    """What a later opt leaves of an earlier one."""
    if (old.event_id, old.device_classes) != (new.event_id, new.device_classes):
        return old
    if not is_same(old.market_context, new.market_context):
        return old
    if old.event_id is None and old.opt_type is not new.opt_type:
        return old
    if _targets(new).is_empty:
        return None
    target = _targets(old)
    if target.is_empty:
        return old
    left = {
        kind: tuple(value for value in getattr(target, kind) if value not in getattr(new.target, kind))
        for kind in Target.__struct_fields__
    }
    return msgspec.structs.replace(old, target=Target(**left)) if any(left.values()) else None


def opted_out(opts: Iterable[Opt], event: Event, resource_ids: Collection[str] = ()) -> Opt | None:
    """The schedule by which the VEN is not available at the time of the event, or None if it is.

    `opts` are those of the VEN, in the order in which they came. `resource_ids` are the resources that the event is
    for; empty means the whole VEN. A schedule counts if any part of the event's active period lies in it, and if it is
    for the event's programme or for all (2.0b rule 205). One for some resources counts if the event is for these alone;
    one for some device classes never does, because it leaves the rest of the VEN. What optIn schedules say does not
    matter here: they may overlap with the others, and the careful reading is the one that counts.
    """
    outs = [
        opt
        for opt in in_force(opts)
        if opt.event_id is None
        and opt.opt_type is OptType.OUT
        and (opt.market_context is None or is_same(opt.market_context, event.market_context))
        and not opt.device_classes
        and any(span.overlaps(event.active_span) for span in opt.availability)
    ]
    whole = next((opt for opt in outs if _targets(opt).is_empty), None)
    if whole is not None or not resource_ids:
        return whole
    left = set(resource_ids)
    for opt in outs:
        left -= set(opt.target.resource_ids)
        if not left:
            return opt
    return None


def resource_opts(opts: Iterable[Opt], event_id: str) -> dict[str, OptType]:
    """What the VEN has said by EiOpt of single resources for one event (2.0b rule 206), by resource ID.

    `opts` are those of the VEN, in the order in which they came. The others follow the VEN's answer as a whole.
    """
    states: dict[str, OptType] = {}
    for opt in opts:
        if opt.event_id != event_id:
            continue
        if _targets(opt).is_empty and not opt.device_classes:
            states.clear()
        states.update(dict.fromkeys(opt.target.resource_ids, opt.opt_type))
    return states


def _targets(opt: Opt) -> Target:
    """What the opt is for besides the VEN as a whole."""
    return msgspec.structs.replace(opt.target, ven_ids=())
