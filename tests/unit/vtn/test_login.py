"""HTTP Basic or nothing in the place of a certificate, for the VENs of which the operator says so."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pyopenadr.agent.file import read_plan
from pyopenadr.errors import ConfigError, LocalProtocolError, PeerRefused, TransportError
from pyopenadr.transport.http import HttpTransport
from pyopenadr.transport.proxy import TrustedProxy
from pyopenadr.transport.tls import ServerTls
from pyopenadr.v2 import decode, encode, wire
from pyopenadr.v2.profile import ProfileName
from pyopenadr.ven.client import OpenADRClient
from pyopenadr.ven.fleet import VenFleet
from pyopenadr.vtn.login import Logins, check_identity, digest_of
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.transport.pki import Pki
from tests.unit.vtn.party import SecureVen, print_of
from tests.unit.vtn.sample import again, running, server, store_at

LOGIN = ("meter", "s3cret")
BEHIND = TrustedProxy(addresses=["10.0.0.1"], header="X-Cert", form="der", address_header="X-Forwarded-For")


def basic(user: str = LOGIN[0], password: str = LOGIN[1]) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Answer:
    def __init__(self, parts: list[Any]) -> None:
        self.status: int = parts[0]["status"]
        self.headers = {name.decode(): value.decode() for name, value in parts[0]["headers"]}
        self.text: str = parts[1]["body"].decode()

    @property
    def code(self) -> str:
        return str(decode(self.text.encode()).message["response"].response_code)


async def post(
    vtn: OpenADRServer,
    message: wire.Message,
    header: str | None = None,
    *,
    client: str = "192.0.2.9",
    scheme: str = "https",
    print_: str | None = None,
    profile: ProfileName = "2.0b",
) -> Answer:
    """What the application answers to a message over TLS."""
    service = {"oadrPoll": "OadrPoll", "oadrRequestEvent": "EiEvent"}.get(message.message_type, "EiRegisterParty")
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": f"/OpenADR2/Simple/{'2.0b/' if profile == '2.0b' else ''}{service}",
        "scheme": scheme,
        "client": (client, 5),
        "headers": [] if header is None else [(b"authorization", header.encode())],
        "extensions": {} if print_ is None else {"tls": {"fingerprint": print_}},
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": encode(message, profile=profile)}

    async def send(part: Any) -> None:
        sent.append(part)

    await vtn.app(scope, receive, send)
    return Answer(sent)


def poll(ven_id: str = "ven-1") -> wire.OadrPoll:
    return wire.OadrPoll(ven_id=ven_id)


def create(**fields: Any) -> wire.OadrCreatePartyRegistration:
    defaults: dict[str, Any] = {
        "request_id": "r",
        "profile_name": "2.0b",
        "transport_name": "simpleHttp",
        "report_only": False,
        "xml_signature": False,
        "http_pull_model": True,
    }
    return wire.OadrCreatePartyRegistration(**(defaults | fields))


async def with_login(vtn: OpenADRServer, ven_id: str = "ven-1", user: str = LOGIN[0]) -> None:
    await vtn.add_ven(ven_id)
    await vtn.set_identity(ven_id, "basic", user=user, password=LOGIN[1])


async def test_a_ven_logs_in_by_user_and_password_and_by_nothing_else() -> None:
    async with running(enrolment="open") as vtn:
        await with_login(vtn)
        for _ in range(2):  # the second time without another scrypt
            assert (await post(vtn, poll(), basic())).status == 200
        bare = await post(vtn, poll())
        assert (bare.status, bare.headers["www-authenticate"][:5]) == (401, "Basic")
        for header in (basic(password="wrong"), basic(user="other"), "Basic ?", "Bearer x", basic("", "")):
            wrong = await post(vtn, poll(), header)
            assert (wrong.status, wrong.headers["www-authenticate"][:5]) == (401, "Basic"), header
        assert (await post(vtn, poll(), print_=print_of("a"))).status == 401  # a certificate does not do


async def test_a_login_is_that_of_one_ven_and_no_certificate_counts_beside_it() -> None:
    async with running(enrolment="open") as vtn:
        await with_login(vtn)
        await vtn.add_ven("ven-2", fingerprint=print_of("a"))
        assert (await post(vtn, poll("ven-2"), basic())).code == "463"
        assert (await post(vtn, poll("ven-2"), basic(), print_=print_of("a"))).code == "463"
        assert (await post(vtn, poll("ven-2"), print_=print_of("a"))).status == 200
        assert (await post(vtn, poll("ven-1"), basic(), print_=print_of("a"))).status == 200
        with pytest.raises(LocalProtocolError, match="logs in as 'meter' already"):
            await vtn.set_identity("ven-2", "basic", user="meter", password="x")
        with pytest.raises(LocalProtocolError, match="no VEN"):
            await vtn.set_identity("ven-3", "none")


async def test_it_registers_by_its_login_and_keeps_it() -> None:
    async with running(enrolment="allow-list") as vtn:
        await with_login(vtn)
        made = decode((await post(vtn, create(ven_name="site"), basic(), print_=print_of("b"))).text.encode()).message
        assert (made["ven_id"], made["response"].response_code) == ("ven-1", "200")
        [ven] = vtn.vens
        assert (ven.ven_name, ven.identity, ven.login, ven.fingerprint) == ("site", "basic", "meter", None)
        assert (await post(vtn, create(ven_name="site"))).status == 401  # its name is not enough
        assert (await post(vtn, create(ven_id="ven-1"), print_=print_of("b"))).status == 401
        assert (await post(vtn, create(ven_id="ven-9"), basic())).code == "452"
        query = decode((await post(vtn, wire.OadrQueryRegistration(request_id="q"), basic())).text.encode()).message
        assert query["registration_id"] == vtn.vens[0].registration_id is not None


async def test_a_handler_cannot_give_away_a_ven_that_logs_in() -> None:
    async with running(enrolment="open", on_create_party_registration=lambda message: ("ven-1", None)) as vtn:
        await with_login(vtn)
        assert (await post(vtn, create(ven_name="thief"), print_=print_of("a"))).code == "463"
        assert (await post(vtn, create(ven_name="site"), basic())).code == "200"


async def test_a_new_password_counts_at_once_and_a_change_back_too() -> None:
    async with running() as vtn:
        await with_login(vtn)
        assert (await post(vtn, poll(), basic())).status == 200
        await vtn.set_identity("ven-1", "basic", user="meter", password="another")
        assert (await post(vtn, poll(), basic())).status == 401
        assert (await post(vtn, poll(), basic(password="another"))).status == 200
        await vtn.set_identity("ven-1", "certificate")
        assert (await post(vtn, poll(), basic())).code == "463"  # the header is not looked at
        await vtn.add_fingerprint("ven-1", print_of("a"))
        assert (await post(vtn, poll(), print_=print_of("a"))).status == 200
        assert [(ven.login, ven.password_digest) for ven in vtn.vens] == [(None, None)]


async def test_a_login_in_the_clear_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async with running(proxy=BEHIND) as vtn:
        await with_login(vtn)
        assert (await post(vtn, poll(), basic(), client="10.0.0.1", scheme="http")).status == 200
    async with running(insecure=True, host="0.0.0.0") as vtn:
        await with_login(vtn)
        refused = await post(vtn, poll(), basic(), scheme="http")
        assert (refused.status, "in the clear" in refused.text) == (403, True)
        assert (await post(vtn, poll(), basic(), scheme="http", client="127.0.0.1")).status == 200
    assert LOGIN[1] not in caplog.text
    assert basic() not in caplog.text


async def test_who_tries_too_many_passwords_waits_and_the_others_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyopenadr.vtn.login._fits", lambda password, kept: password == LOGIN[1].encode())
    async with running() as vtn:
        await with_login(vtn)
        assert (await post(vtn, poll(), basic())).status == 200
        found = [(await post(vtn, poll(), basic(password=str(number)))).status for number in range(25)]
        assert found == [401] * 20 + [429] * 5
        late = await post(vtn, poll(), basic(password="x"))
        assert int(late.headers["retry-after"]) > 0
        assert (await post(vtn, poll(), basic())).status == 200  # it was right before
        assert (await post(vtn, poll(), basic(password="x"), client="192.0.2.10")).status == 401


async def test_scrypt_is_paid_once_for_a_header(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []

    def fits(password: bytes, kept: str) -> bool:
        seen.append(password)
        return password == LOGIN[1].encode()

    monkeypatch.setattr("pyopenadr.vtn.login._fits", fits)
    async with running() as vtn:
        await with_login(vtn)
        logins = Logins(vtn.service)
        for _ in range(3):
            assert await logins.ven_of(basic().encode(), "192.0.2.9") == "ven-1"
        assert seen == [LOGIN[1].encode()]


async def test_one_without_certificate_needs_that_said_of_it(caplog: pytest.LogCaptureFixture) -> None:
    """Over TLS a name is enough for nobody, unless the operator says so (issue: only by explicit setting per VEN)."""
    async with running(enrolment="open") as vtn:
        await vtn.add_ven("ven-1", ven_name="old box")
        refused = [await post(vtn, poll()), await post(vtn, create(ven_name="old box")), await post(vtn, create())]
        assert [each.code for each in refused] == ["463"] * 3
        await vtn.set_identity("ven-1", "none")
        assert "INSECURE: VEN ven-1 needs no certificate and no password" in caplog.text
        made = decode((await post(vtn, create(ven_name="old box"))).text.encode()).message
        assert made["ven_id"] == "ven-1"
        assert (await post(vtn, poll())).status == 200
        await vtn.add_ven("ven-2")
        assert (await post(vtn, poll("ven-2"))).code == "463"


async def test_the_setting_outlives_a_restart_with_a_warning(tmp_path: Any, caplog: pytest.LogCaptureFixture) -> None:
    store = store_at("sqlite", tmp_path)
    vtn = server(store)
    await with_login(vtn)
    await vtn.add_ven("ven-2")
    await vtn.set_identity("ven-2", "none")
    caplog.clear()
    later = await again(vtn, store)
    await later.start()
    assert "INSECURE: the name is enough to speak for VEN ven-2" in caplog.text
    assert [(await post(later, poll("ven-2"))).status, (await post(later, poll(), basic())).status] == [200, 200]
    assert (await post(later, poll())).status == 401
    await later.stop()


async def test_a_20a_ven_logs_in_too() -> None:
    async with running(enrolment="allow-list") as vtn:
        await vtn.add_ven("ven-1", profile="2.0a")
        await vtn.set_identity("ven-1", "basic", user="meter", password=LOGIN[1])
        ask = wire.OadrRequestEvent(request_id="q", ven_id="ven-1")
        assert (await post(vtn, ask, profile="2.0a")).status == 401
        reply = await post(vtn, ask, basic(), profile="2.0a")
        assert (reply.status, "oadrDistributeEvent" in reply.text) == (200, True)


async def test_a_laboratory_without_tls_is_as_before() -> None:
    async with running() as vtn:
        ven = SecureVen(vtn)
        await ven.join()
        assert await ven.is_idle()


@pytest.mark.parametrize(
    ("identity", "user", "password", "said"),
    [
        ("digest", None, None, "may be certificate, basic, none"),
        ("basic", None, "x", "user is missing"),
        ("basic", "u", "", "password is missing"),
        ("basic", "u:v", "x", "without colon"),
        ("basic", "u", "x\n", "printable"),
        ("none", "u", None, "not for 'none'"),
        ("certificate", None, "x", "not for 'certificate'"),
    ],
)
def test_what_an_identity_needs(identity: str, user: str | None, password: str | None, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_identity(identity, user, password)


def test_the_same_password_is_never_kept_alike() -> None:
    first, second = digest_of("x"), digest_of("x")
    assert first != second
    assert first.startswith("scrypt:16384:8:")


# --- over real connections ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki.make(tmp_path_factory.mktemp("pki"))


async def test_the_client_logs_in_over_http_on_this_machine() -> None:
    async with OpenADRServer("vtn", port=0, enrolment="allow-list") as vtn:
        await with_login(vtn)
        async with OpenADRClient("site", vtn.url, basic=LOGIN) as ven:
            await ven.create_party_registration()
            assert ven.ven_id == "ven-1"
            assert (await ven.poll())[0] == "oadrRegisterReport"
        async with OpenADRClient("site", vtn.url, basic=("meter", "wrong")) as ven:
            with pytest.raises(TransportError, match=r"HTTP 401; the VTN.*user and a password"):
                await ven.create_party_registration()


async def test_the_client_logs_in_over_tls_without_a_certificate(pki: Pki) -> None:
    tls = ServerTls(certificates=pki.vtn, ca_file=pki.ca_file, client_certificate_required=False)
    async with OpenADRServer("vtn", port=0, tls=tls, enrolment="open") as vtn:
        await with_login(vtn)
        url = vtn.url.replace("127.0.0.1", "localhost")
        async with OpenADRClient("site", url, ca_file=pki.ca_file, basic=LOGIN) as ven:
            await ven.create_party_registration()
            await vtn.add_event(start=datetime.now(UTC) + timedelta(hours=1), intervals=[(timedelta(hours=1), 2)])
            assert [(await ven.poll())[0] for _ in range(2)] == ["oadrRegisterReport", "oadrDistributeEvent"]
        async with OpenADRClient("bare", url, ca_file=pki.ca_file) as ven:
            with pytest.raises(PeerRefused, match="shows no certificate"):
                await ven.create_party_registration()


@pytest.mark.parametrize("login", [("u", ""), ("", "p"), ("u:v", "p"), ("u", "p\n")])
def test_a_login_that_is_none_is_told_at_once(login: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match="basic") as error:
        HttpTransport(basic=login)
    assert "p\n" not in str(error.value)


async def test_the_client_sends_no_login_in_the_clear() -> None:
    with pytest.raises(ConfigError, match="https only"):
        OpenADRClient("site", "http://vtn.example.com", basic=LOGIN)
    with pytest.raises(ConfigError, match="https only"):
        VenFleet(basic=LOGIN).add("site", "http://vtn.example.com")
    with pytest.raises(ConfigError, match="https only"):
        await HttpTransport(basic=LOGIN).post("http://vtn.example.com/x", b"")
    assert OpenADRClient("site", "https://vtn.example.com", basic=LOGIN).ven_name == "site"


def test_a_ven_without_code_has_a_login(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTN_PASSWORD", "s3cret")
    file = tmp_path / "ven.yaml"
    text = "vtn: {{url: '{}', user: meter{}}}\nven: {{name: site}}\n"
    file.write_text(text.format("https://vtn.example.com", ", password: '${env:VTN_PASSWORD}'"))
    assert read_plan(file).vtn.basic == LOGIN
    file.write_text(text.format("https://vtn.example.com", ""))
    with pytest.raises(ConfigError, match="go together"):
        read_plan(file)
    file.write_text(text.format("http://vtn.example.com", ", password: x"))
    with pytest.raises(ConfigError, match="https only"):
        read_plan(file)
