"""`pyopenadr explain`, through the command line."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import pyopenadr
from pyopenadr.cli import COMMANDS, app
from pyopenadr.v2.check import RULES
from pyopenadr.v2.document import FIXES
from pyopenadr.v2.leniency import RULES as LENIENCY

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests" / "vectors"
PATHS = sorted(VECTORS.glob("*.xml"))
EVENT = VECTORS / "21_oadrDistributeEvent_SIMPLE_far.xml"
SIGNED = VECTORS / "s_signed_oadrPoll_ecc.xml"
AT = ("--at", "2030-06-01T10:00:00Z")


def run(*arguments: str | Path, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(app, ["explain", *map(str, arguments)], input=stdin)


def told(*arguments: str | Path) -> list[dict[str, Any]]:
    """What --json writes."""
    found: list[dict[str, Any]] = json.loads(run("--json", *arguments).stdout)
    return found


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """An event with a time without zone, too long an interval and a level that there is none of."""
    text = EVENT.read_text("utf-8").replace("T12:00:00Z", "T12:00:00", 1)
    text = text.replace(">PT30M<", ">PT45M<", 1).replace("<ei:value>2<", "<ei:value>9<", 1)
    path = tmp_path / "bad.xml"
    path.write_text(text, "utf-8")
    return path


def test_every_good_message_is_explained_and_has_no_error() -> None:
    explanations = told(*PATHS)
    assert [each["file"] for each in explanations if each["exit_code"] or not each["sentences"]] == []
    assert {each["profile"] for each in explanations} == {"2.0a", "2.0b"}
    assert [each["message_type"] for each in explanations] == [
        # the name of the file says it too
        next(part for part in path.stem.split("_") if part.startswith("oadr"))
        for path in PATHS
    ]


def test_a_good_message_in_words() -> None:
    result = run(EVENT, *AT)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{EVENT}: oadrDistributeEvent, OpenADR 2.0b, from a VTN to a VEN",
        "  The VTN gives the VEN the whole list of its events.",
        "  VTN 'vtn-demo'. 1 event.",
        "  Event 'ev-1': far, starts 2030-06-01 12:00 UTC (in 2 h), for 1 h, at random up to 5 min later,"
        " SIMPLE level 1, then 2, for VEN 'ven-0001', must be answered.",
        "  Endpoint: /OpenADR2/Simple/2.0b/EiEvent."
        " Reply: an empty 200; then the VEN posts oadrCreatedEvent for the events that want an answer.",
        "  Signature: none.",
        "  No findings.",
    ]


def test_a_bad_message_fails_with_rule_line_path_and_fix(bad: Path) -> None:
    result = run(bad)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert f"{bad}:29: error: rule 1: the time 2030-06-01T12:00:00 has no zone" in result.stdout
    (wrong,) = (number for number, line in enumerate(lines) if "rule 9" in line)
    assert lines[wrong].startswith(f"{bad}:75: error: rule 9: interval 2 of SIMPLE has level 9 [oadrPayload/")
    assert lines[wrong].endswith("/eiEventSignal/intervals/interval[2]/signalPayload/payloadFloat]")
    assert lines[wrong + 1] == "    fix: use 0 (normal), 1 (moderate), 2 (high) or 3 (special)"
    assert lines[-1] == "  3 errors, 0 warnings, 0 notes."


def test_json_says_the_same_for_other_programs(bad: Path) -> None:
    (explanation,) = told(bad)
    findings = explanation.pop("findings")
    assert {name: explanation[name] for name in explanation if name not in ("sentences", "file")} == {
        "exit_code": 1,
        "unusable": None,
        "message_type": "oadrDistributeEvent",
        "profile": "2.0b",
        "sender": "vtn",
        "endpoint": "/OpenADR2/Simple/2.0b/EiEvent",
        "reply": "an empty 200; then the VEN posts oadrCreatedEvent for the events that want an answer",
        "signature": "none",
    }
    assert [(each["rule"], each["severity"], each["line"]) for each in findings] == [
        ("1", "error", 29),
        ("8", "error", 53),
        ("9", "error", 75),
    ]
    assert all(set(each) == {"rule", "severity", "path", "line", "message", "fix"} for each in findings)


def test_the_line_of_something_missing_is_that_of_what_lacks_it(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    text = EVENT.read_text("utf-8")
    start, end = text.index("<ei:x-eiNotification>"), text.index("<ei:x-eiRampUp>")
    path.write_text(text[:start] + text[end:], "utf-8")
    (finding,) = told(path)[0]["findings"]
    assert finding["rule"] == "105"
    assert text.splitlines()[finding["line"] - 1].strip() == "<xcal:properties>"


def test_what_only_leniency_can_read_is_named_by_its_rule_and_still_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    text = EVENT.read_text("utf-8").replace("ei:schemaVersion", "schemaVersion").replace(">PT5M<", ">P1W<", 1)
    path.write_text(text.replace("<ei:value>2<", "<ei:value>9<", 1), "utf-8")
    (explanation,) = told(path)
    assert explanation["message_type"] == "oadrDistributeEvent"
    assert [each["rule"] for each in explanation["findings"]] == ["unqualified-schema-version", "week-duration", "9"]
    assert explanation["findings"][1]["fix"] == "write days: P7D"


def test_what_cannot_be_read_as_a_message_says_where_and_what_was_expected(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(EVENT.read_text("utf-8").replace("ei:vtnID", "ei:venID"), "utf-8")
    result = run(path)
    assert result.exit_code == 1
    assert "oadrDistributeEvent, OpenADR 2.0b, from a VTN to a VEN" in result.stdout
    (explanation,) = told(path)
    assert explanation["message_type"] == "oadrDistributeEvent"
    assert explanation["endpoint"] == "/OpenADR2/Simple/2.0b/EiEvent"
    assert {each["rule"] for each in explanation["findings"]} == {"schema"}
    assert [(each["line"], each["fix"]) for each in explanation["findings"]] == [
        (4, "add ei:vtnID"),
        (11, "take it out, or write ei:vtnID if that is meant"),
    ]


def test_there_is_a_fix_for_every_leniency_rule() -> None:
    assert set(FIXES) == set(LENIENCY)


def test_standard_input() -> None:
    result = run("-", stdin=EVENT.read_bytes())
    assert result.exit_code == 0
    assert result.stdout.startswith("-: oadrDistributeEvent, OpenADR 2.0b")


@pytest.mark.parametrize("data", [b"", b"no XML", b"<!DOCTYPE a><a/>"])
def test_what_is_no_xml_is_unusable(data: bytes) -> None:
    result = run("-", stdin=data)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: -: ")


def test_other_xml_is_no_message() -> None:
    result = run("-", stdin=b"<html/>")
    assert result.exit_code == 1
    assert "schema: html is no OpenADR 2.0 document" in result.stdout


def test_several_files_and_the_worst_of_them_counts(bad: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing.xml"
    assert run(EVENT, bad).exit_code == 1
    result = run(EVENT, missing, bad)
    assert result.exit_code == 2
    assert result.stderr == f"error: {missing} can't be read: No such file or directory\n"
    assert result.stdout.count(": oadrDistributeEvent,") == 2
    assert [each["exit_code"] for each in told(EVENT, missing, bad)] == [0, 2, 1]


def test_in_a_pipe_nothing_steers_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text(EVENT.read_text("utf-8").replace("ev-1", "ev\u009b31m"), "utf-8")
    result = run(path, VECTORS / "24_oadrDistributeEvent_openEnded_never.xml")
    assert "\x1b" not in result.stdout
    assert "\u009b" not in result.stdout
    assert "Event 'ev\\x9b31m'" in result.stdout


def test_many_findings_of_one_rule_are_cut_but_not_in_json(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    text = EVENT.read_text("utf-8")
    start, end = text.index("<oadr:oadrEvent>"), text.index("</oadr:oadrEvent>") + len("</oadr:oadrEvent>")
    path.write_text(text[:start] + text[start:end] * 31 + text[end:], "utf-8")
    lines = run(path).stdout.splitlines()
    assert sum("rule 70" in line for line in lines) == 11
    assert "  … and 20 more of rule 70; --json lists all" in lines
    assert sum(each["rule"] == "70" for each in told(path)[0]["findings"]) == 30


def test_who_sends_a_message_of_both_sides_can_be_said() -> None:
    path = VECTORS / "13_oadrResponse_error452.xml"
    assert run(path).exit_code == 0
    assert "from either side to the other" in run(path).stdout
    assert run("--from", "vtn", path).exit_code == 0
    assert run("--from", "ven", path).exit_code == 1


def test_an_instant_to_judge_by() -> None:
    assert run(EVENT, "--at", "2030-06-01T12:30:00Z").exit_code == 1
    assert "it should be active" in run(EVENT, "--at", "2030-06-01T12:30:00Z").stdout
    assert run(EVENT, "--at", "soon").exit_code == 2


def certificate_of(signed: Path, where: Path) -> Path:
    """The certificate that stands in a signed message, as a file."""
    found = re.search(r"X509Certificate>([^<]*)<", signed.read_text("utf-8"))
    assert found is not None
    path = where / f"{signed.stem}.der"
    path.write_bytes(base64.b64decode(found[1]))
    return path


@pytest.mark.parametrize("key", ["ecc", "rsa"])
def test_a_signature_is_verified_by_a_certificate(key: str, tmp_path: Path) -> None:
    signed = VECTORS / f"s_signed_oadrPoll_{key}.xml"
    assert "Signature: present, not verified (give --cert to verify it)." in run(signed).stdout
    result = run(signed, "--cert", certificate_of(signed, tmp_path), *AT)
    assert result.exit_code == 0, result.stdout
    assert "Signature: valid, made 2030-06-01T10:00:00+00:00" in result.stdout


def test_a_signature_that_is_not_valid_is_an_error(tmp_path: Path) -> None:
    certificate = certificate_of(SIGNED, tmp_path)
    other = certificate_of(VECTORS / "s_signed_oadrPoll_rsa.xml", tmp_path)
    changed = tmp_path / "a.xml"
    changed.write_bytes(SIGNED.read_bytes().replace(b"ven-0001", b"ven-0002"))
    for arguments in ((changed, "--cert", certificate), (SIGNED, "--cert", other)):
        result = run(*arguments, *AT)
        assert result.exit_code == 1
        assert "Signature: not valid." in result.stdout
        assert "rule 514" in result.stdout
    assert run(EVENT, "--cert", certificate, *AT).exit_code == 1  # not signed at all


def test_a_wrong_setting_is_one_line_with_a_hint(tmp_path: Path) -> None:
    result = run(SIGNED, "--cert", tmp_path / "missing.pem")
    assert result.exit_code == 2
    assert result.stderr == f"error: {tmp_path / 'missing.pem'} can't be read: No such file or directory\n"
    result = run(EVENT, "--cert", EVENT)
    assert result.exit_code == 2
    assert result.stderr == f"error: --cert {EVENT} is no X.509 certificate in DER or PEM form\n"
    assert run().exit_code == 2


def test_the_list_of_commands_and_the_version() -> None:
    listed = CliRunner().invoke(app, ["--help"])
    assert listed.exit_code == 0
    assert [name for name in COMMANDS if name not in listed.stdout] == []
    version = CliRunner().invoke(app, ["--version"])
    assert (version.exit_code, version.stdout) == (0, f"pyopenadr {pyopenadr.__version__}\n")
    assert CliRunner().invoke(app, ["no-such-command"]).exit_code == 2


def test_every_command_can_be_loaded() -> None:
    for name in COMMANDS:
        result = CliRunner().invoke(app, [name, "--help"])
        assert result.exit_code == 0, result.output


def loaded(*arguments: str) -> set[str]:
    """The modules that a run of the command line loads."""
    program = "import atexit, sys; atexit.register(lambda: print(*sys.modules)); from pyopenadr.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_a_command_loads_no_more_than_it_needs() -> None:
    heavy = {"aiohttp", "cryptography", "pyopenadr.ven", "pyopenadr.vtn", "rich", "sqlalchemy", "uvicorn"}
    assert loaded("--help") & {*heavy, "lxml", "pyopenadr.cli.explain", "pyopenadr.v2"} == set()
    assert loaded("explain", str(EVENT)) & heavy == set()


def test_the_module_is_the_command_line() -> None:
    command = [sys.executable, "-m", "pyopenadr", "explain", "-"]
    done = subprocess.run(command, input=EVENT.read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stdout.startswith(b"-: oadrDistributeEvent")


def test_the_reference_lists_every_rule() -> None:
    page = (ROOT / "docs" / "reference" / "explain.md").read_text("utf-8")
    rows = [f"| {rule.number} | {rule.profile or 'both'} | {rule.severity} | {rule.summary} |" for rule in RULES]
    assert [row for row in rows if row not in page] == []
    assert page.count("\n| ") == len(rows) + 2 + 1  # rules 1 and 45, and the head
