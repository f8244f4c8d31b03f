"""The change feed: who wants to know that something changed for a VEN."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable

__all__ = ["Feed"]

_log = logging.getLogger(__name__)


class Feed:
    """The listeners of one store, called in the order in which they subscribed."""

    def __init__(self) -> None:
        self._listeners: dict[int, Callable[[str | None], None]] = {}
        self._numbers = itertools.count()

    def subscribe(self, listener: Callable[[str | None], None]) -> Callable[[], None]:
        """Add a listener; returns a function that takes it away again, and may be called twice."""
        number = next(self._numbers)
        self._listeners[number] = listener

        def unsubscribe() -> None:
            self._listeners.pop(number, None)

        return unsubscribe

    def publish(self, concerns: Iterable[str | None]) -> None:
        """Tell every listener of every VEN concerned, once each; None stands for any VEN."""
        for ven_id in dict.fromkeys(concerns):
            for listener in tuple(self._listeners.values()):
                try:
                    listener(ven_id)
                except Exception:  # noqa: BLE001 - a broken listener must neither stop the store nor silence the others
                    _log.exception("a listener of the store's change feed failed for %r", ven_id)
