"""Who sends which message to which endpoint, and what comes back: the message matrix of 2.0."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import msgspec

__all__ = ["EXCHANGES", "Exchange"]


class Exchange(msgspec.Struct, frozen=True):
    """The place of one message in the protocol.

    `sender` is None where both sides send it; `endpoint` is the service that whoever starts the exchange posts to;
    `reply` is what comes back; `purpose` says in a sentence what happens with it.
    """

    sender: Literal["ven", "vtn"] | None
    endpoint: str
    reply: str
    purpose: str


_ACK = "oadrResponse"

EXCHANGES: Mapping[str, Exchange] = MappingProxyType(
    {
        "oadrQueryRegistration": Exchange(
            "ven", "EiRegisterParty", "oadrCreatedPartyRegistration", "the VEN asks what the VTN supports"
        ),
        "oadrCreatePartyRegistration": Exchange(
            "ven", "EiRegisterParty", "oadrCreatedPartyRegistration", "the VEN registers with the VTN"
        ),
        "oadrCreatedPartyRegistration": Exchange(
            "vtn", "EiRegisterParty", "nothing: it is a reply itself", "the VTN answers a registration or a query"
        ),
        "oadrRequestReregistration": Exchange(
            "vtn", "EiRegisterParty", _ACK, "the VTN asks the VEN to register again with its IDs"
        ),
        "oadrCancelPartyRegistration": Exchange(
            None, "EiRegisterParty", "oadrCanceledPartyRegistration", "one side ends the registration"
        ),
        "oadrCanceledPartyRegistration": Exchange(
            None,
            "EiRegisterParty",
            "oadrResponse if a pull VEN posts it, else nothing",
            "the end of a registration is confirmed",
        ),
        "oadrPoll": Exchange(
            "ven",
            "OadrPoll",
            "oadrResponse if nothing waits, else the next waiting message",
            "a VEN that pulls asks what waits for it",
        ),
        "oadrResponse": Exchange(
            None, "EiRegisterParty", "nothing: it is a reply itself", "a message is acknowledged or refused"
        ),
        "oadrRequestEvent": Exchange("ven", "EiEvent", "oadrDistributeEvent", "the VEN asks for its events"),
        "oadrDistributeEvent": Exchange(
            "vtn",
            "EiEvent",
            "an empty 200; then the VEN posts oadrCreatedEvent for the events that want an answer",
            "the VTN gives the VEN the whole list of its events",
        ),
        "oadrCreatedEvent": Exchange("ven", "EiEvent", _ACK, "the VEN opts in to events or out of them"),
        "oadrCreateOpt": Exchange(
            "ven", "EiOpt", "oadrCreatedOpt", "the VEN says when it is available, or qualifies its answer to an event"
        ),
        "oadrCreatedOpt": Exchange("vtn", "EiOpt", "nothing: it is a reply itself", "the VTN confirms an opt"),
        "oadrCancelOpt": Exchange("ven", "EiOpt", "oadrCanceledOpt", "the VEN takes an availability schedule back"),
        "oadrCanceledOpt": Exchange(
            "vtn", "EiOpt", "nothing: it is a reply itself", "the VTN confirms that an opt is gone"
        ),
        "oadrRegisterReport": Exchange(
            None, "EiReport", "oadrRegisteredReport", "the sender says which reports it can deliver"
        ),
        "oadrRegisteredReport": Exchange(
            None,
            "EiReport",
            "oadrCreatedReport if it asks for reports, else oadrResponse if a pull VEN posts it",
            "the offer of reports is acknowledged, maybe with a request",
        ),
        "oadrCreateReport": Exchange(None, "EiReport", "oadrCreatedReport", "the sender asks for reports"),
        "oadrCreatedReport": Exchange(
            None, "EiReport", "oadrResponse if a pull VEN posts it", "the request for reports is answered"
        ),
        "oadrUpdateReport": Exchange(None, "EiReport", "oadrUpdatedReport", "the sender delivers data"),
        "oadrUpdatedReport": Exchange(
            None, "EiReport", "oadrResponse if a pull VEN posts it", "data is acknowledged, maybe with a cancellation"
        ),
        "oadrCancelReport": Exchange(None, "EiReport", "oadrCanceledReport", "the sender ends some reports"),
        "oadrCanceledReport": Exchange(
            None, "EiReport", "oadrResponse if a pull VEN posts it", "the cancellation of reports is answered"
        ),
    }
)
"""By message type. 2.0a has only the four of EiEvent, and there the VEN asks by oadrRequestEvent instead of polling."""
