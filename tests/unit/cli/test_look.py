"""`pyopenadr ven` without code, from outside: written, run, looked into, and ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pyopenadr.agent.file import read_plan
from pyopenadr.cli import app
from pyopenadr.cli.plan import socket_of
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.test_docs import free_port


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "s"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ven(*arguments: str, input: str | None = None) -> Result:
    return CliRunner().invoke(app, ["ven", *arguments], input=input)


# --- init -------------------------------------------------------------------------------------------------------------


def test_init_writes_what_it_is_told(here: Path) -> None:
    done = ven(
        *("init", "--yes", "--url", "https://vtn.example.com", "--name", 'it\'s "mine": #1', "--cert", "c.pem"),
        *("--key", "c.key", "--signal", "LOAD_DISPATCH", "--http", "http://127.0.0.1:1/$value", "--mqtt", "broker"),
        *("--modbus", "192.0.2.7/40", "--command", "echo", "--command", "$value"),
    )
    assert done.exit_code == 0, done.output
    plan = read_plan(here / "ven.yaml")
    assert plan.ven.name == 'it\'s "mine": #1'
    assert (plan.tls.cert, plan.tls.key, plan.tls.ca) == ("c.pem", "c.key", None)
    [line] = plan.signals
    assert line.signal == "LOAD_DISPATCH"
    assert [type(action).__name__ for action in line.actions] == ["Http", "Mqtt", "Modbus", "Command"]
    assert ven("check").exit_code == 0
    again = ven("init", "--yes", "--url", "https://other.example.com", "--name", "x")
    assert again.exit_code == 2
    assert "there already" in again.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "give --url and --name"),
        (["--url", "nonsense", "--name", "x"], "vtn.url"),
        (["--url", "https://a.example", "--name", "x", "--modbus", "host"], "HOST/REGISTER"),
        (["--url", "https://a.example", "--name", "x", "--command", "$value"], "must not come from the VTN"),
    ],
)
def test_init_writes_nothing_that_can_t_be_read(here: Path, options: list[str], said: str) -> None:
    done = ven("init", "--yes", *options)
    assert done.exit_code == 2
    assert said in done.output
    assert list(here.iterdir()) == []


def test_init_asks(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyopenadr.cli.plan as module

    monkeypatch.setattr(module, "_is_asked", lambda yes: not yes)
    done = ven("init", input="http://127.0.0.1:8080\nboiler\nSIMPLE\nhttp://127.0.0.1:1/level\n")
    assert done.exit_code == 0, done.output
    plan = read_plan(here / "ven.yaml")
    assert (plan.vtn.url, plan.ven.name, plan.signals[0].signal) == ("http://127.0.0.1:8080", "boiler", "SIMPLE")


def test_a_broken_file_is_a_wrong_setting(here: Path) -> None:
    (here / "ven.yaml").write_text("vtn: 3\n")
    for command in ("run", "check", "status", "events", "export", "log"):
        done = ven(command)
        assert done.exit_code == 2, command
        assert "ven.yaml, line 1" in done.output


def test_a_ven_that_does_not_run(here: Path) -> None:
    assert ven("init", "--yes", "--url", "http://127.0.0.1:1", "--name", "x").exit_code == 0
    for command in (["status"], ["events"], ["export"], ["opt", "e", "in"]):
        done = ven(*command)
        assert done.exit_code == 1, command
        assert "does not run" in done.output
    no_log = ven("log")
    assert no_log.exit_code == 2
    assert "keeps no messages" in no_log.output


# --- the whole --------------------------------------------------------------------------------------------------------

PLAN = """
vtn: {{url: "{url}"}}
ven: {{name: box, poll_seconds: 1, state: b.db}}
signals:
- signal: SIMPLE
  actions:
  - do: command
    run: ["{python}", "-c", "import sys; open(sys.argv[1], 'a').write(sys.argv[2])", "{out}", "<$value>"]
opt: {{default: ask, rules: [{{answer: in, market_context: "http://localhost/now"}}]}}
status: {{port: {port}}}
log: {{file: messages.jsonl}}
"""


async def told(*arguments: str) -> Any:
    """What a command prints, run as a user runs it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pyopenadr", "ven", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, error = await process.communicate()
    return process.returncode, out.decode(), error.decode()


async def until(holds: Any, seconds: float = 60.0) -> Any:
    end = asyncio.get_running_loop().time() + seconds
    while not (found := await holds()):
        assert asyncio.get_running_loop().time() < end, "it did not come true"
        await asyncio.sleep(0.2)
    return found


def fetched(port: int, path: str, host: str) -> tuple[int, str]:
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Host": host})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.slow
async def test_a_ven_without_code_from_its_start_to_its_end(here: Path) -> None:
    vtn, port, out = OpenADRServer("vtn", port=0), free_port(), here / "out"
    async with vtn:
        text = PLAN.format(url=vtn.url, python=sys.executable, out=out, port=port)
        (here / "ven.yaml").write_text(text)
        await vtn.add_event(
            event_id="far<b>", start=datetime.now(UTC) + timedelta(hours=5), intervals=[(timedelta(hours=1), 2)]
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pyopenadr", "ven", "run", stderr=subprocess.PIPE
        )
        try:
            await _look(vtn, here, port, out)
        finally:
            process.send_signal(signal.SIGINT)
            _, log = await process.communicate()
        assert process.returncode == 0, log.decode()
        assert b"Traceback" not in log
    socket = socket_of(read_plan(here / "ven.yaml"))
    assert socket is not None
    assert not socket.exists()


async def _look(vtn: OpenADRServer, here: Path, port: int, out: Path) -> None:
    async def known() -> Any:
        code, text, _ = await told("events", "--json")
        return json.loads(text) if code == 0 else []

    [event] = await until(known)
    assert (event["event_id"], event["opt"], event["signals"]) == ("far<b>", None, {"SIMPLE": [2.0]})
    assert (await told("opt", "far<b>", "in"))[0] == 0
    refused = await told("opt", "never", "in")
    assert refused[0] == 1
    assert "no event 'never'" in refused[2]

    await vtn.add_event(
        event_id="now",
        start=datetime.now(UTC),
        intervals=[(timedelta(hours=1), 2)],
        market_context="http://localhost/now",
    )

    async def done() -> bool:
        return out.exists() and out.read_text() == "<0><2>"

    await until(done)
    code, text, _ = await told("status")
    assert code == 0
    assert "SIMPLE: 2 by event now" in text
    assert "BEGIN:VEVENT" in (await told("export"))[1]
    code, text, _ = await told("log", "--type", "oadrCreatedEvent", "--search", "OPTIN")
    assert text.count("oadrCreatedEvent -> oadrResponse") == 2
    assert [a.opt_type for a in await vtn.answers()] == ["optIn", "optIn"]
    socket = socket_of(read_plan(here / "ven.yaml"))
    assert socket is not None
    assert stat.S_IMODE(os.stat(socket).st_mode) == 0o600

    status, page = await asyncio.to_thread(fetched, port, "/", "localhost")
    assert status == 200
    assert "far&lt;b&gt;" in page
    assert "far<b>" not in page
    _, steps = await asyncio.to_thread(fetched, port, "/timeline?hours=2", f"127.0.0.1:{port}")
    assert [step["value"] for step in json.loads(steps)] == [2.0]
    assert (await asyncio.to_thread(fetched, port, "/timeline?hours=x", "localhost"))[0] == 400
    assert (await asyncio.to_thread(fetched, port, "/status", "evil.example"))[0] == 403
    assert (await asyncio.to_thread(fetched, port, "/opt", "localhost"))[0] == 404
