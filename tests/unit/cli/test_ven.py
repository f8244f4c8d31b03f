"""`pyopenadr ven`: where it keeps its state."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pyopenadr.cli import app
from pyopenadr.ven import OpenADRClient
from pyopenadr.ven.statefile import FileLedger, default_state

URL = "http://127.0.0.1:8080"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def test_the_default_file_lies_in_the_state_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_state("my ven", URL).parent == home / "pyopenadr"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(home))
    assert default_state("my ven", URL).parent == home / ".local" / "state" / "pyopenadr"


def test_every_ven_has_its_own_default_file() -> None:
    names = ["a", "a b", "a/b", "a-b", "../a", "ä", "x" * 300]
    files = {default_state(name, url).name for name in names for url in (URL, "http://127.0.0.1:8081")}
    assert len(files) == 2 * len(names)
    assert all(len(file) < 120 and not file.startswith(".") and "/" not in file for file in files)


@pytest.mark.parametrize(("options", "named"), [([], None), (["--state", "other.db"], "other.db")])
def test_the_file_that_is_used(
    home: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], named: str | None
) -> None:
    monkeypatch.chdir(home)
    path = str(default_state("my ven", URL)) if named is None else named
    holder = FileLedger(path, pytest.fail)
    try:
        result = CliRunner().invoke(app, ["ven", "my ven", URL, *options])
        assert result.exit_code != 0
        assert "in use by another client" in result.output
    finally:
        asyncio.run(holder.close())


def test_none_keeps_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    async def run(self: OpenADRClient) -> None:
        ran.append(self.ven_name)

    monkeypatch.setattr(OpenADRClient, "run", run)
    assert CliRunner().invoke(app, ["ven", "my ven", URL, "--state", "none"]).exit_code == 0
    assert ran == ["my ven"]
    assert list(home.iterdir()) == []
