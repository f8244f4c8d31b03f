"""What decode refuses, and what its errors say."""

from __future__ import annotations

import pytest

from pyopenadr.errors import SchemaMismatch
from pyopenadr.v2 import decode, encode
from tests.properties.oracle import is_valid
from tests.unit.v2.document import (
    POLL,
    RESPONSE,
    distribute,
    document,
    event,
)


@pytest.mark.parametrize(
    ("message", "reason", "path", "expected", "found"),
    [
        (
            POLL.replace("ei:venID", "ei:vtnID"),
            "ei:vtnID is not allowed here",
            "oadrPoll/vtnID",
            "ei:venID",
            "ei:vtnID",
        ),
        ("<oadr:oadrPoll/>", "ei:venID is missing in oadr:oadrPoll", "oadrPoll", "ei:venID", "nothing"),
        (
            POLL.replace("</oadr:oadrPoll>", "<ei:venID/></oadr:oadrPoll>"),
            "stands twice",
            "oadrPoll/venID[2]",
            "nothing more",
            "ei:venID",
        ),
        (
            RESPONSE.replace("200", "20"),
            "ei:responseCode must be three digits, not '20'",
            "oadrResponse/eiResponse/responseCode",
            "three digits",
            "20",
        ),
        (
            RESPONSE.replace("<pyld:requestID>r</pyld:requestID>", "").replace(
                "<ei:responseCode>", "<pyld:requestID/><ei:responseCode>"
            ),
            "ei:responseCode must stand before pyld:requestID",
            "oadrResponse/eiResponse/responseCode",
            "nothing more",
            "ei:responseCode",
        ),
        (POLL.replace("2.0b", "2.0c"), "attribute ei:schemaVersion must be 2.0a, 2.0b", "oadrPoll", None, "2.0c"),
        (
            POLL.replace("<ei:venID>", '<ei:venID lang="en">'),
            "attribute lang is not allowed on ei:venID",
            "oadrPoll/venID",
            None,
            "lang",
        ),
        (
            POLL.replace("<ei:venID>", "stray<ei:venID>"),
            "text 'stray' is not allowed in oadr:oadrPoll",
            "oadrPoll",
            None,
            "stray",
        ),
        (
            POLL.replace("ven1", "<x/>"),
            "x is not allowed in ei:venID, which holds text",
            "oadrPoll/venID/x",
            "text",
            "x",
        ),
    ],
)
def test_errors(message: str, reason: str, path: str, expected: str | None, found: str) -> None:
    data = document(f"\n\n{message}")
    assert not is_valid(data)
    with pytest.raises(SchemaMismatch) as caught:
        decode(data)
    error = caught.value
    assert error.reason.startswith(reason) or reason in error.reason
    assert error.path == f"oadrPayload/oadrSignedObject/{path}"
    assert error.line == 3
    assert error.found == found
    if expected is not None:
        assert error.expected == expected


def test_errors_name_the_member_of_a_list_and_the_rule() -> None:
    good = encode(distribute(event(), event()))
    head, _, tail = good.decode().rpartition("2030-01-31T12:00:00Z")
    with pytest.raises(SchemaMismatch, match="UTC time") as caught:
        decode(f"{head}2030-01-31T12:00:00+01:00{tail}".encode())
    assert caught.value.path is not None
    assert "oadrEvent[2]/eiEvent/eiActivePeriod/properties/dtstart/date-time" in caught.value.path
    assert caught.value.rule == "1"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            "<ei:signalPayload>",
            "<ei:signalPayload/><ei:signalPayload>",
            "ei:payloadFloat or oadr:oadrPayloadResourceStatus is missing",
        ),
        (
            "<xcal:uid>",
            "<ei:nonsense/><xcal:uid>",
            "expected: xcal:uid, ei:signalPayload or oadr:oadrReportPayload or oadr:oadrGBPayload",
        ),
        (
            "<ei:payloadFloat>",
            "<ei:payloadFloat><ei:value>1</ei:value></ei:payloadFloat><ei:payloadFloat>",
            "already is one of its group",
        ),
        (
            "<ei:signalName>SIMPLE",
            "<oadr:frequency/><ei:signalName>SIMPLE",
            "oadr:frequency is not allowed here|must stand before|is missing",
        ),
    ],
)
def test_errors_in_groups(old: str, new: str, reason: str) -> None:
    data = encode(distribute(event())).decode().replace(old, new, 1).encode()
    assert not is_valid(data)
    with pytest.raises(SchemaMismatch, match=reason):
        decode(data)
