"""The state file: whole turns or nothing, one owner, one user at a time, and no end of the client if the disk fails."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pyopenadr.errors import ConfigError
from pyopenadr.ven import OpenADRClient
from pyopenadr.ven.state import Ledger, MemoryLedger
from pyopenadr.ven.statefile import MIGRATIONS, FileLedger, default_state, open_ledger

URL = "https://vtn.example"


class Row(msgspec.Struct, frozen=True):
    number: int


class Other(msgspec.Struct, frozen=True):
    text: str


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "new folder" / "ven.db")


@asynccontextmanager
async def opened(path: str, complaints: list[str] | None = None) -> AsyncIterator[FileLedger]:
    ledger = FileLedger(path, (complaints if complaints is not None else []).append)
    try:
        yield ledger
    finally:
        await ledger.close()


async def test_rows_come_back_in_order(path: str) -> None:
    async with opened(path) as ledger:
        for number in (3, 1, 2):
            ledger.put("a", f"n{number}", Row(number))
        ledger.put("b", "n1", Row(9))
        await ledger.kept()
        ledger.put("a", "n3", Row(33))
        ledger.drop("a", "n1")
        ledger.drop("a", "never there")
    async with opened(path) as ledger:
        assert list(ledger.load("a", Row).items()) == [("n3", Row(33)), ("n2", Row(2))]
        assert ledger.load("b", Row) == {"n1": Row(9)}
        assert ledger.load("c", Row) == {}


async def test_only_its_owner_may_read_it(path: str) -> None:
    async with opened(path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


async def test_after_closing_it_opens_again_by_itself(path: str) -> None:
    async with opened(path) as ledger:
        ledger.put("a", "1", Row(1))
        await ledger.close()
        ledger.put("a", "2", Row(2))
        await ledger.close()
        await ledger.close()
    async with opened(path) as ledger:
        assert len(ledger.load("a", Row)) == 2


def test_what_is_put_before_there_is_a_loop_is_written_by_the_first(path: str) -> None:
    ledger = FileLedger(path, pytest.fail)
    ledger.put("a", "1", Row(1))

    async def main() -> None:
        await ledger.kept()

    asyncio.run(main())
    asyncio.run(ledger.close())
    again = FileLedger(path, pytest.fail)
    assert again.load("a", Row) == {"1": Row(1)}
    asyncio.run(again.close())


async def test_what_is_put_in_one_turn_is_one_transaction(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(path) as ledger:
        batches: list[list[str]] = []
        write = ledger._write

        def spy(batch: Any) -> Exception | None:
            batches.append([name for _, name in batch.entries])
            return write(batch)

        monkeypatch.setattr(ledger, "_write", spy)
        ledger.put("a", "1", Row(1))
        ledger.put("a", "2", Row(2))
        await asyncio.sleep(0)
        ledger.put("a", "3", Row(3))
        await ledger.kept()
        assert batches == [["1", "2"], ["3"]]


async def test_a_second_user_of_the_file_is_refused(path: str) -> None:
    async with opened(path):
        with pytest.raises(ConfigError, match="in use by another client"):
            FileLedger(path, pytest.fail)
        program = "import sys; from pyopenadr.ven.statefile import FileLedger; FileLedger(sys.argv[1], print)"
        other = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, path, stderr=asyncio.subprocess.PIPE
        )
        _, said = await other.communicate()
        assert other.returncode != 0
        assert b"in use by another client" in said
    async with opened(path):
        pass


async def test_a_kept_row_survives_kill(path: str) -> None:
    program = """
import asyncio, os, signal, sys, msgspec
from pyopenadr.ven.statefile import FileLedger
class Row(msgspec.Struct):
    number: int
async def main():
    ledger = FileLedger(sys.argv[1], print)
    for number in range(5):
        ledger.put("a", str(number), Row(number))
    await ledger.kept()
    ledger.put("a", "late", Row(9))
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, path)
    assert await process.wait() == -9
    async with opened(path) as ledger:
        assert list(ledger.load("a", Row)) == ["0", "1", "2", "3", "4"]


async def test_a_failing_disk_is_said_once_and_nothing_is_lost_when_it_works_again(path: str) -> None:
    complaints: list[str] = []
    async with opened(path, complaints) as ledger:
        ledger.put("a", "1", Row(1))
        await ledger.close()
        whole = Path(path).read_bytes()
        Path(path).write_bytes(b"no database at all" * 100)
        for number in range(3):
            ledger.put("a", f"late {number}", Row(number))
            await ledger.kept()
        assert len(complaints) == 1
        assert "can't be written" in complaints[0]
        Path(path).write_bytes(whole)
        ledger.drop("a", "late 0")
        await ledger.kept()
    async with opened(path) as ledger:
        assert list(ledger.load("a", Row)) == ["1", "late 1", "late 2"]


async def test_a_writer_that_is_cancelled_loses_nothing(path: str) -> None:
    async with opened(path) as ledger:
        ledger.put("a", "1", Row(1))
        assert ledger._writing is not None
        await asyncio.sleep(0)
        ledger._writing.cancel()
        await asyncio.wait({ledger._writing})
        await ledger.kept()
    async with opened(path) as ledger:
        assert ledger.load("a", Row) == {"1": Row(1)}


# -- files that are none of ours -------------------------------------------------------------------------------------


async def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="not the state of a VEN"):
        FileLedger(str(path), pytest.fail)
    assert path.read_bytes() == before


@pytest.mark.parametrize("what", ["text", "folder"])
async def test_what_is_no_database_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "x"
    if what == "text":
        path.write_text("hello " * 1000)
    else:
        path.mkdir()
    with pytest.raises(ConfigError, match="can't be used"):
        FileLedger(str(path), pytest.fail)


async def test_a_newer_form_is_refused(path: str) -> None:
    async with opened(path):
        pass
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(ConfigError, match="newer pyopenadr"):
        FileLedger(path, pytest.fail)


async def test_an_older_form_is_brought_forward(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(path) as ledger:
        ledger.put("a", "1", Row(1))
    monkeypatch.setattr(
        "pyopenadr.ven.statefile.MIGRATIONS", (*MIGRATIONS, "UPDATE entry SET kind = 'b' WHERE kind = 'a'")
    )
    for _ in range(2):
        async with opened(path) as ledger:
            assert ledger.load("b", Row) == {"1": Row(1)}


async def test_a_row_that_can_not_be_read_is_named(path: str) -> None:
    async with opened(path) as ledger:
        ledger.put("a", "it", Other("x"))
    async with opened(path) as ledger:
        with pytest.raises(ConfigError, match="damaged at a it"):
            ledger.load("a", Row)


# -- whose it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_the_state_of_another_ven_is_refused(path: str, kind: str) -> None:
    async def again(ven_name: str, vtn: str) -> None:
        state: str | Ledger = memory if kind == "memory" else path
        await open_ledger(state, ven_name=ven_name, vtn=vtn, complain=pytest.fail).close()

    memory = MemoryLedger()
    await again("a", "x")
    await again("a", "x")
    for ven_name, vtn in [("b", "x"), ("a", "y")]:
        with pytest.raises(ConfigError, match="not of"):
            await again(ven_name, vtn)


async def test_a_client_holds_its_file_until_it_is_closed(path: str) -> None:
    client = OpenADRClient("v", URL, state=path)
    with pytest.raises(ConfigError, match="in use"):
        OpenADRClient("v", URL, state=path)
    await client.close()
    async with OpenADRClient("v", URL, state=Path(path)):
        pass


async def test_a_path_is_chosen_for_each_name_and_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    one = OpenADRClient("heat pump/1", "https://vtn.example", state="auto")
    other = OpenADRClient("heat pump/2", "https://vtn.example", state="auto")
    third = OpenADRClient("heat pump/1", "https://other.example", state="auto")
    files = [path.name for path in (tmp_path / "pyopenadr").iterdir() if path.suffix == ".db"]
    assert len(files) == 3
    assert all(name.startswith("heat-pump-") for name in files)
    for client in (one, other, third):
        await client.close()
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    expected = tmp_path / ".local" / "state" / "pyopenadr"
    assert default_state("v", "https://vtn.example").parent == expected
