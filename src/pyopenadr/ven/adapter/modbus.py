"""A number out of the registers of a device that speaks Modbus TCP. Needs the extra `modbus`."""

from __future__ import annotations

from typing import Literal

from pyopenadr.errors import ConfigError, ModelError, TransportError

__all__ = ["ModbusRegister"]

Format = Literal["int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
_WORDS: dict[str, int] = {
    "int16": 1, "uint16": 1, "int32": 2, "uint32": 2, "int64": 4, "uint64": 4, "float32": 2, "float64": 4,
}  # fmt: skip


class ModbusRegister:
    """A source: reads the register `address` of a device for each sample, times `scale`.

    `address` counts from 0, as on the wire (a manual's 40001 is holding register 0, 30001 input register 0).
    `format` says how many registers there are and what they mean; `low_word_first` turns their order round. A
    connection is opened for each sample, because many devices have only few. A failure is a bad value, and is logged.

    Raises:
        ConfigError: there is no such kind or format.
    """

    def __init__(
        self,
        host: str,
        address: int,
        *,
        port: int = 502,
        device_id: int = 1,
        kind: Literal["holding", "input"] = "holding",
        format: Format = "int16",
        low_word_first: bool = False,
        scale: float = 1.0,
        timeout_s: float = 5.0,
    ) -> None:
        if kind not in ("holding", "input"):
            raise ConfigError(f'kind must be "holding" or "input", not {kind!r}')
        if format not in _WORDS:
            raise ConfigError(f"format must be one of {', '.join(_WORDS)}, not {format!r}")
        self._host = host
        self._port = port
        self._address = address
        self._device_id = device_id
        self._kind = kind
        self._format = format
        self._low_word_first = low_word_first
        self._scale = scale
        self._timeout_s = timeout_s

    async def __call__(self) -> float:
        try:
            from pymodbus import ModbusException
            from pymodbus.client import AsyncModbusTcpClient
        except ImportError as error:
            raise ConfigError("Modbus needs pymodbus: pip install 'pyopenadr[modbus]'") from error
        where = f"register {self._address} of {self._host}:{self._port}"
        client = AsyncModbusTcpClient(
            self._host, port=self._port, timeout=self._timeout_s, retries=0, reconnect_delay=0
        )
        try:
            if not await client.connect():
                raise TransportError(f"{where} could not be read: there is no connection")
            read = client.read_holding_registers if self._kind == "holding" else client.read_input_registers
            reply = await read(self._address, count=_WORDS[self._format], device_id=self._device_id)
            if reply.isError():
                raise TransportError(f"{where} could not be read: {reply}")
            value = client.convert_from_registers(
                reply.registers,
                client.DATATYPE[self._format.upper()],
                word_order="little" if self._low_word_first else "big",
            )
        except (ModbusException, OSError) as error:
            raise TransportError(f"{where} could not be read: {error}") from error
        finally:
            client.close()
        if not isinstance(value, int | float):
            raise ModelError(f"{where} is {value!r}, which is no number")
        return value * self._scale
