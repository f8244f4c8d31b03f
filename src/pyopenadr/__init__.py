"""OpenADR 2.0a and 2.0b for Python: a VTN server and a VEN client.

    from pyopenadr import OpenADRClient, OpenADRServer

All but the errors is loaded when it is first asked for, so `import pyopenadr` alone is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from pyopenadr.errors import (
    ConfigError,
    LocalProtocolError,
    Malformed,
    ModelError,
    OpenADRError,
    PeerRefused,
    ProtocolError,
    RemoteProtocolError,
    SchemaMismatch,
    SignatureInvalid,
    StoreError,
    TransportError,
    WireError,
)

if TYPE_CHECKING:
    from pyopenadr.model import (
        EVERYONE,
        Area,
        Baseline,
        CalendarDuration,
        Capability,
        DataPoint,
        Duration,
        Event,
        EventStatus,
        Group,
        Interval,
        LoadControlState,
        LoadControlValue,
        Member,
        Opt,
        OptType,
        Position,
        Reading,
        Registration,
        Report,
        ReportRequest,
        ReportRule,
        Resource,
        ResourceStatus,
        ResponseRequired,
        Signal,
        Span,
        Target,
        TransportInterface,
        Unit,
    )
    from pyopenadr.model.timeline import Step
    from pyopenadr.transport.tls import ServerTls
    from pyopenadr.ven.client import OpenADRClient
    from pyopenadr.ven.execution import DeviceCall, EndReason, TimedInterval
    from pyopenadr.ven.failsafe import FailSafe
    from pyopenadr.ven.fleet import VenFleet
    from pyopenadr.ven.listener import Listener
    from pyopenadr.ven.reply import DEFER, Defer, EventReply
    from pyopenadr.vtn.office import ApiSettings
    from pyopenadr.vtn.push import Push
    from pyopenadr.vtn.server import OpenADRServer

    __version__: str

__all__ = [
    "DEFER",
    "EVERYONE",
    "ApiSettings",
    "Area",
    "Baseline",
    "CalendarDuration",
    "Capability",
    "ConfigError",
    "DataPoint",
    "Defer",
    "DeviceCall",
    "Duration",
    "EndReason",
    "Event",
    "EventReply",
    "EventStatus",
    "FailSafe",
    "Group",
    "Interval",
    "Listener",
    "LoadControlState",
    "LoadControlValue",
    "LocalProtocolError",
    "Malformed",
    "Member",
    "ModelError",
    "OpenADRClient",
    "OpenADRError",
    "OpenADRServer",
    "Opt",
    "OptType",
    "PeerRefused",
    "Position",
    "ProtocolError",
    "Push",
    "Reading",
    "Registration",
    "RemoteProtocolError",
    "Report",
    "ReportRequest",
    "ReportRule",
    "Resource",
    "ResourceStatus",
    "ResponseRequired",
    "SchemaMismatch",
    "ServerTls",
    "Signal",
    "SignatureInvalid",
    "Span",
    "Step",
    "StoreError",
    "Target",
    "TimedInterval",
    "TransportError",
    "TransportInterface",
    "Unit",
    "VenFleet",
    "WireError",
    "__version__",
]

_HOMES = {
    "DEFER": "pyopenadr.ven.reply",
    "Defer": "pyopenadr.ven.reply",
    "EndReason": "pyopenadr.ven.execution",
    "FailSafe": "pyopenadr.ven.failsafe",
    "Step": "pyopenadr.model.timeline",
    "VenFleet": "pyopenadr.ven.fleet",
    "DeviceCall": "pyopenadr.ven.execution",
    "TimedInterval": "pyopenadr.ven.execution",
    "EventReply": "pyopenadr.ven.reply",
    "Listener": "pyopenadr.ven.listener",
    "ApiSettings": "pyopenadr.vtn.office",
    "OpenADRClient": "pyopenadr.ven.client",
    "OpenADRServer": "pyopenadr.vtn.server",
    "Push": "pyopenadr.vtn.push",
    "ServerTls": "pyopenadr.transport.tls",
}


def __getattr__(name: str) -> object:
    """Load a public name (PEP 562)."""
    value: object
    if name == "__version__":
        from importlib.metadata import version

        value = version("pyopenadr")
    elif name in __all__:
        value = getattr(import_module(_HOMES.get(name, "pyopenadr.model")), name)
    else:
        raise AttributeError(f"module 'pyopenadr' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
