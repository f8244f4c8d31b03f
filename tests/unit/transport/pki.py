"""Certificates for the tests of this folder: two families, made once per run, in files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from pyopenadr.cli.authority import Authority, Family, Issued

NOW = datetime.now(UTC).replace(microsecond=0)
START, END = NOW - timedelta(days=400), NOW + timedelta(days=400)


class Files(NamedTuple):
    """Where a certificate and its key are."""

    cert: str
    key: str


@dataclass(frozen=True)
class Pki:
    """Two authorities and what is issued into a folder."""

    folder: Path
    rsa: Authority
    ec: Authority

    @classmethod
    def make(cls, folder: Path) -> Pki:
        made = cls(folder, Authority("RSA", start=START, end=END), Authority("EC", start=START, end=END))
        (folder / "ca.pem").write_bytes(made.rsa.own.certificate_pem + made.ec.own.certificate_pem)
        for family in ("RSA", "EC"):
            made.keep(f"vtn-{family}", made.of(family).issue("localhost", hosts=["localhost", "127.0.0.1"]))
            made.keep(f"ven-{family}", made.of(family).issue(f"ven-{family}"))
        return made

    def of(self, family: str) -> Authority:
        return self.rsa if family == "RSA" else self.ec

    @property
    def ca_file(self) -> str:
        return str(self.folder / "ca.pem")

    def file(self, name: str, data: bytes) -> str:
        path = self.folder / name
        path.write_bytes(data)
        return str(path)

    def file_bytes(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()

    def keep(self, name: str, issued: Issued) -> Files:
        return Files(
            self.file(f"{name}.pem", issued.certificate_pem),
            self.file(f"{name}.key", issued.key_pem),
        )

    def files(self, name: str) -> Files:
        return Files(str(self.folder / f"{name}.pem"), str(self.folder / f"{name}.key"))

    @property
    def vtn(self) -> list[Files]:
        """The VTN's pairs, RSA and EC."""
        return [self.files("vtn-RSA"), self.files("vtn-EC")]


def certificate(files: Files) -> x509.Certificate:
    return x509.load_pem_x509_certificate(Path(files.cert).read_bytes())


def revocation_list(authority: Authority, revoked: Sequence[x509.Certificate] = (), *, end: datetime = END) -> bytes:
    """A CRL as PEM."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.own.certificate.subject)
        .last_update(START)
        .next_update(end)
    )
    for each in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(each.serial_number).revocation_date(START).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(authority.own.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


FAMILIES: tuple[Family, ...] = ("RSA", "EC")
