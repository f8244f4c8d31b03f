"""Who gets in: tokens and roles, and what is there for everybody."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pyopenadr import ApiSettings, OpenADRServer
from pyopenadr.errors import ConfigError, StoreError
from pyopenadr.store import MemoryStore
from tests.rest.conftest import Client
from tests.unit.vtn.sample import Broken, Ven, clock_of, server

EVENT = {"start": "2030-06-02T10:00:00Z", "intervals": [{"duration": "PT1H", "value": 1}]}
Connect = Callable[..., Any]


async def test_without_being_asked_for_there_is_no_api(connect: Connect) -> None:
    async with server() as plain:
        assert plain.api_url is None
        client = await connect(None)
        client.url = plain.url
        for path in ("/api/health", "/api/docs", "/metrics", "/api"):
            assert (await client.get(path)).status == 404
        assert [(await client.get(path)).body for path in ("/healthz", "/readyz")] == [b"alive\n", b"ready\n"]


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Bearer poa_", "Bearer poa__"])
async def test_without_a_token_nobody_gets_in(connect: Connect, header: str | None) -> None:
    client = await connect(None)
    headers = {"Authorization": header} if header is not None else {}
    for path in ("/api/health", "/api/events", "/api/nothing", "/api/changes/stream", "/metrics"):
        reply = await client.get(path, headers=headers)
        assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert reply.headers["content-type"] == "application/problem+json"
    assert (await client.post("/api/events", EVENT, headers=headers)).status == 401


async def test_a_token_is_kept_as_a_digest_only(vtn: OpenADRServer) -> None:
    text = await vtn.create_token("me", "viewer")
    _, token_id, secret = text.split("_", 2)
    [kept] = await vtn.service.store.list_tokens()
    assert kept.token_id == token_id
    assert kept.digest == hashlib.sha256(secret.encode()).hexdigest()
    assert secret not in repr(kept)


async def test_a_changed_secret_is_refused(vtn: OpenADRServer, connect: Connect) -> None:
    text = await vtn.create_token("me")
    assert (await (await connect(None, text)).get("/api/whoami")).status == 200
    for wrong in (text[:-1], text + "a", text.replace("_", "-")):
        assert (await (await connect(None, wrong)).get("/api/whoami")).status == 401


async def test_a_revoked_and_an_expired_token_are_refused(vtn: OpenADRServer, api: Client, connect: Connect) -> None:
    text = await vtn.create_token("short", "viewer", expires_at=vtn.clock.now() + timedelta(hours=1))
    client = await connect(None, text)
    assert (await client.get("/api/whoami")).json["role"] == "viewer"
    await clock_of(vtn).advance(timedelta(hours=1))
    assert (await client.get("/api/whoami")).status == 401
    made = (await api.post("/api/tokens", {"name": "other", "role": "viewer"})).json
    other = await connect(None, made["text"])
    assert (await other.get("/api/whoami")).status == 200
    assert (await api.ask("DELETE", f"/api/tokens/{made['token']['token_id']}")).status == 204
    assert (await other.get("/api/whoami")).status == 401
    listed = {one["name"]: one for one in (await api.get("/api/tokens")).json["items"]}
    assert listed["other"]["revoked_at"] is not None
    assert "digest" not in listed["other"]
    assert (await api.ask("DELETE", "/api/tokens/nobody")).status == 404


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        ("viewer", "GET", "/api/events", 200),
        ("viewer", "GET", "/api/audit", 200),
        ("viewer", "POST", "/api/events", 403),
        ("viewer", "POST", "/api/vens", 403),
        ("viewer", "GET", "/api/tokens", 403),
        ("viewer", "DELETE", "/api/vens/v", 403),
        ("enrolment", "GET", "/api/vens", 200),
        ("enrolment", "POST", "/api/vens", 201),
        ("enrolment", "GET", "/api/events", 403),
        ("enrolment", "POST", "/api/events", 403),
        ("enrolment", "GET", "/api/tokens", 403),
        ("enrolment", "GET", "/api/audit", 403),
        ("operator", "GET", "/api/tokens", 200),
        ("operator", "POST", "/api/events", 201),
    ],
)
async def test_roles(connect: Connect, role: str, method: str, path: str, status: int) -> None:
    body = {"/api/events": EVENT, "/api/vens": {"ven_id": "v"}}.get(path) if method == "POST" else None
    client = await connect(role)
    assert (await client.ask(method, path, **({"json": body} if body else {}))).status == status


async def test_who_made_what_is_written_down(vtn: OpenADRServer, api: Client, connect: Connect) -> None:
    made = (await api.post("/api/events", EVENT)).json["event"]["event_id"]
    await api.post(f"/api/events/{made}/cancel")
    await api.post("/api/vens", {"ven_id": "a/b"})
    await (await connect("viewer")).post("/api/events", EVENT)
    assert vtn._office is not None
    await vtn._office.records.flush()
    found = (await api.get("/api/audit?direction=api")).json["items"]
    assert [(line["kind"], line["status"], line["actor"]) for line in found] == [
        ("POST /api/events", "403", "a viewer"),
        ("POST /api/vens", "201", "a operator"),
        (f"POST /api/events/{made}/cancel", "200", "a operator"),
        ("POST /api/events", "201", "a operator"),
    ]
    assert len((await api.get(f"/api/audit?event_id={made}")).json["items"]) == 2
    assert len((await api.get("/api/audit?ven_id=a%2Fb")).json["items"]) == 1
    page = (await api.get("/api/audit?limit=3")).json
    rest = (await api.get(f"/api/audit?limit=3&after={page['next']}")).json
    assert (len(page["items"]), len(rest["items"]), rest["next"]) == (3, 1, None)
    assert (await api.get("/api/audit?after=x")).status == 422


async def test_the_description_needs_no_token_and_nothing_from_elsewhere(connect: Connect) -> None:
    client = await connect(None)
    document = (await client.get("/api/openapi.json")).json
    assert document["openapi"].startswith("3.1")
    assert {"/api/vens", "/api/events", "/api/changes/stream"} <= set(document["paths"])
    page = await client.get("/api/docs")
    assert b"http://" not in page.body
    assert b"https://" not in page.body
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_the_api_on_a_port_of_its_own(connect: Connect) -> None:
    vtn = server(api=ApiSettings(port=0))
    async with vtn:
        client = await connect(None, await vtn.create_token("me"))
        assert vtn.api_url is not None
        client.url = vtn.url
        assert (await client.get("/api/health")).status == 404
        client.url = vtn.api_url.removesuffix("/api")
        assert client.url != vtn.url
        assert (await client.get("/api/health")).json["vtn_id"] == "vtn"
        ven = await Ven(vtn).join()
        assert await ven.is_idle()


async def test_ready_means_that_the_store_works(connect: Connect) -> None:
    store = Broken(MemoryStore())
    async with server(store, api=True) as vtn:
        client = await connect(None, await vtn.create_token("me"))
        client.url = vtn.url
        assert (await client.get("/readyz")).status == 200
        store.fails = dict.fromkeys(("load_event", "load_token"), StoreError("gone"))
        assert (await client.get("/readyz")).status == 503
        assert (await client.get("/healthz")).status == 200
        reply = await client.get("/api/health")
        assert (reply.status, reply.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(
    "make",
    [lambda: ApiSettings(audit="some"), lambda: ApiSettings(audit_kept=timedelta(0))],  # type: ignore[arg-type]
)
def test_wrong_settings_are_refused(make: Callable[[], ApiSettings]) -> None:
    with pytest.raises(ConfigError):
        make()


@pytest.mark.parametrize(("name", "role"), [("me", "king"), (" ", "viewer")])
async def test_a_token_needs_a_name_and_a_role(vtn: OpenADRServer, name: str, role: str) -> None:
    with pytest.raises(ConfigError, match="token"):
        await vtn.create_token(name, role)


async def test_who_tries_tokens_is_not_listened_to_for_a_while(connect: Connect, vtn: OpenADRServer) -> None:
    good, bad = await connect("viewer"), await connect(None, "poa_x_y")
    wrong = 0
    while (await bad.get("/api/whoami")).status == 401:
        wrong += 1
    assert 20 <= wrong < 40
    reply = await good.get("/api/whoami")
    assert (reply.status, reply.headers["retry-after"], reply.json["title"]) == (429, "10", "Too many wrong tokens")
    assert (await good.get("/healthz")).status == 200


async def test_who_shows_nothing_is_told_so_each_time(connect: Connect) -> None:
    nobody = await connect(None)
    assert {(await nobody.get("/api/whoami")).status for _ in range(25)} == {401}
