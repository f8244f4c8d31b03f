"""The matrix of rules and tests: which test is for which rule, by its name, and the page that shows it.

A test is named `test_rule_012_062_ven_…`: the numbers of its rules, then the side that it tests, or `both` where it
tests what both sides share.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.conformance.rule import LACKS, RULES, UNTESTABLE, WITHDRAWN, Rule

__all__ = ["Case", "cases", "cases_in", "page", "problems"]

FOLDER = Path(__file__).parent
_NAME = re.compile(r"test_rule_(?P<numbers>(?:\d{3}_)+)(?P<side>ven|vtn|both)_\w+")
_LEAVES_OUT = re.compile(r"\bmark\.(?:skip|skipif|xfail)\b")


class Case(NamedTuple):
    """A test of one or more rules, for one side or what both share."""

    file: str
    name: str
    numbers: tuple[int, ...]
    side: str

    def __str__(self) -> str:
        return f"{self.file}::{self.name}"


def cases() -> list[Case]:
    """The tests of this folder that are named after rules."""
    return [case for path in sorted(FOLDER.glob("test_*.py")) for case in cases_in(path.name, path.read_text("utf-8"))]


def cases_in(file: str, text: str) -> Iterator[Case]:
    """The tests of a file that are named after rules and meant to pass.

    Raises:
        ValueError: a name begins like that of such a test, but says no number or side.
    """
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_rule_"):
            found = _NAME.fullmatch(node.name)
            if found is None:
                raise ValueError(f"{file}: {node.name} does not say its rules and its side, as in test_rule_012_ven_…")
            if not _LEAVES_OUT.search(" ".join(map(ast.unparse, node.decorator_list))):
                numbers = tuple(int(number) for number in found["numbers"].split("_") if number)
                yield Case(file, node.name, numbers, found["side"])


def problems(tests: list[Case]) -> list[str]:
    """What is missing: rules without test and reason, reasons that are out of date, tests of no rule."""
    covered = {(number, case.side) for case in tests for number in case.numbers}
    known = {rule.number: rule for rule in RULES}
    found = []
    for rule in RULES:
        for side in rule.sides:
            key = (rule.number, side)
            if key not in covered and key not in UNTESTABLE:
                found.append(f"rule {rule.number} has no test for the {side.upper()}, and no reason in UNTESTABLE")
            if key in covered and key in UNTESTABLE:
                found.append(f"rule {rule.number} has a test for the {side.upper()}: take it out of UNTESTABLE")
    found += [f"{case}: there is no rule {number}" for case in tests for number in case.numbers if number not in known]
    for number, side in UNTESTABLE:
        if number not in known or side not in known[number].sides:
            found.append(f"UNTESTABLE: rule {number} does not bind the {side.upper()}")
    found += [f"LACKS: there is no rule {number}" for number in LACKS if number not in known]
    return found


# --- the page -----------------------------------------------------------------------------------------------------

_INTRODUCTION = """\
Chapter 11 of the 2.0b profile specification has numbered rules. Here they are in our own words, each with whom it
binds, how strongly, and the tests that show that it is kept; the tests are in `tests/conformance/`, named after the
rules. Where a rule binds both sides, each has a test of its own; a test with *both* in its name is about code that
they share. The level *means* is that of a rule which says what something means. *In part* says what of a rule is
not kept."""


def page(note: str) -> str:
    """The page, with a note on how it is made."""
    tests = cases()
    tested = sum(any(case.side in rule.sides for case in _of(rule, tests)) for rule in RULES)
    lines = [
        "# Conformance",
        note,
        _INTRODUCTION,
        f"{len(RULES)} rules, {tested} of them tested by {len(tests)} tests; {len(LACKS)} are not kept in full.",
    ]
    table = ["| Rule | Who | Level | What it asks | Status | Tests |", "|---|---|---|---|---|---|"]
    rows = {rule.number: _row(rule, tests) for rule in RULES}
    rows |= {number: f"| {number} | | | | withdrawn | |" for number in WITHDRAWN}
    table += [rows[number] for number in sorted(rows)]
    return "\n\n".join([*lines, "\n".join(table)]) + "\n"


def _of(rule: Rule, tests: list[Case]) -> list[Case]:
    return [case for case in tests if rule.number in case.numbers]


def _row(rule: Rule, tests: list[Case]) -> str:
    own = _of(rule, tests)
    who = " and ".join(side.upper() for side in rule.sides)
    names = "<br>".join(f"`{case}`" for case in own)
    return f"| {rule.number} | {who} | {rule.level} | {rule.text} | {_status(rule, own)} | {names} |"


def _status(rule: Rule, own: list[Case]) -> str:
    """In words: tested, in part, not met, or why there is no test."""
    is_tested = any(case.side in rule.sides for case in own)
    parts = ["tested"] if is_tested else []
    if rule.number in LACKS:
        parts.append(f"{'in part, ' if is_tested else ''}not met: {LACKS[rule.number]}")
    reasons: dict[str, list[str]] = {}
    for side in rule.sides:
        if (rule.number, side) in UNTESTABLE:
            reasons.setdefault(UNTESTABLE[rule.number, side], []).append(side.upper())
    parts += [f"no test for the {' and the '.join(sides)}: {reason}" for reason, sides in reasons.items()]
    return "; ".join(parts)
