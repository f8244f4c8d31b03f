"""Reading certificates, their names and fingerprints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from pyopenadr.errors import ConfigError
from pyopenadr.transport.certificate import (
    certificate_der,
    common_name,
    fingerprint,
    is_authority,
    is_self_issued,
    key_text,
    legacy_fingerprint,
    name_text,
    read_certificates,
    read_key,
    read_revocation_lists,
)
from pyopenadr.v2 import signature
from tests.unit.transport.pki import Pki, certificate, revocation_list

VECTORS = Path(__file__).parents[2] / "vectors"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("s_cert_rsa.pem", "2D:91:98:E4:E4:1D:F7:17:47:82"), ("s_cert_ecc.pem", "69:AB:A3:AC:E5:B4:35:B4:A1:73")],
)
def test_fingerprints_are_those_of_the_reference_and_of_the_signature(name: str, expected: str) -> None:
    pem = (VECTORS / name).read_bytes()
    der = certificate_der(read_certificates(VECTORS / name)[0])
    assert fingerprint(der) == expected == signature.fingerprint(pem)
    assert legacy_fingerprint(der) == signature.legacy_fingerprint(pem)
    assert re.fullmatch(r"([0-9A-F]{2}:){9}[0-9A-F]{2}", legacy_fingerprint(der))


def test_all_certificates_of_a_file_are_read_in_order(pki: Pki) -> None:
    assert [name_text(each.subject) for each in read_certificates(pki.ca_file)] == [
        "TEST RSA Root CA",
        "TEST EC Root CA",
    ]


def test_der_is_read_where_it_may_be(pki: Pki) -> None:
    expected = certificate(pki.files("ven-RSA"))
    path = pki.file("ven.der", certificate_der(expected))
    assert read_certificates(path) == [expected]


def test_the_name_is_the_common_name_else_the_whole_one() -> None:
    unit = x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "unit")
    assert name_text(x509.Name([unit, x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])) == "a"
    assert (common_name(x509.Name([unit])), name_text(x509.Name([unit]))) == (None, "OU=unit")
    assert name_text(x509.Name([])) == "(no name)"


def test_authorities_are_told_from_parties(pki: Pki) -> None:
    assert is_authority(pki.ec.own.certificate)
    assert is_self_issued(pki.ec.own.certificate)
    assert not is_authority(certificate(pki.files("vtn-EC")))
    assert not is_self_issued(certificate(pki.files("vtn-EC")))


def test_keys_are_named_by_family_and_size(pki: Pki) -> None:
    assert [key_text(certificate(pki.files(f"ven-{each}")).public_key()) for each in ("RSA", "EC")] == [
        "RSA 2048",
        "EC 256",
    ]
    assert key_text(ed25519.Ed25519PrivateKey.generate().public_key()) == "Ed25519PublicKey"


def test_keys_are_read_with_and_without_password(pki: Pki) -> None:
    key = read_key(pki.files("ven-EC").key)
    assert key.public_key() == certificate(pki.files("ven-EC")).public_key()
    assert read_key(pki.files("ven-EC").key, "not needed").public_key() == key.public_key()
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    path = pki.file("secret.key", secret)
    assert read_key(path, "secret").public_key() == key.public_key()
    with pytest.raises(ConfigError, match="is encrypted: give its password"):
        read_key(path)
    with pytest.raises(ConfigError, match="the password is wrong"):
        read_key(path, "wrong")


def test_other_keys_are_refused(pki: Pki) -> None:
    key = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ConfigError, match="neither RSA nor EC"):
        read_key(pki.file("ed.key", key))
    with pytest.raises(ConfigError, match="no private key in PEM form"):
        read_key(pki.ca_file)
    with pytest.raises(ConfigError, match="the file is damaged"):
        read_key(pki.file("cut.key", pki.file_bytes("ven-EC.key")[:60]))


def test_all_lists_of_a_file_are_read(pki: Pki) -> None:
    path = pki.file("two.crl", revocation_list(pki.rsa) + revocation_list(pki.ec))
    assert [name_text(each.issuer) for each in read_revocation_lists(path)] == ["TEST RSA Root CA", "TEST EC Root CA"]
    with pytest.raises(ConfigError, match="openssl crl -inform der"):
        read_revocation_lists(pki.file("der.crl", b"\x30\x03\x01\x02\x03"))
    with pytest.raises(ConfigError, match="damaged revocation list"):
        read_revocation_lists(pki.file("bad.crl", revocation_list(pki.ec).replace(b"M", b"N", 5)))
