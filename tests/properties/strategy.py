"""Hypothesis strategies that build any valid 2.0 message as wire values.

    @given(message(wire.OadrPoll))
    def test_…(poll): …

`any_message()` picks among all of a profile. The plan of a class (`pyopenadr.v2.plan`) says what there may be; the
official schema says in the tests whether it was right.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from hypothesis import strategies as st

from pyopenadr.model.time import CalendarDuration
from pyopenadr.v2.plan import Arm, Node, Shape, Slot, shape_of
from pyopenadr.v2.profile import B, Profile
from pyopenadr.v2.text import (
    ANY_URI,
    BOOLEAN,
    CONFIDENCE,
    DATE_TIME,
    DECIMAL,
    DOUBLES,
    DURATION,
    FLOAT,
    ID,
    RESPONSE_CODE,
    STRING,
    UNSIGNED_INT,
    Kind,
)
from pyopenadr.v2.wire.base import Message, Opaque
from pyopenadr.v2.wire.declaration import Field
from pyopenadr.v2.xml import opaque_text, parse_opaque

__all__ = ["any_message", "durations", "instants", "message", "texts"]

XML_CHARACTERS = st.characters(
    codec="utf-8",
    exclude_characters=[chr(n) for n in range(32) if chr(n) not in "\t\n\r"] + ["\ufffe", "\uffff"],
)
texts = st.one_of(st.sampled_from(("", "x", "ven-1", " a  b ", "<&>\"'", "]]>")), st.text(XML_CHARACTERS, max_size=8))
instants = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59), timezones=st.just(UTC))  # noqa: DTZ001
_whole_seconds = st.integers(-(10**9), 10**9).map(lambda seconds: timedelta(seconds=seconds))
_calendar = st.builds(
    CalendarDuration,
    st.integers(1, 10**6),
    st.integers(0, 10**9).map(lambda seconds: timedelta(seconds=seconds)),
    st.booleans(),
)
durations = st.one_of(_whole_seconds, _calendar)
_extensions = st.text(XML_CHARACTERS, max_size=6).map(lambda text: "x-" + "".join(text.split()) + "1")
_uris = st.sampled_from(("", "http://market.example.com/dr", "urn:a:b", "HTTP://É.example/ä?q=1#f", "a/b", "a b"))
_extensible = ("signalName", "optReason", "reportName", "reportType", "readingType", "oadrDataQuality", "schemaVersion")

_BY_KIND: dict[str, st.SearchStrategy[Any]] = {
    STRING.name: texts,
    BOOLEAN.name: st.booleans(),
    UNSIGNED_INT.name: st.integers(0, 2**32 - 1),
    CONFIDENCE.name: st.integers(0, 100),
    FLOAT.name: st.floats(allow_nan=False),
    DECIMAL.name: st.floats(-1e9, 1e9).map(lambda number: round(number, 6)),
    DOUBLES.name: st.lists(st.floats(allow_nan=False), max_size=4).map(tuple),
    DATE_TIME.name: instants,
    DURATION.name: durations,
    ANY_URI.name: _uris,
    RESPONSE_CODE.name: st.integers(0, 999).map(lambda code: f"{code:03}"),
}
_FEED = opaque_text(
    parse_opaque(
        '<feed xmlns="http://www.w3.org/2005/Atom"><id>urn:uuid:1</id><title type="text">usage</title>'
        "<updated>2030-01-01T00:00:00Z</updated></feed>"
    )
)
_COMPONENTS = opaque_text(
    parse_opaque('<c:components xmlns:c="urn:ietf:params:xml:ns:icalendar-2.0"><x xmlns="urn:x" a="1"/></c:components>')
)


class _Build:
    """Draws one message; XML Ids are counted, because they must be unique in a document."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any]) -> None:
        self.draw = draw
        self.ids = count(1)

    def structure(self, shape: Shape, *, outermost: bool = False) -> Any:
        values: dict[str, Any] = dict(shape.constants)
        for field in shape.fields:
            values[field.name] = _absent(field)
        self.node(shape.node, values, outermost)
        return shape.cls(**values)

    def node(self, node: Node, values: dict[str, Any], outermost: bool = False) -> None:
        for attribute in node.attributes:
            # A 2.0b message without a version is written with one, so that it would not come back the same.
            if outermost or self.draw(st.booleans()):
                values[attribute.field.name] = self.text(attribute.kind)
        for name in node.begun:
            values[name] = ()
        for slot in node.slots:
            self.slot(slot, values)

    def slot(self, slot: Slot, values: dict[str, Any]) -> None:
        if not slot.required and not self.draw(st.booleans()):
            return
        name = slot.arms[0].field.name
        if slot.repeats:
            items = [self.value(self.draw(st.sampled_from(slot.arms))) for _ in range(self.draw(st.integers(1, 3)))]
            values[name] = tuple(items)
        elif len(slot.arms) == 1 and isinstance(slot.arms[0].content, Node):
            self.node(slot.arms[0].content, values)
        else:
            value = self.value(self.draw(st.sampled_from(slot.arms)))
            values[name] = (value,) if slot.single else value

    def value(self, arm: Arm) -> Any:
        content = arm.content
        if isinstance(content, Kind):
            return self.text(content)
        if isinstance(content, Shape):
            return self.structure(content)
        if isinstance(content, Opaque):
            return _FEED if content.root is not None else self.draw(st.sampled_from(("", _COMPONENTS)))
        return self.value(content.slots[0].arms[0])

    def text(self, kind: Kind) -> Any:
        if kind is ID:
            return f"id{next(self.ids)}"
        if kind.words:
            words = st.sampled_from(sorted(kind.words))
            return self.draw(st.one_of(words, _extensions) if kind.name in _extensible else words)
        if kind.name == "fixed":
            return kind.parse("")
        return self.draw(_BY_KIND[kind.name])


def _absent(field: Field) -> Any:
    return () if field.repeats_at is not None and not field.nullable else None


@st.composite
def message(draw: Callable[[st.SearchStrategy[Any]], Any], cls: type[Message], profile: Profile = B) -> Any:
    """Any valid message of a class, with everything optional present or absent."""
    return _Build(draw).structure(shape_of(profile, cls), outermost=True)


def any_message(profile: Profile = B) -> st.SearchStrategy[Message]:
    """Any valid message of a profile."""
    return st.sampled_from(profile.messages).flatmap(lambda cls: message(cls, profile))
