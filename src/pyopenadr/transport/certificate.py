"""Certificates as files and as people know them: reading them, their names, their fingerprints.

Whoever needs no certificate should not import this at the top: it loads `cryptography`.
"""

from __future__ import annotations

import hashlib
import os
import re
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pyopenadr.errors import ConfigError

__all__ = [
    "Described",
    "FilePath",
    "certificate_der",
    "common_name",
    "described",
    "extension",
    "fingerprint",
    "is_authority",
    "is_self_issued",
    "key_family",
    "key_text",
    "legacy_fingerprint",
    "name_text",
    "read_certificates",
    "read_file",
    "read_key",
    "read_revocation_lists",
]

FilePath = str | os.PathLike[str]
Extension = TypeVar("Extension", bound=x509.ExtensionType)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_FINGERPRINT_BYTES = 10
_PEM = b"-----BEGIN "
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_LIST = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


def fingerprint(der: bytes) -> str:
    """The fingerprint by which OpenADR knows a certificate (DER): the end of its SHA-256 digest, 29 characters."""
    return hashlib.sha256(der).digest()[-_FINGERPRINT_BYTES:].hex(":").upper()


class Described(NamedTuple):
    """A certificate as those see it who let its holder in."""

    fingerprint: str
    common_name: str | None
    not_after: datetime


@lru_cache(maxsize=4096)
def described(der: bytes) -> Described:
    """Fingerprint, common name and end of a certificate (DER).

    Raises:
        ConfigError: this is no certificate.
    """
    try:
        certificate = x509.load_der_x509_certificate(der)
        return Described(fingerprint(der), common_name(certificate.subject), certificate.not_valid_after_utc)
    except (ValueError, TypeError, x509.InvalidVersion) as error:  # TypeError: a name that is a string of bits
        raise ConfigError(f"no X.509 certificate in DER form: {error}") from error


def legacy_fingerprint(der: bytes) -> str:
    """The fingerprint that old deployments show: the end of the SHA-1 digest. To be shown, not to be trusted."""
    return hashlib.sha1(der, usedforsecurity=False).digest()[-_FINGERPRINT_BYTES:].hex(":").upper()


def read_file(path: FilePath, what: str) -> bytes:
    """The content of a file; `what` says in the error message what it is for.

    Raises:
        ConfigError: it can't be read, or is empty.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{what} {os.fspath(path)} can't be read: {error.strerror or error}") from error
    if not data.strip():
        raise ConfigError(f"{what} {os.fspath(path)} is empty")
    return data


def read_certificates(
    path: FilePath, what: str = "the certificate file", *, der: bool = True
) -> list[x509.Certificate]:
    """All certificates of a file in PEM form, or the one of a file in DER form (if `der` allows that).

    Raises:
        ConfigError: there is none, or one is damaged.
    """
    data, where = read_file(path, what), f"{what} {os.fspath(path)}"
    if _CERTIFICATE in data:
        try:
            return x509.load_pem_x509_certificates(data)
        except (ValueError, x509.InvalidVersion) as error:
            raise ConfigError(f"{where} holds a damaged certificate: {error}; get the file anew") from error
    if b"PRIVATE KEY-----" in data:
        raise ConfigError(f"{where} holds a private key and no certificate: did the two files change places?")
    if _PEM in data:
        raise ConfigError(f"{where} holds no certificate (a block that starts with {_CERTIFICATE.decode()})")
    try:
        certificate = x509.load_der_x509_certificate(data)
    except (ValueError, x509.InvalidVersion) as error:
        raise ConfigError(f"{where} holds no X.509 certificate in PEM form") from error
    if not der:
        raise ConfigError(
            f"{where} is in DER form: convert it to PEM (openssl x509 -inform der -in FILE -out FILE.pem)"
        )
    return [certificate]


def read_key(path: FilePath, password: str | None = None, what: str = "the key file") -> PrivateKey:
    """The private key of a file in PEM form.

    Raises:
        ConfigError: there is none, it is encrypted and the password is missing or wrong, or it is neither RSA nor EC.
    """
    data, where = read_file(path, what), f"{what} {os.fspath(path)}"
    if b"PRIVATE KEY-----" not in data:
        raise ConfigError(f"{where} holds no private key in PEM form: is it the right file?")
    try:
        key = serialization.load_pem_private_key(data, password.encode() if password else None)
    except TypeError as error:  # what cryptography says to a password too few, or one too many
        if password:
            return read_key(path, None, what)
        raise ConfigError(f"{where} is encrypted: give its password") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        reason = "the password is wrong, or the file is damaged" if password else "the file is damaged"
        raise ConfigError(f"{where} can't be used: {reason}") from error
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise ConfigError(f"{where} holds a key that is neither RSA nor EC; OpenADR has no other")
    return key


def read_revocation_lists(path: FilePath) -> list[x509.CertificateRevocationList]:
    """All revocation lists (CRLs) of a file in PEM form.

    Raises:
        ConfigError: there is none, or one is damaged.
    """
    data, where = read_file(path, "the CRL file"), f"the CRL file {os.fspath(path)}"
    try:
        lists = [x509.load_pem_x509_crl(block) for block in _LIST.findall(data)]
    except ValueError as error:
        raise ConfigError(f"{where} holds a damaged revocation list: {error}; get the file anew") from error
    if not lists:
        hint = "" if _PEM in data else "; if it is in DER form: openssl crl -inform der -in FILE -out FILE.pem"
        raise ConfigError(f"{where} holds no revocation list in PEM form{hint}")
    return lists


def certificate_der(certificate: x509.Certificate) -> bytes:
    """A certificate as DER bytes."""
    return certificate.public_bytes(serialization.Encoding.DER)


def common_name(name: x509.Name) -> str | None:
    """The (first) common name, which for OpenADR is a DNS name or a device's MAC address."""
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else None


def is_good_for(der: bytes, host: str) -> bool:
    """Whether a certificate (DER) names that host or IP address, as its CN or among its alternative names."""
    certificate = x509.load_der_x509_certificate(der)
    names = [common_name(certificate.subject)]
    found = extension(certificate, x509.SubjectAlternativeName)
    if found is not None:
        names += found.get_values_for_type(x509.DNSName)
        names += map(str, found.get_values_for_type(x509.IPAddress))
    return host.lower() in (name.lower() for name in names if name is not None)


def name_text(name: x509.Name) -> str:
    """What to call a party in a message: its common name, else the whole name."""
    return common_name(name) or name.rfc4514_string() or "(no name)"


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Whether the issuer is the certificate's own subject, as a root's is."""
    return certificate.issuer == certificate.subject


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether it may issue certificates. One of the first version (X.509v1) may, if it is self-issued."""
    if certificate.version is x509.Version.v1:
        return is_self_issued(certificate)
    constraints = extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    """An extension of a certificate; None if it has none of that kind, or one that nobody can read."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError):
        return None


def key_family(key: object) -> str:
    """RSA or EC, of a private or a public key; else the name that `cryptography` has for it."""
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey):
        return "RSA"
    return "EC" if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) else type(key).__name__


def key_text(key: object) -> str:
    """Family and size of a public key: `RSA 2048`, `EC 256`."""
    size = getattr(key, "key_size", None)
    return f"{key_family(key)} {size}" if size is not None else key_family(key)
