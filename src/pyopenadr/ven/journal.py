"""The client's log lines: all under `pyopenadr.ven`, each with the VEN's id and, where there is one, the request's."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

__all__ = ["Journal", "printable"]

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def printable(text: str) -> str:
    """The text on one line: what a peer sends must not be able to forge lines of a log."""
    return _CONTROL.sub(" ", text).strip()


class Journal(_Adapter):
    """A logger that adds `ven_id`, and what `extra` gives (`request_id`, `event_id`), to record and text.

    Texts are given ready, without arguments for `%`, because ids and texts of peers become part of them.
    """

    def __init__(self, who: Callable[[], str]) -> None:
        super().__init__(logging.getLogger("pyopenadr.ven"), {})
        self._who = who

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[str, MutableMapping[str, Any]]:
        """The line as it is written."""
        fields = {"ven_id": self._who(), "request_id": "", **(kwargs.get("extra") or {})}
        kwargs["extra"] = fields
        tail = " ".join(f"{name}={value}" for name, value in fields.items() if value)
        return printable(f"{msg} [{tail}]"), kwargs
