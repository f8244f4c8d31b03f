"""The client's background tasks: nothing runs that nobody holds, and nothing is left when it stops."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from pyopenadr.ven.journal import Journal

__all__ = ["Crew"]

PATIENCE_S = 5.0
"""How long `close` waits for tasks that don't want to end, in seconds of the machine's clock."""


class Crew:
    """The tasks of one client."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any], name: str, *, quiet: bool = False) -> asyncio.Task[Any]:
        """Start `work`. An error that it doesn't catch ends only this task, and is logged unless `quiet`."""
        task = asyncio.get_running_loop().create_task(work, name=f"pyopenadr {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended_quietly if quiet else self._ended)
        return task

    def _ended_quietly(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._journal.error(f"{task.get_name()} broke off; this is a bug in pyopenadr", exc_info=error)

    async def close(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        own = asyncio.current_task()
        waits_for = {task for task in self._tasks if task is not own}
        for task in waits_for:
            task.cancel()
        if not waits_for:
            return
        _, stubborn = await asyncio.wait(waits_for, timeout=PATIENCE_S)
        for task in stubborn:
            self._journal.error(f"{task.get_name()} does not end though it was cancelled; it is left behind")
