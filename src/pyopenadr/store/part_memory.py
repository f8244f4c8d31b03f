"""What a part of the store in memory has of the whole."""

from __future__ import annotations

from abc import ABC, abstractmethod

__all__ = ["MemoryPart"]


class MemoryPart(ABC):
    """A part of `pyopenadr.store.memory.MemoryStore`, which knows whether it is open."""

    @abstractmethod
    def _check_open(self) -> None: ...
