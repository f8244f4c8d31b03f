"""Events as a calendar that every calendar program reads (iCalendar, RFC 5545)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from pyopenadr.model import Span
from pyopenadr.v2.ven import KnownEvent

__all__ = ["calendar_of"]

_MOST_BYTES = 73


def calendar_of(events: Iterable[tuple[KnownEvent, Span]], name: str, now: datetime) -> str:
    """The calendar of these events, each with the time in which it is executed."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//pyopenadr//ven//EN", f"X-WR-CALNAME:{_text(name)}"]
    for known, span in events:
        lines += _event(known, span, now)
    lines.append("END:VCALENDAR")
    return "".join(f"{part}\r\n" for line in lines for part in _folded(line))


def _event(known: KnownEvent, span: Span, now: datetime) -> Iterator[str]:
    event = known.event
    signals = "; ".join(
        f"{signal.signal_name} {', '.join(f'{interval.value:g}' for interval in signal.intervals)}"
        for signal in event.signals
    )
    answer = str(known.opt_type) if known.opt_type is not None else "not answered"
    confirmed = {"optIn": "CONFIRMED", "optOut": "CANCELLED"}.get(answer, "TENTATIVE")
    yield "BEGIN:VEVENT"
    yield f"UID:{_text(event.event_id)}@openadr"
    yield f"SEQUENCE:{event.modification_number}"
    yield f"DTSTAMP:{_time(now)}"
    yield f"DTSTART:{_time(span.start)}"
    if span.end is not None:
        yield f"DTEND:{_time(span.end)}"
    yield f"SUMMARY:{_text(('TEST: ' if event.is_test else '') + signals)}"
    yield f"DESCRIPTION:{_text(f'event {event.event_id}, {event.market_context}, {answer}')}"
    yield f"STATUS:{'CANCELLED' if event.cancelled else confirmed}"
    yield "END:VEVENT"


def _time(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def _text(text: str) -> str:
    """A text as it stands in a property: nothing in it can end the line."""
    for char, written in (("\\", "\\\\"), (";", "\\;"), (",", "\\,"), ("\r", ""), ("\n", "\\n")):
        text = text.replace(char, written)
    return "".join(char for char in text if char.isprintable())


def _folded(line: str) -> Iterator[str]:
    """A line in parts of at most 75 bytes, each but the first with a space before it."""
    part = ""
    for char in line:
        if len((part + char).encode()) > _MOST_BYTES:
            yield part
            part = " "
        part += char
    yield part
