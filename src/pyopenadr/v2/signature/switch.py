"""The forms of signatures that are only accepted if the caller says so, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from pyopenadr.errors import ConfigError

__all__ = ["SWITCHES", "Accepted"]

SWITCHES: Mapping[str, str] = MappingProxyType(
    {
        "sha1": "SHA-1 in digests and signatures; rule 514 lists it, but it is broken",
        "exclusive-c14n": "exclusive canonical XML instead of inclusive",
        "enveloped-reference": "a reference to the whole document without the signature, instead of to the object",
        "properties-reference": "a reference to ds:SignatureProperties or ds:SignatureProperty, not to ds:Object",
        "certificate-chain": "several certificates in ds:KeyInfo; the first one is the signer's",
        "key-value": "ds:KeyInfo without a certificate but with a ds:KeyValue, which must be of a trusted key",
        "key-name": "ds:KeyInfo with neither, or none at all, where exactly one key is trusted",
    }
)
"""Every switch of `verify(…, accept=…)` with what it accepts."""


class Accepted:
    """Which switches one verification may use, and which it did use."""

    __slots__ = ("_allowed", "used")

    def __init__(self, names: Iterable[str]) -> None:
        self._allowed = frozenset(names)
        self.used: list[str] = []
        if not self._allowed <= SWITCHES.keys():
            unknown = sorted(self._allowed - SWITCHES.keys())
            raise ConfigError(f"no signature switch {', '.join(unknown)}: use {', '.join(SWITCHES)}")

    def allows(self, switch: str) -> bool:
        """Whether that form is accepted; if so, its use is noted."""
        if switch not in self._allowed:
            return False
        if switch not in self.used:
            self.used.append(switch)
        return True
