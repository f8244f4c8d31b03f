"""Laws of the signature: what is signed verifies, before us and before xmlsec, and nothing else ever does."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest
import xmlsec
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from pyopenadr.errors import Malformed, SchemaMismatch, SignatureInvalid
from pyopenadr.v2 import Payload, decode, encode, wire
from pyopenadr.v2.signature import Trust, sign, verify
from tests.properties.document import Author
from tests.unit.v2.signer import NAMESPACES, NOW, OADR, Draft, ecc_ven, issue, key_info

KEY = ecc_ven().signing_key
TRUST = Trust(certificates=[ecc_ven().der])
XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[chr(n) for n in range(32) if n not in (9, 10, 13)])
).filter(lambda text: "\ufffe" not in text and "\uffff" not in text)
NONCES = XML_TEXT.filter(lambda text: text.strip(" \t\r\n") and len(text) <= 256)
IDS = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True)


def is_valid_by_xmlsec(data: bytes) -> bool:
    root = etree.fromstring(data)
    signature = root.find("ds:Signature", NAMESPACES)
    signed_object = root.find("oadr:oadrSignedObject", NAMESPACES)
    properties = root.find("ds:Signature/ds:Object", NAMESPACES)
    assert signature is not None
    assert signed_object is not None
    assert properties is not None
    context = xmlsec.SignatureContext()
    context.register_id(signed_object, "Id", OADR)
    context.register_id(properties, "Id")
    context.key = xmlsec.Key.from_memory(ecc_ven().pem, xmlsec.constants.KeyDataFormatCertPem)
    try:
        context.verify(signature)
    except xmlsec.Error:
        return False
    return True


@given(ven_id=XML_TEXT, nonce=NONCES, object_id=IDS)
@settings(max_examples=150, deadline=None)
def test_any_text_is_signed_as_it_stands(ven_id: str, nonce: str, object_id: str) -> None:
    message = wire.OadrPoll(ven_id=ven_id)
    data = sign(Payload(message=message, object_id=object_id), KEY, now=NOW, nonce=nonce)
    verified = verify(data, trusted=TRUST, now=NOW)
    assert (verified.payload.message, verified.payload.object_id, verified.nonce) == (message, object_id, nonce)
    assert is_valid_by_xmlsec(data)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=120, deadline=None)
def test_any_message_is_signed_as_it_stands(seed: int) -> None:
    message = decode(Author(Random(seed)).document()).message
    data = sign(message, KEY, now=NOW, nonce="abc")
    assert encode(verify(data, trusted=TRUST, now=NOW).payload.message) == encode(message)
    assert is_valid_by_xmlsec(data)


@cache
def documents() -> tuple[bytes, ...]:
    messages = [decode(Author(Random(seed)).document()).message for seed in range(8)]
    return tuple(sign(each, KEY, now=NOW, nonce="abc") for each in messages)


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_a_change_of_one_byte_never_changes_what_is_verified(data: st.DataObject) -> None:
    document = data.draw(st.sampled_from(documents()))
    place = data.draw(st.integers(0, len(document) - 1))
    kind = data.draw(st.sampled_from(["replace", "insert", "delete", "twice", "swap"]))
    byte = bytes([data.draw(st.sampled_from(b" \n<>&\"'/=#x0A\xc3\x00"))])
    changed = {
        "replace": document[:place] + byte + document[place + 1 :],
        "insert": document[:place] + byte + document[place:],
        "delete": document[:place] + document[place + 1 :],
        "twice": document[:place] + document[place : place + 40] + document[place:],
        "swap": document[:place]
        + document[place + 1 : place + 2]
        + document[place : place + 1]
        + document[place + 2 :],
    }[kind]
    original = verify(document, trusted=TRUST, now=NOW)
    try:
        verified = verify(changed, trusted=TRUST, now=NOW)
    except (Malformed, SchemaMismatch, SignatureInvalid):
        return
    assert encode(verified.payload.message) == encode(original.payload.message)
    assert (verified.nonce, verified.timestamp) == (original.nonce, original.timestamp)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_parts_of_two_documents_never_fit_together(seed: int) -> None:
    random = Random(seed)
    one, other = (etree.fromstring(each) for each in random.sample(documents(), 2))
    if random.random() < 0.5:
        one[1].getparent().replace(one[1], other[1])  # type: ignore[union-attr]
    else:
        one[0].replace(one[0][3], other[0][3])
        one[0][3][0][0][0][1].text = "other"
    with pytest.raises(SignatureInvalid):
        verify(etree.tostring(one), trusted=TRUST, now=NOW)


AUTHORITY = issue("CA", is_authority=True)
ISSUED = issue("ven", issuer=AUTHORITY, dns=["ven.example"])


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(seed=st.integers(0, 2**32))
@settings(max_examples=300, deadline=None)
def test_a_damaged_certificate_is_refused_or_does_no_harm(seed: int) -> None:
    random = Random(seed)
    der = bytearray(ISSUED.der)
    for _ in range(random.choice([1, 1, 2, 5])):
        place = random.randrange(len(der))
        der[place : place + random.choice([0, 1, 1])] = random.choice([b"", bytes([random.randrange(256)])])
    document = Draft(signer=ISSUED, key_info=key_info(bytes(der))).sign()
    by_authority = Trust(authorities=[AUTHORITY.der], names=["ven.example"])
    try:
        verified = verify(document, trusted=by_authority, now=NOW)
    except SignatureInvalid:
        return
    assert verified.certificate == ISSUED.der


def test_a_certificate_whose_name_is_a_string_of_bits_is_refused() -> None:
    name = b"\x0c\x03ven"
    assert name in ISSUED.der
    document = Draft(signer=ISSUED, key_info=key_info(ISSUED.der.replace(name, b"\x03\x03ven"))).sign()
    with pytest.raises(SignatureInvalid, match="can't be read"):
        verify(document, trusted=Trust(authorities=[AUTHORITY.der], names=["ven.example"]), now=NOW)
