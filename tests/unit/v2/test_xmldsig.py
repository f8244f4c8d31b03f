"""The structure of ds:Signature: what we take is what the official schema takes."""

from __future__ import annotations

import pytest
from lxml import etree

from pyopenadr.errors import Malformed, SchemaMismatch
from pyopenadr.v2 import decode, encode
from pyopenadr.v2.decoder import Context
from pyopenadr.v2.xmldsig import BASE64, Signature, read_signature
from tests.properties.oracle import is_valid, is_valid_by_reference
from tests.unit.v2.signer import SHA256, Draft, Reference, ecc_ven, properties

USUAL = Draft().sign().decode()


def with_objects(inner: str) -> str:
    return USUAL.replace(properties(), inner)


def with_key_info(inner: str) -> str:
    start, end = USUAL.index("<ds:KeyInfo>"), USUAL.index("</ds:KeyInfo>")
    return USUAL[:start] + f"<ds:KeyInfo>{inner}" + USUAL[end:]


def with_property(inner: str) -> str:
    return with_objects(
        f'<ds:Object><ds:SignatureProperties><ds:SignatureProperty Target="">{inner}</ds:SignatureProperty>'
        "</ds:SignatureProperties></ds:Object>"
    )


def edited(old: str, new: str) -> str:
    assert old in USUAL
    return USUAL.replace(old, new, 1)


DSA = "<ds:P>AA==</ds:P><ds:Q>AA==</ds:Q><ds:G>AA==</ds:G><ds:Y>AA==</ds:Y><ds:J/><ds:Seed/><ds:PgenCounter/>"


def rsa(modulus: str) -> str:
    return f"<ds:RSAKeyValue><ds:Modulus>{modulus}</ds:Modulus><ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue>"


VALID = {
    "usual": USUAL,
    "no key info, no object": Draft(key_info="", objects="").sign().decode(),
    "many objects": with_objects("<ds:Object/>text<ds:Object/>".replace("text", "")),
    "comments and instructions": edited("<ds:SignedInfo>", "<!-- x --><ds:SignedInfo><?x y?><!-- z -->"),
    "white space": edited("<ds:SignedInfo>", "\n\t<ds:SignedInfo>  "),
    "white space in base64": edited("<ds:DigestValue>", "<ds:DigestValue>\n  "),
    "empty base64": edited("<ds:SignatureValue>", "<ds:SignatureValue></ds:SignatureValue><!--").replace(
        "</ds:SignatureValue><ds:KeyInfo>", "--><ds:KeyInfo>"
    ),
    "one reference without transforms": Draft(references=[Reference("#prop", ())]).sign().decode(),
    "Ids": edited("<ds:SignedInfo>", '<ds:SignedInfo Id="a">').replace("<ds:KeyInfo>", '<ds:KeyInfo Id="b">'),
    "reference with type and Id": edited("<ds:Reference ", '<ds:Reference Type="urn:x" Id=" r1 " '),
    "reference without URI": edited('URI="#prop"', ""),
    "empty algorithm": edited(f'"{SHA256}"', '""'),
    "text in mixed": edited("<ds:KeyInfo>", "<ds:KeyInfo>text"),
    "HMAC length": Draft(info_extra="<ds:HMACOutputLength> +8 </ds:HMACOutputLength>").sign().decode(),
    "schema location": edited(
        "<ds:Signature>", '<ds:Signature xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:schemaLocation="a b">'
    ),
    "key name": with_key_info("<ds:KeyName/>"),
    "everything in key info": with_key_info(
        "<ds:MgmtData>x</ds:MgmtData><x:x xmlns:x='urn:x' a='b'>c</x:x><ds:RetrievalMethod URI='#a' Type=''/>"
        "<ds:PGPData><ds:PGPKeyID>AA==</ds:PGPKeyID><ds:PGPKeyPacket/></ds:PGPData><ds:PGPData><ds:PGPKeyPacket/></ds:PGPData>"
        "<ds:SPKIData><ds:SPKISexp/><x:x xmlns:x='urn:x'/><ds:SPKISexp/></ds:SPKIData>"
        f"<ds:KeyValue><ds:DSAKeyValue>{DSA}</ds:DSAKeyValue></ds:KeyValue><ds:KeyValue>{rsa('AQAB')}</ds:KeyValue>"
    ),
    "everything in X509Data": with_key_info(
        "<ds:X509Data><ds:X509IssuerSerial><ds:X509IssuerName/><ds:X509SerialNumber>-7</ds:X509SerialNumber>"
        "</ds:X509IssuerSerial><ds:X509SKI>AA==</ds:X509SKI><ds:X509SubjectName>CN=x</ds:X509SubjectName>"
        "<ds:X509CRL/><x:x xmlns:x='urn:x'/></ds:X509Data>"
    ),
    "key value without P and Q": with_key_info("<ds:KeyValue><ds:DSAKeyValue><ds:Y/></ds:DSAKeyValue></ds:KeyValue>"),
    "anything in an object": with_objects(
        "<ds:Object Id='o' MimeType='a' Encoding='b'>x<y/><x:x xmlns:x='urn:x'/></ds:Object>"
    ),
    "a manifest": with_objects(
        "<ds:Object><ds:Manifest Id='m'><ds:Reference><ds:DigestMethod Algorithm='a'/><ds:DigestValue/></ds:Reference>"
        "</ds:Manifest></ds:Object>"
    ),
    "foreign property": with_property("<x:x xmlns:x='urn:x'/>text<y:y xmlns:y='urn:y'/>"),
    "XPath": edited(
        "<ds:Transforms>",
        "<ds:Transforms><ds:Transform Algorithm='x'>a<ds:XPath>b</ds:XPath><x:x xmlns:x='urn:x'/></ds:Transform>",
    ),
    "parameter of a digest": edited(f'"{SHA256}"/>', '"a">x<x:x xmlns:x="urn:x"/></ds:DigestMethod>'),
}

INVALID = {
    "no SignedInfo": (edited("<ds:SignedInfo>", "<!--").replace("</ds:SignedInfo>", "-->"), "must hold SignedInfo"),
    "no SignatureValue": (edited("<ds:SignatureValue>", "<!--").replace("</ds:SignatureValue>", "-->"), "must hold"),
    "other order": (with_objects("<ds:Object/><ds:KeyInfo><ds:KeyName/></ds:KeyInfo>"), "must hold"),
    "no reference": (Draft(references=[]).sign().decode(), "ds:SignedInfo must hold"),
    "no algorithm": (edited('<ds:SignatureMethod Algorithm="', '<ds:SignatureMethod Id="'), "Id is not allowed on"),
    "algorithm in a namespace": (
        edited("<ds:SignatureMethod Algorithm", "<ds:SignatureMethod ds:Algorithm"),
        "ds:Algorithm is not allowed on ds:SignatureMethod",
    ),
    "no target": (edited(' Target="#oadrSignedObject"', ""), "attribute Target is missing on ds:SignatureProperty"),
    "bad base64": (edited("<ds:DigestValue>", "<ds:DigestValue>*"), "ds:DigestValue must be base64 text, not '"),
    "short base64": (with_key_info(f"<ds:KeyValue>{rsa('AAA')}</ds:KeyValue>"), "ds:Modulus must be base64"),
    "padding inside": (with_key_info(f"<ds:KeyValue>{rsa('AA==AAAA')}</ds:KeyValue>"), "ds:Modulus must be base64"),
    "bits behind the end": (with_key_info(f"<ds:KeyValue>{rsa('AB==')}</ds:KeyValue>"), "ds:Modulus must be base64"),
    "other digits": (with_key_info(f"<ds:KeyValue>{rsa('ÀAAA')}</ds:KeyValue>"), "ds:Modulus must be base64"),
    "element in base64": (edited("<ds:DigestValue>", "<ds:DigestValue><ds:KeyName/>"), "ds:DigestValue must hold text"),
    "element in text": (with_key_info("<ds:KeyName><x/></ds:KeyName>"), "ds:KeyName must hold text, not x"),
    "text between": (edited("<ds:SignatureValue>", "x<ds:SignatureValue>"), "text 'x' is not allowed in ds:Signature"),
    "text behind": (edited("</ds:Signature>", "x</ds:Signature>"), "text 'x' is not allowed in ds:Signature"),
    "text behind a comment": (edited("<ds:SignedInfo>", "<ds:SignedInfo><!-- -->x"), "text 'x' is not allowed"),
    "bad Id": (edited('Id="prop"', 'Id="1"'), "attribute Id must be an XML name"),
    "Id twice": (edited("<ds:SignedInfo>", '<ds:SignedInfo Id="prop">'), "the Id 'prop' stands twice"),
    "Id of the signed object": (
        edited("<ds:SignedInfo>", '<ds:SignedInfo Id="oadrSignedObject">'),
        "the Id 'oadrSignedObject' stands twice",
    ),
    "unknown attribute": (edited("<ds:KeyInfo>", '<ds:KeyInfo x="1">'), "attribute x is not allowed on ds:KeyInfo"),
    "language": (edited("<ds:KeyInfo>", '<ds:KeyInfo xml:lang="en">'), "lang is not allowed on ds:KeyInfo"),
    "empty KeyInfo": (with_key_info(""), "ds:KeyInfo must hold .*, not nothing"),
    "element without namespace": (with_key_info("<x/>"), "ds:KeyInfo must hold .*, not x"),
    "unknown element": (with_key_info("<ds:X/>"), "ds:KeyInfo must hold .*, not ds:X"),
    "two key values": (with_key_info(f"<ds:KeyValue>{rsa('')}{rsa('')}</ds:KeyValue>"), "ds:KeyValue must hold DSA"),
    "no certificate": (with_key_info("<ds:X509Data/>"), "ds:X509Data must hold"),
    "serial number": (
        with_key_info(
            "<ds:X509Data><ds:X509IssuerSerial><ds:X509IssuerName/><ds:X509SerialNumber>x</ds:X509SerialNumber>"
            "</ds:X509IssuerSerial></ds:X509Data>"
        ),
        "ds:X509SerialNumber must be a whole number, not 'x'",
    ),
    "no PGP key": (with_key_info("<ds:PGPData><x:x xmlns:x='urn:x'/></ds:PGPData>"), "ds:PGPData must hold"),
    "P without Q": (
        with_key_info("<ds:KeyValue><ds:DSAKeyValue><ds:P/><ds:Y/></ds:DSAKeyValue></ds:KeyValue>"),
        "ds:DSAKeyValue must hold",
    ),
    "empty properties": (with_objects("<ds:Object><ds:SignatureProperties/></ds:Object>"), "must hold Sign"),
    "empty property": (with_property(""), r"ds:SignatureProperty must hold #other\+, not nothing"),
    "own element in a property": (with_property("<ds:KeyName/>"), "ds:SignatureProperty must hold"),
    "signature in a foreign element": (
        with_objects("<ds:Object><x:x xmlns:x='urn:x'><y><ds:Signature/></y></x:x></ds:Object>"),
        "ds:Signature must hold SignedInfo",
    ),
    "parameter of c14n": (
        edited('REC-xml-c14n-20010315"/>', 'REC-xml-c14n-20010315"><x:x xmlns:x="urn:x"/></ds:CanonicalizationMethod>'),
        "ds:CanonicalizationMethod must hold no element",
    ),
    "two HMAC lengths": (
        Draft(info_extra="<ds:HMACOutputLength>8</ds:HMACOutputLength>" * 2).sign().decode(),
        "ds:SignatureMethod must hold HMACOutputLength",
    ),
    "HMAC length": (Draft(info_extra="<ds:HMACOutputLength/>").sign().decode(), "must be a whole number, not ''"),
    "no digest method": (
        edited(f'<ds:DigestMethod Algorithm="{SHA256}"/>', ""),
        r"ds:Reference must hold Transforms\? DigestMethod DigestValue, not ds:Transforms, ds:DigestValue",
    ),
}


@pytest.mark.parametrize("document", VALID.values(), ids=VALID)
def test_what_the_schema_allows_is_read(document: str) -> None:
    assert is_valid(document.encode())
    payload = decode(document.encode())
    assert payload.signature is not None
    again = decode(encode(payload))
    assert again == payload
    assert is_valid(encode(payload))


@pytest.mark.parametrize(("document", "match"), INVALID.values(), ids=INVALID)
def test_what_the_schema_does_not_allow_is_refused(document: str, match: str) -> None:
    # libxml2 reads over characters that are no base64
    assert not is_valid(document.encode()) or not is_valid_by_reference(document.encode())
    with pytest.raises(SchemaMismatch, match=match) as caught:
        decode(document.encode())
    assert caught.value.path is not None
    assert caught.value.line is not None


def test_equal_signatures_are_equal_whatever_their_prefixes_declare_around_them() -> None:
    inner = "<d:Object xmlns:d='http://www.w3.org/2000/09/xmldsig#'/>"
    one, other = (
        read_signature(etree.fromstring(f"<x xmlns:{prefix}='urn:x'>{signature(inner)}</x>")[0], Context(frozenset()))
        for prefix in ("a", "b")
    )
    assert one == other == Signature(xml=one.xml)
    assert "urn:x" not in one.xml


def signature(inner: str) -> str:
    start, end = USUAL.index("<ds:Signature>"), USUAL.index("</ds:Signature>")
    text = USUAL[start:end].replace("<ds:Signature>", "<ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'>")
    return text.replace(properties(), inner) + "</ds:Signature>"


def test_ids_are_noted() -> None:
    ctx = Context(frozenset())
    read_signature(etree.fromstring(signature("<ds:Object Id=' a '/><ds:Object><ds:Manifest Id='b'><ds:Reference>"
        "<ds:DigestMethod Algorithm=''/><ds:DigestValue/></ds:Reference></ds:Manifest></ds:Object>")), ctx)  # fmt: skip
    assert ctx.ids == ["a", "b"]


def test_a_relative_namespace_name_is_refused() -> None:
    with pytest.raises(Malformed, match="a namespace name is relative"):
        decode(with_objects("<ds:Object><x:x xmlns:x='relative'/></ds:Object>").encode())


@pytest.mark.parametrize("text", ["AA\u00a0AA", "\u0661AAA", "AAAA=", "AA=A", "====", "AAAA\n*"])
def test_what_is_no_base64(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        BASE64.parse(text)


@pytest.mark.parametrize("data", [b"", b"a", b"ab", b"abc", ecc_ven().der])
def test_base64_there_and_back(data: bytes) -> None:
    text = BASE64.format(data)
    assert BASE64.parse(text) == data
    assert BASE64.parse(" \n".join(text)) == data
    with pytest.raises(ValueError, match="str"):
        BASE64.format("x")
