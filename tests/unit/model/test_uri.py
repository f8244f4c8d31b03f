from __future__ import annotations

import pytest

from pyopenadr.model.uri import normalised


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP://Example.COM/x", "http://example.com/x"),
        ("http://example.com", "http://example.com/"),
        ("http://example.com:80/x", "http://example.com/x"),
        ("https://example.com:443/x", "https://example.com/x"),
        ("http://example.com:/x", "http://example.com/x"),
        ("http://example.com/%7Ea", "http://example.com/~a"),
        ("http://example.com/%c3%a9", "http://example.com/%C3%A9"),
        ("http://example.com/a/./b/../c", "http://example.com/a/c"),
        ("http://example.com/../a", "http://example.com/a"),
        ("http://example.com/a/..", "http://example.com/"),
        (" http://example.com/x ", "http://example.com/x"),
        ("URN:programme:a", "urn:programme:a"),
    ],
)
def test_equal_uris(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://example.com/x", "http://example.com/X"),
        ("http://example.com/x", "http://example.com/x/"),
        ("http://example.com/x", "https://example.com/x"),
        ("http://example.com:80/x", "https://example.com:80/x"),
        ("http://example.com/x?a", "http://example.com/x?A"),
        ("http://User@example.com/", "http://user@example.com/"),
        ("http://example.com/a%2Fb", "http://example.com/a/b"),
        ("urn:a", "urn:b"),
        ("", "/"),
    ],
)
def test_different_uris(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@pytest.mark.parametrize("text", ["http://[::1", "", "no uri at all"])
def test_what_is_no_uri_is_equal_to_itself(text: str) -> None:
    assert normalised(text) == text
