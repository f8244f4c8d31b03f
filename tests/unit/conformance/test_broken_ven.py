"""A VEN that does one thing wrong is found out by the checks on that, and by no others."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.unit.conformance.own import check_ven, reasons, unkept

Tamper = Callable[[bytes], bytes]


def text(old: bytes, new: bytes, *, within: bytes = b"") -> Tamper:
    """Messages with other words, where they hold `within`."""
    return lambda body: re.sub(old, new, body) if within in body else body


CREATED = b"oadrCreatedEvent"
CASES = {
    "no venID": (
        text(rb"<ei:venID>[^<]*</ei:venID>", b"", within=b"oadrResponse"),
        ["ven-registration-requested", "ven-message-508-*", "ven-message-schema"],
        {"ven-registration-requested", "ven-message-508-ven-says-who-it-is"},
    ),
    "no registrationID": (
        text(
            rb"<ei:registrationID>[^<]*</ei:registrationID><ei:venID>[^<]*</ei:venID>",
            b"",
            within=b"oadrCreatePartyRegistration",
        ),
        ["ven-registration-again", "ven-registration-requested", "ven-registration-new"],
        {"ven-registration-again"},
    ),
    "no pull model": (
        text(rb"<oadr:oadrHttpPullModel>true</oadr:oadrHttpPullModel>", b""),
        ["ven-registration-profile", "ven-message-402-*"],
        {"ven-message-402-says-how-to-reach-it"},
    ),
    "another requestID": (
        text(rb"<pyld:requestID>list-with-this-id<", b"<pyld:requestID>other<", within=CREATED),
        ["ven-event-new", "ven-event-request-id"],
        {"ven-event-request-id"},
    ),
    "a requestID at the top": (
        text(
            rb"<pyld:requestID></pyld:requestID></ei:eiResponse>", b"<pyld:requestID>x</pyld:requestID></ei:eiResponse>"
        ),
        ["ven-event-new", "ven-event-request-id", "ven-message-42-*"],
        {"ven-message-42-request-ids"},
    ),
    "numbers from 1": (
        text(rb"<ei:modificationNumber>3<", b"<ei:modificationNumber>0<", within=CREATED),
        ["ven-event-new*"],
        {"ven-event-new-number"},
    ),
    "lower numbers are taken": (
        text(rb">450<", b">200<", within=CREATED),
        ["ven-event-lower", "ven-event-changed"],
        {"ven-event-lower"},
    ),
    "everything is opted in to": (
        text(rb">optOut<", b">optIn<", within=CREATED),
        ["ven-event-target-other", "ven-event-new", "ven-message-48-*"],
        {"ven-event-target-other", "ven-message-48-error-opts-out"},
    ),
    "every signal is understood": (
        text(rb">460<", b">200<", within=CREATED),
        ["ven-event-signal-unknown", "ven-event-target-other"],
        {"ven-event-signal-unknown"},
    ),
    "prices are not": (
        text(rb"(<ei:eventResponse><ei:responseCode>)200<", rb"\g<1>460<", within=CREATED),
        ["ven-event-price", "ven-event-again"],
        {"ven-event-price"},
    ),
    "every report is accepted": (
        text(rb">452<", b">200<", within=b"oadrCreatedReport"),
        ["ven-report-unknown", "ven-report-echo"],
        {"ven-report-unknown"},
    ),
    "nothing is pending": (
        text(rb"<oadr:oadrPendingReports>.*</oadr:oadrPendingReports>", b"<oadr:oadrPendingReports/>"),
        ["ven-report-pending", "ven-report-echo"],
        {"ven-report-pending"},
    ),
    "METADATA for nobody": (
        text(rb"<ei:reportRequestID>metadata[^<]*</ei:reportRequestID>", b"", within=b"oadrRegisterReport"),
        ["ven-report-metadata*"],
        {"ven-report-metadata-delivered"},
    ),
    "an offer with a number": (
        text(rb"<ei:reportRequestID>0<", b"<ei:reportRequestID>7<", within=b"oadrRegisterReport"),
        ["ven-report-usage", "ven-message-311-*"],
        {"ven-message-311-request-ids-of-an-offer"},
    ),
    "no sampling rate": (
        text(rb"<oadr:oadrSamplingRate>.*?</oadr:oadrSamplingRate>", b"", within=b"oadrRegisterReport"),
        ["ven-report-usage", "ven-message-333-*", "ven-message-305-*"],
        {"ven-message-333-sampling-rate"},
    ),
    "no TELEMETRY_STATUS": (
        text(b"METADATA_TELEMETRY_STATUS", b"x-METADATA_STATUS"),
        ["ven-report-usage", "ven-report-status"],
        {"ven-report-status"},
    ),
    "data of another point": (
        text(rb"<ei:rID>power<", b"<ei:rID>other<", within=b"oadrUpdateReport"),
        ["ven-report-points", "ven-report-specifier"],
        {"ven-report-points"},
    ),
    "an element is missing": (
        text(rb"<oadr:oadrPendingReports>.*</oadr:oadrPendingReports>|<oadr:oadrPendingReports/>", b""),
        ["ven-report-usage", "ven-report-cancel", "ven-message-schema"],
        {"ven-report-cancel", "ven-message-schema"},
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_one_thing_wrong_is_found(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")
    tamper, patterns, expected = CASES[name]
    result = await check_ven(patterns, tamper=tamper, patience_s=120.0)
    assert unkept(result) == expected, reasons(result)
