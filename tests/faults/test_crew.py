"""`pyopenadr vtn --workers`: workers that die are replaced, and all end in order."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pyopenadr.cli import app
from pyopenadr.ven.client import OpenADRClient
from tests.faults.test_vtn_kill import free_port

ROOT = Path(__file__).parents[2]


class Vtn:
    """The command, and what it says."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.url = f"http://127.0.0.1:{port}"
        self.said: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            self.said.append(line.decode())

    def pids(self) -> list[int]:
        """The workers' processes, in the order of their start."""
        return [int(found[1]) for line in self.said if (found := re.search(r"worker \d+ runs as process (\d+)", line))]

    async def until(self, text: str, times: int = 1) -> None:
        for _ in range(600):
            if sum(text in line for line in self.said) >= times:
                return
            await asyncio.sleep(0.05)
        raise AssertionError("".join(self.said))

    async def ended(self) -> int:
        code = await asyncio.wait_for(self.process.wait(), 30)
        await self._reading
        return code


@pytest.fixture
async def vtn(postgres_url: str) -> AsyncIterator[Vtn]:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pyopenadr", "vtn", "--workers", "2"),
        *("--database", postgres_url, "--port", str(port)),
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    running = Vtn(process, port)
    await running.until("stop with Ctrl-C", times=3)
    yield running
    if process.returncode is None:
        process.kill()
        await process.wait()


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_worker_that_dies_is_replaced_while_vens_are_served(vtn: Vtn) -> None:
    first = vtn.pids()
    assert len(first) == 2
    clients = [OpenADRClient(f"ven{number}", vtn.url) for number in range(4)]
    for client in clients:
        await client.create_party_registration()
    for pid in first:
        os.kill(pid, signal.SIGKILL)
        await vtn.until("takes its place", times=1 + first.index(pid))
    await vtn.until("stop with Ctrl-C", times=5)
    for client in clients:
        await client.poll()
        await client.close()
    vtn.process.send_signal(signal.SIGTERM)
    assert await vtn.ended() == 0
    assert not any(map(is_alive, vtn.pids()))


async def test_workers_end_when_nobody_watches_over_them_any_more(vtn: Vtn) -> None:
    vtn.process.kill()
    await vtn.process.wait()
    for _ in range(400):
        if not any(map(is_alive, vtn.pids())):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("workers are left")


@pytest.mark.parametrize("database", ["memory", "sqlite:///vtn.db"])
def test_several_workers_need_a_database_that_can_be_shared(database: str) -> None:
    result = CliRunner().invoke(app, ["vtn", "--workers", "2", "--database", database])
    assert result.exit_code != 0
    assert "need PostgreSQL" in result.output
