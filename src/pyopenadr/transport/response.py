"""The response of HTTP/1.1 out of its bytes: head and body, within bounds, and nothing guessed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["BadResponse", "Head", "Response", "ResponseReader", "TooLong", "read_head"]

MOST_HEAD = 32 * 1024
"""How many bytes a head may have, and what follows the last chunk."""
MOST_CHUNK_LINE = 1024
"""How many bytes the line before a chunk may have."""

_END = re.compile(rb"\r?\n\r?\n").search
_STATUS = re.compile(r"HTTP/1\.([01]) +([1-5][0-9]{2})(?: (.*))?").fullmatch
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_NEWLINE = re.compile(rb"\r?\n").match
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n").match


class BadResponse(ValueError):
    """What came is no response of HTTP/1.1; the text says why."""


class TooLong(Exception):
    """The body is longer than it may be."""


class Head(NamedTuple):
    """What stands before the body.

    `headers` have their names in lower case; one that is there several times has its values with commas between.
    `length` is the body's length in bytes, None if it has to be found out: by the chunks, or by the end of the
    connection. `keeps`: the connection stays open for another request.
    """

    status: int
    reason: str
    headers: Mapping[str, str]
    length: int | None
    is_chunked: bool
    keeps: bool


class Response(NamedTuple):
    """A whole response; its body as it was sent, compressed perhaps. `keeps` is the head's, unless more has come."""

    head: Head
    body: bytes
    keeps: bool


@lru_cache(maxsize=16)  # within a second the heads of idle replies are the same
def read_head(data: bytes) -> Head:
    """The head, without the empty line at its end.

    Raises:
        BadResponse: it is none.
    """
    first, *lines = data.decode("latin-1").split("\n")
    status_line = _STATUS(first.rstrip("\r"))
    if status_line is None:
        raise BadResponse(f"it begins with {first[:60]!r}, not with a status of HTTP/1.1")
    status = int(status_line[2])
    headers = _headers(lines)
    coding = headers.get("transfer-encoding", "").lower()
    if coding not in ("", "chunked"):
        raise BadResponse(f"its Transfer-Encoding is {coding[:60]!r}, which nobody asked for")
    length = None if coding else _length(headers.get("content-length"))
    if status in (204, 304) or status < 200:
        coding, length = "", 0
    connection = {word.strip() for word in headers.get("connection", "").lower().split(",")}
    keeps = "close" not in connection and (status_line[1] == "1" or "keep-alive" in connection)
    if coding and "content-length" in headers:
        keeps = False  # somebody on the way may see another end than we do
    return Head(status, status_line[3] or "", MappingProxyType(headers), length, bool(coding), keeps)


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[:1] in (" ", "\t") and name:  # a folded line
            headers[name] = f"{headers[name]} {line.strip()}"
            continue
        name, colon, value = line.partition(":")
        if not colon or _NAME(name) is None:
            raise BadResponse(f"it has the header {line[:60]!r}")
        name, value = name.lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _length(text: str | None) -> int | None:
    """The length that is told; twice the same is once."""
    if text is None:
        return None
    told = {part.strip() for part in text.split(",")}
    length = told.pop()
    if told or not length.isascii() or not length.isdecimal() or len(length) > 18:
        raise BadResponse(f"its Content-Length is {text[:60]!r}")
    return int(length)


class ResponseReader:
    """Puts one response together from its bytes as they come, with a body of at most `most` bytes.

    With `is_tunnel` the response ends with its head, as that to CONNECT does.
    """

    __slots__ = ("_body", "_data", "_has_last", "_head", "_is_tunnel", "_most")

    def __init__(self, most: int, *, is_tunnel: bool = False) -> None:
        self._most = most
        self._is_tunnel = is_tunnel
        self._head: Head | None = None
        self._data = bytearray()  # what is not understood yet; without chunks, the body
        self._body = bytearray()  # what was in the chunks
        self._has_last = False

    @property
    def has_begun(self) -> bool:
        """Whether anything has come at all."""
        return bool(self._data) or self._head is not None

    def feed(self, data: bytes) -> Response | None:
        """Take what has come; the response, once it is whole.

        Raises:
            BadResponse: it is none.
            TooLong: the body is longer than it may be.
        """
        head = self._head
        if head is None:
            data = bytes(self._data + data) if self._data else data
            found = _head_in(data)
            if found is None:
                self._data[:] = data
                return None
            self._head, at = found
            head, data = self._head, data[at:]
            if self._is_tunnel:
                return Response(head, b"", not data)
            if head.length == len(data) <= self._most:
                return Response(head, data, head.keeps)  # all in one piece, as it mostly is
            self._data.clear()
        self._data += data
        return self._chunked(head) if head.is_chunked else self._counted(head)

    def end(self) -> Response:
        """The connection is closed: the response, if that is what ends it.

        Raises:
            BadResponse: something is missing.
        """
        head = self._head
        if head is None or head.is_chunked or head.length is not None:
            raise BadResponse("the connection was closed in the middle of the answer")
        return Response(head, bytes(self._data), False)

    def _counted(self, head: Head) -> Response | None:
        length, there = head.length, len(self._data)
        if (there if length is None else length) > self._most:
            raise TooLong
        if length is None or there < length:
            return None
        return Response(head, bytes(self._data[:length]), head.keeps and there == length)

    def _chunked(self, head: Head) -> Response | None:
        data = self._data
        while not self._has_last:
            line = _CHUNK(data)
            if line is None:
                if len(data) > MOST_CHUNK_LINE or b"\n" in data:
                    raise BadResponse(f"a chunk begins with {bytes(data[:20])!r}")
                return None
            start, size = line.end(), int(line[1], 16)
            if len(self._body) + size > self._most:
                raise TooLong
            self._has_last = size == 0
            if not self._has_last:
                newline = _NEWLINE(data, start + size)
                if newline is None:
                    if len(data) > start + size + 1:
                        raise BadResponse("a chunk is longer than it says")
                    return None
                self._body += data[start : start + size]
                start = newline.end()
            del data[:start]
        # What follows the last chunk may be fields, which nobody needs here, up to an empty line.
        end = _NEWLINE(data) or _END(data)
        if end is None:
            _check_size(len(data))
            return None
        return Response(head, bytes(self._body), head.keeps and end.end() == len(data))


def _head_in(data: bytes) -> tuple[Head, int] | None:
    """The head, and where the body begins; None if there is more to come. What only announces it is passed over."""
    start = 0
    while (end := _END(data, start)) is not None:
        _check_size(end.start() - start)
        head = read_head(data[start : end.start()])
        if head.status >= 200:
            return head, end.end()
        if head.status == 101:
            raise BadResponse("it changes to another protocol")
        start = end.end()
    _check_size(len(data))
    return None


def _check_size(size: int) -> None:
    if size > MOST_HEAD:
        raise BadResponse(f"its head has more than {MOST_HEAD} bytes")
