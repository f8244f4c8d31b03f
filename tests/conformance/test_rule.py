"""Every rule has its tests, or a reason why not, and the page of them is true."""

from __future__ import annotations

import re
from itertools import chain

import pytest

from tests.conformance.matrix import Case, cases, cases_in, problems
from tests.conformance.rule import RULES, WITHDRAWN
from tests.house.source import ROOT

PAGE = ROOT / "docs" / "reference" / "conformance.md"
NUMBERS = [*range(1, 71), *range(100, 117), *range(200, 212), *range(300, 347), *range(400, 408), *range(500, 518)]
"""All numbers that the specification has ever used."""


def test_every_number_is_a_rule_or_withdrawn() -> None:
    assert sorted(chain((rule.number for rule in RULES), WITHDRAWN)) == NUMBERS
    assert all(rule.sides and rule.text and "|" not in rule.text for rule in RULES)


def test_every_rule_has_a_test_for_each_side_or_a_reason() -> None:
    assert problems(cases()) == []


def test_the_page_names_no_test_that_is_not_there() -> None:
    named = set(re.findall(r"`(test_\w+\.py::\w+)`", PAGE.read_text("utf-8")))
    assert named == {str(case) for case in cases()}


def test_a_rule_without_a_test_is_found() -> None:
    found = cases()
    assert problems([case for case in found if 13 not in case.numbers]) != []
    assert problems([*found, Case("test_x.py", "test_rule_071_ven_x", (71,), "ven")]) == [
        "test_x.py::test_rule_071_ven_x: there is no rule 71"
    ]


def test_a_test_that_is_left_out_does_not_count() -> None:
    text = "@pytest.mark.skip\ndef test_rule_001_ven_a(): ...\nasync def test_rule_002_003_vtn_b(): ...\n"
    assert list(cases_in("test_x.py", text)) == [Case("test_x.py", "test_rule_002_003_vtn_b", (2, 3), "vtn")]
    with pytest.raises(ValueError, match="its side"):
        list(cases_in("test_x.py", "def test_rule_001_times(): ..."))
