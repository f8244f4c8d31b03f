"""Our own VTN and VEN keep every rule that is checked; and what a run leaves behind can be read."""

from __future__ import annotations

import json
import logging
from xml.etree import ElementTree

import pytest

from pyopenadr.conformance.report import as_html, as_json, as_junit
from pyopenadr.conformance.runner import Result
from pyopenadr.conformance.ven.registry import VEN_CHECKS
from pyopenadr.conformance.vtn.registry import VTN_CHECKS
from tests.house.source import ROOT
from tests.unit.conformance.own import check_ven, check_vtn, reasons

ALL = (*VTN_CHECKS, *VEN_CHECKS)


def passed(result: Result) -> int:
    return sum(outcome.verdict == "pass" for outcome in result.outcomes)


async def test_our_vtn_keeps_all_rules() -> None:
    result = await check_vtn()
    assert reasons(result) == []
    assert passed(result) >= 200
    assert len(result.outcomes) == len(VTN_CHECKS)
    look_at_the_outputs(result)


async def test_our_ven_keeps_all_rules(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    result = await check_ven()
    # How soon it polls again is a matter of milliseconds here, and not of a slow machine's.
    assert [each for each in reasons(result) if not each.startswith("ven-general-drain")] == []
    assert passed(result) >= 125
    assert len(result.outcomes) == len(VEN_CHECKS)
    look_at_the_outputs(result)


def look_at_the_outputs(result: Result) -> None:
    told = json.loads(json.dumps(as_json(result)))
    assert [each["id"] for each in told["checks"]] == [outcome.check.id for outcome in result.outcomes]
    assert any("oadrPayload" in exchange["sent"] for each in told["checks"] for exchange in each["exchanges"])
    (suite,) = ElementTree.fromstring(as_junit(result))
    assert int(suite.get("tests", "0")) == len(suite) == len(result.outcomes)
    assert int(suite.get("skipped", "0")) == len(suite.findall("testcase/skipped"))
    page = as_html(result)
    assert all(f"<code>{outcome.check.id}</code>" in page for outcome in result.outcomes)
    assert "<script" not in page
    assert "src=" not in page
    assert "&lt;oadr:oadrPayload" in page


def test_there_are_at_least_150_distinct_checks() -> None:
    assert len({each.id for each in ALL}) == len(ALL) >= 150
    assert len({(each.side, each.run or each.title) for each in ALL}) >= 350


def test_every_check_cites_rules_and_says_what_it_checks() -> None:
    for check in ALL:
        assert check.rules, check.id
        assert all(rule.isdigit() or rule.startswith("N") for rule in check.rules), check.id
        assert len(check.title) > 10, check.id
        assert check.id.startswith(f"{check.side}-{check.group}-")


def test_the_page_says_how_many_checks_there_are() -> None:
    page = (ROOT / "docs" / "howto" / "conformance.md").read_text("utf-8")
    assert f"{len(VTN_CHECKS)} on a VTN, {len(VEN_CHECKS)} on a VEN" in page
