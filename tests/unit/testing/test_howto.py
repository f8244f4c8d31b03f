"""The test of the how-to page is a test."""

from __future__ import annotations

from typing import Any

from pyopenadr.testing import Pair
from tests.house.source import ROOT
from tests.unit.test_docs import python_blocks


async def test_the_test_of_the_page_passes() -> None:
    page: dict[str, Any] = {}
    [block] = [b for b in python_blocks(ROOT / "docs/howto/testing.md") if "test_the_heater_obeys" in b]
    exec(block, page)
    await page["test_the_heater_obeys"](Pair)
