"""A VTN that does one thing wrong is found out by the checks on that, and by no others."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import pytest

from pyopenadr.conformance.line import HttpReply
from pyopenadr.v2 import decode, encode, wire
from tests.unit.conformance.own import check_vtn, reasons, unkept

Tamper = Callable[[str, HttpReply], HttpReply]


def text(old: bytes, new: bytes, *, within: bytes = b"") -> Tamper:
    """Replies with other words, where they hold `within`."""

    def change(service: str, reply: HttpReply) -> HttpReply:
        return reply._replace(body=re.sub(old, new, reply.body)) if within in reply.body else reply

    return change


def header(name: str, value: str | None) -> Tamper:
    """Replies with another header, or without it."""

    def change(service: str, reply: HttpReply) -> HttpReply:
        kept = tuple(pair for pair in reply.headers if pair[0] != name)
        return reply._replace(headers=kept if value is None else (*kept, (name, value)))

    return change


def status(old: int, new: int) -> Tamper:
    def change(service: str, reply: HttpReply) -> HttpReply:
        return reply._replace(status=new) if reply.status == old else reply

    return change


def events(change: Callable[[list[wire.OadrEvent]], list[wire.OadrEvent]]) -> Tamper:
    """Replies with other events in them."""

    def tamper(service: str, reply: HttpReply) -> HttpReply:
        if b"oadrDistributeEvent" not in reply.body or b"2012/07" not in reply.body or b"2.0b" not in reply.body:
            return reply
        message = decode(reply.body).message
        assert isinstance(message, wire.OadrDistributeEvent)
        changed = msgspec.structs.replace(message, events=tuple(change(list(message.events))))
        return reply._replace(body=encode(changed))

    return tamper


def dated_apart(found: list[wire.OadrEvent]) -> list[wire.OadrEvent]:
    """Each event with a createdDateTime of its own."""
    return [
        msgspec.structs.replace(
            each,
            event_descriptor=msgspec.structs.replace(
                each.event_descriptor,
                created_date_time=each.event_descriptor.created_date_time.replace(second=number),
            ),
        )
        for number, each in enumerate(found)
    ]


CREATED = b"oadrCreatedPartyRegistration"
DISTRIBUTE = b"oadrDistributeEvent"
CASES = {
    "content type": (header("content-type", "text/html"), ["vtn-http-*", "vtn-general-poll-idle"], {"vtn-http-type"}),
    "length": (header("content-length", None), ["vtn-http-*", "vtn-general-poll-idle"], {"vtn-http-length"}),
    "chunks": (header("transfer-encoding", "chunked"), ["vtn-http-*", "vtn-general-poll-idle"], {"vtn-http-chunked"}),
    "GET is answered": (status(501, 200), ["vtn-transport-get", "vtn-transport-no-xml"], {"vtn-transport-get"}),
    "a wrong status": (
        status(406, 400),
        ["vtn-transport-*"],
        {
            "vtn-transport-no-xml",
            "vtn-transport-empty",
            "vtn-transport-schema",
            "vtn-transport-missing-element",
            "vtn-transport-content-type",
        },
    ),
    "every address is taken": (status(404, 200), ["vtn-transport-*"], {"vtn-transport-unknown-service"}),
    "no echo": (
        text(rb"<pyld:requestID>query[^<]*", b"<pyld:requestID>other", within=CREATED),
        ["vtn-registration-query*", "vtn-registration-create*"],
        {"vtn-registration-query-echo"},
    ),
    "no registrationID": (
        text(rb"<ei:registrationID>[^<]*</ei:registrationID>", b"", within=CREATED),
        ["vtn-registration-create", "vtn-registration-query*"],
        {"vtn-registration-create"},
    ),
    "no frequency": (
        text(rb"<oadr:oadrRequestedOadrPollFreq>.*</oadr:oadrRequestedOadrPollFreq>", b"", within=CREATED),
        ["vtn-registration-poll-frequency", "vtn-registration-create", "vtn-message-403-*"],
        {"vtn-registration-poll-frequency", "vtn-message-403-says-how-often-to-poll"},
    ),
    "only 2.0b": (
        text(rb"<oadr:oadrProfile><oadr:oadrProfileName>2.0a<.*?</oadr:oadrProfile>", b"", within=CREATED),
        ["vtn-registration-profile*"],
        {"vtn-registration-profile-a"},
    ),
    "strangers are let in": (
        text(rb">463<", b">200<"),
        ["vtn-registration-stranger-poll", "vtn-registration-query", "vtn-general-poll-idle"],
        {"vtn-registration-stranger-poll"},
    ),
    "polls fail": (
        text(rb">200<", b">500<", within=b"oadrResponse"),
        ["vtn-general-poll-idle", "vtn-general-poll-wrong"],
        {"vtn-general-poll-idle"},
    ),
    "no schemaVersion": (
        text(rb' ei:schemaVersion="2.0b"', b"", within=b"oadrCreatedOpt"),
        ["vtn-opt-create", "vtn-message-*"],
        {"vtn-message-509-schema-version"},
    ),
    "a schemaLocation": (
        text(
            rb"<oadr:oadrPayload",
            b'<oadr:oadrPayload xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"',
            within=b"oadrCreatedOpt",
        ),
        ["vtn-opt-create", "vtn-message-*"],
        {"vtn-message-45-location"},
    ),
    "a stray element": (
        text(rb"</oadr:oadrCreatedOpt>", b"<ei:x/></oadr:oadrCreatedOpt>"),
        ["vtn-opt-create", "vtn-message-*"],
        {"vtn-message-schema"},
    ),
    "another optID": (
        text(rb"<ei:optID>conformance-opt<", b"<ei:optID>other<"),
        ["vtn-opt-create*", "vtn-opt-cancel"],
        {"vtn-opt-create-id"},
    ),
    "unknown opts are cancelled": (
        text(rb">452<", b">200<", within=b"oadrCanceledOpt"),
        ["vtn-opt-cancel*"],
        {"vtn-opt-cancel-unknown"},
    ),
    "unknown reports are cancelled": (
        text(rb">4..<", b">200<", within=b"oadrCanceledReport"),
        ["vtn-report-cancel-unknown*", "vtn-report-unknown"],
        {"vtn-report-cancel-unknown"},
    ),
    "METADATA for nobody": (
        text(rb"<ei:reportRequestID>metadata-1<", b"<ei:reportRequestID>other<", within=b"oadrRegisterReport"),
        ["vtn-report-metadata*"],
        {"vtn-report-metadata-request-id"},
    ),
    "no requestID of events": (
        text(rb"</ei:eiResponse><pyld:requestID>[^<]*", b"</ei:eiResponse><pyld:requestID>", within=DISTRIBUTE),
        ["vtn-event-request*", "vtn-message-*"],
        {"vtn-event-request-id", "vtn-message-41-has-a-request-id"},
    ),
    "no eiResponse": (
        text(rb"<ei:eiResponse>.*?</ei:eiResponse>", b"", within=DISTRIBUTE),
        ["vtn-event-request-response", "vtn-event-new-response", "vtn-event-vtn-id"],
        {"vtn-event-request-response", "vtn-event-new-response"},
    ),
    "another vtnID": (
        text(rb"<ei:vtnID>VTN_1<", b"<ei:vtnID>vtn_1<", within=DISTRIBUTE),
        ["vtn-event-request*", "vtn-event-vtn-id"],
        {"vtn-event-vtn-id"},
    ),
    "numbers from 1": (
        text(rb"<ei:modificationNumber>0<", b"<ei:modificationNumber>1<", within=DISTRIBUTE),
        ["vtn-event-new", "vtn-event-new-number", "vtn-event-far"],
        {"vtn-event-new-number"},
    ),
    "near for far": (
        text(rb">far<", b">near<", within=DISTRIBUTE),
        ["vtn-event-far", "vtn-event-near", "vtn-event-active", "vtn-message-*"],
        {"vtn-event-far", "vtn-message-13-status-fits"},
    ),
    "the last first": (
        events(lambda found: found[::-1]),
        ["vtn-event-order", "vtn-event-new-number", "vtn-message-*"],
        {"vtn-event-order", "vtn-message-15-order"},
    ),
    "created apart": (
        events(dated_apart),
        ["vtn-event-created-equal", "vtn-event-order", "vtn-message-*"],
        {"vtn-event-created-equal", "vtn-message-115-made-at-once"},
    ),
    "uids from 1": (
        text(rb"<xcal:text>0<", b"<xcal:text>1<", within=DISTRIBUTE),
        ["vtn-event-steps", "vtn-event-far", "vtn-message-*"],
        {"vtn-event-steps", "vtn-message-2-signal-uids"},
    ),
    "no notification": (
        text(rb"<ei:x-eiNotification>.*?</ei:x-eiNotification>", b"", within=DISTRIBUTE),
        ["vtn-event-far", "vtn-message-*"],
        {"vtn-message-105-notification"},
    ),
    "times without a zone": (
        text(rb"Z</ei:createdDateTime>", b"</ei:createdDateTime>", within=DISTRIBUTE),
        ["vtn-event-far", "vtn-message-*"],
        {"vtn-message-1-text"},
    ),
    "a level of 4": (
        text(rb"<ei:signalPayload>(.*?)<ei:value>1.0<", rb"<ei:signalPayload>\1<ei:value>4.0<", within=DISTRIBUTE),
        ["vtn-event-far", "vtn-message-*"],
        {"vtn-message-9-simple-levels"},
    ),
    "a value before the start": (
        text(rb"<ei:currentValue>(.*?)<ei:value>0.0<", rb"<ei:currentValue>\1<ei:value>3.0<", within=DISTRIBUTE),
        ["vtn-event-current-value-far", "vtn-event-far", "vtn-message-*"],
        {"vtn-event-current-value-far", "vtn-message-14-no-level-while-inactive"},
    ),
    "unknown events are answered": (
        text(rb">452<", b">200<", within=b"oadrResponse"),
        ["vtn-event-unknown", "vtn-event-failure"],
        {"vtn-event-unknown"},
    ),
    "the limit is not kept": (
        events(lambda found: [*found, *found] if len(found) == 1 else found),
        ["vtn-event-limit", "vtn-event-request"],
        {"vtn-event-limit"},
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_one_thing_wrong_is_found(name: str) -> None:
    tamper, patterns, expected = CASES[name]
    result = await check_vtn(*patterns, tamper=tamper, patience_s=45.0)
    assert unkept(result) == expected, reasons(result)
