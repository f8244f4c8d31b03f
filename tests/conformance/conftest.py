"""What the tests of a VEN start with: a VTN that plays by the test's script, and a clock that the test moves."""

from __future__ import annotations

import pytest

from pyopenadr.clock import FakeClock
from tests.conformance.scene import HearingVtn
from tests.unit.transport.pki import Pki
from tests.unit.ven.scripted import NOW


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def vtn() -> HearingVtn:
    return HearingVtn()


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Two authorities with a VTN and a VEN each."""
    return Pki.make(tmp_path_factory.mktemp("pki"))
