"""What happens in the VTN, for those who want to know: streams of changes, webhooks, metrics.

The parts that do something say so here in a line; who listens is none of their business.
"""

from __future__ import annotations

from collections.abc import Callable

from pyopenadr.clock import Clock
from pyopenadr.store.ledger import Notice

__all__ = ["KINDS", "Notices"]

KINDS = (
    "event-published",
    "event-changed",
    "event-cancelled",
    "event-closed",
    "event-answered",
    "opt-created",
    "opt-cancelled",
    "ven-registered",
    "ven-unregistered",
    "ven-removed",
    "ven-online",
    "ven-offline",
    "certificate-expiring",
    "report-registered",
    "report-received",
    "report-late",
)
"""Every kind of notice."""


class Notices:
    """The place where notices are put up. Without a listener nothing is made of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._listeners: tuple[Callable[[Notice], None], ...] = ()

    def listen(self, listener: Callable[[Notice], None]) -> None:
        """Have `listener(notice)` called for each notice from now on; it must be quick and not raise."""
        self._listeners = (*self._listeners, listener)

    def publish(
        self,
        kind: str,
        *,
        ven_id: str | None = None,
        event_id: str | None = None,
        **data: str | float | bool | None,
    ) -> None:
        """Something has happened, and the store has it."""
        if self._listeners:
            notice = Notice(kind=kind, at=self._clock.now(), ven_id=ven_id, event_id=event_id, data=data)
            for listener in self._listeners:
                listener(notice)
