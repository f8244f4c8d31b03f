"""Single values as text: what each simple type takes, and the one way it is written."""

from __future__ import annotations

import enum
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyopenadr.model.time import CalendarDuration
from pyopenadr.v2 import text
from pyopenadr.v2.text import Kind
from tests.properties.strategy import durations, instants

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
OPT = text.one_of("optType", ("optIn", "optOut"))
EXTENSIBLE = text.one_of("signalName", ("SIMPLE", "simple"), extensible=True)
EXACT = text.one_of("oadrResponseRequired", ("always", "never"), exact=True)
VOLT = text.fixed("V")


class Color(enum.StrEnum):
    IN = "optIn"


class Mixed(str, enum.Enum):  # noqa: UP042 - the older form, which formats as its name
    IN = "optIn"


TAKEN: list[tuple[Kind, str, Any]] = [
    (text.DATE_TIME, "2030-01-31T12:00:00Z", NOON),
    (text.DATE_TIME, "2030-01-31T12:00:00", NOON),
    (text.DATE_TIME, " 2030-01-31T12:00:00.000Z\n", NOON),
    (text.DATE_TIME, "2030-01-30T24:00:00Z", datetime(2030, 1, 31, tzinfo=UTC)),
    (text.DATE_TIME, "2030-01-30T24:00:00.00", datetime(2030, 1, 31, tzinfo=UTC)),
    (text.DATE_TIME, "2030-01-31T12:00:00.1234569Z", NOON.replace(microsecond=123456)),
    (text.DATE_TIME, "0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
    (text.DURATION, "PT1H30M", timedelta(minutes=90)),
    (text.DURATION, "P", timedelta(0)),
    (text.DURATION, "PT", timedelta(0)),
    (text.DURATION, "P5H", timedelta(hours=5)),
    (text.DURATION, "2W", timedelta(weeks=2)),
    (text.DURATION, "-PT5M", timedelta(minutes=-5)),
    (text.DURATION, "+PT5M", timedelta(minutes=5)),
    (text.DURATION, "P10M", CalendarDuration(10)),
    (text.DURATION, "-P1Y2M3DT4H", CalendarDuration(14, timedelta(days=3, hours=4), negative=True)),
    (text.DURATION, "P٣D", timedelta(days=3)),  # the schema's \d is any decimal digit
    (text.DURATION, f"PT{'0' * 60}7S", timedelta(seconds=7)),
    (text.FLOAT, "1.5", 1.5),
    (text.FLOAT, "-0", -0.0),
    (text.FLOAT, " 1e3\n", 1000.0),
    (text.FLOAT, ".5", 0.5),
    (text.FLOAT, "5.", 5.0),
    (text.FLOAT, "INF", math.inf),
    (text.FLOAT, " -INF", -math.inf),
    (text.DECIMAL, "+50.0", 50.0),
    (text.DECIMAL, " .5 ", 0.5),
    (text.DOUBLES, "", ()),
    (text.DOUBLES, " 1 2.5\n-INF ", (1.0, 2.5, -math.inf)),
    (text.BOOLEAN, "true", True),
    (text.BOOLEAN, " 0 ", False),
    (text.UNSIGNED_INT, "4294967295", 4294967295),
    (text.UNSIGNED_INT, " +007 ", 7),
    (text.UNSIGNED_INT, "-0", 0),
    (text.CONFIDENCE, "100", 100),
    (text.RESPONSE_CODE, "200", "200"),
    (text.ANY_URI, "", ""),
    (text.ANY_URI, " http://a.example/ ", "http://a.example/"),
    (text.ANY_URI, "http://[::1]:80/p?q#f", "http://[::1]:80/p?q#f"),
    (text.ANY_URI, "a b", "a b"),
    (text.STRING, "  two\n", "  two\n"),
    (text.ID, " a-1 ", "a-1"),
    (text.ID, "é_", "é_"),
    (OPT, " optIn\t", "optIn"),
    (EXTENSIBLE, "x-my  signal ", "x-my signal"),
    (EXACT, "never", "never"),
    (VOLT, "", "V"),
    (VOLT, "V", "V"),
]
REFUSED: list[tuple[Kind, str]] = [
    *(
        (text.DATE_TIME, wrong)
        for wrong in (
            *("", "2030-01-31", "2030-01-31T12:00Z", "2030-01-31t12:00:00z", "2030-01-31T12:00:00+00:00"),
            *("2030-02-30T00:00:00Z", "2030-01-31T24:00:01Z", "2030-01-31T12:00:60Z", "2030-01-31T12:00:00.Z"),
            *("0000-01-01T00:00:00Z", "-2030-01-31T12:00:00Z", "+2030-01-31T12:00:00Z", "12030-01-31T12:00:00Z"),
            *("9999-12-31T24:00:00Z", "٢٠٣٠-01-31T12:00:00Z", "2030-W1-3T12:00:00Z"),
        )
    ),
    *(
        (text.DURATION, wrong)
        for wrong in ("", "P1W", "PT1.5S", "1H", " PT1H", "P1S1H", "--P1D", f"PT{'9' * 40}S", f"P{'9' * 18}D")
    ),
    *((text.FLOAT, wrong) for wrong in ("", "1e", "e5", "0x1", "1_0", "inf", "nan", "+INF", "1,5", "1 2", "٣")),
    *((text.DECIMAL, wrong) for wrong in ("", "1e3", "INF", ".", "1_0")),
    *((text.DOUBLES, wrong) for wrong in ("1,2", "a")),
    *((text.BOOLEAN, wrong) for wrong in ("", "True", "yes", "2")),
    *((text.UNSIGNED_INT, wrong) for wrong in ("", "-1", "4294967296", "1.0", "٣", "1 2")),
    *((text.CONFIDENCE, wrong) for wrong in ("101", "-1")),
    *((text.RESPONSE_CODE, wrong) for wrong in ("20", "2000", " 200", "\uff12\uff10\uff10", "200\n")),
    *((text.ANY_URI, wrong) for wrong in ("%", "http://[", ":", "1:2", "http://h:port/", "//h:80:1", "a[b")),
    *((text.ID, wrong) for wrong in ("", "1a", "a:b", "a b", "-a")),
    *((OPT, wrong) for wrong in ("", "optin", "x-own")),
    *((EXTENSIBLE, wrong) for wrong in ("x-", "x- a", "X-a")),
    *((EXACT, wrong) for wrong in (" always", "Always")),
    (VOLT, "v"),
]
WRITTEN: list[tuple[Kind, Any, str]] = [
    (text.DATE_TIME, NOON, "2030-01-31T12:00:00Z"),
    (text.DATE_TIME, NOON.astimezone(timezone(timedelta(hours=2))), "2030-01-31T12:00:00Z"),
    (text.DATE_TIME, NOON.replace(microsecond=50), "2030-01-31T12:00:00.000050Z"),
    (text.DATE_TIME, datetime(7, 1, 2, tzinfo=UTC), "0007-01-02T00:00:00Z"),
    (text.DURATION, timedelta(0), "PT0S"),
    (text.DURATION, timedelta(days=8, seconds=3661), "P8DT1H1M1S"),
    (text.DURATION, timedelta(minutes=-5), "-PT5M"),
    (text.DURATION, CalendarDuration(14, timedelta(hours=1)), "P1Y2MT1H"),
    (text.DURATION, CalendarDuration(2, negative=True), "-P2M"),
    (text.FLOAT, 3, "3.0"),
    (text.FLOAT, 1e22, "1e+22"),
    (text.FLOAT, -math.inf, "-INF"),
    (text.FLOAT, math.nan, "NaN"),
    (text.DECIMAL, 1e-7, "0.0000001"),
    (text.DECIMAL, 1e20, "100000000000000000000"),
    (text.DOUBLES, [1, 2.5], "1.0 2.5"),
    (text.BOOLEAN, True, "true"),
    (text.UNSIGNED_INT, 7, "7"),
    (text.STRING, "<a & b>\r\n", "&lt;a &amp; b&gt;&#xD;\n"),
    (text.STRING, Mixed.IN, "optIn"),
    (OPT, Color.IN, "optIn"),
    (OPT, Mixed.IN, "optIn"),
    (EXTENSIBLE, "x-<1>", "x-&lt;1&gt;"),
    (VOLT, "V", "V"),
]
UNWRITABLE: list[tuple[Kind, Any]] = [
    *((kind, None) for kind in (text.STRING, text.FLOAT, text.DATE_TIME, text.DURATION, text.ID, OPT, VOLT)),
    (text.DATE_TIME, datetime(2030, 1, 1)),  # noqa: DTZ001 - that is the point
    (text.DATE_TIME, "2030-01-31T12:00:00Z"),
    (text.DATE_TIME, datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
    (text.DURATION, timedelta(microseconds=1)),
    (text.DURATION, CalendarDuration(1, timedelta(milliseconds=1))),
    (text.DURATION, 3600),
    (text.FLOAT, True),
    (text.FLOAT, "1"),
    (text.FLOAT, 10**400),
    (text.FLOAT, 10**5000),
    (text.DECIMAL, math.inf),
    (text.DECIMAL, math.nan),
    (text.DECIMAL, 1e300),
    (text.DOUBLES, 1.0),
    (text.BOOLEAN, 1),
    (text.UNSIGNED_INT, -1),
    (text.UNSIGNED_INT, 2**32),
    (text.UNSIGNED_INT, 10**5000),
    (text.UNSIGNED_INT, True),
    (text.UNSIGNED_INT, 1.0),
    (text.CONFIDENCE, 101),
    (text.RESPONSE_CODE, 200),
    (text.RESPONSE_CODE, "20"),
    (text.STRING, b"x"),
    (text.STRING, "\x00"),
    (text.STRING, "\ud800"),
    (text.STRING, "\uffff"),
    (text.ANY_URI, " a"),
    (text.ANY_URI, "%"),
    (text.ID, "1"),
    (OPT, "x-own"),
    (EXTENSIBLE, "x-two  blanks"),
    (EXTENSIBLE, "x-end "),
    (VOLT, "A"),
]


@pytest.mark.parametrize(("kind", "found", "value"), TAKEN)
def test_parse(kind: Kind, found: str, value: object) -> None:
    parsed = kind.parse(found)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(("kind", "found"), REFUSED)
def test_parse_refuses(kind: Kind, found: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        kind.parse(found)


def test_nan_is_read() -> None:
    assert math.isnan(text.FLOAT.parse(" NaN "))


@pytest.mark.parametrize(("kind", "value", "written"), WRITTEN)
def test_format(kind: Kind, value: object, written: str) -> None:
    assert kind.format(value) == written
    assert type(kind.format(value)) is str


# pytest can't name all of these values.
@pytest.mark.parametrize(
    ("kind", "value"), UNWRITABLE, ids=[f"{kind.name}-{n}" for n, (kind, _) in enumerate(UNWRITABLE)]
)
def test_format_refuses(kind: Kind, value: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        kind.format(value)


def test_the_reason_of_a_refusal_is_short() -> None:
    with pytest.raises(ValueError, match=r"^list \[") as caught:
        text.FLOAT.format(["x" * 10_000])
    assert len(str(caught.value)) < 120


@given(instants)
def test_an_instant_comes_back(instant: datetime) -> None:
    written = text.format_date_time(instant)
    assert text.parse_date_time(written) == instant
    assert written == instant.isoformat()[:-6] + "Z"


@given(durations)
def test_a_duration_comes_back(duration: Any) -> None:
    assert text.parse_duration(text.format_duration(duration)) == duration


@given(st.floats(allow_nan=False))
def test_a_number_comes_back(number: float) -> None:
    assert text.FLOAT.parse(text.FLOAT.format(number)) == number
