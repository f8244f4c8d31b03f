"""Bytes to an XML tree and nothing else: no DTD, no entities, no network, bounded size.

Everything that knows lxml's tree but not OpenADR stands here.
"""

from __future__ import annotations

import codecs
import re
from collections import Counter
from functools import lru_cache
from typing import Any

import msgspec
from lxml import etree

from pyopenadr.errors import Malformed
from pyopenadr.v2.profile import PREFIXES
from pyopenadr.v2.text import XML_SPACE

__all__ = [
    "ATTRIBUTED",
    "COUNT_ATTRIBUTES",
    "DEEPEST",
    "DEFAULT_LIMITS",
    "Element",
    "Limits",
    "Paths",
    "check_depth",
    "children_of",
    "is_stray",
    "line_of",
    "name_of",
    "nil_fault",
    "opaque_text",
    "parse",
    "parse_opaque",
    "path_of",
    "text_of",
]


Element = etree._Element


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a document is read; what is beyond is refused with `Malformed`.

    Bytes of the document, nesting of its elements (the root is 1; never more than 256), number of elements, number
    of attributes.
    """

    max_bytes: int = 8 * 1024 * 1024
    max_depth: int = 64
    max_elements: int = 400_000
    max_attributes: int = 20_000


DEFAULT_LIMITS = Limits()
DEEPEST = 16
"""No message goes deeper than this, apart from elements that are kept unread, and the signature."""

_UTF_8 = frozenset(("utf-8", "utf8"))
_ENCODINGS = _UTF_8 | {"us-ascii", "ascii", "iso-8859-1", "latin1", "latin-1"}
_USUAL = (b'<?xml version="1.0" encoding="UTF-8"?>', b'<?xml version="1.0" encoding="utf-8"?>')
_DECLARED = re.compile(rb"<\?xml[^>]*?encoding\s*=\s*[\"']([A-Za-z0-9._\-]+)[\"']").match
_DECLARATION = re.compile(r"<\?xml[ \t\r\n][^>]*\?>").match
# Atomic, so that a long prolog takes linear time.
_BEFORE_ROOT = re.compile(rb"(?>[ \t\r\n]+|<\?.*?\?>|<!--.*?-->)*+<!DOCTYPE", re.DOTALL).match

# The parser holds no document between calls; lxml locks it while it works.
_PARSER = etree.XMLParser(
    resolve_entities=False,
    no_network=True,
    load_dtd=False,
    dtd_validation=False,
    attribute_defaults=False,
    huge_tree=False,
    recover=False,
)
_PARSER_DEPTH = 256  # libxml2 reads no deeper without huge_tree
COUNT_ATTRIBUTES = etree.XPath("count(descendant-or-self::*/@*)")
"""The number of attributes in an element and all below it."""
ATTRIBUTED = etree.XPath("descendant-or-self::*[@*]")
"""An element and all below it, as far as they have attributes."""
_COUNT_ELEMENTS = etree.XPath("count(//*)")
_COUNT_ALL_ATTRIBUTES = etree.XPath("count(//@*)")


def _as_utf8(data: bytes) -> bytes:
    """The document in an encoding whose ASCII characters are single bytes, so that looking for a DTD is safe."""
    if data.startswith(_USUAL) or (data[:1] == b"<" and data[1:2] not in (b"?", b"\x00")):
        return data  # declared as UTF-8, or not declared and therefore UTF-8
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if data.startswith(mark):
            return _from_utf16(data[2:], encoding)
    if data.startswith(b"<\x00"):
        return _from_utf16(data, "utf-16-le")
    if data.startswith(b"\x00<"):
        return _from_utf16(data, "utf-16-be")
    body = data.removeprefix(codecs.BOM_UTF8)
    declared = _DECLARED(body)
    if declared is not None:
        name = declared.group(1).decode("ascii").lower()
        if name.startswith("utf-16"):
            raise Malformed(f"the XML declaration says {name}, but the bytes are not: send UTF-8", line=1)
        if name not in _ENCODINGS or (len(body) < len(data) and name not in _UTF_8):
            raise Malformed(f"encoding {name} is not supported here: send UTF-8", line=1)
    return body


def _from_utf16(data: bytes, encoding: str) -> bytes:
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Malformed(f"the bytes are no {encoding.upper()}: {error.reason} at byte {error.start}") from error
    declaration = _DECLARATION(text)
    if declaration is not None:
        text = text[declaration.end() :]
    return text.encode("utf-8", "surrogatepass")


def parse(data: bytes, limits: Limits = DEFAULT_LIMITS) -> etree._Element:
    """The root element of an XML document.

    Raises:
        Malformed: not well-formed, with a DTD, in another encoding than UTF-8, UTF-16, ASCII or Latin-1, or beyond
            the limits.
    """
    if len(data) > limits.max_bytes:
        raise Malformed(f"{len(data)} bytes are more than the {limits.max_bytes} that are read")
    if not data or data.isspace():
        raise Malformed("there is no document: the body is empty")
    body = _as_utf8(data)
    may_have_dtd = b"<!DOCTYPE" in body  # or these words stand in a comment or in CDATA
    if may_have_dtd and _BEFORE_ROOT(body):
        raise Malformed("a document type declaration is not allowed: send the message without <!DOCTYPE …>")
    try:
        root = etree.fromstring(body, _PARSER)
    except etree.XMLSyntaxError as error:
        line: Any = error.lineno
        raise Malformed(f"not well-formed XML: {error.msg}", line=line) from error
    except ValueError as error:
        raise Malformed(f"not XML: {error}") from error
    if may_have_dtd and root.getroottree().docinfo.internalDTD is not None:
        raise Malformed("a document type declaration is not allowed: send the message without <!DOCTYPE …>")
    # An element takes at least 4 bytes and an attribute 5, so small documents need no count.
    if len(body) > 4 * limits.max_elements and _count(_COUNT_ELEMENTS, root) > limits.max_elements:
        raise Malformed(f"more than the {limits.max_elements} elements that are read")
    if len(body) > 5 * limits.max_attributes and _count(_COUNT_ALL_ATTRIBUTES, root) > limits.max_attributes:
        raise Malformed(f"more than the {limits.max_attributes} attributes that are read")
    return root


def _count(what: etree.XPath, root: etree._Element) -> float:
    number = what(root)
    assert isinstance(number, float)
    return number


@lru_cache(maxsize=8)
def _below(depth: int) -> etree.XPath:
    """The elements on the level behind `depth`; by steps, because that reads each level once."""
    return etree.XPath("/*" * (depth + 1))


def check_depth(root: etree._Element, limits: Limits) -> None:
    """Refuse a document that nests deeper than the limit."""
    deepest = min(limits.max_depth, _PARSER_DEPTH)
    found = _below(deepest)(root)
    assert isinstance(found, list)
    for element in found:
        line = line_of(element) if isinstance(element, etree._Element) else None
        raise Malformed(f"nested deeper than the {deepest} levels that are read", line=line)


def line_of(element: etree._Element) -> int | None:
    """The line on which an element begins, from 1."""
    line: Any = element.sourceline
    return line if isinstance(line, int) else None


def children_of(element: etree._Element) -> list[etree._Element]:
    """The child elements, without comments and processing instructions."""
    children: Any = element
    # A slice is the fastest way through lxml's children, and their class is known without making their names.
    return [child for child in children[:] if child.__class__ is etree._Element]


def is_stray(text: str | None) -> bool:
    """Whether there is anything but white space."""
    return text is not None and text.strip(XML_SPACE) != ""


def text_of(element: etree._Element) -> str:
    """The character data directly in an element, before, between and behind what it holds."""
    text = element.text or ""
    if len(element):
        children: Any = element
        for child in children[:]:
            text += child.tail or ""
    return text


_NIL = f"{{{PREFIXES['xsi']}}}nil"
_PREFIX_OF = {uri: prefix for prefix, uri in PREFIXES.items()}


def name_of(clark: str) -> str:
    """`{namespace}eventID` as `ei:eventID`; names of unknown namespaces stay as they are."""
    uri, brace, local = clark.rpartition("}")
    if not brace:
        return clark
    prefix = _PREFIX_OF.get(uri[1:])
    return f"{prefix}:{local}" if prefix else clark


class Paths:
    """The paths of elements, each level of the tree counted once, so that many paths take linear time."""

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        self._levels: dict[etree._Element, dict[etree._Element, str]] = {}

    def of(self, element: etree._Element) -> str:
        """The path from the root to an element, with the position where siblings share its name."""
        names: list[str] = []
        current = element
        while (parent := current.getparent()) is not None:
            level = self._levels.get(parent)
            if level is None:
                level = self._levels[parent] = _level(parent)
            names.append(level[current])
            current = parent
        names.append(_local(current))
        return "/".join(reversed(names))


def _local(element: etree._Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _level(parent: etree._Element) -> dict[etree._Element, str]:
    children = children_of(parent)
    totals = Counter(child.tag for child in children)
    met: Counter[object] = Counter()
    names = {}
    for child in children:
        met[child.tag] += 1
        twins = totals[child.tag] > 1
        names[child] = f"{_local(child)}[{met[child.tag]}]" if twins else _local(child)
    return names


def path_of(element: etree._Element) -> str:
    """The path from the root to an element, with the position where siblings share its name."""
    return Paths().of(element)


def nil_fault(element: etree._Element, *, nillable: bool) -> str | None:
    """What is wrong with an element's `xsi:nil`, None if nothing is."""
    text = element.get(_NIL)
    if text is None:
        return None
    nil = text.strip(XML_SPACE)
    if not nillable or nil not in ("true", "1", "false", "0"):
        return f"attribute xsi:nil={text[:20]!r} is not allowed here"
    if nil in ("true", "1") and (children_of(element) or text_of(element)):
        return "an element with xsi:nil must be empty"
    return None


def opaque_text(element: etree._Element) -> str:
    """An element with all it holds as XML text that stands by itself (exclusive canonical form).

    Raises:
        Malformed: it has none, because a namespace name in it is relative.
    """
    try:
        return etree.tostring(element, method="c14n", exclusive=True, with_comments=False).decode()
    except etree.C14NError as error:
        raise Malformed("a namespace name is relative: use absolute ones", line=line_of(element)) from error


def parse_opaque(text: str) -> etree._Element:
    """The element of such a text.

    Raises:
        ValueError: it is no well-formed element.
    """
    try:
        return parse(text.encode())
    except (Malformed, UnicodeEncodeError) as error:
        raise ValueError(f"XML text that can't be read: {error}") from error
