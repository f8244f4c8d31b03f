"""Signing, the strict form that is verified, whose signature counts, and the time."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from lxml import etree

from pyopenadr.errors import ConfigError, Malformed, ModelError, SchemaMismatch, SignatureInvalid
from pyopenadr.v2 import Payload, decode, encode, wire
from pyopenadr.v2.signature import SWITCHES, SigningKey, Trust, fingerprint, legacy_fingerprint, sign, verify
from tests.unit.v2.signer import (
    NAMESPACES,
    NOW,
    Draft,
    Identity,
    canonical,
    ecc_ven,
    issue,
    properties,
    rsa_ven,
    seconds,
    stranger,
)

VECTORS = Path(__file__).parents[2] / "vectors"
POLL = wire.OadrPoll(ven_id="ven-1")
NONCE = "8c5b1d0f3a6e49b7"


def trust(who: Identity) -> Trust:
    return Trust(certificates=[who.der])


def refused(data: bytes, match: str, trusted: Trust | None = None, now: datetime = NOW) -> None:
    """The document is refused for that reason, at a place that is named, or because of the certificate's time."""
    with pytest.raises(SignatureInvalid, match=match):
        verify(data, trusted=trusted or trust(ecc_ven()), now=now)


@pytest.mark.parametrize("who", [rsa_ven, ecc_ven])
def test_what_is_signed_is_verified(who: Callable[[], Identity]) -> None:
    ven = who()
    verified = verify(sign(POLL, ven.signing_key, now=NOW, nonce=NONCE), trusted=trust(ven), now=NOW)
    assert verified.payload.message == POLL
    assert verified.payload.object_id == "oadrSignedObject"
    assert verified.nonce == NONCE
    assert verified.timestamp == NOW
    assert verified.expires == NOW + timedelta(seconds=60)
    assert verified.certificate == ven.der
    assert verified.public_key == ven.public_key
    assert verified.fingerprint == fingerprint(ven.pem)
    assert verified.accepted == ()


def test_the_signed_document_has_the_form_of_the_profile() -> None:
    root = etree.fromstring(sign(POLL, rsa_ven().signing_key, now=NOW, nonce=NONCE))
    assert [child.tag for child in root] == [
        f"{{{NAMESPACES['ds']}}}Signature",
        f"{{{NAMESPACES['oadr']}}}oadrSignedObject",
    ]
    uris = [each.get("URI") for each in root.iterfind(".//ds:Reference", NAMESPACES)]
    assert uris == ["#oadrSignedObject", "#prop"]
    subject = root.findtext(".//ds:X509SubjectName", namespaces=NAMESPACES)
    assert subject == "CN=ven-rsa,O=Example & Sons"
    assert root.find(".//ds:SignatureProperty", NAMESPACES).get("Target") == "#oadrSignedObject"  # type: ignore[union-attr]
    assert root.findtext(".//dsp:timestamp", namespaces=NAMESPACES) == "2030-06-01T10:00:05Z"


@pytest.mark.parametrize("path", sorted(VECTORS.glob("[0-9]*.xml")), ids=lambda path: path.stem)
def test_the_whole_document_is_written_in_canonical_form(path: Path) -> None:
    payload = decode(path.read_bytes())
    data = sign(payload, ecc_ven().signing_key, now=NOW, nonce=NONCE)
    assert canonical(etree.fromstring(data), "") == data
    assert verify(data, trusted=trust(ecc_ven()), now=NOW).payload.message == payload.message


XCAL = "urn:ietf:params:xml:ns:icalendar-2.0"


@pytest.mark.parametrize(
    "components",
    [
        f'<c:components xmlns:c="{XCAL}"><c:x c:a="1">&lt; xmlns</c:x></c:components>',
        f'<xcal:components xmlns:xcal="{XCAL}"><x xmlns="urn:x"><y xmlns=""> </y></x></xcal:components>',
        f'<components xmlns="{XCAL}"><oadr:x xmlns:oadr="urn:x" xml:lang="en"/><?p i?></components>',
    ],
)
def test_an_element_that_is_kept_unread_is_signed_where_it_stands(components: str) -> None:
    data = encode(decode((VECTORS / "21_oadrDistributeEvent_SIMPLE_far.xml").read_bytes()))
    message = decode(data.replace(b"<xcal:components></xcal:components>", components.encode())).message
    assert "components" in repr(message)
    signed = sign(message, ecc_ven().signing_key, now=NOW, nonce=NONCE)
    assert verify(signed, trusted=trust(ecc_ven()), now=NOW).payload.message == message


def test_the_fraction_of_the_time_is_cut_and_its_zone_turned_to_utc() -> None:
    zone = datetime.fromisoformat("2030-06-01T12:00:05.750+02:00")
    data = sign(POLL, ecc_ven().signing_key, now=zone, nonce=NONCE)
    assert verify(data, trusted=trust(ecc_ven()), now=zone).timestamp == NOW


@pytest.mark.parametrize("object_id", ["prop", "x", "prop_"])
def test_ids_never_stand_twice(object_id: str) -> None:
    data = sign(Payload(message=POLL, object_id=object_id), ecc_ven().signing_key, now=NOW, nonce=NONCE)
    assert verify(data, trusted=trust(ecc_ven()), now=NOW).payload.object_id == object_id


def test_a_signature_that_is_there_is_replaced() -> None:
    first = verify(sign(POLL, rsa_ven().signing_key, now=NOW, nonce="1"), trusted=trust(rsa_ven()), now=NOW)
    again = sign(first.payload, ecc_ven().signing_key, now=NOW, nonce="2")
    assert again.count(b"<ds:Signature>") == 1
    assert verify(again, trusted=trust(ecc_ven()), now=NOW).nonce == "2"


@pytest.mark.parametrize("nonce", ["", " \n", "x" * 257, "a\x00b"])
def test_a_nonce_is_short_text(nonce: str) -> None:
    with pytest.raises(SchemaMismatch, match="nonce"):
        sign(POLL, ecc_ven().signing_key, now=NOW, nonce=nonce)


@pytest.mark.parametrize("nonce", ["<&>\"'", "a\tb\nc\rd", "x" * 256, "\u00e9\U0001f600"])
def test_any_text_may_be_a_nonce(nonce: str) -> None:
    data = sign(POLL, ecc_ven().signing_key, now=NOW, nonce=nonce)
    assert verify(data, trusted=trust(ecc_ven()), now=NOW).nonce == nonce


def test_a_message_of_2_0a_is_not_signed() -> None:
    with pytest.raises(SchemaMismatch, match=r"2\.0a has no signatures"):
        sign(
            Payload(message=wire.OadrResponse(response=RESPONSE), profile="2.0a"),
            ecc_ven().signing_key,
            now=NOW,
            nonce="1",
        )
    request = (VECTORS / "a1_20a_oadrRequestEvent.xml").read_bytes()
    refused(request, r"the 2\.0a message oadrRequestEvent is not signed")


RESPONSE = wire.EiResponse(response_code="200", request_id="r")


def test_what_can_not_be_written_is_not_signed() -> None:
    with pytest.raises(SchemaMismatch, match=r"venID|ven_id"):
        sign(wire.OadrPoll(ven_id=None), ecc_ven().signing_key, now=NOW, nonce="1")  # type: ignore[arg-type]


def test_a_time_without_a_zone_is_refused() -> None:
    naive = NOW.replace(tzinfo=None)
    with pytest.raises(ModelError, match="no time zone"):
        sign(POLL, ecc_ven().signing_key, now=naive, nonce="1")
    with pytest.raises(ModelError, match="no time zone"):
        verify(Draft().sign(), trusted=trust(ecc_ven()), now=naive)


# Keys


def test_the_fingerprints_of_the_specification() -> None:
    rsa_pem, ecc_pem = ((VECTORS / f"s_cert_{kind}.pem").read_bytes() for kind in ("rsa", "ecc"))
    assert fingerprint(rsa_pem) == "2D:91:98:E4:E4:1D:F7:17:47:82"
    assert fingerprint(ecc_pem) == "69:AB:A3:AC:E5:B4:35:B4:A1:73"
    der = x509.load_pem_x509_certificate(rsa_pem).public_bytes(serialization.Encoding.DER)
    assert fingerprint(der) == fingerprint(rsa_pem)
    assert (
        legacy_fingerprint(rsa_pem)
        == x509.load_pem_x509_certificate(rsa_pem).fingerprint(hashes.SHA1())[-10:].hex(":").upper()
    )


@pytest.mark.parametrize("data", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_has_no_fingerprint(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"no X\.509 certificate"):
        fingerprint(data)


def test_the_key_shows_its_fingerprint_and_not_itself() -> None:
    key = ecc_ven().signing_key
    assert repr(key) == f"<SigningKey {fingerprint(ecc_ven().der)}>"
    assert key.certificate == ecc_ven().der


def test_of_a_chain_the_first_certificate_is_the_signer() -> None:
    assert SigningKey.from_pem(ecc_ven().pem + rsa_ven().pem, ecc_ven().key_pem).certificate == ecc_ven().der


def test_an_encrypted_key_needs_its_password() -> None:
    locked = ecc_ven().key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    assert SigningKey.from_pem(ecc_ven().pem, locked, b"secret").certificate == ecc_ven().der
    for password in (None, b"wrong"):
        with pytest.raises(ConfigError, match="password"):
            SigningKey.from_pem(ecc_ven().pem, locked, password)


def test_key_and_certificate_belong_together() -> None:
    with pytest.raises(ConfigError, match="does not belong to the certificate"):
        SigningKey.from_pem(ecc_ven().pem, stranger().key_pem)


@pytest.mark.parametrize(
    ("key", "match"),
    [
        (rsa.generate_private_key(65537, 1024), "1024 bits"),
        (ec.generate_private_key(ec.SECP384R1()), "secp384r1"),
    ],
)
def test_weak_and_unusual_keys_are_refused(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, match: str) -> None:
    who = issue("x", key=key)
    with pytest.raises(ConfigError, match=match):
        SigningKey.from_pem(who.pem, who.key_pem)
    with pytest.raises(ConfigError, match=match):
        Trust(certificates=[who.der])
    with pytest.raises(ConfigError, match=match):
        Trust(public_keys=[who.public_key])


def test_keys_of_other_kinds_are_refused() -> None:
    key = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with pytest.raises(ConfigError, match="neither an RSA nor an elliptic curve key"):
        SigningKey.from_pem(ecc_ven().pem, key)
    with pytest.raises(ConfigError, match="private key can't be read"):
        SigningKey.from_pem(ecc_ven().pem, b"x")


# Whose signature counts


def test_a_document_without_signature_is_refused() -> None:
    refused(encode(POLL), "oadrPoll is not signed")


@pytest.mark.parametrize(
    "trusted",
    [
        Trust(certificates=[ecc_ven().pem]),
        Trust(certificates=[rsa_ven().der, ecc_ven().der]),
        Trust(fingerprints=[fingerprint(ecc_ven().der)]),
        Trust(fingerprints=[fingerprint(ecc_ven().der).replace(":", "").lower()]),
        Trust(fingerprints=[ecc_ven().certificate.fingerprint(hashes.SHA256()).hex(":")]),
        Trust(public_keys=[ecc_ven().public_key]),
    ],
    ids=["pem", "one of two", "fingerprint", "plain fingerprint", "whole fingerprint", "public key"],
)
def test_a_peer_is_known_by(trusted: Trust) -> None:
    assert verify(Draft().sign(), trusted=trusted, now=NOW).certificate == ecc_ven().der
    refused(Draft(signer=stranger()).sign(), "not one that is trusted here", trusted)


def test_a_renewed_certificate_for_a_trusted_key_is_taken() -> None:
    renewed = issue("ven-ecc", key=ecc_ven().key)
    verified = verify(Draft(signer=renewed).sign(), trusted=Trust(public_keys=[ecc_ven().public_key]), now=NOW)
    assert verified.certificate == renewed.der
    refused(Draft(signer=renewed).sign(), "not one that is trusted", trust(ecc_ven()))


def test_the_certificate_of_a_trusted_peer_does_not_help_another_key() -> None:
    impostor = Identity(stranger().key, ecc_ven().certificate)
    refused(Draft(signer=impostor).sign(), "the signature is wrong")


AUTHORITY = issue("Example VTN CA", is_authority=True)
VTN = issue("Example VTN", issuer=AUTHORITY, dns=["VTN.example", "other.example"])


def by_authority(*names: str, authorities: tuple[Identity, ...] = (AUTHORITY,)) -> Trust:
    return Trust(authorities=[each.der for each in authorities], names=names)


@pytest.mark.parametrize("name", ["vtn.example", "OTHER.EXAMPLE"])
def test_an_authority_vouches_for_a_name(name: str) -> None:
    assert verify(Draft(signer=VTN).sign(), trusted=by_authority(name), now=NOW).certificate == VTN.der


def test_a_certificate_without_dns_name_has_its_common_name() -> None:
    ven = issue("0123456789AB", issuer=AUTHORITY)
    assert verify(Draft(signer=ven).sign(), trusted=by_authority("0123456789ab"), now=NOW).certificate == ven.der


@pytest.mark.parametrize(
    ("signer", "match"),
    [
        (
            issue("Example VTN", issuer=issue("Example VTN CA", is_authority=True), dns=["vtn.example"]),
            "not one that is",
        ),
        (issue("Example VTN", dns=["vtn.example"]), "not one that is trusted"),
        (issue("x", issuer=VTN, dns=["vtn.example"]), "not one that is trusted"),
        (issue("vtn.example", issuer=AUTHORITY, dns=["evil.example"]), "is for evil.example, not vtn.example"),
        (issue("x", issuer=AUTHORITY, dns=["*.example"]), r"is for \*.example, not vtn.example"),
        (issue("x", issuer=AUTHORITY, dns=["vtn.example"], algorithm=hashes.SHA3_256()), "signed with sha3-256"),
    ],
    ids=["other authority of that name", "self-signed", "below a leaf", "common name", "wildcard", "hash"],
)
def test_an_authority_does_not_vouch_for(signer: Identity, match: str) -> None:
    refused(Draft(signer=signer).sign(), match, by_authority("vtn.example"))


def usage(*, sign_messages: bool = False, sign_certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(sign_messages, False, False, False, not sign_messages, sign_certificates, False, False, False)


def test_the_usage_of_the_key_must_allow_signatures() -> None:
    for allowed in (True, False):
        signer = issue("v", issuer=AUTHORITY, extensions=[usage(sign_messages=allowed)])
        data = Draft(signer=signer).sign()
        if allowed:
            assert verify(data, trusted=by_authority("v"), now=NOW).certificate == signer.der
        else:
            refused(data, "lacks digitalSignature", by_authority("v"))


def test_the_authority_must_be_valid_now_but_one_of_its_certificates_is_enough() -> None:
    old = issue("Example VTN CA", key=AUTHORITY.key, is_authority=True, end=datetime(2029, 1, 1, tzinfo=UTC))
    refused(
        Draft(signer=VTN).sign(),
        "certificate of its authority .* expired",
        by_authority("vtn.example", authorities=(old,)),
    )
    both = by_authority("vtn.example", authorities=(old, AUTHORITY))
    assert verify(Draft(signer=VTN).sign(), trusted=both, now=NOW).certificate == VTN.der


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({}, "nobody is trusted"),
        ({"names": ["x"]}, "nobody is trusted"),
        ({"authorities": [AUTHORITY.der]}, "authorities and names go together"),
        ({"certificates": [VTN.der], "names": ["x"]}, "authorities and names go together"),
        ({"authorities": [VTN.der], "names": ["x"]}, "no certificate of an authority"),
        (
            {
                "authorities": [issue("x", is_authority=True, extensions=[usage(sign_messages=True)]).der],
                "names": ["x"],
            },
            "may not issue",
        ),
        ({"certificates": [b"x"]}, "no X.509 certificate"),
        ({"public_keys": [b"x"]}, "no public key"),
        ({"fingerprints": ["2D:91"]}, "'2D:91' is no fingerprint"),
        ({"fingerprints": "2D:91:98:E4:E4:1D:F7:17:47:82"}, "'2' is no fingerprint"),
    ],
)
def test_a_trust_that_makes_no_sense_is_refused(arguments: dict[str, list[bytes]], match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        Trust(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("start", "end", "match"),
    [
        (datetime(2020, 1, 1, tzinfo=UTC), NOW - seconds(1), "expired at 2030-06-01T10:00:04"),
        (NOW + seconds(1), datetime(2050, 1, 1, tzinfo=UTC), "not valid before 2030-06-01T10:00:06"),
    ],
)
def test_a_certificate_counts_only_in_its_time(start: datetime, end: datetime, match: str) -> None:
    who = issue("x", start=start, end=end)
    trusts = [trust(who), Trust(fingerprints=[fingerprint(who.der)]), Trust(public_keys=[who.public_key])]
    for trusted in trusts:
        refused(Draft(signer=who).sign(), match, trusted)


# The time


@pytest.mark.parametrize("skew", [-60, 0, 60])
def test_a_timestamp_inside_the_window_is_taken(skew: int) -> None:
    data = Draft(objects=properties(stamp="2030-06-01T10:00:05Z")).sign()
    assert verify(data, trusted=trust(ecc_ven()), now=NOW + seconds(skew)).timestamp == NOW


@pytest.mark.parametrize(
    ("skew", "match"), [(61, "61 s behind the clock of this side, more than the 60 s"), (-3600, "3600 s ahead of")]
)
def test_a_timestamp_outside_the_window_is_refused(skew: int, match: str) -> None:
    data = Draft(objects=properties(stamp="2030-06-01T10:00:05Z")).sign()
    refused(data, match, now=NOW + seconds(skew))


def test_the_window_is_the_callers() -> None:
    data = Draft().sign()
    verified = verify(data, trusted=trust(ecc_ven()), now=NOW + timedelta(hours=1), window=timedelta(hours=2))
    assert verified.expires == verified.timestamp + timedelta(hours=2)
    with pytest.raises(SignatureInvalid, match="5 s behind"):
        verify(data, trusted=trust(ecc_ven()), now=NOW, window=seconds(4))


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("2030-06-01T10:00:05.250Z", NOW + seconds(0.25)),
        (" 2030-06-01T10:00:05Z\n", NOW),
        ("2030-06-01T12:00:05+02:00", NOW),
        ("2030-06-01T10:00:05", NOW),
    ],
)
def test_a_timestamp_may_be_any_time_of_the_schema(stamp: str, expected: datetime) -> None:
    data = Draft(objects=properties(stamp=stamp)).sign()
    assert verify(data, trusted=trust(ecc_ven()), now=NOW).timestamp == expected


@pytest.mark.parametrize("stamp", ["", "now", "2030-06-01", "2030-13-01T10:00:05Z", "0001-01-01T00:00:00+14:00"])
def test_a_timestamp_that_is_no_time_is_refused(stamp: str) -> None:
    refused(Draft(objects=properties(stamp=stamp)).sign(), "timestamp must be a time such as")


@pytest.mark.parametrize("nonce", ["", "  ", "x" * 257, "a<dsp:x/>"])
def test_a_nonce_that_says_nothing_or_too_much_is_refused(nonce: str) -> None:
    refused(Draft(objects=properties(nonce=nonce)).sign(), "nonce must be text")


def test_what_is_no_document_is_no_matter_of_signatures() -> None:
    with pytest.raises(Malformed):
        verify(b"<oadr", trusted=trust(ecc_ven()), now=NOW)
    with pytest.raises(SchemaMismatch):
        verify(Draft(body="<oadr:oadrPoll/>").sign(), trusted=trust(ecc_ven()), now=NOW)


def test_an_error_says_where() -> None:
    data = Draft().sign().replace(b"ven-1", b"ven-2")
    with pytest.raises(SignatureInvalid) as caught:
        verify(data, trusted=trust(ecc_ven()), now=NOW)
    assert caught.value.path == "oadrPayload/Signature/SignedInfo/Reference[1]"
    assert caught.value.line == 1
    assert re.search("the digest of oadr:oadrSignedObject is wrong", caught.value.reason)


def test_every_switch_is_explained() -> None:
    page = (Path(__file__).parents[3] / "docs" / "howto" / "signature.md").read_text("utf-8")
    for name, meaning in SWITCHES.items():
        assert f"| `{name}` | {meaning} |" in page
