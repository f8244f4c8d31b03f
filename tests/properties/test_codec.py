"""What holds for every message and every document: the official schema is the judge."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyopenadr.errors import WireError
from pyopenadr.v2 import decode, encode
from pyopenadr.v2.decoder import Context, read
from pyopenadr.v2.plan import shape_of
from pyopenadr.v2.profile import PROFILES, A, B, Profile
from pyopenadr.v2.quick import read as read_quickly
from pyopenadr.v2.wire import Message
from pyopenadr.v2.xml import parse
from tests.properties.document import Author, mutate
from tests.properties.oracle import is_valid, is_valid_by_reference, why_not
from tests.properties.strategy import any_message, message
from tests.vectors import vectors

KINDS = [
    pytest.param(profile, cls, id=f"{profile.name}-{cls.__name__}") for profile in PROFILES for cls in profile.messages
]
SEEDS = st.integers(0, 2**32)
SLOWLY = settings(
    deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@pytest.mark.parametrize(("profile", "cls"), KINDS)
def test_what_is_written_is_valid_and_comes_back(profile: Profile, cls: type[Message]) -> None:
    @given(message(cls, profile))
    @SLOWLY
    def check(value: Message) -> None:
        data = encode(value, profile=profile.name)
        if profile is B:
            assert why_not(data) is None
        payload = decode(data)
        assert payload.message == value
        assert payload.profile == profile.name
        assert encode(payload) == data

    check()


@given(st.one_of(any_message(B), any_message(A)))
@settings(SLOWLY, max_examples=150)
def test_a_dict_has_all_that_a_message_has(value: Message) -> None:
    assert type(value).from_dict(value.to_dict()) == value


@given(any_message(B))
@settings(SLOWLY, max_examples=100)
def test_the_quick_way_and_the_exact_one_read_the_same(value: Message) -> None:
    root = parse(encode(value))
    element = root[0][0]
    exactly = read(shape_of(B, type(value)), element, Context(frozenset()))
    assert exactly == value
    assert read_quickly(B, type(value), element) in (value, None)


def message_names() -> list[str]:
    return [cls.tag.partition(":")[2] for cls in B.messages]


@pytest.mark.parametrize("name", message_names())
def test_every_valid_document_is_read(name: str) -> None:
    """Documents from the schema itself, with all that XML leaves free."""

    @given(SEEDS)
    @settings(deadline=None, max_examples=25)
    def check(seed: int) -> None:
        random = Random(seed)
        author = Author(random, generous=random.choice((0.2, 0.5, 0.9)), odd=random.choice((0.0, 0.1, 0.3)))
        data = author.document(name)
        assert why_not(data) is None
        payload = decode(data)
        assert payload.message.message_type == name
        again = encode(payload)
        assert why_not(again) is None
        assert encode(decode(again)) == again

    check()


@given(SEEDS)
@settings(deadline=None, max_examples=400)
def test_a_changed_document_is_judged_as_the_schema_does(seed: int) -> None:
    random = Random(seed)
    data = Author(random, generous=random.choice((0.2, 0.5, 0.8)), odd=random.choice((0.0, 0.1))).document()
    for _ in range(3):
        changed, what = mutate(data, random)
        try:
            decode(changed)
            verdict = None
        except WireError as error:
            verdict = error
        if (verdict is None) != is_valid(changed):
            # libxml2 takes "1e" for a number; XML Schema does not.
            assert (verdict is None) == is_valid_by_reference(changed), f"{what}: {verdict}, {why_not(changed)}"


@given(st.sampled_from(vectors()), st.data())
@settings(deadline=None, max_examples=300)
def test_changed_bytes_end_in_a_value_or_a_documented_error(data: bytes, choice: st.DataObject) -> None:
    at = choice.draw(st.integers(0, len(data)))
    width = choice.draw(st.integers(0, 8))
    put = choice.draw(
        st.one_of(st.binary(max_size=4), st.sampled_from((b"<", b">", b"&", b"]]>", b"<!--", b"\x00", b"/")))
    )
    changed = data[:at] + put + data[at + width :]
    try:
        payload = decode(changed, leniency=choice.draw(st.sampled_from(((), ("all",)))))
    except WireError:
        return
    assert payload.profile in ("2.0a", "2.0b")


@given(st.binary(max_size=64))
@settings(deadline=None, max_examples=300)
def test_any_bytes_end_in_a_documented_error(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(data)
