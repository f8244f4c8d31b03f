"""Certificates and hand-made signatures for the tests: every part of a signature can be something else than it should.

The digests and the signature are made here with lxml's canonical form and `cryptography`, so that the tests don't
check our signing by itself.
"""

from __future__ import annotations

import base64
import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from lxml import etree

from pyopenadr.v2 import wire
from pyopenadr.v2.signature import SigningKey, Trust, Verified, verify

NOW = datetime(2030, 6, 1, 10, 0, 5, tzinfo=UTC)
STAMP = "2030-06-01T10:00:00Z"

C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
WITH_COMMENTS = f"{C14N}#WithComments"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = "http://www.w3.org/2000/09/xmldsig#enveloped-signature"
SHA1 = "http://www.w3.org/2000/09/xmldsig#sha1"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA1 = "http://www.w3.org/2000/09/xmldsig#rsa-sha1"
RSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
ECDSA_SHA1 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"
ECDSA_SHA256 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"

DS = "http://www.w3.org/2000/09/xmldsig#"
DSP = "http://openadr.org/oadr-2.0b/2012/07/xmldsig-properties"
EI = "http://docs.oasis-open.org/ns/energyinterop/201110"
OADR = "http://openadr.org/oadr-2.0b/2012/07"
NAMESPACES = {"ds": DS, "dsp": DSP, "ei": EI, "oadr": OADR}

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Identity:
    """A private key with its certificate."""

    key: PrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def signing_key(self) -> SigningKey:
        return SigningKey.from_pem(self.pem, self.key_pem)


def issue(
    name: str,
    *,
    key: PrivateKey | None = None,
    issuer: Identity | None = None,
    is_authority: bool = False,
    start: datetime = datetime(2020, 1, 1, tzinfo=UTC),
    end: datetime = datetime(2050, 1, 1, tzinfo=UTC),
    dns: Sequence[str] = (),
    extensions: Sequence[x509.ExtensionType] = (),
    algorithm: Any = None,
) -> Identity:
    """A new identity; without an issuer it has signed its own certificate."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Example & Sons"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, name),
        ]
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if is_authority:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in dns]), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return Identity(key, builder.sign(issuer.key if issuer else key, algorithm or hashes.SHA256()))


@cache
def rsa_ven() -> Identity:
    """A VEN with an RSA key."""
    return issue("ven-rsa", key=rsa.generate_private_key(65537, 2048))


@cache
def ecc_ven() -> Identity:
    """A VEN with a P-256 key."""
    return issue("ven-ecc")


@cache
def stranger() -> Identity:
    """Somebody who is not trusted, with the same name as the VEN."""
    return issue("ven-ecc")


def transform_elements(algorithms: Sequence[str]) -> str:
    """`ds:Transforms` with these, or nothing."""
    inner = "".join(f'<ds:Transform Algorithm="{each}"/>' for each in algorithms)
    return f"<ds:Transforms>{inner}</ds:Transforms>" if inner else ""


@dataclass(frozen=True)
class Reference:
    """One `ds:Reference`; its digest is made when the draft is signed."""

    uri: str
    transforms: Sequence[str] = (C14N,)
    digest: str = SHA256

    def text(self) -> str:
        return (
            f'<ds:Reference URI="{self.uri}">{transform_elements(self.transforms)}'
            f'<ds:DigestMethod Algorithm="{self.digest}"/><ds:DigestValue/></ds:Reference>'
        )


def properties(identity: str = 'Id="prop"', inner: str | None = None, stamp: str = STAMP, nonce: str = "abc") -> str:
    """The `ds:Object` of the profile."""
    if inner is None:
        inner = (
            '<ds:SignatureProperties><ds:SignatureProperty Target="#oadrSignedObject"><dsp:ReplayProtect>'
            f"<dsp:timestamp>{stamp}</dsp:timestamp><dsp:nonce>{nonce}</dsp:nonce>"
            "</dsp:ReplayProtect></ds:SignatureProperty></ds:SignatureProperties>"
        )
    return f"<ds:Object {identity}>{inner}</ds:Object>"


def key_info(*certificates: bytes) -> str:
    """A `ds:KeyInfo` with these DER certificates."""
    inner = "".join(
        f"<ds:X509Certificate>{base64.b64encode(der).decode()}</ds:X509Certificate>" for der in certificates
    )
    return f"<ds:KeyInfo><ds:X509Data>{inner}</ds:X509Data></ds:KeyInfo>"


@dataclass(frozen=True)
class Draft:
    """A document before it is signed, by default in the form of the profile."""

    signer: Identity = field(default_factory=ecc_ven)
    canonicalization: str = C14N
    method: str | None = None
    references: Sequence[Reference] = (Reference("#oadrSignedObject"), Reference("#prop"))
    key_info: str | None = None
    objects: str = field(default_factory=properties)
    object_attributes: str = 'oadr:Id="oadrSignedObject"'
    body: str = '<oadr:oadrPoll ei:schemaVersion="2.0b"><ei:venID>ven-1</ei:venID></oadr:oadrPoll>'
    info_extra: str = ""
    is_last: bool = False
    namespaces: dict[str, str] = field(default_factory=lambda: dict(NAMESPACES))

    def but(self, **changes: Any) -> Draft:
        return replace(self, **changes)

    def text(self) -> str:
        method = self.method or (RSA_SHA256 if isinstance(self.signer.key, rsa.RSAPrivateKey) else ECDSA_SHA256)
        declared = "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in self.namespaces.items())
        signature = (
            f'<ds:Signature><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{self.canonicalization}"/>'
            f'<ds:SignatureMethod Algorithm="{method}">{self.info_extra}</ds:SignatureMethod>'
            f"{''.join(each.text() for each in self.references)}</ds:SignedInfo><ds:SignatureValue/>"
            f"{key_info(self.signer.der) if self.key_info is None else self.key_info}{self.objects}</ds:Signature>"
        )
        signed = f"<oadr:oadrSignedObject {self.object_attributes}>{self.body}</oadr:oadrSignedObject>"
        inner = signed + signature if self.is_last else signature + signed
        return f"<oadr:oadrPayload{declared}>{inner}</oadr:oadrPayload>"

    def sign(self, edit: Callable[[etree._Element], None] | None = None) -> bytes:
        """The signed document; `edit` may change the tree before the digests are made."""
        root = etree.fromstring(self.text())
        if edit is not None:
            edit(root)
        for reference in root.iterfind(".//ds:Reference", NAMESPACES):
            fill_digest(root, reference)
        fill_signature(root, self.signer.key)
        return etree.tostring(root)


def canonical(element: Any, algorithm: str, *, comments: bool = False) -> bytes:
    return etree.tostring(element, method="c14n", exclusive="exc-c14n" in algorithm, with_comments=comments)


def fill_digest(root: etree._Element, reference: etree._Element) -> None:
    algorithms = [each.get("Algorithm") or "" for each in reference.iterfind(".//ds:Transform", NAMESPACES)]
    algorithm = next((each for each in algorithms if "c14n" in each), C14N)
    uri = reference.get("URI") or ""
    if uri == "":
        tree = copy.deepcopy(root.getroottree())
        signature = tree.getroot().find("ds:Signature", NAMESPACES)
        assert signature is not None
        holder = etree.Element("holder")
        signature.addprevious(holder)
        holder.tail, signature.tail = signature.tail, None
        tree.getroot().remove(signature)
        etree.strip_elements(tree, "holder", with_tail=False)
        content = canonical(tree, algorithm)
    else:
        found = [each for each in root.iter("*") if uri[1:] in (each.get("Id"), each.get(f"{{{OADR}}}Id"))]
        content = canonical(found[0], algorithm) if found else b""
    method = reference.find("ds:DigestMethod", NAMESPACES)
    value = reference.find("ds:DigestValue", NAMESPACES)
    assert method is not None
    assert value is not None
    name = "sha1" if method.get("Algorithm") == SHA1 else "sha256"
    value.text = base64.b64encode(hashlib.new(name, content).digest()).decode()


def fill_signature(root: etree._Element, key: PrivateKey) -> None:
    info = root.find("ds:Signature/ds:SignedInfo", NAMESPACES)
    value = root.find("ds:Signature/ds:SignatureValue", NAMESPACES)
    assert info is not None
    assert value is not None
    form, method = (each.get("Algorithm") or "" for each in info.iterchildren("*") if each.get("Algorithm"))
    data = canonical(info, form, comments=form.endswith("WithComments"))
    algorithm = hashes.SHA1() if method.endswith("sha1") else hashes.SHA256()
    value.text = base64.b64encode(raw_signature(key, data, algorithm)).decode()


def raw_signature(key: PrivateKey, data: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), algorithm)
    r, s = utils.decode_dss_signature(key.sign(data, ec.ECDSA(algorithm)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


OBJECT = Reference("#oadrSignedObject")
PROP = Reference("#prop")
POLL = wire.OadrPoll(ven_id="ven-1")


def check(
    data: bytes, who: Identity | None = None, *, accept: Sequence[str] = (), leniency: Sequence[str] = ()
) -> Verified:
    trusted = Trust(certificates=[(who or ecc_ven()).der])
    return verify(data, trusted=trusted, now=NOW, accept=accept, leniency=leniency)


def part(root: etree._Element, path: str) -> etree._Element:
    found = root.find(path, NAMESPACES)
    assert found is not None
    return found
