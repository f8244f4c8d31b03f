"""Known deviations of real peers, each under a name by which `decode(…, leniency=…)` may accept it.

Nothing is accepted silently: each use is listed in `Payload.deviations`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from pyopenadr.errors import ConfigError
from pyopenadr.v2.text import BOOLEAN, XML_SPACE, Kind, parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyopenadr.v2.decoder import Context
    from pyopenadr.v2.xml import Element

__all__ = ["RULES", "Deviation", "rules"]

RULES: Mapping[str, str] = MappingProxyType(
    {
        "bare-root": "a 2.0b message without oadrPayload and oadrSignedObject around it",
        "unqualified-schema-version": "the attribute schemaVersion without its namespace",
        "unqualified-id": "the attribute Id of oadrSignedObject without its namespace",
        "missing-request-id": "no requestID where one is required; counts as an empty one",
        "offset-time": "a time with an offset such as +02:00; converted to UTC (against 2.0b rule 1)",
        "week-duration": "a duration in weeks written as P1W; the schema has no such form",
        "fractional-duration": "a duration with decimals of a second; cut to whole seconds (against 2.0b rule 1)",
        "direct-duration": "a duration directly where an xcal:duration element should hold it",
        "empty-element": "an empty number, word, time, duration or flag that may be left out; counts as absent",
        "enumeration-case": "a word of a list, or true or false, in other upper or lower case, such as simpleHTTP",
        "unknown-element": "an element that the schema does not have there; passed over",
        "signature-last": "ds:Signature behind oadrSignedObject instead of before it",
    }
)
"""Every leniency rule with what it accepts."""


class Deviation(msgspec.Struct, frozen=True, kw_only=True):
    """A deviation that was accepted: by which rule, where, and what stood there."""

    rule: str
    path: str
    line: int | None
    found: str


def rules(names: Iterable[str]) -> frozenset[str]:
    """The set of rules with those names; `all` stands for every rule.

    Raises:
        ConfigError: there is no rule of that name.
    """
    return _rules(frozenset(names))


@lru_cache(maxsize=64)  # the same few sets are asked for with every message
def _rules(chosen: frozenset[str]) -> frozenset[str]:
    if "all" in chosen:
        return frozenset(RULES)
    if unknown := sorted(chosen - set(RULES)):
        raise ConfigError(f"no leniency rule {', '.join(unknown)}: use {', '.join(RULES)} or all")
    return chosen


_OFFSET_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?[+-][0-9]{2}:?[0-9]{2}"
).fullmatch
_WEEKS = re.compile(r"([+-]?)P([0-9]{1,9})W").fullmatch
_FRACTION = re.compile(r"([+-]?P[0-9YMDTH]*[0-9])[.,][0-9]+S").fullmatch


def value(kind: Kind, text: str, element: Element, ctx: Context) -> Any:
    """The value of a text that the schema does not allow, if a rule does; None if none does."""
    plain = text.strip(XML_SPACE)
    try:
        if kind.name == "date-time" and _OFFSET_TIME(plain) and ctx.allows("offset-time", element, plain):
            return datetime.fromisoformat(plain).astimezone(UTC)
        if kind.name == "duration":
            weeks = _WEEKS(plain)
            if weeks and ctx.allows("week-duration", element, plain):
                return parse_duration(f"{weeks[1]}P{int(weeks[2]) * 7}D")
            cut = _FRACTION(plain)
            if cut and ctx.allows("fractional-duration", element, plain):
                return parse_duration(f"{cut[1]}S")
        same = _other_case(kind, plain)
        if same is not None and ctx.allows("enumeration-case", element, plain):
            return kind.parse(same)
    except (ValueError, OverflowError):
        return None
    return None


def _other_case(kind: Kind, text: str) -> str | None:
    listed = ("true", "false") if kind is BOOLEAN else kind.words
    return next((word for word in listed if word.lower() == text.lower()), None)


def unqualified_attribute(name: str, element: Element, ctx: Context) -> str | None:
    """The attribute without its namespace, if the rule for it is allowed."""
    rule = {"schemaVersion": "unqualified-schema-version", "Id": "unqualified-id"}.get(name)
    text = element.get(name)
    if text is None or rule is None or not ctx.allows(rule, element, f'{name}="{text}"'):
        return None
    return text
