"""Rules on the text of a document, which the decoded values no longer show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from pyopenadr.v2.check.finding import Finding, Severity

__all__ = ["Element", "source_findings"]

_TIMES = frozenset({"xcal:date-time", "ei:createdDateTime", "ei:modificationDateTime"})
_DURATIONS = frozenset({"xcal:duration", "xcal:startafter", "oadr:oadrMinPeriod", "oadr:oadrMaxPeriod"})
_LOCATIONS = ("xsi:schemaLocation", "xsi:noNamespaceSchemaLocation")

_NO_ZONE = re.compile(r"[0-9-]+T[0-9:.]+").fullmatch
_WEEKS = re.compile(r"([0-9]+)W").fullmatch
_NO_T = re.compile(r"[+-]?P(?:[0-9]+[YMD])*(?=[0-9]+[HS])[0-9HMS]+").fullmatch
_NO_PART = re.compile(r"[+-]?P(?:[0-9]+[YMD])*T?").fullmatch
_MONTHS = re.compile(r"[+-]?P([0-9]+)M").fullmatch


class Element(msgspec.Struct, frozen=True):
    """One element as it stands in a document. Names carry the prefixes of `pyopenadr.v2.profile.PREFIXES`.

    `text` is the text of an element that holds no others, else empty.
    """

    path: str
    line: int | None
    name: str
    text: str
    attributes: Mapping[str, str]


def source_findings(elements: Iterable[Element]) -> tuple[Finding, ...]:
    """What the text of a document breaks: 2.0b rules 1 and 45."""
    return tuple(finding for element in elements for finding in _findings(element))


def _findings(element: Element) -> Iterator[Finding]:
    text = element.text.strip()
    if text and element.name in _TIMES:
        yield from _time(element, text)
    elif text and element.name in _DURATIONS:
        yield from _duration(element, text)
    if element.attributes:
        yield from _schema_location(element)


def _found(rule: str, severity: Severity, element: Element, message: str, fix: str) -> Finding:
    return Finding(rule=rule, severity=severity, path=element.path, line=element.line, message=message, fix=fix)


def _time(element: Element, text: str) -> Iterator[Finding]:
    """Times are in UTC and say so (2.0b rule 1)."""
    if _NO_ZONE(text):
        yield _found("1", "error", element, f"the time {text} has no zone", f"write {text}Z, in UTC")


def _duration(element: Element, text: str) -> Iterator[Finding]:
    """Durations are written as ISO 8601 has them (2.0b rule 1); the schema's pattern allows more."""
    weeks = _WEEKS(text)
    months = _MONTHS(text)
    if weeks:
        fix = f"write P{int(weeks[1]) * 7}D"
        yield _found("1", "error", element, f"{text} is how the schema writes weeks, but no ISO 8601", fix)
    elif _NO_T(text):
        yield _found("1", "error", element, f"{text} has no T before its hours, minutes or seconds", "write PT…")
    elif months:
        yield _found(
            "1",
            "note",
            element,
            f"{text} means {months[1]} months; peers have written it for minutes",
            f"write PT{months[1]}M if you mean minutes",
        )
    elif _NO_PART(text) and text.endswith(("P", "T")):
        yield _found("1", "warning", element, f"the duration {text} is incomplete", "write PT0S for zero")


def _schema_location(element: Element) -> Iterator[Finding]:
    """No message carries a schemaLocation (2.0b rule 45)."""
    for name in _LOCATIONS:
        if name in element.attributes:
            yield _found("45", "error", element, f"{element.name} carries {name}", "leave the attribute out")
