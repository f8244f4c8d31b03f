"""Where things are: positions, and whether a polygon on the earth holds one."""

from __future__ import annotations

from itertools import pairwise

import msgspec

from pyopenadr.errors import ModelError
from pyopenadr.model.party import Area

__all__ = ["Position", "holds"]


class Position(msgspec.Struct, frozen=True):
    """A place on the earth, in degrees: `latitude` from -90 to 90, `longitude` from -180 to 180 (WGS 84)."""

    latitude: float
    longitude: float

    def __post_init__(self) -> None:
        # Written so that NaN fails.
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180):
            raise ModelError(
                f"({self.latitude}, {self.longitude}) is no position: latitude is -90 to 90, longitude -180 to 180"
            )


def holds(area: Area, position: Position) -> bool:
    """Whether the polygon holds the position; its border belongs to it.

    The corners are joined by straight lines on the map of latitude and longitude, which is exact enough for the area
    of a feeder or a town. An area may cross the meridian of 180 degrees: each corner is the one next to the corner
    before it, the shorter way round. Areas around a pole can't be told.

    Raises:
        ModelError: it is no polygon of at least three corners.
    """
    corners = _corners(area)
    y = position.latitude
    # The chain of corners may have been unrolled by a turn to either side.
    return any(_inside(corners, position.longitude + turn, y) for turn in (0.0, 360.0, -360.0))


def _corners(area: Area) -> list[tuple[float, float]]:
    """The corners as (longitude, latitude), closed, without a jump at 180 degrees."""
    numbers = area.positions
    if len(numbers) % 2 or len(numbers) < 6:
        raise ModelError(
            f"an area needs three corners or more, each a latitude and a longitude, not {len(numbers)} numbers"
        )
    corners: list[tuple[float, float]] = []
    for latitude, longitude in zip(numbers[::2], numbers[1::2], strict=True):
        Position(latitude, longitude)
        if corners:
            longitude += 360.0 * round((corners[-1][0] - longitude) / 360.0)
        corners.append((longitude, latitude))
    return [*corners, corners[0]]


def _inside(corners: list[tuple[float, float]], x: float, y: float) -> bool:
    """Whether a ray from the point crosses the border an odd number of times."""
    inside = False
    for (x1, y1), (x2, y2) in pairwise(corners):
        cross = (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1)
        if cross == 0 and min(x1, x2) <= x <= max(x1, x2) and min(y1, y2) <= y <= max(y1, y2):
            return True
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            inside = not inside
    return inside
