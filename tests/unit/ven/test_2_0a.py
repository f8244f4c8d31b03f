"""A VEN that speaks 2.0a, at our own VTN: in memory, over HTTP, with a restart, and pushed to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pyopenadr.errors import ConfigError, LocalProtocolError, PeerRefused
from pyopenadr.model import Event, Interval, Signal
from pyopenadr.transport.memory import MemoryTransport
from pyopenadr.v2 import decode, encode, faults, wire
from pyopenadr.v2.bridge import lower_events
from pyopenadr.v2.signature import Trust
from pyopenadr.ven import OpenADRClient, VenFleet
from pyopenadr.ven.listener import Listener
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.ven.site_a import PATH, Settings, Site, running, site
from tests.unit.vtn.party import key_of
from tests.unit.vtn.sample import HOUR, MINUTE, SECOND, event, eventually

ADDRESS = "https://ven.example"


# --- auto mode ------------------------------------------------------------------------------------------------------


async def test_auto_mode_lives_through_an_event_its_change_and_its_end() -> None:
    async with site() as both, running(both):
        assert both.ven.registered
        await both.vtn.add_event(event())
        await both.clock.advance(11)
        assert both.heard == [("e1", 0, False)]
        assert await both.opts() == [("e1", 0, "optIn")]
        [known] = both.ven.events.values()
        assert [interval.value for interval in known.event.signals[0].intervals] == [1.0]
        await both.vtn.change_event("e1", start=SECOND + 2 * HOUR)
        await both.clock.advance(11)
        await both.vtn.cancel_event("e1")
        await both.clock.advance(11)
        assert both.heard == [("e1", 0, False), ("e1", 1, False), ("e1", 2, True)]
        assert await both.opts() == [("e1", 2, "optIn")]
        assert not both.ven.events
        assert set(both.kinds) == {"oadrRequestEvent", "oadrCreatedEvent"}


async def test_it_asks_at_its_own_interval() -> None:
    async with site(poll_interval=timedelta(seconds=2.5)) as both, running(both):
        await both.clock.advance(9.5)  # and the second of the start
        assert both.kinds == ["oadrRequestEvent"] * 5


async def test_the_device_is_told_when_the_event_runs() -> None:
    calls: list[tuple[str, float]] = []

    async def on_interval_start(event: Event, signal: Signal, interval: Any) -> None:
        calls.append((signal.signal_name, interval.value))

    async with site(on_interval_start=on_interval_start) as both, running(both):
        await both.vtn.add_event(event(start=SECOND + MINUTE))
        await both.clock.advance(62)
        assert calls == [("SIMPLE", 1.0)]


async def test_a_restart_goes_on_where_it_stopped(tmp_path: Path) -> None:
    async with site(state=tmp_path / "ven.db") as both:
        async with running(both):
            await both.vtn.add_event(event())
            await both.clock.advance(11)
            await eventually(both.vtn.answers)
        await both.ven.close()
        both.posted.clear()
        both.ven = both.client()

        async def hears_of_it() -> bool:
            await both.clock.advance(1)  # the file takes time of its own
            return len(both.heard) > 1

        assert list(both.ven.events) == ["e1"]
        async with running(both):
            await both.vtn.cancel_event("e1")
            await eventually(hears_of_it)
        assert both.heard == [("e1", 0, False), ("e1", 1, True)]
        assert set(both.kinds) == {"oadrRequestEvent", "oadrCreatedEvent"}
        await both.ven.close()
        with pytest.raises(ConfigError, match="state file of its own"):
            both.client(profile="2.0b")


async def test_a_vtn_that_does_not_know_the_ven_is_asked_again_and_no_event_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with site() as both, running(both):
        await both.vtn.add_event(event())
        await both.clock.advance(11)
        both.refusal = "463"
        with caplog.at_level(logging.WARNING, "pyopenadr.ven"):
            await both.clock.advance(60)
        assert "463" in caplog.text
        assert both.ven.registered
        assert list(both.ven.events) == ["e1"]
        both.refusal = ""
        await both.vtn.change_event("e1", start=SECOND + 2 * HOUR)
        await both.clock.advance(60)
        assert both.heard == [("e1", 0, False), ("e1", 1, False)]
        assert set(both.kinds) == {"oadrRequestEvent", "oadrCreatedEvent"}


async def test_an_answer_that_is_not_taken_does_not_make_it_deaf() -> None:
    async with site(handler_timeout_s=20.0) as both, running(both):
        both.failing = wire.OadrCreatedEvent
        await both.vtn.add_event(event())
        await both.clock.advance(11)
        await both.vtn.cancel_event("e1")
        await both.clock.advance(40)
        assert both.heard == [("e1", 0, False), ("e1", 1, True)]
        both.failing = None
        await both.clock.advance(60)
        assert await both.opts() == [("e1", 1, "optIn")]


async def test_only_simple_is_followed() -> None:
    async with site() as both, running(both):
        price = Signal(signal_name="x-price", signal_type="price", signal_id="s", intervals=(Interval(HOUR, 7.0),))
        message = lower_events([event(signals=(price,))], now=SECOND, vtn_id="vtn", request_id="d").value
        values = message.to_dict()
        values["events"][0]["event_signals"][0]["current_value"] = 0.0  # 2.0a wants one
        body = encode(wire.OadrDistributeEvent.from_dict(values), profile="2.0a")
        await both.ven.handle("oadrDistributeEvent", decode(body, profile="2.0a").message.to_dict())
        await both.clock.advance(1)
        [answer] = next(it for it in both.posted if isinstance(it, wire.OadrCreatedEvent)).event_responses or ()
        assert (answer.response_code, answer.opt_type) == ("460", "optOut")
        assert both.heard == []


# --- manual mode ----------------------------------------------------------------------------------------------------


async def test_manual_mode_fetches_answers_and_changes_its_mind() -> None:
    async with site() as both:
        assert await both.ven.create_party_registration() == ("", {})
        assert both.posted == []
        await both.vtn.add_event(event())
        message_type, payload = await both.ven.poll()
        assert message_type == "oadrDistributeEvent"
        [item] = payload["events"]
        assert item["event_descriptor"]["event_id"] == "e1"
        for opt_type in ("optIn", "optOut"):
            assert (await both.ven.created_event("e1", opt_type)).message_type == "oadrResponse"
            assert await both.opts() == [("e1", 0, opt_type)]
        assert (await both.ven.request_event()).message_type == "oadrDistributeEvent"


@pytest.mark.parametrize(
    "ask",
    [
        lambda ven: ven.query_registration(),
        lambda ven: ven.cancel_party_registration(),
        lambda ven: ven.register_reports(),
        lambda ven: ven.create_report([]),
        lambda ven: ven.cancel_opt("o1"),
        lambda ven: ven.send("OadrPoll", wire.OadrPoll(ven_id="old")),
    ],
)
async def test_what_2_0a_does_not_have_is_not_sent(ask: Callable[[OpenADRClient], Any]) -> None:
    async with site() as both:
        with pytest.raises(LocalProtocolError):
            await ask(both.ven)
        assert both.posted == []
        assert both.ven.registered


async def test_reports_and_opts_are_refused_as_settings() -> None:
    async with site() as both:
        with pytest.raises(ConfigError, match=r"2\.0a has no reports"):
            both.ven.add_report(reading="powerReal", unit="kW")
        with pytest.raises(ConfigError, match=r"2\.0a has no opts"):
            await both.ven.create_opt("optOut")


async def test_an_error_is_no_empty_list() -> None:
    async with site() as both:
        both.refusal = "452"
        with pytest.raises(PeerRefused):
            await both.ven.poll()
        assert both.ven.registered


# --- settings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"ven_id": None}, "give the ven_id"),
        ({"registration_id": "r"}, "no registration_id"),
        ({"profile": "2.0c"}, r"must be 2\.0a or 2\.0b"),
        ({"signing_key": key_of("ven")}, "no signatures"),
        ({"vtn_signature": Trust(fingerprints=["00:" * 9 + "00"])}, "no signatures"),
    ],
)
def test_settings_that_do_not_go_together(settings: Settings, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Site(**settings)


@pytest.mark.parametrize("url", ["http://localhost", "http://localhost/", "http://localhost/OpenADR2/Simple/"])
async def test_the_address(url: str) -> None:
    both = Site()
    client = OpenADRClient("v", url, ven_id="old", profile="2.0a", transport=MemoryTransport(both._to_vtn))
    async with both.vtn:
        assert (await client.poll()).message_type == "oadrDistributeEvent"


def test_an_address_of_2_0b_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"address of 2\.0b services"):
        OpenADRClient("v", "http://localhost/OpenADR2/Simple/2.0b", ven_id="old", profile="2.0a")


def test_a_fleet_may_have_both(tmp_path: Path) -> None:
    fleet = VenFleet(transport=MemoryTransport(Site()._to_vtn))
    old = fleet.add("v", "http://localhost", ven_id="old", profile="2.0a")
    new = fleet.add("v", "http://localhost")
    assert fleet.get("v", "http://localhost", "2.0a") is old
    assert fleet.get("v", "http://localhost") is new


# --- push -----------------------------------------------------------------------------------------------------------


PUSHED: Settings = {"push": Listener(host=None, public_url=ADDRESS)}


async def test_an_event_is_pushed_and_answered() -> None:
    async with site(**PUSHED) as both:
        await both.vtn.add_ven("old", profile="2.0a", push_url=ADDRESS)
        async with running(both):
            await both.vtn.add_event(event())
            await both.clock.advance(2)
            assert both.heard == [("e1", 0, False)]
            assert await both.opts() == [("e1", 0, "optIn")]
            assert both.replies == [(200, b"")]
            assert both.kinds == ["oadrRequestEvent", "oadrCreatedEvent"]
            await both.clock.advance(900)
            assert both.kinds.count("oadrRequestEvent") == 2
            with pytest.raises(LocalProtocolError, match="does not poll"):
                await both.ven.poll()


async def test_what_must_not_be_pushed() -> None:
    async with site(**PUSHED) as both:
        body = encode(wire.OadrRequestEvent(request_id="q", ven_id="x"), profile="2.0a")
        status, reply = await both.ven.receive(PATH, body)
        answer = decode(reply, profile="2.0a").message
        assert isinstance(answer, wire.OadrResponse)
        assert (status, answer.ven_id, answer.response.request_id) == (200, None, "q")
        assert answer.response.response_code != "200"
        status, text = await both.ven.receive("/OpenADR2/Simple/2.0b/EiEvent", body)
        assert (status, text) == (404, b"a 2.0a VEN has the service EiEvent below /OpenADR2/Simple\n")
        empty = wire.OadrDistributeEvent(response=faults.response(), request_id="d", vtn_id="vtn", events=())
        assert (await both.ven.receive(PATH, encode(empty)))[0] == 406
        assert await both.ven.receive(PATH, encode(empty, profile="2.0a")) == (200, b"")


# --- over HTTP ------------------------------------------------------------------------------------------------------


async def test_over_http() -> None:
    heard: list[str] = []

    async def on_event(event: Event) -> str:
        heard.append(event.event_id)
        return "optIn"

    async with OpenADRServer("vtn", port=0) as vtn:
        now = vtn.clock.now()
        await vtn.add_event(start=now + HOUR, intervals=[(30 * MINUTE, 2)], event_id="e1")
        settings: Settings = {"ven_id": "old", "profile": "2.0a", "on_event": on_event, "auto_polling": True}
        async with OpenADRClient("v", vtn.url, poll_interval=0.2, **settings):
            await eventually(vtn.answers)
            [answer] = await vtn.answers()
            assert (answer.ven_id, answer.opt_type) == ("old", "optIn")
            assert [it.profile for it in vtn.vens] == ["2.0a"]
            assert heard == ["e1"]
