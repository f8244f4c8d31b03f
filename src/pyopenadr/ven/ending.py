"""The end of auto mode, to be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from typing import Any

__all__ = ["Ending", "finish"]


class Ending:
    """Awaited, it waits until the client has stopped. Nobody has to."""

    def __init__(self, ended: asyncio.Future[None] | None) -> None:
        self._ended = ended

    def __await__(self) -> Generator[Any, None, None]:
        if self._ended is not None and not self._ended.done():
            yield from asyncio.shield(self._ended).__await__()


def finish(future: asyncio.Future[None]) -> None:
    """Let those go on who wait for it. Safe to repeat."""
    if not future.done():
        future.set_result(None)
