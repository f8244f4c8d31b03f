"""Bytes to wire values and back.

`decode` finds out the profile from the root element and accepts exactly what the profile's schema allows; `encode`
writes only what is valid by the schema and by 2.0b rules 45 and 509 (attributes qualified, no schemaLocation, a
schemaVersion in every 2.0b message).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

import msgspec
from lxml import etree

from pyopenadr.errors import SchemaMismatch
from pyopenadr.v2 import leniency as leniency_rules
from pyopenadr.v2 import quick
from pyopenadr.v2.attribute import IGNORED_XSI, check_attributes
from pyopenadr.v2.decoder import Context, read, refuse
from pyopenadr.v2.encoder import RARE, Written, prefixes_of, writer_of
from pyopenadr.v2.leniency import Deviation
from pyopenadr.v2.plan import shape_of
from pyopenadr.v2.profile import PREFIXES, PROFILES, A, B, Profile, ProfileName
from pyopenadr.v2.refusal import explain
from pyopenadr.v2.text import ID, XML_SPACE
from pyopenadr.v2.wire.base import Message
from pyopenadr.v2.xml import (
    COUNT_ATTRIBUTES,
    DEEPEST,
    DEFAULT_LIMITS,
    Limits,
    check_depth,
    children_of,
    name_of,
    parse,
    text_of,
)

if TYPE_CHECKING:
    from pyopenadr.v2.xmldsig import Signature

__all__ = ["Payload", "body_of", "decode", "encode", "lift_root", "profile_named", "start_tag"]

_DS = f"{{{PREFIXES['ds']}}}"
_ID = f"{{{B.namespace}}}Id"
_SIGNATURE = f"{_DS}Signature"
_PAYLOAD = B.clark("oadr:oadrPayload")
_SIGNED_OBJECT = B.clark("oadr:oadrSignedObject")


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """A message with what came around it.

    `signature` is there if the document carries one; having it says nothing about its being valid (see
    `pyopenadr.v2.signature.verify`). `object_id` is the Id of oadrSignedObject. `deviations` lists what only a
    leniency rule made acceptable.
    """

    message: Message
    profile: ProfileName = "2.0b"
    signature: Signature | None = None
    object_id: str | None = None
    deviations: tuple[Deviation, ...] = ()


def profile_named(name: str) -> Profile:
    """The profile of that name.

    Raises:
        SchemaMismatch: there is none.
    """
    for profile in PROFILES:
        if profile.name == name:
            return profile
    raise SchemaMismatch(f"there is no profile {name!r}: use 2.0b or 2.0a", expected="2.0b or 2.0a", found=name)


def decode(
    data: bytes,
    *,
    profile: ProfileName | None = None,
    limits: Limits = DEFAULT_LIMITS,
    leniency: Iterable[str] = (),
) -> Payload:
    """Read a message.

    Args:
        data: the document.
        profile: refuse messages of the other profile; None takes either.
        limits: how much is read.
        leniency: names of the rules in `pyopenadr.v2.leniency.RULES` that may be used, or `all`.

    Raises:
        Malformed: no XML, forbidden XML, or beyond the limits.
        SchemaMismatch: XML that the profile's schema does not allow.
    """
    return lift_root(parse(data, limits), profile=profile, limits=limits, leniency=leniency)


def lift_root(
    root: etree._Element,
    *,
    profile: ProfileName | None = None,
    limits: Limits = DEFAULT_LIMITS,
    leniency: Iterable[str] = (),
) -> Payload:
    """The payload of a parsed document; the second half of `decode`."""
    lenient = leniency_rules.rules(leniency)
    if limits.max_depth < DEEPEST:
        check_depth(root, limits)
    plain = quick.read_document(root) if profile != "2.0a" else None
    if plain is not None:
        return Payload(message=plain[0], object_id=plain[1])
    return _lift(root, profile, limits, lenient)


def _lift(root: etree._Element, profile: ProfileName | None, limits: Limits, lenient: frozenset[str]) -> Payload:
    ctx = Context(lenient)
    signature: Signature | None = None
    object_id: str | None = None
    if root.tag == _PAYLOAD:
        found = B
        message, signature_element, object_id = _open_envelope(root, ctx)
        if signature_element is not None:
            from pyopenadr.v2.xmldsig import read_signature

            check_depth(root, limits)
            signature = read_signature(signature_element, ctx)
    else:
        message = root
        found = _bare_profile(root, ctx)
    if profile is not None and profile != found.name:
        refuse(f"this is a {found.name} message", root, expected=f"a {profile} message", found=found.name)
    cls = found.message_class(str(message.tag))
    if cls is None:
        name = name_of(str(message.tag))
        refuse(f"{name} is no message of {found.name}", message, expected=f"a {found.name} message", found=name)
    value = quick.read(found, cls, message)
    if value is None:
        value = _read_exactly(found, cls, message, ctx)
        if ctx.opaque and signature is None:
            check_depth(root, limits)
    if len(ctx.ids) > len(set(ctx.ids)):
        twice = next(name for name, times in Counter(ctx.ids).items() if times > 1)
        refuse(f"the Id {twice!r} stands twice in the document", message, expected="unique Ids", found=twice)
    return Payload(
        message=value,
        profile=found.name,
        signature=signature,
        object_id=object_id,
        deviations=tuple(ctx.deviations),
    )


def _bare_profile(root: etree._Element, ctx: Context) -> Profile:
    tag = str(root.tag)
    if A.message_class(tag) is not None:
        return A
    if B.message_class(tag) is None or not ctx.allows("bare-root", root, name_of(tag)):
        expected = "oadr:oadrPayload (2.0b), or one of the four messages of 2.0a"
        refuse(f"{name_of(tag)} is no OpenADR 2.0 document", root, expected=expected, found=name_of(tag))
    return B


def _open_envelope(root: etree._Element, ctx: Context) -> tuple[etree._Element, etree._Element | None, str | None]:
    """The message element inside the envelope, the signature and the Id of the signed object."""
    for attribute in root.attrib:
        _check_xsi(root, str(attribute), "oadr:oadrPayload")
    signature: etree._Element | None = None
    holder: etree._Element | None = None
    for child in children_of(root):
        if child.tag == _SIGNATURE and signature is None:
            if holder is not None and not ctx.allows("signature-last", child, "ds:Signature"):
                refuse("ds:Signature must stand before oadr:oadrSignedObject", child, expected="nothing more")
            signature = child
        elif child.tag == _SIGNED_OBJECT and holder is None:
            holder = child
        else:
            name = name_of(str(child.tag))
            refuse(f"{name} is not allowed here", child, expected="oadr:oadrSignedObject", found=name)
    if holder is None:
        refuse("oadr:oadrSignedObject is missing in oadr:oadrPayload", root, expected="oadr:oadrSignedObject")
    _check_text(root)
    _check_text(holder)
    object_id = None
    for attribute in map(str, holder.attrib):
        if attribute == _ID or (attribute == "Id" and ctx.allows("unqualified-id", holder, "Id")):
            try:
                object_id = ID.parse(holder.get(attribute, ""))
            except ValueError as error:
                refuse(f"attribute Id must be {ID.expects}, not {error}", holder, expected=ID.expects)
            ctx.ids.append(object_id)
        else:
            _check_xsi(holder, attribute, "oadr:oadrSignedObject")
    messages = children_of(holder)
    if len(messages) != 1:
        where = messages[1] if messages else holder
        refuse(f"oadr:oadrSignedObject holds one message, not {len(messages)}", where, expected="one message")
    return messages[0], signature, object_id


def _check_xsi(element: etree._Element, attribute: str, name: str) -> None:
    if attribute not in IGNORED_XSI:
        found = name_of(attribute)
        refuse(f"attribute {found} is not allowed on {name}", element, expected="no such attribute", found=found)


def _check_text(element: etree._Element) -> None:
    stray = text_of(element).strip(XML_SPACE)
    if stray:
        refuse(f"text {stray[:60]!r} is not allowed in {name_of(str(element.tag))}", element, found=stray[:60])


def _read_exactly(profile: Profile, cls: type[Message], message: etree._Element, ctx: Context) -> Message:
    value = read(shape_of(profile, cls), message, ctx)
    assert isinstance(value, Message)
    if COUNT_ATTRIBUTES(message) != ctx.attributes:
        check_attributes(profile, message, ctx)
    return value


def start_tag(name: str, namespaces: Mapping[str, str]) -> str:
    """`name` with the namespace declarations in canonical order, as the beginning of a start tag."""
    return name + "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in sorted(namespaces.items()))


@cache
def _declarations(profile: str, cls: type[Message], rare: frozenset[str]) -> str:
    """The namespaces that the root declares: those that the message may need, and those that it rarely does."""
    chosen = profile_named(profile)
    prefixes = (prefixes_of(shape_of(chosen, cls)) - RARE) | rare | {"oadr"}
    return start_tag("", {prefix: chosen.uri(prefix) for prefix in prefixes})


def body_of(profile: Profile, message: Message, object_id: str | None) -> str:
    """The message's own element as canonical text, checked; what `encode` and `sign` share."""
    return _write(profile, message, object_id)[0]


def _write(profile: Profile, message: Message, object_id: str | None) -> tuple[str, Written]:
    """The message's own element as canonical text, and what occurs in it."""
    if type(message) not in profile.messages:
        raise SchemaMismatch(f"{type(message).__name__} is no message of profile {profile.name}")
    if profile.has_envelope and message["schema_version"] is None:
        message = msgspec.structs.replace(message, schema_version="2.0b")
    shape = shape_of(profile, type(message))
    written = Written()
    try:
        text = writer_of(shape, message.tag)(message, written)
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # the last three: of a class without a form
        explain(shape, message, message.message_type, profile.name)
        raise SchemaMismatch(f"can't be written: {error}", path=message.message_type) from error
    ids = written.ids
    if object_id is not None:
        try:
            ids.append(ID.format(object_id))
        except ValueError as error:
            raise SchemaMismatch(f"object_id must be {ID.expects}, not {error}", expected=ID.expects) from error
    if len(ids) != len(set(ids)):
        raise SchemaMismatch(f"Ids must be unique in a document: {', '.join(sorted(ids))}", expected="unique Ids")
    return text, written


def encode(payload: Payload | Message, *, profile: ProfileName | None = None) -> bytes:
    """Write a message as a UTF-8 document.

    A payload is written in its own profile unless `profile` says otherwise, a plain message in 2.0b. A signature
    that the payload carries is written as it is; to make one use `pyopenadr.v2.signature.sign`. In 2.0b a
    schema_version of None is written as 2.0b (rule 509); in 2.0a it is never written.

    Raises:
        SchemaMismatch: the message holds something that the profile can't express; the path is by field names.
    """
    if isinstance(payload, Payload):
        message, object_id, signature = payload.message, payload.object_id, payload.signature
        chosen = profile_named(profile or payload.profile)
    else:
        message, object_id, signature = payload, None, None
        chosen = B if profile is None else profile_named(profile)
    if not chosen.has_envelope and (signature is not None or object_id is not None):
        raise SchemaMismatch(f"profile {chosen.name} has no signatures", rule="514")
    text, written = _write(chosen, message, object_id)
    declared = _declarations(chosen.name, type(message), frozenset(written.prefixes))
    if not chosen.has_envelope:
        name = f"<{message.tag}"
        return f"{name}{declared}{text[len(name) :]}".encode()
    identity = f' oadr:Id="{object_id}"' if object_id is not None else ""
    data = (
        f"<oadr:oadrPayload{declared}>{signature.xml if signature is not None else ''}"
        f"<oadr:oadrSignedObject{identity}>{text}</oadr:oadrSignedObject></oadr:oadrPayload>"
    ).encode()
    if signature is not None:
        decode(data)  # nobody has checked the signature's text
    return data
