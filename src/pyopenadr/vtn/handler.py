"""Calls the user's code so that it can't hurt anybody else: plain functions in threads, nothing for ever."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import threading
from collections.abc import Callable
from typing import Any

from pyopenadr.errors import ProtocolError

__all__ = ["Caller"]

MOST_THREADS = 64
"""How many plain functions may run at the same time, those that hang included."""

MOST_PER_PEER = 4
"""How many of these for one VEN, so that a function that hangs on one VEN leaves room for the others."""

Outcome = tuple[Any, BaseException | None]


class Caller:
    """Calls handlers: coroutines on the loop, plain functions in threads of their own.

    The threads are daemons: one that hangs blocks neither the event loop nor the end of the program.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._room = asyncio.Semaphore(MOST_THREADS)
        self._rooms: dict[str, asyncio.Semaphore] = {}
        self._users: dict[str, int] = {}

    async def call(self, handler: Callable[..., Any], *arguments: Any, peer: str) -> Any:
        """What the handler returns for the VEN `peer`; what it raises is raised.

        Raises:
            ProtocolError: it gave no answer in time (code 500). A coroutine is cancelled then, a thread goes on.
        """
        try:
            async with asyncio.timeout(self._timeout_s) as patience:
                if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__):
                    return await handler(*arguments)
                result = await self._in_thread(handler, arguments, peer)
                # A plain function may hand back a coroutine, as a lambda around one does.
                return await result if inspect.isawaitable(result) else result
        except TimeoutError as error:
            if not patience.expired():
                raise
            name = getattr(handler, "__qualname__", None) or type(handler).__name__
            raise ProtocolError(f"{name} gave no answer within {self._timeout_s:g} seconds", code="500") from error

    async def _in_thread(self, handler: Callable[..., Any], arguments: tuple[Any, ...], peer: str) -> Any:
        await self._enter(peer)
        loop = asyncio.get_running_loop()
        # Result and failure travel as a pair, because a future can't carry every exception.
        future: asyncio.Future[Outcome] = loop.create_future()
        context = contextvars.copy_context()

        def report(outcome: Outcome) -> None:
            self._leave(peer)
            if not future.done():
                future.set_result(outcome)

        def work() -> None:
            outcome: Outcome
            try:
                outcome = context.run(handler, *arguments), None
            except BaseException as error:  # noqa: BLE001 - whatever ends the user's code has to be told
                outcome = None, error
            with contextlib.suppress(RuntimeError):  # the loop has been closed in the meantime
                loop.call_soon_threadsafe(report, outcome)

        try:
            threading.Thread(target=work, name="pyopenadr handler", daemon=True).start()
        except RuntimeError:  # the system has no thread left
            self._leave(peer)
            raise
        result, failure = await future
        if isinstance(failure, Exception):
            raise failure
        if failure is not None:
            raise RuntimeError(f"the handler ended by {type(failure).__name__}") from failure
        return result

    async def _enter(self, peer: str) -> None:
        """Wait for a place: one of the VEN's own, then one of all."""
        room = self._rooms.setdefault(peer, asyncio.Semaphore(MOST_PER_PEER))
        self._users[peer] = self._users.get(peer, 0) + 1
        async with contextlib.AsyncExitStack() as undo:
            undo.callback(self._forget, peer)
            await room.acquire()
            undo.callback(room.release)
            await self._room.acquire()
            undo.pop_all()

    def _leave(self, peer: str) -> None:
        self._room.release()
        self._rooms[peer].release()
        self._forget(peer)

    def _forget(self, peer: str) -> None:
        self._users[peer] -= 1
        if not self._users[peer]:
            del self._users[peer], self._rooms[peer]
