"""What a VTN keeps of the things that a target may name: groups, their members, and resources.

With these, a target is resolved: `selected` says what of one VEN it means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pyopenadr.model.area import Position, holds
from pyopenadr.model.party import Target, TransportInterface

__all__ = ["WHOLE", "Group", "Member", "Resource", "Selection", "selected"]

WHOLE = ""
"""The resource ID that stands for a VEN as a whole."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A set of VENs and resources.

    Targets name it by `group_id` or by `name`. With a `market_context` it is a programme: its members are those who
    are enrolled in it, and events with that market context are for them alone.
    """

    group_id: str
    name: str | None = None
    market_context: str | None = None


class Member(msgspec.Struct, frozen=True):
    """A VEN in a group; or one resource of it, by its ID."""

    group_id: str
    ven_id: str
    resource_id: str = WHOLE


class Resource(msgspec.Struct, frozen=True, kw_only=True):
    """Something behind a VEN, and all that a target may know it by; with the ID `WHOLE`, the VEN itself.

    `position` is what service areas and service locations are held against.
    """

    ven_id: str
    resource_id: str = WHOLE
    name: str | None = None
    position: Position | None = None
    party_ids: tuple[str, ...] = ()
    end_device_assets: tuple[str, ...] = ()
    aggregated_pnodes: tuple[str, ...] = ()
    meter_assets: tuple[str, ...] = ()
    pnodes: tuple[str, ...] = ()
    service_delivery_points: tuple[str, ...] = ()
    transport_interfaces: tuple[TransportInterface, ...] = ()


class Selection(msgspec.Struct, frozen=True):
    """What of one VEN a target means: the VEN as a whole, or some of its resources; `target` says it to that VEN."""

    whole: bool
    resource_ids: tuple[str, ...]
    target: Target


_KINDS = (
    "party_ids",
    "end_device_assets",
    "aggregated_pnodes",
    "meter_assets",
    "pnodes",
    "service_delivery_points",
    "transport_interfaces",
)
_AREAS = ("service_areas", "service_locations")


def selected(
    target: Target,
    ven_id: str,
    *,
    resources: Iterable[Resource] = (),
    members: Iterable[Member] = (),
    groups: Mapping[str, Group] | None = None,
) -> Selection | None:
    """What of the VEN the target means; None if nothing. An empty target means the whole VEN.

    `resources` and `members` are those of this VEN, `groups` all by their IDs. The values of a target are
    alternatives (2.0b rule 22). The target of the result keeps of it what concerns this VEN, and names the VEN or the
    resources that were found, so that the VEN knows itself by it (rules 48, 63).
    """
    if target.is_empty:
        return Selection(True, (), target)
    kept: dict[str, list[object]] = {}
    found: dict[str, None] = {}

    def take(kind: str, value: object, resource_id: str) -> None:
        values = kept.setdefault(kind, [])
        if value not in values:
            values.append(value)
        found[resource_id] = None

    if ven_id in target.ven_ids:
        take("ven_ids", ven_id, WHOLE)
    for member in members:
        group = (groups or {}).get(member.group_id) or Group(group_id=member.group_id)
        if group.group_id in target.group_ids:
            take("group_ids", group.group_id, member.resource_id)
        if group.name is not None and group.name in target.group_names:
            take("group_names", group.name, member.resource_id)
    for resource in resources:
        if resource.resource_id != WHOLE and resource.resource_id in target.resource_ids:
            take("resource_ids", resource.resource_id, resource.resource_id)
        for kind, value in _matches(target, resource):
            take(kind, value, resource.resource_id)
    if not found:
        return None
    whole = WHOLE in found
    resource_ids = tuple(sorted(found.keys() - {WHOLE}))
    kept["ven_ids"] = [ven_id] if whole else []
    kept["resource_ids"] = list(resource_ids)
    return Selection(whole, resource_ids, msgspec.convert({k: tuple(v) for k, v in kept.items()}, Target))


def _matches(target: Target, resource: Resource) -> Sequence[tuple[str, object]]:
    """The values of a target that the resource is known by, with their kinds."""
    by_name = [(kind, value) for kind in _KINDS for value in getattr(target, kind) if value in getattr(resource, kind)]
    where = resource.position
    if where is None:
        return by_name
    by_place = [(kind, area) for kind in _AREAS for area in getattr(target, kind) if holds(area, where)]
    return [*by_name, *by_place]
