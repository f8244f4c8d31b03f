"""A short run of the fuzzer's targets, with damaged vectors; `make fuzz` is the long one, led by coverage."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.target import TARGETS, seeds

PIECES = (b"", b"&#0;", b"\xff", b"<", b"-1", b"9" * 400)


def damage(data: bytes, dice: Random) -> bytes:
    """The document with a few pieces changed, left out, or in there twice."""
    for _ in range(dice.randint(1, 4)):
        first, second = sorted(dice.randrange(len(data) + 1) for _ in range(2))
        second = min(second, first + dice.choice([1, 8, 200]))
        piece = dice.choice([dice.randbytes(second - first), data[first:second] * 2, *PIECES])
        data = data[:first] + piece + data[second:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_documents_do_no_harm(name: str) -> None:
    begin = seeds(name)

    @given(st.sampled_from(begin), st.integers(0, 2**32))
    @settings(max_examples=250, deadline=None, derandomize=True)
    def check(data: bytes, seed: int) -> None:
        TARGETS[name](damage(data, Random(seed)))

    for data in begin:
        TARGETS[name](data)
    check()
