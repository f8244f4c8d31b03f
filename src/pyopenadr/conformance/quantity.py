"""The quantity that both sides of the examination use."""

from __future__ import annotations

from pyopenadr.v2 import wire

__all__ = ["POWER"]

POWER = wire.ItemBase(
    element="powerReal",
    item_description="RealPower",
    item_units="W",
    si_scale_code="k",
    power_attributes=wire.PowerAttributes(hertz=50.0, voltage=230.0, ac=True),
)
