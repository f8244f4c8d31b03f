"""Deviations of real peers: refused, unless the rule for them is allowed; then reported."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pyopenadr.errors import ConfigError, SchemaMismatch, WireError
from pyopenadr.v2 import Deviation, decode, encode, wire
from pyopenadr.v2.leniency import RULES
from tests.properties.oracle import is_valid
from tests.vectors import vector

REGISTERED = vector("07")
EVENT = vector("21")
SIGNED = vector("s_signed_oadrPoll_ecc_no")
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "leniency.md"


def changed(data: bytes, old: str, new: str) -> bytes:
    text = data.decode()
    assert len(re.findall(old, text, re.DOTALL)) >= 1
    return re.sub(old, new, text, count=1, flags=re.DOTALL).encode()


def at(payload: wire.Message, path: str) -> Any:
    value: Any = payload
    for step in path.split("."):
        value = value[int(step)] if step.isdigit() else value[step]
    return value


VTN_ID = decode(EVENT).message["vtn_id"]
FREQUENCY = r"(<oadr:oadrRequestedOadrPollFreq>).*(</oadr:oadrRequestedOadrPollFreq>)"
NOTIFICATION = r"<ei:x-eiNotification>.*</ei:x-eiNotification>"

CASES: list[tuple[str, bytes, str, Any]] = [
    ("unqualified-schema-version", changed(EVENT, "ei:schemaVersion", "schemaVersion"), "schema_version", "2.0b"),
    (
        "missing-request-id",
        changed(REGISTERED, "<pyld:requestID>[^<]*</pyld:requestID>", ""),
        "response.request_id",
        "",
    ),
    (
        "missing-request-id",
        changed(EVENT, r"<pyld:requestID>[^<]*</pyld:requestID>(\s*<ei:vtnID>)", r"\1"),
        "request_id",
        "",
    ),
    (
        "offset-time",
        changed(EVENT, "<xcal:date-time>[^<]*", "<xcal:date-time>2030-01-31T12:00:00+02:00"),
        "events.0.active_period.dtstart",
        datetime(2030, 1, 31, 10, tzinfo=UTC),
    ),
    (
        "offset-time",
        changed(EVENT, "<xcal:date-time>[^<]*", "<xcal:date-time> 2030-01-31T12:00:00.5-0530"),
        "events.0.active_period.dtstart",
        datetime(2030, 1, 31, 17, 30, 0, 500000, tzinfo=UTC),
    ),
    (
        "week-duration",
        changed(REGISTERED, FREQUENCY, r"\1<xcal:duration>P2W</xcal:duration>\2"),
        "requested_oadr_poll_freq",
        timedelta(14),
    ),
    (
        "week-duration",
        changed(REGISTERED, FREQUENCY, r"\1<xcal:duration>-P1W</xcal:duration>\2"),
        "requested_oadr_poll_freq",
        -timedelta(7),
    ),
    (
        "fractional-duration",
        changed(REGISTERED, FREQUENCY, r"\1<xcal:duration>PT1.9S</xcal:duration>\2"),
        "requested_oadr_poll_freq",
        timedelta(seconds=1),
    ),
    (
        "direct-duration",
        changed(REGISTERED, FREQUENCY, r"\1PT10S\2"),
        "requested_oadr_poll_freq",
        timedelta(seconds=10),
    ),
    (
        "empty-element",
        changed(REGISTERED, FREQUENCY, r"\1<xcal:duration> </xcal:duration>\2"),
        "requested_oadr_poll_freq",
        None,
    ),
    ("empty-element", changed(REGISTERED, FREQUENCY, r"\1 \2"), "requested_oadr_poll_freq", None),
    (
        "empty-element",
        changed(EVENT, NOTIFICATION, "<ei:x-eiNotification/>"),
        "events.0.active_period.notification",
        None,
    ),
    (
        "empty-element",
        changed(EVENT, "<ei:priority>[^<]*", "<ei:priority>"),
        "events.0.event_descriptor.priority",
        None,
    ),
    ("enumeration-case", changed(REGISTERED, "simpleHttp", " SimpleHTTP "), "profiles.0.transports.0", "simpleHttp"),
    ("enumeration-case", changed(vector("03"), "(<oadr:oadrReportOnly>)false", r"\1False"), "report_only", False),
    (
        "unknown-element",
        changed(EVENT, "(<ei:vtnID>)", r'<x xmlns="urn:x" a="1">text<y b="2"/></x>\1'),
        "vtn_id",
        VTN_ID,
    ),
]


@pytest.mark.parametrize(
    ("rule", "data", "path", "value"), CASES, ids=[f"{case[0]}-{n}" for n, case in enumerate(CASES)]
)
def test_a_rule(rule: str, data: bytes, path: str, value: Any) -> None:
    assert not is_valid(data)
    with pytest.raises(SchemaMismatch):
        decode(data)
    with pytest.raises(SchemaMismatch):
        decode(data, leniency=set(RULES) - {rule})
    payload = decode(data, leniency=[rule])
    assert [deviation.rule for deviation in payload.deviations] == [rule]
    assert decode(data, leniency=["all"]) == payload
    assert at(payload.message, path) == value
    # What came in by leniency goes out strictly.
    again = encode(payload)
    assert is_valid(again)
    assert decode(again).message == payload.message


def bare(data: bytes) -> bytes:
    return changed(
        data,
        r"<oadr:oadrPayload([^>]*)>\s*<oadr:oadrSignedObject>\s*<([^ >]*)(.*)</oadr:oadrSignedObject>.*",
        r"<\2\1\3",
    )


def test_a_bare_root() -> None:
    data = bare(vector("11"))
    with pytest.raises(SchemaMismatch, match="is no OpenADR"):
        decode(data, leniency=set(RULES) - {"bare-root"})
    payload = decode(data, leniency=["bare-root"])
    assert payload.message == decode(vector("11")).message
    assert payload.profile == "2.0b"
    assert payload.deviations == (Deviation(rule="bare-root", path="oadrPoll", line=2, found="oadr:oadrPoll"),)


def test_an_unqualified_id() -> None:
    data = changed(SIGNED, "oadr:Id=", "Id=")
    with pytest.raises(SchemaMismatch, match="attribute Id is not allowed"):
        decode(data)
    payload = decode(data, leniency=["unqualified-id"])
    assert payload.object_id == decode(SIGNED).object_id
    assert [deviation.rule for deviation in payload.deviations] == ["unqualified-id"]


def test_a_signature_behind_the_object() -> None:
    data = changed(SIGNED, r"(<ds:Signature.*</ds:Signature>)(.*)(</oadr:oadrPayload>)", r"\2\1\3")
    with pytest.raises(SchemaMismatch, match="must stand before"):
        decode(data)
    payload = decode(data, leniency=["signature-last"])
    assert payload.signature == decode(SIGNED).signature
    assert [deviation.rule for deviation in payload.deviations] == ["signature-last"]


def test_where_and_what_is_reported() -> None:
    data = changed(EVENT, "<xcal:date-time>[^<]*", "<xcal:date-time>2030-01-31T12:00:00+02:00")
    (deviation,) = decode(data, leniency=["offset-time"]).deviations
    assert deviation.path.endswith("/oadrEvent/eiEvent/eiActivePeriod/properties/dtstart/date-time")
    assert deviation.line is not None
    assert b"+02:00" in data.splitlines()[deviation.line - 1]
    assert deviation.found == "2030-01-31T12:00:00+02:00"


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (changed(EVENT, "(<ei:eventID>[^<]*)", r"\1<x/>"), "unknown-element"),  # inside of text
        (changed(EVENT, "(<ei:vtnID>)", r"<ei:vtnID>x</ei:vtnID>\1"), "unknown-element"),  # known, but twice
        (changed(EVENT, "(<ei:vtnID>)", r"<x/>stray\1"), "unknown-element"),
        (changed(EVENT, "<ei:modificationNumber>[^<]*", "<ei:modificationNumber>"), "empty-element"),  # required
        (changed(EVENT, "<xcal:date-time>[^<]*", "<xcal:date-time>2030-01-31T12:00:00+99:00"), "offset-time"),
        (changed(EVENT, "<xcal:date-time>[^<]*", "<xcal:date-time>0001-01-01T00:00:00+10:00"), "offset-time"),
        (changed(REGISTERED, FREQUENCY, r"\1<xcal:duration>P999999999W</xcal:duration>\2"), "week-duration"),
        (changed(REGISTERED, FREQUENCY, r"\1PT10S<xcal:duration>PT1S</xcal:duration>\2"), "direct-duration"),
        (changed(REGISTERED, FREQUENCY, r"\1ten\2"), "direct-duration"),
        (changed(REGISTERED, "simpleHttp", "http"), "enumeration-case"),
        (changed(REGISTERED, "<ei:vtnID>[^<]*</ei:vtnID>", ""), "missing-request-id"),
    ],
)
def test_what_a_rule_does_not_cover(data: bytes, rule: str) -> None:
    assert not is_valid(data)
    with pytest.raises(WireError):
        decode(data, leniency=[rule])


def test_rules_are_named() -> None:
    with pytest.raises(ConfigError, match="no leniency rule nonsense: use bare-root, "):
        decode(EVENT, leniency=["bare-root", "nonsense"])


def test_no_rule_changes_a_valid_message() -> None:
    assert decode(EVENT, leniency=["all"]) == decode(EVENT)


def test_every_rule_has_its_case_and_its_documentation() -> None:
    elsewhere = {"bare-root", "unqualified-id", "signature-last"}
    assert {case[0] for case in CASES} | elsewhere == set(RULES)
    documented = dict(re.findall(r"^\| `([a-z-]+)` \| (.*?) \|", REFERENCE.read_text("utf-8"), re.MULTILINE))
    assert documented == dict(RULES)


def test_many_deviations_take_linear_time() -> None:
    data = changed(EVENT, "(<ei:vtnID>)", "<x/>" * 50_000 + r"\1")
    payload = decode(data, leniency=["unknown-element"])
    assert len(payload.deviations) == 50_000
    assert payload.deviations[-1].path.endswith("oadrDistributeEvent/x[50000]")
