"""How single values stand as text in a 2.0 message: one `Kind` for each simple type of the schema.

A kind parses what the schema allows and formats only that. Where a conformance rule is narrower than the schema, the
format is narrow (whole seconds where the value allows it, always `Z`) and the parser wide (protocol notes in
`docs/reference/leniency.md`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from pyopenadr.model.time import CalendarDuration, Duration

__all__ = [
    "ANY_URI",
    "BOOLEAN",
    "CONFIDENCE",
    "DATE_TIME",
    "DECIMAL",
    "DOUBLES",
    "DURATION",
    "FLOAT",
    "ID",
    "RESPONSE_CODE",
    "STRING",
    "UNSIGNED_INT",
    "Kind",
    "described",
    "fixed",
    "format_date_time",
    "format_duration",
    "is_id",
    "one_of",
    "parse_date_time",
    "parse_duration",
]

XML_SPACE = " \t\n\r"


class Kind(NamedTuple):
    """A simple type: `parse` and `format` raise ValueError with the reason; `expects` says what is allowed.

    `words` are the values of an enumeration, each under itself, so that the usual case is one look-up. `rule` is the
    conformance rule behind it, where it is more than the schema.
    """

    name: str
    parse: Callable[[str], Any]
    format: Callable[[Any], str]
    expects: str
    words: Mapping[str, str] = MappingProxyType({})
    rule: str | None = None


def described(value: object) -> str:
    """A value of a wrong type, or out of range, for an error message."""
    if value is None:
        return "nothing"
    try:
        text = repr(value)
    except ValueError:  # a whole number with too many digits
        text = "with too many digits"
    return f"{type(value).__name__} {text[:80]}"


_UNSAFE = re.compile("[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]").search
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]").search


def escape(text: str) -> str:
    """`text` as canonical XML character data.

    Raises:
        ValueError: `text` holds a character that XML can't carry.
    """
    if _UNSAFE(text) is None:
        return text
    if bad := _FORBIDDEN(text):
        raise ValueError(f"character U+{ord(bad.group()):04X}, which XML can't carry")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#xD;")


def _format_string(value: object) -> str:
    if type(value) is not str:  # a str enum counts as its value
        if not isinstance(value, str):
            raise ValueError(described(value))
        value = str.__str__(value)
    return value if value.isalnum() or _UNSAFE(value) is None else escape(value)


STRING = Kind("string", str, _format_string, "text")


def _collapse(text: str) -> str:
    """White space collapsed as XML Schema does it for everything but strings."""
    if text.isalnum():
        return text
    return " ".join(part for part in re.split("[ \t\n\r]+", text) if part)


def one_of(name: str, values: Collection[str], *, extensible: bool = False, exact: bool = False) -> Kind:
    """The kind of an enumeration.

    `extensible` also admits `x-` tokens (schema type EiExtensionTokenType); `exact` allows no white space around.
    """
    known = {value: value for value in values}
    listed = ", ".join(values) if len(known) <= 24 else f"one of the {len(known)} codes of the standard"
    expects = f"{listed}, or your own that starts with x-" if extensible else listed
    extension = re.compile(r"x-[^ \t\n\r].*", re.DOTALL).fullmatch

    def parse(text: str) -> str:
        found = known.get(text)
        if found is not None:
            return found
        token = text if exact else _collapse(text)
        found = known.get(token)
        if found is not None:
            return found
        if extensible and extension(token):
            return token
        raise ValueError(repr(text))

    def format_(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(described(value))
        if value in known:
            return known[value]
        if extensible and extension(value) and _collapse(value) == value:
            return escape(value)
        raise ValueError(repr(value))

    return Kind(name, parse, format_, expects, MappingProxyType(known))


def fixed(text: str) -> Kind:
    """The kind of an element with a fixed text; an empty element stands for that text."""

    def parse(found: str) -> str:
        if found not in ("", text):
            raise ValueError(repr(found))
        return text

    def format_(value: object) -> str:
        if value != text:
            raise ValueError(repr(value))
        return text

    return Kind("fixed", parse, format_, f"{text!r}")


_CODE = re.compile("[0-9]{3}").fullmatch


def _parse_code(text: str) -> str:
    # The schema's [0-9] means ASCII digits only.
    if _CODE(text) is None:
        raise ValueError(repr(text))
    return text


def _format_code(value: object) -> str:
    if not isinstance(value, str) or _CODE(value) is None:
        raise ValueError(repr(value))
    return value


RESPONSE_CODE = Kind("responseCode", _parse_code, _format_code, "three digits")

# RFC 3986 after the escaping that xs:anyURI asks for: a character that no URI may hold counts as an escaped one.
_CHAR = r"[^%#\[\]:/?@]|%[0-9A-Fa-f]{2}"
_AUTHORITY = rf"(?:(?:{_CHAR}|:)*@)?(?:\[[^\]]*\]|(?:{_CHAR})*)(?::[0-9]+)?"
_URI = (
    rf"(?:[A-Za-z][A-Za-z0-9+.\-]*:|(?![^/?#]*:))"  # without a scheme, no colon in what could be taken for one
    rf"(?://{_AUTHORITY}(?:/(?:{_CHAR}|[:@/])*)?|(?!//)(?:{_CHAR}|[:@/])*)"
    rf"(?:\?(?:{_CHAR}|[:@/?])*)?(?:\#(?:{_CHAR}|[:@/?\[\]])*)?"
)
_URI_PLAIN = re.compile(r"https?://[A-Za-z0-9.\-]+(?:/[A-Za-z0-9.\-_~/]*)?").fullmatch


def _parse_uri(text: str) -> str:
    if _URI_PLAIN(text) is not None:
        return text
    uri = _collapse(text)
    if re.fullmatch(_URI, uri) is None:
        raise ValueError(repr(text))
    return uri


def _format_uri(value: object) -> str:
    if not isinstance(value, str) or _parse_uri(value) != value:
        raise ValueError(repr(value))
    return escape(value)


ANY_URI = Kind("anyURI", _parse_uri, _format_uri, "a URI")

# With these characters alone, Python reads exactly the numbers that XML Schema does.
_OF_FLOATS = "0123456789.-+eE"
_FLOAT_NAMES = {"INF": float("inf"), "-INF": float("-inf"), "NaN": float("nan")}
_FLOAT_TEXTS = {repr(number): name for name, number in _FLOAT_NAMES.items()}


def _parse_float(text: str) -> float:
    if text.strip(_OF_FLOATS):
        text = text.strip(XML_SPACE)
        if text in _FLOAT_NAMES:
            return _FLOAT_NAMES[text]
        if text.strip(_OF_FLOATS):
            raise ValueError(repr(text))
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(repr(text)) from error


def _format_float(value: object) -> str:
    if type(value) is not float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(described(value))
        try:
            value = float(value)
        except OverflowError as error:
            raise ValueError(f"{str(value)[:20]}…, which is too large") from error
    text = repr(value)
    return _FLOAT_TEXTS.get(text, text)


FLOAT = Kind("float", _parse_float, _format_float, "a number such as 3.5")

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)").fullmatch


def _parse_decimal(text: str) -> float:
    text = text.strip(XML_SPACE)
    if _DECIMAL(text) is None:
        raise ValueError(repr(text))
    return float(text)


def _format_decimal(value: object) -> str:
    text = _format_float(value)
    if text.endswith(("N", "F")):
        raise ValueError(text)
    if "e" in text:
        text = format(Decimal(text), "f")
    if sum(character.isdigit() for character in text) > 24:
        raise ValueError(f"{value!r}, which takes more than 24 digits without an exponent")
    return text


DECIMAL = Kind("decimal", _parse_decimal, _format_decimal, "a decimal number without an exponent")


def _parse_doubles(text: str) -> tuple[float, ...]:
    return tuple(_parse_float(part) for part in _collapse(text).split(" ") if part)


def _format_doubles(value: object) -> str:
    if not isinstance(value, tuple | list):
        raise ValueError(described(value))
    return " ".join(_format_float(part) for part in value)


DOUBLES = Kind("doubleList", _parse_doubles, _format_doubles, "numbers with blanks between them")

_UNSIGNED = re.compile(r"\+?0*([0-9]{1,10})|-0+").fullmatch


def _whole(maximum: int, name: str) -> Kind:
    def parse(text: str) -> int:
        if len(text) < 10 and text.isdecimal() and text.isascii() and int(text) <= maximum:
            return int(text)
        match = _UNSIGNED(text) or _UNSIGNED(text.strip(XML_SPACE))
        if match is None:
            raise ValueError(repr(text))
        number = int(match.group(1) or 0)
        if number > maximum:
            raise ValueError(repr(text))
        return number

    def format_(value: object) -> str:
        if type(value) is int and 0 <= value <= maximum:
            return str(value)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= maximum:
            raise ValueError(described(value))
        return str(int(value))

    return Kind(name, parse, format_, f"a whole number from 0 to {maximum}")


UNSIGNED_INT = _whole(4294967295, "unsignedInt")
CONFIDENCE = _whole(100, "confidence")

_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def _parse_boolean(text: str) -> bool:
    found = _BOOLEANS.get(text)
    if found is None:
        found = _BOOLEANS.get(text.strip(XML_SPACE))
        if found is None:
            raise ValueError(repr(text))
    return found


def _format_boolean(value: object) -> str:
    if value is True:
        return "true"
    if value is False:
        return "false"
    raise ValueError(described(value))


BOOLEAN = Kind("boolean", _parse_boolean, _format_boolean, "true, false, 1 or 0")

_DATE_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T)([0-9]{2})(:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?)(Z?)").fullmatch


def parse_date_time(text: str) -> datetime:
    """An instant (`xcal:DateTimeType`); without a zone it counts as UTC; fractions are kept to the microsecond.

    Raises:
        ValueError: not in that form, or outside the years 1 to 9999. An offset other than `Z` is not allowed
            (2.0b rule 1).
    """
    # 2030-01-31T12:00:00Z and 2030-01-31T12:00:00.000000Z: Python reads only digits in between.
    usual = text[4::3]
    if (len(text) == 20 and usual == "--T::Z") or (len(text) == 27 and usual[:5] == "--T::" and text[19::7] == ".Z"):
        try:
            return datetime.fromisoformat(text)
        except ValueError:  # the hour 24, or no date; seen below
            pass
    match = _DATE_TIME(text) or _DATE_TIME(text.strip(XML_SPACE))
    if match is None:
        raise ValueError(repr(text))
    date, hour, rest, _ = match.groups()
    try:
        if hour != "24":
            return datetime.fromisoformat(f"{date}{hour}{rest}Z")
        if rest.strip(":0.") != "":
            raise ValueError(repr(text))
        return datetime.fromisoformat(f"{date}00{rest}Z") + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise ValueError(repr(text)) from error


_TWO_DIGITS = tuple(f"{number:02}" for number in range(60))


@lru_cache(maxsize=4096)
def format_date_time(value: object) -> str:
    """The instant in UTC with `Z`, with a fraction only where it has one (2.0b rule 1)."""
    if not isinstance(value, datetime):
        raise ValueError(described(value))
    if value.tzinfo is not UTC:
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} without a time zone: give an aware datetime")
        try:
            value = value.astimezone(UTC)
        except OverflowError as error:
            raise ValueError(f"{value.isoformat()}, which in UTC is outside the years 1 to 9999") from error
    two = _TWO_DIGITS  # several times as fast as isoformat
    return (
        f"{value.year:04}-{two[value.month]}-{two[value.day]}T{two[value.hour]}:{two[value.minute]}:{two[value.second]}"
        f"{f'.{value.microsecond:06}' if value.microsecond else ''}Z"
    )


DATE_TIME = Kind("date-time", parse_date_time, format_date_time, "a UTC time such as 2030-01-31T12:00:00Z", rule="1")

# The schema's pattern: T is optional, every part is, and the week form has no P. Its \d is any decimal digit.
_DURATION = re.compile(
    r"(?P<sign>[+-])?P(?:(?P<years>\d+)Y)?(?:(?P<months>\d+)M)?(?:(?P<days>\d+)D)?T?"
    r"(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?|(?P<weeks>\d+)W"
).fullmatch
_MOST_DIGITS = 18


def parse_duration(text: str) -> Duration:
    """A duration (`xcal:DurationValueType`).

    Raises:
        ValueError: not in that form (no decimals, 2.0b rule 1; no `P1W`), or longer than about 2.7 million years.
    """
    # The cache must not keep what a peer made long.
    return _parse_duration(text) if len(text) < 32 else _parse_duration.__wrapped__(text)


@lru_cache(maxsize=512)
def _parse_duration(text: str) -> Duration:
    match = _DURATION(text)
    if match is None:
        raise ValueError(repr(text))
    part: dict[str, int] = {}
    for name, digits in match.groupdict("0").items():
        if name != "sign":
            digits = digits if len(digits) <= _MOST_DIGITS else digits.lstrip("0") or "0"
            if len(digits) > _MOST_DIGITS:
                raise ValueError(f"{text[:40]!r}…, which is too long a time")
            part[name] = int(digits)
    try:
        rest = timedelta(
            weeks=part["weeks"],
            days=part["days"],
            hours=part["hours"],
            minutes=part["minutes"],
            seconds=part["seconds"],
        )
    except OverflowError as error:
        raise ValueError(f"{text!r}, which is too long a time") from error
    months = part["years"] * 12 + part["months"]
    negative = match["sign"] == "-"
    if months:
        return CalendarDuration(months, rest, negative)
    return -rest if negative else rest


def _clock_part(rest: timedelta) -> str:
    if rest.microseconds:
        raise ValueError(f"{rest}, which is no whole number of seconds")
    hours, left = divmod(rest.seconds, 3600)
    minutes, seconds = divmod(left, 60)
    text = f"{rest.days}D" if rest.days else ""
    if rest.seconds:
        text += "T"
        text += f"{hours}H" if hours else ""
        text += f"{minutes}M" if minutes else ""
        text += f"{seconds}S" if seconds else ""
    return text


@lru_cache(maxsize=512)
def format_duration(value: object) -> str:
    """The duration in ISO 8601 form, without weeks, which the schema lacks (2.0b rule 1)."""
    if isinstance(value, timedelta):
        if value < timedelta(0):
            return "-P" + _clock_part(-value)
        return "P" + _clock_part(value) if value else "PT0S"
    if isinstance(value, CalendarDuration):
        years, months = divmod(value.months, 12)
        text = ("-P" if value.negative else "P") + (f"{years}Y" if years else "")
        return text + (f"{months}M" if months else "") + _clock_part(value.rest)
    raise ValueError(described(value))


DURATION = Kind(
    "duration", parse_duration, format_duration, "a duration such as PT1H30M, without decimals or weeks", rule="1"
)

_NAME_START = (
    "A-Z_a-z\xc0-\xd6\xd8-\xf6\xf8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f\u2c00-\u2fef"
    "\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd"
)
_NC_NAME = f"[{_NAME_START}][-.0-9\xb7\u0300-\u036f\u203f-\u2040{_NAME_START}]*"


def is_id(text: str) -> bool:
    """Whether the text is an XML name without a colon (`xs:NCName`)."""
    # Most are letters and digits; compiling the pattern of all names takes a while, so it waits until it is needed.
    plain = text.isascii() and text.isalnum() and not text[0].isdigit()
    return plain or re.fullmatch(_NC_NAME, text) is not None


def _parse_id(text: str) -> str:
    text = _collapse(text)
    if not is_id(text):
        raise ValueError(repr(text))
    return text


def _format_id(value: object) -> str:
    if not isinstance(value, str) or not is_id(value):
        raise ValueError(repr(value))
    return str.__str__(value)


ID = Kind("ID", _parse_id, _format_id, "an XML name: letters, digits, - and _, not starting with a digit")
