"""Polygons on the earth."""

from __future__ import annotations

import math
import random

import pytest

from pyopenadr.errors import ModelError
from pyopenadr.model import Area, Position
from pyopenadr.model.area import holds

SQUARE = Area((52.0, 4.0, 52.0, 5.0, 53.0, 5.0, 53.0, 4.0, 52.0, 4.0))
# A letter U that is open to the north: the notch is outside.
U = Area((0.0, 0.0, 0.0, 3.0, 3.0, 3.0, 3.0, 2.0, 1.0, 2.0, 1.0, 1.0, 3.0, 1.0, 3.0, 0.0))
# Fiji, roughly: from 177 degrees east to 178 degrees west.
FIJI = Area((-20.0, 177.0, -20.0, -178.0, -15.0, -178.0, -15.0, 177.0))


@pytest.mark.parametrize(
    ("area", "latitude", "longitude", "is_in"),
    [
        (SQUARE, 52.5, 4.5, True),
        (SQUARE, 4.5, 52.5, False),
        (SQUARE, 51.9, 4.5, False),
        (SQUARE, 52.5, 5.1, False),
        (SQUARE, 52.0, 4.5, True),  # on a side
        (SQUARE, 53.0, 5.0, True),  # on a corner
        (SQUARE, 53.0, 5.1, False),  # beside a corner, in line with a side
        (U, 2.0, 0.5, True),
        (U, 2.0, 1.5, False),
        (U, 2.0, 2.5, True),
        (U, 0.5, 1.5, True),
        (U, 1.0, 1.5, True),  # on the bottom of the notch
        (U, 3.0, 1.5, False),  # between the tips
        (FIJI, -17.0, 178.0, True),
        (FIJI, -17.0, -179.0, True),
        (FIJI, -17.0, 180.0, True),
        (FIJI, -17.0, -180.0, True),
        (FIJI, -17.0, -177.0, False),
        (FIJI, -17.0, 0.0, False),
    ],
)
def test_what_an_area_holds(area: Area, latitude: float, longitude: float, is_in: bool) -> None:
    position = Position(latitude, longitude)
    assert holds(area, position) is is_in
    # Neither the direction of the corners, nor where they begin, nor whether the first is repeated, matters.
    pairs = list(zip(area.positions[::2], area.positions[1::2], strict=True))
    closed = [*pairs, pairs[0]]
    turned = [*pairs[2:], *pairs[:2]]
    for other in (pairs[::-1], closed, turned):
        assert holds(Area(tuple(number for pair in other for number in pair)), position) is is_in


def test_a_circle_agrees_with_the_distance() -> None:
    draw = random.Random(4)
    corners = [(math.sin(n / 180 * math.pi), 170 + math.cos(n / 180 * math.pi)) for n in range(360)]
    circle = Area(tuple(number for corner in corners for number in corner))
    for _ in range(500):
        latitude, longitude = draw.uniform(-2, 2), draw.uniform(168, 172)
        distance = math.hypot(latitude, longitude - 170)
        if abs(distance - 1) > 0.001:
            assert holds(circle, Position(latitude, longitude)) is (distance < 1)


@pytest.mark.parametrize("positions", [(), (1.0, 2.0), (1.0, 2.0, 3.0, 4.0), (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)])
def test_less_than_three_corners_are_no_area(positions: tuple[float, ...]) -> None:
    with pytest.raises(ModelError, match="three corners"):
        holds(Area(positions), Position(0, 0))


@pytest.mark.parametrize(("latitude", "longitude"), [(90.1, 0), (-91, 0), (0, 181), (0, -180.5), (math.nan, 0)])
def test_a_position_off_the_earth_is_refused(latitude: float, longitude: float) -> None:
    with pytest.raises(ModelError, match="no position"):
        Position(latitude, longitude)
