"""An authority for tests: issues certificates with the extensions that OpenADR's own have."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

__all__ = ["Authority", "Family", "Issued"]

Family = Literal["RSA", "EC"]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class Issued(NamedTuple):
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key as PEM, not encrypted."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


class Authority:
    """A root of one family. What it issues is as valid, by default, as itself: from `start` to `end`."""

    def __init__(self, family: Family, *, start: datetime, end: datetime, name: str | None = None) -> None:
        self.family = family
        self.start = start
        self.end = end
        key = _new_key(family)
        self._name = _named(name or f"TEST {family} Root CA", f"TEST {family} CA")
        usage = _key_usage(key_cert_sign=True, crl_sign=True)
        certificate = (
            _builder(self._name, self._name, key, start, end)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        self.own = Issued(certificate, key)

    def issue(
        self,
        name: str,
        family: Family | None = None,
        *,
        hosts: Sequence[str] = (),
        unit: str = "VEN",
        start: datetime | None = None,
        end: datetime | None = None,
    ) -> Issued:
        """A certificate for a party.

        Args:
            name: its common name: for a VTN the name of its machine, for a VEN that or its MAC address.
            family: of its key; that of the authority if not given.
            hosts: the names and addresses under which it is a server.
            unit: VTN or VEN, which only stands in the subject.
            start, end: when it is valid, if not as long as the authority.
        """
        family = family or self.family
        key = _new_key(family)
        usage = _key_usage(key_encipherment=family == "RSA", key_agreement=family == "EC", digital_signature=True)
        subject = _named(name, f"TEST {family} {unit} Certificate")
        builder = (
            _builder(subject, self._name, key, start or self.start, end or self.end)
            .add_extension(usage, critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.own.key.public_key()), critical=False
            )
        )
        if hosts:
            names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        return Issued(builder.sign(self.own.key, hashes.SHA256()), key)


def _new_key(family: Family) -> PrivateKey:
    return rsa.generate_private_key(65537, 2048) if family == "RSA" else ec.generate_private_key(ec.SECP256R1())


def _named(name: str, unit: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "pyopenadr"),
            x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, name),
        ]
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: PrivateKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _key_usage(
    *,
    digital_signature: bool = False,
    key_encipherment: bool = False,
    key_agreement: bool = False,
    key_cert_sign: bool = False,
    crl_sign: bool = False,
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=key_encipherment,
        data_encipherment=False,
        key_agreement=key_agreement,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )
