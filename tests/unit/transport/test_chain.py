"""What is wrong with a certificate and its chain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from pyopenadr.cli.authority import Authority
from pyopenadr.transport.chain import check_chain
from tests.unit.transport.pki import END, NOW, START, Pki, certificate

KEY = ec.generate_private_key(ec.SECP256R1())
USAGE = x509.KeyUsage(True, False, False, False, True, False, False, False, False)
CA_USAGE = x509.KeyUsage(False, False, False, False, False, True, True, False, False)


def make(
    name: str | None = "ven-1",
    issuer: tuple[x509.Certificate, Any] | None = None,
    *,
    key: Any = KEY,
    digest: hashes.SHA256 | hashes.SHA3_256 | None = None,
    extensions: Sequence[x509.ExtensionType] = (USAGE,),
    start: datetime = START,
    end: datetime = END,
) -> x509.Certificate:
    """A certificate with anything in it, by an issuer, else by itself."""
    kind = x509.NameOID.COMMON_NAME if name is not None else x509.NameOID.ORGANIZATION_NAME
    subject = x509.Name([x509.NameAttribute(kind, name or "nobody")])
    builder = x509.CertificateBuilder(
        issuer[0].subject if issuer else subject, subject, key.public_key(), x509.random_serial_number(), start, end
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=isinstance(each, x509.KeyUsage))
    return builder.sign(issuer[1] if issuer else key, digest or hashes.SHA256())


def ca(name: str, issuer: Any = None, *, key: Any = KEY, length: int | None = None, **more: Any) -> x509.Certificate:
    return make(name, issuer, key=key, extensions=(x509.BasicConstraints(True, length), CA_USAGE), **more)


def root(pki: Pki) -> tuple[x509.Certificate, Any]:
    return pki.ec.own.certificate, pki.ec.own.key


def told(chain: Sequence[x509.Certificate], **more: Any) -> list[str]:
    """The findings but the notes."""
    found = check_chain(chain, **{"now": NOW, **more})
    return [f"{finding.severity}: {finding.text}" for finding in found if finding.severity != "note"]


@pytest.mark.parametrize("family", ["RSA", "EC"])
def test_nothing_is_wrong_with_what_is_right(pki: Pki, family: str) -> None:
    authorities = [pki.rsa.own.certificate, pki.ec.own.certificate]
    vtn = pki.of(family).issue("vtn.example.com", hosts=["vtn.example.com", "192.0.2.7"])
    for host in ("vtn.example.com", "VTN.example.com.", "192.0.2.7"):
        assert check_chain([vtn.certificate], now=NOW, key=vtn.key, authorities=authorities, host=host) == []
    ven = pki.of(family).issue("0A:1B:2C:3D:4E:5F")
    assert told([ven.certificate], key=ven.key, authorities=authorities) == []


def test_a_hybrid_is_right(pki: Pki) -> None:
    """2.0b rule 68: an EC key in a certificate by an RSA authority."""
    ven = pki.rsa.issue("ven-1", "EC")
    assert told([ven.certificate], key=ven.key, authorities=[pki.rsa.own.certificate]) == []


def test_a_long_chain_in_order_is_right(pki: Pki) -> None:
    lower_key = rsa.generate_private_key(65537, 2048)
    lower = ca("VEN CA", root(pki), key=lower_key, length=0)
    leaf = make("ven-1", (lower, lower_key))
    trusted = [pki.ec.own.certificate]
    assert told([leaf, lower], authorities=trusted) == []
    assert told([leaf, lower, *trusted], authorities=trusted) == []
    assert told([leaf], authorities=[lower]) == []
    assert told([leaf, lower], authorities=[lower]) == []
    assert told([leaf], authorities=trusted) == [
        "error: the chain is broken: the certificate of ven-1 is issued by VEN CA, which is neither in its file nor "
        "among the trusted authorities; add the certificate that is missing"
    ]
    assert told([leaf, pki.ec.own.certificate, lower], authorities=trusted) == [
        "error: the certificates are in the wrong order: each must be followed by its issuer, here ven-1, VEN CA, "
        "TEST EC Root CA"
    ]
    assert told([leaf, pki.rsa.own.certificate, lower], authorities=trusted) == [
        "warning: the file holds certificates that have not issued the one before them: TEST RSA Root CA; "
        "leave them out, or add what is missing between"
    ]


@pytest.mark.parametrize(
    ("chain", "expected"),
    [
        ({"end": NOW - timedelta(days=1)}, "error: the certificate of ven-1 has expired on "),
        ({"start": NOW + timedelta(days=1)}, "error: the certificate of ven-1 is not valid before "),
        ({"end": NOW + timedelta(days=5)}, "warning: the certificate of ven-1 expires on "),
        ({"key": rsa.generate_private_key(65537, 1024)}, "error: the key of ven-1 is weak: RSA 1024"),
        ({"key": ec.generate_private_key(ec.SECP192R1())}, "error: the key of ven-1 is weak: EC 192"),
        ({"key": ec.generate_private_key(ec.SECP224R1())}, "warning: the key of ven-1 is weak: EC 224"),
        ({"key": ed25519.Ed25519PrivateKey.generate()}, "error: the key of ven-1 is neither RSA nor EC"),
        ({"digest": hashes.SHA3_256()}, "error: the certificate of ven-1 is signed with sha3-256: it must be SHA-256"),
        ({"name": None}, "error: the certificate of O=nobody has no common name"),
        ({"name": "my device"}, "warning: the common name 'my device' is neither a DNS name nor a MAC address"),
        ({"extensions": ()}, "warning: the certificate of ven-1 has no keyUsage"),
        ({"extensions": (CA_USAGE,)}, "error: the keyUsage of ven-1 lacks digitalSignature"),
        (
            {"extensions": (USAGE, x509.BasicConstraints(True, None))},
            "warning: the certificate of ven-1 is one of an authority",
        ),
        (
            {"extensions": (USAGE, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]))},
            "warning: the extendedKeyUsage of ven-1 lacks clientAuth",
        ),
        (
            {"key": rsa.generate_private_key(65537, 2048)},
            "warning: the keyUsage of ven-1 lacks keyEncipherment",
        ),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told(pki: Pki, chain: dict[str, Any], expected: str) -> None:
    (only,) = [
        each
        for each in told([make(**{"issuer": root(pki), **chain})], authorities=[pki.ec.own.certificate])
        if "keyEncipherment" not in each or "keyEncipherment" in expected
    ]
    assert only.startswith(expected)


def test_sha1_is_told(pki: Pki) -> None:
    """cryptography makes no such signatures any more; a stand-in says what an old certificate says."""

    class Old:
        def __init__(self, real: x509.Certificate) -> None:
            self._real = real

        def __getattr__(self, name: str) -> Any:
            return hashes.SHA1() if name == "signature_hash_algorithm" else getattr(self._real, name)

    old: Any = Old(make("ven-1", root(pki)))
    assert told([old], authorities=[pki.ec.own.certificate]) == [
        "error: the certificate of ven-1 is signed with sha1: it must be SHA-256 (rule 68)"
    ]


def test_a_key_of_somebody_else_is_told(pki: Pki) -> None:
    assert told([make("ven-1", root(pki))], authorities=[pki.ec.own.certificate], key=pki.rsa.own.key) == [
        "error: the private key does not belong to the certificate: they were not made together"
    ]


def test_names_for_a_server_are_told(pki: Pki) -> None:
    trusted = {"authorities": [pki.ec.own.certificate]}
    without = certificate(pki.files("ven-EC"))
    assert told([without], host="localhost", **trusted) == [
        "error: clients refuse the certificate of ven-EC for localhost: it has no subjectAltName"
    ]
    assert [each.text for each in check_chain([without], now=NOW, authorities=[pki.ec.own.certificate])] == [
        "there is no subjectAltName: that is good enough for a VEN, not for a VTN"
    ]
    star = pki.ec.issue("vtn", hosts=["*.example.com"]).certificate
    assert told([star], host="a.example.com", **trusted) == []
    for host in ("example.com", "a.b.example.com", "192.0.2.1"):
        assert told([star], host=host, **trusted) == [
            f"error: clients refuse the certificate of vtn for {host}: it is good for *.example.com"
        ]


def test_the_use_of_a_server_is_told(pki: Pki) -> None:
    uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    names = x509.SubjectAlternativeName([x509.DNSName("vtn")])
    leaf = make("vtn", root(pki), extensions=(USAGE, uses, names))
    assert told([leaf], host="vtn", authorities=[pki.ec.own.certificate]) == [
        "error: the extendedKeyUsage of vtn lacks serverAuth: it is refused where it stands for a TLS server"
    ]


def test_a_namesake_of_the_authority_is_told(pki: Pki) -> None:
    other = Authority("EC", start=START, end=END)
    (only,) = told([make("ven-1", root(pki))], authorities=[other.own.certificate])
    assert only.startswith(
        "error: the chain is broken: a trusted authority is called TEST EC Root CA, but it has anoth"
    )


def test_a_self_signed_certificate_is_trusted_only_if_it_is_there(pki: Pki) -> None:
    alone = make("ven-1")
    assert told([alone], authorities=[alone]) == []
    assert told([alone], authorities=[pki.ec.own.certificate]) == [
        "error: the chain ends at ven-1, which is not among the trusted authorities"
    ]


def test_without_authorities_the_end_is_left_open(pki: Pki) -> None:
    found = check_chain([make("ven-1", root(pki))], now=NOW)
    assert [each.severity for each in found] == ["note", "note"]
    assert "whether TEST EC Root CA really has issued the certificate of ven-1 was not checked" in found[1].text


def test_issuers_that_may_not_issue_are_told(pki: Pki) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    trusted = {"authorities": [pki.ec.own.certificate]}
    party = make("party", root(pki), key=key)
    assert told([make("ven-1", (party, key)), party], **trusted) == [
        "error: party is no authority (basicConstraints) and so can't have issued certificates"
    ]
    unusual = make("unusual", root(pki), key=key, extensions=(x509.BasicConstraints(True, None), USAGE))
    assert told([make("ven-1", (unusual, key)), unusual], **trusted) == [
        "error: unusual may not issue certificates: its keyUsage lacks keyCertSign"
    ]
    upper = ca("upper", root(pki), key=key, length=0)
    lower = ca("lower", (upper, key), key=key)
    assert told([make("ven-1", (lower, key)), lower, upper], **trusted) == [
        "error: upper may have 0 authorities below it (pathLength), and has 1"
    ]


def test_an_expired_authority_is_told(pki: Pki) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    old = ca("old", key=key, end=NOW - timedelta(days=1))
    (only,) = told([make("ven-1", (old, key))], authorities=[old])
    assert only.startswith("error: the certificate of old has expired on ")


def test_errors_come_first(pki: Pki) -> None:
    chain = [make("my device", root(pki), extensions=(), end=NOW - timedelta(days=1))]
    assert [finding.severity for finding in check_chain(chain, now=NOW, authorities=[root(pki)[0]])] == [
        "error",
        "warning",
        "warning",
        "note",
    ]
