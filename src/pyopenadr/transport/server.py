"""Serves an ASGI application over HTTP with uvicorn, inside a loop that is already running."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pyopenadr.errors import ConfigError, TransportError

if TYPE_CHECKING:
    import uvicorn

__all__ = ["HttpServer"]

_KEEP_ALIVE_S = 120
_BACKLOG = 4096


class HttpServer:
    """One listening socket with an application behind it.

    Connections are kept for two minutes of silence, because VENs poll on them. `port` of 0 takes a free one; `url`
    says which.
    """

    def __init__(self, app: Any, host: str, port: int) -> None:
        self._app = app
        self._host = host
        self._port = port
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
        return f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Bind the socket and serve.

        Raises:
            ConfigError: uvicorn is not installed.
            TransportError: the address can't be bound.
        """
        try:
            import uvicorn
        except ImportError as error:
            raise ConfigError("a server needs uvicorn: pip install 'pyopenadr[vtn]'") from error
        listener = self._bind()
        config = uvicorn.Config(
            self._app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            backlog=_BACKLOG,
            ws="none",
        )

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

    def _bind(self) -> socket.socket:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                self._host, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            listener = socket.socket(family, kind, protocol)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError as error:
            raise TransportError(
                f"can't listen on {self._host}:{self._port}: {error.strerror or error}; "
                "is another server running there? Choose another port",
                retry=False,
            ) from error
        listener.setblocking(False)
        return listener

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
