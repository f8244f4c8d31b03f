"""HTTP from a VTN to a VEN: as from a client, but only to allowed addresses and to the certificate that is expected."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Collection, Sequence

from pyopenadr.errors import TransportError
from pyopenadr.transport.connection import Address, look_up
from pyopenadr.transport.http import HttpTransport
from pyopenadr.transport.port import Reply
from pyopenadr.transport.reach import Reach

__all__ = ["PushTransport"]


class PushTransport(HttpTransport):
    """Posts to one VEN.

    Args:
        reach: the addresses that may be called; a name is judged by what it leads to at the moment of connecting.
        fingerprints: OpenADR's fingerprints of the certificates that the VEN may show; empty takes any that `context`
            accepts.
        context: how to do TLS. With fingerprints it need not check host names.
        timeout_s: how long one exchange may take.
    """

    most_connections = 2

    def __init__(
        self, reach: Reach, *, fingerprints: Collection[str], context: ssl.SSLContext | None, timeout_s: float
    ) -> None:
        super().__init__(timeout_s=timeout_s, context=context)
        self._reach = reach
        self._fingerprints = fingerprints

    async def post(self, url: str, body: bytes) -> Reply:
        """As `HttpTransport.post`; the address itself is judged first.

        Raises:
            TransportError: also if the address must not be called, or its server is not the one that is expected.
        """
        self._reach.check(url)  # names are looked at once they are resolved, which numbers are not
        return await super().post(url, body)

    async def _look_up(self, host: str, port: int) -> Sequence[Address]:
        allowed = [one for one in await look_up(host, port) if self._reach.allows(str(one.address[0]))]
        if not allowed:
            raise self._reach.refusal(host)
        return allowed

    def _check(self, transport: asyncio.Transport) -> None:
        _check(transport, self._fingerprints)


def _check(transport: asyncio.Transport, fingerprints: Collection[str]) -> None:
    """Whether the connection leads to the owner of the certificate.

    Raises:
        TransportError: it leads to somebody else.
    """
    from pyopenadr.transport.certificate import fingerprint as fingerprint_of

    connection = transport.get_extra_info("ssl_object")
    if not fingerprints or connection is None:
        return
    shown = connection.getpeercert(binary_form=True)
    if not shown or fingerprint_of(shown) not in fingerprints:
        raise TransportError(
            f"the server at the VEN's address shows another certificate than the VEN's ({', '.join(fingerprints)})",
            retry=False,
        )
