"""One connection of a client of HTTP/1.1: how it is opened, and one exchange after the other on it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, cast

from pyopenadr.transport.response import BadResponse, Response, ResponseReader

__all__ = [
    "Address",
    "Connection",
    "Disconnected",
    "HandshakeFailed",
    "Lookup",
    "NotFound",
    "ProxyRefused",
    "Route",
    "Unreached",
    "look_up",
    "open_connection",
]

NEXT_ADDRESS_S = 0.25
"""After which time the next address of a name is tried beside the one before (RFC 8305)."""
FAREWELL_S = 1.0
"""How long the other side has to say goodbye in TLS."""


class Address(NamedTuple):
    """Where a socket can be connected to."""

    family: int
    address: tuple[Any, ...]


class Route(NamedTuple):
    """Which way a connection goes: to `host`, and if that is a proxy for https, by its `tunnel` request on from there.

    `server_name` is the name that the other side has to have in TLS; None: it is not TLS.
    """

    host: str
    port: int
    server_name: str | None
    is_proxy: bool
    tunnel: bytes | None = None


class NotFound(Exception):
    """The name of the first stop of a route has no address."""

    def __init__(self, host: str) -> None:
        super().__init__(host)
        self.host = host


class Unreached(Exception):
    """The first stop of a route lets nobody connect, by the error that is its cause."""

    def __init__(self, route: Route, cause: OSError) -> None:
        super().__init__(cause)
        self.host, self.port, self.is_proxy = route.host, route.port, route.is_proxy
        self.cause = cause


class HandshakeFailed(Exception):
    """The two sides could not begin TLS, by the error that is its cause."""


class ProxyRefused(Exception):
    """The proxy will not pass on."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"HTTP {status} {reason}")
        self.status = status
        self.reason = reason


class Disconnected(Exception):
    """The other side has closed the connection without an answer."""


Lookup = Callable[[str, int], Awaitable[Sequence[Address]]]
"""Gives the addresses of a name."""


class Connection(asyncio.Protocol):
    """One connection, with one exchange at a time. Whatever goes wrong in one closes it."""

    __slots__ = ("_answer", "_loop", "_reader", "_transport", "_unasked", "idle_since", "lost")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Response] | None = None
        self._reader: ResponseReader | None = None
        self._unasked = b""
        self.idle_since = 0.0
        self.lost: asyncio.Future[None] = self._loop.create_future()

    @property
    def is_open(self) -> bool:
        """Whether another request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    @property
    def transport(self) -> asyncio.Transport:
        """What it goes over."""
        assert self._transport is not None
        return self._transport

    async def ask(self, request: bytes, *, most: int, deadline: float, is_tunnel: bool = False) -> Response:
        """Send a request and give the response, with a body of at most `most` bytes.

        `deadline` is by the loop's clock. With `is_tunnel` the response is only a head, after which all is different.

        Raises:
            TimeoutError: it was not whole at the `deadline`.
            Disconnected: the other side closed the connection instead.
            BadResponse, TooLong: what came is none, or too long.
            OSError: the connection broke.
        """
        if not self.is_open:
            raise Disconnected if not self._unasked else BadResponse(f"without being asked it said {self._unasked!r}")
        answer: asyncio.Future[Response] = self._loop.create_future()
        self._reader = ResponseReader(most, is_tunnel=is_tunnel)
        self._answer = answer
        alarm = self._loop.call_at(deadline, self._fail, TimeoutError())
        self.transport.write(request)
        try:
            response = await answer
        except BaseException:  # also when cancelled: what is still to come is nobody's
            self.abort()
            raise
        finally:
            alarm.cancel()
            self._answer = self._reader = None
        if not response.keeps or self.transport.get_write_buffer_size():
            self.close()
        return response

    async def encrypt(self, context: ssl.SSLContext, server_name: str) -> None:
        """Go on in TLS.

        Raises:
            HandshakeFailed: the two sides do not agree.
        """
        try:
            self._transport = await self._loop.start_tls(
                self.transport, self, context, server_hostname=server_name, ssl_shutdown_timeout=FAREWELL_S
            )
        except OSError as error:
            raise HandshakeFailed from error

    def close(self) -> None:
        """Close it; `lost` is done when it is."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close it without a farewell."""
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    # -- what asyncio calls --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Some of the answer, or what nobody has asked for."""
        reader, answer = self._reader, self._answer
        if reader is None or answer is None or answer.done():
            self._unasked = data[:60]
            self.abort()
            return
        try:
            response = reader.feed(data)
        except Exception as error:  # noqa: BLE001 - it is raised where the answer is waited for
            answer.set_exception(error)
            return
        if response is not None:
            answer.set_result(response)

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed, by whomever."""
        if not self.lost.done():
            self.lost.set_result(None)
        reader, answer = self._reader, self._answer
        if reader is None or answer is None or answer.done():
            return
        if error is not None:
            answer.set_exception(error)
        elif not reader.has_begun:
            answer.set_exception(Disconnected())
        else:
            try:
                answer.set_result(reader.end())
            except ValueError as bad:
                answer.set_exception(bad)


async def open_connection(
    route: Route, context: ssl.SSLContext | None, *, deadline: float, lookup: Lookup
) -> Connection:
    """Open a connection along the route.

    Raises:
        TimeoutError: it was not open at the `deadline`, by the loop's clock.
        NotFound, Unreached: there is no way to the first stop.
        Disconnected, BadResponse, ProxyRefused: there is none from there on.
        HandshakeFailed: TLS could not begin.
    """
    async with asyncio.timeout_at(deadline):
        try:
            addresses = await lookup(route.host, route.port)
        except socket.gaierror as error:
            raise NotFound(route.host) from error
        try:
            plain = await _first_of(addresses)
        except OSError as error:
            raise Unreached(route, error) from error
        _, connection = await asyncio.get_running_loop().create_connection(Connection, sock=plain)
        try:
            if route.tunnel is not None:
                head = (await connection.ask(route.tunnel, most=0, deadline=deadline, is_tunnel=True)).head
                if head.status != 200:
                    raise ProxyRefused(head.status, head.reason)
            if context is not None and route.server_name is not None:
                await connection.encrypt(context, route.server_name)
        except BaseException:  # also when cancelled
            connection.abort()
            raise
        return connection


async def look_up(host: str, port: int) -> Sequence[Address]:
    """The addresses of a name, or the one that is written there.

    Raises:
        socket.gaierror: it has none.
    """
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    try:  # an address needs no thread that asks
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=numeric)
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [Address(family, address) for family, _, _, _, address in found]


async def _first_of(addresses: Sequence[Address]) -> socket.socket:
    """A socket that is connected to the first address that lets itself be connected to.

    Raises:
        OSError: none does; the error is the first one's.
    """
    if len(addresses) == 1:
        return await _connected(addresses[0])
    waiting = list(addresses)
    tries: set[asyncio.Task[socket.socket]] = set()
    first: OSError | None = None
    try:
        while waiting or tries:
            if waiting:
                tries.add(asyncio.ensure_future(_connected(waiting.pop(0))))
            patience = NEXT_ADDRESS_S if waiting else None
            done, _ = await asyncio.wait(tries, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
            for it in done:
                tries.discard(it)
                error = it.exception()
                if error is None:
                    return it.result()
                if not isinstance(error, OSError):
                    raise error
                first = first or error
    finally:
        for it in tries:
            it.add_done_callback(_dropped)
            it.cancel()
    raise first or OSError("the name has no address")


async def _connected(address: Address) -> socket.socket:
    plain = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, address.address)
    except BaseException:  # also when cancelled
        plain.close()
        raise
    return plain


def _dropped(late: asyncio.Task[socket.socket]) -> None:
    """A connection came when another one had come already."""
    if not late.cancelled() and late.exception() is None:
        late.result().close()
