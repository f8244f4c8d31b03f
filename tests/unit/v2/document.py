"""2.0b documents and messages for the codec's tests, short and easy to spoil."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from pyopenadr.v2 import wire
from pyopenadr.v2.profile import PREFIXES

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DECLARED = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in PREFIXES.items())


def document(message: str, *, identity: str = "") -> bytes:
    """A message in its envelope, with every usual prefix declared."""
    return (
        f"<oadr:oadrPayload {DECLARED}><oadr:oadrSignedObject{identity}>{message}</oadr:oadrSignedObject>"
        "</oadr:oadrPayload>"
    ).encode()


POLL = '<oadr:oadrPoll ei:schemaVersion="2.0b"><ei:venID>ven1</ei:venID></oadr:oadrPoll>'
RESPONSE = (
    "<oadr:oadrResponse><ei:eiResponse><ei:responseCode>200</ei:responseCode>"
    "<pyld:requestID>r</pyld:requestID></ei:eiResponse></oadr:oadrResponse>"
)


def target(**fields: Any) -> wire.EiTarget:
    """A target; also one with values of wrong types."""
    return wire.EiTarget(**fields)


def signal_payload(value: Any) -> wire.SignalPayload:
    return wire.SignalPayload(value=value)


def area(pos_list: Any) -> wire.FeatureCollection:
    return wire.FeatureCollection(pos_list=pos_list)


def unit(element: Any) -> wire.ItemBase:
    return wire.ItemBase(element=element)


def event(**fields: Any) -> wire.OadrEvent:
    """A SIMPLE event of one hour; `fields` replace those of any structure in it that has them."""
    parts: dict[str, Any] = {
        "event_id": "e1",
        "modification_number": 0,
        "market_context": "http://market.example",
        "created_date_time": NOON,
        "event_status": "far",
        "dtstart": NOON,
        "duration": HOUR,
        "notification": HOUR,
        "signal_name": "SIMPLE",
        "signal_type": "level",
        "signal_id": "s1",
        "current_value": 0.0,
        "intervals": (wire.Interval(duration=HOUR, uid="0", payloads=(wire.SignalPayload(value=1.0),)),),
        "target": target(ven_id=("ven1",)),
        "response_required": "always",
        **fields,
    }

    def build(cls: Any, **more: Any) -> Any:
        return cls(
            **{name: parts[name] for name in cls.__struct_fields__ if name in parts and name not in more}, **more
        )

    return build(  # type: ignore[no-any-return]
        wire.OadrEvent,
        event_descriptor=build(wire.EventDescriptor),
        active_period=build(wire.ActivePeriod),
        event_signals=parts.get("event_signals", (build(wire.EiEventSignal, target=None),)),
    )


def distribute(*events: wire.OadrEvent) -> wire.OadrDistributeEvent:
    return wire.OadrDistributeEvent(request_id="r1", vtn_id="vtn1", events=events)


ONE = wire.Interval(duration=HOUR, uid="0", payloads=(wire.SignalPayload(value=1.0),))
AREA = wire.FeatureCollection(id="a", polygon_id="b", pos_list=(52.1, 4.3))
STATUS = wire.ResourceStatus(online=True, manual_override=False)
