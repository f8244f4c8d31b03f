"""Two workers on PostgreSQL beside one: idle polls, and readings in reports of 100, by the clock.

The workers, PostgreSQL and the load share the machine's cores: on a machine of two, the second worker mostly takes time
from the others.
"""

from __future__ import annotations

import asyncio
import os
import sys

from bench.database import postgres
from bench.load import CONNECTIONS, Server, post, repeat, serve
from bench.measure import Figure
from bench.poll import PATH
from bench.readings import READINGS, make_vtn, reporting
from pyopenadr.v2 import encode, wire

PACKAGES = ("pyopenadr", "sqlalchemy", "asyncpg", "uvicorn", "uvloop", "lxml", "msgspec")
SECONDS = 5

__all__ = ["PACKAGES", "run"]


async def ours(port: int, count: str, database: str) -> None:
    """`pyopenadr vtn` with so many workers, on all cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, range(os.cpu_count() or 1))
    command = ["-m", "pyopenadr", "vtn", "--port", str(port), "--workers", count, "--database", database]
    os.execv(sys.executable, [sys.executable, *command])


async def _prepare(database: str) -> None:
    await (await make_vtn(0, database)).stop()


def run() -> list[Figure]:
    """Measure one, then two."""
    figures = []
    polls = repeat(*(post(PATH, encode(wire.OadrPoll(ven_id=f"ven-{number}"))) for number in range(CONNECTIONS)))
    with postgres() as url:
        if url is None:
            return []
        asyncio.run(_prepare(url))
        for count in (1, 2):
            with Server("bench.workers", "ours", str(count), url) as server:
                server.load(polls, seconds=1)  # all workers know that all are idle
                idle = server.load(polls, seconds=SECONDS)
                reports = server.load(reporting(), seconds=SECONDS)
            who = "1 worker" if count == 1 else f"{count} workers"
            figures.append(Figure(what=f"idle polls, {who}", value=idle.per_s, unit="per s"))
            figures.append(Figure(what=f"readings, {who}", value=READINGS * reports.per_s, unit="per s"))
    return figures


if __name__ == "__main__":
    serve({"ours": ours})
