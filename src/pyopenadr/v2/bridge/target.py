"""Targets: whom something is for."""

from __future__ import annotations

import msgspec

from pyopenadr.model import EVERYONE, Area, Target, TransportInterface
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge.lowered import Lowered
from pyopenadr.v2.profile import ProfileName

__all__ = ["has_only", "lift_target", "lower_target", "with_distinct_ids"]

# The kinds that are plain texts, by their names in the model and on the wire.
_TEXTS = (
    ("aggregated_pnodes", "aggregated_pnode"),
    ("end_device_assets", "end_device_asset"),
    ("meter_assets", "meter_asset"),
    ("pnodes", "pnode"),
    ("service_delivery_points", "service_delivery_point"),
    ("group_ids", "group_id"),
    ("group_names", "group_name"),
    ("resource_ids", "resource_id"),
    ("ven_ids", "ven_id"),
    ("party_ids", "party_id"),
)
_IN_A = ("group_ids", "resource_ids", "ven_ids", "party_ids")


def lift_target(target: wire.EiTarget | None) -> Target:
    """The target that an eiTarget element gives; an absent one is an empty one (2.0b rule 46)."""
    if target is None:
        return EVERYONE
    return Target(
        service_areas=tuple(map(_lift_area, target.service_area)),
        service_locations=tuple(map(_lift_area, target.service_location)),
        transport_interfaces=tuple(
            TransportInterface(there.point_of_receipt, there.point_of_delivery) for there in target.transport_interface
        ),
        **{ours: getattr(target, theirs) for ours, theirs in _TEXTS},
    )


def _lift_area(area: wire.FeatureCollection) -> Area:
    return Area(area.pos_list, area.id, area.polygon_id)


def _lower_area(area: Area) -> wire.FeatureCollection:
    return wire.FeatureCollection(id=area.collection_id, polygon_id=area.polygon_id, pos_list=area.positions)


def lower_target(target: Target, profile: ProfileName = "2.0b") -> Lowered[wire.EiTarget]:
    """The eiTarget element of a target. 2.0a only has groupID, resourceID, venID and partyID."""
    lost = []
    if profile == "2.0a":
        for name in Target.__struct_fields__:
            if name not in _IN_A and getattr(target, name):
                lost.append(f"target: 2.0a has no {name}")
                target = msgspec.structs.replace(target, **{name: ()})
    lowered = wire.EiTarget(
        transport_interface=tuple(
            wire.TransportInterface(point_of_receipt=there.point_of_receipt, point_of_delivery=there.point_of_delivery)
            for there in target.transport_interfaces
        ),
        service_area=tuple(map(_lower_area, target.service_areas)),
        service_location=tuple(map(_lower_area, target.service_locations)),
        **{theirs: getattr(target, ours) for ours, theirs in _TEXTS},
    )
    return Lowered(lowered, tuple(lost))


def with_distinct_ids(target: wire.EiTarget, seen: set[str]) -> wire.EiTarget:
    """The target without the gml:ids that are in `seen` already; the others are added to it.

    An XML document may have each Id only once, but one area may well stand in several targets of a message. Nothing
    refers to these Ids, so the second one goes.
    """
    if not target.service_area and not target.service_location:
        return target
    return msgspec.structs.replace(
        target,
        service_area=tuple(_distinct(area, seen) for area in target.service_area),
        service_location=tuple(_distinct(area, seen) for area in target.service_location),
    )


def _distinct(area: wire.FeatureCollection, seen: set[str]) -> wire.FeatureCollection:
    kept = {}
    for name in ("id", "polygon_id"):
        identity = getattr(area, name)
        kept[name] = None if identity in seen else identity
        if identity is not None:
            seen.add(identity)
    return msgspec.structs.replace(area, **kept)


def has_only(target: wire.EiTarget | None, kind: str) -> bool:
    """Whether the target names nothing but values of that one kind (by its wire name)."""
    return target is None or all(name == kind or not values for name, values in target.items())
