"""Responses of HTTP/1.1 in whole, byte by byte, and such that are none."""

from __future__ import annotations

import pytest

from pyopenadr.transport.response import MOST_CHUNK_LINE, MOST_HEAD, BadResponse, Response, ResponseReader, TooLong

OK = b"HTTP/1.1 200 OK\r\n"


def whole(data: bytes, *, most: int = 100) -> Response | None:
    """What is read of it in one piece; it is the same byte by byte, but for what is there too much."""
    reader, slow = ResponseReader(most), ResponseReader(most)
    response = reader.feed(data)
    other = None
    for at in range(len(data)):
        other = slow.feed(data[at : at + 1])
        if other is not None:
            break
    assert (other is None) == (response is None)
    if other is not None and response is not None:
        assert (other.head, other.body) == (response.head, response.body)
    return response


def fed(reader: ResponseReader, pieces: list[bytes]) -> None:
    for piece in pieces:
        reader.feed(piece)


@pytest.mark.parametrize(
    ("data", "body", "keeps"),
    [
        (OK + b"Content-Length: 3\r\n\r\nabc", b"abc", True),
        (OK + b"content-length:3\r\nX: y\r\n\r\nabc", b"abc", True),
        (OK + b"Content-Length: 3\r\nConnection: Close\r\n\r\nabc", b"abc", False),
        (OK + b"Content-Length: 3, 3\r\n\r\nabc", b"abc", True),
        (OK + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", b"abc", True),
        (OK + b"Content-Length: 3\r\n\r\nabcd", b"abc", False),
        (OK + b"Content-Length: 0\r\n\r\n", b"", True),
        (b"HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", b"abc", True),
        (b"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc", b"abc", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc", False),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc", b"abc", True),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", b"", True),
        (
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: a\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na",
            b"a",
            True,
        ),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde", True),
        (
            OK + b"Transfer-Encoding: Chunked\r\n\r\n00A \r\n0123456789\r\n0\r\nX: y\r\nZ: a\r\n\r\n",
            b"0123456789",
            True,
        ),
        (OK + b"Transfer-Encoding: chunked\n\n1\na\n0\n\n", b"a", True),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"", True),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nHTTP", b"", False),
        (OK + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n1\r\na\r\n0\r\n\r\n", b"a", False),
    ],
)
def test_whole_responses(data: bytes, body: bytes, keeps: bool) -> None:
    response = whole(data)
    assert response is not None
    assert (response.body, response.keeps) == (body, keeps)


def test_what_is_in_the_head() -> None:
    response = whole(b"HTTP/1.1 404 Not  Found\r\nA: b\r\nContent-Length: 0\r\nX-Long: one\r\n  two\r\na:\tc \r\n\r\n")
    assert response is not None
    assert (response.head.status, response.head.reason) == (404, "Not  Found")
    assert dict(response.head.headers) == {"a": "b, c", "content-length": "0", "x-long": "one two"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        OK,
        OK + b"Content-Length: 3\r\n\r\nab",
        OK + b"Content-Length: 3\r\n",
        OK + b"\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
def test_more_is_to_come(data: bytes) -> None:
    assert whole(data) is None


def test_the_end_of_the_connection_may_be_the_end_of_the_body() -> None:
    reader = ResponseReader(100)
    assert reader.feed(OK + b"\r\nab") is None
    assert reader.feed(b"c") is None
    response = reader.end()
    assert (response.body, response.keeps) == (b"abc", False)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 2",
        OK + b"Content-Length: 3\r\n\r\nab",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_the_end_of_the_connection_comes_too_early(data: bytes) -> None:
    reader = ResponseReader(100)
    assert reader.feed(data) is None
    assert reader.has_begun
    with pytest.raises(BadResponse, match="in the middle of the answer"):
        reader.end()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "begins with 'SSH-2.0-OpenSSH'"),
        (b"HTTP/2 200 OK\r\n\r\n", "begins with 'HTTP/2"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "begins with"),
        (b"HTTP/1.1 999 OK\r\n\r\n", "begins with"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "another protocol"),
        (OK + b"Name only\r\n\r\n", "the header 'Name only"),
        (OK + b"A b: c\r\n\r\n", "the header 'A b: c"),
        (OK + b" A: folded at first\r\n\r\n", "the header"),
        (OK + b"Content-Length: x\r\n\r\n", "Content-Length is 'x'"),
        (OK + b"Content-Length: -1\r\n\r\n", "Content-Length is '-1'"),
        (OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "Content-Length is '1, 2'"),
        (OK + b"Content-Length: " + b"9" * 20 + b"\r\n\r\n", "Content-Length"),
        (OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", "Transfer-Encoding is 'gzip, chunked'"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", "a chunk begins with b'xyz"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", "a chunk begins with"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1" + b" " * MOST_CHUNK_LINE, "a chunk begins with"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nabcd", "longer than it says"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"x" * (MOST_HEAD + 1), "more than"),
        (b"H" * (MOST_HEAD + 1), "more than"),
        (OK + b"X: " + b"y" * MOST_HEAD + b"\r\n\r\n", "more than"),
    ],
)
def test_what_is_no_response(data: bytes, said: str) -> None:
    with pytest.raises(BadResponse, match=said):
        ResponseReader(100).feed(data)
    step = max(7, len(data) // 50)
    with pytest.raises(BadResponse, match=said):
        fed(ResponseReader(100), [data[at : at + step] for at in range(0, len(data), step)])


@pytest.mark.parametrize(
    "data",
    [
        OK + b"Content-Length: 101\r\n\r\n",
        OK + b"Content-Length: 101\r\n\r\n" + b"x" * 101,
        OK + b"\r\n" + b"x" * 101,
        OK + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFF\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n60\r\n" + b"x" * 96 + b"\r\n5\r\n",
    ],
)
def test_a_body_that_is_too_long_is_not_waited_for(data: bytes) -> None:
    with pytest.raises(TooLong):
        ResponseReader(100).feed(data)


def test_the_answer_to_a_tunnel_has_no_body() -> None:
    response = ResponseReader(0, is_tunnel=True).feed(b"HTTP/1.1 200 Connection established\r\n\r\n")
    assert response is not None
    assert (response.head.status, response.body, response.keeps) == (200, b"", True)
    response = ResponseReader(0, is_tunnel=True).feed(b"HTTP/1.1 407 No\r\nContent-Length: 9\r\n\r\n")
    assert response is not None
    assert response.head.status == 407
