"""The client without coroutines."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from pyopenadr.errors import LocalProtocolError, TransportError
from pyopenadr.model import Event
from pyopenadr.v2 import wire
from pyopenadr.ven import OpenADRClient
from tests.unit.ven.scripted import ScriptedVtn, event


@pytest.fixture
def vtn() -> ScriptedVtn:
    return ScriptedVtn()


def client_of(vtn: ScriptedVtn, **settings: Any) -> OpenADRClient:
    return OpenADRClient("my ven", "https://vtn.example", transport=vtn, **settings)


def test_every_request_waits_for_its_answer(vtn: ScriptedVtn) -> None:
    before = threading.active_count()
    with client_of(vtn).blocking() as ven:
        assert ven.create_party_registration().message_type == "oadrCreatedPartyRegistration"
        assert ven.ven_id == "ven-1"
        assert ven.registered
        assert ven.poll() == ("oadrResponse", ven.poll().payload)
        vtn.rules[wire.OadrPoll] = lambda _: TransportError("lost")
        with pytest.raises(TransportError, match="lost"):
            ven.poll()
    assert vtn.closed
    assert threading.active_count() == before


def test_auto_mode_runs_in_the_background(vtn: ScriptedVtn) -> None:
    vtn.events = [event()]
    ven = client_of(vtn, auto_polling=True).blocking()

    def on_event(event: Event) -> str:
        assert ven.events[event.event_id].event == event, "a plain handler may use the client"
        return "optIn"

    ven.on_event(on_event)
    with ven:
        deadline = time.monotonic() + 10
        while not vtn.sent(wire.OadrCreatedEvent) and time.monotonic() < deadline:
            time.sleep(0.01)
        (answer,) = vtn.last(wire.OadrCreatedEvent).event_responses or ()
        assert answer.opt_type == "optIn"
        ven.opt_out("e1")
        assert ven.events["e1"].opt_type == "optOut"
        assert ven.running
    assert vtn.closed


def test_run_waits_until_somebody_stops_it(vtn: ScriptedVtn) -> None:
    with client_of(vtn).blocking() as ven:
        timer = threading.Timer(0.1, ven.stop)
        timer.start()
        ven.run()
        timer.join()
        assert not ven.running


def test_handlers_and_settings_are_the_clients(vtn: ScriptedVtn) -> None:
    client = client_of(vtn)
    ven = client.blocking()
    ven.auto_polling = True
    ven.on_event = lambda _: "optOut"
    assert client.auto_polling
    assert "poll" in dir(ven)
    assert ven.poll_interval == client.poll_interval


def test_outside_of_with_one_is_told(vtn: ScriptedVtn) -> None:
    ven = client_of(vtn).blocking()
    with pytest.raises(LocalProtocolError, match="use it in `with`"):
        ven.poll()
    with ven, pytest.raises(LocalProtocolError, match="leave its `with`"):
        ven.__enter__()
    with ven:  # again, with a loop of its own
        assert ven.create_party_registration()


def test_a_coroutine_must_not_block_the_loop_it_runs_in(vtn: ScriptedVtn) -> None:
    said: list[Exception] = []
    with client_of(vtn).blocking() as ven:

        async def handler(_: Event) -> str:
            try:
                ven.poll()
            except LocalProtocolError as error:
                said.append(error)
            return "optIn"

        ven.on_event = handler
        vtn.events = [event()]
        timer = threading.Timer(0.3, ven.stop)
        timer.start()
        ven.run()
        timer.join()
    assert said
    assert "make it a plain function" in str(said[0])
