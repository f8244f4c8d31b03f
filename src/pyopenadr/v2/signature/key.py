"""Certificates, their fingerprints, and the key that signs."""

from __future__ import annotations

import binascii
import hashlib
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from pyopenadr.errors import ConfigError
from pyopenadr.v2.signature.algorithm import COORDINATE_BYTES, MORE, PublicKey, describe_weakness
from pyopenadr.v2.text import escape

__all__ = [
    "SigningKey",
    "certificate_der",
    "fingerprint",
    "fingerprint_text",
    "legacy_fingerprint",
    "load_certificate",
    "public_key_der",
]

PEM = b"-----BEGIN "
FINGERPRINT_BYTES = 10


def load_certificate(data: bytes) -> x509.Certificate:
    """The certificate of DER or PEM bytes; of several in PEM the first.

    Raises:
        ConfigError: there is none.
    """
    try:
        if PEM in data:
            return x509.load_pem_x509_certificates(data)[0]
        return x509.load_der_x509_certificate(data)
    except (ValueError, x509.InvalidVersion) as error:
        raise ConfigError(f"no X.509 certificate in DER or PEM form: {error}") from error


def certificate_der(certificate: x509.Certificate) -> bytes:
    """A certificate as DER bytes."""
    return certificate.public_bytes(serialization.Encoding.DER)


def public_key_der(key: object) -> bytes:
    """A public key as DER bytes (SubjectPublicKeyInfo)."""
    assert isinstance(key, PublicKey)
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint_text(der: bytes) -> str:
    """OpenADR's fingerprint of a certificate that is known to be one."""
    return hashlib.sha256(der).digest()[-FINGERPRINT_BYTES:].hex(":").upper()


def fingerprint(certificate: bytes) -> str:
    """The fingerprint by which OpenADR knows a certificate (DER or PEM): `2D:91:98:E4:E4:1D:F7:17:47:82`.

    It is the end of the SHA-256 digest of the DER form.

    Raises:
        ConfigError: this is no certificate.
    """
    return fingerprint_text(certificate_der(load_certificate(certificate)))


def legacy_fingerprint(certificate: bytes) -> str:
    """The fingerprint that old deployments show: the end of the SHA-1 digest. To be shown, not to be trusted.

    Raises:
        ConfigError: this is no certificate.
    """
    der = certificate_der(load_certificate(certificate))
    return hashlib.sha1(der, usedforsecurity=False).digest()[-FINGERPRINT_BYTES:].hex(":").upper()


class SigningKey:
    """A private key (RSA of 2048 bits or more, or P-256) with its certificate, loaded once.

    `certificate` is the DER form, `fingerprint` OpenADR's, `method` the URI of the signature method, `key_info` the
    canonical text of the `ds:KeyInfo` that goes with it.
    """

    __slots__ = ("_private_key", "certificate", "fingerprint", "key_info", "method")

    def __init__(
        self, certificate: x509.Certificate, private_key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    ) -> None:
        if weakness := describe_weakness(private_key):
            raise ConfigError(f"the private key is {weakness}")
        try:
            public_key = certificate.public_key()
            subject = escape(certificate.subject.rfc4514_string())
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"the certificate can't be used: {error}") from error
        if private_key.public_key() != public_key:
            raise ConfigError(
                "the private key does not belong to the certificate: give the two that were made together"
            )
        self._private_key = private_key
        self.certificate = certificate_der(certificate)
        self.fingerprint = fingerprint_text(self.certificate)
        kind = "rsa" if isinstance(private_key, rsa.RSAPrivateKey) else "ecdsa"
        self.method = f"{MORE}{kind}-sha256"
        self.key_info = (
            f"<ds:KeyInfo><ds:X509Data><ds:X509SubjectName>{subject}"
            f"</ds:X509SubjectName><ds:X509Certificate>{binascii.b2a_base64(self.certificate, newline=False).decode()}"
            "</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        )

    @classmethod
    def from_pem(cls, certificate: bytes, private_key: bytes, password: bytes | None = None) -> Self:
        """The key of the contents of two PEM files; of several certificates the first is the signer's.

        Raises:
            ConfigError: a file is not what it should be, the password is wrong, or the two don't belong together.
        """
        loaded = load_certificate(certificate)
        try:
            key = serialization.load_pem_private_key(private_key, password)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"the private key can't be read, look at its file and its password: {error}") from error
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ConfigError(f"the private key is {describe_weakness(key)}")
        return cls(loaded, key)

    def __repr__(self) -> str:
        return f"<SigningKey {self.fingerprint}>"

    def sign_bytes(self, data: bytes) -> bytes:
        """The signature over some bytes, as XML Signature has it (for P-256 that is r and s, 32 bytes each)."""
        if isinstance(self._private_key, rsa.RSAPrivateKey):
            return self._private_key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        r, s = utils.decode_dss_signature(self._private_key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(COORDINATE_BYTES) + s.to_bytes(COORDINATE_BYTES)
