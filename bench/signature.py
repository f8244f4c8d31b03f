"""Signing and verifying a poll, side by side with openleadr, each with RSA of 2048 bits and P-256.

openleadr reads its key from PEM text for each message; pyopenadr loads it once, and remembers the certificates that it
has read, as a server does that hears from the same VENs again and again. Both verify the same message, by openleadr.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from openleadr import messaging

from bench.measure import Row, compare
from pyopenadr.v2 import wire
from pyopenadr.v2.signature import SigningKey, Trust, sign, verify

__all__ = ["PACKAGES", "run"]

PACKAGES = ("cryptography", "lxml", "openleadr", "pyopenadr", "signxml")


def _identity(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> tuple[bytes, bytes]:
    """A certificate and its key in PEM form."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ven")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _rows(kind: str, certificate: bytes, private_key: bytes, targets: tuple[float, float]) -> list[Row]:
    message = wire.OadrPoll(ven_id="ven-1")
    key = SigningKey.from_pem(certificate, private_key)
    trusted = Trust(certificates=[certificate])
    now = datetime.now(UTC)

    def sign_theirs() -> str:
        text = messaging.create_message("oadrPoll", cert=certificate, key=private_key, ven_id="ven-1")
        assert isinstance(text, str)
        return text

    theirs = sign_theirs()
    data = theirs.encode()

    def verify_theirs() -> None:
        messaging.NONCE_CACHE.clear()  # the same message again and again
        tree = messaging.validate_xml_schema(theirs)
        messaging.validate_xml_signature(tree)
        messaging.parse_message(theirs)

    window = messaging.REPLAY_PROTECT_MAX_TIME_DELTA
    messaging.REPLAY_PROTECT_MAX_TIME_DELTA = timedelta(hours=1)
    try:
        return [
            compare(
                f"sign a poll, {kind}",
                lambda: sign(message, key, now=now, nonce="8c5b1d0f3a6e49b7"),
                sign_theirs,
                target=targets[0],
            ),
            compare(
                f"decode and verify a poll, {kind}",
                lambda: verify(data, trusted=trusted, now=now),
                verify_theirs,
                target=targets[1],
            ),
        ]
    finally:
        messaging.REPLAY_PROTECT_MAX_TIME_DELTA = window


def run() -> list[Row]:
    """Measure with both kinds of key."""
    rows = _rows("RSA", *_identity(rsa.generate_private_key(65537, 2048)), (100, 4))
    return rows + _rows("P-256", *_identity(ec.generate_private_key(ec.SECP256R1())), (6, 4))
