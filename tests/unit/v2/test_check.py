"""Rule-level findings: the mechanics, the text of documents, and that good messages have none."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pyopenadr.v2 import Payload, decode, wire
from pyopenadr.v2.check import EXCHANGES, RULES, Element, findings, source_findings
from pyopenadr.v2.check.place import parts, path_at
from pyopenadr.v2.profile import PROFILES
from pyopenadr.v2.xml import children_of, parse, path_of

VECTORS = sorted((Path(__file__).parents[2] / "vectors").glob("*.xml"))


def test_there_are_vectors() -> None:
    assert len(VECTORS) >= 58


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_a_good_message_has_no_error_and_no_warning(path: Path) -> None:
    found = findings(decode(path.read_bytes()))
    assert [each for each in found if each.severity != "note"] == []


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_a_place_is_given_by_the_path_that_decode_gives_it(path: Path) -> None:
    data = path.read_bytes()
    payload = decode(data)
    waiting, real = [parse(data)], set()
    while waiting:
        element = waiting.pop()
        real.add(path_of(element))
        waiting.extend(children_of(element))
    assert {path_at(payload, place) for place, _ in parts(payload.message)} <= real


def test_a_place_of_a_bare_message_has_no_envelope() -> None:
    bare = b'<o:oadrPoll xmlns:o="http://openadr.org/oadr-2.0b/2012/07"><v:venID xmlns:v="%s"/></o:oadrPoll>'
    data = bare % b"http://docs.oasis-open.org/ns/energyinterop/201110"
    payload = decode(data, leniency=["bare-root"])
    assert {each.path for each in findings(payload)} == {"oadrPoll", "oadrPoll/venID"}


def test_every_message_has_its_place_in_the_protocol() -> None:
    assert {cls.tag.partition(":")[2] for profile in PROFILES for cls in profile.messages} == set(EXCHANGES)


def test_every_rule_says_what_it_is_about() -> None:
    assert [rule.number for rule in RULES if not rule.summary.endswith((".", "…"))] == []


def test_the_direction_decides_who_sent_a_message_of_both_sides() -> None:
    payload = Payload(message=wire.OadrRegisterReport(request_id="1"))
    assert [(each.rule, each.severity) for each in findings(payload)] == [("508", "note")]
    assert [(each.rule, each.severity) for each in findings(payload, direction="ven-to-vtn")] == [("508", "error")]
    assert findings(payload, direction="vtn-to-ven") == ()


def test_status_and_current_value_are_judged_by_an_instant_if_there_is_one() -> None:
    (path,) = (path for path in VECTORS if path.name.startswith("22_"))
    payload = decode(path.read_bytes())  # active from 9:30 to 10:30; the second signal says 40, and 25.5 from 9:45

    def rules_at(hour: int, minute: int) -> list[str]:
        now = datetime(2030, 6, 1, hour, minute, tzinfo=UTC)
        return [each.rule for each in findings(payload, now=now) if each.severity != "note"]

    assert rules_at(9, 29) == ["13"]
    assert rules_at(9, 30) == ["29"]
    assert rules_at(9, 45) == []
    assert rules_at(10, 30) == ["13"]


def test_an_event_is_near_while_it_ramps_up() -> None:
    (path,) = (path for path in VECTORS if path.name.startswith("21_"))
    text = path.read_text("utf-8")  # starts at 12:00 and ramps up for 10 minutes
    near = decode(text.replace(">far<", ">near<").encode())
    far = decode(text.encode())
    now = datetime(2030, 6, 1, 11, 50, tzinfo=UTC)
    assert [each.rule for each in findings(near, now=now)] == []
    assert [each.message for each in findings(far, now=now)] == [
        "the event is far, but at 2030-06-01T11:50:00Z it should be near"
    ]


def test_2_0a_has_none_of_the_rules_of_2_0b() -> None:
    (path,) = (path for path in VECTORS if path.name.startswith("a2_"))
    payload = decode(path.read_bytes())
    assert findings(payload) == ()
    as_b = Payload(message=payload.message)  # a lower-case SIMPLE, and no schemaVersion
    assert {each.rule for each in findings(as_b)} == {"104", "509"}


def test_periods_beyond_the_calendar_break_nothing() -> None:
    (path,) = (path for path in VECTORS if path.name.startswith("21_"))
    text = path.read_text("utf-8").replace(
        "<xcal:duration>PT1H</xcal:duration>", "<xcal:duration>P9999Y</xcal:duration>"
    )
    found = findings(decode(text.encode()), now=datetime(2030, 6, 1, tzinfo=UTC))
    assert {each.rule for each in found} == {"8"}


@pytest.mark.parametrize(
    ("name", "text", "severity"),
    [
        ("xcal:date-time", "2030-06-01T12:00:00", "error"),
        ("ei:createdDateTime", " 2030-06-01T12:00:00.5 ", "error"),
        ("xcal:duration", "2W", "error"),
        ("xcal:duration", "P5H", "error"),
        ("xcal:startafter", "P1D10S", "error"),
        ("oadr:oadrMinPeriod", "PT", "warning"),
        ("oadr:oadrMaxPeriod", "P", "warning"),
        ("xcal:duration", "P10M", "note"),
    ],
)
def test_a_time_or_duration_that_is_not_as_rule_1_wants_it(name: str, text: str, severity: str) -> None:
    element = Element("a/b", 7, name, text, {})
    assert [(each.rule, each.severity, each.line) for each in source_findings([element])] == [("1", severity, 7)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("xcal:date-time", "2030-06-01T12:00:00Z"),
        ("xcal:date-time", "2030-06-01T12:00:00.5Z"),
        ("xcal:date-time", "2030-06-01T12:00:00+02:00"),  # the schema's business
        ("xcal:duration", "PT1H30M"),
        ("xcal:duration", "-P1Y2M3DT4H5M6S"),
        ("xcal:duration", "P14D"),
        ("xcal:duration", ""),  # holds an element
        ("ei:eventID", "2030-06-01T12:00:00"),
    ],
)
def test_a_time_or_duration_that_is_in_order(name: str, text: str) -> None:
    assert source_findings([Element("a/b", 7, name, text, {})]) == ()


def test_a_schema_location_breaks_rule_45() -> None:
    element = Element("a", 1, "oadr:oadrPayload", "", {"xsi:schemaLocation": "a b", "oadr:Id": "x"})
    assert [each.rule for each in source_findings([element])] == ["45"]
