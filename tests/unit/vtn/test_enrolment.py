"""Who may come in: the inbox, the list, certificates bound one to one, changed, refused and expiring."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import ConfigError, LocalProtocolError
from pyopenadr.store import MemoryStore, Store
from pyopenadr.store.ledger import Notice
from pyopenadr.store.port import Admission
from pyopenadr.transport.tls import ServerTls
from pyopenadr.v2 import wire
from pyopenadr.vtn.enrolment import fingerprint_text
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.vtn.party import SecureVen, print_of
from tests.unit.vtn.sample import MINUTE, NOW, Ven, again, clock_of, event, ids, running, server

DAY = timedelta(days=1)
KNOCKING: dict[str, Any] = {"enrolment": "knocking"}
LISTED: dict[str, Any] = {"enrolment": "allow-list"}


async def code_of(ven: Ven, name: str | None = "ven", **fields: Any) -> str:
    """The code that a VEN gets when it registers."""
    return (await ven.register(name, **fields)).response.response_code


async def polls(ven: Ven) -> str:
    """The code that a VEN gets when it polls."""
    reply = await ven.poll(wire.Message)
    return str(reply["response"].response_code) if isinstance(reply, wire.OadrResponse) else "200"


def names(vtn: OpenADRServer) -> list[str | None]:
    return [ven.ven_name for ven in vtn.vens]


# --- which mode ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({}, "200"),
        ({"host": "localhost"}, "200"),
        ({"host": "0.0.0.0", "insecure": True}, "463"),
        ({"tls": ServerTls(certificates=[("a", "b")], ca_file="c")}, "463"),
        ({"tls": ServerTls(certificates=[("a", "b")], ca_file="c"), "enrolment": "open"}, "200"),
        ({"enrolment": "knocking"}, "463"),
    ],
)
async def test_only_a_laboratory_is_open_by_default(settings: dict[str, Any], code: str) -> None:
    async with running(**settings) as vtn:
        assert await code_of(SecureVen(vtn, shows="a")) == code


def test_a_wrong_mode_is_said_at_once() -> None:
    with pytest.raises(ConfigError, match="open, knocking, allow-list"):
        server(enrolment="shut")


# --- knocking -----------------------------------------------------------------------------------------------------


async def test_who_knocks_waits_until_it_is_accepted(store: Store | str) -> None:
    vtn = server(store, **KNOCKING)
    ven = SecureVen(vtn, shows="a")
    assert await code_of(ven, "site") == "463"
    assert vtn.vens == []
    vtn = await again(vtn, store, **KNOCKING)
    ven.vtn = vtn
    [knock] = await vtn.knocks()
    assert (knock.fingerprint, knock.common_name, knock.ven_name) == (print_of("a"), "a", "site")
    assert (knock.address, knock.times, knock.first_at) == ("192.0.2.1:5", 1, NOW)
    await vtn.accept(knock)
    assert await vtn.knocks() == []
    assert await code_of(ven, "site") == "200"
    assert [admission.ven_id for admission in await vtn.allowed()] == [ven.ven_id]
    await ven.take_offer()
    assert await polls(ven) == "200"
    assert await code_of(ven, "site") == "200"  # registering again asks nobody
    await vtn.stop()


async def test_a_query_is_answered_before_anybody_is_accepted() -> None:
    async with running(**KNOCKING) as vtn:
        query = wire.OadrQueryRegistration(request_id="x")
        reply = await SecureVen(vtn, shows="a").send("EiRegisterParty", query, wire.OadrCreatedPartyRegistration)
        assert (reply.response.response_code, reply.ven_id) == ("200", None)
        assert await vtn.knocks() == []


async def test_a_knock_repeated_is_one_and_noted_once_a_minute() -> None:
    async with running(**KNOCKING) as vtn:
        ven = SecureVen(vtn, shows="a")
        for _ in range(3):
            await code_of(ven)
        assert [knock.times for knock in await vtn.knocks()] == [1]
        await clock_of(vtn).advance(61)
        await code_of(ven, "new name")
        [knock] = await vtn.knocks()
        assert (knock.times, knock.ven_name, knock.last_at - knock.first_at) == (
            2,
            "new name",
            MINUTE + timedelta(0, 1),
        )


async def test_who_is_rejected_is_told_and_stays_out_until_accepted() -> None:
    async with running(**KNOCKING) as vtn:
        ven = SecureVen(vtn, shows="a")
        await code_of(ven)
        [knock] = await vtn.knocks()
        await vtn.reject(knock)
        reply = await ven.register()
        assert "refused" in (reply.response.response_description or "")
        assert await vtn.knocks() == []
        assert [each.key for each in await vtn.knocks(rejected=True)] == [knock.key]
        await vtn.accept(knock.key)
        assert await code_of(ven) == "200"


async def test_a_forgotten_knock_may_come_again() -> None:
    async with running(**KNOCKING) as vtn:
        ven = SecureVen(vtn, shows="a")
        await code_of(ven)
        assert await vtn.forget_knock((await vtn.knocks())[0])
        assert not await vtn.forget_knock("nobody")
        await code_of(ven)
        assert len(await vtn.knocks()) == 1


async def test_without_a_certificate_the_name_knocks() -> None:
    async with running(**KNOCKING) as vtn:
        one, two = Ven(vtn), Ven(vtn)
        assert [await code_of(one, "one"), await code_of(two, "two")] == ["463", "463"]
        assert [knock.key for knock in await vtn.knocks()] == ["name one", "name two"]
        await vtn.accept("name one", ven_id="mine")
        assert [await code_of(one, "one"), await code_of(two, "two")] == ["200", "463"]
        assert one.ven_id == "mine"


async def test_the_inbox_is_not_endless(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("pyopenadr.vtn.enrolment.MOST_KNOCKS", 2)
    async with running(**KNOCKING) as vtn:
        for name in "abc":
            assert await code_of(Ven(vtn), name) == "463"
        assert len(await vtn.knocks()) == 2
        assert "2 wait already" in caplog.text


async def test_nobody_unknown_is_let_in_by_another_message() -> None:
    async with running(**KNOCKING) as vtn:
        ven = SecureVen(vtn, shows="a", ven_id="b")
        assert await polls(ven) == "463"
        assert await vtn.knocks() == []


async def test_a_2_0a_ven_knocks_too() -> None:
    async with running(**KNOCKING) as vtn:
        ven = SecureVen(vtn, shows="a", ven_id="old")
        message = wire.OadrRequestEvent(request_id="q", ven_id="old")
        reply = await ven.send("EiEvent", message, wire.OadrDistributeEvent, "2.0a")
        assert reply.response is not None
        assert reply.response.response_code == "463"
        [knock] = await vtn.knocks()
        assert (knock.ven_id, knock.profile) == ("old", "2.0a")
        await vtn.accept(knock)
        reply = await ven.send("EiEvent", message, wire.OadrDistributeEvent, "2.0a")
        assert reply.response is not None
        assert reply.response.response_code == "200"
        assert [(each.ven_id, each.fingerprint) for each in vtn.vens] == [("old", print_of("a"))]
        thief = SecureVen(vtn, shows="b", ven_id="old")
        reply = await thief.send("EiEvent", message, wire.OadrDistributeEvent, "2.0a")
        assert reply.response is not None
        assert reply.response.response_code == "463"


async def test_the_operators_answers_need_a_knock() -> None:
    async with running(**KNOCKING) as vtn:
        for answer in (vtn.accept, vtn.reject):
            with pytest.raises(LocalProtocolError, match="nobody has knocked as 'x'"):
                await answer("x")


async def test_an_id_that_a_knock_claims_is_not_taken_from_a_ven_that_has_it() -> None:
    async with running(**KNOCKING) as vtn:
        honest, thief = SecureVen(vtn, shows="a"), SecureVen(vtn, shows="b")
        await vtn.allow(common_name="a")
        await code_of(honest, "honest")
        assert await code_of(thief, "thief", ven_id=honest.ven_id) == "463"
        assert await vtn.knocks() == []
        await code_of(thief, "thief")
        assert (await vtn.accept((await vtn.knocks())[0])).ven_id is None


# --- the list -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "name", "code"),
    [
        ({"fingerprint": print_of("a")}, "any", "200"),
        ({"fingerprint": print_of("a").replace(":", "").lower()}, "any", "200"),
        ({"fingerprint": print_of("b")}, "any", "463"),
        ({"common_name": "A"}, "any", "200"),
        ({"common_name": "b"}, "any", "463"),
        ({"ven_name": "site"}, "site", "200"),
        ({"ven_name": "site"}, "Site", "463"),
        ({"fingerprint": print_of("a"), "ven_name": "site"}, "site", "200"),
        ({"fingerprint": print_of("a"), "ven_name": "site"}, "other", "463"),
        ({"common_name": "b", "ven_name": "site"}, "site", "463"),
    ],
)
async def test_the_list_lets_in_those_to_whom_all_of_it_applies(entry: dict[str, str], name: str, code: str) -> None:
    async with running(**LISTED) as vtn:
        await vtn.allow(**entry)
        assert await code_of(SecureVen(vtn, shows="a"), name) == code
        assert await vtn.knocks() == []


async def test_the_list_may_choose_the_id_and_another_is_refused() -> None:
    async with running(**LISTED) as vtn:
        await vtn.allow(common_name="a", ven_id="ven-7")
        ven = SecureVen(vtn, shows="a")
        assert await code_of(ven, ven_id="ven-8") == "452"
        assert await code_of(ven) == "200"
        assert ven.ven_id == "ven-7"


async def test_a_ven_may_be_listed_by_the_id_that_it_brings() -> None:
    async with running(**LISTED) as vtn:
        await vtn.allow(ven_id="mine")
        assert await code_of(SecureVen(vtn, shows="a"), ven_id="other") == "463"
        assert await code_of(SecureVen(vtn, shows="a"), ven_id="mine") == "200"


async def test_a_name_on_the_list_is_for_the_first_certificate_that_comes_with_it() -> None:
    async with running(**LISTED) as vtn:
        await vtn.allow(ven_name="site")
        first, second = SecureVen(vtn, shows="a"), SecureVen(vtn, shows="b")
        assert [await code_of(first, "site"), await code_of(second, "site")] == ["200", "463"]
        assert await code_of(first, "site") == "200"


async def test_a_common_name_on_the_list_is_for_renewed_certificates_too() -> None:
    """The authority vouches for the name; two certificates stay valid, the older one makes room for a third."""
    async with running(**LISTED) as vtn:
        await vtn.allow(common_name="device")
        ven = SecureVen(vtn, shows="a")
        prints = ["AA", "BB", "CC"]
        peers = [msgspec.structs.replace(ven.peer, fingerprint=each, common_name="Device") for each in prints]
        ven.peer = peers[0]
        assert await code_of(ven) == "200"
        await ven.take_offer()
        for peer in peers[1:]:
            ven.peer = peer
            assert await polls(ven) == "200"
        assert [each.fingerprints for each in vtn.vens] == [("BB", "CC")]
        ven.peer = msgspec.structs.replace(peers[0], common_name="somebody else")
        assert await polls(ven) == "463"


async def test_who_is_taken_off_the_list_does_not_come_in() -> None:
    async with running(**LISTED) as vtn:
        admission = await vtn.allow(common_name="a")
        assert await vtn.disallow(admission)
        assert not await vtn.disallow(admission)
        assert await code_of(SecureVen(vtn, shows="a")) == "463"


async def test_the_list_comes_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "vens.csv"
    path.write_text(f"ven_name, fingerprint,ven_id\nsite 1,{print_of('a')},ven-1\n\nsite 2,,\n", "utf-8-sig")
    async with running(**LISTED) as vtn:
        assert await vtn.allow_file(path) == 2
        assert await vtn.allow_file(path) == 2
        assert await vtn.allowed() == [
            Admission(fingerprint=print_of("a"), ven_name="site 1", ven_id="ven-1"),
            Admission(ven_name="site 2"),
        ]
        ven = SecureVen(vtn, shows="a")
        assert [await code_of(ven, "site 1"), ven.ven_id] == ["200", "ven-1"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "first line must name columns"),
        ("name\nx\n", "first line must name columns"),
        ("ven_name\na\nb,c\n", "line 3: there are more values than columns"),
        ("fingerprint\nAA\n", "line 2: 'AA' is no fingerprint"),
        ("ven_name,ven_id\n,\n", "line 2: say who may register"),
        ("ven_name\na\nb\na\n", "line 4: ven-name a stands in line 2 already"),
        ("ven_name\n\udcff\n", "no CSV in UTF-8"),
        (None, "can't be read"),
    ],
)
async def test_a_wrong_file_puts_nobody_on_the_list(tmp_path: Path, text: str | None, error: str) -> None:
    path = tmp_path / "vens.csv"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    async with running() as vtn:
        with pytest.raises(ConfigError, match=error):
            await vtn.allow_file(path)
        assert await vtn.allowed() == []


@pytest.mark.parametrize("text", ["", "AA", "x" * 20, "AA:" * 9 + "A"])
def test_what_is_no_fingerprint_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="no fingerprint"):
        fingerprint_text(text)


async def test_allowing_nobody_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="say who may register"):
        await server().allow()


# --- one VEN, one certificate --------------------------------------------------------------------------------------


async def test_a_second_name_does_not_take_over_the_ven_of_a_certificate() -> None:
    async with running() as vtn:
        ven = SecureVen(vtn, shows="a")
        await ven.register("first")
        await vtn.add_event(event())
        second = SecureVen(vtn, shows="a")
        reply = await second.register("second")
        assert reply.response.response_code == "463"
        assert "the certificate is that of VEN 'first'" in (reply.response.response_description or "")
        assert names(vtn) == ["first"]
        await ven.take_offer()
        assert ids(await ven.poll(wire.OadrDistributeEvent)) == ["e1"]


async def test_a_ven_may_change_its_name_with_its_ids_or_after_its_registration_has_ended() -> None:
    async with running() as vtn:
        ven = SecureVen(vtn, shows="a")
        await ven.register("first")
        assert await code_of(ven, "second", ven_id=ven.ven_id, registration_id=ven.registration_id) == "200"
        assert await code_of(ven, "third", ven_id=ven.ven_id) == "200"
        cancel = wire.OadrCancelPartyRegistration(
            request_id="c", registration_id=ven.registration_id, ven_id=ven.ven_id
        )
        await ven.send("EiRegisterParty", cancel, wire.OadrCanceledPartyRegistration)
        assert await code_of(ven, "fourth") == "200"
        assert names(vtn) == ["fourth"]


async def test_ids_and_certificate_go_together() -> None:
    async with running() as vtn:
        ven, other = SecureVen(vtn, shows="a"), SecureVen(vtn, shows="b")
        await ven.register("one")
        await other.register("two")
        stranger, bare = SecureVen(vtn, shows="c"), Ven(vtn)
        for who, ven_id, code in [
            (other, ven.ven_id, "463"),  # another VEN
            (other, "nobody", "452"),  # a registered one with a wrong ID
            (stranger, ven.ven_id, "463"),  # a certificate that nobody knows
            (stranger, "nobody", "463"),
            (bare, ven.ven_id, "463"),  # no certificate at all
        ]:
            who.ven_id = ven_id
            assert await polls(who) == code, (who, ven_id)
            assert await code_of(who, None, ven_id=ven_id) == (
                "200" if who is stranger and ven_id == "nobody" else code
            )
        assert sorted(names(vtn), key=str) == [None, "one", "two"]


async def test_a_registration_id_is_of_no_use_to_somebody_else() -> None:
    async with running() as vtn:
        ven, thief = SecureVen(vtn, shows="a"), SecureVen(vtn, shows="b")
        await ven.register("one")
        cancel = wire.OadrCancelPartyRegistration(request_id="c", registration_id=ven.registration_id)
        reply = await thief.send("EiRegisterParty", cancel, wire.OadrCanceledPartyRegistration)
        assert reply.response.response_code == "463"
        assert await code_of(thief, "one", registration_id=ven.registration_id) == "463"
        assert [each.registration_id for each in vtn.vens] == [ven.registration_id]
        reply = await ven.send("EiRegisterParty", cancel, wire.OadrCanceledPartyRegistration)
        assert reply.response.response_code == "200"


async def test_a_ven_that_was_added_is_bound_to_the_first_certificate_that_may_come_in() -> None:
    async with running() as vtn:
        await vtn.add_ven("mine")
        ven, thief = SecureVen(vtn, shows="a", ven_id="mine"), SecureVen(vtn, shows="b", ven_id="mine")
        assert [await polls(ven), await polls(thief)] == ["200", "463"]
        assert [each.fingerprint for each in vtn.vens] == [print_of("a")]
    async with running(**KNOCKING) as vtn:
        await vtn.add_ven("mine")
        ven.vtn = vtn
        assert await polls(ven) == "463"
        [knock] = await vtn.knocks()
        assert (knock.ven_id, knock.fingerprint) == ("mine", print_of("a"))
        await vtn.accept(knock)
        assert await polls(ven) == "200"
        assert [each.fingerprint for each in vtn.vens] == [print_of("a")]


async def test_a_handler_can_not_give_one_certificate_to_two_vens(caplog: pytest.LogCaptureFixture) -> None:
    chosen = ["one", "two", "one"]
    async with running(on_create_party_registration=lambda payload: (chosen.pop(0), None)) as vtn:
        assert await code_of(SecureVen(vtn, shows="a")) == "200"
        assert await code_of(SecureVen(vtn, shows="a")) == "463"
        assert await code_of(SecureVen(vtn, shows="b")) == "463"
        assert [each.ven_id for each in vtn.vens] == ["one"]


# --- changing certificates ------------------------------------------------------------------------------------------


async def test_a_ven_has_two_certificates_while_it_changes_them(store: Store | str) -> None:
    vtn = server(store)
    ven, new = SecureVen(vtn, shows="a"), SecureVen(vtn, shows="b")
    await ven.register("site")
    new.ven_id = ven.ven_id
    await ven.take_offer()
    assert await polls(new) == "463"
    await vtn.add_fingerprint(ven.ven_id, print_of("b"))
    await vtn.add_fingerprint(ven.ven_id, print_of("b").replace(":", "").lower())
    assert [await polls(ven), await polls(new)] == ["200", "200"]
    with pytest.raises(LocalProtocolError, match="two certificates already"):
        await vtn.add_fingerprint(ven.ven_id, print_of("c"))
    vtn = await again(vtn, store)
    ven.vtn = new.vtn = vtn
    assert [await polls(ven), await polls(new)] == ["200", "200"]
    assert await code_of(new, "site") == "200"
    assert vtn.vens[0].fingerprints == (print_of("a"), print_of("b"))
    await vtn.remove_fingerprint(ven.ven_id, print_of("a"))
    assert [await polls(ven), await polls(new)] == ["463", "200"]
    assert vtn.vens[0].fingerprint == print_of("b")
    await vtn.stop()


async def test_an_operator_can_not_bind_what_does_not_fit() -> None:
    async with running() as vtn:
        one, two = SecureVen(vtn, shows="a"), SecureVen(vtn, shows="b")
        await one.register("one")
        await two.register("two")
        with pytest.raises(LocalProtocolError, match="is that of VEN"):
            await vtn.add_fingerprint(one.ven_id, print_of("b"))
        with pytest.raises(LocalProtocolError, match="no VEN 'x'"):
            await vtn.add_fingerprint("x", print_of("c"))
        with pytest.raises(LocalProtocolError, match="no certificate of VEN"):
            await vtn.remove_fingerprint(one.ven_id, print_of("b"))
        with pytest.raises(ConfigError, match="no fingerprint"):
            await vtn.add_fingerprint(one.ven_id, "?")


async def test_accepting_a_knock_for_a_known_ven_lets_it_change_its_certificate() -> None:
    async with running(**KNOCKING) as vtn:
        await vtn.allow(common_name="a", ven_id="mine")
        old, new = SecureVen(vtn, shows="a"), SecureVen(vtn, shows="b")
        await old.register("site")
        assert await code_of(new, "site") == "463"
        await vtn.accept((await vtn.knocks())[0], ven_id="mine")
        assert await code_of(new, "site") == "200"
        assert new.ven_id == "mine"
        assert vtn.vens[0].fingerprints == (print_of("a"), print_of("b"))


# --- expiring ---------------------------------------------------------------------------------------------------------


def ending(ven: SecureVen, end: datetime) -> SecureVen:
    ven.peer = msgspec.structs.replace(ven.peer, not_after=end)
    return ven


async def test_an_expiring_certificate_is_told_once_a_day(caplog: pytest.LogCaptureFixture) -> None:
    """Also where two processes work on one store, of which both have met the VEN."""
    told: list[tuple[str, datetime]] = []
    store, clock = MemoryStore(), _Wall(NOW)
    settings: dict[str, Any] = {"clock": clock, "on_certificate_expiring": lambda *arguments: told.append(arguments)}
    soon, later = NOW + 20 * DAY, NOW + 40 * DAY
    vtn, other = server(store, **settings), server(store, **settings)
    first, second = ending(SecureVen(vtn, shows="a"), soon), ending(SecureVen(vtn, shows="b"), later)
    await first.register("one")
    await second.register("two")
    await other.start()
    notices: list[Notice] = []
    for each in (vtn, other):
        each.service.notices.listen(notices.append)
        for ven in (first, second):
            each._expiry.met(ven.peer)
    for days, expected in ((0, [soon]), (0.1, [soon]), (1, [soon] * 2), (11, [soon] * 3 + [later]), (21, [later])):
        clock.at = NOW + days * DAY
        for each in (vtn, other, vtn):
            await each._expiry.look()
        assert [end for _, end in told[-len(expected) :]] == expected
    assert len(told) == 5
    assert "expires at" in caplog.text
    said = [notice for notice in notices if notice.kind == "certificate-expiring"]
    assert [notice.data["not_after"] for notice in said] == [end.isoformat() for _, end in told]
    assert {(notice.ven_id, notice.data["fingerprint"]) for notice in said[:1]} == {(first.ven_id, print_of("a"))}
    await vtn.stop()
    await other.stop()


class _Wall(FakeClock):
    """A clock that only says the time."""

    def __init__(self, at: datetime) -> None:
        super().__init__(at)
        self.at = at

    def now(self) -> datetime:
        return self.at


async def test_a_certificate_that_is_nobodys_or_has_expired_is_not_told() -> None:
    told: list[Any] = []
    async with running(on_certificate_expiring=lambda *arguments: told.append(arguments)) as vtn:
        vtn._expiry.met(ending(SecureVen(vtn, shows="a"), NOW + DAY).peer)
        ven = ending(SecureVen(vtn, shows="b"), NOW - timedelta(seconds=1))
        await ven.register()
        vtn._expiry.met(ven.peer)
        await vtn._expiry.look()
        assert told == []
