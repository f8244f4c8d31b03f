"""Whose signatures count. What a message says about its own key is never enough."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple, NoReturn, TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pyopenadr.errors import ConfigError, SignatureInvalid
from pyopenadr.v2.profile import PREFIXES
from pyopenadr.v2.signature.algorithm import PublicKey, describe_weakness, invalid
from pyopenadr.v2.signature.key import PEM, certificate_der, fingerprint_text, load_certificate, public_key_der
from pyopenadr.v2.signature.switch import Accepted
from pyopenadr.v2.xml import Element, children_of, text_of
from pyopenadr.v2.xmldsig import BASE64

__all__ = ["Signer", "Trust", "names_of", "signer_of"]

Value = TypeVar("Value", bound=x509.ExtensionType)

_DS = f"{{{PREFIXES['ds']}}}"
_X509_DATA, _CERTIFICATE, _KEY_VALUE = f"{_DS}X509Data", f"{_DS}X509Certificate", f"{_DS}KeyValue"
_DS11 = "{http://www.w3.org/2009/xmldsig11#}"
_LONGEST_CERTIFICATE = 16_384
_P256 = "urn:oid:1.2.840.10045.3.1.7"
_UNREADABLE = (
    ValueError,
    TypeError,  # a name whose value is a string of bits
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises while it reads somebody's certificate."""


class Trust(msgspec.Struct, frozen=True, kw_only=True):
    """Whose signatures are accepted: a key that fits any of these.

    Name the one peer that the message should be from, not everybody you know; otherwise one peer could sign for
    another.

    `certificates` are exactly these (DER or PEM); `fingerprints` OpenADR fingerprints or whole SHA-256 fingerprints,
    with or without colons, in any case; `public_keys` these keys (DER or PEM) in whatever certificate.
    `authorities` are certificates (DER or PEM) of whoever directly issued the peer's; then the peer's must carry one
    of `names`: a DNS name, or if it has none its common name. Chains are not followed, so give the intermediate
    authority itself.

    Raises:
        ConfigError: one of these is not what it should be, or nobody is trusted at all.
    """

    certificates: Collection[bytes] = ()
    fingerprints: Collection[str] = ()
    public_keys: Collection[bytes] = ()
    authorities: Collection[bytes] = ()
    names: Collection[str] = ()

    def __post_init__(self) -> None:
        if not (self.certificates or self.fingerprints or self.public_keys or self.authorities):
            raise ConfigError("nobody is trusted: give certificates, fingerprints, public_keys or authorities")
        if bool(self.authorities) != bool(self.names):
            raise ConfigError("authorities and names go together: say which name the authority's certificate must have")
        set_ = msgspec.structs.force_setattr
        set_(self, "certificates", frozenset(_pinned(each) for each in self.certificates))
        set_(self, "fingerprints", frozenset(_plain_fingerprint(each) for each in self.fingerprints))
        set_(
            self,
            "public_keys",
            frozenset(public_key_der(_load_public_key(each)) for each in self.public_keys),
        )
        set_(self, "authorities", tuple(certificate_der(_load_authority(each)) for each in self.authorities))
        set_(self, "names", frozenset(name.lower() for name in self.names))


class Signer(NamedTuple):
    """A key, also in DER form, with its certificate, the DER form of that, SHA-256, fingerprint, subject and time.

    These are empty for a bare public key.
    """

    key: PublicKey
    spki: bytes
    certificate: x509.Certificate | None
    der: bytes
    digest: str
    fingerprint: str
    subject: str
    span: tuple[datetime, datetime] | None


def _pinned(data: bytes) -> bytes:
    der = certificate_der(load_certificate(data))
    try:
        return _load_signer(der).der
    except ValueError as error:
        raise ConfigError(f"a trusted certificate can't be used: {error}") from error


_HEX = re.compile("[0-9A-F]{20}|[0-9A-F]{64}").fullmatch


def _plain_fingerprint(text: str) -> str:
    plain = text.replace(":", "").replace(" ", "").upper()
    if _HEX(plain) is None:
        raise ConfigError(f"{text[:100]!r} is no fingerprint: give 10 bytes (OpenADR) or 32 bytes (SHA-256) in hex")
    return plain


def _load_public_key(data: bytes) -> PublicKey:
    load = serialization.load_pem_public_key if PEM in data else serialization.load_der_public_key
    try:
        key = load(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"no public key in DER or PEM form: {error}") from error
    if weakness := describe_weakness(key):
        raise ConfigError(f"a trusted public key is {weakness}")
    assert isinstance(key, PublicKey)
    return key


def _load_authority(data: bytes) -> x509.Certificate:
    certificate = load_certificate(data)
    subject = "this"
    try:
        subject = certificate.subject.rfc4514_string()
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = _extension(certificate, x509.KeyUsage)
    except (*_UNREADABLE, x509.ExtensionNotFound) as error:
        raise ConfigError(f"{subject} is no certificate of an authority: {error}") from error
    if not constraints.ca or (usage is not None and not usage.key_cert_sign):
        raise ConfigError(f"{subject} is no certificate of an authority: it may not issue certificates")
    return certificate


def _extension(certificate: x509.Certificate, kind: type[Value]) -> Value | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def signer_of(key_info: Element | None, signature: Element, trusted: Trust, now: datetime, accept: Accepted) -> Signer:
    """The trusted key that the message says it was signed with.

    Raises:
        SignatureInvalid: it is not trusted, its certificate is not valid now, or it is not said which.
    """
    parts = children_of(key_info) if key_info is not None else []
    certificates = [
        each for part in parts if part.tag == _X509_DATA for each in children_of(part) if each.tag == _CERTIFICATE
    ]
    if len(certificates) > 1 and not accept.allows("certificate-chain"):
        _refuse(f"ds:KeyInfo holds {len(certificates)} certificates, not one", certificates[1], "certificate-chain")
    if certificates:
        signer = _by_certificate(certificates[0], trusted, now)
    else:
        where = key_info if key_info is not None else signature
        key_value = next((part for part in parts if part.tag == _KEY_VALUE), None)
        signer = _without_certificate(key_value, where, trusted, accept)
    if signer.span is not None and not signer.span[0] <= now <= signer.span[1]:
        _refuse_time(f"certificate of the signer ({signer.subject})", signer.span, now)
    return signer


def _refuse(message: str, element: Element, switch: str) -> NoReturn:
    raise invalid(f"{message}: switch on {switch!r} to accept it", element)


def _by_certificate(element: Element, trusted: Trust, now: datetime) -> Signer:
    text = text_of(element)
    if len(text) > _LONGEST_CERTIFICATE:
        raise invalid(f"the certificate is longer than {_LONGEST_CERTIFICATE} characters", element)
    try:
        signer = _signer_in(text)
    except ValueError as error:
        raise invalid(f"the certificate can't be used: {error}", element) from error
    is_pinned = (
        signer.der in trusted.certificates
        or signer.digest in trusted.fingerprints
        or signer.digest[-20:] in trusted.fingerprints
        or signer.spki in trusted.public_keys
    )
    if not is_pinned:
        _check_issuer(signer, element, trusted, now)
    return signer


@lru_cache(maxsize=4096)
def _signer_in(text: str) -> Signer:
    """The signer by the certificate that somebody sent. Loading one takes longer than verifying with it."""
    return _load_signer(BASE64.parse(text))


def _load_signer(der: bytes) -> Signer:
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = certificate.public_key()
        subject, span = certificate.subject.rfc4514_string(), _span(certificate)
    except _UNREADABLE as error:
        raise ValueError(f"it can't be read: {error}") from error
    if weakness := describe_weakness(key):
        raise ValueError(f"it is for {weakness}")
    assert isinstance(key, PublicKey)
    digest = hashlib.sha256(der).hexdigest().upper()
    return Signer(key, public_key_der(key), certificate, der, digest, fingerprint_text(der), subject, span)


def _check_issuer(signer: Signer, element: Element, trusted: Trust, now: datetime) -> None:
    """Whether a trusted authority issued the certificate, to be used so, to one of the names."""
    shown, certificate = signer.fingerprint, signer.certificate
    assert certificate is not None
    try:
        algorithm = certificate.signature_hash_algorithm
        usage = _extension(certificate, x509.KeyUsage)
        names = _names_of(certificate)
    except _UNREADABLE as error:
        raise invalid(f"the certificate {shown} can't be read: {error}", element) from error
    issuers = [each for each in _loaded(trusted.authorities) if _has_issued(each, certificate)]
    if not issuers:
        raise invalid(
            f"the certificate {shown} ({signer.subject}) is not one that is trusted here: "
            "if it is the peer's, give its fingerprint to this side",
            element,
        )
    if not any(start <= now <= end for start, end in map(_span, issuers)):
        subject = issuers[0].subject.rfc4514_string()
        _refuse_time(f"certificate of its authority ({subject})", _span(issuers[0]), now)
    if not isinstance(algorithm, hashes.SHA256 | hashes.SHA384 | hashes.SHA512):
        name = algorithm.name if algorithm is not None else "no known hash"
        raise invalid(f"the certificate {shown} is signed with {name}: have a new one issued, with SHA-256", element)
    if usage is not None and not usage.digital_signature:
        raise invalid(
            f"the certificate {shown} is not made for signatures: its keyUsage lacks digitalSignature", element
        )
    if not names & set(trusted.names):
        wanted = ", ".join(sorted(trusted.names))
        raise invalid(f"the certificate {shown} is for {', '.join(sorted(names)) or 'nobody'}, not {wanted}", element)


def _loaded(certificates: Collection[bytes]) -> Iterator[x509.Certificate]:
    return (x509.load_der_x509_certificate(each) for each in certificates)


def _has_issued(authority: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _names_of(certificate: x509.Certificate) -> set[str]:
    alternative = _extension(certificate, x509.SubjectAlternativeName)
    names = alternative.get_values_for_type(x509.DNSName) if alternative is not None else []
    if not names:
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        names = [str(each.value) for each in common]
    return {name.lower() for name in names}


def names_of(der: bytes) -> frozenset[str]:
    """Whom a certificate is for, as `Trust(authorities=…, names=…)` looks at it, in lower case.

    Raises:
        ConfigError: this is no certificate, or none that can be read.
    """
    try:
        return frozenset(_names_of(load_certificate(der)))
    except _UNREADABLE as error:
        raise ConfigError(f"the names in the certificate can't be read: {error}") from error


def _span(certificate: x509.Certificate) -> tuple[datetime, datetime]:
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def _refuse_time(what: str, span: tuple[datetime, datetime], now: datetime) -> NoReturn:
    start, end = span
    trouble = f"expired at {end.isoformat()}" if now > end else f"is not valid before {start.isoformat()}"
    raise SignatureInvalid(f"the {what} {trouble}: have a new one issued, or set the clock of this side", rule="516")


def _without_certificate(key_value: Element | None, where: Element, trusted: Trust, accept: Accepted) -> Signer:
    """The signer by a bare key in the message, or as the only one there could be."""
    known = [_load_signer(each) for each in trusted.certificates]
    known += [Signer(_load_public_key(each), each, None, b"", "", "", "", None) for each in trusted.public_keys]
    if key_value is not None:
        if not accept.allows("key-value"):
            _refuse("ds:KeyInfo holds a key but no certificate", key_value, "key-value")
        named = _numbers_in(key_value)
        known = [signer for signer in known if signer.key.public_numbers() == named]
        if not known:
            raise invalid(
                "the key in ds:KeyValue is not one that is trusted here: give its certificate or public key "
                "(a fingerprint is of a certificate, and the message has none)",
                key_value,
            )
    elif not accept.allows("key-name"):
        _refuse("the signature holds no certificate", where, "key-name")
    if len(known) != 1:
        raise invalid(f"the signature does not say its key, and {len(known)} are trusted here: give one", where)
    return known[0]


def _numbers_in(key_value: Element) -> object:
    """The public numbers of a `ds:KeyValue`."""
    try:
        (value,) = children_of(key_value)
        if value.tag == f"{_DS}RSAKeyValue":
            modulus, exponent = (int.from_bytes(BASE64.parse(text_of(part))) for part in children_of(value))
            return rsa.RSAPublicNumbers(exponent, modulus)
        if value.tag == f"{_DS11}ECKeyValue":
            curve, point = children_of(value)
            if curve.tag == f"{_DS11}NamedCurve" and curve.get("URI") == _P256:
                encoded = BASE64.parse(text_of(point))
                return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), encoded).public_numbers()
    except ValueError as error:
        raise invalid(f"ds:KeyValue can't be read: {error}", key_value) from error
    raise invalid("ds:KeyValue holds neither an RSA key nor one on P-256", key_value)
