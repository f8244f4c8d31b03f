"""The ready-made sources against real counterparts on loopback: a Modbus device, an MQTT broker, HTTP servers."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiomqtt
import pandas
import pytest
from aiohttp import web

from pyopenadr.errors import ConfigError, ModelError, TransportError
from pyopenadr.ven.adapter import HomeAssistantEntity, HttpJson, ModbusRegister, MqttTopic, Table
from pyopenadr.ven.adapter.field import parsed
from tests.faults.test_vtn_kill import free_port

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

# -- a number in a text ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("1.5", None, 1.5),
        (b" -3 ", None, -3.0),
        ('"7.25"', None, 7.25),
        ("null", None, None),
        ('{"a": {"b": [1, 2.5]}}', "a.b.1", 2.5),
        ('{"a": null}', "a", None),
    ],
)
def test_a_number_is_found(text: str | bytes, field: str | None, value: float | None) -> None:
    assert parsed(text, field, 1.0) == value


@pytest.mark.parametrize(
    ("text", "field", "problem"),
    [
        ("on", None, "no number and no JSON"),
        ("true", None, "no number"),
        ('"on"', None, "no number"),
        ("NaN", None, "no number"),
        ("{}", None, "no number"),
        ('{"a": 1}', "b", "there is no 'b'"),
        ("[1]", "1", "there is no '1'"),
        ('"abc"', "0", "there is no '0'"),
    ],
)
def test_what_is_no_number_is_said(text: str, field: str | None, problem: str) -> None:
    with pytest.raises(ModelError, match=problem):
        parsed(text, field, 1.0)


# -- HTTP ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def serving(routes: dict[str, Any]) -> AsyncIterator[str]:
    """A web server; a route's answer is JSON, or a function of the request."""

    async def answer(request: web.Request) -> web.Response:
        found = routes.get(request.path)
        if found is None:
            return web.Response(status=404)
        return found(request) if callable(found) else web.json_response(found)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


async def test_a_number_over_http() -> None:
    def secret(request: web.Request) -> web.Response:
        return web.json_response(4 if request.headers.get("X-Key") == "k" else None)

    async with serving({"/meter": {"meters": [{"power": 1500}]}, "/secret": secret}) as url:
        assert await HttpJson(f"{url}/meter", "meters.0.power", scale=0.001)() == 1.5
        assert await HttpJson(f"{url}/secret", headers={"X-Key": "k"})() == 4.0
        assert await HttpJson(f"{url}/secret")() is None


async def test_what_goes_wrong_over_http_is_a_transport_error() -> None:
    def slow(request: web.Request) -> web.Response:
        return web.Response(text="<html>")

    def away(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/meter"})

    def huge(request: web.Request) -> web.Response:
        return web.Response(text="1" * 2_000_000)

    async with serving({"/html": slow, "/away": away, "/huge": huge, "/meter": 1}) as url:
        for path, problem in (("none", "404"), ("html", "could not be read"), ("away", "302"), ("huge", "more than")):
            with pytest.raises(TransportError, match=problem):
                await HttpJson(f"{url}/{path}")()
    with pytest.raises(TransportError, match="could not be read"):
        await HttpJson(f"http://127.0.0.1:{free_port()}/")()


async def test_a_server_that_hangs_is_waited_for_no_longer_than_said() -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()
    server = await asyncio.start_server(hang, "127.0.0.1", port := free_port())
    async with server:
        with pytest.raises(TransportError, match="TimeoutError"):
            await HttpJson(f"http://127.0.0.1:{port}/", timeout_s=0.1)()
        await ended.wait()


async def test_an_entity_of_home_assistant() -> None:
    def entity(**content: Any) -> Any:
        def answer(request: web.Request) -> web.Response:
            known = request.headers.get("Authorization") == "Bearer t0ken"
            return web.json_response(content) if known else web.Response(status=401)

        return answer

    routes = {
        "/api/states/sensor.power": entity(state="1500", attributes={"voltage": 231.5, "unit_of_measurement": "W"}),
        "/api/states/sensor.gone": entity(state="unavailable", attributes={}),
        "/api/states/sensor.new": entity(state="unknown", attributes={}),
        "/api/states/light.hall": entity(state="on", attributes={}),
    }
    async with serving(routes) as url:
        assert await HomeAssistantEntity(f"{url}/", "t0ken", "sensor.power", scale=0.001)() == 1.5
        assert await HomeAssistantEntity(url, "t0ken", "sensor.power", attribute="voltage")() == 231.5
        assert await HomeAssistantEntity(url, "t0ken", "sensor.gone")() is None
        assert await HomeAssistantEntity(url, "t0ken", "sensor.new")() is None
        with pytest.raises(ModelError, match="'on', which is no number"):
            await HomeAssistantEntity(url, "t0ken", "light.hall")()
        with pytest.raises(TransportError, match="401"):
            await HomeAssistantEntity(url, "wrong", "sensor.power")()
        with pytest.raises(TransportError, match="404"):
            await HomeAssistantEntity(url, "t0ken", "sensor.none")()


# -- Modbus ----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def device() -> AsyncIterator[int]:
    """A device with some holding registers and some input registers; its port."""
    from pymodbus.server import ModbusTcpServer
    from pymodbus.simulator import DataType, SimData, SimDevice

    bits = [SimData(0, count=16, values=False, datatype=DataType.BITS)]
    holding = [
        SimData(0, values=1234, datatype=DataType.UINT16),
        SimData(1, values=-5, datatype=DataType.INT16),
        SimData(2, values=70_000, datatype=DataType.INT32),
        SimData(4, values=2.5, datatype=DataType.FLOAT32),
        SimData(6, values=[0x1170, 0x0001], datatype=DataType.REGISTERS),
    ]
    inputs = [SimData(0, values=77, datatype=DataType.UINT16)]
    server = ModbusTcpServer(SimDevice(7, (bits, bits, holding, inputs)), address=("127.0.0.1", port := free_port()))
    await server.serve_forever(background=True)
    try:
        yield port
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


async def test_registers_of_a_modbus_device() -> None:
    async with device() as port:

        async def read(address: int, **words: Any) -> float:
            return await ModbusRegister("127.0.0.1", address, port=port, device_id=7, **words)()

        assert await read(0, format="uint16", scale=0.1) == pytest.approx(123.4)
        assert await read(1) == -5
        assert await read(2, format="int32") == 70_000
        assert await read(4, format="float32") == 2.5
        assert await read(6, format="int32", low_word_first=True) == 70_000
        assert await read(0, kind="input", format="uint16") == 77


async def test_what_goes_wrong_over_modbus_is_a_transport_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, logger="pymodbus.logging")
    async with device() as port:
        with pytest.raises(TransportError, match="register 500"):
            await ModbusRegister("127.0.0.1", 500, port=port, device_id=7)()
    with pytest.raises(TransportError, match="there is no connection"):
        await ModbusRegister("127.0.0.1", 0, port=free_port(), timeout_s=0.5)()


@pytest.mark.parametrize("words", [{"kind": "coil"}, {"format": "bcd"}])
def test_registers_that_there_are_not(words: Any) -> None:
    with pytest.raises(ConfigError, match="must be"):
        ModbusRegister("127.0.0.1", 0, **words)


# -- MQTT ------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def broker(port: int, folder: Path) -> AsyncIterator[None]:
    """A broker in a process of its own, because it leaves connections open when it ends."""
    plugin = "amqtt.plugins.authentication.AnonymousAuthPlugin"
    listener = f"listeners: {{default: {{type: tcp, bind: '127.0.0.1:{port}'}}}}"
    (folder / "broker.yaml").write_text(f"{listener}\nplugins: {{{plugin}: {{allow_anonymous: true}}}}\n")
    code = "from amqtt.scripts.broker_script import main; main()"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", code, "-c", str(folder / "broker.yaml")),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(20):
            while not await listens(port):  # noqa: ASYNC110 - another process tells nobody
                await asyncio.sleep(0.05)
        yield
    finally:
        process.kill()
        await process.wait()


async def listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def test_messages_of_a_topic(tmp_path: Path) -> None:
    taken: asyncio.Queue[Any] = asyncio.Queue()
    port = free_port()
    async with broker(port, tmp_path), aiomqtt.Client("127.0.0.1", port=port) as publisher:
        await publisher.publish("house/power", "1500", qos=1, retain=True)
        topic = MqttTopic("127.0.0.1", "house/power", port=port, scale=0.001)
        plain = asyncio.create_task(topic.run(taken.put_nowait))
        assert await asyncio.wait_for(taken.get(), 5) == 1.5, "also one that was there before"
        await publisher.publish("house/other", "1")
        await publisher.publish("house/power", "warm")
        assert isinstance(await asyncio.wait_for(taken.get(), 5), ModelError)
        await publisher.publish("house/power", "2500")
        assert await asyncio.wait_for(taken.get(), 5) == 2.5
        await publisher.publish("house/power", b"", qos=1, retain=True)  # else this broker tells all who come of it
        assert isinstance(await asyncio.wait_for(taken.get(), 5), ModelError)
        await publisher.publish("json/1", '{"p": [9]}', qos=1, retain=True)
        nested = asyncio.create_task(MqttTopic("127.0.0.1", "json/1", port=port, field="p.0").run(taken.put_nowait))
        assert await asyncio.wait_for(taken.get(), 5) == 9.0
        nested.cancel()
        await asyncio.wait({nested})
    with pytest.raises(TransportError, match="house/power at"):
        await asyncio.wait_for(plain, 5)


async def test_a_broker_that_is_not_there_is_a_transport_error() -> None:
    port = free_port()
    with pytest.raises(TransportError, match="house/power at"):
        await MqttTopic("127.0.0.1", "house/power", port=port).run(print)


# -- tables ----------------------------------------------------------------------------------------------------------


async def between(table: Table, r_id: str, first: int, last: int) -> list[tuple[float, float]]:
    found = await table(r_id, NOW + first * MINUTE, NOW + last * MINUTE, MINUTE)
    return [((at - NOW) / MINUTE, value) for at, value in found]


async def test_a_table_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "meter.csv"
    path.write_text(
        "when;roof;cellar\n2030-01-01T12:01:00Z;2.5;\n2030-01-01T13:00:00+01:00;1.5;7\n2030-01-01T12:02:00+00:00;3;8\n"
    )
    table = Table.from_csv(path, time="when", delimiter=";")
    assert await between(table, "roof", 0, 2) == [(0, 1.5), (1, 2.5)]
    assert await between(table, "cellar", 0, 9) == [(0, 7.0), (2, 8.0)]
    with pytest.raises(ModelError, match="only roof, cellar"):
        await table("attic", NOW, NOW, MINUTE)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no column 'time'"),
        ("a,b\n1,2\n", "no column 'time'"),
        ("time,p\nyesterday,1\n", "no table of times and numbers"),
        ("time,p\n2030-01-01T12:00:00Z,much\n", "no table of times and numbers"),
        ("time,p\n2030-01-01T12:00:00Z,1,2\n", "no table of times and numbers"),
        ("time,p\n2030-01-01T12:00:00,1\n", "no time zone"),
    ],
)
def test_a_file_that_is_no_table(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "meter.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=problem):
        Table.from_csv(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no table of times"):
        Table.from_csv(tmp_path / "none.csv")


async def test_a_table_of_a_data_frame() -> None:
    index = pandas.date_range(NOW, periods=4, freq="1min")
    table = Table.from_frame(pandas.DataFrame({"p": [0, 1, None, 3]}, index=index))
    assert await between(table, "p", 0, 9) == [(0, 0.0), (1, 1.0), (3, 3.0)]


@pytest.mark.parametrize(
    ("frame", "problem"),
    [
        (pandas.DataFrame({"p": [1, 2]}), "no DataFrame of numbers"),
        (pandas.DataFrame({"p": ["a"]}, index=pandas.date_range(NOW, periods=1)), "no DataFrame of numbers"),
        (pandas.DataFrame({"p": [1]}, index=pandas.date_range("2030-01-01", periods=1)), "no time zone"),
        ([1, 2], "no DataFrame of numbers"),
    ],
)
def test_what_is_no_such_frame(frame: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Table.from_frame(frame)


# -- light -----------------------------------------------------------------------------------------------------------


def test_nothing_is_loaded_before_it_is_needed() -> None:
    code = """
import sys
import pyopenadr.ven.adapter
print([name for name in ("aiomqtt", "paho", "pymodbus", "aiohttp", "pandas") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("package", "extra", "use"),
    [
        ("pymodbus", "modbus", ModbusRegister("127.0.0.1", 0)),
        ("aiomqtt", "mqtt", partial(MqttTopic("127.0.0.1", "t").run, print)),
    ],
)
async def test_a_package_that_is_missing_is_named_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, package: str, extra: str, use: Callable[[], Awaitable[object]]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError, match=rf"pyopenadr\[{extra}\]"):
        await use()
