"""Which keys the present task holds in all workers, so that what it writes is only kept while it does."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

__all__ = ["HOLDS", "Hold"]


@dataclass(eq=False)
class Hold:
    """A key that is held: PostgreSQL's number for it, and by which of the worker's connections, one after the other."""

    number: int
    epoch: int
    is_over: bool = False


HOLDS: Final[ContextVar[tuple[Hold, ...]]] = ContextVar("pyopenadr-holds", default=())
"""What the blocks hold that the present task is in. A task that was started in one may outlive it, see `is_over`."""
