"""Our signatures before other libraries, and theirs before us."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import xmlsec
from lxml import etree
from signxml import methods
from signxml.algorithms import CanonicalizationMethod, DigestAlgorithm, SignatureMethod
from signxml.exceptions import InvalidDigest, SignXMLException
from signxml.signer import XMLSigner
from signxml.verifier import XMLVerifier

from pyopenadr.errors import SignatureInvalid
from pyopenadr.v2 import decode, wire
from pyopenadr.v2.signature import Trust, fingerprint, sign, verify
from tests.unit.v2.signer import (
    C14N,
    ENVELOPED,
    EXCLUSIVE,
    NAMESPACES,
    NOW,
    OADR,
    Draft,
    Identity,
    Reference,
    ecc_ven,
    rsa_ven,
    stranger,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from openleadr import errors as openleadr_errors
    from openleadr import messaging

VECTORS = Path(__file__).parents[2] / "vectors"
MESSAGES = [
    "11_oadrPoll",
    "22_oadrDistributeEvent_active_prices_dispatch_baseline",
    "27_oadrDistributeEvent_serviceArea",
    "40_oadrCreateOpt_schedule",
    "63_oadrUpdateReport_usage_intervalData_uid",
    "70_oadrRegisterReport_allUnits",
]
BOTH = pytest.mark.parametrize("who", [rsa_ven, ecc_ven])


def trust(who: Identity) -> Trust:
    return Trust(certificates=[who.der])


def message(name: str) -> wire.Message:
    return decode((VECTORS / f"{name}.xml").read_bytes()).message


# The vectors of the specification


@pytest.mark.parametrize("kind", ["rsa", "ecc"])
@pytest.mark.parametrize("form", ["", "_noTransforms"])
def test_the_vectors_are_valid(kind: str, form: str) -> None:
    data = (VECTORS / f"s_signed_oadrPoll_{kind}{form}.xml").read_bytes()
    shown = fingerprint((VECTORS / f"s_cert_{kind}.pem").read_bytes())
    verified = verify(data, trusted=Trust(fingerprints=[shown]), now=NOW)
    assert verified.payload.message == wire.OadrPoll(ven_id="ven-0001")
    assert verified.nonce == "8c5b1d0f3a6e49b7"
    assert verified.timestamp == datetime(2030, 6, 1, 10, tzinfo=UTC)
    assert verified.fingerprint == shown
    for tampered in (data.replace(b"ven-0001</ei", b"ven-0002</ei"), data.replace(b"9b7</dsp", b"9b8</dsp")):
        with pytest.raises(SignatureInvalid, match="digest"):
            verify(tampered, trusted=Trust(fingerprints=[shown]), now=NOW)


# signxml

PROTECT = etree.fromstring(
    f'<dsp:ReplayProtect xmlns:dsp="{NAMESPACES["dsp"]}"><dsp:timestamp>2030-06-01T10:00:00Z</dsp:timestamp>'
    "<dsp:nonce>abc</dsp:nonce></dsp:ReplayProtect>"
)


@BOTH
@pytest.mark.parametrize("name", MESSAGES)
def test_signxml_verifies_ours(name: str, who: Callable[[], Identity]) -> None:
    data = sign(message(name), who().signing_key, now=NOW, nonce="<abc>")
    found = XMLVerifier().verify(etree.fromstring(data), x509_cert=who().pem.decode(), expect_references=2)
    assert isinstance(found, list)
    signed = [each.signed_xml.tag for each in found if each.signed_xml is not None]
    assert signed == [f"{{{OADR}}}oadrSignedObject", f"{{{NAMESPACES['ds']}}}Object"]
    with pytest.raises(InvalidDigest):
        XMLVerifier().verify(
            etree.fromstring(data.replace(b"</oadr:oadrSignedObject>", b" </oadr:oadrSignedObject>")),
            x509_cert=who().pem.decode(),
            expect_references=2,
        )
    with pytest.raises(SignXMLException):
        XMLVerifier().verify(etree.fromstring(data), x509_cert=stranger().pem.decode(), expect_references=2)


@BOTH
@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("exclusive", [False, True], ids=["c14n", "exc-c14n"])
def test_we_verify_signxml(name: str, who: Callable[[], Identity], exclusive: bool) -> None:
    vector = etree.fromstring((VECTORS / f"{name}.xml").read_bytes()).find("oadr:oadrSignedObject", NAMESPACES)
    assert vector is not None
    vector.set(f"{{{OADR}}}Id", "obj")
    signed_object = etree.fromstring(etree.tostring(vector, with_tail=False))
    signer = XMLSigner(
        method=methods.detached,
        signature_algorithm=SignatureMethod.RSA_SHA256 if who is rsa_ven else SignatureMethod.ECDSA_SHA256,
        digest_algorithm=DigestAlgorithm.SHA256,
        c14n_algorithm=(
            CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
            if exclusive
            else CanonicalizationMethod.CANONICAL_XML_1_0
        ),
    )
    signer.namespaces["oadr"] = OADR  # because the envelope declares it
    signature = signer.sign(
        signed_object,
        key=who().key_pem,
        cert=who().pem.decode(),
        reference_uri="#obj",
        signature_properties=PROTECT,
    )
    envelope = etree.Element(f"{{{OADR}}}oadrPayload", nsmap={"oadr": OADR})
    envelope.extend([signature, signed_object])
    accept = ["exclusive-c14n"] if exclusive else []
    verified = verify(etree.tostring(envelope), trusted=trust(who()), now=NOW, accept=accept)
    assert verified.payload.message == message(name)


# xmlsec


def register(context: xmlsec.SignatureContext, root: etree._Element) -> etree._Element:
    signature = root.find("ds:Signature", NAMESPACES)
    signed_object = root.find("oadr:oadrSignedObject", NAMESPACES)
    assert signature is not None
    assert signed_object is not None
    context.register_id(signed_object, "Id", OADR)
    for element in signature.iter("*"):
        if element.get("Id"):
            context.register_id(element, "Id")
    return signature


@BOTH
@pytest.mark.parametrize("name", MESSAGES)
def test_xmlsec_verifies_ours(name: str, who: Callable[[], Identity]) -> None:
    data = sign(message(name), who().signing_key, now=NOW, nonce="<abc>")

    def check(document: bytes) -> None:
        context = xmlsec.SignatureContext()
        context.key = xmlsec.Key.from_memory(who().pem, xmlsec.constants.KeyDataFormatCertPem)
        root = etree.fromstring(document)
        context.verify(register(context, root))

    check(data)
    with pytest.raises(xmlsec.Error):
        check(data.replace(b"&lt;abc", b"&lt;abd"))


DOCUMENT = Reference("", (ENVELOPED, C14N))
OBJECT, PROP = Reference("#oadrSignedObject"), Reference("#prop")


@BOTH
@pytest.mark.parametrize(
    ("references", "canonicalization", "accept"),
    [
        ([OBJECT, PROP], C14N, []),
        ([Reference("#oadrSignedObject", ()), Reference("#prop", ())], C14N, []),
        ([Reference("#oadrSignedObject", (EXCLUSIVE,)), PROP], EXCLUSIVE, ["exclusive-c14n"]),
        ([DOCUMENT, PROP], C14N, ["enveloped-reference"]),
        ([Reference("", (ENVELOPED,)), PROP], EXCLUSIVE, ["enveloped-reference", "exclusive-c14n"]),
    ],
    ids=["profile", "no transforms", "exclusive", "document", "document, exclusive"],
)
@pytest.mark.parametrize("name", MESSAGES)
def test_we_verify_xmlsec(
    name: str, who: Callable[[], Identity], references: list[Reference], canonicalization: str, accept: list[str]
) -> None:
    draft = Draft(signer=who(), references=references, canonicalization=canonicalization)
    root = etree.fromstring(
        draft.text().replace("<ds:Signature>", "\n <ds:Signature>\n ").replace("<ds:Object", "\n<ds:Object")
    )
    holder = root.find("oadr:oadrSignedObject", NAMESPACES)
    vector = etree.fromstring((VECTORS / f"{name}.xml").read_bytes()).find("oadr:oadrSignedObject", NAMESPACES)
    assert holder is not None
    assert vector is not None
    holder.remove(holder[0])
    holder.append(vector[0])
    root.append(etree.Comment("not signed"))
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(who().key_pem, xmlsec.constants.KeyDataFormatPem)
    context.sign(register(context, root))
    verified = verify(etree.tostring(root), trusted=trust(who()), now=NOW, accept=accept)
    assert verified.payload.message == message(name)


# openleadr; it uses the clock of the machine, and five seconds of it


@BOTH
def test_we_verify_openleadr(who: Callable[[], Identity]) -> None:
    text = messaging.create_message("oadrPoll", cert=who().pem, key=who().key_pem, ven_id="ven-1")
    verified = verify(text.encode(), trusted=trust(who()), now=datetime.now(UTC), window=timedelta(seconds=30))
    assert verified.payload.message == wire.OadrPoll(ven_id="ven-1")
    assert verified.accepted == ()
    assert verified.payload.deviations == ()


@BOTH
@pytest.mark.parametrize("name", MESSAGES)
def test_openleadr_verifies_ours(name: str, who: Callable[[], Identity], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messaging, "REPLAY_PROTECT_MAX_TIME_DELTA", timedelta(seconds=30))
    data = sign(message(name), who().signing_key, now=datetime.now(UTC), nonce=f"{name}{who.__name__}")
    tree = messaging.validate_xml_schema(data)
    messaging.validate_xml_signature(tree, fingerprint(who().der))
    assert messaging.parse_message(data)[0] == name.split("_")[1]
    with pytest.raises(ValueError, match="already used"):
        messaging.validate_xml_signature(tree)
    with pytest.raises(openleadr_errors.FingerprintMismatch):
        messaging.validate_xml_signature(tree, fingerprint(stranger().der))
