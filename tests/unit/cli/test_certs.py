"""`pyopenadr certs`, through the command line."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from typer.testing import CliRunner, Result

from pyopenadr.cli import app
from pyopenadr.cli.authority import Authority
from pyopenadr.transport.tls import ClientTls, ServerTls, client_context, server_context

VECTORS = Path(__file__).parents[2] / "vectors"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["certs", *map(str, arguments)])


def told(*arguments: str | Path) -> Any:
    """What --json writes."""
    return json.loads(run(*arguments, "--json").stdout)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certs") / "demo"
    assert run("demo", folder).exit_code == 0
    return folder


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> tuple[str, str]:
    """Connect two sides in memory: the suite, and the name of the client's certificate."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    left = server.wrap_bio(to_server, to_client, server_side=True)
    right = client.wrap_bio(to_client, to_server, server_hostname=name)
    waiting = [right, left]
    while waiting:
        side = waiting.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            waiting.append(side)
    cipher, shown = left.cipher(), left.getpeercert(binary_form=True)
    assert cipher is not None
    assert shown is not None
    subject = x509.load_der_x509_certificate(shown).subject
    return cipher[0], str(subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
@pytest.mark.parametrize(
    ("family", "suite"), [("rsa", "AES128-SHA256"), ("ec", "ECDHE-ECDSA-AES128-SHA256")], ids=["rsa", "ec"]
)
def test_what_is_made_works_together(made: Path, host: str, family: str, suite: str) -> None:
    vtn = ServerTls(
        certificates=[(made / f"vtn-{family}.pem", made / f"vtn-{family}.key")],
        ca_file=made / "ca.pem",
        profile="openadr",
    )
    for ven in ("ven-1", "ven-2"):
        device = made / ven
        client = ClientTls(cert=device / "cert.pem", key=device / "key.pem", ca_file=device / "ca.pem")
        assert shake_hands(server_context(vtn), client_context(client), host) == (suite, ven)


def test_nothing_is_wrong_with_what_is_made(made: Path) -> None:
    for name, host in (("vtn-rsa", "localhost"), ("vtn-ec", "127.0.0.1"), ("ven-1/cert", None), ("ven-2/cert", None)):
        key = made / f"{name}.key".replace("cert.key", "key.pem")
        more = ("--host", host) if host else ()
        result = run("check", made / f"{name}.pem", "--key", key, "--ca", made / "ca.pem", *more)
        assert (result.exit_code, result.stdout.splitlines()[-1]) == (0, "  Nothing is wrong.")


def test_strict_clients_accept_it(made: Path) -> None:
    """What Python 3.13 checks by default, and openleadr with it."""
    context = client_context(
        ClientTls(cert=made / "ven-1/cert.pem", key=made / "ven-1/key.pem", ca_file=made / "ca.pem")
    )
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    vtn = ServerTls(certificates=[(made / "vtn-ec.pem", made / "vtn-ec.key")], ca_file=made / "ca.pem")
    assert shake_hands(server_context(vtn), context, "localhost")[1] == "ven-1"


def test_the_extensions_are_those_of_openadr(made: Path) -> None:
    for path in (made / "vtn-rsa.pem", made / "vtn-ec.pem", made / "ven-1/cert.pem", made / "ven-2/cert.pem"):
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        is_rsa = "TEST RSA" in certificate.subject.rfc4514_string()
        assert usage.critical
        assert usage.value.digital_signature
        assert (usage.value.key_encipherment, usage.value.key_agreement) == (is_rsa, not is_rsa)
        kinds = {type(extension.value) for extension in certificate.extensions}
        assert not kinds & {x509.ExtendedKeyUsage, x509.BasicConstraints}
        assert (x509.SubjectAlternativeName in kinds) == path.name.startswith("vtn")


def test_keys_are_for_their_owner_only(made: Path) -> None:
    secret = [path for path in made.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
    assert len(secret) == 6
    assert {path.stat().st_mode & 0o777 for path in secret} == {0o600}


def test_nothing_is_overwritten(made: Path) -> None:
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    result = run("demo", made, "--vens", "3")
    assert result.exit_code == 2
    assert "ca.pem exists already, and nothing was written" in result.stderr
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before


def test_both_fingerprints_are_shown_and_files_that_exist_are_named(tmp_path: Path) -> None:
    said = told("demo", tmp_path, "--vens", "1", "--host", "vtn.example.com", "--days", "10")
    assert said["ca_file"] == str(tmp_path / "ca.pem")
    rows = said["certificates"]
    assert [row["name"] for row in rows] == ["CA RSA", "CA EC", "VTN RSA", "VTN EC", "ven-1"]
    for row in rows:
        assert Path(row["key"]).exists()
        (shown,) = told("fingerprint", row["cert"])
        same = ("cert", "fingerprint", "key_type", "legacy_fingerprint", "not_after")
        assert [shown[name] for name in same] == [row[name] for name in same]
        assert len(shown["fingerprint"]) == len(shown["legacy_fingerprint"]) == 29
    vtn = x509.load_pem_x509_certificate((tmp_path / "vtn-ec.pem").read_bytes())
    names = vtn.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["vtn.example.com"]
    assert timedelta(days=9) < vtn.not_valid_after_utc - datetime.now(UTC) < timedelta(days=10)


def test_a_host_that_can_be_none_is_told(tmp_path: Path) -> None:
    result = run("demo", tmp_path / "new", "--host", "büro")
    assert result.exit_code == 2
    assert "--host büro can't stand in a certificate" in result.stderr
    assert not (tmp_path / "new").exists()


def test_a_folder_that_can_not_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    result = run("demo", tmp_path / "file" / "folder")
    assert result.exit_code == 2
    assert "can't be written: Not a directory" in result.stderr


def test_fingerprints_of_several_files_with_several_certificates(made: Path) -> None:
    result = run("fingerprint", VECTORS / "s_cert_rsa.pem", made / "ca.pem")
    head, *rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert head == ["name", "file", "key", "fingerprint (SHA-256)", "old form (SHA-1)"]
    assert [row[0] for row in rows] == ["ven-0001", "TEST RSA Root CA", "TEST EC Root CA"]
    assert rows[0][2:4] == ["RSA 2048", "2D:91:98:E4:E4:1D:F7:17:47:82"]


def test_check_says_what_is_wrong_and_fails(made: Path, tmp_path: Path) -> None:
    key = tmp_path / "open.key"
    key.write_bytes((made / "vtn-ec.key").read_bytes())
    key.chmod(0o644)
    arguments = ("check", made / "ven-1/cert.pem", "--key", key, "--ca", made / "ca-ec.pem", "--host", "h")
    result = run(*arguments)
    assert result.exit_code == 1
    head, prints, *findings = result.stdout.splitlines()
    assert head.startswith(f"{made / 'ven-1/cert.pem'}: ven-1, RSA 2048, until ")
    assert prints.startswith("  fingerprint ")
    assert [finding.partition(":")[0].strip() for finding in findings] == ["error", "error", "error", "warning"]
    for part in (
        "for h: it has no subjectAltName",
        "does not belong to the certificate",
        "the chain is broken",
        f"others can read the private key in {key}: chmod 600 {key}",
    ):
        assert part in result.stdout
    said = told(*arguments)
    assert [f"  {each['severity']}: {each['text']}" for each in said["findings"]] == findings
    assert said["name"] == "ven-1"


def test_warnings_alone_do_not_fail(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    authority = Authority("EC", start=now - timedelta(days=1), end=now + timedelta(days=3))
    path = tmp_path / "soon.pem"
    path.write_bytes(authority.issue("ven-1").certificate_pem)
    result = run("check", path)
    assert result.exit_code == 0
    assert "  warning: the certificate of ven-1 expires on " in result.stdout
    assert "Nothing is wrong" not in result.stdout


@pytest.mark.parametrize("arguments", [("check", "none.pem"), ("fingerprint", "none.pem")])
def test_a_file_that_can_not_be_used_is_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "none.pem can't be read: No such file or directory" in result.stderr


def test_help_loads_no_cryptography() -> None:
    program = (
        "import sys\nfrom typer.testing import CliRunner\nfrom pyopenadr.cli import app\n"
        "assert 'fingerprint' in CliRunner().invoke(app, ['certs', '--help']).stdout\n"
        "print('cryptography' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
