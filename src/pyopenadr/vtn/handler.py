"""Calls the user's code: coroutines on the loop, plain functions in worker threads, so that none blocks the rest."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = ["Caller"]


class Caller:
    """Calls handlers. The threads for plain functions are made when the first one is called."""

    def __init__(self, name: str, threads: int = 32) -> None:
        self._name = name
        self._threads = threads
        self._executor: ThreadPoolExecutor | None = None

    async def call(self, handler: Callable[..., Any], *arguments: Any) -> Any:
        """What the handler returns; what it raises is raised."""
        if inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__):
            return await handler(*arguments)
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._threads, thread_name_prefix=self._name)
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self._executor, lambda: context.run(handler, *arguments))
        # A plain function may hand back a coroutine, as functools.partial or a lambda around one does.
        return await result if inspect.isawaitable(result) else result

    def close(self) -> None:
        """Start no more threads; those at work end by themselves."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None
