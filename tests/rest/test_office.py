"""What stands around the API: the audit of messages, metrics, webhooks, late reports, structured logs."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from pyopenadr import ApiSettings, OpenADRServer
from pyopenadr.cli.log import JsonLines, set_up_logging
from pyopenadr.errors import ConfigError, TransportError
from pyopenadr.store.ledger import Notice, Record
from pyopenadr.v2 import wire
from pyopenadr.vtn.context import WHO
from pyopenadr.vtn.office import Office
from pyopenadr.vtn.webhook import check_target, make_webhook, signature
from tests.unit.vtn.sample import Ven, clock_of, data, event, eventually, metadata, running
from tests.unit.vtn.test_push import ADDRESS, pushing
from tests.unit.vtn.test_push import join as join_push

Json = dict[str, Any]


def office_of(vtn: OpenADRServer) -> Office:
    assert vtn._office is not None
    return vtn._office


# --- the audit ----------------------------------------------------------------------------------------------------


async def talk(vtn: OpenADRServer) -> Ven:
    ven = await Ven(vtn).join()
    await vtn.add_event(event("e1"))
    await ven.answer(await ven.poll(wire.OadrDistributeEvent))
    assert await ven.is_idle()
    assert await ven.is_idle()  # from now on it is known without a look, and only counted
    await office_of(vtn).records.flush()
    return ven


async def lines(vtn: OpenADRServer, **wanted: Any) -> list[Record]:
    return (await vtn.service.store.list_records(**wanted))[::-1]


@pytest.mark.parametrize("mode", ["none", "headers", "full"])
async def test_as_much_of_messages_is_kept_as_was_asked_for(mode: Any) -> None:
    async with running(api=ApiSettings(audit=mode)) as vtn:
        ven = await talk(vtn)
        found = await lines(vtn, ven_id=ven.ven_id)
        if mode == "none":
            assert found == []
            return
        assert [(line.direction, line.kind) for line in found] == [
            ("in", "oadrCreatePartyRegistration"),
            ("out", "oadrCreatedPartyRegistration"),
            ("in", "oadrPoll"),
            ("out", "oadrRegisterReport"),
            ("in", "oadrRegisteredReport"),
            ("out", "oadrResponse"),
            ("in", "oadrPoll"),
            ("out", "oadrDistributeEvent"),
            ("in", "oadrCreatedEvent"),
            ("out", "oadrResponse"),
            ("in", "oadrPoll"),
            ("out", "oadrResponse"),
        ]
        assert [line.kind for line in await lines(vtn, event_id="e1")] == ["oadrDistributeEvent", "oadrCreatedEvent"]
        assert {line.kind for line in await lines(vtn, request_id="r1")} == {
            "oadrCreatePartyRegistration",
            "oadrCreatedPartyRegistration",
        }
        bodies = "".join(line.body or "" for line in found)
        assert ("<" in bodies) is (mode == "full")
        assert ven.registration_id not in bodies


@pytest.mark.parametrize("mode", ["none", "headers", "full"])
async def test_what_is_pushed_is_kept_with_what_is_said_to_it(mode: Any) -> None:
    async with pushing(api=ApiSettings(audit=mode)) as (vtn, other):
        ven = await join_push(vtn)
        other.rules[wire.OadrDistributeEvent] = lambda _: TransportError("gone")
        await vtn.add_event(event("e1"))
        await clock_of(vtn).advance(1.1)
        await office_of(vtn).records.flush()
        found = [line for line in await lines(vtn, ven_id=ven.ven_id) if line.actor == ADDRESS]
        if mode == "none":
            assert found == []
            return
        told = [(line.direction, line.kind, line.status) for line in found]
        assert told[:2] == [("out", "oadrRegisterReport", None), ("in", "oadrRegisteredReport", "200")]
        assert set(told[2:]) == {("out", "oadrDistributeEvent", "no reply")}
        assert found[2].event_ids == ("e1",)
        assert all((line.body is not None) is (mode == "full") for line in found)


async def test_what_is_no_message_is_kept_too() -> None:
    async with running(api=ApiSettings(audit="full")) as vtn:
        assert (await vtn.handle("/OpenADR2/Simple/2.0b/EiEvent", b"\x00\xffno xml"))[0] == 406
        await office_of(vtn).records.flush()
        came, went = await lines(vtn)
        assert (came.kind, came.body, went.status) == ("unknown", "\ufffd\ufffdno xml", "406")


# --- metrics ------------------------------------------------------------------------------------------------------


async def test_the_figures(vtn: OpenADRServer) -> None:
    await talk(vtn)
    token = await vtn.create_token("prometheus", "viewer")
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as client,
        client.get(f"{vtn.url}/metrics") as reply,
    ):
        text = await reply.text()
    for line in (
        "pyopenadr_vtn_idle_polls_total 1",
        'pyopenadr_vtn_replies_total{service="EiRegisterParty",status="200",code="200"} 1',
        'pyopenadr_vtn_reply_seconds_count{service="EiEvent"} 1',
        'pyopenadr_vtn_notices_total{kind="event-answered"} 1',
        "pyopenadr_vtn_vens_registered 1",
        "pyopenadr_vtn_open_events 1",
        "pyopenadr_vtn_dropped 0",
    ):
        assert line in text.splitlines()
    assert all(line.startswith(("# HELP ", "# TYPE ", "pyopenadr_vtn_")) for line in text.splitlines())


# --- webhooks -----------------------------------------------------------------------------------------------------


class Target:
    """Somebody who is told. `answers` are the statuses to come, then 200."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        status = self.answers.pop(0) if self.answers else 200
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    @property
    def notices(self) -> list[Json]:
        return [json.loads(body) for _, body in self.got]


@asynccontextmanager
async def target() -> AsyncIterator[Target]:
    made = Target()
    app = web.Application()
    app.router.add_post("/{any:.*}", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield made
    finally:
        await runner.cleanup()


OPEN = ApiSettings(webhook_http=True, webhook_private=True)


async def hook(vtn: OpenADRServer, url: str, *kinds: str) -> str:
    office = office_of(vtn)
    made = make_webhook(url, kinds, clock=vtn.clock, position=await office.ledger.last_notice())
    await office.ledger.save_webhook(made)
    return made.secret


async def publish(vtn: OpenADRServer, *event_ids: str) -> None:
    for event_id in event_ids:
        await vtn.add_event(event(event_id))
    await office_of(vtn).notices.flush()


async def got(to: Target, count: int) -> bool:
    return len(to.got) >= count


async def test_a_webhook_is_told_in_order_and_signed() -> None:
    async with target() as to, running(api=OPEN) as vtn:
        secret = await hook(vtn, to.url, "event-published")
        await publish(vtn, "a", "b", "c")
        await vtn.cancel_event("a")
        await eventually(partial(got, to, 3))
        assert [notice["event_id"] for notice in to.notices] == ["a", "b", "c"]
        for headers, body in to.got:
            timestamp = int(headers["webhook-timestamp"])
            assert headers["webhook-signature"] == signature(secret, headers["webhook-id"], timestamp, body)


async def test_what_was_not_taken_is_told_again_before_anything_else() -> None:
    async with target() as to, running(api=OPEN) as vtn:
        to.answers = [500, 302]
        await hook(vtn, to.url, "event-published")
        await publish(vtn, "a", "b")
        for count in (1, 2, 3):
            await eventually(partial(got, to, count))
            [kept] = await vtn.service.store.list_webhooks()
            for _ in range(100):
                [kept] = await vtn.service.store.list_webhooks()
                if kept.attempts >= count or count == 3:
                    break
                await asyncio.sleep(0.01)
            if count < 3:
                assert kept.last_error is not None
                await clock_of(vtn).advance(5)
                await office_of(vtn).webhooks.look()
        await eventually(partial(got, to, 4))
        assert [notice["event_id"] for notice in to.notices] == ["a", "a", "a", "b"]


async def test_a_target_inside_is_never_reached_unless_allowed() -> None:
    async with target() as to, running(api=ApiSettings(webhook_http=True)) as vtn:
        await hook(vtn, to.url.replace("127.0.0.1", "localhost"), "event-published")
        await publish(vtn, "a")
        await office_of(vtn).webhooks.look()

        async def failed() -> bool:
            [kept] = await vtn.service.store.list_webhooks()
            return kept.attempts > 0

        await eventually(failed)
        assert to.got == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https://",
        "https://me:secret@example.com/",
        "https://example.com/#x",
        "https://127.0.0.1/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]:x/",
        "https://example.com:99999/",
        "https://exa mple.com/",
        "nonsense",
    ],
)
def test_an_address_that_is_not_allowed_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        check_target(url, http=False, private=False)


@pytest.mark.parametrize("url", ["https://example.com/a?b=c", "https://8.8.8.8:8443/"])
def test_an_address_that_is_allowed(url: str) -> None:
    check_target(url, http=False, private=False)


# --- late reports, logs -------------------------------------------------------------------------------------------


async def test_a_report_that_does_not_come_is_late_once() -> None:
    async with running(api=True) as vtn:
        seen: list[Notice] = []
        vtn.service.notices.listen(seen.append)
        ven = await Ven(vtn).join()
        await ven.register_reports(metadata("telemetry", "power"))
        request = await vtn.request_report(
            ven.ven_id,
            report_specifier_id="telemetry",
            granularity=timedelta(minutes=1),
            report_back_duration=timedelta(minutes=5),
        )
        await ven.update_report(data(request.report_request_id, 1.0))
        lateness = office_of(vtn).lateness
        for minutes, late in ((9, 0), (3, 1), (30, 1)):
            await clock_of(vtn).advance(timedelta(minutes=minutes))
            await lateness.look()
            assert [notice.kind for notice in seen].count("report-late") == late
        await ven.update_report(data(request.report_request_id, 2.0))
        await clock_of(vtn).advance(timedelta(minutes=12))
        await lateness.look()
        assert [notice.kind for notice in seen].count("report-late") == 2


def test_a_line_of_json_says_whose_request_it_is() -> None:
    record = logging.LogRecord("pyopenadr.vtn", logging.INFO, "f", 1, "hello %s", ("you",), None)
    before = WHO.set(("ven-1", "r1"))
    try:
        line = json.loads(JsonLines().format(record))
    finally:
        WHO.reset(before)
    assert (line["message"], line["ven_id"], line["request_id"]) == ("hello you", "ven-1", "r1")
    assert "ven_id" not in json.loads(JsonLines().format(record))
    with pytest.raises(ConfigError, match="log-format"):
        set_up_logging("yaml")
