"""What is done with a value, against real peers on loopback, and where it may fail."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from pyopenadr.agent.action import Command, Http, Modbus, Mqtt
from pyopenadr.agent.reading import AgentError, Change
from pyopenadr.agent.source import CommandSource, ConstantSource, CsvSource, HttpSource

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
CHANGE = Change(value=2.0, signal="SIMPLE", ven="box", type="level", event_id="e1", start=NOW)
EVIL = Change(value=1.0, signal="SIMPLE", ven="box", event_id="$(touch x); `touch x` && a/#+ b\n\x00c")


@asynccontextmanager
async def http(answer: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def tcp(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    async def handled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (EOFError, OSError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(handled, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        await asyncio.sleep(0.01)


# --- HTTP -------------------------------------------------------------------------------------------------------------


async def test_http_sends_everything_or_what_is_asked_for() -> None:
    seen: list[tuple[str, str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.method, str(request.rel_url), await request.text()))
        return web.Response()

    async with http(answer) as url:
        await Http(url=url).perform(CHANGE)
        await Http(url=f"{url}/$event_id", method="PUT", body={"limit": "$value", "why": "event $event_id"}).perform(
            CHANGE
        )
        await Http(url=f"{url}/set?v=$value", method="GET").perform(CHANGE)
        await Http(url=f"{url}/$event_id", body="$value").perform(EVIL)
    document = json.loads(seen[0][2])
    assert (document["value"], document["signal"], document["start"]) == (2.0, "SIMPLE", "2030-01-01T12:00:00+00:00")
    assert seen[1][:2] == ("PUT", "/e1")
    assert json.loads(seen[1][2]) == {"limit": 2.0, "why": "event e1"}
    assert seen[2] == ("GET", "/set?v=2", "")
    assert "/" not in seen[3][1][1:].replace("%2F", "")
    assert seen[3][2] == "1.0"


@pytest.mark.parametrize(
    ("event_id", "path"), [("..", "/limits/__/set"), (".", "/limits/_/set"), ("a..", "/limits/a../set")]
)
async def test_dots_do_not_lead_to_another_address(event_id: str, path: str) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.path)
        return web.Response()

    async with http(answer) as url:
        change = Change(value=1.0, signal="SIMPLE", ven="box", event_id=event_id)
        await Http(url=f"{url}/limits/$event_id/set").perform(change)
    assert seen == [path]


async def test_a_redirect_is_not_followed() -> None:
    seen: list[str] = []

    async def moved(request: web.Request) -> web.Response:
        seen.append(request.path)
        raise web.HTTPFound("/elsewhere")

    async with http(moved) as url:
        with pytest.raises(AgentError, match="HTTP 302"):
            await Http(url=f"{url}/set").perform(Change(value=1.0, signal="SIMPLE", ven="box", event_id="e"))
    assert seen == ["/set"]


async def test_http_errors_are_failures() -> None:
    async def no(request: web.Request) -> web.Response:
        return web.Response(status=503, text="asleep")

    async with http(no) as url:
        with pytest.raises(AgentError, match="HTTP 503: asleep"):
            await Http(url=url).perform(CHANGE)
    with pytest.raises(AgentError, match="failed"):
        await Http(url=url).perform(CHANGE)


# --- programs ---------------------------------------------------------------------------------------------------------


def program(folder: Path, body: str) -> str:
    path = folder / "program.py"
    path.write_text(body)
    return str(path)


async def test_a_program_gets_arguments_and_environment_and_no_shell(tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = program(
        tmp_path,
        "import json, os, sys\n"
        "told = [sys.argv[1:], os.environ['OPENADR_EVENT_ID'], os.environ['OPENADR_VALUE']]\n"
        f"json.dump(told, open({str(out)!r}, 'w'))",
    )
    await Command(run=(sys.executable, script, "--value=$value", "$event_id", "$$5")).perform(EVIL)
    arguments, event_id, value = json.loads(out.read_text())
    cleaned = "$(touch x); `touch x` && a/#+ b  c"
    assert arguments == ["--value=1", cleaned, "$5"]
    assert (event_id, value) == (cleaned, "1")
    assert not Path("x").exists()


async def test_a_program_that_fails(tmp_path: Path) -> None:
    script = program(tmp_path, "import sys; sys.exit('no relay')")
    with pytest.raises(AgentError, match="status 1: no relay"):
        await Command(run=(sys.executable, script)).perform(CHANGE)
    script = program(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(AgentError, match=r"within 0\.3 seconds"):
        await Command(run=(sys.executable, script), timeout_s=0.3).perform(CHANGE)
    with pytest.raises(AgentError, match="can't be started"):
        await Command(run=(str(tmp_path / "nothing"),)).perform(CHANGE)


# --- Modbus -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "value", "data"),
    [
        ({}, 2.0, "0002"),
        ({"scale": 10}, 2.26, "0017"),
        ({"format": "int16"}, -2.0, "fffe"),
        ({"format": "float32"}, 1.5, "3fc00000"),
    ],
)
async def test_modbus_writes_a_register(settings: dict[str, object], value: float, data: str) -> None:
    seen: list[bytes] = []

    async def device(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(6)
        body = await reader.readexactly(struct.unpack(">HHH", head)[2])
        seen.append(body)
        writer.write(struct.pack(">HHHBBHH", 1, 0, 6, body[0], 16, 40, len(body[7:]) // 2))
        await writer.drain()

    async with tcp(device) as port:
        action = Modbus(host="127.0.0.1", port=port, register=40, unit=3, **settings)  # type: ignore[arg-type]
        await action.perform(Change(value=value, signal="S", ven="v"))
    assert seen[0][:4].hex() == "03100028"
    assert seen[0][7:].hex() == data


async def test_modbus_refusals_and_limits() -> None:
    async def device(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(64)
        writer.write(struct.pack(">HHHBBB", 1, 0, 3, 1, 0x90, 2))
        await writer.drain()

    async with tcp(device) as port:
        with pytest.raises(AgentError, match="refused with code 2"):
            await Modbus(host="127.0.0.1", port=port, register=1).perform(CHANGE)
    with pytest.raises(AgentError, match="failed"):
        await Modbus(host="127.0.0.1", port=port, register=1).perform(CHANGE)
    for value in (-1.0, 70000.0, float("nan"), float("inf")):
        with pytest.raises(AgentError, match="does not fit"):
            Modbus(host="h", register=1).request(value)


# --- MQTT -------------------------------------------------------------------------------------------------------------


class Broker:
    """As much of MQTT 3.1.1 as a publisher needs."""

    def __init__(self) -> None:
        self.published: list[tuple[str, str, bool]] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            kind = (await reader.readexactly(1))[0]
            size, shift = 0, 0
            while True:
                part = (await reader.readexactly(1))[0]
                size |= (part & 127) << shift
                shift += 7
                if part < 128:
                    break
            body = await reader.readexactly(size)
            if kind >> 4 == 1:
                writer.write(b"\x20\x02\x00\x00")
            elif kind >> 4 == 3:
                length = struct.unpack(">H", body[:2])[0]
                rest = body[2 + length :]
                self.published.append((body[2 : 2 + length].decode(), rest[2:].decode(), bool(kind & 1)))
                writer.write(b"\x40\x02" + rest[:2])
            elif kind >> 4 == 14:
                return
            await writer.drain()


async def test_mqtt_publishes_and_describes_itself_to_home_assistant() -> None:
    broker = Broker()
    async with tcp(broker.talk) as port:
        action = Mqtt(host="127.0.0.1", port=port, topic="openadr/$ven/$signal", home_assistant=True)
        await action.perform(CHANGE)
        await Mqtt(host="127.0.0.1", port=port, topic="a/$event_id", payload="$value at $start").perform(EVIL)
    config, value, evil = broker.published
    assert value == ("openadr/box/SIMPLE", "2", True)
    assert config[0] == "homeassistant/sensor/openadr_box/SIMPLE/config"
    described = json.loads(config[1])
    assert described["state_topic"] == "openadr/box/SIMPLE"
    assert described["unique_id"] == "openadr_box_SIMPLE"
    assert evil[0].count("/") == 1
    assert not set("#+") & set(evil[0])
    with pytest.raises(AgentError, match="MQTT to"):
        await Mqtt(host="127.0.0.1", port=port, topic="a").perform(CHANGE)


# --- sources ----------------------------------------------------------------------------------------------------------


async def test_sources(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"meters": [{"power": "3.5", "on": True}]})

    assert await ConstantSource(value=1.5).read() == 1.5
    assert await CommandSource(run=(sys.executable, "-c", "print(' 2.5')")).read() == 2.5
    with pytest.raises(AgentError, match="'two', which is no number"):
        await CommandSource(run=(sys.executable, "-c", "print('two')")).read()
    async with http(answer) as url:
        assert await HttpSource(url=url, path="meters.0.power").read() == 3.5
        for path, said in (("meters.1", "'1' is not there"), ("meters.0.on", "no number"), ("x.y", "'x' is not there")):
            with pytest.raises(AgentError, match=said):
                await HttpSource(url=url, path=path).read()
    with pytest.raises(AgentError, match="gave no JSON"):
        await HttpSource(url=url).read()
    table = tmp_path / "a.csv"
    table.write_text("time,kW\n1,2\n2,4.5\n")
    assert await CsvSource(file=str(table), column="kW").read() == 4.5
    with pytest.raises(AgentError, match="no line yet with a column 'W'"):
        await CsvSource(file=str(table), column="W").read()
    with pytest.raises(AgentError, match="can't be read"):
        await CsvSource(file=str(tmp_path / "b.csv"), column="W").read()
