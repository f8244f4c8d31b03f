from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pyopenadr.model import EVERYONE, Area, Registration, Target, TransportInterface

VALUES: dict[str, Any] = {
    "service_areas": Area((1.0, 2.0)),
    "service_locations": Area((1.0, 2.0)),
    "transport_interfaces": TransportInterface("a", "b"),
}


def test_a_target_has_the_13_kinds_of_the_standard() -> None:
    assert len(Target.__struct_fields__) == 13


@pytest.mark.parametrize("kind", Target.__struct_fields__)
def test_a_target_with_any_value_is_not_empty(kind: str) -> None:
    assert not Target(**{kind: (VALUES.get(kind, "x"),)}).is_empty


def test_everyone_is_the_empty_target() -> None:
    assert Target().is_empty
    assert Target() == EVERYONE


def test_values_of_the_model_are_frozen() -> None:
    with pytest.raises(AttributeError):
        EVERYONE.ven_ids = ("x",)  # type: ignore[misc]


def test_a_registration_survives_json() -> None:
    one = Registration(ven_id="ven1", registration_id="reg1")
    assert msgspec.json.decode(msgspec.json.encode(one), type=Registration) == one
