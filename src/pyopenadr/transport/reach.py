"""Which addresses a server may call that somebody else has named, so that nobody can send it where he likes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from urllib.parse import urlsplit

from pyopenadr.errors import ConfigError, TransportError

__all__ = ["Reach", "base_of", "is_loopback"]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Reach:
    """What may be called.

    With `networks` (such as `10.0.0.0/8`) only what lies in one of them. Without, everything but this machine
    (unless `loopback`), the local link (where clouds keep their secrets), and addresses that are nobody's.
    `insecure` lets plain `http:` go anywhere; without it only to this machine.

    Raises:
        ConfigError: one of the networks is none.
    """

    def __init__(
        self, networks: Iterable[str] | None = None, *, loopback: bool = False, insecure: bool = False
    ) -> None:
        try:
            self._networks = None if networks is None else [ipaddress.ip_network(network) for network in networks]
        except ValueError as error:
            raise ConfigError(f"networks must be like 10.0.0.0/8 or 2001:db8::/32: {error}") from error
        self._loopback = loopback
        self._insecure = insecure

    def allows(self, address: str) -> bool:
        """Whether the IP address may be called."""
        ip = _ip(address)
        if ip is None:
            return False
        if self._networks is not None:
            return any(ip in network for network in self._networks if network.version == ip.version)
        if ip.is_loopback:
            return self._loopback
        return not (ip.is_link_local or ip.is_multicast or ip.is_unspecified or (ip.is_reserved and ip.version == 4))

    def check(self, url: str) -> str:
        """The base address, if it may be called as far as its text says; names are judged when they are looked up.

        Raises:
            TransportError: it is no address, or not allowed.
        """
        base = base_of(url)
        parts = urlsplit(base)
        host = parts.hostname or ""
        ip = _ip(host)
        if parts.scheme == "http" and not self._insecure and not (host == "localhost" or (ip and ip.is_loopback)):
            raise TransportError(f"{base} is not encrypted: use https", retry=False)
        if ip is not None and not self.allows(host):
            raise self.refusal(host)
        return base

    @staticmethod
    def refusal(host: str) -> TransportError:
        """The error for an address that may not be called."""
        return TransportError(f"{host} lies in no network that may be called from here", retry=False)


def base_of(url: str) -> str:
    """The address without a slash at its end.

    Raises:
        TransportError: it is no address such as https://ven.example.com:8443/prefix.
    """
    try:
        parts = urlsplit(url.strip())
        is_fine = (parts.port is None or parts.port > 0) and parts.username is None and parts.password is None
    except ValueError:
        is_fine = False
    if not is_fine or parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise TransportError(f"{url!r} is no address like https://ven.example.com:8443", retry=False)
    return f"{parts.scheme}://{parts.netloc}{parts.path}".rstrip("/")


def _ip(text: str) -> _Address | None:
    """The IP address that the text is; that inside, where IPv4 is wrapped in IPv6."""
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip


def is_loopback(host: str) -> bool:
    """Whether a host, by name or by address, is this machine itself."""
    ip = _ip(host)
    return host == "localhost" or (ip is not None and ip.is_loopback)
