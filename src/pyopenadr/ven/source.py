"""Where the values of a report come from: the user's code in its several forms, or what was recorded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from pyopenadr.model import ResourceStatus
from pyopenadr.ven.handler import Handler

__all__ = ["RECORDED", "Feed", "Record", "Recorded", "Source", "Way", "arguments_of", "takes_r_id", "way_of"]

Record = Callable[[float | ResourceStatus | Exception | None], None]
"""Takes a value that has just been measured; None says that there is none, an exception also why."""

_RANGE = ("start", "end", "granularity")


class Recorded:
    """The type of `RECORDED`."""

    def __repr__(self) -> str:
        return "RECORDED"


RECORDED = Recorded()
"""As a source: the values are those that `client.record()` has been given."""


@runtime_checkable
class Feed(Protocol):
    """A source that tells by itself when there is a value, such as a topic of MQTT."""

    async def run(self, record: Record) -> None:
        """Record values until it is cancelled. If it fails, it is started again after a while."""
        ...


Single = Handler | Feed | Recorded
Source = Single | Mapping[str, Single]
"""The source of a report, or those of its data points by rID."""


class Way(StrEnum):
    """How the values of a data point are got."""

    CALLED = "called"
    """by calling the source for each sample"""
    RANGED = "ranged"
    """by calling the source for a whole time"""
    KEPT = "kept"
    """from what was recorded"""


def way_of(source: Single) -> Way:
    """How values are got from that source."""
    if isinstance(source, Recorded | Feed):
        return Way.KEPT
    return Way.RANGED if set(_RANGE) <= set(_parameters(source)) else Way.CALLED


def takes_r_id(source: Handler) -> bool:
    """Whether the source wants to be called for each data point, with its rID."""
    parameters = _parameters(source)
    if way_of(source) is Way.RANGED:
        return "r_id" in parameters
    if parameters.get("") is not None:  # a built-in that does not say
        return True
    kinds = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    return any(it.kind in kinds and it.default is it.empty for it in parameters.values())


def arguments_of(source: Handler, r_id: str, start: datetime, end: datetime, granularity: timedelta) -> list[Any]:
    """What to call a range function with, in its own order."""
    values = {"r_id": r_id, "start": start, "end": end, "granularity": granularity}
    return [values[name] for name in _parameters(source) if name in values]


def _parameters(source: Handler) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(source).parameters
    except (TypeError, ValueError):  # a built-in that does not say
        return {"": inspect.Parameter("unknown", inspect.Parameter.POSITIONAL_ONLY)}
