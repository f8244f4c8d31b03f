"""The structure of an XML signature, as the schema has it; no cryptography here.

Where the schema lets anything stand (`any` with lax processing), elements of XML Signature are still checked and all
others are passed over. CanonicalizationMethod and SignatureMethod take no foreign parameters, because no schema that
OpenADR uses declares one.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import msgspec

from pyopenadr.v2.decoder import refuse
from pyopenadr.v2.profile import PREFIXES
from pyopenadr.v2.text import ID, STRING, XML_SPACE, Kind
from pyopenadr.v2.xml import Element, children_of, name_of, opaque_text, text_of

if TYPE_CHECKING:
    from pyopenadr.v2.decoder import Context

__all__ = ["BASE64", "Signature", "read_signature"]

_DS = f"{{{PREFIXES['ds']}}}"
_XSI = f"{{{PREFIXES['xsi']}}}"
_IGNORED = frozenset((f"{_XSI}schemaLocation", f"{_XSI}noNamespaceSchemaLocation"))


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A `ds:Signature` as it stood in a document: its exclusive canonical text.

    Two are equal if they say the same, whatever document they stood in. Whether one is valid can't be told from this
    text, because a signature also covers the namespace declarations around it: use `pyopenadr.v2.signature.verify`.
    """

    xml: str


def _last_group(data: bytes) -> str:
    return binascii.b2a_base64(data[-(len(data) % 3 or 3) :], newline=False).decode()


def _parse_base64(text: str) -> bytes:
    packed = "".join(text.split()) if text.isascii() else text
    try:
        data = binascii.a2b_base64(packed, strict_mode=True)
    except ValueError as error:
        raise ValueError(repr(text[:60])) from error
    if not packed.endswith(_last_group(data)):  # bits behind the end that say nothing
        raise ValueError(repr(text[:60]))
    return data


def _format_base64(value: object) -> str:
    if not isinstance(value, bytes):
        raise ValueError(f"{type(value).__name__} {value!r:.60}")
    return binascii.b2a_base64(value, newline=False).decode()


BASE64 = Kind("base64Binary", _parse_base64, _format_base64, "base64 text")

_DIGITS = re.compile(r"[+-]?[0-9]+").fullmatch


def _parse_integer(text: str) -> str:
    if _DIGITS(text.strip(XML_SPACE)) is None:
        raise ValueError(repr(text[:60]))
    return text


_INTEGER = Kind("integer", _parse_integer, str, "a whole number")


class _Shape(NamedTuple):
    """What one element may hold: `model` in the notation of a DTD, or the kind of its text."""

    model: str
    holds: Callable[[str], object]
    kind: Kind | None
    is_mixed: bool
    attributes: frozenset[str]
    required: str | None


def _shape(model: str, attributes: str = "", *, is_mixed: bool = False, kind: Kind | None = None) -> _Shape:
    """An element with others in it. An attribute with `!` is required.

    In the model `any` stands for every element, `#other` for one of another namespace.
    """
    words = re.sub(r"#?\w+", lambda word: f"(?:{'[^;]*' if word[0] == 'any' else word[0]};)", model)
    holds = re.compile(words.replace(" ", "")).fullmatch
    required = next((name[:-1] for name in attributes.split() if name.endswith("!")), None)
    names = frozenset(attributes.replace("!", "").split())
    return _Shape(model, holds, kind, is_mixed, names, required)


def _text(kind: Kind, attributes: str = "") -> _Shape:
    return _shape("", attributes, kind=kind)


_SHAPES: Mapping[str, _Shape] = MappingProxyType(
    {
        "Signature": _shape("SignedInfo SignatureValue KeyInfo? Object*", "Id"),
        "SignatureValue": _text(BASE64, "Id"),
        "SignedInfo": _shape("CanonicalizationMethod SignatureMethod Reference+", "Id"),
        "CanonicalizationMethod": _shape("", "Algorithm!", is_mixed=True),
        "SignatureMethod": _shape("HMACOutputLength?", "Algorithm!", is_mixed=True),
        "HMACOutputLength": _text(_INTEGER),
        "Reference": _shape("Transforms? DigestMethod DigestValue", "Id URI Type"),
        "Transforms": _shape("Transform+"),
        "Transform": _shape("(#other | XPath)*", "Algorithm!", is_mixed=True),
        "XPath": _text(STRING),
        "DigestMethod": _shape("#other*", "Algorithm!", is_mixed=True),
        "DigestValue": _text(BASE64),
        "KeyInfo": _shape(
            "(KeyName | KeyValue | RetrievalMethod | X509Data | PGPData | SPKIData | MgmtData | #other)+",
            "Id",
            is_mixed=True,
        ),
        "KeyName": _text(STRING),
        "MgmtData": _text(STRING),
        "KeyValue": _shape("DSAKeyValue | RSAKeyValue | #other", is_mixed=True),
        "RetrievalMethod": _shape("Transforms?", "URI Type"),
        "X509Data": _shape("(X509IssuerSerial | X509SKI | X509SubjectName | X509Certificate | X509CRL | #other)+"),
        "X509IssuerSerial": _shape("X509IssuerName X509SerialNumber"),
        "X509IssuerName": _text(STRING),
        "X509SerialNumber": _text(_INTEGER),
        "X509SKI": _text(BASE64),
        "X509SubjectName": _text(STRING),
        "X509Certificate": _text(BASE64),
        "X509CRL": _text(BASE64),
        "PGPData": _shape("(PGPKeyID PGPKeyPacket? #other*) | (PGPKeyPacket #other*)"),
        "PGPKeyID": _text(BASE64),
        "PGPKeyPacket": _text(BASE64),
        "SPKIData": _shape("(SPKISexp #other?)+"),
        "SPKISexp": _text(BASE64),
        "Object": _shape("any*", "Id MimeType Encoding", is_mixed=True),
        "Manifest": _shape("Reference+", "Id"),
        "SignatureProperties": _shape("SignatureProperty+", "Id"),
        "SignatureProperty": _shape("#other+", "Target! Id", is_mixed=True),
        "DSAKeyValue": _shape("(P Q)? G? Y J? (Seed PgenCounter)?"),
        "RSAKeyValue": _shape("Modulus Exponent"),
        **{number: _text(BASE64) for number in ("P", "Q", "G", "Y", "J", "Seed", "PgenCounter", "Modulus", "Exponent")},
    }
)


_BY_TAG: Mapping[str | None, tuple[str, _Shape]] = {_DS + name: (f"{name};", shape) for name, shape in _SHAPES.items()}


def read_signature(element: Element, ctx: Context) -> Signature:
    """Read a signature's structure, and note its Ids.

    The caller has bounded the depth of the document.

    Raises:
        SchemaMismatch: the schema does not allow it.
    """
    elements: list[Any] = list(element.iter())
    tags = tuple([tag if (tag := each.tag) in _BY_TAG else _foreign(tag) for each in elements])
    sizes = tuple([len(each) for each in elements])
    names = tuple([tuple(each.keys()) if each.tag in _BY_TAG else () for each in elements])
    try:
        layout = _usual_layout(tags, sizes, names) if len(elements) <= _USUAL_SIZE else _layout(tags, sizes, names)
    except _Misfit as misfit:
        _refuse(elements[misfit.index], misfit)
    for index, kind in layout.texts:
        text = text_of(elements[index])
        try:
            kind.parse(text)
        except ValueError as error:
            name = name_of(elements[index].tag)
            refuse(
                f"{name} must be {kind.expects}, not {error}", elements[index], expected=kind.expects, found=text[:60]
            )
    for index in layout.blanks:
        if (text := text_of(elements[index])) and (stray := text.strip(XML_SPACE)[:60]):
            name = name_of(elements[index].tag)
            refuse(f"text {stray!r} is not allowed in {name}, which holds elements", elements[index], found=stray)
    for index in layout.ids:
        try:
            ctx.ids.append(ID.parse(elements[index].get("Id")))
        except ValueError as error:
            refuse(f"attribute Id must be {ID.expects}, not {error}", elements[index], expected=ID.expects)
    return Signature(xml=opaque_text(element))


def _foreign(tag: object) -> str | None:
    """What counts of an element that has no shape: its kind of name; None if it is a comment or an instruction."""
    if not isinstance(tag, str):
        return None
    if tag.startswith(_DS):
        return "#unknown"
    return "#other" if tag.startswith("{") else "#local"


class _Misfit(Exception):
    """The element with that index is not as the schema wants it: it lacks an attribute, has one too much, or holds
    something else than its model says."""

    def __init__(self, index: int, *, missing: str = "", surplus: str = "", model: str = "") -> None:
        super().__init__(index)
        self.index = index
        self.missing = missing
        self.surplus = surplus
        self.model = model


def _refuse(element: Element, misfit: _Misfit) -> NoReturn:
    name = name_of(str(element.tag))
    if misfit.missing:
        refuse(f"attribute {misfit.missing} is missing on {name}", element, expected=misfit.missing)
    if misfit.surplus:
        found = name_of(misfit.surplus)
        refuse(f"attribute {found} is not allowed on {name}", element, expected="no such attribute", found=found)
    found = ", ".join([name_of(str(child.tag)) for child in children_of(element)])[:200] or "nothing"
    refuse(f"{name} must hold {misfit.model}, not {found}", element, expected=misfit.model, found=found)


class _Layout(NamedTuple):
    """What is left to look at in the elements of a signature whose form is right: texts that must be of a kind, texts
    that must be white space, and Ids."""

    texts: tuple[tuple[int, Kind], ...]
    blanks: tuple[int, ...]
    ids: tuple[int, ...]


Tags = tuple[str | None, ...]
Attributes = tuple[tuple[str, ...], ...]


def _layout(tags: Tags, sizes: tuple[int, ...], attributes: Attributes) -> _Layout:
    """Check the form of a signature: the names of its elements in document order, how much each holds, and the names
    of its attributes."""
    walk = _Walk(tags, sizes, attributes)
    walk.check(0, _SHAPES["Signature"])
    return _Layout(tuple(walk.texts), tuple(walk.blanks), tuple(walk.ids))


_USUAL_SIZE = 200
_usual_layout = lru_cache(maxsize=64)(_layout)  # because one peer's signatures have always the same form


class _Walk:
    __slots__ = ("attributes", "blanks", "ids", "sizes", "tags", "texts")

    def __init__(self, tags: Tags, sizes: tuple[int, ...], attributes: Attributes) -> None:
        self.tags = tags
        self.sizes = sizes
        self.attributes = attributes
        self.texts: list[tuple[int, Kind]] = []
        self.blanks: list[int] = []
        self.ids: list[int] = []

    def check(self, index: int, shape: _Shape) -> int:
        """Check the element with all it holds; the index of the first one behind it."""
        self._check_attributes(index, shape)
        words = ""
        following = index + 1
        for _ in range(self.sizes[index]):
            tag = self.tags[following]
            entry = _BY_TAG.get(tag)
            if entry is not None:
                words += entry[0]
                following = self.check(following, entry[1])
            else:
                words += f"{tag};" if tag is not None else ""
                following = self._pass_over(following)
        if shape.holds(words) is None:
            raise _Misfit(index, model=shape.model or ("text" if shape.kind is not None else "no element"))
        if shape.kind is not None:
            self.texts.append((index, shape.kind))
        elif not shape.is_mixed:
            self.blanks.append(index)
        return following

    def _pass_over(self, index: int) -> int:
        """Check nothing of an element that no schema declares but what is declared in it."""
        following = index + 1
        for _ in range(self.sizes[index]):
            entry = _BY_TAG.get(self.tags[following])
            following = self.check(following, entry[1]) if entry is not None else self._pass_over(following)
        return following

    def _check_attributes(self, index: int, shape: _Shape) -> None:
        for name in self.attributes[index]:
            if name not in shape.attributes and name not in _IGNORED:
                raise _Misfit(index, surplus=name)
            if name == "Id":
                self.ids.append(index)
        if shape.required is not None and shape.required not in self.attributes[index]:
            raise _Misfit(index, missing=shape.required)
