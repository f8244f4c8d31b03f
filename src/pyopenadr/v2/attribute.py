"""Which attributes may stand where; asked only when a message has more of them than its fields took."""

from __future__ import annotations

from pyopenadr.v2.decoder import Context, refuse
from pyopenadr.v2.profile import PREFIXES, B, Profile
from pyopenadr.v2.text import XML_SPACE
from pyopenadr.v2.wire.typename import XSI_TYPES
from pyopenadr.v2.xml import ATTRIBUTED, Element, name_of

__all__ = ["IGNORED_XSI", "check_attributes"]

_XSI = f"{{{PREFIXES['xsi']}}}"
IGNORED_XSI = frozenset((f"{_XSI}schemaLocation", f"{_XSI}noNamespaceSchemaLocation"))
"""Attributes that any element may have, and that mean nothing to us."""
_XSI_TYPE = f"{_XSI}type"
_SCHEMA_VERSION = B.clark("ei:schemaVersion")
_GML_ID = B.clark("gml:id")
_POLYGONS = frozenset((B.clark("gml:FeatureCollection"), B.clark("gml:Polygon")))
_OTHER_NAMESPACES = {
    "xs": "http://www.w3.org/2001/XMLSchema",
    "currency": "urn:un:unece:uncefact:codelist:standard:5:ISO42173A:2010-04-07",
}


def check_attributes(profile: Profile, message: Element, ctx: Context) -> None:
    """Refuse the first attribute that does not belong; those of elements that are kept unread are passed over."""
    elements = ATTRIBUTED(message)
    assert isinstance(elements, list)
    for element in elements:
        assert isinstance(element, Element)
        if _is_opaque(element, ctx):
            continue
        for attribute in map(str, element.attrib):
            if not _is_allowed(profile, element, attribute, ctx):
                found = name_of(attribute)
                refuse(f"attribute {found} is not allowed on {name_of(str(element.tag))}", element, found=found)


def _is_opaque(element: Element | None, ctx: Context) -> bool:
    while element is not None:
        if element in ctx.opaque:
            return True
        element = element.getparent()
    return False


def _is_allowed(profile: Profile, element: Element, attribute: str, ctx: Context) -> bool:
    if attribute in IGNORED_XSI:
        return True
    if attribute == _XSI_TYPE:
        return profile is B and _names_own_type(element)
    tag = str(element.tag)
    if attribute == _GML_ID:
        return tag in _POLYGONS
    is_lenient = attribute == "schemaVersion" and "unqualified-schema-version" in ctx.lenient
    return (attribute == _SCHEMA_VERSION or is_lenient) and B.message_class(tag) is not None


def _names_own_type(element: Element) -> bool:
    """Whether `xsi:type` says what the schema says anyway."""
    name = name_of(str(element.tag))
    parent = element.getparent()
    in_parent = f"{name_of(str(parent.tag))}/{name}" if parent is not None else ""
    own = XSI_TYPES.get(in_parent, XSI_TYPES.get(name, ""))
    prefix, _, local = own.partition(":")
    found_prefix, _, found_local = str(element.get(_XSI_TYPE)).strip(XML_SPACE).rpartition(":")
    if not own or found_local != local:
        return False
    return element.nsmap.get(found_prefix or None) == (_OTHER_NAMESPACES.get(prefix) or B.uri(prefix))
