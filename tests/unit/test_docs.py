"""The documentation is true: its code runs, its links lead somewhere, its generated pages are fresh."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pyopenadr import Capability, DataPoint, OpenADRServer, Reading, ReportRequest, Unit
from pyopenadr.cli import COMMANDS
from pyopenadr.v2 import bridge, decode, encode, wire
from pyopenadr.v2.vtn import check_event
from pyopenadr.vtn.question import QUESTIONS
from tests.house.source import ROOT
from tools.reference import FOLDER, PAGES
from tools.site import SECTIONS

DOCS = ROOT / "docs"
PAGES_OF_TEXT = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def python_blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", path.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def slug(heading: str) -> str:
    """The anchor that a heading gets where the pages are read."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


# --- text ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES_OF_TEXT, ids=name_of)
def test_links_lead_somewhere(path: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text("utf-8"))):
        if re.match(r"[a-z]+:", target):  # another site
            continue
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        if not there.exists():
            broken.append(target)
        elif anchor:
            headings = re.findall(r"^#+ (.+)$", without_code(there.read_text("utf-8")), re.MULTILINE)
            if anchor not in map(slug, headings):
                broken.append(target)
    assert broken == []


@pytest.mark.parametrize(("path", "page"), PAGES.items(), ids=PAGES)
def test_generated_pages_are_fresh(path: str, page: Any) -> None:
    assert (FOLDER / path).read_text("utf-8") == page(), "stale: run make docs"


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    """Other links than those that a reader clicks would be fetched by his browser."""
    pytest.importorskip("mkdocs", reason="needs pip install 'pyopenadr[docs]'")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (built.returncode, built.stdout + built.stderr) == (0, "")
    for page in [tmp_path / "index.html", *tmp_path.glob("*/*.html")]:
        fetched = re.findall(
            r"<(?:script|img|iframe|link)\b[^>]*(?:src|href)=\"?((?:https?:)?//[^\s\">]+)", page.read_text()
        )
        assert fetched == [], page.name


def test_every_folder_of_pages_has_a_name_on_the_site() -> None:
    """The folders of the site are named by hand, so a new one must be given a name."""
    folders = {path.name for path in DOCS.iterdir() if path.is_dir()}
    assert folders <= set(SECTIONS)


def test_the_tests_that_the_security_page_names_exist() -> None:
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (DOCS / "explanation" / "security.md").read_text("utf-8"))
    assert named
    missing = [name for path, name in named if f"def {name}(" not in (ROOT / "tests" / path).read_text("utf-8")]
    assert missing == []


def test_every_handler_is_explained() -> None:
    headings = re.findall(r"^### (.+)$", (DOCS / "howto" / "backends.md").read_text("utf-8"), re.MULTILINE)
    explained = [name for heading in headings for name in re.findall(r"on_\w+", heading)]
    assert sorted(explained) == sorted(QUESTIONS)


def test_every_decision_is_in_the_index() -> None:
    index = (DOCS / "decisions" / "README.md").read_text("utf-8")
    records = sorted(path.name for path in (DOCS / "decisions").glob("[0-9]*.md"))
    assert [name for name in records if f"({name})" not in index] == []


def test_the_commands_that_are_named_exist() -> None:
    named = set()
    for path in PAGES_OF_TEXT:
        named |= set(re.findall(r"^ {4}pyopenadr ([a-z]+)", path.read_text("utf-8"), re.MULTILINE))
        named |= set(re.findall(r"`pyopenadr ([a-z]+)", path.read_text("utf-8")))
    assert "explain" in named
    assert named <= set(COMMANDS)


# --- code ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for path in PAGES_OF_TEXT if python_blocks(path)], ids=name_of)
def test_python_compiles(path: Path) -> None:
    for number, block in enumerate(python_blocks(path), 1):
        # As the body of a coroutine, because an example may be a part of one: with await, or return.
        body = "async def example():\n" + textwrap.indent(block, "    ")
        compile(body, f"{name_of(path)}, block {number}", "exec")


def run_blocks(path: Path) -> dict[str, Any]:
    """Everything that the page's code defines."""
    names: dict[str, Any] = {}
    for block in python_blocks(path):
        exec(block, names)
    return names


class Peer:
    """A VEN that talks to a server without a network."""

    def __init__(self, server: OpenADRServer) -> None:
        self._server = server

    async def send(self, service: str, message: wire.Message) -> Any:
        status, body = await self._server.handle(f"/OpenADR2/Simple/2.0b/{service}", encode(message))
        assert status == 200
        return decode(body).message

    async def register(self, name: str) -> Any:
        message = wire.OadrCreatePartyRegistration(
            request_id="1",
            profile_name="2.0b",
            transport_name="simpleHttp",
            report_only=False,
            xml_signature=False,
            ven_name=name,
            http_pull_model=True,
        )
        return await self.send("EiRegisterParty", message)


@pytest.mark.parametrize("path", sorted((DOCS / "explanation").glob("*.md")), ids=name_of)
def test_examples_of_explanations_run(path: Path) -> None:
    run_blocks(path)


async def test_the_event_of_the_events_page_is_legal() -> None:
    server = OpenADRServer("vtn")
    try:
        event = await run_blocks(DOCS / "explanation" / "events.md")["publish"](server)
        assert await server.events() == [event]
    finally:
        await server.stop()


async def test_the_reports_of_the_reports_page_are_delivered() -> None:
    page = run_blocks(DOCS / "explanation" / "reports.md")
    server: OpenADRServer = page["server"]
    peer = Peer(server)
    try:
        ven_id = (await peer.register("boiler"))["ven_id"]
        poll = wire.OadrPoll(ven_id=ven_id)
        offered = (await peer.send("OadrPoll", poll))["reports"]
        assert [report["report_specifier_id"] for report in offered] == ["prices", "alarms"]
        once = [
            ReportRequest(report_request_id="1", report_specifier_id="prices", r_ids=("price",)),
            ReportRequest(
                report_request_id="2",
                report_specifier_id="alarms",
                r_ids=("alarm",),
                granularity=timedelta(minutes=1),
                report_back_duration=timedelta(minutes=1),
                start=datetime.now(UTC),
            ),
        ]
        asked = wire.OadrCreateReport(
            request_id="2", report_requests=tuple(map(bridge.lower_request, once)), ven_id=ven_id
        )
        assert (await peer.send("EiReport", asked))["response"]["response_code"] == "200"
        await page["alarm"]()
        values = [
            (await peer.send("OadrPoll", poll))["reports"][0]["intervals"][0]["payloads"][0]["value"] for _ in range(2)
        ]
        assert values == pytest.approx([0.31, 2.0])

        capability = page["client"].capabilities[0]
        offer = wire.OadrRegisterReport(request_id="3", ven_id=ven_id, reports=(bridge.lower_capability(capability),))
        await peer.send("EiReport", offer)
        await page["ask"](server, ven_id)
        assert [stored.request.r_ids for stored in await server.report_requests(ven_id)] == [("meter-1",)]
    finally:
        await server.stop()


async def test_the_programs_of_the_dispatch_page_work(capsys: pytest.CaptureFixture[str]) -> None:
    names = run_blocks(DOCS / "howto" / "dispatch.md")
    server: OpenADRServer = names["server"]
    try:
        await names["describe"](server)
        await names["look_first"](server)
        [event] = await server.events()
        await names["watch"](server, event.event_id)
    finally:
        await server.stop()
    assert "('ven-1', 'ven-2', 'ven-3')" in capsys.readouterr().out


async def test_the_programs_of_the_reports_page_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_blocks(DOCS / "howto" / "reports.md")
    server: OpenADRServer = names["server"]
    try:
        await names["ask"](server)
        await names["look"](server)
        await names["export"](server)
        await names["mend"](server)
    finally:
        await server.stop()
    assert (tmp_path / "meters.csv").read_text("utf-8").startswith("ven_id,")
    assert "0 VENs were asked" in capsys.readouterr().out


async def test_the_handlers_of_the_backends_page_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    server: OpenADRServer = run_blocks(DOCS / "howto" / "backends.md")["server"]
    peer = Peer(server)
    try:
        assert (await peer.register("stranger"))["response"]["response_code"] == "463"
        assert (await peer.register("charger-7"))["ven_id"] == "ven-7"

        power = Unit(name="powerReal", symbol="W", hertz=50, voltage=230, ac=True)
        point = DataPoint(r_id="p", unit=power, min_period=timedelta(seconds=1), max_period=timedelta(hours=1))
        now = datetime(2030, 1, 1, tzinfo=UTC)
        capability = Capability(
            report_specifier_id="meter",
            report_name="TELEMETRY_USAGE",
            duration=timedelta(hours=1),
            points=(point,),
            created_date_time=now,
        )
        offer = wire.OadrRegisterReport(request_id="2", ven_id="ven-7", reports=(bridge.lower_capability(capability),))
        asked = (await peer.send("EiReport", offer))["report_requests"]
        assert [request["report_request_id"] for request in asked] == ["all-of-meter"]

        request = bridge.lift_request(asked[0])
        reading = Reading(r_id="p", start=now, value=3.5)
        report = bridge.lower_readings(request, "TELEMETRY_USAGE", [reading], created=now)
        update = wire.OadrUpdateReport(request_id="3", ven_id="ven-7", reports=(report,))
        for _ in range(2):
            assert (await peer.send("EiReport", update))["response"]["response_code"] == "200"
        with contextlib.closing(sqlite3.connect("readings.db")) as database:
            rows = database.execute("SELECT * FROM reading").fetchall()
        assert rows == [("ven-7", "meter", "p", "2030-01-01T00:00:00+00:00", 3.5)]

        accepted = wire.EiResponse(response_code="200", request_id="2")
        confirmation = wire.OadrCreatedReport(response=accepted, pending_reports=("all-of-meter",), ven_id="ven-7")
        await peer.send("EiReport", confirmation)
        poll = wire.OadrPoll(ven_id="ven-7")
        assert (await peer.send("OadrPoll", poll)).message_type == "oadrRegisterReport"
        price = await peer.send("OadrPoll", poll)
        assert price["reports"][0]["intervals"][0]["payloads"][0]["value"] == pytest.approx(0.29)
    finally:
        await server.stop()
    assert "ven-7 is here" in capsys.readouterr().out


def test_own_events_and_own_queue_of_the_backends_page_can_be_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page = run_blocks(DOCS / "howto" / "backends.md")
    for event in page["from_my_database"]("ven-7"):
        check_event(event)
    assert page["next_message"]("ven-7") is None


# --- the programs of the README -----------------------------------------------------------------------------------


def replaced(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert text.count(old) == 1, f"{old!r} must stand exactly once in the program"
        text = text.replace(old, new)
    return text


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Program:
    """A program of the README while it runs, with what it has printed so far."""

    def __init__(self, source: str, path: Path) -> None:
        path.write_text(source, "utf-8")
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, str(path)],
            cwd=path.parent,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT / "src")},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout:
            self.lines.extend(iter(self._process.stdout.readline, ""))

    def says(self, pattern: str, until: float) -> re.Match[str] | None:
        """Wait for a line that begins with the pattern."""
        while time.monotonic() < until and self._process.poll() is None:
            for line in list(self.lines):
                if found := re.match(pattern, line):
                    return found
            time.sleep(0.05)
        return None

    def end(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._reader.join()


@contextlib.contextmanager
def running(source: str, path: Path) -> Iterator[Program]:
    program = Program(source, path)
    try:
        yield program
    finally:
        program.end()


@pytest.mark.slow
def test_the_programs_of_the_readme_run_together(tmp_path: Path) -> None:
    vtn, ven = python_blocks(ROOT / "README.md")
    port = free_port()
    vtn = replaced(
        vtn,
        ("port=8080", f"port={port}"),
        ("sqlite:///vtn.db", f"sqlite:///{tmp_path / 'vtn.db'}"),
        ("timedelta(minutes=2)", "timedelta(seconds=2)"),
    )
    ven = replaced(ven, ("127.0.0.1:8080", f"127.0.0.1:{port}"))
    until = time.monotonic() + 60
    with running(vtn, tmp_path / "vtn.py") as server, running(ven, tmp_path / "ven.py") as client:
        event = client.says(r"event (\w+) from .* \[1\.0, 2\.0\]$", until)
        assert event is not None, f"VEN: {client.lines}\nVTN: {server.lines}"
        answer = server.says(rf"\S+ answers optIn to {event[1]}$", until)
        assert answer is not None, f"VEN: {client.lines}\nVTN: {server.lines}"
        assert not any("Traceback" in line for line in [*server.lines, *client.lines])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "server_says", "device_says"),
    [
        ("device.md", [r"\S+ answers optIn"], [r"announced: \[1\.0, 2\.0\]", "level 1 so 1500 W", "level 2 so 1000 W"]),
        (
            "vtn.md",
            ["welcome customer-17", r"stored customer-17 2000\.0", r"stored customer-17 1000\.0"],
            [r"announced: \[2\.0, 1\.0\]", "level 2 so 1000 W", "level 1 so 1500 W", "over: completed so 2000 W"],
        ),
    ],
)
def test_the_programs_of_the_tutorial_do_what_it_says(
    page: str, server_says: list[str], device_says: list[str], tmp_path: Path
) -> None:
    """As they stand there, but for the port, and with less time until the event and between readings."""
    heater = python_blocks(DOCS / "tutorial" / "device.md")[0]
    text = (DOCS / "tutorial" / page).read_text("utf-8")
    server = python_blocks(DOCS / "tutorial" / page)[-1]
    for name, table in re.findall(r"`(\w+\.csv)`.*?^```csv\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        (tmp_path / name).write_text(re.sub(r"^20,", "2,", table, flags=re.MULTILINE), "utf-8")
    port = free_port()
    changes = [("port=8080", f"port={port}"), ("timedelta(seconds=30)", "timedelta(seconds=3)")]
    if page == "device.md":
        changes.append(("timedelta(seconds=20)", "timedelta(seconds=2)"))
    server = replaced(server, *changes).replace("seconds=5", "seconds=1")
    until = time.monotonic() + 30
    with (
        running(server, tmp_path / "vtn.py") as vtn,
        running(replaced(heater, ("127.0.0.1:8080", f"127.0.0.1:{port}")), tmp_path / "heater.py") as ven,
    ):
        for program, patterns in ((ven, device_says), (vtn, server_says)):
            for pattern in patterns:
                assert program.says(pattern, until), f"{pattern}\nVEN: {ven.lines}\nVTN: {vtn.lines}"
        assert not any("Traceback" in line for line in [*vtn.lines, *ven.lines])


async def test_the_client_of_openleadr_and_ours_are_both_right() -> None:
    """Both programs of the guide make a client with a report and a handler; only their loop is left out."""
    theirs, ours = python_blocks(DOCS / "howto" / "openleadr.md")
    for program, made in ((theirs, "openleadr.OpenADRClient.run"), (ours, "pyopenadr.OpenADRClient.run")):
        clients: list[Any] = []

        async def run(client: Any, clients: list[Any] = clients) -> None:
            clients.append(client)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(made, run)
            body = program.replace("asyncio.run(main())", "").replace("await asyncio.Event().wait()", "")
            scope: dict[str, Any] = {}
            exec(body.replace("enable_default_logging()", ""), scope)
            await scope["main"]()
        assert len(clients) == 1
