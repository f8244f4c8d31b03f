"""What can be done when the value of a signal changes: HTTP, MQTT, Modbus, a program.

Each action is a struct with the settings that stand in `ven.yaml` under its `do`, and a coroutine `perform`.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import struct
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import quote

import msgspec
from msgspec import Meta

from pyopenadr.agent.reading import FIELDS, AgentError, Change, check_template, run

__all__ = ["Command", "Http", "Modbus", "Mqtt"]

Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(gt=0)]


class Http(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="http"):
    """Call an address. In `url` and `body`, `$value`, `$signal`, `$resource`, `$event_id`, `$start`, `$end` and so
    on are filled in. Without a `body` all of them are sent as JSON."""

    url: str
    method: Literal["GET", "POST", "PUT", "PATCH"] = "POST"
    headers: dict[str, str] = {}
    body: dict[str, Any] | str | None = None
    timeout_s: Seconds = 10.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url must begin with http:// or https://, not {self.url!r}")
        check_template("url", self.url)
        check_template("body", self.body)

    async def perform(self, change: Change) -> None:
        """Send the request.

        Raises:
            AgentError: no answer, or one of an error.
        """
        import aiohttp

        # Quoting leaves dots as they are, and ".." alone between two slashes would lead out of the folder.
        quoted = {
            name: quote(text if text.strip(".") else "_" * len(text), safe="") for name, text in change.texts().items()
        }
        url = _filled(self.url, quoted)
        content: dict[str, Any] = {}
        if self.method != "GET":
            body = change.document() if self.body is None else change.filled(self.body)
            content = {"data": str(body)} if isinstance(self.body, str) else {"json": body}
        timeout = aiohttp.ClientTimeout(total=self.timeout_s)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=self.headers) as session,
                # A device that was moved is to be told to somebody: by a redirect a POST would become a GET.
                session.request(self.method, url, allow_redirects=False, **content) as response,
            ):
                if response.status >= 300:
                    said = " ".join((await response.text(errors="replace"))[:200].split())
                    raise AgentError(f"{self.method} {url} was answered with HTTP {response.status}: {said}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise AgentError(f"{self.method} {url} failed: {str(error) or 'no answer in time'}") from error


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="command"):
    """Run a program. `run` is the list of its arguments; there is no shell. `$value` and so on are filled in, each
    within its argument, and stand in the environment as OPENADR_VALUE and so on."""

    run: Annotated[tuple[str, ...], Meta(min_length=1)]
    timeout_s: Seconds = 30.0

    def __post_init__(self) -> None:
        check_template("run", self.run)
        if "$" in self.run[0]:
            raise ValueError("the program, first in run, must not come from the VTN: write it out")

    async def perform(self, change: Change) -> None:
        """Run it.

        Raises:
            AgentError: it can't be started, takes too long, or ends with an error.
        """
        texts = change.texts()
        environment = {f"OPENADR_{name.upper()}": text for name, text in texts.items()}
        await run([_filled(argument, texts) for argument in self.run], self.timeout_s, environment)


class Mqtt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="mqtt"):
    """Publish to an MQTT broker. Without a `payload` it is the value alone. With `home_assistant` the value shows up in
    Home Assistant as a sensor, by discovery. `password_env` names the environment variable with the password."""

    host: str
    topic: str
    port: Port = 1883
    payload: str | None = None
    qos: Literal[0, 1] = 1
    retain: bool = True
    tls: bool = False
    username: str | None = None
    password_env: str | None = None
    home_assistant: bool = False
    timeout_s: Seconds = 10.0

    def __post_init__(self) -> None:
        check_template("topic", self.topic)
        check_template("payload", self.payload)
        if re.search(r"[#+]", self.topic):
            raise ValueError(f"topic {self.topic!r} has a wildcard: it is published to, so name one topic")

    def messages(self, change: Change) -> list[Any]:
        """What is published: the sensor's description first, if that is wanted."""
        # A slash or a wildcard in what the VTN says must not lead to another topic.
        texts = {name: re.sub(r"[/#+]", "_", text) for name, text in change.texts().items()}
        topic = _filled(self.topic, texts)
        payload = change.filled(self.payload if self.payload is not None else "$value")
        value = {"topic": topic, "payload": payload if isinstance(payload, str) else f"{payload:g}"}
        return [*self._discovery(change, topic), {**value, "qos": self.qos, "retain": self.retain}]

    def _discovery(self, change: Change, topic: str) -> list[Any]:
        if not self.home_assistant:
            return []
        node = re.sub(r"[^A-Za-z0-9_-]+", "_", f"openadr_{change.ven}")
        thing = re.sub(r"[^A-Za-z0-9_-]+", "_", "_".join(filter(None, (change.signal, change.resource))))
        description = {
            "name": " ".join(filter(None, (change.signal, change.resource))),
            "unique_id": f"{node}_{thing}",
            "state_topic": topic,
            "device": {"identifiers": [node], "name": f"OpenADR {change.ven}"},
        }
        config = f"homeassistant/sensor/{node}/{thing}/config"
        return [{"topic": config, "payload": json.dumps(description), "qos": self.qos, "retain": True}]

    async def perform(self, change: Change) -> None:
        """Publish, and wait for the broker's word.

        Raises:
            AgentError: the broker can't be reached, or the package is missing.
        """
        import os
        import ssl

        try:
            import aiomqtt
        except ImportError as error:
            raise AgentError("MQTT needs another package: pip install 'pyopenadr[mqtt]'") from error
        password = os.environ.get(self.password_env) if self.password_env is not None else None
        try:
            async with (
                asyncio.timeout(self.timeout_s),
                aiomqtt.Client(
                    self.host,
                    self.port,
                    username=self.username,
                    password=password,
                    tls_context=ssl.create_default_context() if self.tls else None,
                    timeout=self.timeout_s,
                ) as client,
            ):
                for message in self.messages(change):
                    await client.publish(**message)
        except (OSError, aiomqtt.MqttError) as error:  # TimeoutError is an OSError
            raise AgentError(f"MQTT to {self.host}:{self.port} failed: {str(error) or 'no answer in time'}") from error


class Modbus(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="do", tag="modbus"):
    """Write the value, times `scale`, to a holding register over Modbus/TCP, as `uint16`, `int16` or `float32` (two
    registers, the high one first)."""

    host: str
    register: Annotated[int, Meta(ge=0, le=65535)]
    port: Port = 502
    unit: Annotated[int, Meta(ge=0, le=255)] = 1
    format: Literal["uint16", "int16", "float32"] = "uint16"
    scale: float = 1.0
    timeout_s: Seconds = 5.0

    def request(self, value: float) -> bytes:
        """The request as it goes over the wire (Modbus function 16).

        Raises:
            AgentError: the value does not fit into the register.
        """
        number = value * self.scale
        try:
            if self.format == "float32":
                data = struct.pack(">f", number)
            else:
                data = struct.pack(">H" if self.format == "uint16" else ">h", math.floor(number + 0.5))
        except (struct.error, OverflowError, ValueError) as error:
            raise AgentError(
                f"{number:g} does not fit into a register of {self.format}: look at scale and limits"
            ) from error
        body = struct.pack(">BBHHB", self.unit, 16, self.register, len(data) // 2, len(data)) + data
        return struct.pack(">HHH", 1, 0, len(body)) + body

    async def perform(self, change: Change) -> None:
        """Write, and wait for the device's word.

        Raises:
            AgentError: it can't be reached, or refuses.
        """
        request = self.request(change.value)
        where = f"Modbus to {self.host}:{self.port}, register {self.register},"
        try:
            async with asyncio.timeout(self.timeout_s):
                reader, writer = await asyncio.open_connection(self.host, self.port)
                try:
                    writer.write(request)
                    length = struct.unpack(">HHH", await reader.readexactly(6))[2]
                    answer = await reader.readexactly(min(length, 260))
                finally:
                    writer.close()
        except (OSError, EOFError) as error:  # TimeoutError is an OSError
            raise AgentError(f"{where} failed: {str(error) or 'no answer in time'}") from error
        if len(answer) < 3 or answer[1] != 16:
            code = answer[2] if len(answer) > 2 else 0
            raise AgentError(f"{where} was refused with code {code}: check the register, the unit and the value")


def _filled(text: str, texts: Mapping[str, str]) -> str:
    from string import Template

    return Template(text).substitute({name: texts[name] for name in FIELDS})
