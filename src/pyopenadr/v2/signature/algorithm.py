"""The algorithms that a signature may use (2.0b rule 514), by their URIs. There are no others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from lxml import etree

from pyopenadr.errors import SignatureInvalid
from pyopenadr.v2.xml import Element, line_of, path_of

__all__ = [
    "C14N",
    "CANONICAL",
    "DIGESTS",
    "ENVELOPED",
    "METHODS",
    "SHA256",
    "Canonical",
    "Digest",
    "Method",
    "PublicKey",
    "canonical_form",
    "describe_weakness",
    "invalid",
    "verify_bytes",
]

C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
EXCLUSIVE_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"

COORDINATE_BYTES = 32  # of P-256
PKCS1 = padding.PKCS1v15()
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey


class Canonical(NamedTuple):
    """A canonical form, and the switch without which it is not accepted."""

    exclusive: bool
    with_comments: bool
    switch: str | None


class Digest(NamedTuple):
    """A digest method."""

    make: Callable[[bytes], bytes]
    switch: str | None


class Method(NamedTuple):
    """A signature method: the kind of key it goes with, and its hash."""

    key: type[PublicKey]
    hash: hashes.HashAlgorithm
    switch: str | None


CANONICAL: Mapping[str, Canonical] = MappingProxyType(
    {
        C14N: Canonical(False, False, None),
        f"{C14N}#WithComments": Canonical(False, True, None),
        EXCLUSIVE_C14N: Canonical(True, False, "exclusive-c14n"),
        f"{EXCLUSIVE_C14N}WithComments": Canonical(True, True, "exclusive-c14n"),
    }
)


def _sha1(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


DIGESTS: Mapping[str, Digest] = MappingProxyType(
    {SHA256: Digest(_sha256, None), "http://www.w3.org/2000/09/xmldsig#sha1": Digest(_sha1, "sha1")}
)

METHODS: Mapping[str, Method] = MappingProxyType(
    {
        f"{MORE}rsa-sha256": Method(rsa.RSAPublicKey, hashes.SHA256(), None),
        f"{MORE}ecdsa-sha256": Method(ec.EllipticCurvePublicKey, hashes.SHA256(), None),
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1": Method(rsa.RSAPublicKey, hashes.SHA1(), "sha1"),
        f"{MORE}ecdsa-sha1": Method(ec.EllipticCurvePublicKey, hashes.SHA1(), "sha1"),
    }
)


def invalid(message: str, element: Element) -> SignatureInvalid:
    """The error for an element of a signature, to be raised."""
    return SignatureInvalid(message, path=path_of(element), line=line_of(element))


def canonical_form(element: Element | etree._ElementTree, form: Canonical, *, with_comments: bool = False) -> bytes:
    """The canonical form of an element where it stands, with the namespaces that are in scope there.

    Raises:
        SignatureInvalid: it has none, because a namespace name is relative.
    """
    try:
        return etree.tostring(element, method="c14n", exclusive=form.exclusive, with_comments=with_comments)
    except etree.C14NError as error:
        raise SignatureInvalid("the document has no canonical form: use absolute namespace names") from error


def describe_weakness(key: object) -> str | None:
    """Why a public or private key must not be used for signatures, or None if it may (2.0b rule 68)."""
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        return f"an RSA key of {key.key_size} bits, which is less than 2048" if key.key_size < 2048 else None
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey):
        is_p256 = isinstance(key.curve, ec.SECP256R1)
        return None if is_p256 else f"a key on the curve {key.curve.name}, where P-256 is needed"
    return "neither an RSA nor an elliptic curve key"


def verify_bytes(key: PublicKey, signature: bytes, data: bytes, method: Method) -> bool:
    """Whether the key that fits the method made that signature over the bytes."""
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, data, PKCS1, method.hash)
            return True
        if len(signature) == 2 * COORDINATE_BYTES:
            r, s = signature[:COORDINATE_BYTES], signature[COORDINATE_BYTES:]
            both = utils.encode_dss_signature(int.from_bytes(r), int.from_bytes(s))
            key.verify(both, data, ec.ECDSA(method.hash))
            return True
    except InvalidSignature:
        pass
    return False
