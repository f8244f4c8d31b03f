"""The page on interoperability says what the code does."""

from __future__ import annotations

import re

from pyopenadr.v2.leniency import RULES
from pyopenadr.ven.session import DEFAULT_LENIENCY as OF_VEN
from pyopenadr.vtn.server import DEFAULT_LENIENCY as OF_VTN
from tests.house.source import ROOT


def test_every_leniency_rule_is_there_with_its_defaults() -> None:
    page = (ROOT / "docs" / "reference" / "interop.md").read_text("utf-8")
    rows = re.findall(r"^\| [^|]+ \| `([a-z-]+)` \| (yes|no) \| (yes|no) \|$", page, re.MULTILINE)
    said = {"yes": True, "no": False}
    assert {rule: (said[vtn], said[ven]) for rule, vtn, ven in rows} == {
        rule: (rule in OF_VTN, rule in OF_VEN) for rule in RULES
    }
