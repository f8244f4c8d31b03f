"""What the tests of the house read: the package's modules as syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "pyopenadr"


@dataclass(frozen=True)
class Source:
    """One module. `name` is relative to the package: `v2.wire.event`, or `""` for the package itself."""

    name: str
    text: str
    is_package: bool = False

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.name)

    @property
    def parent(self) -> str:
        """The package that the relative imports of this module start from."""
        return self.name if self.is_package else self.name.rpartition(".")[0]


def sources() -> Iterator[Source]:
    """Every module of the package."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        yield Source(".".join(parts[:-1] if is_package else parts), path.read_text("utf-8"), is_package)


def within(name: str, rooms: tuple[str, ...]) -> bool:
    """Whether the module lies in one of the rooms. The package itself, `""`, is a room of one module."""
    return any(name == room or (room != "" and name.startswith(room + ".")) for room in rooms)
