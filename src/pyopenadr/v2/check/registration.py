"""Rules on registrations."""

from __future__ import annotations

from collections.abc import Iterator

from pyopenadr.model.time import is_positive
from pyopenadr.v2.check.finding import Problem, Scene, rule
from pyopenadr.v2.check.message import is_failure
from pyopenadr.v2.text import format_duration
from pyopenadr.v2.wire import OadrCreatedPartyRegistration, OadrCreatePartyRegistration

__all__ = ["RULES"]


@rule("402", OadrCreatePartyRegistration)
def _says_how_to_reach_it(message: OadrCreatePartyRegistration, scene: Scene) -> Iterator[Problem]:
    """A VEN says whether it pulls, and where it is reached if not."""
    address = message.transport_address
    is_http = message.transport_name == "simpleHttp"
    if is_http and message.http_pull_model is None:
        yield Problem(
            "oadrHttpPullModel is missing, which simpleHttp needs",
            "send true if the VEN polls, false if the VTN is to push",
            ("http_pull_model",),
        )
    if not is_http and not address:
        yield Problem("there is no oadrTransportAddress for XMPP", "send the VEN's full JID", ("transport_address",))
    elif is_http and message.http_pull_model is False and not address:
        yield Problem(
            "the VEN wants to be pushed to, but there is no oadrTransportAddress",
            "send the base URL of the VEN, such as https://ven.example.com:8443",
            ("transport_address",),
        )
    elif is_http and address and not address.lower().startswith(("http://", "https://")):
        yield Problem(
            f"oadrTransportAddress {address!r} is no URL",
            "send the base URL of the VEN, or leave the element out if the VEN polls",
            ("transport_address",),
            "warning",
        )


@rule("402", OadrCreatePartyRegistration)
def _registers_again_with_both_ids(message: OadrCreatePartyRegistration, scene: Scene) -> Iterator[Problem]:
    """A registration that is repeated carries registrationID and venID; a new one no registrationID."""
    if message.registration_id and not message.ven_id:
        yield Problem(
            "there is a registrationID, but no venID",
            "send both to register again, or no registrationID to register anew",
            ("ven_id",),
        )


@rule("403", OadrCreatedPartyRegistration)
def _gives_both_ids(message: OadrCreatedPartyRegistration, scene: Scene) -> Iterator[Problem]:
    """The answer to a registration gives registrationID and venID; an error, or a query's answer, neither."""
    fields = (("registration_id", "registrationID"), ("ven_id", "venID"))
    there = [name for field, name in fields if message.get(field)]
    if is_failure(message.response.response_code):
        if there:
            yield Problem(
                f"the registration is refused with {message.response.response_code}, but {there[0]} is given:"
                " a VEN may take itself for registered",
                "leave registrationID and venID out of a refusal",
                ("registration_id" if message.registration_id else "ven_id",),
                "warning",
            )
    elif len(there) == 1:
        field, name = next(pair for pair in fields if pair[1] not in there)
        yield Problem(f"there is {there[0]}, but no {name}", "give both", (field,))
    elif not there:
        yield Problem(
            "no registrationID and venID: fine in answer to oadrQueryRegistration, wrong in answer to a registration",
            "give both if this answers oadrCreatePartyRegistration",
            ("registration_id",),
            "note",
        )


@rule("403", OadrCreatedPartyRegistration, severity="warning")
def _says_how_often_to_poll(message: OadrCreatedPartyRegistration, scene: Scene) -> Iterator[Problem]:
    """A VEN that polls is told how often."""
    frequency = message.requested_oadr_poll_freq
    place = ("requested_oadr_poll_freq",)
    fix = "send the time between two polls, such as PT10S"
    if frequency is not None and not is_positive(frequency):
        yield Problem(f"oadrRequestedOadrPollFreq is {format_duration(frequency)}", fix, place)
    elif frequency is None and message.registration_id and not is_failure(message.response.response_code):
        yield Problem("oadrRequestedOadrPollFreq is missing: a VEN that polls needs it", fix, place)


RULES = (_says_how_to_reach_it, _registers_again_with_both_ids, _gives_both_ids, _says_how_often_to_poll)
