"""Fixtures for pytest. Name this module in your `conftest.py`:

    pytest_plugins = ["pyopenadr.testing.fixture"]

They are plain fixtures, so they go with any plugin for coroutines: the test enters the pair itself.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pyopenadr.testing.clock import StillClock
from pyopenadr.testing.pair import START, Pair
from pyopenadr.testing.recorder import Recorder

__all__ = ["openadr_clock", "openadr_make_pair", "openadr_pair", "openadr_recorder"]


@pytest.fixture
def openadr_clock() -> StillClock:
    """A clock that stands still at noon of 2030-01-01 UTC until the test moves it."""
    return StillClock(START)


@pytest.fixture
def openadr_recorder() -> Recorder:
    """An empty recorder, for a `RecordingTransport` of your own."""
    return Recorder()


@pytest.fixture
def openadr_pair() -> Pair:
    """A VTN and a VEN, not yet running: `async with openadr_pair as pair:`."""
    return Pair()


@pytest.fixture
def openadr_make_pair() -> Callable[..., Pair]:
    """Makes pairs with settings of your own: `openadr_make_pair(ven={"on_event": decide})`."""
    return Pair
