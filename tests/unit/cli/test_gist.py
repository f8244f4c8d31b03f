"""Messages in plain sentences."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pyopenadr.cli.gist import gist, said_distance, said_duration, said_time
from pyopenadr.model.time import CalendarDuration, Duration
from pyopenadr.v2 import decode

VECTORS = Path(__file__).parents[2] / "vectors"
NOW = datetime(2030, 6, 1, 10, tzinfo=UTC)


def told(vector: str) -> list[str]:
    (path,) = VECTORS.glob(f"{vector}_*.xml")
    return list(gist(decode(path.read_bytes()).message, NOW))


@pytest.mark.parametrize(
    ("vector", "sentence"),
    [
        ("03", "A VEN named 'Demo VEN' registers anew for 2.0b over HTTP, polling."),
        ("04", "pushed to at https://ven1.example.com:8443/ven"),
        ("05", "for 2.0b by XMPP"),
        ("06", "VEN 'ven-0001' named 'Demo VEN' registers again, as 'reg-9' for 2.0b"),
        ("07", "The VTN speaks 2.0a over simpleHttp, 2.0b over simpleHttp and xmpp."),
        ("07", "A VEN that pulls is to poll every 10 s."),
        ("09", "Registration 'reg-9'."),
        ("11", "VEN 'ven-0001'."),
        ("13", "The answer is 452 (invalid ID)"),
        ("20", "VEN 'ven-0001' wants at most 3 events."),
        ("22", "ELECTRICITY_PRICE price 0.31 EUR/kWh and LOAD_DISPATCH setpoint 40, then 25.5 kW"),
        ("22", "active, changed 1 time, started 2030-06-01 09:30 UTC (30 min ago), for 1 h"),
        ("24", "until it is cancelled, SIMPLE level 1, for the whole VEN, must not be answered, only a test."),
        ("25", "No events: the VEN drops any that it still has."),
        ("27", "for a place in the grid or a kind of device"),
        ("30", "It opts out of event 'ev-2' (modification 1), 460 (signal not supported)"),
        ("40", "VEN 'ven-0001' opts out for 2 periods, because of x-schedule"),
        ("40", "From 2030-07-01 00:00 UTC for 1 day."),
        ("41", "opts out for event 'ev-2' (modification 1)"),
        ("43", "VEN 'ven-0001' takes opt 'opt-1' back."),
        ("44", "It is about opt 'opt-1'."),
        ("50", "Report 'spec-tu' (METADATA_TELEMETRY_USAGE): 2 data points, data of 1 day."),
        ("51", "The sender has no reports to offer."),
        ("54", "Request 'rr-1': data points 'rid-kwh' of report 'spec-tu', every 5 min"),
        ("55", "Request 'rr-meta': what reports there are (METADATA), once."),
        ("57", "with a value for every 1 min, from 2030-06-01 10:00 UTC for 2 h."),
        ("60", "Reports that are still to come: "),
        ("62", "Report 'spec-tu' (TELEMETRY_USAGE) for request 'rr-3': 10 values in 10 intervals"),
        ("67", "It also ends the reports "),
        ("68", "report is to follow."),
        ("a2", "for 30 min, simple level 2, for VEN 'ven-a1', must be answered."),
    ],
)
def test_a_message_says(vector: str, sentence: str) -> None:
    assert [each for each in told(vector) if sentence in each], told(vector)


def test_long_lists_are_cut() -> None:
    (path,) = VECTORS.glob("21_*.xml")
    text = path.read_text("utf-8")
    start, end = text.index("<oadr:oadrEvent>"), text.index("</oadr:oadrEvent>") + len("</oadr:oadrEvent>")
    told = gist(decode((text[:start] + text[start:end] * 40 + text[end:]).encode()).message, NOW)
    assert len(told) == 12
    assert told[-1] == "… and 30 more."


def test_a_long_signal_is_told_by_its_range() -> None:
    (path,) = VECTORS.glob("21_*.xml")
    text = path.read_text("utf-8")
    start, end = text.index("<ei:interval>"), text.index("</ei:interval>") + len("</ei:interval>")
    told = gist(decode((text[:start] + text[start:end] * 5 + text[end:]).encode()).message, NOW)
    assert "SIMPLE level in 6 steps from 1 to 2" in told[1]


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0 s"),
        (timedelta(hours=1, minutes=30), "1 h 30 min"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=30, seconds=1), "30 days 1 s"),
        (timedelta(minutes=-5), "minus 5 min"),
        (CalendarDuration(14, timedelta(days=2)), "1 year 2 months 2 days"),
        (CalendarDuration(1, negative=True), "minus 1 month"),
    ],
)
def test_a_duration_in_words(duration: Duration, text: str) -> None:
    assert said_duration(duration) == text


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (timedelta(0), "now"),
        (timedelta(seconds=1), "in 1 s"),
        (timedelta(hours=-2, minutes=-59), "2 h ago"),
        (timedelta(days=1), "in 1 day"),
        (timedelta(days=-3), "3 days ago"),
        (timedelta(days=800), "in 2 years"),
    ],
)
def test_a_distance_in_words(step: timedelta, text: str) -> None:
    assert said_distance(NOW + step, NOW) == text


def test_a_time_in_words() -> None:
    assert said_time(NOW) == "2030-06-01 10:00 UTC"
    assert said_time(NOW + timedelta(seconds=5)) == "2030-06-01 10:00:05 UTC"
