"""Decode with full validation, and encode, side by side with openleadr on the same messages.

openleadr reads a message with `validate_xml_schema` and `parse_message`, and writes one with `create_message`, which
does not validate. The floor of decoding is lxml's parser alone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from lxml import etree
from openleadr import messaging

from bench.measure import Row, compare
from pyopenadr.v2 import decode, encode

__all__ = ["PACKAGES", "messages", "run"]

PACKAGES = ("lxml", "msgspec", "openleadr", "pyopenadr")

NOON = datetime(2030, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
RESPONSE = {"response_code": 200, "response_description": "OK", "request_id": "request-1"}


def _event(number: int, intervals: int) -> dict[str, Any]:
    """One event as openleadr's templates want it."""
    return {
        "event_descriptor": {
            "event_id": f"event-{number}",
            "modification_number": 0,
            "modification_reason": "none",
            "priority": 1,
            "market_context": "http://market.example.com/dr",
            "created_date_time": NOON,
            "event_status": "far",
            "test_event": False,
            "vtn_comment": "a comment",
        },
        "active_period": {
            "dtstart": NOON,
            "duration": intervals * HOUR,
            "tolerance": {"startafter": 5 * MINUTE},
            "notification_period": HOUR,
        },
        "event_signals": [
            {
                "intervals": [
                    {"dtstart": NOON + step * HOUR, "duration": HOUR, "uid": step, "signal_payload": 1.0 + step / 4}
                    for step in range(intervals)
                ],
                "signal_name": "ELECTRICITY_PRICE" if intervals > 1 else "SIMPLE",
                "signal_type": "price" if intervals > 1 else "level",
                "signal_id": "signal-1",
                "current_value": 0.0,
            }
        ],
        "targets": [{"ven_id": "ven-1"}],
        "targets_by_type": {"ven_id": ["ven-1"]},
        "response_required": "always",
    }


def _distribute(events: int, intervals: int) -> dict[str, Any]:
    listed = [_event(number, intervals) for number in range(events)]
    return {"vtn_id": "vtn-1", "request_id": "request-1", "response": RESPONSE, "events": listed}


def _report(readings: int) -> dict[str, Any]:
    return {
        "ven_id": "ven-1",
        "request_id": "request-1",
        "reports": [
            {
                "report_request_id": "request-7",
                "report_specifier_id": "specifier-1",
                "report_name": "TELEMETRY_USAGE",
                "created_date_time": NOON,
                "dtstart": NOON,
                "intervals": [
                    {
                        "dtstart": NOON + step * MINUTE,
                        "duration": MINUTE,
                        "report_payload": {
                            "r_id": "meter-1",
                            "confidence": 100,
                            "accuracy": 0.0,
                            "value": step * 1.37,
                            "data_quality": "Quality Good - Non Specific",
                        },
                    }
                    for step in range(readings)
                ],
            }
        ],
    }


def messages() -> list[tuple[str, str, dict[str, Any], float, float]]:
    """What is measured: title, message, content for openleadr, and the targets of decoding and encoding."""
    return [
        ("oadrPoll", "oadrPoll", {"ven_id": "ven-1"}, 3, 10),
        ("oadrResponse", "oadrResponse", {"ven_id": "ven-1", "response": RESPONSE}, 3, 10),
        ("event, 24 intervals", "oadrDistributeEvent", _distribute(1, 24), 10, 15),
        ("20 events", "oadrDistributeEvent", _distribute(20, 1), 10, 15),
        ("report, 100 readings", "oadrUpdateReport", _report(100), 10, 15),
        ("report, 1,000 readings", "oadrUpdateReport", _report(1000), 10, 15),
    ]


def _read_theirs(data: bytes) -> None:
    messaging.validate_xml_schema(data)
    messaging.parse_message(data)


def run() -> list[Row]:
    """Measure decoding, then encoding."""
    decoding, encoding = [], []
    for title, name, content, decode_target, encode_target in messages():
        data = messaging.create_message(name, **content).encode()
        message = decode(data).message
        decoding.append(
            compare(
                f"decode {title}",
                partial(decode, data),
                partial(_read_theirs, data),
                floor=partial(etree.fromstring, data),
                target=decode_target,
            )
        )
        encoding.append(
            compare(
                f"encode {title}",
                partial(encode, message),
                partial(messaging.create_message, name, **content),
                target=encode_target,
            )
        )
    return decoding + encoding
