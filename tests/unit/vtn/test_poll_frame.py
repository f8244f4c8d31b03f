"""Polls that are written alike are decoded once, whichever VEN they are of; all others are decoded each time."""

from __future__ import annotations

import pytest

from pyopenadr.v2 import encode, wire
from pyopenadr.vtn.doors.v2_http import _MOST_FRAMES, _Polls


def poll(ven_id: str) -> bytes:
    return encode(wire.OadrPoll(ven_id=ven_id))


def test_a_poll_of_another_ven_is_known_by_the_first_one() -> None:
    polls = _Polls()
    assert polls.ven_id(poll("v1")) is None
    polls.keep(poll("v1"), "v1")
    assert polls.ven_id(poll("v1")) == "v1"
    assert polls.ven_id(poll("another:VEN_2.b-c")) == "another:VEN_2.b-c"
    declared = b'<?xml version="1.0" encoding="UTF-8"?>' + poll("v1")
    assert polls.ven_id(declared) is None
    polls.keep(declared, "v1")
    assert polls.ven_id(declared.replace(b">v1<", b">v2<")) == "v2"


@pytest.mark.parametrize(
    "name", [b"", b"a b", b"a&amp;b", b"a</ei:venID><ei:venID>b", b"\xc3\xa4", b"a<!-- -->", b"a\n"]
)
def test_anything_else_in_its_place_is_decoded(name: bytes) -> None:
    polls = _Polls()
    polls.keep(poll("v1"), "v1")
    assert polls.ven_id(poll("v1").replace(b">v1<", b">" + name + b"<")) is None


@pytest.mark.parametrize(
    "body",
    [
        poll("v1").replace(b">v1<", b">&#118;1<") + b"<!-- >v1< -->",
        poll("v1").replace(b">v1<", b"><![CDATA[v1]]><") + b"<?x >v1< ?>",
        poll("v1") + b"<?x >v1< ?>",
        poll("v1") + b"<!-- >v1< -->",
        poll("v1") + b" " * 1024,
        poll("ä"),
    ],
)
def test_where_the_id_stands_must_be_clear(body: bytes) -> None:
    polls = _Polls()
    polls.keep(body, "v1")
    polls.keep(body, "ä")
    assert polls.ven_id(body) is None


def test_the_last_few_ways_to_write_are_known() -> None:
    polls = _Polls()
    bodies = [poll("v1") + b"\n" * number for number in range(_MOST_FRAMES + 1)]
    for body in bodies:
        polls.keep(body, "v1")
    assert [polls.ven_id(body) for body in bodies] == [None, *["v1"] * _MOST_FRAMES]
