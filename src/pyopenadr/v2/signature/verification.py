"""Verifying a message: exactly the two references of the profile, to elements that are found by their place.

The order is: well-formed, valid by the schema, the right parts in the right places, known algorithms, a trusted key,
the signature over ds:SignedInfo, the digests of what it refers to, the time. Everything is read from one tree, so what
is returned is what was verified.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, NoReturn

import msgspec

from pyopenadr.errors import SignatureInvalid
from pyopenadr.model.time import as_utc
from pyopenadr.v2.codec import Payload, lift_root
from pyopenadr.v2.profile import PREFIXES, ProfileName
from pyopenadr.v2.signature.algorithm import (
    C14N,
    CANONICAL,
    DIGESTS,
    ENVELOPED,
    METHODS,
    Canonical,
    Digest,
    Method,
    canonical_form,
    invalid,
    verify_bytes,
)
from pyopenadr.v2.signature.signing import LONGEST_NONCE
from pyopenadr.v2.signature.switch import Accepted
from pyopenadr.v2.signature.trust import Trust, signer_of
from pyopenadr.v2.text import XML_SPACE, parse_date_time
from pyopenadr.v2.xml import DEFAULT_LIMITS, Element, Limits, children_of, name_of, parse, text_of
from pyopenadr.v2.xmldsig import BASE64

__all__ = ["DEFAULT_WINDOW", "Document", "Verified", "verify"]

DEFAULT_WINDOW = timedelta(seconds=60)
_DS = f"{{{PREFIXES['ds']}}}"
_DSP = f"{{{PREFIXES['dsp']}}}"
_SIGNATURE, _KEY_INFO, _CERTIFICATE = f"{_DS}Signature", f"{_DS}KeyInfo", f"{_DS}X509Certificate"
_PROPERTY_PATH = (f"{_DS}SignatureProperties", f"{_DS}SignatureProperty", f"{_DSP}ReplayProtect")
_REPLAY_PARTS = [f"{_DSP}timestamp", f"{_DSP}nonce"]


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """A message whose signature is valid.

    Refuse it if this `public_key` has used the same `nonce` before. A nonce may be forgotten after `expires`, because
    from then on the timestamp is too old. `timestamp` is when the peer says it sent the message, `certificate` (DER)
    and `fingerprint` are the signer's and None if it was only a trusted public key; `accepted` names the switches that
    had to be used.
    """

    payload: Payload
    nonce: str
    timestamp: datetime
    expires: datetime
    public_key: bytes
    certificate: bytes | None
    fingerprint: str | None
    accepted: tuple[str, ...] = ()


class Document:
    """A document that has been read and not verified yet: for those who must look at it to know whom to trust.

    `payload` is what it says; nothing vouches for that before `verify` has returned. Raises `Malformed` and
    `SchemaMismatch` as `verify` does.
    """

    __slots__ = ("_kept", "data", "limits", "payload", "root")

    def __init__(
        self,
        data: bytes,
        *,
        profile: ProfileName | None = None,
        limits: Limits = DEFAULT_LIMITS,
        leniency: Iterable[str] = (),
    ) -> None:
        self.data = data
        self.limits = limits
        self.root = parse(data, limits)
        # lxml makes a new object of an element at every look, unless somebody keeps one.
        self._kept = [each for child in self.root.iterchildren(_SIGNATURE) for each in child.iter()]
        self.payload = lift_root(self.root, profile=profile, limits=limits, leniency=leniency)

    @property
    def certificate(self) -> bytes | None:
        """The certificate (DER) that the signature says it was made with, where it can be read; proves nothing."""
        found = next((each for each in self._kept if each.tag == _CERTIFICATE), None)
        try:
            return BASE64.parse(text_of(found)) if found is not None else None
        except ValueError:
            return None


def verify(
    data: bytes | Document,
    *,
    trusted: Trust,
    now: datetime,
    window: timedelta = DEFAULT_WINDOW,
    limits: Limits = DEFAULT_LIMITS,
    leniency: Iterable[str] = (),
    accept: Iterable[str] = (),
) -> Verified:
    """Read a signed message of 2.0b.

    Args:
        data: the document, byte for byte as it came; or one that was read before, with its `limits` and `leniency`.
        trusted: whose signature it must be.
        now: the time, for certificates and for the age of the message.
        window: how far the timestamp may be from `now`, in both directions.
        limits: how much is read.
        leniency: names of the rules in `pyopenadr.v2.leniency.RULES` that may be used for the message.
        accept: names of the `SWITCHES` that may be used for the signature.

    Raises:
        Malformed: no XML, forbidden XML, or beyond the limits.
        SchemaMismatch: XML that the schema does not allow.
        SignatureInvalid: there is no signature, or it is not in order; the message says what is not, and what to do.
        ConfigError: a rule or switch is unknown.
        ModelError: `now` has no time zone.
    """
    now = as_utc(now)
    accepted = Accepted(accept)
    document = data if isinstance(data, Document) else Document(data, limits=limits, leniency=leniency)
    payload = document.payload
    parts = _parts_of(document.root, payload)

    canonical, method = _methods(parts.info, accepted)
    references = _references(parts, payload.object_id, accepted)
    signer = signer_of(parts.key_info, parts.signature, trusted, now, accepted)
    if not isinstance(signer.key, method.key):
        raise invalid("the signature method does not go with the key of the certificate", parts.info)
    signed = canonical_form(parts.info, canonical, with_comments=canonical.with_comments)
    if not verify_bytes(signer.key, BASE64.parse(text_of(parts.value)), signed, method):
        raise invalid(
            "the signature is wrong: ds:SignedInfo or ds:SignatureValue was changed, or another key made it",
            parts.value,
        )
    for reference in references:
        _check_digest(reference, document.data, document.limits)
    timestamp, nonce = _replay_protect(parts, now, window)
    return Verified(
        payload=payload,
        nonce=nonce,
        timestamp=timestamp,
        expires=timestamp + window,
        public_key=signer.spki,
        certificate=signer.der or None,
        fingerprint=signer.fingerprint or None,
        accepted=tuple(accepted.used),
    )


class _Parts(NamedTuple):
    """The elements of a signed document, each found by its place."""

    signature: Element
    info: Element
    value: Element
    key_info: Element | None
    object: Element
    signed_object: Element


class _Reference(NamedTuple):
    """A reference with what it must refer to; no target stands for the document without the signature."""

    element: Element
    target: Element | None
    canonical: Canonical
    method: Digest
    value: bytes


def _parts_of(root: Element, payload: Payload) -> _Parts:
    """The parts; the schema has been checked, so only the optional ones need a look."""
    if payload.signature is None:
        raise SignatureInvalid(
            f"the {payload.profile} message {payload.message.message_type} is not signed: "
            "the peer must sign it, or this side must not ask for signatures",
            rule="514",
        )
    signature, signed_object = children_of(root)
    if signature.tag != _SIGNATURE:  # it stood last, which a leniency rule allowed
        signature, signed_object = signed_object, signature
    info, value, *rest = children_of(signature)
    key_info = rest.pop(0) if rest and rest[0].tag == _KEY_INFO else None
    if len(rest) != 1:
        where = rest[1] if rest else signature
        raise invalid(f"the signature must have one ds:Object, with its ReplayProtect, not {len(rest)}", where)
    return _Parts(signature, info, value, key_info, rest[0], signed_object)


def _methods(info: Element, accepted: Accepted) -> tuple[Canonical, Method]:
    form, method, *_ = children_of(info)
    canonical = CANONICAL.get(_algorithm(form))
    if canonical is None:
        _refuse_algorithm(form, CANONICAL)
    _check_switch(canonical.switch, form, accepted)
    signature_method = METHODS.get(_algorithm(method))
    if signature_method is None:
        _refuse_algorithm(method, METHODS)
    _check_switch(signature_method.switch, method, accepted)
    return canonical, signature_method


def _algorithm(element: Element) -> str:
    """The URI of an algorithm; none of ours has parameters."""
    if len(element) or (element.text or "").strip(XML_SPACE):
        raise invalid(f"{name_of(str(element.tag))} must not hold parameters", element)
    return element.get("Algorithm", "")


def _refuse_algorithm(element: Element, known: Iterable[str]) -> NoReturn:
    found = element.get("Algorithm", "")
    raise invalid(f"algorithm {found[:100]} is not accepted: use {next(iter(known))}", element)


def _check_switch(switch: str | None, element: Element, accepted: Accepted) -> None:
    if switch is not None and not accepted.allows(switch):
        found = element.get("Algorithm", "")
        raise invalid(f"algorithm {found} is only accepted where {switch!r} is switched on", element)


def _references(parts: _Parts, object_id: str | None, accepted: Accepted) -> list[_Reference]:
    """The two references: one to the signed object, one to the properties."""
    elements = children_of(parts.info)[2:]
    if len(elements) != 2:
        raise invalid(
            f"there must be two references, to oadrSignedObject and to ds:Object, not {len(elements)}", parts.info
        )
    references = [_reference(element, parts, object_id, accepted) for element in elements]
    properties = [reference for reference in references if _is_properties(reference, parts)]
    if len(properties) != 1:
        covered = "oadr:oadrSignedObject" if properties else "ds:Object with ReplayProtect"
        raise invalid(f"no reference covers the {covered}, so the signature does not protect it", parts.info)
    return references


def _is_properties(reference: _Reference, parts: _Parts) -> bool:
    return reference.target is not None and reference.target is not parts.signed_object


def _reference(element: Element, parts: _Parts, object_id: str | None, accepted: Accepted) -> _Reference:
    *transforms, method_element, value = children_of(element)
    algorithms = [_algorithm(each) for each in children_of(transforms[0])] if transforms else []
    method = DIGESTS.get(_algorithm(method_element))
    if method is None:
        _refuse_algorithm(method_element, DIGESTS)
    _check_switch(method.switch, method_element, accepted)
    uri = element.get("URI")
    if uri == "":
        if algorithms[:1] != [ENVELOPED]:
            raise invalid("a reference to the whole document needs the enveloped-signature transform first", element)
        if not accepted.allows("enveloped-reference"):
            raise invalid(
                "a reference to the whole document is only accepted where 'enveloped-reference' is switched on", element
            )
        target = None
        algorithms = algorithms[1:]
    else:
        target = _target(uri, element, parts, object_id, accepted)
    if len(algorithms) > 1 or (algorithms and algorithms[0] not in CANONICAL):
        raise invalid(f"the transforms {', '.join(algorithms)[:200]} are not accepted: use {C14N} alone", element)
    canonical = CANONICAL[algorithms[0] if algorithms else C14N]
    if canonical.switch is not None:
        _check_switch(canonical.switch, children_of(transforms[0])[-1], accepted)
    return _Reference(element, target, canonical, method, BASE64.parse(text_of(value)))


def _target(uri: str | None, element: Element, parts: _Parts, object_id: str | None, accepted: Accepted) -> Element:
    """The element that a reference means: one of those that it may mean, if it has that Id."""
    if uri and uri[0] == "#" and len(uri) > 1:
        name = uri[1:]
        if name == object_id:
            return parts.signed_object
        if name == parts.object.get("Id"):
            return parts.object
        for inner in _properties_of(parts)[:2]:
            if name == inner.get("Id"):
                if accepted.allows("properties-reference"):
                    return inner
                raise invalid(
                    f"a reference to {name_of(str(inner.tag))} is only accepted where 'properties-reference' "
                    "is switched on",
                    element,
                )
    raise invalid(f"the reference {uri!r:.100} is neither to oadrSignedObject nor to ds:Object by their Ids", element)


def _properties_of(parts: _Parts) -> tuple[Element, Element, Element]:
    """SignatureProperties, SignatureProperty and ReplayProtect: each alone in the one before."""
    found: list[Element] = []
    holder = parts.object
    for tag in _PROPERTY_PATH:
        children = children_of(holder)
        if [child.tag for child in children] != [tag]:
            raise invalid(f"{name_of(str(holder.tag))} must hold one {name_of(tag)} and nothing else", holder)
        holder = children[0]
        found.append(holder)
    return found[0], found[1], found[2]


def _check_digest(reference: _Reference, data: bytes, limits: Limits) -> None:
    # A reference by Id or to the document leaves comments out, whatever the canonical form says.
    if reference.target is None:
        content = _without_signature(data, limits, reference.canonical)
        what = "the document"
    else:
        content = canonical_form(reference.target, reference.canonical)
        what = name_of(str(reference.target.tag))
    if reference.method.make(content) != reference.value:
        raise invalid(
            f"the digest of {what} is wrong: it was changed after signing (also by indenting it, or by namespaces "
            "declared around it)",
            reference.element,
        )


def _without_signature(data: bytes, limits: Limits, canonical: Canonical) -> bytes:
    """The canonical form of the document without its signature, made on a tree of its own."""
    root = parse(data, limits)
    signature = next(child for child in root if child.tag == _SIGNATURE)
    before = signature.getprevious()
    if before is not None:
        before.tail = (before.tail or "") + (signature.tail or "")
    else:
        root.text = (root.text or "") + (signature.tail or "")
    signature.tail = None
    root.remove(signature)
    return canonical_form(root.getroottree(), canonical)


_OFFSET_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?[+-][0-9]{2}:[0-9]{2}"
).fullmatch


def _parse_timestamp(text: str) -> datetime:
    """An xs:dateTime; unlike the times in messages it may have an offset."""
    try:
        return parse_date_time(text)
    except ValueError:
        plain = text.strip(XML_SPACE)
        if _OFFSET_TIME(plain) is None:
            raise
    try:
        return datetime.fromisoformat(plain).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(repr(plain)) from error


def _text_alone(element: Element) -> str | None:
    """The text of an element that holds no other."""
    if len(element) and children_of(element):
        return None
    return text_of(element)


def _replay_protect(parts: _Parts, now: datetime, window: timedelta) -> tuple[datetime, str]:
    *_, protect = _properties_of(parts)
    children = children_of(protect)
    if [child.tag for child in children] != _REPLAY_PARTS:
        raise invalid("dsp:ReplayProtect must hold dsp:timestamp and dsp:nonce", protect)
    stamp, nonce_element = children
    try:
        timestamp = _parse_timestamp(_text_alone(stamp) or "")
    except ValueError as error:
        raise invalid(f"dsp:timestamp must be a time such as 2030-01-31T12:00:00Z, not {error}", stamp) from error
    skew, most = (now - timestamp).total_seconds(), window.total_seconds()
    if abs(skew) > most:
        side = "behind" if skew > 0 else "ahead of"
        raise invalid(
            f"the timestamp is {abs(skew):.0f} s {side} the clock of this side, more than the {most:g} s "
            "that are accepted: set both clocks, or the message is an old one that was sent again",
            stamp,
        )
    nonce = _text_alone(nonce_element)
    if nonce is None or not nonce.strip(XML_SPACE) or len(nonce) > LONGEST_NONCE:
        raise invalid(f"dsp:nonce must be text of 1 to {LONGEST_NONCE} characters", nonce_element)
    return timestamp, nonce
