"""Finding a number in what a meter says."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from pyopenadr.errors import ModelError

__all__ = ["number_in", "parsed"]


def parsed(text: str | bytes, field: str | None, scale: float) -> float | None:
    """The number that a text is, or that is in a `field` of it if it is JSON; null is None.

    Raises:
        ModelError: there is no number.
    """
    try:
        content: object = json.loads(text)
    except ValueError as error:
        raise ModelError(f"{text[:80]!r} is no number and no JSON: {error}") from error
    return number_in(content, field, scale)


def number_in(content: object, field: str | None, scale: float) -> float | None:
    """The number in a field, times `scale`. A field is a path: names and positions with dots between them.

    Raises:
        ModelError: there is no number.
    """
    found = content
    for name in field.split(".") if field else ():
        if isinstance(found, Mapping) and name in found:
            found = found[name]
        elif isinstance(found, Sequence) and not isinstance(found, str) and name.isdigit() and int(name) < len(found):
            found = found[int(name)]
        else:
            raise ModelError(f"there is no {name!r} (of the field {field!r}) in {str(found)[:80]}")
    if found is None:
        return None
    try:
        if isinstance(found, bool) or not isinstance(found, int | float | str):
            raise ValueError
        number = float(found) * scale
        if not math.isfinite(number):
            raise ValueError
    except ValueError:
        where = f"the field {field!r}" if field else "the value"
        raise ModelError(f"{where} is {str(found)[:80]!r}, which is no number") from None
    return number
