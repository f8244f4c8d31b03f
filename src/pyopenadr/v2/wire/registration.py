"""Messages and structures of the EiRegisterParty service."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pyopenadr.model.time import Duration
from pyopenadr.v2.text import one_of
from pyopenadr.v2.wire.base import AtLeast, Message, Wire
from pyopenadr.v2.wire.common import SCHEMA_VERSION, EiResponse
from pyopenadr.v2.wire.enumeration import PROFILE_NAMES, SERVICE_NAMES, TRANSPORT_NAMES

__all__ = [
    "OadrCancelPartyRegistration",
    "OadrCanceledPartyRegistration",
    "OadrCreatePartyRegistration",
    "OadrCreatedPartyRegistration",
    "OadrExtension",
    "OadrInfo",
    "OadrProfile",
    "OadrQueryRegistration",
    "OadrRequestReregistration",
    "OadrService",
]

_PROFILE_NAME = one_of("oadrProfileName", PROFILE_NAMES)
_TRANSPORT_NAME = one_of("oadrTransportName", TRANSPORT_NAMES)


class OadrInfo(Wire, frozen=True, kw_only=True):
    """A key and a value (`oadr:oadrInfo`)."""

    key: Annotated[str, "oadr:oadrKey"]
    value: Annotated[str, "oadr:oadrValue"]


class OadrProfile(Wire, frozen=True, kw_only=True):
    """A profile with the transports it can be spoken over (`oadr:oadrProfile`)."""

    profile_name: Annotated[str, "oadr:oadrProfileName", _PROFILE_NAME]
    transports: Annotated[
        tuple[str, ...],
        "oadr:oadrTransports/oadr:oadrTransport*/oadr:oadrTransportName",
        _TRANSPORT_NAME,
        AtLeast(1),
    ]


class OadrService(Wire, frozen=True, kw_only=True):
    """What there is to know about one service (`oadr:oadrService`)."""

    service_name: Annotated[str, "oadr:oadrServiceName", one_of("oadrServiceName", SERVICE_NAMES)]
    info: Annotated[tuple[OadrInfo, ...], "oadr:oadrInfo", AtLeast(1)]


class OadrExtension(Wire, frozen=True, kw_only=True):
    """An extension that the VTN offers (`oadr:oadrExtension`)."""

    extension_name: Annotated[str, "oadr:oadrExtensionName"]
    info: Annotated[tuple[OadrInfo, ...], "oadr:oadrInfo"] = ()


class OadrQueryRegistration(Message, frozen=True, kw_only=True):
    """The VEN asks what the VTN supports (VEN to VTN); the only VEN message without a venID."""

    tag: ClassVar[str] = "oadr:oadrQueryRegistration"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    request_id: Annotated[str, "pyld:requestID"]


class OadrCreatePartyRegistration(Message, frozen=True, kw_only=True):
    """The VEN registers (VEN to VTN; 2.0b rules 402, 405, 406)."""

    tag: ClassVar[str] = "oadr:oadrCreatePartyRegistration"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    request_id: Annotated[str, "pyld:requestID"]
    registration_id: Annotated[str | None, "ei:registrationID"] = None
    ven_id: Annotated[str | None, "ei:venID"] = None
    profile_name: Annotated[str, "oadr:oadrProfileName", _PROFILE_NAME]
    transport_name: Annotated[str, "oadr:oadrTransportName", _TRANSPORT_NAME]
    transport_address: Annotated[str | None, "oadr:oadrTransportAddress"] = None
    report_only: Annotated[bool, "oadr:oadrReportOnly"]
    xml_signature: Annotated[bool, "oadr:oadrXmlSignature"]
    ven_name: Annotated[str | None, "oadr:oadrVenName"] = None
    http_pull_model: Annotated[bool | None, "oadr:oadrHttpPullModel"] = None


class OadrCreatedPartyRegistration(Message, frozen=True, kw_only=True):
    """The VTN's answer to a query or a registration (2.0b rules 403, 404)."""

    tag: ClassVar[str] = "oadr:oadrCreatedPartyRegistration"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    response: Annotated[EiResponse, "ei:eiResponse"]
    registration_id: Annotated[str | None, "ei:registrationID"] = None
    ven_id: Annotated[str | None, "ei:venID"] = None
    vtn_id: Annotated[str, "ei:vtnID"]
    profiles: Annotated[tuple[OadrProfile, ...], "oadr:oadrProfiles/oadr:oadrProfile", AtLeast(1)]
    requested_oadr_poll_freq: Annotated[Duration | None, "oadr:oadrRequestedOadrPollFreq/xcal:duration"] = None
    service_specific_info: Annotated[
        tuple[OadrService, ...] | None, "oadr:oadrServiceSpecificInfo/oadr:oadrService"
    ] = None
    extensions: Annotated[tuple[OadrExtension, ...] | None, "oadr:oadrExtensions/oadr:oadrExtension"] = None


class OadrRequestReregistration(Message, frozen=True, kw_only=True):
    """The VTN asks the VEN to register again with its IDs (VTN to VEN)."""

    tag: ClassVar[str] = "oadr:oadrRequestReregistration"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    ven_id: Annotated[str, "ei:venID"]


class OadrCancelPartyRegistration(Message, frozen=True, kw_only=True):
    """Either side ends the registration (2.0b rule 407)."""

    tag: ClassVar[str] = "oadr:oadrCancelPartyRegistration"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    request_id: Annotated[str, "pyld:requestID"]
    registration_id: Annotated[str, "ei:registrationID"]
    ven_id: Annotated[str | None, "ei:venID"] = None


class OadrCanceledPartyRegistration(Message, frozen=True, kw_only=True):
    """The answer to the end of a registration; from a VEN with its venID (2.0b rule 508)."""

    tag: ClassVar[str] = "oadr:oadrCanceledPartyRegistration"
    schema_version: Annotated[str | None, "@ei:schemaVersion", SCHEMA_VERSION] = "2.0b"
    response: Annotated[EiResponse, "ei:eiResponse"]
    registration_id: Annotated[str | None, "ei:registrationID"] = None
    ven_id: Annotated[str | None, "ei:venID"] = None
