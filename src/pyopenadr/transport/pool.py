"""The connections of a client: few at a time, and kept open for a while after their use."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable

from pyopenadr.transport.connection import Connection, Lookup, Route, look_up, open_connection
from pyopenadr.transport.response import Response

__all__ = ["Pool"]

KEEP_S = 15.0
"""How long a connection is kept that nobody uses; soon after that firewalls and servers may let it go unseen."""

CLOSE_S = 2.0
"""How long the other sides have to let go when all is closed."""


class Pool:
    """Sends requests, at most `limit` at the same time; the others wait for their turn.

    `lookup` finds the addresses of names. `check` looks at each new connection before anything is sent on it, and
    raises if that is not to be.
    """

    def __init__(
        self, *, limit: int, lookup: Lookup = look_up, check: Callable[[asyncio.Transport], None] | None = None
    ) -> None:
        self._limit = limit
        self._lookup = lookup
        self._check = check
        self._taken = 0
        self._turns: deque[asyncio.Future[None]] = deque()
        self._kept: dict[tuple[Route, ssl.SSLContext | None], list[Connection]] = {}
        self._open: set[Connection] = set()
        self._sweeping: asyncio.TimerHandle | None = None

    async def exchange(
        self, route: Route, context: ssl.SSLContext | None, request: bytes, *, most: int, timeout_s: float
    ) -> Response:
        """Send a request, over a connection that goes this route by this context.

        Raises:
            TimeoutError: the response was not whole after `timeout_s` seconds.
            Exception: what `open_connection` and `Connection.ask` raise, and `check`.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        await self._take_turn(deadline)
        try:
            connection = self._idle(route, context, loop.time())
            if connection is None:
                connection = await self._opened(route, context, deadline)
            response = await connection.ask(request, most=most, deadline=deadline)
            if connection.is_open:
                connection.idle_since = loop.time()
                self._kept.setdefault((route, context), []).append(connection)
                if self._sweeping is None:
                    self._sweeping = loop.call_later(KEEP_S, self._sweep)
            return response
        finally:
            self._pass_turn()

    async def close(self) -> None:
        """Close every connection."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        self._kept.clear()
        still_open = list(self._open)
        if not still_open:
            return
        for connection in still_open:
            connection.close()
        await asyncio.wait([connection.lost for connection in still_open], timeout=CLOSE_S)
        for connection in still_open:
            connection.abort()  # those that the other side does not let go

    async def _opened(self, route: Route, context: ssl.SSLContext | None, deadline: float) -> Connection:
        connection = await open_connection(route, context, deadline=deadline, lookup=self._lookup)
        self._open.add(connection)
        connection.lost.add_done_callback(lambda _: self._open.discard(connection))
        if self._check is not None:
            try:
                self._check(connection.transport)
            except BaseException:  # what nobody has approved must not be used
                connection.abort()
                raise
        return connection

    def _idle(self, route: Route, context: ssl.SSLContext | None, now: float) -> Connection | None:
        """A connection that is kept, the one that was used last."""
        kept = self._kept.get((route, context))
        while kept:
            connection = kept.pop()
            if connection.is_open and now - connection.idle_since < KEEP_S:
                return connection
            connection.close()
        return None

    def _sweep(self) -> None:
        """Close what nobody has used for long."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for key, kept in list(self._kept.items()):
            young = [it for it in kept if it.is_open and now - it.idle_since < KEEP_S]
            for connection in set(kept).difference(young):
                connection.close()
            if young:
                self._kept[key] = young
            else:
                del self._kept[key]
        self._sweeping = loop.call_later(KEEP_S, self._sweep) if self._kept else None

    async def _take_turn(self, deadline: float) -> None:
        if self._taken < self._limit:
            self._taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._turns.append(turn)
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except BaseException:  # also when cancelled
            if turn.done() and not turn.cancelled():
                self._pass_turn()
            raise

    def _pass_turn(self) -> None:
        """Whoever waits longest takes the place."""
        while self._turns:
            turn = self._turns.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._taken -= 1
