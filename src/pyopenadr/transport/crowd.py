"""How many connections each address has open, so that one of them can't take the places of all others."""

from __future__ import annotations

import ipaddress
import logging
from collections import Counter
from collections.abc import Callable

__all__ = ["Crowd"]

log = logging.getLogger("pyopenadr.transport")


class Crowd:
    """The open connections by address. At most `most` of one are let in; None is no bound.

    IPv6 is counted by /64, which is what one subscriber has. Those that `is_exempt` is true of are not counted.
    """

    def __init__(self, most: int | None, is_exempt: Callable[[str], bool] = lambda address: False) -> None:
        self._most = most
        self._is_exempt = is_exempt
        self._open: Counter[str] = Counter()
        self._told: set[str] = set()

    def enter(self, address: str | None) -> str | None:
        """Count a connection from that address; returns what to call `leave` with, None where it is not counted."""
        if self._most is None or address is None or self._is_exempt(address):
            return None
        key = _key(address)
        self._open[key] += 1
        return key

    def is_full(self, key: str | None) -> bool:
        """Whether there is one connection too many; the first time since there were none, the log says so."""
        if key is None or self._most is None or self._open[key] <= self._most:
            return False
        if key not in self._told:
            self._told.add(key)
            log.warning(
                "%s has more than %d connections open: more are refused (rates: connections_per_address)",
                key,
                self._most,
            )
        return True

    def leave(self, key: str | None) -> None:
        """A connection that was counted has ended."""
        if key is None:
            return
        self._open[key] -= 1
        if self._open[key] <= 0:
            del self._open[key]
            self._told.discard(key)


def _key(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
