"""The running client: a VEN in manual or in auto mode."""

from pyopenadr.ven.client import OpenADRClient
from pyopenadr.ven.declaration import data_point
from pyopenadr.ven.execution import DeviceCall, EndReason, TimedInterval
from pyopenadr.ven.failsafe import FailSafe
from pyopenadr.ven.fleet import VenFleet
from pyopenadr.ven.handler import HandlerFailed
from pyopenadr.ven.manual import Exchange
from pyopenadr.ven.reply import DEFER, Defer, EventReply
from pyopenadr.ven.source import RECORDED, Feed

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
