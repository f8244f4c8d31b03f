"""What a command writes on a terminal, and elsewhere."""

from __future__ import annotations

import io
import sys

import pytest

from pyopenadr.cli.screen import Screen
from pyopenadr.errors import ConfigError, ModelError, OpenADRError, PeerRefused, TransportError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Make the standard streams a terminal. No fixture, because pytest changes them again before the test."""
    stream = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    return stream


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    Screen().line("wrong", "red")
    Screen().error("bad")
    assert terminal.getvalue() == "\x1b[31mwrong\x1b[0m\n\x1b[31merror: bad\x1b[0m\n"


def test_a_terminal_gets_no_colours_if_nobody_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    Screen().line("wrong", "red")
    assert terminal.getvalue() == "wrong\n"


def test_a_terminal_gets_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    Screen().table(("", "what"), [("error", "one\ntwo")], ["red"])
    assert "\x1b[31merror\x1b[0m" in terminal.getvalue()
    assert [line.split()[-1] for line in terminal.getvalue().splitlines()[1:]] == ["one", "two"]


def test_what_a_message_holds_does_not_steer_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = on_terminal(monkeypatch)
    Screen().line("a\x1b[2Jb\u202ec [red]d")
    assert terminal.getvalue() == "a\\x1b[2Jb\\x202ec [red]d\n"


def test_a_pipe_gets_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    Screen().table(("name", "what"), [("a", "one\ntwo")], ["red"])
    assert capsys.readouterr().out == "name\twhat\na\tone two\n"


def test_an_encoding_that_lacks_a_character_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", newline="\n")
    monkeypatch.setattr(sys, "stdout", stream)
    Screen().line("1 € …")
    stream.seek(0)
    assert stream.read() == "1 ? ?\n"


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (ConfigError("x is\n wrong"), 2, 1),
        (TransportError("nobody there"), 1, 1),
        (ModelError("no such level"), 1, 1),
        (PeerRefused("463"), 1, 2),
    ],
)
def test_an_error_is_a_line_and_a_code(
    error: OpenADRError, code: int, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert Screen().refuse(error) == code
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith("error: ")
    assert len(written.err.splitlines()) == lines
