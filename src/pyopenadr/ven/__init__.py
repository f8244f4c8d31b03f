"""The running client: a VEN in manual or in auto mode."""

from typing import TYPE_CHECKING

from pyopenadr.ven.client import OpenADRClient
from pyopenadr.ven.declaration import data_point
from pyopenadr.ven.execution import DeviceCall, EndReason, TimedInterval
from pyopenadr.ven.failsafe import FailSafe
from pyopenadr.ven.handler import HandlerFailed
from pyopenadr.ven.manual import Exchange
from pyopenadr.ven.reply import DEFER, Defer, EventReply
from pyopenadr.ven.source import RECORDED, Feed

if TYPE_CHECKING:
    from pyopenadr.ven.fleet import VenFleet

__all__ = [
    "DEFER",
    "RECORDED",
    "Defer",
    "DeviceCall",
    "EndReason",
    "EventReply",
    "Exchange",
    "FailSafe",
    "Feed",
    "HandlerFailed",
    "OpenADRClient",
    "TimedInterval",
    "VenFleet",
    "data_point",
]


def __getattr__(name: str) -> object:
    """`VenFleet` is loaded when it is asked for: it brings the state file along, which one VEN may do without."""
    if name != "VenFleet":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pyopenadr.ven.fleet import VenFleet

    return VenFleet
