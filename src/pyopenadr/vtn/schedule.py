"""Which of a VEN's availability schedules are in force."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pyopenadr.model import Opt, Target

__all__ = ["in_force"]


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
    if (old.event_id, old.market_context, old.device_classes) != (new.event_id, new.market_context, new.device_classes):
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


def _targets(opt: Opt) -> Target:
    """What the opt is for besides the VEN as a whole."""
    return msgspec.structs.replace(opt.target, ven_ids=())
