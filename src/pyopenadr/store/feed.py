"""The change feed: who wants to know that something changed."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

__all__ = ["Feed"]

_log = logging.getLogger(__name__)


T = TypeVar("T")


class Feed(Generic[T]):
    """Listeners, called in the order in which they subscribed."""

    def __init__(self) -> None:
        self._listeners: dict[int, Callable[[T], None]] = {}
        self._numbers = itertools.count()

    def subscribe(self, listener: Callable[[T], None]) -> Callable[[], None]:
        """Add a listener; returns a function that takes it away again, and may be called twice."""
        number = next(self._numbers)
        self._listeners[number] = listener

        def unsubscribe() -> None:
            self._listeners.pop(number, None)

        return unsubscribe

    def publish(self, concerns: Iterable[T]) -> None:
        """Tell every listener of everything concerned, once each; None stands for any."""
        for concern in dict.fromkeys(concerns):
            for listener in tuple(self._listeners.values()):
                try:
                    listener(concern)
                except Exception:  # noqa: BLE001 - a broken listener must neither stop the store nor silence the others
                    _log.exception("a listener of the store's change feed failed for %r", concern)
