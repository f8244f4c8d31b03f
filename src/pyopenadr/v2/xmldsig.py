"""The structure of an XML signature, as the schema has it; no cryptography here.

Where the schema lets anything stand (`any` with lax processing), elements of XML Signature are still checked and all
others are passed over. CanonicalizationMethod and SignatureMethod take no foreign parameters, because no schema that
OpenADR uses declares one.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import msgspec

from pyopenadr.v2.decoder import refuse
from pyopenadr.v2.profile import PREFIXES
from pyopenadr.v2.text import ID, STRING, XML_SPACE, Kind
from pyopenadr.v2.xml import children_of, name_of, opaque_text

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

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


def _parse_base64(text: str) -> bytes:
    packed = "".join(text.split()) if text.isascii() else text
    try:
        data = binascii.a2b_base64(packed, strict_mode=True)
    except ValueError as error:
        raise ValueError(repr(text[:60])) from error
    if binascii.b2a_base64(data, newline=False) != packed.encode():  # bits behind the end that say nothing
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
    may_be_empty: bool
    kind: Kind | None
    is_mixed: bool
    attributes: frozenset[str]
    usual_attributes: list[str]  # the required ones


def _shape(model: str, attributes: str = "", *, is_mixed: bool = False, kind: Kind | None = None) -> _Shape:
    """An element with others in it. An attribute with `!` is required.

    In the model `any` stands for every element, `#other` for one of another namespace.
    """
    words = re.sub(r"#?\w+", lambda word: f"(?:{'[^;]*' if word[0] == 'any' else word[0]};)", model)
    holds = re.compile(words.replace(" ", "")).fullmatch
    required = [name[:-1] for name in attributes.split() if name.endswith("!")]
    names = frozenset(attributes.replace("!", "").split())
    return _Shape(model, holds, holds("") is not None, kind, is_mixed, names, required)


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


_BY_TAG: Mapping[object, tuple[str, _Shape]] = {_DS + name: (f"{name};", shape) for name, shape in _SHAPES.items()}


def read_signature(element: Element, ctx: Context) -> Signature:
    """Read a signature's structure, and note its Ids.

    The caller has bounded the depth of the document.

    Raises:
        SchemaMismatch: the schema does not allow it.
    """
    _Walk(element, ctx).check(0, _SHAPES["Signature"])
    return Signature(xml=opaque_text(element))


class _Walk:
    """One way through an element's tree, taken apart into lists in document order, because that is faster."""

    __slots__ = ("ctx", "elements", "sizes", "tags", "tails", "texts")

    def __init__(self, element: Element, ctx: Context) -> None:
        self.ctx = ctx
        self.elements = list(element.iter())
        self.tags: list[object] = [each.tag for each in self.elements]
        self.texts = [each.text for each in self.elements]
        self.tails = [each.tail for each in self.elements]
        self.sizes = [len(each) for each in self.elements]

    def check(self, index: int, shape: _Shape) -> int:
        """Check the element with all it holds; the index of the first one behind it."""
        element = self.elements[index]
        if element.keys() != shape.usual_attributes:
            _check_attributes(element, shape, self.ctx)
        words, text = "", self.texts[index] or ""
        following = index + 1
        for _ in range(self.sizes[index]):
            child = following
            tag = self.tags[child]
            entry = _BY_TAG.get(tag)
            if entry is not None:
                words += entry[0]
                following = self.check(child, entry[1])
            elif isinstance(tag, str):
                words += _foreign_word(tag)
                following = self.pass_over(child)
            else:  # a comment or a processing instruction
                following += 1
            tail = self.tails[child]
            if tail is not None:
                text += tail
        if (words or not shape.may_be_empty) and shape.holds(words) is None:
            _refuse_content(element, shape)
        if shape.kind is not None:
            try:
                shape.kind.parse(text)
            except ValueError as error:
                _refuse_text(element, shape.kind, text, error)
        elif text and not shape.is_mixed and (stray := text.strip(XML_SPACE)):
            name = name_of(str(element.tag))
            refuse(f"text {stray[:60]!r} is not allowed in {name}, which holds elements", element, found=stray[:60])
        return following

    def pass_over(self, index: int) -> int:
        """Check nothing of an element that no schema declares but what is declared in it."""
        following = index + 1
        for _ in range(self.sizes[index]):
            entry = _BY_TAG.get(self.tags[following])
            following = self.check(following, entry[1]) if entry is not None else self.pass_over(following)
        return following


def _foreign_word(tag: str) -> str:
    """An element that has no shape, as a word of the content models."""
    if tag.startswith(_DS):
        return f"{tag[len(_DS) :]};"
    return "#other;" if tag.startswith("{") else "#local;"


def _check_attributes(element: Element, shape: _Shape, ctx: Context) -> None:
    for name, value in element.items():
        if name == "Id" and name in shape.attributes:
            try:
                ctx.ids.append(ID.parse(str(value)))
            except ValueError as error:
                refuse(f"attribute Id must be {ID.expects}, not {error}", element, expected=ID.expects)
        elif name not in shape.attributes and name not in _IGNORED:
            found = name_of(str(name))
            refuse(f"attribute {found} is not allowed on {name_of(str(element.tag))}", element, found=found)
    for name in shape.usual_attributes:
        if element.get(name) is None:
            refuse(f"attribute {name} is missing on {name_of(str(element.tag))}", element, expected=name)


def _refuse_content(element: Element, shape: _Shape) -> NoReturn:
    found = ", ".join([name_of(str(child.tag)) for child in children_of(element)]) or "nothing"
    expected = shape.model or ("text" if shape.kind is not None else "no element")
    name = name_of(str(element.tag))
    refuse(f"{name} must hold {expected}, not {found[:200]}", element, expected=expected, found=found[:200])


def _refuse_text(element: Element, kind: Kind, text: str, error: ValueError) -> NoReturn:
    name = name_of(str(element.tag))
    refuse(f"{name} must be {kind.expects}, not {error}", element, expected=kind.expects, found=text[:60])
