"""The VTN's use cases, whatever protocol version a VEN speaks.

The service keeps in memory what every poll needs (who is registered, which events are open, what waits for whom) and
in the store what must not be lost. A change is committed to the store first and taken into memory then.
"""

from pyopenadr.vtn.service.dispatch import DispatchService
from pyopenadr.vtn.service.party import Application
from pyopenadr.vtn.service.rule import RuleService

__all__ = ["Application", "Service"]


class Service(DispatchService, RuleService):
    """The use cases of one VTN: VENs and their mailboxes, events with answers and opts, reports both ways."""
