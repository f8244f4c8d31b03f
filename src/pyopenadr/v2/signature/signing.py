"""Signing a message.

The encoder writes canonical text, and every namespace is declared on the root. So the canonical form of a part is its
text with these declarations in its start tag, and nothing has to be parsed to get it.
"""

from __future__ import annotations

import binascii
import hashlib
from datetime import datetime

from pyopenadr.errors import SchemaMismatch
from pyopenadr.model.time import as_utc
from pyopenadr.v2.codec import Payload, body_of, start_tag
from pyopenadr.v2.encoder import namespaces_in
from pyopenadr.v2.profile import PREFIXES, B
from pyopenadr.v2.signature.algorithm import C14N, CANONICAL, SHA256, canonical_form
from pyopenadr.v2.signature.key import SigningKey
from pyopenadr.v2.text import XML_SPACE, escape, format_date_time
from pyopenadr.v2.wire.base import Message
from pyopenadr.v2.xml import parse

__all__ = ["LONGEST_NONCE", "sign"]

LONGEST_NONCE = 256
_DECLARED = {prefix: PREFIXES[prefix] for prefix in ("ds", "dsp", "ei", "oadr")}


def sign(payload: Payload | Message, key: SigningKey, *, now: datetime, nonce: str) -> bytes:
    """Write a message as a signed UTF-8 document.

    A signature that the payload carries is replaced. Sign again for each retransmission.

    Args:
        payload: a message of 2.0b.
        key: who signs.
        now: the time of sending; written in whole seconds.
        nonce: something that this key has not sent before, at least 128 random bits as hexadecimal or base64 text.

    Raises:
        SchemaMismatch: the message holds something that 2.0b can't express, or is of 2.0a, or the nonce is no nonce.
        ModelError: `now` has no time zone.
    """
    if not isinstance(payload, Payload):
        payload = Payload(message=payload)
    if payload.profile != B.name:
        raise SchemaMismatch(f"profile {payload.profile} has no signatures", rule="514")
    object_id = payload.object_id if payload.object_id is not None else "oadrSignedObject"
    body = body_of(B, payload.message, object_id)
    properties_id = "prop"
    while properties_id == object_id or f'"{properties_id}"' in body:
        properties_id += "_"

    declared = start_tag("", namespaces_in(B, body, _DECLARED))
    signed_object = f'<oadr:oadrSignedObject oadr:Id="{object_id}">{body}</oadr:oadrSignedObject>'
    properties = _properties(properties_id, object_id, as_utc(now), nonce)
    # An element that was kept unread may repeat declarations of the root, which the canonical form leaves out.
    canonical = _in_place(signed_object, declared) if " xmlns" in body else _canonical(signed_object, declared)
    info = (
        f'<ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{C14N}"></ds:CanonicalizationMethod>'
        f'<ds:SignatureMethod Algorithm="{key.method}"></ds:SignatureMethod>'
        f"{_reference(object_id, canonical)}{_reference(properties_id, _canonical(properties, declared))}"
        "</ds:SignedInfo>"
    )
    value = _base64(key.sign_bytes(_canonical(info, declared)))
    return (
        f"<oadr:oadrPayload{declared}><ds:Signature>{info}<ds:SignatureValue>{value}</ds:SignatureValue>"
        f"{key.key_info}{properties}</ds:Signature>{signed_object}</oadr:oadrPayload>"
    ).encode()


def _properties(identity: str, target: str, now: datetime, nonce: str) -> str:
    if not nonce.strip(XML_SPACE) or len(nonce) > LONGEST_NONCE:
        raise SchemaMismatch(f"the nonce must have 1 to {LONGEST_NONCE} characters, not {len(nonce)}", rule="514")
    try:
        text = escape(nonce)
    except ValueError as error:
        raise SchemaMismatch(f"the nonce must be text, not {error}", rule="514") from error
    return (
        f'<ds:Object Id="{identity}"><ds:SignatureProperties><ds:SignatureProperty Target="#{target}">'
        f"<dsp:ReplayProtect><dsp:timestamp>{format_date_time(now.replace(microsecond=0))}</dsp:timestamp>"
        f"<dsp:nonce>{text}</dsp:nonce></dsp:ReplayProtect>"
        "</ds:SignatureProperty></ds:SignatureProperties></ds:Object>"
    )


def _canonical(text: str, declared: str) -> bytes:
    """The canonical form of an element inside the root: its text with the root's declarations in its start tag."""
    end = text.index(" ") if text.find(" ", 0, text.index(">")) > 0 else text.index(">")
    return f"{text[:end]}{declared}{text[end:]}".encode()


def _in_place(text: str, declared: str) -> bytes:
    """The same for an element that holds declarations of its own."""
    root = parse(f"<oadr:oadrPayload{declared}>{text}</oadr:oadrPayload>".encode())
    return canonical_form(root[0], CANONICAL[C14N])


def _reference(identity: str, canonical: bytes) -> str:
    return (
        f'<ds:Reference URI="#{identity}"><ds:Transforms><ds:Transform Algorithm="{C14N}"></ds:Transform>'
        f'</ds:Transforms><ds:DigestMethod Algorithm="{SHA256}"></ds:DigestMethod>'
        f"<ds:DigestValue>{_base64(hashlib.sha256(canonical).digest())}</ds:DigestValue></ds:Reference>"
    )


def _base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()
