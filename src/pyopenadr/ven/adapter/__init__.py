"""Sources of reports that are ready made: meters, registers, topics, entities, tables.

Each is given to `add_report(source=…)`. What one needs besides is loaded when it is used first, and is brought by the
extra that its docstring names.
"""

from pyopenadr.ven.adapter.homeassistant import HomeAssistantEntity
from pyopenadr.ven.adapter.http import HttpJson
from pyopenadr.ven.adapter.modbus import ModbusRegister
from pyopenadr.ven.adapter.mqtt import MqttTopic
from pyopenadr.ven.adapter.table import Table

__all__ = ["HomeAssistantEntity", "HttpJson", "ModbusRegister", "MqttTopic", "Table"]
