from __future__ import annotations

import pytest

from pyopenadr.errors import ModelError
from pyopenadr.model import Unit
from pyopenadr.model.quantity import SCALE
from pyopenadr.v2.wire.enumeration import SI_SCALE_CODES


def test_the_scales_are_those_of_the_schema() -> None:
    assert set(SCALE) == set(SI_SCALE_CODES)


@pytest.mark.parametrize(("scale", "factor"), [("none", 1.0), ("k", 1e3), ("m", 1e-3), ("micro", 1e-6), ("T", 1e12)])
def test_a_scale_is_a_power_of_ten(scale: str, factor: float) -> None:
    assert Unit(name="voltage", symbol="V", scale=scale).factor == pytest.approx(factor)


def test_an_unknown_scale_is_refused() -> None:
    with pytest.raises(ModelError, match="siScaleCode"):
        Unit(name="voltage", symbol="V", scale="h")
