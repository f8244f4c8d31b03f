"""Which VEN and which request the present task works for, so that each line of a structured log can say so."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

__all__ = ["WHO"]

WHO: Final[ContextVar[tuple[str | None, str | None]]] = ContextVar("pyopenadr-who", default=(None, None))
"""The venID and the requestID of the message that is being answered."""
