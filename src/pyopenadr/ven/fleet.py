"""Many VENs at many VTNs in one process: they share connections and the state file, and nothing else."""

from __future__ import annotations

import asyncio
import os
import random as randomness
from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from pyopenadr.clock import Clock, SystemClock
from pyopenadr.errors import ConfigError
from pyopenadr.transport.http import HttpTransport, check_login
from pyopenadr.transport.port import Reply, Transport
from pyopenadr.v2.profile import ProfileName
from pyopenadr.ven.backoff import Draw
from pyopenadr.ven.client import OpenADRClient
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.session import base_of
from pyopenadr.ven.state import Ledger
from pyopenadr.ven.statefile import FileLedger
from pyopenadr.ven.task import Crew

__all__ = ["VenFleet"]

R = TypeVar("R", bound=msgspec.Struct)

PATIENCE_S = 10.0
"""How long `run` waits for VENs that are about to end, in seconds of the machine's clock."""

_OF_TRANSPORT = ("timeout_s", "cert", "key", "ca_file", "proxy", "basic")


class VenFleet:
    """VENs that run together in auto mode. One VEN's trouble is its own.

    Each VEN is an `OpenADRClient` with all that it can do. VENs with the same TLS files, proxy and
    login share connections.
    """

    def __init__(
        self,
        *,
        state: str | os.PathLike[str] | None = None,
        start_over_s: float = 10.0,
        clock: Clock | None = None,
        random: Draw | None = None,
        **settings: Any,
    ) -> None:
        """Make an empty fleet; nothing is sent yet.

        Args:
            state: one file for the state of all VENs; None: all of it ends with the process.
            start_over_s: the time over which the VENs begin, each at a moment of its own, so that they don't all
                register and poll at once.
            clock, random: the parts that tell the time and draw lots.
            settings: what `OpenADRClient` takes, for all VENs unless `add` says otherwise.

        Raises:
            ConfigError: a setting is wrong.
        """
        if not start_over_s >= 0.0:
            raise ConfigError(f"start_over_s must not be negative, not {start_over_s}")
        self._clock = clock if clock is not None else SystemClock()
        self._draw: Draw = random if random is not None else randomness.SystemRandom()
        self._start_over_s = start_over_s
        self._settings = settings
        self._journal = Journal(lambda: "fleet")
        self._crew = Crew(self._journal)
        self._file = FileLedger(os.fspath(state), self._journal.error) if state is not None else None
        self._clients: dict[tuple[str, str], OpenADRClient] = {}
        self._transports: dict[tuple[Any, ...], HttpTransport] = {}
        self._running: dict[OpenADRClient, asyncio.Task[None]] = {}
        self._stop: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[OpenADRClient]:
        return iter(tuple(self._clients.values()))

    def get(self, ven_name: str, vtn_url: str, profile: ProfileName = "2.0b") -> OpenADRClient | None:
        """The VEN of that name and profile at that VTN, if there is one."""
        return self._clients.get((ven_name, base_of(vtn_url, profile)))

    def add(self, ven_name: str, vtn_url: str, **settings: Any) -> OpenADRClient:
        """Add a VEN; if the fleet runs, it begins at once. `settings` are those of `OpenADRClient`.

        Raises:
            ConfigError: a setting is wrong, or there is such a VEN already.
        """
        values = {"clock": self._clock} | self._settings | settings
        key = (ven_name, base_of(vtn_url, values.get("profile", "2.0b")))
        if key in self._clients:
            raise ConfigError(f"the fleet has a VEN {ven_name!r} at {key[1]} already")
        transport: Transport | None = values.pop("transport", None)
        own = {name: values.pop(name) for name in _OF_TRANSPORT if name in values}
        if transport is None:
            check_login(own.get("basic"), vtn_url)
            transport = self._shared(own)
        if self._file is not None:
            values.setdefault("state", _Drawer(self._file, "\n".join(key)))
        client = OpenADRClient(ven_name, vtn_url, transport=_Share(transport), random=self._draw, **values)
        self._clients[key] = client
        if self._stop is not None:
            self._begin(client, 0.0)
        return client

    async def remove(self, client: OpenADRClient) -> None:
        """Stop a VEN and take it out. Its registration stays; end it before by `cancel_party_registration()`."""
        self._clients = {key: other for key, other in self._clients.items() if other is not client}
        if (task := self._running.pop(client, None)) is not None:
            await client.stop()
            task.cancel()
        await client.close()

    async def run(self) -> None:
        """Run all VENs until `stop()`."""
        if self._stop is not None:
            raise ConfigError("the fleet runs already")
        self._stop = asyncio.get_running_loop().create_future()
        try:
            for client in self:
                self._begin(client, self._start_over_s * self._draw.random())
            await self._stop
        finally:
            self._stop = None
            for client, task in self._running.items():
                client.stop() if client.running else task.cancel()
            await asyncio.wait({*self._running.values(), _nothing()}, timeout=PATIENCE_S)
            await self._crew.close()
            self._running.clear()
            for transport in self._transports.values():
                await transport.close()

    def stop(self) -> None:
        """End `run`. May be called from anywhere, also from a handler or another thread."""
        stop = self._stop
        if stop is not None:
            stop.get_loop().call_soon_threadsafe(_finish, stop)

    async def close(self) -> None:
        """Stop, close all connections, and let go of the state file."""
        self.stop()
        for client in self:
            await client.close()
        for transport in self._transports.values():
            await transport.close()
        if self._file is not None:
            await self._file.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _begin(self, client: OpenADRClient, after_s: float) -> None:
        self._running[client] = self._crew.spawn(self._live(client, after_s), f"VEN {client.ven_name}")

    async def _live(self, client: OpenADRClient, after_s: float) -> None:
        await self._clock.sleep(after_s)
        await client.run()

    def _shared(self, own: dict[str, Any]) -> HttpTransport:
        key = tuple(own.get(name) for name in _OF_TRANSPORT)
        if key not in self._transports:
            self._transports[key] = HttpTransport(**own)
        return self._transports[key]


def _nothing() -> asyncio.Task[None]:
    """Something to wait for that is there also where there is nobody."""
    return asyncio.get_running_loop().create_task(asyncio.sleep(0))


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class _Share:
    """A transport that others use too: closing it is not for one of them."""

    __slots__ = ("_transport",)

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def post(self, url: str, body: bytes) -> Reply:
        return await self._transport.post(url, body)

    async def close(self) -> None:
        return


class _Drawer:
    """One VEN's rows in a ledger of many."""

    __slots__ = ("_ledger", "_owner")

    def __init__(self, ledger: Ledger, owner: str) -> None:
        self._ledger = ledger
        self._owner = owner

    def load(self, kind: str, row: type[R]) -> dict[str, R]:
        return self._ledger.load(self._kind(kind), row)

    def put(self, kind: str, name: str, row: msgspec.Struct) -> None:
        self._ledger.put(self._kind(kind), name, row)

    def drop(self, kind: str, name: str) -> None:
        self._ledger.drop(self._kind(kind), name)

    def record(self, r_id: str, at: datetime, row: msgspec.Struct) -> None:
        self._ledger.record(self._kind(r_id), at, row)

    async def recorded(self, r_id: str, start: datetime, end: datetime, row: type[R], most: int) -> list[R]:
        return await self._ledger.recorded(self._kind(r_id), start, end, row, most)

    async def recorded_before(self, r_id: str, at: datetime, row: type[R]) -> R | None:
        return await self._ledger.recorded_before(self._kind(r_id), at, row)

    def trim(self, r_id: str, before: datetime, *, least: int, most: int) -> None:
        self._ledger.trim(self._kind(r_id), before, least=least, most=most)

    async def kept(self) -> None:
        await self._ledger.kept()

    async def close(self) -> None:
        await self._ledger.kept()

    def _kind(self, kind: str) -> str:
        return f"{kind}\n{self._owner}"
