"""A proxy that does TLS in front of the server: the client's certificate comes in a header that it writes.

Only the proxy's word counts. Whoever else writes the header is refused, because it would be a certificate that nobody
has checked.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args
from urllib.parse import unquote_to_bytes

from pyopenadr.errors import ConfigError, TransportError

__all__ = ["ProxyForm", "Shown", "TrustedProxy"]

ProxyForm = Literal["rfc9440", "pem", "der", "xfcc", "fingerprint"]
"""How a certificate stands in a header.

`rfc9440`: base64 between colons (RFC 9440). `pem`: PEM, percent-encoded (nginx). `der`: base64 (HAProxy). `xfcc`: the
`Cert` of X-Forwarded-Client-Cert (Envoy). `fingerprint`: the SHA-256 digest in hex, without a certificate.
"""

_FORMS = MappingProxyType(
    {"client-cert": "rfc9440", "x-ssl-client-cert": "pem", "x-forwarded-client-cert": "xfcc"},
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_DIGEST = re.compile("[0-9A-F]{64}").fullmatch
_LONGEST = 32 * 1024
_GOOD = ("SUCCESS", "0")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Shown(NamedTuple):
    """A certificate in a header: DER, or only its fingerprint as OpenADR writes it."""

    certificate: bytes | None
    fingerprint: str | None


@dataclass(frozen=True, kw_only=True)
class TrustedProxy:
    """Which proxy is believed, and what it writes.

    `addresses` are those that it connects from: addresses or networks. `header` has the client's certificate;
    its `form` is known for Client-Cert, X-SSL-Client-Cert and X-Forwarded-Client-Cert, see `ProxyForm`.
    `verify_header` is a header with the outcome of the proxy's own check, and has to be SUCCESS (nginx) or 0 (HAProxy)
    whenever there is a certificate. `address_header` has the client's address, the last of them, for the log.

    Raises:
        ConfigError: a field is wrong; the text says which.
    """

    addresses: Sequence[str]
    header: str = "Client-Cert"
    form: ProxyForm | None = None
    verify_header: str | None = None
    address_header: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.addresses, str) or not self.addresses:
            raise ConfigError("proxy: addresses must be a list of the addresses that the proxy connects from")
        networks = []
        for address in self.addresses:
            try:
                networks.append(ipaddress.ip_network(address, strict=False))
            except ValueError as error:
                raise ConfigError(
                    f"proxy: {address!r} is neither an address nor a network such as 10.0.0.0/8"
                ) from error
        for name in (self.header, self.verify_header, self.address_header):
            if name is not None and _TOKEN(name) is None:
                raise ConfigError(f"proxy: {name!r} is no name of a header")
        form = self.form if self.form is not None else _FORMS.get(self.header.lower())
        if form not in get_args(ProxyForm):
            raise ConfigError(
                f"proxy: say the form of header {self.header}: form may be {', '.join(get_args(ProxyForm))}"
            )
        object.__setattr__(self, "form", form)
        object.__setattr__(self, "_networks", tuple(networks))

    def is_proxy(self, address: str) -> bool:
        """Whether a connection from that address is the proxy's."""
        return _is_in(address, self._networks)  # type: ignore[attr-defined]

    def shown(self, headers: Sequence[tuple[bytes, bytes]]) -> Shown:
        """The certificate that the proxy says the client has shown; nothing where it showed none.

        Raises:
            TransportError: 403, a header is not what it should be, or the proxy has not accepted the certificate.
        """
        value = _only(headers, self.header)
        if value in ("", "-", "(null)"):
            return Shown(None, None)
        if self.verify_header is not None and (verdict := _only(headers, self.verify_header)) not in _GOOD:
            raise _refused(f"the proxy has not accepted the certificate ({self.verify_header}: {verdict[:100]})")
        try:
            return _read(value, str(self.form))
        except (ValueError, ConfigError) as error:
            raise _refused(
                f"{self.header} can't be read as {self.form}: {error}; look at the proxy's settings"
            ) from error

    def has_header(self, headers: Sequence[tuple[bytes, bytes]]) -> bool:
        """Whether somebody has written the header of the certificate."""
        wanted = self.header.lower().encode()
        return any(name == wanted for name, _ in headers)

    def client(self, headers: Sequence[tuple[bytes, bytes]]) -> str | None:
        """The client's address as the proxy says it: the last one, which the proxy itself has added."""
        if self.address_header is None:
            return None
        wanted = self.address_header.lower().encode()
        values = [value.decode("latin-1") for name, value in headers if name == wanted]
        return values[-1].rpartition(",")[2].strip()[:100] or None if values else None


def _only(headers: Sequence[tuple[bytes, bytes]], name: str) -> str:
    """The value of a header that may stand there once; nothing if it is not there."""
    wanted = name.lower().encode()
    values = [value for found, value in headers if found == wanted]
    if len(values) > 1:
        raise _refused(f"{name} is there {len(values)} times: the proxy must replace what clients send")
    return values[0].decode("latin-1").strip() if values else ""


def _refused(text: str) -> TransportError:
    return TransportError(text, status=403, retry=False)


@lru_cache(maxsize=1024)
def _is_in(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return any((mapped or parsed) in network for network in networks)


@lru_cache(maxsize=4096)  # a VEN's header is the same each time
def _read(value: str, form: str) -> Shown:
    from pyopenadr.transport.certificate import described

    if len(value) > _LONGEST:
        raise ValueError(f"it has more than {_LONGEST} characters")
    if form == "fingerprint":
        plain = value.replace(":", "").upper()
        if _DIGEST(plain) is None:
            raise ValueError("a SHA-256 digest has 64 hex digits")
        return Shown(None, ":".join(plain[-20:][at : at + 2] for at in range(0, 20, 2)))
    if form == "rfc9440":
        if len(value) < 3 or value[0] != ":" or value[-1] != ":":
            raise ValueError("it must be base64 between two colons")
        der = _base64(value[1:-1])
    elif form == "der":
        der = _base64(value)
    else:
        der = _pem(value if form == "pem" else _envoy(value))
    described(der)
    return Shown(der, None)


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("it is not base64") from error


def _pem(text: str) -> bytes:
    """The first certificate in PEM, percent-encoded."""
    found = re.search(
        rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----", unquote_to_bytes(text)
    )
    if found is None:
        raise ValueError("there is no certificate in PEM form, percent-encoded")
    return _base64(b"".join(found[1].split()).decode())


def _envoy(text: str) -> str:
    """The `Cert` of the one element of X-Forwarded-Client-Cert."""
    parts = re.findall(r'([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^;,]*)([;,]?)', text)
    if any(end == "," for *_, end in parts):
        raise ValueError("there are several elements: set forward_client_cert_details to SANITIZE_SET")
    found = [value.strip('"') for name, value, _ in parts if name.lower() == "cert"]
    if len(found) != 1:
        raise ValueError("it has no Cert: set set_current_client_cert_details to cert: true")
    return str(found[0])
