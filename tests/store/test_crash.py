"""A process that is killed in the middle of its writes has kept all that it acknowledged."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pyopenadr.store import open_store
from tests.store.sample import report

ROOT = Path(__file__).parents[2]

WRITER = """
import asyncio, itertools, os, sys
from pyopenadr.store import open_store
from tests.store.sample import outgoing, registration, report

async def main(url, first):
    store = open_store(url)
    await store.open()

    async def ven(number):
        await store.save_registration(registration(f"ven{number}"))
        for count in itertools.count(first):
            await store.save_readings(report(number, count * 10))
            os.write(1, f"report {number} {count}\\n".encode())
            await store.add_outgoing(f"ven{number}", [outgoing(f"item{count}")])
            os.write(1, f"item {number} {count}\\n".encode())

    await asyncio.gather(*map(ven, range(8)))

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


def write_until_killed(url: str, first: int, acknowledgements: int) -> list[list[str]]:
    """Run the writer, kill it after so many acknowledgements, and return all that it gave."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url, str(first)],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(acknowledgements)]
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    assert process.returncode == -signal.SIGKILL
    # The pipe may have been cut in the middle of the last line.
    return [line.split() for line in lines if line.endswith("\n")]


@pytest.mark.slow
def test_kill_in_the_middle_of_writes(path: Path) -> None:
    url = f"sqlite:///{path}"

    async def check(acknowledged: list[list[str]]) -> None:
        store = open_store(url)
        await store.open()
        for ven in range(8):
            kept = await store.list_readings(f"ven{ven}")
            waiting = {item.item_id for item in await store.list_outgoing(f"ven{ven}")}
            mine = [line for line in acknowledged if line[1] == str(ven)]
            counts = {int(count) for kind, _, count in mine if kind == "report"}
            wanted = {key.reading.start for count in counts for key in report(ven, count * 10)}
            assert wanted <= {one.reading.start for one in kept}
            # Reports of 100 readings are there wholly or not at all.
            assert len(kept) % 100 == 0
            assert {f"item{count}" for kind, _, count in mine if kind == "item"} <= waiting
        await store.close()

    acknowledged: list[list[str]] = []
    for run in range(3):
        acknowledged += write_until_killed(url, run * 1000, 20 + 37 * run)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert len(acknowledged) >= 3 * 20
    asyncio.run(check(acknowledged))
