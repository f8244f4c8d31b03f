"""`pyopenadr simulate` from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pyopenadr.cli import app

QUICK = ("--vens", "4", "--event", "SIMPLE 3 at +5m for 10m", "--length", "20m", "--opt-out", "0")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["simulate", *arguments])


def test_help_says_what_can_be_said() -> None:
    done = run("--help")
    assert done.exit_code == 0
    assert "--bad-signature" in done.output


def test_plain_lines_in_a_pipe_and_a_page(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = run(*QUICK, "--report", str(page))
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.output
    assert "4 of 4 VENs registered" in done.stdout
    assert "event-1\t4\t0\t0\t0\n" in done.stdout
    assert done.stdout.endswith("Everything went as it should.\n")
    assert "100%" in done.stderr
    assert len(done.stderr.splitlines()) == 10
    assert page.read_text("utf-8").endswith("</html>\n")


def test_json_and_the_exit_code_of_what_went_wrong() -> None:
    done = run(*QUICK, "--json", "--drop", "1")
    assert done.exit_code == 1
    found = json.loads(done.stdout)
    assert found["good"] is False
    assert "event event-1: 4 VENs have not answered" in found["problems"]


def test_an_event_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "peak.json"
    file.write_text(json.dumps({"start": "+5m", "intervals": [{"duration": "PT5M", "value": 2}], "priority": 1}))
    done = run("--vens", "3", "--event-file", str(file), "--length", "15m", "--json", "--device", "flexible")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["devices"] == {"flexible": 3}
    assert [event["event_id"] for event in found["events"]] == ["peak"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("--event", "SIMPLE"), "is no event"),
        (("--device", "ev=many"), "--device ev=many"),
        (("--device", "toaster"), "the devices are"),
        (("--speed", "0"), "--speed 0"),
        (("--length", "long"), "no duration"),
        (("--vtn", "http://vtn.example.com"), "another machine"),
        (("--vtn", "http://127.0.0.1:1", "--speed", "60"), "real time"),
        (("--vtn", "http://127.0.0.1:1", "--event", "SIMPLE 1 at +1m for 1m"), "built-in"),
        (("--report", "no/such/folder/report.html"), "can't be written"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, ...], text: str) -> None:
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert text in done.stderr


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"start": "2030-01-01T00:00:00Z", "intervals": [{"duration": "PT0S", "value": 1}]}, "--length"),
        ({"start": "+5m", "intervals": [{"duration": "PT5M", "value": 2}], "ven_ids": ["a"]}, "ven_ids"),
        ({"start": "+5m", "colour": "red"}, "holds no event"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(tmp_path: Path, body: dict[str, object], text: str) -> None:
    file = tmp_path / "event.json"
    file.write_text(json.dumps(body))
    done = run("--event-file", str(file))
    assert done.exit_code == 2, done.output
    assert text in done.stderr
