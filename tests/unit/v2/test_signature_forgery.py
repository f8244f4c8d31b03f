"""What verification refuses, what it takes in other forms, and what it only takes behind a switch."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

from pyopenadr.errors import Malformed, SchemaMismatch, SignatureInvalid
from pyopenadr.v2.signature import SWITCHES
from tests.unit.v2.signer import (
    C14N,
    DS,
    ENVELOPED,
    EXCLUSIVE,
    NAMESPACES,
    OADR,
    OBJECT,
    POLL,
    PROP,
    RSA_SHA256,
    WITH_COMMENTS,
    Draft,
    Reference,
    check,
    ecc_ven,
    fill_digest,
    fill_signature,
    issue,
    key_info,
    part,
    properties,
    rsa_ven,
)

WEAK = issue("x", key=rsa.generate_private_key(65537, 1024))
UNUSUAL = issue("x", key=ec.generate_private_key(ec.SECP521R1()))
XSLT = "http://www.w3.org/TR/1999/REC-xslt-19991116"
XPATH = "http://www.w3.org/TR/1999/REC-xpath-19991116"


# Other forms of the same


def comment_everywhere(root: etree._Element) -> None:
    for element in list(root.iter("*")):
        if element.get("Algorithm") is None:
            comment = etree.Comment(" ")
            comment.tail, element.text = (element.text or "")[1:], (element.text or "")[:1]
            element.insert(0, comment)


@pytest.mark.parametrize(
    "draft",
    [
        Draft(),
        Draft(signer=rsa_ven()),
        Draft(references=[Reference("#oadrSignedObject", ()), Reference("#prop", ())]),
        Draft(references=[PROP, OBJECT]),
        Draft(
            references=[Reference("#a"), Reference("#b")], object_attributes='oadr:Id="a"', objects=properties('Id="b"')
        ),
        Draft(canonicalization=WITH_COMMENTS),
        Draft(references=[Reference("#oadrSignedObject", (WITH_COMMENTS,)), Reference("#prop", (WITH_COMMENTS,))]),
        Draft(namespaces=NAMESPACES | {"other": "urn:other", "aaa": OADR}),
        Draft(objects=f"\n  {properties()}\n ", body=f"\n{Draft().body}\n"),
        Draft(key_info=key_info(ecc_ven().der).replace("<ds:X509Data>", "<ds:KeyName>x</ds:KeyName><ds:X509Data>")),
    ],
    ids=[
        "the form of the profile",
        "RSA",
        "no transforms",
        "other order",
        "other Ids",
        "with comments",
        "references with comments",
        "more namespaces",
        "white space",
        "also a key name",
    ],
)
def test_the_profile_leaves_some_freedom(draft: Draft) -> None:
    verified = check(draft.sign(), draft.signer)
    assert verified.payload.message == POLL
    assert verified.nonce == "abc"
    assert verified.accepted == ()


@pytest.mark.parametrize("canonicalization", [C14N, WITH_COMMENTS])
def test_comments_are_not_signed_and_say_nothing(canonicalization: str) -> None:
    commented = Draft(canonicalization=canonicalization).sign(comment_everywhere)
    assert commented.count(b"<!-- -->") > 20
    verified = check(commented)
    assert (verified.payload.message, verified.nonce) == (POLL, "abc")

    root = etree.fromstring(Draft().sign())
    comment_everywhere(root)
    verified = check(etree.tostring(root))
    assert (verified.payload.message, verified.nonce) == (POLL, "abc")


def test_comments_in_signed_info_count_if_the_canonical_form_keeps_them() -> None:
    root = etree.fromstring(Draft(canonicalization=WITH_COMMENTS).sign())
    part(root, ".//ds:SignedInfo").append(etree.Comment("x"))
    with pytest.raises(SignatureInvalid, match="the signature is wrong"):
        check(etree.tostring(root))


def test_other_prefixes_and_a_declaration_do_not_matter_if_they_were_signed() -> None:
    swapped = {"p1": DS, "p2": NAMESPACES["dsp"], "p3": NAMESPACES["ei"], "p4": OADR}
    text = Draft().text()
    for (old, _), new in zip(NAMESPACES.items(), swapped, strict=True):
        text = text.replace(f"<{old}:", f"<{new}:").replace(f"</{old}:", f"</{new}:").replace(f" {old}:", f" {new}:")
        text = text.replace(f"xmlns:{old}=", f"xmlns:{new}=")
    root = etree.fromstring(text)
    for reference in root.iterfind(".//ds:Reference", NAMESPACES):
        fill_digest(root, reference)
    fill_signature(root, ecc_ven().key)
    document = etree.tostring(root, encoding="unicode")
    assert check(document.encode("utf-16")).payload.message == POLL


# Changed after signing


def change(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def apply(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return apply


@pytest.mark.parametrize(
    ("tamper", "match"),
    [
        (change(b"ven-1", b"ven-2"), "digest of oadr:oadrSignedObject is wrong"),
        (change(b"<ei:venID>", b"<ei:venID> "), "digest of oadr:oadrSignedObject is wrong"),
        (change(b"<oadr:oadrPoll", b"\n<oadr:oadrPoll"), "digest of oadr:oadrSignedObject is wrong"),
        (change(b"<ei:venID>", b"<ei:venID><?x y?>"), "digest of oadr:oadrSignedObject is wrong"),
        (change(b"<oadr:oadrSignedObject", b'<oadr:oadrSignedObject xmlns:x="urn:x"'), "digest of oadr:oadrSigned"),
        (change(b"<oadr:oadrPayload", b'<oadr:oadrPayload xmlns:x="urn:x"'), "the signature is wrong"),
        (change(b"<ds:SignedInfo>", b"<ds:SignedInfo>\n"), "the signature is wrong"),
        (change(b"<dsp:nonce>abc", b"<dsp:nonce>abd"), "digest of ds:Object is wrong"),
        (change(b"10:00:00Z", b"10:00:01Z"), "digest of ds:Object is wrong"),
        (change(b'Target="#oadrSignedObject"', b'Target="#x"'), "digest of ds:Object is wrong"),
        (change(b'URI="#prop"', b'URI="#oadrSignedObject"'), "no reference covers the ds:Object"),
        (change(b'URI="#oadrSignedObject"', b'URI="#prop"'), "no reference covers the oadr:oadrSignedObject"),
        (change(b'oadr:Id="oadrSignedObject"', b'oadr:Id="x"'), "the reference '#oadrSignedObject' is neither"),
        (change(b' oadr:Id="oadrSignedObject"', b""), "the reference '#oadrSignedObject' is neither"),
        (change(b'Id="prop"', b'Id="prop2"'), "the reference '#prop' is neither"),
        (change(b'Id="prop"', b""), "the reference '#prop' is neither"),
        (change(b"sha256", b"sha512"), "algorithm .*sha512 is not accepted: use .*rsa-sha256"),
        (change(b"#ecdsa-sha256", b"#rsa-sha256"), "does not go with the key of the certificate"),
        (change(b"#ecdsa-sha256", b"#hmac-sha256"), "algorithm .*hmac-sha256 is not accepted"),
    ],
)
def test_a_change_is_noticed(tamper: Callable[[bytes], bytes], match: str) -> None:
    with pytest.raises(SignatureInvalid, match=match):
        check(tamper(Draft().sign()))


def test_a_rebound_prefix_is_noticed() -> None:
    data = (
        Draft()
        .sign()
        .replace(b"ei:venID>", b"z:venID>")
        .replace(b"<z:venID", b'<z:venID xmlns:z="%s"' % NAMESPACES["ei"].encode())
    )
    with pytest.raises(SignatureInvalid, match="digest of oadr:oadrSignedObject"):
        check(data)


def edit(path: str, change_text: Callable[[bytes], bytes]) -> bytes:
    root = etree.fromstring(Draft().sign())
    element = part(root, path)
    element.text = base64.b64encode(change_text(base64.b64decode(element.text or ""))).decode()
    return etree.tostring(root)


@pytest.mark.parametrize(
    ("path", "change_text"),
    [
        (".//ds:SignatureValue", lambda value: value[:-1]),
        (".//ds:SignatureValue", lambda value: value + b"\0"),
        (".//ds:SignatureValue", lambda value: b""),
        (".//ds:SignatureValue", lambda value: bytes(64)),
        (".//ds:SignatureValue", lambda value: value[32:] + value[:32]),
        (".//ds:DigestValue", lambda value: value[:16]),
        (".//ds:DigestValue", lambda value: b""),
    ],
)
def test_truncated_and_other_values_are_refused(path: str, change_text: Callable[[bytes], bytes]) -> None:
    with pytest.raises(SignatureInvalid, match="the signature is wrong"):
        check(edit(path, change_text))


def test_a_digest_that_is_signed_but_truncated_is_refused() -> None:
    root = etree.fromstring(Draft().sign())
    value = part(root, ".//ds:DigestValue")
    value.text = base64.b64encode(base64.b64decode(value.text or "")[:16]).decode()
    fill_signature(root, ecc_ven().key)
    with pytest.raises(SignatureInvalid, match="digest of oadr:oadrSignedObject is wrong"):
        check(etree.tostring(root))


# Wrapped, moved, doubled


def wrap_in_object(root: etree._Element) -> None:
    """The signed object goes into a ds:Object, and another takes its place."""
    signed = part(root, "oadr:oadrSignedObject")
    evil = etree.fromstring(etree.tostring(signed).replace(b"ven-1", b"evil").replace(b'"oadrSignedObject"', b'"evil"'))
    root.replace(signed, evil)
    holder = etree.SubElement(part(root, "ds:Signature"), f"{{{DS}}}Object")
    holder.append(signed)


def wrap_with_the_same_id(root: etree._Element) -> None:
    wrap_in_object(root)
    part(root, "oadr:oadrSignedObject").set(f"{{{OADR}}}Id", "oadrSignedObject")


def second_object(root: etree._Element) -> None:
    signed = part(root, "oadr:oadrSignedObject")
    root.append(etree.fromstring(etree.tostring(signed).replace(b"ven-1", b"evil")))


def second_object_first(root: etree._Element) -> None:
    signed = part(root, "oadr:oadrSignedObject")
    root.insert(0, etree.fromstring(etree.tostring(signed).replace(b"ven-1", b"evil").replace(b'Object"', b'Evil"')))


def envelope_in_envelope(root: etree._Element) -> None:
    inner = etree.fromstring(etree.tostring(root))
    part(root, "oadr:oadrSignedObject/oadr:oadrPoll").append(inner)


def second_signature(root: etree._Element) -> None:
    root.insert(0, etree.fromstring(etree.tostring(part(root, "ds:Signature"))))


def signature_inside(root: etree._Element) -> None:
    part(root, "oadr:oadrSignedObject").append(part(root, "ds:Signature"))


def properties_elsewhere(root: etree._Element) -> None:
    """The signed properties go into another ds:Object, fresh ones take their place."""
    old = part(root, ".//ds:Object")
    fresh = etree.fromstring(etree.tostring(old).replace(b"abc", b"fresh").replace(b'"prop"', b'"fresh"'))
    old.addprevious(fresh)


def properties_swapped(root: etree._Element) -> None:
    """The signed ds:Object sinks into a fresh one."""
    old = part(root, ".//ds:Object")
    fresh = etree.fromstring(etree.tostring(old).replace(b"abc", b"fresh").replace(b'"prop"', b'"fresh"'))
    old.addprevious(fresh)
    fresh.append(old)


@pytest.mark.parametrize(
    "attack",
    [
        wrap_in_object,
        wrap_with_the_same_id,
        second_object,
        second_object_first,
        envelope_in_envelope,
        second_signature,
        signature_inside,
        properties_elsewhere,
        properties_swapped,
    ],
    ids=lambda attack: attack.__name__,
)
def test_wrapping_is_refused(attack: Callable[[etree._Element], None]) -> None:
    root = etree.fromstring(Draft().sign())
    attack(root)
    every = [switch for switch in SWITCHES if switch not in ("key-name", "key-value")]
    for accept in ((), every):
        with pytest.raises((SignatureInvalid, SchemaMismatch)):
            check(etree.tostring(root), accept=accept, leniency=["all"])


def test_a_stripped_signature_is_refused() -> None:
    root = etree.fromstring(Draft().sign())
    root.remove(part(root, "ds:Signature"))
    with pytest.raises(SignatureInvalid, match="is not signed"):
        check(etree.tostring(root))


def test_a_document_type_is_refused() -> None:
    data = b"<!DOCTYPE x [<!ATTLIST oadr:oadrSignedObject oadr:Id ID #IMPLIED>]>" + Draft().sign()
    with pytest.raises(Malformed, match="document type"):
        check(data)


# Well signed, but not what the profile says

TWO = properties(
    inner=properties()
    .partition(">")[2]
    .removesuffix("</ds:Object>")
    .replace(
        "</dsp:ReplayProtect>",
        "</dsp:ReplayProtect><dsp:ReplayProtect><dsp:timestamp>2030-06-01T10:00:00Z</dsp:timestamp>"
        "<dsp:nonce>x</dsp:nonce></dsp:ReplayProtect>",
    )
)


def replay(inner: str) -> str:
    return properties(
        inner='<ds:SignatureProperties><ds:SignatureProperty Target="#oadrSignedObject">'
        f"{inner}</ds:SignatureProperty></ds:SignatureProperties>"
    )


@pytest.mark.parametrize(
    ("draft", "match"),
    [
        (Draft(references=[OBJECT]), "must be two references, .* not 1"),
        (Draft(references=[PROP]), "must be two references"),
        (Draft(references=[OBJECT, PROP, PROP]), "not 3"),
        (Draft(references=[OBJECT, OBJECT]), "no reference covers the ds:Object"),
        (Draft(references=[PROP, PROP]), "no reference covers the oadr:oadrSignedObject"),
        (Draft(references=[OBJECT, Reference("prop")]), "the reference 'prop' is neither"),
        (Draft(references=[OBJECT, Reference("#")]), "the reference '#' is neither"),
        (Draft(references=[OBJECT, Reference("#xpointer(id('prop'))")]), "xpointer.* is neither"),
        (Draft(references=[OBJECT, Reference("http://example.com/#prop")]), "is neither"),
        (Draft(references=[Reference("#oadrSignedObject", (C14N, C14N)), PROP]), "transforms .* are not accepted"),
        (Draft(references=[Reference("#oadrSignedObject", (ENVELOPED, C14N)), PROP]), "transforms .* are not acc"),
        (Draft(references=[Reference("#oadrSignedObject", (XSLT,)), PROP]), "xslt"),
        (Draft(references=[Reference("#oadrSignedObject", (XPATH,)), PROP]), "xpath"),
        (Draft(references=[Reference("#oadrSignedObject", (DS + "base64",)), PROP]), "base64 are not accepted"),
        (Draft(references=[Reference("#oadrSignedObject", digest=DS + "md5"), PROP]), "md5 is not accepted: use .*256"),
        (Draft(canonicalization="http://www.w3.org/2006/12/xml-c14n11"), "c14n11 is not accepted"),
        (Draft(method="http://www.w3.org/2000/09/xmldsig#hmac-sha1"), "hmac-sha1 is not accepted"),
        (Draft(method="http://www.w3.org/2000/09/xmldsig#dsa-sha1"), "dsa-sha1 is not accepted"),
        (Draft(method=RSA_SHA256), "does not go with the key"),
        (Draft(info_extra="<ds:HMACOutputLength>8</ds:HMACOutputLength>"), "SignatureMethod must not hold parameters"),
        (Draft(objects=""), "must have one ds:Object, with its ReplayProtect, not 0"),
        (Draft(objects=properties() + "<ds:Object/>"), "must have one ds:Object, .*, not 2"),
        (Draft(objects=properties() + properties('Id="prop2"')), "must have one ds:Object, .*, not 2"),
        (Draft(objects=properties(inner="")), "ds:Object must hold one ds:SignatureProperties"),
        (Draft(objects=properties(inner="<x/>")), "ds:Object must hold one"),
        (Draft(objects=replay("<dsp:x/>")), "must hold one dsp:ReplayProtect and nothing else"),
        (Draft(objects=TWO), "must hold one dsp:ReplayProtect and nothing else"),
        (Draft(objects=replay("<dsp:ReplayProtect/>")), "must hold dsp:timestamp and dsp:nonce"),
        (Draft(objects=replay("<dsp:ReplayProtect><dsp:nonce>x</dsp:nonce></dsp:ReplayProtect>")), "must hold dsp:ti"),
        (
            Draft(
                objects=replay(
                    "<dsp:ReplayProtect><dsp:nonce>x</dsp:nonce><dsp:timestamp>2030-06-01T10:00:00Z</dsp:timestamp>"
                    "</dsp:ReplayProtect>"
                )
            ),
            "must hold dsp:timestamp and dsp:nonce",
        ),
        (Draft(key_info=key_info(b"x")), "can't be used: it can't be read"),
        (Draft(key_info=key_info(bytes(16_000))), "longer than 16384 characters"),
        (Draft(key_info=key_info(WEAK.der)), "for an RSA key of 1024 bits"),
        (Draft(key_info=key_info(UNUSUAL.der)), "on the curve secp521r1"),
    ],
)  # fmt: skip
def test_only_the_profile_is_accepted(draft: Draft, match: str) -> None:
    with pytest.raises(SignatureInvalid, match=match):
        check(draft.sign())


def test_a_relative_namespace_name_has_no_canonical_form() -> None:
    data = Draft().sign()
    with pytest.raises(SignatureInvalid, match="no canonical form: use absolute namespace names"):
        check(data.replace(b"<oadr:oadrPoll", b'<oadr:oadrPoll xmlns:r="relative/name"'))
    with pytest.raises(Malformed, match="a namespace name is relative"):
        check(data.replace(b"<oadr:oadrPayload", b'<oadr:oadrPayload xmlns:r="relative/name"'))


def test_parameters_of_a_transform_are_refused() -> None:
    def give_prefixes(root: etree._Element) -> None:
        etree.SubElement(part(root, ".//ds:Transform"), f"{{{EXCLUSIVE}}}InclusiveNamespaces", PrefixList="ei")

    data = Draft(references=[Reference("#oadrSignedObject", (EXCLUSIVE,)), PROP]).sign(give_prefixes)
    with pytest.raises(SignatureInvalid, match="ds:Transform must not hold parameters"):
        check(data, accept=["exclusive-c14n"])


def test_a_reference_without_uri_is_refused() -> None:
    def strip(root: etree._Element) -> None:
        del part(root, ".//ds:Reference").attrib["URI"]

    with pytest.raises(SignatureInvalid, match="the reference None is neither"):
        check(Draft().sign(strip))
