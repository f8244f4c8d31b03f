"""The fixtures, used as their users do: in a project of its own, with the plugin named in its conftest.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.house.source import ROOT

CONFTEST = 'pytest_plugins = ["pyopenadr.testing.fixture"]\n'
TESTS = """
import pytest

@pytest.mark.asyncio
async def test_pair(openadr_pair):
    async with openadr_pair as pair:
        event = await pair.event(1, minutes=5)
        await pair.advance(seconds=15)
        assert len(await pair.vtn.answers(event.event_id)) == 1

@pytest.mark.asyncio
async def test_make(openadr_make_pair):
    async with openadr_make_pair(ven_name="boiler", ven={"on_event": lambda event: "optIn"}) as pair:
        assert pair.ven.ven_name == "boiler"

def test_parts(openadr_clock, openadr_recorder):
    assert openadr_clock.now().hour == 12
    assert openadr_recorder.exchanges == []
"""


def test_the_fixtures_work_in_a_project_that_names_them(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_mine.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", ".", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr
