"""Serves an ASGI application over HTTP with uvicorn, inside a loop that is already running."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pyopenadr.errors import ConfigError, TransportError
from pyopenadr.transport.crowd import Crowd
from pyopenadr.transport.handshake import ToldHandshake
from pyopenadr.transport.tls import ServerTls, server_context

if TYPE_CHECKING:
    import uvicorn

__all__ = ["HttpServer", "bind"]

_KEEP_ALIVE_S = 120
_BACKLOG = 4096
_GRACE_S = 5
"""How long requests in flight may take at the end."""

_MOST_HEAD_BYTES = 64 * 1024
_HEAD_TIMEOUT_S = 30.0
"""How large the headers of a request may be, and how long they may take to arrive."""

_FULL = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 10\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
"""What a connection too many is told, before it is closed."""

_SHORT: Mapping[str, str] = MappingProxyType(
    {  # RFC 4514
        "commonName": "CN",
        "countryName": "C",
        "domainComponent": "DC",
        "localityName": "L",
        "organizationName": "O",
        "organizationalUnitName": "OU",
        "stateOrProvinceName": "ST",
        "streetAddress": "STREET",
        "userId": "UID",
    }
)


class HttpServer:
    """One listening socket with an application behind it.

    Connections are kept for two minutes of silence, because VENs poll on them. `port` of 0 takes a free one; `url`
    says which.

    With `tls` it serves https, and the application finds the certificate that the client has shown in
    `scope["extensions"]["tls"]`: a mapping of `certificate` (DER), `fingerprint` (OpenADR's), `subject`
    (`CN=ven-1,O=…`), `common_name` and `not_after` (datetime; the TLS layer looks at it only when a connection opens,
    so the application has to see to long ones). Nothing is there where the client showed none.

    `listener` is a socket from `bind` in the place of host and port; several processes may serve on the same one.

    More than `most_connections` at a time are answered by 503 and closed, and so are those that `crowd` says are too
    many from one address. Neither counts a connection whose TLS handshake has not ended, which may take a minute.
    `now` is what the Date of each reply shows;
    None: the machine's time.

    Whatever a proxy writes into headers is left to the application: the scope's client is who really connected.
    """

    def __init__(
        self,
        app: Any,
        host: str,
        port: int,
        *,
        tls: ServerTls | None = None,
        listener: socket.socket | None = None,
        most_connections: int = 50_000,
        crowd: Crowd | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self.app = app
        self._now = now
        self._host = host
        self._port = port
        self._tls = tls
        self._listener = listener
        self._most_connections = most_connections
        self._crowd = crowd if crowd is not None else Crowd(None)
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The port that is listened on, or is going to be."""
        return self._port

    @property
    def url(self) -> str:
        """The base address."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'http' if self._tls is None else 'https'}://{host}:{self._port}"

    async def start(self) -> None:
        """Bind the socket and serve, unless it serves already.

        The files of `tls` are read now, so stop and start takes new ones.

        Raises:
            ConfigError: uvicorn is not installed or not one that can be used, or `tls` is wrong.
            TransportError: the address can't be bound.
        """
        if self._task is not None:
            return
        try:
            import uvicorn
        except ImportError as error:
            raise ConfigError("a server needs uvicorn: pip install 'pyopenadr[vtn]'") from error
        context = server_context(self._tls) if self._tls is not None else None
        config = uvicorn.Config(
            self.app if self._now is None else _dated(self.app, self._now),
            http=_protocol(
                with_certificates=context is not None, most_connections=self._most_connections, crowd=self._crowd
            ),
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=self._now is None,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,
            backlog=_BACKLOG,
            ws="none",
            proxy_headers=False,
        )
        config.load()
        if context is not None:
            context.sslobject_class = ToldHandshake
            config.ssl = context
        listener = self._listener if self._listener is not None else bind(self._host, self._port)

        class Server(uvicorn.Server):
            """Leaves the signals to whoever runs the loop."""

            @contextlib.contextmanager
            def capture_signals(self) -> Iterator[None]:
                yield

        server = Server(config)
        self._server = server
        self._port = listener.getsockname()[1]
        self._task = asyncio.create_task(server.serve(sockets=[listener]), name="pyopenadr-http")
        while not server.started:
            if self._task.done():
                await self._task
                raise TransportError(f"the server at {self.url} has ended at once")
            await asyncio.sleep(0.005)

    async def stop(self) -> None:
        """Finish the requests in flight and close. Safe to call twice."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._server = self._task = None

    async def wait(self) -> None:
        """Wait until the server ends."""
        if self._task is not None:
            await asyncio.shield(self._task)


def bind(host: str, port: int) -> socket.socket:
    """A socket on that address, to serve from; connections are taken up from when it is listened on.

    Raises:
        TransportError: the address can't be bound.
    """
    listener = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except (OSError, OverflowError) as error:
        if listener is not None:
            listener.close()
        raise TransportError(
            f"can't listen on {host}:{port}: {getattr(error, 'strerror', None) or error}; "
            "is another server running there? Choose another port",
            retry=False,
        ) from error
    listener.setblocking(False)
    return listener


def _dated(app: Any, now: Callable[[], datetime]) -> Any:
    """The application, with the Date of another clock than the machine's in its replies."""
    from email.utils import format_datetime  # not at the top: a client comes by here, and does without

    async def call(scope: Any, receive: Any, send: Any) -> None:
        async def told(message: Any) -> None:
            if message["type"] == "http.response.start":
                date = format_datetime(now(), usegmt=True).encode()
                message = {**message, "headers": [(b"date", date), *message.get("headers", ())]}
            await send(message)

        await app(scope, receive, told)

    return call


def _protocol(*, with_certificates: bool, most_connections: int, crowd: Crowd) -> Any:
    """uvicorn's protocol for httptools, with bounds for what it leaves unbounded: size and time of a request's head.

    With certificates, that of the client is in each scope. Without httptools uvicorn uses h11, which has bounds of its
    own but can't do that.
    """
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
    except ImportError as error:
        if with_certificates:
            raise ConfigError("a server with TLS needs httptools: pip install 'pyopenadr[vtn]'") from error
        return "auto"
    needed = ("connection_made", "on_message_begin", "on_headers_complete", "send_400_response")
    if not all(callable(getattr(HttpToolsProtocol, name, None)) for name in needed):
        raise ConfigError(
            "the uvicorn that is installed is not one that pyopenadr knows: install one that it does "
            "(pip install 'pyopenadr[vtn]')"
        )

    class BoundedProtocol(HttpToolsProtocol):
        """One connection. `_head` counts the bytes received while the headers of a request are not complete."""

        _head = 0
        _in_head = False
        _alarm: asyncio.TimerHandle | None = None
        _place: str | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._in_head, self._head = True, 0
            self._place = crowd.enter(self.client[0] if self.client else None)
            if len(self.connections) > most_connections or crowd.is_full(self._place):
                transport.write(_FULL)
                transport.close()
                return
            self._alarm = self.loop.call_later(_HEAD_TIMEOUT_S, self.timeout_keep_alive_handler)

        def connection_lost(self, exc: Exception | None) -> None:
            self._end_head()
            crowd.leave(self._place)
            self._place = None
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._in_head:
                self._head += len(data)
            super().data_received(data)
            if self._in_head:
                if self._alarm is None:  # only now: most heads come in one piece and need no alarm
                    self._alarm = self.loop.call_later(_HEAD_TIMEOUT_S, self.timeout_keep_alive_handler)
                if self._head > _MOST_HEAD_BYTES and not self.transport.is_closing():
                    self.send_400_response("The headers are too long.")

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if not self._in_head:
                self._in_head, self._head = True, 0

        def on_headers_complete(self) -> None:
            self._end_head()
            super().on_headers_complete()

        def _end_head(self) -> None:
            self._in_head = False
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None

    class CertificateProtocol(BoundedProtocol):
        """Looks at the certificate once per connection; it can't change within one."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            shown = _shown(transport.get_extra_info("ssl_object"))
            self._extensions: dict[str, dict[object, object]] | None = {"tls": shown} if shown is not None else None

        def on_message_begin(self) -> None:
            super().on_message_begin()
            if self._extensions is not None:
                self.scope["extensions"] = self._extensions

    return CertificateProtocol if with_certificates else BoundedProtocol


def _shown(connection: ssl.SSLObject) -> dict[object, object] | None:
    """What the application is told of the certificate that the client has shown."""
    from pyopenadr.transport.certificate import fingerprint

    der, fields = connection.getpeercert(binary_form=True), connection.getpeercert()
    if not der or not fields:
        return None
    return {
        "certificate": der,
        "fingerprint": fingerprint(der),
        "subject": _subject(fields["subject"]),
        "common_name": _common_name(fields["subject"]),
        "not_after": datetime.fromtimestamp(ssl.cert_time_to_seconds(str(fields["notAfter"])), UTC),
    }


def _common_name(name: Any) -> str | None:
    return next((str(value) for part in name for kind, value in part if kind == "commonName"), None)


def _subject(name: Any) -> str:
    """A name as `ssl` gives it in the form of RFC 4514, the most special part first."""
    parts = ["+".join(f"{_SHORT.get(kind, kind)}={_escaped(value)}" for kind, value in part) for part in name]
    return ",".join(reversed(parts))


def _escaped(value: str) -> str:
    text = "".join(f"\\{char}" if char in '",+;<>\\' else char for char in value)
    if text.startswith(("#", " ")):
        text = f"\\{text}"
    return f"{text[:-1]}\\ " if text.endswith(" ") and len(text) > 1 else text
