"""Python source that is put together and compiled once for each wire class.

Straight-line code for a class is several times as fast as walking its plan, which is why `quick` and `encoder` write
it. Nothing of what a peer or a user sends ever becomes code: only names and texts of our own declarations do, and
those as `repr` or as values in the function's globals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["Source"]


class Source:
    """Lines of a function, and the values that they name."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._lines: list[str] = []
        self._indent = 0
        self._values = dict(values)
        self._count = 0

    def line(self, text: str) -> None:
        """Add a line at the present indentation."""
        self._lines.append("    " * self._indent + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Add `head` and indent what is added inside."""
        self.line(head)
        self._indent += 1
        yield
        self._indent -= 1

    def name(self, value: Any) -> str:
        """A global name that stands for the value."""
        name = self.fresh("g")
        self._values[name] = value
        return name

    def fresh(self, stem: str) -> str:
        """A name that nothing has yet."""
        self._count += 1
        return f"{stem}{self._count}"

    def function(self, name: str) -> Callable[..., Any]:
        """The function of that name that the lines define."""
        exec(compile("\n".join(self._lines), f"<{name}>", "exec"), self._values)
        function: Callable[..., Any] = self._values[name]
        return function
