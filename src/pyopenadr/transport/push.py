"""HTTP from a VTN to a VEN: as from a client, but only to allowed addresses and to the certificate that is expected."""

from __future__ import annotations

import ssl
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from pyopenadr.errors import TransportError
from pyopenadr.transport.http import HttpTransport
from pyopenadr.transport.port import Reply
from pyopenadr.transport.reach import Reach

if TYPE_CHECKING:
    import aiohttp

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

    def _connector(self) -> aiohttp.BaseConnector:
        return _connector(self._reach, self._fingerprints)


def _connector(reach: Reach, fingerprints: Collection[str]) -> aiohttp.BaseConnector:
    import aiohttp
    from aiohttp.abc import AbstractResolver, ResolveResult

    class Resolver(AbstractResolver):
        """Finds only addresses that may be called."""

        def __init__(self) -> None:
            self._inner = aiohttp.ThreadedResolver()

        async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
            found = await self._inner.resolve(host, port, family)
            allowed = [one for one in found if reach.allows(one["host"])]
            if not allowed:
                raise reach.refusal(host)
            return allowed

        async def close(self) -> None:
            await self._inner.close()

    class Connector(aiohttp.TCPConnector):
        """Looks at the other side's certificate before anything is sent."""

        async def connect(self, *args: Any, **options: Any) -> Any:
            connection = await super().connect(*args, **options)
            try:
                _check(connection.transport, fingerprints)
            except BaseException:  # also when cancelled: a connection that nobody has looked at must not be used
                connection.close()
                raise
            return connection

    return Connector(resolver=Resolver(), use_dns_cache=False, limit=2)


def _check(transport: Any, fingerprints: Collection[str]) -> None:
    """Whether the connection leads to the owner of the certificate.

    Raises:
        TransportError: it leads to somebody else.
    """
    from pyopenadr.transport.certificate import fingerprint as fingerprint_of

    connection = transport.get_extra_info("ssl_object") if transport is not None else None
    if not fingerprints or connection is None:
        return
    shown = connection.getpeercert(binary_form=True)
    if not shown or fingerprint_of(shown) not in fingerprints:
        raise TransportError(
            f"the server at the VEN's address shows another certificate than the VEN's ({', '.join(fingerprints)})",
            retry=False,
        )
