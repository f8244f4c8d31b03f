"""What the API serves: VENs, events, opts, reports, changes; pages, versions, repeated requests, errors."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import timedelta
from typing import Any

import pytest

from pyopenadr import OpenADRServer
from pyopenadr.store.port import Source, StoredEvent
from pyopenadr.v2 import wire
from tests.rest.conftest import Client
from tests.store import sample as kept
from tests.unit.vtn.sample import MINUTE, NOW, Ven, event, ids, metadata

START = "2030-06-01T12:00:00Z"
EVENT: dict[str, Any] = {"start": START, "intervals": [{"duration": "PT1H", "value": 1}]}


async def walk(api: Client, path: str, limit: int) -> list[Any]:
    """Every item of a list, page by page."""
    found: list[Any] = []
    after: dict[str, str] = {}
    while True:
        page = (await api.get(path, params={"limit": str(limit), **after})).json
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


# --- VENs ---------------------------------------------------------------------------------------------------------


async def test_vens_are_listed_in_pages_and_found(vtn: OpenADRServer, api: Client) -> None:
    for number in range(7):
        await vtn.add_ven(f"ven-{number}", ven_name=f"Name {number}")
    joined = await Ven(vtn).join("lively")
    assert [ven["ven_id"] for ven in await walk(api, "/api/vens", 3)] == sorted(ven.ven_id for ven in vtn.vens)
    for query, names in (
        ("search=NAME%205", ["Name 5"]),
        ("search=ven-6", ["Name 6"]),
        ("online=true", ["lively"]),
        ("registered=false", []),
        ("profile=2.0a", []),
    ):
        assert [ven["ven_name"] for ven in (await api.get(f"/api/vens?{query}")).json["items"]] == names
    one = (await api.get(f"/api/vens/{joined.ven_id}")).json
    assert (one["online"], one["registration_id"]) == (True, joined.registration_id)
    assert (await api.get("/api/vens/nobody")).status == 404


async def test_a_ven_is_admitted_and_ended(vtn: OpenADRServer, api: Client) -> None:
    made = await api.post("/api/vens", {"ven_id": "a/b c", "ven_name": "x"})
    assert (made.status, made.headers["location"]) == (201, "/api/vens/a%2Fb%20c")
    assert (await api.get(made.headers["location"])).json["ven_id"] == "a/b c"
    assert (await api.post("/api/vens", {"ven_id": "v", "profile": "9"})).status == 422
    ven = await Ven(vtn).join()
    assert (await api.post(f"/api/vens/{ven.ven_id}/reregister")).status == 202
    assert isinstance(await ven.poll(wire.OadrRequestReregistration), wire.OadrRequestReregistration)
    assert (await api.ask("DELETE", f"/api/vens/{ven.ven_id}")).status == 204
    assert vtn.service.is_registered(ven.ven_id)
    assert (await api.post("/api/vens/nobody/reregister")).status == 404


async def test_a_ven_is_forgotten(vtn: OpenADRServer, api: Client) -> None:
    ven = await Ven(vtn).join()
    assert (await api.ask("DELETE", f"/api/vens/{ven.ven_id}?forget=true")).status == 204
    assert (await api.get(f"/api/vens/{ven.ven_id}")).status == 404
    assert await vtn.service.store.load_registration(ven.ven_id) is None
    reply = await ven.poll(wire.OadrResponse)
    assert reply.response.response_code == "463"
    await ven.join("again")
    assert vtn.service.is_registered(ven.ven_id)


# --- events -------------------------------------------------------------------------------------------------------


async def test_an_event_reaches_a_ven_and_its_answer_comes_back(vtn: OpenADRServer, api: Client) -> None:
    ven = await Ven(vtn).join("one")
    await vtn.add_ven("mute")
    made = await api.post("/api/events", {**EVENT, "priority": 2})
    assert made.status == 201
    event_id = made.json["event"]["event_id"]
    assert made.headers["location"] == f"/api/events/{event_id}"
    events = await ven.poll(wire.OadrDistributeEvent)
    assert ids(events) == [event_id]
    assert events.events[0].event_descriptor.priority == 2
    board = {one["ven_id"]: one["state"] for one in await walk(api, f"{made.headers['location']}/deliveries", 1)}
    assert board == {ven.ven_id: "sent", "mute": "queued"}
    await ven.answer(events, "optOut")
    board = {one["ven_id"]: one["state"] for one in await walk(api, f"{made.headers['location']}/deliveries", 9)}
    assert board == {ven.ven_id: "opted out", "mute": "queued"}
    [answer] = (await api.get(f"{made.headers['location']}/answers")).json["items"]
    assert (answer["opt_type"], answer["response_code"]) == ("optOut", "200")


async def test_an_event_for_some_in_full(vtn: OpenADRServer, api: Client) -> None:
    one, other = await Ven(vtn).join("one"), await Ven(vtn).join("other")
    signal = {
        "signal_name": "ELECTRICITY_PRICE",
        "signal_type": "price",
        "signal_id": "p",
        "unit": {"name": "currencyPerKWh", "symbol": "EUR"},
        "intervals": [{"duration": "PT30M", "value": 0.3}, {"duration": "PT30M", "value": 0.1}],
    }
    whole = {"event_id": "full", "start": START, "signals": [signal], "ven_ids": [one.ven_id], "test_event": "yes"}
    made = await api.post("/api/events", whole)
    assert (made.status, made.json["recipients"]) == (201, [one.ven_id])
    assert made.json["event"]["duration"] == "PT3600S"
    assert ids(await one.poll(wire.OadrDistributeEvent)) == ["full"]
    assert await other.is_idle()
    shown = [e["event"]["event_id"] for e in (await api.get(f"/api/events?ven_id={other.ven_id}")).json["items"]]
    assert shown == []


@pytest.mark.parametrize(
    ("body", "status", "part"),
    [
        ({}, 400, "start"),
        ({"start": "2030-06-01T12:00:00", "intervals": []}, 400, "timezone"),
        ({"start": START}, 422, "intervals"),
        ({**EVENT, "signals": []}, 422, "intervals"),
        ({**EVENT, "nonsense": 1}, 400, "nonsense"),
        ({**EVENT, "signal_type": "price"}, 422, ""),
        ({**EVENT, "intervals": [{"duration": "-PT1H", "value": 1}]}, 422, ""),
        ({**EVENT, "intervals": [{"duration": {"months": 1}, "value": 1}]}, 422, "months"),
        ({**EVENT, "intervals": [{"duration": "PT1H", "value": 7}]}, 422, ""),
        ({**EVENT, "start": "0001-01-01T00:00:00+14:00"}, 422, ""),
        ({**EVENT, "event_id": "\u0000"}, 422, ""),
    ],
)
async def test_an_event_that_makes_no_sense_is_refused(api: Client, body: Any, status: int, part: str) -> None:
    reply = await api.post("/api/events", body)
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["status"] == status
    assert part in reply.body.decode()
    assert (await api.get("/api/events")).json["items"] == []


async def test_the_rule_that_forbids_an_event_is_named(api: Client) -> None:
    reply = await api.post(
        "/api/events", {**EVENT, "intervals": [{"duration": "PT1H", "value": 1}], "duration": "PT2H"}
    )
    assert reply.status == 422
    assert reply.json["rule"]


async def test_nobody_overwrites_what_he_has_not_seen(api: Client) -> None:
    made = await api.post("/api/events", {**EVENT, "event_id": "e"})
    change = {"priority": 5}
    assert (await api.ask("PATCH", "/api/events/e", json=change)).status == 428
    wrong = {"If-Match": '"0"'}
    assert (await api.ask("PATCH", "/api/events/e", json=change, headers=wrong)).status == 412
    changed = await api.ask("PATCH", "/api/events/e", json=change, headers={"If-Match": made.etag})
    assert changed.status == 200
    assert (changed.json["event"]["modification_number"], changed.json["event"]["priority"]) == (1, 5)
    assert changed.etag != made.etag
    assert (await api.get("/api/events/e")).etag == changed.etag
    again = await api.ask("PATCH", "/api/events/e", json={"priority": 6}, headers={"If-Match": made.etag})
    assert again.status == 412
    assert (await api.ask("PATCH", "/api/events/e", json={"priority": 6}, headers={"If-Match": "*"})).status == 200
    assert (await api.post("/api/events/e/cancel", headers=wrong)).status == 412


async def test_of_changes_at_the_same_time_one_wins(api: Client) -> None:
    made = await api.post("/api/events", {**EVENT, "event_id": "e"})
    headers = {"If-Match": made.etag}
    replies = await asyncio.gather(
        *(api.ask("PATCH", "/api/events/e", json={"priority": n}, headers=headers) for n in range(1, 9))
    )
    assert sorted(reply.status for reply in replies) == [200] + 7 * [412]


async def test_more_vens_may_be_added_but_none_taken_away(vtn: OpenADRServer, api: Client) -> None:
    await api.post("/api/events", {**EVENT, "event_id": "e", "ven_ids": ["a", "b"]})
    fewer = await api.ask("PATCH", "/api/events/e", json={"ven_ids": ["a"]}, headers={"If-Match": "*"})
    assert fewer.status == 409
    more = await api.ask("PATCH", "/api/events/e", json={"ven_ids": ["a", "b", "c"]}, headers={"If-Match": "*"})
    assert (more.status, more.json["recipients"]) == (200, ["a", "b", "c"])


async def test_whom_an_event_is_for_is_said_in_one_way(vtn: OpenADRServer, api: Client) -> None:
    await api.post("/api/events", {**EVENT, "event_id": "e", "ven_ids": ["a"]})
    any_version = {"If-Match": "*"}
    both = {"ven_ids": ["a", "b"], "target": {"group_ids": ["g"]}}
    assert (await api.ask("PATCH", "/api/events/e", json=both, headers=any_version)).status == 422
    everybody = await api.ask("PATCH", "/api/events/e", json={"ven_ids": None}, headers=any_version)
    assert (everybody.status, everybody.json["recipients"]) == (200, None)


async def test_what_speaks_against_an_event_is_said(vtn: OpenADRServer, api: Client) -> None:
    await api.post("/api/events", {**EVENT, "event_id": "e"})
    assert (await api.post("/api/events/preview", EVENT)).json["overlaps"] == ["e"]
    assert (await api.post("/api/events", {**EVENT, "overlap": "refuse"})).status == 409


async def test_a_cancelled_event_stays_so(vtn: OpenADRServer, api: Client) -> None:
    await api.post("/api/events", {**EVENT, "event_id": "e"})
    first, second = await api.post("/api/events/e/cancel"), await api.post("/api/events/e/cancel")
    assert (first.status, second.status) == (200, 200)
    assert first.json == second.json
    assert first.json["status"] == "cancelled"
    assert (await api.ask("PATCH", "/api/events/e", json={"priority": 1}, headers={"If-Match": "*"})).status == 409
    assert (await api.post("/api/events/nothing/cancel")).status == 404
    assert (await api.ask("DELETE", "/api/events/e", headers={"If-Match": "*"})).status == 409


async def test_a_draft_is_sent_when_it_is_published(vtn: OpenADRServer, api: Client) -> None:
    ven = await Ven(vtn).join()
    made = await api.post("/api/events", {**EVENT, "event_id": "e", "draft": True})
    assert (made.status, made.json["state"]) == (201, "draft")
    assert await ven.is_idle()
    assert (await api.post("/api/events", {**EVENT, "event_id": "e"})).status == 409
    assert (await api.post("/api/events/e/cancel")).status == 409
    better = await api.ask("PATCH", "/api/events/e", json={"priority": 3}, headers={"If-Match": made.etag})
    assert (better.status, better.json["event"]["modification_number"]) == (200, 0)
    assert (await api.post("/api/events/e/publish", headers={"If-Match": made.etag})).status == 412
    published = await api.post("/api/events/e/publish", headers={"If-Match": better.etag})
    assert (published.status, published.json["state"]) == (200, "open")
    assert (await api.post("/api/events/e/publish")).status == 200
    assert ids(await ven.poll(wire.OadrDistributeEvent)) == ["e"]
    assert [one["state"] for one in (await api.get("/api/events")).json["items"]] == ["open"]


async def test_a_draft_can_be_deleted(api: Client) -> None:
    made = await api.post("/api/events", {**EVENT, "event_id": "e", "draft": True})
    assert (await api.ask("DELETE", "/api/events/e")).status == 428
    assert (await api.ask("DELETE", "/api/events/e", headers={"If-Match": made.etag})).status == 204
    assert (await api.get("/api/events/e")).status == 404


async def test_a_copy_is_another_event(vtn: OpenADRServer, api: Client) -> None:
    await vtn.add_event(event("e", priority=4), ven_ids=["a"])
    await vtn.cancel_event("e")
    made = await api.post("/api/events/e/copy", {"start": "2031-01-01T00:00:00Z", "event_id": "f"})
    assert (made.status, made.json["state"], made.json["recipients"]) == (201, "draft", ["a"])
    copy = made.json["event"]
    assert (copy["priority"], copy["cancelled"], copy["modification_number"]) == (4, False, 0)
    assert copy["start"] == "2031-01-01T00:00:00Z"
    now = await api.post("/api/events/e/copy", {"start": "2031-01-01T00:00:00Z", "draft": False, "ven_ids": None})
    assert (now.json["state"], now.json["recipients"]) == ("open", None)


async def test_a_preview_keeps_nothing(vtn: OpenADRServer, api: Client) -> None:
    await vtn.add_ven("a")
    await vtn.add_ven("b")
    reply = await api.post("/api/events/preview", {**EVENT, "ven_ids": ["b"]})
    assert (reply.status, [one["ven_id"] for one in reply.json["items"]]) == (200, ["b"])
    assert [one["ven_id"] for one in (await api.post("/api/events/preview", EVENT)).json["items"]] == ["a", "b"]
    assert (await api.get("/api/events")).json["items"] == []


async def test_events_are_listed_by_their_state(vtn: OpenADRServer, api: Client) -> None:
    for number in range(5):
        await api.post("/api/events", {**EVENT, "event_id": f"e{number}", "draft": number % 2 == 0})
    over = event("old", start=NOW.replace(microsecond=0) - timedelta(hours=9))
    await vtn.service.add_event(StoredEvent(event=over, recipients=None))
    await vtn.service.close_events()
    assert [one["event"]["event_id"] for one in await walk(api, "/api/events", 2)] == [f"e{n}" for n in range(5)]
    for query, found in (("state=draft", ["e0", "e2", "e4"]), ("state=open", ["e1", "e3"]), ("state=closed", ["old"])):
        items = (await api.get(f"/api/events?{query}")).json["items"]
        assert [one["event"]["event_id"] for one in items] == found
    assert (await api.get("/api/events?status=active")).json["items"] == []
    assert (await api.get("/api/events?limit=0")).status == 400


# --- requests that are made again ---------------------------------------------------------------------------------


async def test_a_repeated_request_is_done_once(vtn: OpenADRServer, api: Client) -> None:
    key = {"Idempotency-Key": "k1"}
    first = await api.post("/api/events", EVENT, headers=key)
    second = await api.post("/api/events", EVENT, headers=key)
    assert (first.status, first.body, first.etag) == (second.status, second.body, second.etag)
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["location"] == first.headers["location"]
    assert len(await vtn.events()) == 1
    other = await api.post("/api/events", {**EVENT, "priority": 1}, headers=key)
    assert other.status == 422
    assert (await api.post("/api/events", EVENT, headers={"Idempotency-Key": "k2"})).status == 201
    assert len(await vtn.events()) == 2


async def test_of_the_same_request_many_times_at_once_one_is_done(vtn: OpenADRServer, api: Client) -> None:
    key = {"Idempotency-Key": "k"}
    replies = await asyncio.gather(*(api.post("/api/events", EVENT, headers=key) for _ in range(10)))
    assert len(await vtn.events()) == 1
    assert {reply.status for reply in replies} <= {201, 409}


async def test_a_refusal_is_repeated_too_and_secrets_are_not_kept(vtn: OpenADRServer, api: Client) -> None:
    key = {"Idempotency-Key": "k"}
    assert [(await api.post("/api/events", {}, headers=key)).status for _ in range(2)] == [400, 400]
    assert (await api.post("/api/tokens", {"name": "x", "role": "viewer"}, headers=key)).status == 400
    assert (await api.post("/api/events", EVENT, headers={"Idempotency-Key": "k" * 300})).status == 400


# --- opts and reports ---------------------------------------------------------------------------------------------


async def test_opts_of_a_ven(vtn: OpenADRServer, api: Client) -> None:
    await vtn.add_ven("v")
    await vtn.service.store.save_opt(kept.opt("o1", "v"))
    assert [one["opt_id"] for one in (await api.get("/api/vens/v/opts")).json["items"]] == ["o1"]
    assert (await api.get("/api/vens/w/opts")).status == 404


async def test_a_report_is_asked_for_and_stopped(vtn: OpenADRServer, api: Client) -> None:
    ven = await Ven(vtn).join()
    await ven.register_reports(metadata("telemetry", "power", "energy"))
    base = f"/api/vens/{ven.ven_id}"
    [offer] = (await api.get(f"{base}/capabilities")).json["items"]
    assert [point["r_id"] for point in offer["points"]] == ["power", "energy"]
    wanted = {"report_specifier_id": "telemetry", "granularity": "PT1M", "report_back_duration": "PT15M"}
    made = await api.post(f"{base}/report-requests", wanted)
    assert (made.status, made.json["r_ids"]) == (201, ["power", "energy"])
    asked = await ven.poll(wire.OadrCreateReport)
    assert asked.report_requests[0].report_request_id == made.json["report_request_id"]
    [listed] = (await api.get(f"{base}/report-requests")).json["items"]
    assert listed["confirmed"] is False
    where = f"{base}/report-requests/{made.json['report_request_id']}"
    assert [(await api.ask("DELETE", where)).status for _ in range(2)] == [204, 404]
    assert (await api.post(f"{base}/report-requests", {"report_specifier_id": "none"})).status == 409
    assert (await api.post("/api/vens/nobody/report-requests", wanted)).status == 404


async def test_readings_in_pages_even_where_many_are_of_one_instant(vtn: OpenADRServer, api: Client) -> None:
    await vtn.add_ven("v")
    rows = [kept.reading(ven_id="v", r_id=f"r{point}", minute=step) for step in range(3) for point in range(7)]
    await vtn.service.store.save_readings(rows)
    found = await walk(api, "/api/vens/v/readings", 2)
    assert [(one["reading"]["start"], one["reading"]["r_id"]) for one in found] == sorted(
        (one["reading"]["start"], one["reading"]["r_id"]) for one in found
    )
    assert len(found) == 21
    assert len(await walk(api, "/api/vens/v/readings?r_id=r3", 2)) == 3
    query = {"start": (kept.NOW + MINUTE).isoformat(), "end": (kept.NOW + 2 * MINUTE).isoformat()}
    assert len((await api.get("/api/vens/v/readings", params=query)).json["items"]) == 7
    for wrong in ("after=x", "after=e30%3D", "start=2030-01-01T00:00:00"):
        assert (await api.get(f"/api/vens/v/readings?{wrong}")).status in (400, 422)
    assert await vtn.service.store.list_capabilities("v", Source.VEN) == []


# --- changes ------------------------------------------------------------------------------------------------------


async def next_change(stream: Any) -> dict[str, Any]:
    while True:
        line = await asyncio.wait_for(stream.content.readline(), 10)
        assert line, "the stream has ended"
        if line.startswith(b"data: "):
            change: dict[str, Any] = json.loads(line[6:])
            return change


async def test_changes_come_as_they_happen(vtn: OpenADRServer, api: Client) -> None:
    async with api.session.get(f"{vtn.url}/api/changes/stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert (await stream.content.readline()).startswith(b":")
        await asyncio.sleep(0.1)
        ven = await Ven(vtn).join()
        seen = [await next_change(stream)]
        await api.post("/api/events", {**EVENT, "event_id": "e"})
        await ven.answer(await ven.poll(wire.OadrDistributeEvent))
        while seen[-1]["kind"] != "event-answered":
            seen.append(await next_change(stream))
    kinds = [change["kind"] for change in seen]
    assert {"ven-registered", "ven-online", "event-published", "event-answered"} <= set(kinds)
    assert kinds.index("event-published") < kinds.index("event-answered")
    assert seen[-1]["data"]["opt_type"] == "optIn"
    numbers = [change["seq"] for change in seen]
    assert numbers == sorted(set(numbers))
    listed = await walk(api, "/api/changes", 2)
    assert [one["seq"] for one in listed][: len(numbers)] == numbers


async def test_a_stream_goes_on_where_it_was_left(vtn: OpenADRServer, api: Client) -> None:
    for number in range(3):
        await api.post("/api/events", {**EVENT, "event_id": f"e{number}"})
    assert vtn._office is not None
    await vtn._office.notices.flush()
    first = (await api.get("/api/changes?limit=1")).json["items"][0]["seq"]
    ways: list[dict[str, Any]] = [{"params": {"after": str(first)}}, {"headers": {"Last-Event-ID": str(first)}}]
    for more in ways:
        async with api.session.get(f"{vtn.url}/api/changes/stream", **more) as stream:
            assert (await next_change(stream))["event_id"] == "e1"


async def test_a_stream_does_not_hold_up_the_end(vtn: OpenADRServer, api: Client) -> None:
    async with api.session.get(f"{vtn.url}/api/changes/stream") as stream:
        await stream.content.readline()
        await asyncio.wait_for(vtn.stop(), 3)
        assert (await stream.content.read()).strip() in (b"", b": the changes of this VTN")


async def test_what_has_no_name_is_a_problem_too(api: Client) -> None:
    for method, path, status in (("GET", "/api/nothing", 404), ("PUT", "/api/events", 405), ("GET", "/api", 404)):
        reply = await api.ask(method, path)
        assert (reply.status, reply.headers["content-type"]) == (status, "application/problem+json")
    reply = await api.post("/api/events", data=b"<xml/>", headers={"Content-Type": "application/json"})
    assert reply.status == 400
    reply = await api.post(
        "/api/events", data=io.BytesIO(b" " * 2_000_000), headers={"Content-Type": "application/json"}
    )
    assert reply.status == 413
