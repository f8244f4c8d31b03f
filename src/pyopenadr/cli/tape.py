"""Recorded traffic in a file: a line of JSON for each exchange, without what must stay secret.

What is left out: signatures, registrationIDs (each has a stand-in, so that they can still be told apart), logins and
queries in addresses, and whatever is no message. HTTP headers and certificates are never in it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import msgspec
from lxml import etree

from pyopenadr.errors import ConfigError, OpenADRError
from pyopenadr.transport.record import Traffic
from pyopenadr.v2 import wire
from pyopenadr.v2.codec import decode
from pyopenadr.v2.xml import parse
from pyopenadr.ven.session import DEFAULT_LENIENCY

__all__ = ["Line", "Tape", "message_in", "read_tape", "without_secrets"]

_SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
_SECRET = ("registrationID",)
_ADDRESSES = ("oadrTransportAddress",)


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One exchange as it is in the file. `side` is who has recorded it; texts are XML, None where there was none."""

    at: datetime
    side: str
    who: str
    path: str
    request: str | None = None
    status: int = 0
    reply: str | None = None
    seconds: float = 0.0
    error: str | None = None

    @property
    def service(self) -> str:
        """The service that was called, such as EiEvent."""
        return self.path.rpartition("/")[2]


class Tape:
    """Appends exchanges to a file that only its owner can read. Give `keep` to what records."""

    def __init__(self, path: str | os.PathLike[str], side: str) -> None:
        """Open the file.

        Raises:
            ConfigError: it can't be written.
        """
        self.path = Path(path)
        self._side = side
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise ConfigError(f"{self.path} can't be written: {error.strerror}; give another file") from error

    def keep(self, traffic: Traffic) -> None:
        """Write an exchange; a line goes out as a whole."""
        line = Line(
            at=traffic.at.astimezone(UTC),
            side=self._side,
            who=traffic.who,
            path=traffic.path,
            request=without_secrets(traffic.request),
            status=traffic.status,
            reply=without_secrets(traffic.reply),
            seconds=round(traffic.seconds, 6),
            error=traffic.error,
        )
        os.write(self._file, msgspec.json.encode(line) + b"\n")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def read_tape(path: str | os.PathLike[str]) -> Iterator[Line]:
    """The exchanges of a file, in order.

    Raises:
        ConfigError: it can't be read, or a line is no exchange.
    """
    try:
        with open(path, "rb") as file:
            for number, text in enumerate(file, 1):
                try:
                    yield msgspec.json.decode(text, type=Line)
                except (msgspec.MsgspecError, ValueError) as error:
                    raise ConfigError(f"{path}, line {number} is no recorded exchange: {error}") from error
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error


def message_in(text: str | None) -> wire.Message | None:
    """The message in a line's `request` or `reply`, None where there is none that can be read."""
    if not text:
        return None
    try:
        return decode(text.encode(), leniency=DEFAULT_LENIENCY).message
    except OpenADRError:
        return None


def without_secrets(document: bytes) -> str | None:
    """A document without its secrets; None if it is empty, and a note in its place if it is no XML."""
    if not document.strip():
        return None
    try:
        root = parse(document)
    except OpenADRError:
        return f"[{len(document)} bytes that are no XML]"
    for element in list(root.iter("*")):
        name = etree.QName(element).localname
        if element.tag == _SIGNATURE:
            parent = element.getparent()
            if parent is not None:
                parent.remove(element)
        elif name in _SECRET and element.text:
            element.text = f"registration-{hashlib.sha256(element.text.strip().encode()).hexdigest()[:12]}"
        elif name in _ADDRESSES and element.text:
            element.text = _plain_address(element.text)
    return etree.tostring(root, encoding="unicode")


def _plain_address(text: str) -> str:
    try:
        parts = urlsplit(text.strip())
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
