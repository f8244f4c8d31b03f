"""Raw messages with where they come from; see README.md."""

from __future__ import annotations

from pathlib import Path

__all__ = ["HERE", "vector", "vectors"]

HERE = Path(__file__).parent


def vector(name: str) -> bytes:
    """The one message whose file name begins with `name`."""
    (path,) = HERE.glob(f"{name}*.xml")
    return path.read_bytes()


def vectors() -> list[bytes]:
    """All messages, by file name."""
    return [path.read_bytes() for path in sorted(HERE.glob("*.xml"))]
