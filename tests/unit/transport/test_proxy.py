"""Certificates in the headers of a proxy: every form, and what is refused."""

from __future__ import annotations

import base64
import hashlib
from typing import Any
from urllib.parse import quote

import pytest

from pyopenadr.errors import ConfigError, TransportError
from pyopenadr.transport.certificate import certificate_der, fingerprint
from pyopenadr.transport.proxy import Shown, TrustedProxy
from tests.unit.transport.pki import Pki, certificate


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def der(pki: Pki) -> bytes:
    return certificate_der(certificate(pki.files("ven-EC")))


def proxy(**fields: Any) -> TrustedProxy:
    return TrustedProxy(**({"addresses": ["10.0.0.0/8", "::1"]} | fields))


def headers(**values: str) -> list[tuple[bytes, bytes]]:
    return [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in values.items()]


def test_every_form_gives_the_certificate(der: bytes, pki: Pki) -> None:
    encoded = base64.b64encode(der).decode()
    pem = quote(pki.file_bytes("ven-EC.pem").decode(), safe="")
    shown = Shown(der, None)
    assert proxy().shown(headers(Client_Cert=f":{encoded}:")) == shown
    assert proxy(header="X-SSL-Client-Cert").shown(headers(X_SSL_Client_Cert=pem)) == shown
    assert proxy(header="X-Cert", form="der").shown(headers(X_Cert=encoded)) == shown
    envoy = f'Hash=ab;Cert="{pem}";Subject="CN=a, b;c"'
    assert proxy(header="X-Forwarded-Client-Cert").shown(headers(X_Forwarded_Client_Cert=envoy)) == shown
    digest = hashlib.sha256(der).hexdigest()
    by_print = proxy(header="X-Print", form="fingerprint").shown(headers(X_Print=digest))
    assert by_print == Shown(None, fingerprint(der))


@pytest.mark.parametrize("value", ["", "-", "(null)", None])
def test_no_certificate_is_none(value: str | None) -> None:
    assert proxy().shown(headers(Client_Cert=value) if value is not None else []) == Shown(None, None)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("rfc9440", "AAAA"),
        ("rfc9440", ":AAAA:"),
        ("rfc9440", ":!:"),
        ("rfc9440", "::"),
        ("der", "AAAA"),
        ("der", "A" * 40_000),
        ("pem", "%2D"),
        ("pem", "-----BEGIN CERTIFICATE-----AAAA-----END CERTIFICATE-----"),
        ("xfcc", "Hash=ab"),
        ("xfcc", 'Cert="a",Cert="b"'),
        ("fingerprint", "AA:BB"),
    ],
)
def test_what_is_no_certificate_is_refused(form: Any, value: str) -> None:
    with pytest.raises(TransportError, match=f"can't be read as {form}") as refused:
        proxy(header="X", form=form).shown(headers(X=value))
    assert refused.value.status == 403


def test_two_headers_are_refused() -> None:
    with pytest.raises(TransportError, match="is there 2 times"):
        proxy().shown([(b"client-cert", b":AA:"), (b"client-cert", b":BB:")])


@pytest.mark.parametrize(("verdict", "is_good"), [("SUCCESS", True), ("0", True), ("NONE", False), ("FAILED:x", False)])
def test_the_proxys_own_check_counts(der: bytes, verdict: str, is_good: bool) -> None:
    checked = proxy(form="der", verify_header="X-Verify")
    found = headers(Client_Cert=base64.b64encode(der).decode(), X_Verify=verdict)
    if is_good:
        assert checked.shown(found).certificate == der
    else:
        with pytest.raises(TransportError, match="has not accepted"):
            checked.shown(found)
    with pytest.raises(TransportError, match="has not accepted"):
        checked.shown(found[:1])


@pytest.mark.parametrize(
    ("address", "is_ours"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("::1", True),
        ("::2", False),
        ("::ffff:10.1.2.3", True),
        ("fe80::1%eth0", False),
        ("a socket", False),
    ],
)
def test_the_proxy_is_known_by_its_address(address: str, is_ours: bool) -> None:
    assert proxy().is_proxy(address) is is_ours


def test_the_last_address_is_the_one_that_the_proxy_has_added() -> None:
    known = proxy(address_header="X-Forwarded-For")
    assert known.client(headers(X_Forwarded_For="1.1.1.1, 2.2.2.2")) == "2.2.2.2"
    assert known.client([]) is None
    assert known.client(headers(X_Forwarded_For="")) is None
    assert proxy().client(headers(X_Forwarded_For="1.1.1.1")) is None


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"addresses": []}, "list of the addresses"),
        ({"addresses": "10.0.0.1"}, "list of the addresses"),
        ({"addresses": ["proxy"]}, "neither an address nor a network"),
        ({"header": "a b"}, "no name of a header"),
        ({"verify_header": ""}, "no name of a header"),
        ({"header": "X-Cert"}, "say the form of header X-Cert"),
        ({"form": "p12"}, "form may be"),
    ],
)
def test_a_wrong_setting_is_said_at_once(fields: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        proxy(**fields)
