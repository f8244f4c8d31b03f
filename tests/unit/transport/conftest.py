from __future__ import annotations

import pytest

from tests.unit.transport.pki import Pki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Two authorities with a VTN and a VEN each; tests may add files of names of their own."""
    return Pki.make(tmp_path_factory.mktemp("pki"))
