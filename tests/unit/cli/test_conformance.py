"""`pyopenadr conformance`, as it is called."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from pyopenadr.cli import app
from pyopenadr.conformance.check import NotApplicable
from pyopenadr.conformance.stimulus import CommandStimulus, EventWish
from pyopenadr.errors import ConfigError
from pyopenadr.vtn.office import ApiSettings
from pyopenadr.vtn.server import OpenADRServer


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["conformance", *arguments])


async def call_aside(*arguments: str) -> Result:
    return await asyncio.to_thread(call, *arguments)


def test_the_checks_are_listed() -> None:
    told = json.loads(call("list", "ven", "--json").stdout)
    assert {"id", "level", "rules", "title"} == set(told[0])
    assert all(each["id"].startswith("ven-") for each in told)
    assert "vtn-event-order\tmust\t15\t" in call("list").stdout


async def test_a_vtn_is_checked_by_its_api(tmp_path: Path) -> None:
    async with OpenADRServer("VTN_1", port=0, api=ApiSettings()) as server:
        token = await server.create_token("conformance")
        junit, html = tmp_path / "junit.xml", tmp_path / "page.html"
        result = await call_aside(
            *("vtn", server.url, "--api", server.url, "--token", token, "--junit", str(junit), "--html", str(html)),
            *("--only", "vtn-event-change*", "--only", "vtn-event-price", "--only", "vtn-report-ask"),
            *("--only", "vtn-report-cancel", "--only", "vtn-registration-requested", "--only", "vtn-event-near"),
            *("--only", "vtn-registration-ended", "--only", "vtn-event-open-ended", "--only", "vtn-event-dispatch"),
        )
    assert result.exit_code == 0, result.output
    assert "   pass  vtn-event-change [5, 502] A changed event reaches the VEN" in result.stdout
    assert result.stdout.splitlines()[-1] == "11 checks: 11 pass, 0 fail, 0 warning, 0 n/a"
    assert ElementTree.parse(junit).getroot().tag == "testsuites"
    assert "oadrDistributeEvent" in html.read_text("utf-8")


async def test_what_is_not_kept_ends_with_1() -> None:
    async with OpenADRServer("VTN_1", port=0, on_poll=lambda message: 1 / 0) as server:
        result = await call_aside("vtn", server.url, "--only", "vtn-general-poll-idle", "--json")
        quiet = await call_aside("vtn", server.url, "--only", "vtn-general-poll-*", "--quiet")
    told = json.loads(result.stdout)
    assert result.exit_code == quiet.exit_code == 1
    assert told["counts"]["fail"] == 1
    assert told["checks"][0]["exchanges"]
    assert "pass " not in quiet.stdout.replace("2 pass", "")


def test_settings_that_are_wrong_are_said() -> None:
    assert call("vtn", "http://127.0.0.1:1", "--only", "no-such-check").exit_code != 0
    assert call("vtn", "nowhere").exit_code == 2
    assert call("vtn", "http://127.0.0.1:1", "--listen", "127.0.0.1:0").exit_code == 2
    assert call("vtn", "http://127.0.0.1:1", "--sign").exit_code == 2
    unreachable = call("vtn", "http://127.0.0.1:1", "--only", "vtn-general-poll-idle")
    assert unreachable.exit_code == 1
    assert "127.0.0.1:1" in unreachable.output
    assert "checks:" not in unreachable.output
    assert call("ven", "--listen", "here").exit_code == 2


async def test_a_ven_that_does_not_come_is_not_judged() -> None:
    result = await call_aside("ven", "--listen", "127.0.0.1:0", "--wait", "1", "--only", "ven-event-new")
    assert result.exit_code == 0
    assert "1 checks: 0 pass, 0 fail, 0 warning, 1 n/a" in result.stdout


async def test_a_ven_is_started_and_ended(tmp_path: Path) -> None:
    command = f"{sys.executable} -m pyopenadr ven laboratory {{url}} --state {tmp_path / 'ven.db'}"
    result = await call_aside(
        *("ven", "--listen", "127.0.0.1:0", "--exec", command, "--json", "--only", "ven-registration-first"),
        *("--only", "ven-event-new"),
    )
    told = json.loads(result.stdout[result.stdout.index("{\n") :])
    assert result.exit_code == 0, result.output
    assert [each["verdict"] for each in told["checks"]] == ["pass", "pass"]


STIMULUS = """
import json, sys
wish = json.loads(sys.stdin.readline())
if wish["action"] == "reregister":
    sys.exit(3)
if wish["action"] == "cancel_event":
    sys.exit(1)
print(json.dumps({"event_id": wish["event_id"] + "-made"}) if "event_id" in wish else "")
"""


async def test_a_program_moves_the_vtn(tmp_path: Path) -> None:
    program = tmp_path / "stimulus.py"
    program.write_text(STIMULUS)
    stimulus = CommandStimulus(f"{sys.executable} {program}")
    wish = EventWish(event_id="e1", ven_id="v", start=datetime(2030, 1, 1, tzinfo=UTC))
    assert await stimulus.create_event(wish) == "e1-made"
    assert await stimulus.request_report("v", "power", 60) == ""
    with pytest.raises(NotApplicable, match="reregister"):
        await stimulus.reregister("v")
    with pytest.raises(ConfigError, match="status 1"):
        await stimulus.cancel_event("e1")
