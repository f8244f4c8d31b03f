"""What a target means for one VEN."""

from __future__ import annotations

from typing import Any

import pytest

from pyopenadr.model import Area, Group, Member, Position, Resource, Target, TransportInterface
from pyopenadr.model.group import Selection, selected

SQUARE = Area((52.0, 4.0, 52.0, 5.0, 53.0, 5.0, 53.0, 4.0))
ELSEWHERE = Area((0.0, 0.0, 0.0, 1.0, 1.0, 1.0))
IN_SQUARE = Position(52.5, 4.5)
LINE = TransportInterface("a", "b")
GROUPS = {group.group_id: group for group in (Group(group_id="g1", name="north"), Group(group_id="g2"))}
RESOURCES = (
    Resource(ven_id="v1", party_ids=("acme",), position=IN_SQUARE),
    Resource(ven_id="v1", resource_id="boiler", meter_assets=("m1",), end_device_assets=("Thermostat",)),
    Resource(ven_id="v1", resource_id="car", pnodes=("p1",), position=IN_SQUARE, transport_interfaces=(LINE,)),
)
MEMBERS = (Member("g1", "v1"), Member("g2", "v1", "boiler"))


def of_v1(**kinds: Any) -> Selection | None:
    return selected(Target(**kinds), "v1", resources=RESOURCES, members=MEMBERS, groups=GROUPS)


@pytest.mark.parametrize(
    ("kinds", "whole", "resource_ids", "told"),
    [
        ({}, True, (), {}),
        ({"ven_ids": ("v2", "v1")}, True, (), {"ven_ids": ("v1",)}),
        ({"group_ids": ("g1", "g9")}, True, (), {"ven_ids": ("v1",), "group_ids": ("g1",)}),
        ({"group_names": ("north",)}, True, (), {"ven_ids": ("v1",), "group_names": ("north",)}),
        ({"group_ids": ("g2",)}, False, ("boiler",), {"resource_ids": ("boiler",), "group_ids": ("g2",)}),
        ({"resource_ids": ("car", "bike")}, False, ("car",), {"resource_ids": ("car",)}),
        ({"party_ids": ("acme",)}, True, (), {"ven_ids": ("v1",), "party_ids": ("acme",)}),
        ({"meter_assets": ("m2", "m1")}, False, ("boiler",), {"resource_ids": ("boiler",), "meter_assets": ("m1",)}),
        (
            {"end_device_assets": ("Thermostat",)},
            False,
            ("boiler",),
            {"resource_ids": ("boiler",), "end_device_assets": ("Thermostat",)},
        ),
        (
            {"transport_interfaces": (LINE,)},
            False,
            ("car",),
            {"resource_ids": ("car",), "transport_interfaces": (LINE,)},
        ),
        (
            {"service_areas": (ELSEWHERE, SQUARE)},
            True,
            ("car",),
            {"ven_ids": ("v1",), "resource_ids": ("car",), "service_areas": (SQUARE,)},
        ),
        (
            {"service_locations": (SQUARE,), "pnodes": ("p1",), "ven_ids": ("v2",)},
            True,
            ("car",),
            {"ven_ids": ("v1",), "resource_ids": ("car",), "service_locations": (SQUARE,), "pnodes": ("p1",)},
        ),
    ],
)
def test_a_target_selects_the_ven_or_some_of_its_resources(
    kinds: dict[str, Any], whole: bool, resource_ids: tuple[str, ...], told: dict[str, Any]
) -> None:
    assert of_v1(**kinds) == Selection(whole, resource_ids, Target(**told))


@pytest.mark.parametrize(
    "kinds",
    [
        {"ven_ids": ("v2",)},
        {"group_ids": ("g3",)},
        {"group_names": ("g1",)},
        {"resource_ids": ("bike", "")},
        {"party_ids": ("other",)},
        {"pnodes": ("m1",)},
        {"service_areas": (ELSEWHERE,)},
        {"transport_interfaces": (TransportInterface("b", "a"),)},
    ],
)
def test_a_target_of_others_selects_nothing(kinds: dict[str, Any]) -> None:
    assert of_v1(**kinds) is None
