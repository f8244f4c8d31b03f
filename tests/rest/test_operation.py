"""What an operator keeps by the API: the inbox, the list of those allowed, groups, resources, rules, readings."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from pyopenadr import OpenADRServer
from pyopenadr.model import ResourceStatus
from pyopenadr.store.port import Source, StoredReading
from pyopenadr.v2 import wire
from pyopenadr.vtn.identity import Peer
from pyopenadr.vtn.service import Application
from tests.rest.conftest import Client
from tests.store.sample import NOW, capability, reading
from tests.unit.vtn.sample import HOUR, Ven, metadata

PRINT = "2D:91:98:E4:E4:1D:F7:17:47:82"
OTHER = "69:AB:A3:AC:E5:B4:35:B4:A1:73"
Connect = Callable[..., Any]


async def knock(vtn: OpenADRServer, fingerprint: str | None = PRINT, name: str = "pump") -> None:
    """Somebody wants to register, and nobody knows it."""
    vtn._enrolment._mode = "knocking"
    peer = Peer(address="192.0.2.1:5", fingerprint=fingerprint, common_name="device-17" if fingerprint else None)
    with pytest.raises(Exception, match="waits until"):
        await vtn._enrolment.enrol(Application(ven_name=name, fingerprint=fingerprint), peer)


async def enrol(vtn: OpenADRServer, fingerprint: str = PRINT, name: str = "pump") -> Any:
    return await vtn._enrolment.enrol(
        Application(ven_name=name, fingerprint=fingerprint), Peer(fingerprint=fingerprint)
    )


# --- who may register -----------------------------------------------------------------------------------------------


async def test_somebody_knocks_and_is_let_in_by_who_looks_after_enrolment(vtn: OpenADRServer, connect: Connect) -> None:
    api = await connect("enrolment")
    await knock(vtn)
    await knock(vtn, None, "by name")
    first = (await api.get("/api/inbox?limit=1")).json
    rest = (await api.get("/api/inbox", params={"after": first["next"]})).json
    assert [one["key"] for one in first["items"] + rest["items"]] == [PRINT, "name by name"]
    assert (first["items"][0]["common_name"], first["items"][0]["address"]) == ("device-17", "192.0.2.1:5")
    assert (await api.get(f"/api/inbox/{PRINT}")).json["ven_name"] == "pump"
    made = await api.post(f"/api/inbox/{PRINT}/accept", {"ven_id": "v1"})
    assert (made.status, made.json["key"]) == (201, f"fingerprint {PRINT}")
    admission = await enrol(vtn)
    assert admission.ven_id == "v1"
    assert [one["key"] for one in (await api.get("/api/inbox")).json["items"]] == ["name by name"]
    assert [one["ven_id"] for one in (await api.get("/api/allow-list")).json["items"]] == ["v1"]


async def test_somebody_is_kept_out_and_may_come_in_later(vtn: OpenADRServer, api: Client) -> None:
    await knock(vtn)
    assert (await api.post(f"/api/inbox/{PRINT}/reject")).status == 204
    assert (await api.get("/api/inbox")).json["items"] == []
    assert len((await api.get("/api/inbox?rejected=true")).json["items"]) == 1
    with pytest.raises(Exception, match="has refused"):
        await enrol(vtn)
    assert (await api.post(f"/api/inbox/{PRINT}/accept", {})).status == 201
    assert await enrol(vtn) is not None
    await knock(vtn, OTHER)
    assert (await api.ask("DELETE", f"/api/inbox/{OTHER}")).status == 204
    for method, path in (("GET", ""), ("POST", "/accept"), ("POST", "/reject"), ("DELETE", "")):
        body: dict[str, Any] = {"json": {}} if path == "/accept" else {}
        assert (await api.ask(method, f"/api/inbox/{OTHER}{path}", **body)).status == 404


async def test_the_list_of_those_allowed(vtn: OpenADRServer, connect: Connect) -> None:
    api = await connect("enrolment")
    made = await api.post("/api/allow-list", {"fingerprint": PRINT.replace(":", "").lower(), "ven_id": "v1"})
    assert (made.status, made.json["fingerprint"]) == (201, PRINT)
    await api.post("/api/allow-list", {"common_name": "Device-17"})
    listed = (await api.get("/api/allow-list?limit=1")).json
    assert (listed["items"][0]["key"], listed["next"]) == ("common-name device-17", "common-name device-17")
    for body in ({}, {"fingerprint": "xyz"}):
        assert (await api.post("/api/allow-list", body)).status == 422
    assert (await api.ask("DELETE", f"/api/allow-list/fingerprint {PRINT}")).status == 204
    assert (await api.ask("DELETE", f"/api/allow-list/fingerprint {PRINT}")).status == 404


async def test_roles(connect: Connect) -> None:
    clients = {role: await connect(role) for role in ("viewer", "enrolment")}
    for role, method, path, status in (
        ("viewer", "GET", "/api/inbox", 200),
        ("viewer", "POST", "/api/inbox/x/reject", 403),
        ("viewer", "DELETE", "/api/allow-list/x", 403),
        ("enrolment", "GET", "/api/groups", 403),
        ("enrolment", "GET", "/api/readings", 403),
        ("enrolment", "DELETE", "/api/report-rules/x", 403),
        ("viewer", "GET", "/api/readings/export", 200),
        ("viewer", "DELETE", "/api/resources/x", 403),
    ):
        assert (await clients[role].ask(method, path)).status == status, (role, method, path)


# --- groups and resources -------------------------------------------------------------------------------------------


async def test_a_group_from_its_making_to_its_end(vtn: OpenADRServer, api: Client) -> None:
    ven = await Ven(vtn).join("one")
    body = {"group_id": "no/rth", "name": "The North", "ven_ids": [ven.ven_id]}
    made = await api.post("/api/groups", body)
    assert (made.status, made.headers["location"]) == (201, "/api/groups/no%2Frth")
    assert (await api.post("/api/groups", body)).status == 409
    where = made.headers["location"]
    assert (await api.get(where)).etag == made.etag
    assert (await api.ask("PATCH", where, json={"name": "N"})).status == 428
    assert (await api.ask("PATCH", where, json={"name": "N"}, headers={"If-Match": '"x"'})).status == 412
    changed = await api.ask("PATCH", where, json={"market_context": "http://p"}, headers={"If-Match": made.etag})
    assert changed.json == {"group_id": "no/rth", "name": "The North", "market_context": "http://p"}
    members = {"ven_ids": ["v2"], "resources": [{"ven_id": ven.ven_id, "resource_id": "boiler"}]}
    assert (await api.post(f"{where}/members", members)).status == 204
    listed = (await api.get(f"{where}/members?limit=2")).json
    listed["items"] += (await api.get(f"{where}/members", params={"after": listed["next"]})).json["items"]
    found = {(one["ven_id"], one["resource_id"]) for one in listed["items"]}
    assert found == {(ven.ven_id, ""), (ven.ven_id, "boiler"), ("v2", "")}
    gone = {"ven_id": ven.ven_id, "resource_id": "boiler"}
    assert (await api.ask("DELETE", f"{where}/members", params=gone)).status == 204
    assert (await api.ask("DELETE", f"{where}/members", params=gone)).status == 404
    assert len(await vtn.members("no/rth")) == 2
    assert (await api.ask("DELETE", where)).status == 428
    assert (await api.ask("DELETE", where, headers={"If-Match": changed.etag})).status == 204
    assert (await api.get(where)).status == 404


async def test_groups_are_found(vtn: OpenADRServer, api: Client) -> None:
    await vtn.add_group("a", name="North", ven_ids=["v1"])
    await vtn.add_group("b", market_context="http://p", ven_ids=["v1", "v2"])
    await vtn.add_group("c")

    async def found(query: str) -> list[str]:
        return [one["group_id"] for one in (await api.get(f"/api/groups?{query}")).json["items"]]

    assert await found("") == ["a", "b", "c"]
    assert await found("search=NOR") == ["a"]
    assert await found("programme=true") == ["b"]
    assert await found("programme=false") == ["a", "c"]
    assert await found("ven_id=v1") == ["a", "b"]
    assert await found("market_context=http://p") == ["b"]
    assert await found("limit=1&after=a") == ["b"]


async def test_resources_are_kept_and_mean_something_to_targets(vtn: OpenADRServer, api: Client) -> None:
    ven = await Ven(vtn).join("one")
    where = f"/api/resources/{ven.ven_id}"
    made = await api.ask("PUT", where, json={"position": {"latitude": 52.37, "longitude": 4.9}})
    assert (made.status, made.json["resource_id"]) == (201, "")
    boiler = await api.ask("PUT", f"{where}/boiler", json={"meter_assets": ["m17"]})
    assert (boiler.status, boiler.headers["location"]) == (201, f"{where}/boiler")
    assert (await api.ask("PUT", where, json={})).status == 428
    again = await api.ask("PUT", where, json={"name": "N"}, headers={"If-Match": made.etag})
    assert (again.status, again.json["position"]) == (200, None)
    assert (await api.get(f"{where}/boiler")).json["meter_assets"] == ["m17"]
    listed = (await api.get("/api/resources?limit=1")).json
    rest = (await api.get("/api/resources", params={"after": listed["next"], "ven_id": ven.ven_id})).json
    assert [one["resource_id"] for one in listed["items"] + rest["items"]] == ["", "boiler"]
    event = {"start": "2030-06-02T10:00:00Z", "intervals": [{"duration": "PT1H", "value": 1}]}
    planned = await api.post("/api/events/preview", {**event, "target": {"meter_assets": ["m17"]}})
    assert [one["ven_id"] for one in planned.json["items"]] == [ven.ven_id]
    assert (await api.ask("DELETE", f"{where}/boiler", headers={"If-Match": "*"})).status == 204
    assert (await api.ask("DELETE", f"{where}/boiler", headers={"If-Match": "*"})).status == 404
    assert (await api.ask("DELETE", where, headers={"If-Match": again.etag})).status == 204
    assert (await api.get(where)).status == 404
    assert (await api.ask("PUT", where, json={"position": {"latitude": 91, "longitude": 0}})).status in (400, 422)


# --- reports --------------------------------------------------------------------------------------------------------


async def test_a_rule_for_a_group_asks_its_vens(vtn: OpenADRServer, api: Client) -> None:
    ven = await Ven(vtn).join("meter")
    await ven.register_reports(metadata("telemetry", "power"))
    await vtn.add_group("north", ven_ids=[ven.ven_id])
    body = {"group_id": "north", "report_back_duration": "PT5M", "granularity": "PT1M"}
    made = await api.ask("PUT", "/api/report-rules/power", json=body)
    assert (made.status, made.headers["location"]) == (201, "/api/report-rules/power")
    asked = await ven.poll(wire.OadrCreateReport)
    assert [one.report_request_id for one in asked.report_requests] == ["rule:power:telemetry"]
    assert [one["rule_id"] for one in (await api.get("/api/report-rules")).json["items"]] == ["power"]
    assert (await api.ask("PUT", "/api/report-rules/power", json=body)).status == 428
    changed = await api.ask("PUT", "/api/report-rules/power", json=body, headers={"If-Match": made.etag})
    assert (changed.status, changed.etag) == (200, (await api.get("/api/report-rules/power")).etag)
    assert (await api.ask("DELETE", "/api/report-rules/power", headers={"If-Match": "*"})).status == 204
    assert await vtn.report_requests(ven.ven_id) == []
    assert (await api.get("/api/report-rules/power")).status == 404


@pytest.mark.parametrize(
    ("rule_id", "body", "status"),
    [
        ("r", {}, 400),
        ("r", {"report_back_duration": "PT0S"}, 422),
        ("r", {"report_back_duration": "PT5M", "group_id": "nowhere"}, 409),
        ("a:b", {"report_back_duration": "PT5M"}, 422),
    ],
)
async def test_a_rule_that_makes_no_sense(api: Client, rule_id: str, body: Any, status: int) -> None:
    assert (await api.ask("PUT", f"/api/report-rules/{rule_id}", json=body)).status == status


async def stock(vtn: OpenADRServer) -> None:
    """Readings of two VENs, one of whom is in a group."""
    store: Any = vtn.service.store
    kept: list[StoredReading] = []
    for ven_id in ("v1", "v2"):
        await vtn.add_ven(ven_id)
        await store.save_capabilities(ven_id, Source.VEN, [capability()])
        kept += [reading(ven_id=ven_id, r_id=f"r{n}", minute=60 * n) for n in range(3)]
    await store.save_readings(kept)
    await vtn.add_group("north", ven_ids=["v2"])


async def test_readings_of_a_fleet_come_in_pages(vtn: OpenADRServer, api: Client) -> None:
    await stock(vtn)

    async def found(**params: Any) -> list[tuple[str, str]]:
        items, after = [], None
        while True:
            page = (await api.get("/api/readings", params={**params, **({"after": after} if after else {})})).json
            items += [(one["ven_id"], one["reading"]["r_id"]) for one in page["items"]]
            after = page["next"]
            if after is None:
                return items

    assert await found(limit="2") == [(ven, f"r{n}") for ven in ("v1", "v2") for n in range(3)]
    assert await found(group_id="north", limit="1") == [("v2", f"r{n}") for n in range(3)]
    assert await found(ven_id="v1", start=(NOW + HOUR).isoformat()) == [("v1", "r1"), ("v1", "r2")]
    assert await found(r_id="r1") == [("v1", "r1"), ("v2", "r1")]
    assert (await api.get("/api/readings?group_id=nowhere")).status == 404
    assert (await api.get("/api/readings?after=x")).status == 422


async def test_readings_are_exported(vtn: OpenADRServer, api: Client) -> None:
    await stock(vtn)
    reply = await api.get("/api/readings/export?ven_id=v1&ven_id=v2&r_id=r2")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert reply.headers["content-disposition"] == 'attachment; filename="readings.csv"'
    rows = list(csv.DictReader(reply.body.decode().splitlines()))
    assert [(row["ven_id"], row["r_id"]) for row in rows] == [("v1", "r2"), ("v2", "r2")]
    empty = await api.get("/api/readings/export?ven_id=nobody")
    assert len(empty.body.splitlines()) == 1
    pytest.importorskip("pyarrow")
    assert (await api.get("/api/readings/export?format=parquet")).body[:4] == b"PAR1"
    assert (await api.get("/api/readings/export?format=xls")).status == 400


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
async def test_a_value_that_is_no_number_is_null(vtn: OpenADRServer, api: Client, value: float) -> None:
    store: Any = vtn.service.store
    await vtn.add_ven("v1")
    kept = [
        reading(ven_id="v1", r_id="a", value=value, accuracy=value, quality="Quality Bad"),
        reading(ven_id="v1", r_id="b", value=ResourceStatus(online=True, manual_override=False)),
    ]
    await store.save_readings(kept)
    for path in ("/api/readings", "/api/vens/v1/readings"):
        number, status = ((one["reading"]) for one in (await api.get(path)).json["items"])
        assert (number["value"], number["accuracy"], number["quality"]) == (None, None, "Quality Bad")
        assert status["value"]["online"] is True


# --- the board ------------------------------------------------------------------------------------------------------


async def test_the_board_counts_filters_and_tells_everything(vtn: OpenADRServer, api: Client) -> None:
    ven = await Ven(vtn).join("one")
    await vtn.add_ven("mute")
    event = await vtn.add_event(
        start=vtn.clock.now() + HOUR, intervals=[(HOUR, 1)], answer_within=timedelta(minutes=5), event_id="e"
    )
    await ven.answer(await ven.poll(wire.OadrDistributeEvent))
    board = (await api.get("/api/events/e/deliveries?state=queued&state=silent")).json
    assert (board["counts"], [one["ven_id"] for one in board["items"]]) == ({"opted in": 1, "queued": 1}, ["mute"])
    assert board["answer_by"] is not None
    detail = (await api.get(f"/api/events/e/deliveries/{ven.ven_id}")).json
    assert detail["delivery"]["state"] == "opted in"
    assert detail["messages"][0]["step"] == "sent"
    assert {one["modification_number"] for one in detail["messages"]} == {event.modification_number}
    assert (await api.get("/api/events/e/deliveries/nobody")).status == 404
    assert (await api.get("/api/events/e/deliveries?state=lost")).status == 400


# --- many at once, and what is set of each --------------------------------------------------------------------------


async def test_many_vens_at_once(vtn: OpenADRServer, connect: Connect) -> None:
    await vtn.add_group("north")
    api = await connect("enrolment")
    vens = [
        {"ven_id": "v1", "fingerprint": PRINT, "groups": ["north"], "poll_frequency": "PT1M"},
        {"ven_name": "two", "line": 7, "groups": ["north"]},
    ]
    wrong = await api.post("/api/allow-list/bulk", {"vens": vens})
    assert (wrong.status, wrong.json["faults"][0]["line"], wrong.json["done"]) == (422, 7, False)
    assert await vtn.allowed() == []
    dry = await api.post("/api/allow-list/bulk?dry_run=true", {"vens": vens[:1]})
    assert (dry.status, dry.json) == (200, {"vens": 1, "new": 1, "done": False, "faults": []})
    done = await api.post("/api/allow-list/bulk", {"vens": vens[:1]})
    assert (done.status, done.json["done"]) == (200, True)
    assert (await api.get("/api/vens/v1")).json["own_poll_frequency"] == "PT60S"
    large = json.dumps({"vens": [{"ven_id": f"{n:0>100}"} for n in range(12_000)]}).encode()
    headers = {"content-type": "application/json"}
    reply = await api.post("/api/allow-list/bulk?dry_run=true", data=io.BytesIO(large), headers=headers)
    assert (len(large) > 2**20, reply.json["new"]) == (True, 12_000)


async def test_what_is_set_of_a_ven(vtn: OpenADRServer, connect: Connect) -> None:
    api = await connect("enrolment")
    made = await api.post("/api/vens", {"ven_id": "v", "registration_id": "r", "poll_frequency": "PT1M"})
    assert (made.json["registration_id"], made.json["own_poll_frequency"]) == ("r", "PT60S")
    assert (await api.ask("PATCH", "/api/vens/v", json={"poll_frequency": None})).status == 428
    changed = await api.ask("PATCH", "/api/vens/v", json={"poll_frequency": None}, headers={"If-Match": made.etag})
    assert (changed.status, changed.json["own_poll_frequency"]) == (200, None)
    assert (await api.get("/api/vens/v")).etag == changed.etag != made.etag
    for body in ({"poll_frequency": "PT0S"}, {"signature": "require"}):
        assert (await api.ask("PATCH", "/api/vens/v", json=body, headers={"If-Match": "*"})).status == 422
    assert (await api.post("/api/vens/v/fingerprints", {"fingerprint": PRINT})).json["fingerprint"] == PRINT
    assert (await api.ask("DELETE", f"/api/vens/v/fingerprints/{PRINT}")).status == 204
    assert (await api.ask("DELETE", f"/api/vens/v/fingerprints/{PRINT}")).status == 409
