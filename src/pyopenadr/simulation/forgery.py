"""Signatures of somebody whom nobody knows."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pyopenadr.clock import Clock
from pyopenadr.errors import WireError
from pyopenadr.v2.codec import decode
from pyopenadr.v2.signature import SigningKey, sign

__all__ = ["Forger", "fresh_key"]


def fresh_key(name: str, now: datetime) -> SigningKey:
    """A new key with a certificate that it has issued to itself, valid around `now`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    return SigningKey(certificate, key)


class Forger:
    """Puts on documents a signature that is right in itself, by a key that was made for this alone."""

    def __init__(self, clock: Clock, draw: random.Random) -> None:
        self._clock = clock
        self._draw = draw
        self._key: SigningKey | None = None

    def __call__(self, body: bytes) -> bytes:
        """The document with the signature; what is no message stays as it is."""
        now = self._clock.now()
        if self._key is None:
            self._key = fresh_key("a stranger", now)
        try:
            return sign(decode(body), self._key, now=now, nonce=f"{self._draw.getrandbits(128):032x}")
        except WireError:
            return body
