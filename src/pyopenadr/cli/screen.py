"""Output: coloured and in tables on a terminal, plain lines when it goes to a file or another program."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from pyopenadr.errors import (
    ConfigError,
    Malformed,
    OpenADRError,
    PeerRefused,
    SchemaMismatch,
    SignatureInvalid,
)

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Screen"]

_HINTS: tuple[tuple[type[OpenADRError], str], ...] = (
    (PeerRefused, "the other side's log may say more"),
    (SignatureInvalid, "`pyopenadr explain FILE --cert CERTIFICATE` says more about a signed message"),
    (Malformed, "`pyopenadr explain FILE` says more about a message in a file"),
    (SchemaMismatch, "`pyopenadr explain FILE` says more about a message in a file"),
)
"""Where to look for more. The messages of the other errors say themselves what to do."""


def _shown(text: str) -> str:
    """`text` without what could steer a terminal: whatever a message holds is only shown."""
    return "".join(char if char.isprintable() or char == "\n" else f"\\x{ord(char):02x}" for char in text)


class Screen:
    """Where a command writes. Results go to standard output, errors to standard error.

    Colours need a terminal, and that neither NO_COLOR is set nor TERM is `dumb`; tables need the terminal only.
    """

    def __init__(self) -> None:
        self.is_terminal = sys.stdout.isatty()

    def line(self, text: str = "", style: str = "") -> None:
        """One line of the result; `style` is one of rich's, such as `bold` or `red`."""
        self._write(sys.stdout, text, style)

    def json(self, value: Any) -> None:
        """The result for another program."""
        text = json.dumps(value, ensure_ascii=False, indent=2)
        self._plain(sys.stdout, text)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str] = ()) -> None:
        """Rows with a head; `styles` has one for the first cell of each. In a pipe, tabs separate the columns."""
        if not self.is_terminal:
            for row in (columns, *rows):
                self._plain(sys.stdout, "\t".join(_shown(cell).replace("\n", " ") for cell in row))
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for column in columns:
            table.add_column(column, overflow="fold")
        for position, row in enumerate(rows):
            first, *others = (Text(_shown(cell)) for cell in row)
            first.stylize(styles[position] if styles else "")
            table.add_row(first, *others)
        self._console(sys.stdout).print(table)

    def refuse(self, error: OpenADRError) -> int:
        """Show an error as one line with a hint, and give the exit code: 2 for a wrong setting, else 1."""
        self.error(str(error), next((hint for kind, hint in _HINTS if isinstance(error, kind)), None))
        return 2 if isinstance(error, ConfigError) else 1

    def error(self, message: str, hint: str | None = None) -> None:
        """One red line, and a line with a hint."""
        self._write(sys.stderr, f"error: {' '.join(message.split())}", "red")
        if hint is not None:
            self._write(sys.stderr, f"hint: {hint}", "")

    def _write(self, stream: TextIO, text: str, style: str) -> None:
        if not stream.isatty() or not style:
            self._plain(stream, _shown(text))
            return
        from rich.text import Text

        self._console(stream).print(Text(_shown(text), style), soft_wrap=True)

    @staticmethod
    def _plain(stream: TextIO, text: str) -> None:
        encoding = stream.encoding or "utf-8"
        print(text.encode(encoding, "replace").decode(encoding), file=stream)

    @staticmethod
    def _console(stream: TextIO) -> Console:
        from rich.console import Console

        return Console(file=stream, highlight=False, markup=False, no_color=bool(os.environ.get("NO_COLOR")))
