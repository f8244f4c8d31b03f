"""The page of features is whole, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import NamedTuple

import pytest

from tests.house.source import ROOT

PAGE = ROOT / "docs" / "reference" / "features.md"
MUST = {
    "A": range(1, 57),
    "B": [1, 2, *range(4, 12), *range(15, 18), 19, 20, 23, *range(26, 29), *range(31, 38), 40],
    "C": [1, 2, 4],
    "E": [1, 2, 3, 6, 7, 9],
    "F": [1, 2, 3, 4, 9, 11, 12, 13],
    "G": [*range(1, 16), 17, 18, *range(22, 27), *range(30, 37)],
    "H": [*range(1, 24), 26, 27, 30, 34],
    "I": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
    "J": [1, 2, 4, 6, 7],
    "K": [*range(1, 16), 17, 18, 21, 22, 24],
    "L": [1, 2, 4, 5, 6, *range(10, 15), *range(17, 25)],
    "M": [*range(1, 11), 12, 13, 18, 19],
}
"""The rows that have to be on the page, by their letter."""
STATUS = re.compile(r"yes|(?:in part|not): \S.*")
TEST = re.compile(r"`(tests/[^`]*)`")


class Row(NamedTuple):
    """One line of the table."""

    number: str
    feature: str
    status: str
    tests: tuple[str, ...]


def rows_of(text: str) -> list[Row]:
    rows = []
    for line in text.splitlines():
        if re.match(r"\| [A-Z]\d", line):
            number, feature, status, tests = (cell.strip() for cell in line.strip("|").split("|"))
            rows.append(Row(number, feature, status, tuple(TEST.findall(tests))))
    return rows


@cache
def functions_of(path: str) -> dict[str, bool]:
    """The test functions of a file; none where there is no file."""
    file = ROOT / path
    return functions_in(file.read_text("utf-8")) if file.is_file() else {}


def functions_in(text: str) -> dict[str, bool]:
    """The test functions of a module, and whether each is meant to pass: neither skipped nor expected to fail."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            marks = " ".join(map(ast.unparse, node.decorator_list))
            found[node.name] = not re.search(r"\bmark\.(?:skip|skipif|xfail)\b", marks)
    return found


def faults_of(row: Row) -> list[str]:
    """What is wrong with a row."""
    faults = [] if row.feature else ["no feature"]
    if not STATUS.fullmatch(row.status):
        faults.append(f"status {row.status!r} is neither yes nor one with a reason")
    if not row.tests and not row.status.startswith("not: "):
        faults.append("no test")
    for test in row.tests:
        path, _, name = test.partition("::")
        passes = functions_of(path).get(name)
        if passes is None:
            faults.append(f"there is no {test}")
        elif row.status == "yes" and not passes:
            faults.append(f"{test} is not meant to pass")
    return [f"{row.number}: {fault}" for fault in faults]


def test_every_feature_has_its_row() -> None:
    numbers = [row.number for row in rows_of(PAGE.read_text("utf-8"))]
    assert {f"{letter}{n}" for letter, wanted in MUST.items() for n in wanted} <= set(numbers)
    assert numbers == sorted(set(numbers), key=lambda number: (number[0], int(number[1:])))


def test_every_named_test_exists() -> None:
    assert [fault for row in rows_of(PAGE.read_text("utf-8")) for fault in faults_of(row)] == []


HERE = "tests/house/test_features.py::test_a_bad_row_is_noticed"


@pytest.mark.parametrize(
    ("line", "is_good"),
    [
        (f"| A1 | it polls | yes | `{HERE}` |", True),
        ("| A1 | it flies | not: it has no wings |  |", True),
        (f"| A1 | it polls | in part: slowly | `{HERE}`<br>`{HERE}` |", True),
        ("| A1 | it polls | yes |  |", False),
        (f"| A1 | it polls | maybe | `{HERE}` |", False),
        (f"| A1 |  | yes | `{HERE}` |", False),
        ("| A1 | it flies | not: |  |", False),
        (f"| A1 | it polls | yes | `{HERE}_at_all` |", False),
        ("| A1 | it polls | yes | `tests/house/test_nothing.py::test_a_bad_row_is_noticed` |", False),
        (f"| A1 | it polls | yes | `{HERE}`<br>`{HERE}[a]` |", False),
    ],
)
def test_a_bad_row_is_noticed(line: str, is_good: bool) -> None:
    [row] = rows_of(line)
    assert (faults_of(row) == []) is is_good


def test_a_test_that_does_not_count_is_noticed() -> None:
    text = """
async def test_a(): ...
@pytest.mark.parametrize("x", [1])
def test_b(x): ...
@pytest.mark.xfail(reason="no")
async def test_c(): ...
@pytest.mark.skip
def test_d(): ...
def helper(): ...
"""
    assert functions_in(text) == {"test_a": True, "test_b": True, "test_c": False, "test_d": False}
