"""The forms of signatures that are only accepted behind a switch."""

from __future__ import annotations

import base64
from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from lxml import etree

from pyopenadr.errors import ConfigError, SchemaMismatch, SignatureInvalid
from pyopenadr.v2.signature import SWITCHES, Trust, verify
from tests.unit.v2.signer import (
    C14N,
    ECDSA_SHA1,
    ENVELOPED,
    EXCLUSIVE,
    NOW,
    OBJECT,
    POLL,
    PROP,
    RSA_SHA1,
    SHA1,
    Draft,
    Identity,
    Reference,
    check,
    ecc_ven,
    issue,
    key_info,
    part,
    properties,
    rsa_ven,
    stranger,
)

DOCUMENT = Reference("", (ENVELOPED, C14N))


def properties_id(place: str) -> str:
    return properties("").replace(f"<ds:{place}", f'<ds:{place} Id="prop" ')


@pytest.mark.parametrize(
    ("draft", "switch"),
    [
        (Draft(method=ECDSA_SHA1), "sha1"),
        (Draft(signer=rsa_ven(), method=RSA_SHA1), "sha1"),
        (Draft(references=[Reference("#oadrSignedObject", digest=SHA1), PROP]), "sha1"),
        (Draft(references=[OBJECT, Reference("#prop", digest=SHA1)]), "sha1"),
        (Draft(canonicalization=EXCLUSIVE), "exclusive-c14n"),
        (Draft(canonicalization=EXCLUSIVE + "WithComments"), "exclusive-c14n"),
        (Draft(references=[Reference("#oadrSignedObject", (EXCLUSIVE,)), PROP]), "exclusive-c14n"),
        (Draft(references=[DOCUMENT, PROP]), "enveloped-reference"),
        (Draft(references=[Reference("", (ENVELOPED,)), PROP], object_attributes=""), "enveloped-reference"),
        (Draft(objects=properties_id("SignatureProperties")), "properties-reference"),
        (Draft(objects=properties_id("SignatureProperty ")), "properties-reference"),
        (Draft(key_info=key_info(ecc_ven().der, rsa_ven().der)), "certificate-chain"),
        (Draft(key_info="<ds:KeyInfo><ds:KeyName>x</ds:KeyName></ds:KeyInfo>"), "key-name"),
        (Draft(key_info=""), "key-name"),
    ],
)
def test_a_switch_lets_it_pass(draft: Draft, switch: str) -> None:
    data = draft.sign()
    others = [name for name in SWITCHES if name != switch]
    with pytest.raises(SignatureInvalid, match=switch):
        check(data, draft.signer, accept=others)
    verified = check(data, draft.signer, accept=[switch])
    assert verified.payload.message == POLL
    assert verified.accepted == (switch,)
    assert verified.certificate == draft.signer.der


def test_an_unknown_switch_is_refused() -> None:
    with pytest.raises(ConfigError, match="no signature switch md5: use sha1, "):
        check(Draft().sign(), accept=["md5"])


@pytest.mark.parametrize("place", ["SignatureProperties", "SignatureProperty "])
def test_what_stands_beside_signed_properties_is_refused(place: str) -> None:
    second = (
        '<ds:SignatureProperties><ds:SignatureProperty Target="#x"><x:x xmlns:x="urn:x"/></ds:SignatureProperty>'
        "</ds:SignatureProperties></ds:Object>"
    )
    objects = properties_id(place).replace("</ds:Object>", second)
    with pytest.raises(SignatureInvalid, match="nothing else"):
        check(Draft(objects=objects).sign(), accept=["properties-reference"])


def last_as_avob_does() -> bytes:
    return Draft(references=[DOCUMENT, PROP], is_last=True, signer=rsa_ven()).sign()


def test_the_form_of_another_implementation_needs_a_switch_and_a_leniency() -> None:
    data = last_as_avob_does()
    with pytest.raises(SchemaMismatch, match="must stand before"):
        check(data, rsa_ven(), accept=["enveloped-reference"])
    verified = check(data, rsa_ven(), accept=["enveloped-reference"], leniency=["signature-last"])
    assert verified.payload.message == POLL
    assert [deviation.rule for deviation in verified.payload.deviations] == ["signature-last"]


@pytest.mark.parametrize("is_last", [True, False])
def test_a_reference_to_the_document_covers_what_stands_around(is_last: bool) -> None:
    draft = Draft(references=[DOCUMENT, PROP], is_last=is_last)

    def check_document(data: bytes) -> None:
        verified = check(data, accept=["enveloped-reference"], leniency=["signature-last"])
        assert verified.payload.message == POLL

    def space(root: etree._Element) -> None:
        part(root, "ds:Signature").tail = "\n"

    check_document(draft.sign(space))
    data = draft.sign()
    check_document(data)
    check_document(b"<!-- x -->" + data)
    for tampered in (
        data.replace(b"ven-1", b"ven-2"),
        data.replace(b"</ds:Signature>", b"</ds:Signature> "),
        b"<?x y?>" + data,
    ):
        with pytest.raises(SignatureInvalid, match="digest of the document is wrong"):
            check_document(tampered)


@pytest.mark.parametrize(
    "algorithms", [(), (C14N,), (C14N, ENVELOPED), (ENVELOPED, C14N, C14N), (ENVELOPED, ENVELOPED)]
)
def test_a_reference_to_the_document_has_one_form(algorithms: Sequence[str]) -> None:
    data = Draft(references=[Reference("", algorithms), PROP]).sign()
    with pytest.raises(SignatureInvalid, match=r"enveloped-signature|not accepted"):
        check(data, accept=["enveloped-reference"])


def test_the_document_is_no_replacement_for_the_properties() -> None:
    for references in ([DOCUMENT, OBJECT], [DOCUMENT, DOCUMENT]):
        with pytest.raises(SignatureInvalid, match="no reference covers the ds:Object"):
            check(Draft(references=references).sign(), accept=["enveloped-reference"])


# A key instead of a certificate


def key_value(who: Identity) -> str:
    numbers = who.key.public_key().public_numbers()
    if isinstance(numbers, rsa.RSAPublicNumbers):
        modulus = base64.b64encode(numbers.n.to_bytes(256, "big")).decode()
        inner = f"<ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue>"
    else:
        point = base64.b64encode(b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")).decode()
        inner = (
            '<e:ECKeyValue xmlns:e="http://www.w3.org/2009/xmldsig11#">'
            f'<e:NamedCurve URI="urn:oid:1.2.840.10045.3.1.7"/><e:PublicKey>{point}</e:PublicKey></e:ECKeyValue>'
        )
    return f"<ds:KeyInfo><ds:KeyValue>{inner}</ds:KeyValue></ds:KeyInfo>"


@pytest.mark.parametrize("who", [rsa_ven(), ecc_ven()], ids=["rsa", "ecc"])
def test_a_trusted_key_may_stand_alone_behind_a_switch(who: Identity) -> None:
    data = Draft(signer=who, key_info=key_value(who)).sign()
    both = Trust(certificates=[who.der, stranger().der])
    with pytest.raises(SignatureInvalid, match="key-value"):
        verify(data, trusted=both, now=NOW)
    assert verify(data, trusted=both, now=NOW, accept=["key-value"]).certificate == who.der
    bare = verify(data, trusted=Trust(public_keys=[who.public_key]), now=NOW, accept=["key-value"])
    assert (bare.certificate, bare.fingerprint, bare.public_key) == (None, None, who.public_key)


def test_a_key_that_is_not_trusted_is_refused() -> None:
    data = Draft(signer=stranger(), key_info=key_value(stranger())).sign()
    with pytest.raises(SignatureInvalid, match="key in ds:KeyValue is not one that is trusted"):
        check(data, accept=["key-value"])
    known = Trust(fingerprints=[ecc_ven().certificate.fingerprint(hashes.SHA256()).hex()])
    with pytest.raises(SignatureInvalid, match="a fingerprint is of a certificate, and the message has none"):
        verify(Draft(key_info=key_value(ecc_ven())).sign(), trusted=known, now=NOW, accept=["key-value"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("10045.3.1.7", "10045.3.1.8"),
        ("NamedCurve", "ECParameters"),
        ("<e:PublicKey>B", "<e:PublicKey>A"),
        ("ECKeyValue", "X"),
    ],
)
def test_a_key_that_can_not_be_read_is_refused(old: str, new: str) -> None:
    data = Draft(key_info=key_value(ecc_ven()).replace(old, new)).sign()
    with pytest.raises(SignatureInvalid, match=r"ds:KeyValue (can't be read|holds neither)"):
        check(data, accept=["key-value"])


def test_a_name_only_helps_where_one_key_is_trusted() -> None:
    data = Draft(key_info="<ds:KeyInfo><ds:KeyName>x</ds:KeyName></ds:KeyInfo>").sign()
    for trusted in (Trust(certificates=[ecc_ven().der, rsa_ven().der]), Trust(fingerprints=["0" * 20])):
        with pytest.raises(SignatureInvalid, match=r"does not say its key, and [02] are trusted"):
            verify(data, trusted=trusted, now=NOW, accept=["key-name"])
    with pytest.raises(SignatureInvalid, match="the signature is wrong"):
        check(data, stranger(), accept=["key-name"])


def test_the_certificate_of_a_named_key_must_be_valid() -> None:
    old = issue("old", end=NOW.replace(year=2029))
    data = Draft(signer=old, key_info="").sign()
    with pytest.raises(SignatureInvalid, match="expired"):
        check(data, old, accept=["key-name"])


def test_only_the_first_certificate_of_a_chain_counts() -> None:
    data = Draft(signer=stranger(), key_info=key_info(stranger().der, ecc_ven().der)).sign()
    with pytest.raises(SignatureInvalid, match="not one that is trusted"):
        check(data, accept=["certificate-chain"])


def test_extensions_that_can_not_be_read_are_refused() -> None:
    authority = issue("CA", is_authority=True)
    broken = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x03\x99")
    signer = issue("ven", issuer=authority, extensions=[broken])
    with pytest.raises(SignatureInvalid, match="can't be read"):
        verify(Draft(signer=signer).sign(), trusted=Trust(authorities=[authority.der], names=["ven"]), now=NOW)
