"""Stores that outlive a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyopenadr.store import Store
from tests.unit.vtn.sample import store_at


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store | str:
    """A store that is still there after a restart: in memory, and in a file."""
    return store_at(request.param, tmp_path)
