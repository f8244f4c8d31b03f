"""Documents made from the official schema itself, not from our declarations of it.

`Author` walks the schema's model groups and writes any valid 2.0b document: every optional element, every member of
a substitution group, borders of the simple types, and whatever XML leaves free: prefixes, comments, white space,
CDATA. `mutate` then breaks (or not) one thing in a document.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from random import Random
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree
from xmlschema.validators import XsdAnyElement, XsdGroup

from tests.properties.oracle import OADR, reference

XCAL = "urn:ietf:params:xml:ns:icalendar-2.0"
ATOM = "http://www.w3.org/2005/Atom"
DS = "http://www.w3.org/2000/09/xmldsig#"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

# fmt: off
STRINGS = ("", "x", "ven-1", "  two  words ", "\ttab\nline", "<&>\"'", "é€😀", "]]>", "None", "0", "\x85\xa0")
BY_TYPE: dict[str, tuple[str, ...]] = {
    "dateTime": (
        "2030-01-31T12:00:00Z", "2030-01-31T12:00:00", "2030-02-28T23:59:59.999999Z", "2028-02-29T00:00:00.5",
        "2030-12-31T24:00:00Z", "2030-01-01T24:00:00.000", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z",
        " 2030-01-31T12:00:00Z\n", "2030-01-31T12:00:00.1234567891Z",
    ),
    "DurationValueType": (
        "PT0S", "P", "PT", "PT1H", "PT90M", "P1Y2M3DT4H5M6S", "-PT5M", "+PT1M", "P5H", "P10M", "1W", "P1D", "-P",
        "P1M", "PT0099S", "P0Y0M0DT0H0M0S", "-P1Y", "P0D", "00W",
    ),
    "string": STRINGS,
    "anyURI": (
        "http://market.example.com/dr", "", "urn:x:y", "a b", " http://a.example/ ", "#f", "?q", "../x", "mailto:a@b.c",
        "http://[::1]:80/", "http://u:p@h:1/p?q#f", "%41",
    ),
    "float": (
        "0", "-0", "1.5", "1e3", "-1E-3", "+.5", "5.", "NaN", "INF", "-INF", " 7 ", "3.4028235e38", "00012", "1.0",
    ),
    "double": ("0", "1.5", "1e300", "NaN", "-INF"),
    "decimal": ("0", "50.0", "-0.5", "+5", ".5", "5.", " 60 ", "230"),
    "boolean": ("true", "false", "1", "0", " true ", "\nfalse"),
    "unsignedInt": ("0", "1", "4294967295", " 7 ", "+7", "007", "-0"),
    "ConfidenceType": ("0", "100", " 7 ", "+7", "0100"),
    "ResponseCodeType": ("200", "000", "999"),
    "EiExtensionTokenType": ("x-a", "x-two words", " x-y ", "x-é", "x--", "x-SIMPLE"),
}
# Texts around the borders of the simple types, most of them wrong for most types.
TRIALS = (
    *(text for texts in BY_TYPE.values() for text in texts),
    "4294967296", "-1", "101", "1.", "1e", "e5", "+", "0x10", "1_000", "inf", "nan", "infinity", "+INF", "1,5",
    "\u0661\u0662", "1 2", "P1W", "PT1.5S", "P1S2H", " PT1H", "PT1H ", "T1H", "1w", "P1H1D", "P\u0661D", "--P1D",
    "2030-01-31T12:00:00+00:00", "2030-01-31T12:00:00-05:00", "2030-01-31", "2030-02-30T00:00:00Z",
    "2029-02-29T00:00:00Z", "2030-01-31T25:00:00Z", "2030-01-31T24:00:01Z", "2030-01-31T23:59:60Z",
    "2030-01-31T12:00:00.Z", "2030-1-31T12:00:00Z", "2030-01-31t12:00:00z", "2030-13-01T00:00:00Z",
    "0000-01-01T00:00:00Z", "20300131T120000Z", "2030-01-31T12:00Z", "+2030-01-31T12:00:00Z", "12030-01-31T12:00:00Z",
    "\u0662\u0660\u0663\u0660-01-31T12:00:00Z", "TRUE",
    "True", "yes", "always", "Always", " never", "optin", "simpleHTTP",
    "2.0c", "x-", "x- a", "X-a", "level", "LEVEL", "20", "2000", "20a", " 200", "\uff12\uff10\uff10",
    "%", "%4", "http://[", "://", ":", "a:b:c", "http://h:port/", "http://a b/", "\\", "{}", "1:2", "http://ü/", "//",
    "http://", "http:", "##",
)
# fmt: on
FEED = (
    f'<a:feed xmlns:a="{ATOM}"><a:id>urn:uuid:1</a:id><a:title type="text">usage</a:title>'
    "<a:updated>2030-01-01T00:00:00Z</a:updated></a:feed>"
)
OADR_A = "http://openadr.org/oadr-2.0a/2012/07"
ATTRIBUTES = (
    "id",
    "Id",
    "schemaVersion",
    f"{{{OADR}}}Id",
    "{http://docs.oasis-open.org/ns/energyinterop/201110}schemaVersion",
    "{http://www.opengis.net/gml/3.2}id",
    "{http://www.w3.org/XML/1998/namespace}lang",
    f"{{{XSI}}}schemaLocation",
    f"{{{XSI}}}noNamespaceSchemaLocation",
)
PREFIXES = ("", "", "a", "ns2", "p1", "oadr", "ei", "_x", "ds", "é")


class Author:
    """Writes one document; all its choices come from `random`.

    `generous` is the chance of an optional element, `odd` the chance of something that XML leaves free.
    """

    def __init__(self, random: Random, *, generous: float = 0.5, odd: float = 0.1) -> None:
        self.random = random
        self.generous = generous
        self.odd = odd
        self.ids = 0
        self.budget = 400

    def document(self, message: str | None = None) -> bytes:
        """A valid document with that message in it (any, if None)."""
        maps = reference().maps
        holder = maps.elements[f"{{{OADR}}}oadrSignedObject"]
        names = [child.name for child in holder.type.content]
        name = f"{{{OADR}}}{message}" if message else self.random.choice(names)
        body = self.element(maps.elements[name], {}, depth=2)
        identity = f' o:Id="{self.identifier()}"' if self.chance(self.odd) else ""
        prolog = self.random.choice(
            ("", "", '<?xml version="1.0"?>\n', '<?xml version="1.0" encoding="UTF-8" standalone="no"?>')
        )
        return (
            f'{prolog}<o:oadrPayload xmlns:o="{OADR}">{self.space()}<o:oadrSignedObject{identity}>'
            f"{self.space()}{body}{self.space()}</o:oadrSignedObject>{self.space()}</o:oadrPayload>"
        ).encode()

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def identifier(self) -> str:
        self.ids += 1
        return f"id-{self.ids}"

    def space(self) -> str:
        """What may stand between elements without a meaning."""
        if not self.chance(self.odd):
            return ""
        return self.random.choice(
            ("\n  ", " \t\r\n", "<!-- note -->", "<?pi data?>", "\n<!--a-->\n<!--b-->", "<![CDATA[ ]]>", "&#x20;")
        )

    def text(self, text: str) -> str:
        """The text in one of the forms that XML has for it."""
        plain = escape(text, {"\r": "&#13;"})
        if not text or not self.chance(self.odd):
            return plain
        form = self.random.randrange(4)
        if form == 0:
            return "".join(f"&#{ord(character)};" for character in text)
        if form == 1 and "]]>" not in text and "\r" not in text:
            return f"<![CDATA[{text}]]>"
        middle = self.random.randrange(len(text) + 1)
        left, right = (escape(part, {"\r": "&#13;"}) for part in (text[:middle], text[middle:]))
        return f"{left}<!-- cut -->{right}" if form == 2 else f"{left}<?cut?>{right}"

    def element(self, declaration: Any, scope: dict[str, str], depth: int) -> str:
        self.budget -= 1
        uri, _, local = declaration.name[1:].partition("}")
        scope, prefix, declared = self._namespace(uri, scope)
        name = f"{prefix}:{local}" if prefix else local
        if declaration.name == f"{{{ATOM}}}feed":
            return FEED
        attributes = declared
        content = ""
        if (
            declaration.name != f"{{{XCAL}}}components"
            or declaration.type.name != "{http://www.w3.org/2001/XMLSchema}anyType"
        ):
            attributes += self._attributes(declaration, scope)
            content = self._content(declaration, scope, depth)
        if content == "" and self.chance(0.5):
            return f"<{name}{attributes}/>"
        return f"<{name}{attributes}>{content}</{name}>"

    def _namespace(self, uri: str, scope: dict[str, str]) -> tuple[dict[str, str], str, str]:
        known = [prefix for prefix, bound in scope.items() if bound == uri]
        if known and not self.chance(self.odd):
            return scope, self.random.choice(known), ""
        prefix = self.random.choice(PREFIXES)
        declared = f' xmlns:{prefix}="{uri}"' if prefix else f' xmlns="{uri}"'
        return {**scope, prefix: uri}, prefix, declared

    def _attributes(self, declaration: Any, scope: dict[str, str]) -> str:
        written = ""
        for name, attribute in declaration.attributes.items():
            if name is None or not self.chance(self.generous):
                continue
            uri, _, local = name[1:].partition("}")
            is_id = attribute.type.local_name == "ID"
            value = self.identifier() if is_id else self.random.choice(self.values(attribute.type))
            written += f' q{local}:{local}={quoteattr(value)} xmlns:q{local}="{uri}"'
        if self.chance(self.odd / 4):
            written += f' xmlns:w="{XSI}" w:schemaLocation="urn:x x.xsd"'
        return written

    def _content(self, declaration: Any, scope: dict[str, str], depth: int) -> str:
        kind = declaration.type
        if kind.is_simple():
            if declaration.fixed is not None:
                return self.text(self.random.choice((declaration.fixed, declaration.fixed, "")))
            return self.text(self.random.choice(self.values(kind)))
        group = kind.content
        assert isinstance(group, XsdGroup)
        return self.space() + self._group(group, scope, depth)

    def _group(self, group: XsdGroup, scope: dict[str, str], depth: int) -> str:
        particles = list(group)
        if group.model == "choice":
            particles = [self.random.choice(particles)]
        written = ""
        for particle in particles:
            for _ in range(self._times(particle)):
                if isinstance(particle, XsdGroup):
                    written += self._group(particle, scope, depth)
                elif not isinstance(particle, XsdAnyElement):
                    written += self.element(self._member(particle), scope, depth + 1) + self.space()
        return written

    def _times(self, particle: Any) -> int:
        least = int(particle.min_occurs)
        if self.budget < 0:
            return least
        most = 3 if particle.max_occurs is None else int(particle.max_occurs)
        return self.random.randint(max(1, least), most) if self.chance(self.generous) else least

    def _member(self, particle: Any) -> Any:
        """The element itself, or a concrete member of its substitution group."""
        head = reference().maps.elements.get(particle.name) if particle.ref is not None else None
        if head is None:
            return particle
        members = [head, *head.iter_substitutes()]
        return self.random.choice([m for m in members if not m.abstract and not m.type.abstract])

    def values(self, kind: Any) -> tuple[str, ...]:
        """Texts that a simple type allows."""
        if kind.is_union():
            return tuple(value for member in kind.member_types for value in self.values(member))
        if kind.is_list():
            items = self.values(kind.item_type)
            return "", " ".join(items), f" {items[0]}\n{items[1]} "
        if kind.enumeration:
            listed = tuple(kind.enumeration)
            collapses = kind.white_space == "collapse"
            return (*listed, f" {listed[0]}\n") if collapses else listed
        for base in (kind, *self._bases(kind)):
            if base.local_name in BY_TYPE:
                return BY_TYPE[base.local_name]
        raise AssertionError(f"no values for {kind}")

    def _bases(self, kind: Any) -> list[Any]:
        bases = []
        while kind.base_type is not None:
            kind = kind.base_type
            bases.append(kind)
        return bases


Change = Callable[[Random, etree._Element, list[etree._Element]], str]
"""Changes an element (one of all that decode reads) and says what it did."""


def _drop(random: Random, chosen: etree._Element, elements: list[etree._Element]) -> str:
    _remove(chosen)
    return "dropped"


def _double(random: Random, chosen: etree._Element, elements: list[etree._Element]) -> str:
    chosen.addnext(_copy(chosen))
    return "doubled"


def _swap(random: Random, chosen: etree._Element, elements: list[etree._Element]) -> str:
    following = chosen.getnext()
    if following is not None:
        following.addnext(_detached(chosen))
    return "behind the next"


def _move(random: Random, chosen: etree._Element, elements: list[etree._Element]) -> str:
    targets = [element for element in elements if not _is_opaque(element) and not _within(element, chosen)]
    target = random.choice(targets or list(chosen.iterancestors()))
    target.insert(random.randint(0, len(target)), _detached(chosen))
    return f"moved into {target.tag}"


def _graft(random: Random, chosen: etree._Element, elements: list[etree._Element]) -> str:
    grafted = _copy(random.choice(elements))
    chosen.insert(random.randint(0, len(chosen)), grafted)
    return f"with {grafted.tag} in it"


def _rename(random: Random, chosen: etree._Element, elements: list[etree._Element]) -> str:
    local = etree.QName(chosen).localname
    names = [str(random.choice(elements).tag) for _ in range(4)]
    names += [local, f"{{urn:x}}{local}", f"{{{OADR}}}{local}", f"{{{OADR_A}}}{local}"]
    chosen.tag = random.choice(names)
    return f"named {chosen.tag}"


def _attribute(random: Random, chosen: etree._Element, elements: list[etree._Element]) -> str:
    name = random.choice(ATTRIBUTES)
    chosen.set(name, random.choice(("2.0b", "x-1", "a", "1", "", "2.0a", " id-1 ")))
    return f"with {name}"


def _nil(random: Random, chosen: etree._Element, elements: list[etree._Element]) -> str:
    chosen.set(f"{{{XSI}}}nil", random.choice(("true", "false", "0", "x")))
    return "with xsi:nil"


def _text(random: Random, chosen: etree._Element, elements: list[etree._Element]) -> str:
    leaf = random.choice([element for element in elements if len(element) == 0 and not _is_opaque(element)] or [chosen])
    leaf.text = random.choice(TRIALS)
    return f"beside {leaf.tag} with {leaf.text!r}"


def _stray(random: Random, chosen: etree._Element, elements: list[etree._Element]) -> str:
    chosen.text = (chosen.text or "") + random.choice(("x", " ", "\xa0", "1"))
    return f"with text {chosen.text!r}"


def _tail(random: Random, chosen: etree._Element, elements: list[etree._Element]) -> str:
    chosen.tail = (chosen.tail or "") + random.choice(("x", " ", "\xa0", "1"))
    return f"before text {chosen.tail!r}"


def _empty(random: Random, chosen: etree._Element, elements: list[etree._Element]) -> str:
    for child in list(chosen):
        _remove(child)
    chosen.text = None
    return "emptied"


# What is inside an opaque element is not looked into, so it is only changed as a whole.
WHOLE: tuple[Change, ...] = (_drop, _double, _swap, _move, _rename, _tail)
INSIDE: tuple[Change, ...] = (_text, _text, _text, _attribute, _attribute, _stray, _empty, _graft, _nil)


def mutate(data: bytes, random: Random) -> tuple[bytes, str]:
    """The document with one thing changed, and what it was. The document may still be valid."""
    root = etree.fromstring(data)
    elements = _read_elements(root)[1:]
    chosen = random.choice(elements)
    changes = WHOLE if _is_opaque(chosen) else WHOLE + INSIDE
    tag = chosen.tag
    what = random.choice(changes)(random, chosen, elements)
    return etree.tostring(root), f"{tag} {what}"


def _read_elements(root: etree._Element) -> list[etree._Element]:
    """The elements that decode reads, in order: not those below an opaque one."""
    return [element for element in root.iter("*") if not any(map(_is_opaque, element.iterancestors()))]


def _is_opaque(element: etree._Element) -> bool:
    if element.tag == f"{{{XCAL}}}components":
        # An availability has components of its own, which are read.
        return not any(child.tag == f"{{{XCAL}}}available" for child in element)
    return element.tag in (f"{{{ATOM}}}feed", f"{{{DS}}}Signature")


def _within(element: etree._Element | None, ancestor: etree._Element) -> bool:
    while element is not None:
        if element is ancestor:
            return True
        element = element.getparent()
    return False


def _copy(element: etree._Element) -> etree._Element:
    twin = copy.deepcopy(element)
    twin.tail = None
    return twin


def _detached(element: etree._Element) -> etree._Element:
    twin = _copy(element)
    _remove(element)
    return twin


def _remove(element: etree._Element) -> None:
    parent = element.getparent()
    assert parent is not None
    parent.remove(element)
