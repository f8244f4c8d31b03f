"""Structures that several services share: responses, targets, intervals, units, payloads."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pyopenadr.model.time import Duration
from pyopenadr.v2.text import CONFIDENCE as CONFIDENCE_KIND
from pyopenadr.v2.text import DECIMAL, DOUBLES, FLOAT, ID, RESPONSE_CODE, STRING, Kind, fixed, one_of
from pyopenadr.v2.wire.base import AtLeast, Choice, Opaque, Variant, Wire
from pyopenadr.v2.wire.enumeration import (
    CURRENCIES,
    CURRENCY_DESCRIPTIONS,
    DATA_QUALITIES,
    POWER_REAL_UNITS,
    SCHEMA_VERSIONS,
    SI_SCALE_CODES,
    TEMPERATURE_UNITS,
)

__all__ = [
    "FEED",
    "ITEM_BASE",
    "SCHEMA_VERSION",
    "EiResponse",
    "EiTarget",
    "FeatureCollection",
    "GBPayload",
    "Interval",
    "ItemBase",
    "LoadControlState",
    "LoadControlStateType",
    "PowerAttributes",
    "ReportPayload",
    "ResourceStatus",
    "SignalPayload",
    "TransportInterface",
]

SCHEMA_VERSION = one_of("schemaVersion", SCHEMA_VERSIONS, extensible=True)
FEED = Opaque("atom:feed")


class EiResponse(Wire, frozen=True, kw_only=True):
    """The outcome of a request (`ei:eiResponse`): 200, or an error code (see `pyopenadr.v2.faults`)."""

    response_code: Annotated[str, "ei:responseCode", RESPONSE_CODE]
    response_description: Annotated[str | None, "ei:responseDescription"] = None
    request_id: Annotated[str, "pyld:requestID"]


class FeatureCollection(Wire, frozen=True, kw_only=True):
    """A polygon on the earth (`gml:FeatureCollection`)."""

    id: Annotated[str | None, "@gml:id", ID] = None
    polygon_id: Annotated[str | None, "gml:location/gml:Polygon/@gml:id", ID] = None
    pos_list: Annotated[tuple[float, ...], "gml:location/gml:Polygon/gml:exterior/gml:LinearRing/gml:posList", DOUBLES]


class TransportInterface(Wire, frozen=True, kw_only=True):
    """A way through the grid (`power:transportInterface`)."""

    point_of_receipt: Annotated[str, "power:pointOfReceipt"]
    point_of_delivery: Annotated[str, "power:pointOfDelivery"]


class EiTarget(Wire, frozen=True, kw_only=True):
    """Whom something is for (`ei:EiTargetType`): the values are alternatives (2.0b rule 22)."""

    aggregated_pnode: Annotated[tuple[str, ...], "power:aggregatedPnode*/power:node"] = ()
    end_device_asset: Annotated[tuple[str, ...], "power:endDeviceAsset*/power:mrid"] = ()
    meter_asset: Annotated[tuple[str, ...], "power:meterAsset*/power:mrid"] = ()
    pnode: Annotated[tuple[str, ...], "power:pnode*/power:node"] = ()
    service_area: Annotated[tuple[FeatureCollection, ...], "emix:serviceArea*/gml:FeatureCollection"] = ()
    service_delivery_point: Annotated[tuple[str, ...], "power:serviceDeliveryPoint*/power:node"] = ()
    service_location: Annotated[tuple[FeatureCollection, ...], "power:serviceLocation*/gml:FeatureCollection"] = ()
    transport_interface: Annotated[tuple[TransportInterface, ...], "power:transportInterface"] = ()
    group_id: Annotated[tuple[str, ...], "ei:groupID"] = ()
    group_name: Annotated[tuple[str, ...], "ei:groupName"] = ()
    resource_id: Annotated[tuple[str, ...], "ei:resourceID"] = ()
    ven_id: Annotated[tuple[str, ...], "ei:venID"] = ()
    party_id: Annotated[tuple[str, ...], "ei:partyID"] = ()


class PowerAttributes(Wire, frozen=True, kw_only=True):
    """What a power value is measured at (`power:powerAttributes`): hertz, volts, and whether it is AC."""

    hertz: Annotated[float, "power:hertz", DECIMAL]
    voltage: Annotated[float, "power:voltage", DECIMAL]
    ac: Annotated[bool, "power:ac"]


class ItemBase(Wire, frozen=True, kw_only=True):
    """A unit (the members of `emix:itemBase`); `element` says which, for example `powerReal`.

    Which of the other fields there are follows from the element: `si_scale_code` for all but pulseCount and Green
    Button, `power_attributes` for the three kinds of power, `pulse_factor` for pulseCount, `feed` for
    oadrGBDataDescription.
    """

    element: str
    item_description: str | None = None
    item_units: str | None = None
    si_scale_code: str | None = None
    power_attributes: PowerAttributes | None = None
    pulse_factor: float | None = None
    feed: str | None = None


_SCALE = ("si_scale_code", "scale:siScaleCode", one_of("siScaleCode", SI_SCALE_CODES, exact=True))
_POWER = ("power_attributes", "power:powerAttributes", PowerAttributes)
_PULSE = ("pulse_factor", "oadr:pulseFactor", FLOAT)


def _unit(
    tag: str,
    description: Kind,
    units: Kind,
    *tail: tuple[str, str, Kind | type[Wire] | Opaque],
) -> Variant:
    prefix, _, element = tag.partition(":")
    return Variant(
        tag,
        ItemBase,
        {"element": element},
        (
            ("item_description", f"{prefix}:itemDescription", description),
            ("item_units", f"{prefix}:itemUnits", units),
            *tail,
        ),
    )


_CURRENCY = (
    one_of("itemDescription", CURRENCY_DESCRIPTIONS),
    one_of("currency", CURRENCIES),
    _SCALE,
)

ITEM_BASE = Choice(
    "emix:itemBase",
    (
        _unit("power:voltage", fixed("Voltage"), fixed("V"), _SCALE),
        _unit("power:energyReal", fixed("RealEnergy"), fixed("Wh"), _SCALE),
        _unit("power:energyApparent", fixed("ApparentEnergy"), fixed("VAh"), _SCALE),
        _unit("power:energyReactive", fixed("ReactiveEnergy"), fixed("VARh"), _SCALE),
        _unit("power:powerReal", fixed("RealPower"), one_of("itemUnits", POWER_REAL_UNITS), _SCALE, _POWER),
        _unit("power:powerApparent", fixed("ApparentPower"), fixed("VA"), _SCALE, _POWER),
        _unit("power:powerReactive", fixed("ReactivePower"), fixed("VAR"), _SCALE, _POWER),
        _unit("oadr:current", fixed("Current"), fixed("A"), _SCALE),
        _unit("oadr:frequency", fixed("Frequency"), fixed("Hz"), _SCALE),
        _unit("oadr:Therm", fixed("Therm"), fixed("thm"), _SCALE),
        _unit("oadr:temperature", fixed("temperature"), one_of("itemUnits", TEMPERATURE_UNITS), _SCALE),
        _unit("oadr:pulseCount", fixed("pulse count"), fixed("count"), _PULSE),
        _unit("oadr:currency", *_CURRENCY),
        _unit("oadr:currencyPerKW", *_CURRENCY),
        _unit("oadr:currencyPerKWh", *_CURRENCY),
        _unit("oadr:currencyPerThm", *_CURRENCY),
        _unit("oadr:customUnit", STRING, STRING, _SCALE),
        Variant(
            "oadr:oadrGBDataDescription",
            ItemBase,
            {"element": "oadrGBDataDescription"},
            (("feed", "atom:feed", FEED),),
        ),
    ),
)


class LoadControlStateType(Wire, frozen=True, kw_only=True):
    """One controllable quantity (`oadr:oadrLoadControlStateTypeType`)."""

    min: Annotated[float | None, "oadr:oadrMin"] = None
    max: Annotated[float | None, "oadr:oadrMax"] = None
    current: Annotated[float, "oadr:oadrCurrent"]
    normal: Annotated[float | None, "oadr:oadrNormal"] = None


class LoadControlState(Wire, frozen=True, kw_only=True):
    """How a load is controlled (`oadr:oadrLoadControlState`, 2.0b rule 334)."""

    capacity: Annotated[LoadControlStateType | None, "oadr:oadrCapacity"] = None
    level_offset: Annotated[LoadControlStateType | None, "oadr:oadrLevelOffset"] = None
    percent_offset: Annotated[LoadControlStateType | None, "oadr:oadrPercentOffset"] = None
    set_point: Annotated[LoadControlStateType | None, "oadr:oadrSetPoint"] = None


class ResourceStatus(Wire, frozen=True, kw_only=True):
    """The state of a resource (`oadr:oadrPayloadResourceStatus`)."""

    online: Annotated[bool, "oadr:oadrOnline"]
    manual_override: Annotated[bool, "oadr:oadrManualOverride"]
    load_control_state: Annotated[LoadControlState | None, "oadr:oadrLoadControlState"] = None


PAYLOAD_BASE = Choice(
    "ei:payloadBase",
    (
        Variant("ei:payloadFloat", "ei:value"),
        Variant("oadr:oadrPayloadResourceStatus", ResourceStatus),
    ),
)


class SignalPayload(Wire, frozen=True, kw_only=True):
    """The value of an event's interval (`ei:signalPayload`); a number, by 2.0b rule 100."""

    value: Annotated[float | ResourceStatus, PAYLOAD_BASE]


class ReportPayload(Wire, frozen=True, kw_only=True):
    """The value of one data point (`oadr:oadrReportPayload`)."""

    r_id: Annotated[str, "ei:rID"]
    confidence: Annotated[int | None, "ei:confidence", CONFIDENCE_KIND] = None
    accuracy: Annotated[float | None, "ei:accuracy"] = None
    value: Annotated[float | ResourceStatus, PAYLOAD_BASE]
    data_quality: Annotated[
        str | None, "oadr:oadrDataQuality", one_of("oadrDataQuality", DATA_QUALITIES, extensible=True)
    ] = None


class GBPayload(Wire, frozen=True, kw_only=True):
    """Green Button data (`oadr:oadrGBPayload`): an atom feed, kept as XML text."""

    feed: Annotated[str, "atom:feed", FEED]


STREAM_PAYLOAD_BASE = Choice(
    "strm:streamPayloadBase",
    (
        Variant("ei:signalPayload", SignalPayload),
        Variant("oadr:oadrReportPayload", ReportPayload),
        Variant("oadr:oadrGBPayload", GBPayload),
    ),
)


class Interval(Wire, frozen=True, kw_only=True):
    """One step of a signal, a baseline or a report (`ei:interval`)."""

    dtstart: Annotated[datetime | None, "xcal:dtstart/xcal:date-time"] = None
    duration: Annotated[Duration | None, "xcal:duration/xcal:duration"] = None
    uid: Annotated[str | None, "xcal:uid/xcal:text"] = None
    payloads: Annotated[tuple[SignalPayload | ReportPayload | GBPayload, ...], STREAM_PAYLOAD_BASE, AtLeast(1)]
