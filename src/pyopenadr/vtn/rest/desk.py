"""How a route gets at the office of its server: `async def route(office: Desk)`."""

from __future__ import annotations

from litestar.di import NamedDependency

from pyopenadr.vtn.office import Office

__all__ = ["Desk"]

Desk = NamedDependency[Office]
