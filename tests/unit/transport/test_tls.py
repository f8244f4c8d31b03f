"""Settings of TLS: every usual mistake is told in words. What contexts do on a connection is in test_server.py."""

from __future__ import annotations

import logging
import ssl
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from pyopenadr.cli.authority import Authority
from pyopenadr.errors import ConfigError
from pyopenadr.transport.tls import ClientTls, ServerTls, client_context, explain_tls_error, server_context
from tests.unit.transport.pki import NOW, START, Pki, certificate, revocation_list


def encrypted_key(pki: Pki, password: str) -> str:
    """The file of the VTN's EC key, encrypted."""
    key = serialization.load_pem_private_key(pki.file_bytes("vtn-EC.key"), None)
    return pki.file(
        "encrypted.key",
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password.encode()),
        ),
    )


def der(pki: Pki) -> bytes:
    return certificate(pki.files("vtn-EC")).public_bytes(serialization.Encoding.DER)


def small(pki: Pki) -> tuple[str, str]:
    """A certificate with an RSA key of 1024 bits."""
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "small")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, START, NOW + timedelta(days=100))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signed = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    return pki.file("small.pem", signed), pki.file("small.key", private)


def settings(pki: Pki, **changes: Any) -> ServerTls:
    return ServerTls(**{"certificates": pki.vtn, "ca_file": pki.ca_file, **changes})


MISTAKES: dict[str, tuple[Any, str]] = {
    "no certificate": (lambda pki: {"certificates": []}, "certificates is empty"),
    "missing certificate": (
        lambda pki: {"certificates": [("none.pem", pki.vtn[0].key)]},
        r"the certificate file none\.pem can't be read: No such file",
    ),
    "missing key": (
        lambda pki: {"certificates": [(pki.vtn[0].cert, "none.key")]},
        r"the key file none\.key can't be read: No such file",
    ),
    "a folder": (lambda pki: {"ca_file": pki.folder}, "can't be read: Is a directory"),
    "empty": (lambda pki: {"ca_file": pki.file("empty", b"\n")}, "empty is empty"),
    "changed places": (lambda pki: {"certificates": [pki.vtn[0][::-1]]}, "did the two files change places"),
    "key is a certificate": (
        lambda pki: {"certificates": [(pki.vtn[0].cert, pki.vtn[0].cert)]},
        "holds no private key in PEM form",
    ),
    "no key in the certificate's file": (
        lambda pki: {"certificates": [(pki.vtn[0].cert, None)]},
        r"vtn-RSA\.pem holds no private key in PEM form: give the file of the key",
    ),
    "key of another certificate": (
        lambda pki: {"certificates": [(pki.vtn[0].cert, pki.files("ven-RSA").key)]},
        "does not belong to the certificate",
    ),
    "key of the other family": (
        lambda pki: {"certificates": [(pki.vtn[0].cert, pki.vtn[1].key)]},
        "does not belong to the certificate",
    ),
    "no password": (
        lambda pki: {"certificates": [(pki.vtn[1].cert, encrypted_key(pki, "secret"))]},
        "is encrypted: give its password",
    ),
    "wrong password": (
        lambda pki: {"certificates": [(pki.vtn[1].cert, encrypted_key(pki, "secret"))], "password": "wrong"},
        "the password is wrong",
    ),
    "damaged key": (
        lambda pki: {
            "certificates": [
                (pki.vtn[1].cert, pki.file("bad.key", pki.file_bytes("vtn-EC.key").replace(b"M", b"N", 3)))
            ]
        },
        "is one of them damaged",
    ),
    "damaged certificate": (
        lambda pki: {"ca_file": pki.file("bad.pem", pki.file_bytes("ca.pem").replace(b"M", b"N", 9))},
        "holds a damaged certificate",
    ),
    "DER": (
        lambda pki: {"certificates": [(pki.file("vtn.der", der(pki)), pki.vtn[1].key)]},
        "is in DER form: convert it to PEM",
    ),
    "no certificate at all": (
        lambda pki: {"ca_file": pki.file("letter.txt", b"Dear Sirs")},
        "the CA file .*letter.txt holds no X.509 certificate in PEM form",
    ),
    "a CRL for an authority": (
        lambda pki: {"ca_file": pki.file("a.crl", revocation_list(pki.ec))},
        "holds no certificate",
    ),
    "expired": (
        lambda pki: {"certificates": [pki.keep("late", pki.ec.issue("late-vtn", end=NOW - timedelta(days=2)))]},
        r"late\.pem: the certificate of late-vtn has expired on \d{4}-\d\d-\d\d: get a new one",
    ),
    "not valid yet": (
        lambda pki: {"certificates": [pki.keep("early", pki.ec.issue("early", start=NOW + timedelta(days=2)))]},
        "is not valid before .*clock",
    ),
    "weak key": (lambda pki: {"certificates": [small(pki)]}, "too weak for TLS: get a certificate for RSA 2048"),
    "two of a family": (
        lambda pki: {"certificates": [pki.vtn[1], pki.files("ven-EC")]},
        "two EC certificates",
    ),
    "no authorities": (lambda pki: {"ca_file": None}, "ca_file is missing.*client_certificate_required=False"),
    "no authority among them": (
        lambda pki: {"ca_file": pki.files("ven-EC").cert},
        r"ven-EC\.pem holds no certificate of an authority",
    ),
    "authority expired": (
        lambda pki: {
            "ca_file": pki.keep("old", Authority("EC", start=START, end=NOW - timedelta(days=9), name="Old").own).cert
        },
        "the certificate of Old has expired",
    ),
    "lists without authorities": (
        lambda pki: {"ca_file": None, "client_certificate_required": False, "crl_file": "a.crl"},
        "crl_file is given without ca_file",
    ),
    "no lists": (lambda pki: {"crl_file": pki.ca_file}, r"the CRL file .*ca\.pem holds no revocation list in PEM form"),
    "list out of date": (
        lambda pki: {"crl_file": pki.file("old.crl", revocation_list(pki.ec, end=NOW - timedelta(days=1)))},
        "the list of TEST EC Root CA in the CRL file .* is out of date since",
    ),
    "profile": (lambda pki: {"profile": "ancient"}, "profile is 'ancient', and may be modern or openadr"),
    "version": (lambda pki: {"minimum_version": "1.0"}, "'1.0' is no TLS version that can be used"),
    "versions crossed": (
        lambda pki: {"profile": "openadr", "minimum_version": "1.3"},
        r"minimum version, TLS 1\.3, is above the maximum, TLS 1\.2",
    ),
    "unknown suite": (lambda pki: {"ciphers": "SECRET-SAUCE"}, "'SECRET-SAUCE', and OpenSSL knows no suite"),
}


@pytest.mark.parametrize(("changes", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_told(pki: Pki, changes: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        server_context(settings(pki, **changes(pki)))


@pytest.mark.parametrize(
    ("client", "message"),
    [
        (ClientTls(key="a.key"), "key is given without cert"),
        (ClientTls(crl_file="a.crl"), "crl_file is given without ca_file"),
        (ClientTls(cert="none.pem"), r"none\.pem can't be read"),
    ],
)
def test_mistakes_of_clients_are_told(client: ClientTls, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        client_context(client)


def test_an_encrypted_key_is_used_with_its_password_and_never_shows_it(pki: Pki) -> None:
    tls = settings(pki, certificates=[(pki.vtn[1].cert, encrypted_key(pki, "secret"))], password="secret")
    server_context(tls)
    assert "secret" not in repr(tls)


def test_certificate_and_key_may_be_in_one_file(pki: Pki) -> None:
    both = pki.file("both.pem", pki.file_bytes("vtn-EC.key") + pki.file_bytes("vtn-EC.pem"))
    server_context(settings(pki, certificates=[(both, None)]))
    client_context(ClientTls(cert=both, ca_file=pki.ca_file))


def test_a_certificate_that_soon_expires_is_warned_about(pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
    soon = pki.keep("soon", pki.ec.issue("soon-vtn", end=NOW + timedelta(days=7, hours=1)))
    with caplog.at_level(logging.WARNING):
        server_context(settings(pki, certificates=[soon]))
    assert "the certificate of soon-vtn expires on" in caplog.text
    assert "in 7 days" in caplog.text


def test_a_list_of_an_authority_that_is_not_trusted_is_warned_about(pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
    server_context(
        settings(
            pki,
            ca_file=pki.file("ec.pem", pki.ec.own.certificate_pem),
            crl_file=pki.file("r.crl", revocation_list(pki.rsa)),
        )
    )
    assert "a list of TEST RSA Root CA, which is not in the CA file" in caplog.text


def test_a_client_trusts_what_the_machine_trusts_and_checks_names_unless_told() -> None:
    context = client_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats() == ssl.create_default_context().cert_store_stats()


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("openadr", ["ECDHE-ECDSA-AES128-SHA256", "AES128-SHA256"]),
        ("modern", ["ECDHE-ECDSA-AES128-SHA256", "AES128-SHA256"]),
    ],
)
def test_a_client_offers_the_suites_of_rule_67_last(profile: Any, expected: list[str]) -> None:
    names = [each["name"] for each in client_context(ClientTls(profile=profile)).get_ciphers()]
    assert names[-2:] == expected
    assert len(names) == 2 or all("GCM" in name or "CHACHA20" in name for name in names[:-2])


def test_a_server_of_profile_modern_takes_aead_only(pki: Pki) -> None:
    names = [each["name"] for each in server_context(settings(pki)).get_ciphers()]
    assert len(names) > 5
    assert all("GCM" in name or "CHACHA20" in name for name in names)


# --- errors in words ----------------------------------------------------------------------------------------------


class Wrapped(OSError):
    """An error as aiohttp makes them, with the real one in an attribute."""

    def __init__(self, inner: Exception) -> None:
        super().__init__("wrapped")
        self.os_error = inner


def reasoned(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, f"[SSL: {reason}]")
    error.reason = reason
    return error


def unverified(code: int, message: str = "strange") -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, message
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (reasoned("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "the other side refused: it wants a certificate from us"),
        (reasoned("SSLV3_ALERT_CERTIFICATE_EXPIRED"), "the other side refused: our certificate has expired"),
        (reasoned("TLSV1_UNRECOGNIZED_NAME"), "the other side refused: it has nothing under the name"),
        (reasoned("TLSV1_ALERT_USER_CANCELLED"), "the other side refused: user cancelled; look at its log"),
        (reasoned("WRONG_VERSION_NUMBER"), "the other side does not speak TLS on this port"),
        (reasoned("BAD_LUCK"), "the TLS connection failed: bad luck"),
        (unverified(10), "we refused the other side's certificate: it, or one in its chain, has expired"),
        (unverified(99), "we refused the other side's certificate: strange; look at it"),
        (Wrapped(reasoned("TLSV1_ALERT_UNKNOWN_CA")), "the other side refused: it does not trust the authority of our"),
        (Wrapped(unverified(62)), "we refused the other side's certificate: it is for another name"),
        (ConnectionResetError(104, "reset"), "the other side broke off"),
        (ssl.SSLEOFError(8, "EOF"), "the other side broke off"),
        (ValueError("surprise"), "the TLS connection failed: surprise"),
    ],
    ids=repr,
)
def test_errors_are_told_in_words(error: Exception, said: str) -> None:
    assert explain_tls_error(error).startswith(said)


def test_an_error_behind_an_error_is_found() -> None:
    outer = RuntimeError("outer")
    outer.__cause__ = unverified(23)
    assert explain_tls_error(outer).startswith("we refused the other side's certificate: it is revoked")
