"""A number that comes over MQTT. Needs the extra `mqtt`."""

from __future__ import annotations

import ssl

from pyopenadr.errors import ConfigError, ModelError, TransportError
from pyopenadr.ven.adapter.field import parsed
from pyopenadr.ven.source import Record

__all__ = ["MqttTopic"]


class MqttTopic:
    """A feed: each message on `topic` is a value, times `scale`.

    The message is a number, or JSON with the number in `field` (a path such as `meter.power`). `tls` encrypts, with the
    certificate authorities of the system. If the connection breaks, it is made again after a while.
    """

    def __init__(
        self,
        host: str,
        topic: str,
        *,
        port: int | None = None,
        field: str | None = None,
        scale: float = 1.0,
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
    ) -> None:
        self._host = host
        self._topic = topic
        self._port = port if port is not None else (8883 if tls else 1883)
        self._field = field
        self._scale = scale
        self._username = username
        self._password = password
        self._tls = tls

    async def run(self, record: Record) -> None:
        """Listen until cancelled.

        Raises:
            TransportError: the broker can't be reached, or the connection has broken.
        """
        try:
            import aiomqtt
        except ImportError as error:
            raise ConfigError("MQTT needs aiomqtt: pip install 'pyopenadr[mqtt]'") from error
        try:
            async with aiomqtt.Client(
                self._host,
                port=self._port,
                username=self._username,
                password=self._password,
                tls_context=ssl.create_default_context() if self._tls else None,
            ) as client:
                await client.subscribe(self._topic)
                async for message in client.messages:
                    self._take(message.payload, record)
        except (aiomqtt.MqttError, OSError) as error:
            raise TransportError(f"{self._topic} at {self._host}:{self._port}: {error}") from error

    def _take(self, payload: object, record: Record) -> None:
        try:
            text = payload if isinstance(payload, bytes | str) else str(payload)
            record(parsed(text, self._field, self._scale))
        except ModelError as error:
            record(error)
