"""A document as it came, with everything that schema and rules have to say about it.

document = read_document(data)
document.payload, document.findings
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import msgspec
from lxml.etree import _Element

from pyopenadr.errors import SchemaMismatch
from pyopenadr.v2.check import EXCHANGES, Element, Finding, source_findings
from pyopenadr.v2.codec import Payload, lift_root
from pyopenadr.v2.leniency import RULES as LENIENCY
from pyopenadr.v2.profile import PROFILES, ProfileName
from pyopenadr.v2.xml import children_of, name_of, parse, text_of

__all__ = ["FIXES", "Document", "read_document"]

FIXES: Mapping[str, str] = MappingProxyType(
    {
        "bare-root": "put it into oadr:oadrPayload and oadr:oadrSignedObject; 2.0a alone goes without",
        "unqualified-schema-version": 'write ei:schemaVersion="2.0b"',
        "unqualified-id": "write oadr:Id",
        "missing-request-id": "add pyld:requestID; it may be empty",
        "offset-time": "write the time in UTC, with Z",
        "week-duration": "write days: P7D",
        "fractional-duration": "write whole seconds",
        "direct-duration": "put the text into an xcal:duration element inside",
        "empty-element": "leave the element out",
        "enumeration-case": "write the word exactly as the schema has it",
        "unknown-element": "take the element out; many peers refuse the whole message because of it",
        "signature-last": "put ds:Signature before oadr:oadrSignedObject",
    }
)
"""What to do about each deviation that a leniency rule stands for."""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """What there is to know of a document without asking who sent it.

    `payload` is None if it can't be read as a message even leniently; `message_type` and `profile` are then what the
    names of its outer elements say, if they say anything. `found` holds what the schema does not allow, what only a
    leniency rule allows, and what the rules on the text say.
    """

    payload: Payload | None
    message_type: str | None
    profile: ProfileName | None
    elements: tuple[Element, ...]
    found: tuple[Finding, ...]

    def in_order(self, more: Sequence[Finding] = ()) -> tuple[Finding, ...]:
        """What was found, and `more`, with their lines, from the top of the document to its end."""
        return _in_order([*self.found, *more], self.elements)


def read_document(data: bytes) -> Document:
    """Read a document as far as it can be read.

    Raises:
        Malformed: it is no XML, forbidden XML, or beyond the limits.
    """
    root = parse(data)
    payload, found = _read(root)
    elements = tuple(_elements(root))
    found += source_findings(elements)
    named: tuple[str | None, ProfileName | None]
    named = _name_in(root) if payload is None else (payload.message.message_type, payload.profile)
    return Document(payload=payload, message_type=named[0], profile=named[1], elements=elements, found=tuple(found))


def _elements(root: _Element) -> Iterator[Element]:
    """Every element of the document with its path, in its order."""
    waiting = [(root, _local(root))]
    while waiting:
        element, path = waiting.pop()
        children = children_of(element)
        yield Element(
            path=path,
            line=cast("int | None", element.sourceline),
            name=name_of(str(element.tag)),
            text="" if children else text_of(element),
            attributes={name_of(str(name)): str(value) for name, value in element.items()},
        )
        twins = Counter(child.tag for child in children)
        seen: Counter[Any] = Counter()
        below = []
        for child in children:
            seen[child.tag] += 1
            ordinal = f"[{seen[child.tag]}]" if twins[child.tag] > 1 else ""
            below.append((child, f"{path}/{_local(child)}{ordinal}"))
        waiting.extend(reversed(below))


def _local(element: _Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _line(path: str, lines: Mapping[str, int | None]) -> int | None:
    """The line of an element, or of the nearest one around it that is there."""
    while path and path not in lines:
        path = path.rpartition("/")[0]
    return lines.get(path)


def _of_schema(error: SchemaMismatch) -> Finding:
    return Finding(
        rule="schema", severity="error", path=error.path or "", line=error.line, message=error.reason, fix=_fix(error)
    )


def _fix(error: SchemaMismatch) -> str:
    """What to do about what the schema does not allow, as far as its error tells."""
    found, expected = error.found or "", error.expected
    if expected is None:
        return "take it out"
    if found == "nothing":
        return f"add {expected}"
    if error.reason.startswith(f"{found} "):  # an element where it may not stand
        if " must stand before " in error.reason:
            return "move it there"
        near = _nearest(found, re.findall(r"[\w:]+", expected))
        return f"take it out, or write {near} if that is meant" if near else "take it out"
    words = expected.split(", ")
    near = _nearest(found.strip("'"), words)
    if near:
        return f"write {near}, if that is meant"
    return f"write one of these words: {expected}" if len(words) > 1 else f"write {expected}"


def _nearest(found: str, words: Sequence[str]) -> str | None:
    return next(iter(difflib.get_close_matches(found, words, n=1, cutoff=0.7)), None)


def _name_in(root: _Element) -> tuple[str | None, ProfileName | None]:
    """The message type and the profile by the names of the outer elements alone, for what can't be read further."""
    inner = root
    while _local(inner) in ("oadrPayload", "oadrSignedObject"):
        below = [child for child in children_of(inner) if _local(child) not in ("Signature", "ReplayProtect")]
        if len(below) != 1:
            return None, None
        inner = below[0]
    name = _local(inner)
    if name not in EXCHANGES:
        return None, None
    namespace = str(inner.tag).partition("}")[0].lstrip("{")
    return name, next((profile.name for profile in PROFILES if profile.namespace == namespace), None)


def _read(root: _Element) -> tuple[Payload | None, list[Finding]]:
    """The message, and what the schema does not allow in it; no message if it can't be read even leniently."""
    try:
        return lift_root(root), []
    except SchemaMismatch as error:
        first = error
    try:
        payload = lift_root(root, leniency=("all",))
    except SchemaMismatch as error:
        found = [_of_schema(first)]
        if (error.path, error.reason) != (first.path, first.reason):
            found.append(_of_schema(error))
        return None, found
    return payload, [
        Finding(
            rule=deviation.rule,
            severity="error",
            path=deviation.path,
            line=deviation.line,
            message=first.reason
            if (deviation.path, deviation.line) == (first.path, first.line)
            else f"{deviation.found}: {LENIENCY[deviation.rule]}",
            fix=FIXES[deviation.rule],
        )
        for deviation in payload.deviations
    ]


def _in_order(found: Sequence[Finding], elements: Sequence[Element]) -> tuple[Finding, ...]:
    """The findings with their lines, from the top of the document to its end."""
    lines = {element.path: element.line for element in elements}
    placed = [
        each if each.line is not None else msgspec.structs.replace(each, line=_line(each.path, lines)) for each in found
    ]
    return tuple(sorted(placed, key=lambda each: each.line or 0))
