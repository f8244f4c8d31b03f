"""Who is online, and what the user is told of it."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

from pyopenadr.errors import StoreError
from pyopenadr.model import Registration
from pyopenadr.store import MemoryStore, Store
from pyopenadr.v2 import wire
from pyopenadr.vtn.presence import Change, Presence
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.vtn.sample import NOW, Broken, Ven, again, clock_of, eventually, running, server

S = timedelta(seconds=1)


def test_a_ven_is_offline_when_it_has_missed_its_polls_and_that_is_said_once() -> None:
    presence = Presence(NOW, 3)
    presence.watch(Registration(ven_id="v", poll_frequency=10 * S))
    assert presence.seen("v", NOW) == Change("v", True)
    assert presence.seen("v", NOW + 5 * S) is None
    assert presence.gone(NOW + 35 * S) == []
    assert presence.gone(NOW + 36 * S) == [Change("v", False)]
    assert presence.gone(NOW + 99 * S) == []
    assert presence.seen("v", NOW + 100 * S) == Change("v", True)


def test_a_ven_that_was_online_before_a_restart_gets_time_to_be_heard() -> None:
    presence = Presence(NOW, 2)
    presence.watch(Registration(ven_id="v", poll_frequency=10 * S, online=True, last_seen=NOW - 999 * S))
    assert presence.gone(NOW + 20 * S) == []
    assert presence.gone(NOW + 21 * S) == [Change("v", False)]


def test_times_are_offered_for_saving_until_they_are_saved() -> None:
    presence = Presence(NOW)
    presence.watch(Registration(ven_id="v"))
    presence.seen("v", NOW)
    assert presence.take_unsaved() == {"v": NOW}
    assert presence.take_unsaved() == {}
    presence.unsaved_again(["v", "unknown"])
    assert presence.take_unsaved() == {"v": NOW}


class Heard:
    """What the callbacks were told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool]] = []

    def on_ven_online(self, ven_id: str) -> None:
        self.calls.append((ven_id, True))

    async def on_ven_offline(self, ven_id: str) -> None:
        self.calls.append((ven_id, False))

    async def wait_for(self, count: int) -> None:
        async def there() -> bool:
            return len(self.calls) >= count

        await eventually(there)
        await asyncio.sleep(0.02)
        assert len(self.calls) == count


async def test_each_change_is_told_once_also_over_restarts(store: Store | str) -> None:
    heard = Heard()

    async def restart(vtn: OpenADRServer) -> OpenADRServer:
        vtn = await again(vtn, store, backend=heard, misses=2)
        await vtn.start()
        ven.vtn = vtn
        return vtn

    vtn = server(store, backend=heard, misses=2)
    ven = Ven(vtn)
    await ven.register()
    await heard.wait_for(1)
    vtn = await restart(vtn)
    await ven.poll(wire.Message)
    await clock_of(vtn).advance(20)
    await heard.wait_for(1)
    assert [v.online for v in vtn.vens] == [True]
    vtn = await restart(vtn)
    await clock_of(vtn).advance(20)
    await heard.wait_for(1)
    await clock_of(vtn).advance(6)
    await heard.wait_for(2)
    assert [v.online for v in vtn.vens] == [False]
    vtn = await restart(vtn)
    await clock_of(vtn).advance(100)
    await heard.wait_for(2)
    assert [v.last_seen for v in vtn.vens] == [NOW]
    await ven.poll(wire.Message)
    await heard.wait_for(3)
    assert heard.calls == [(ven.ven_id, True), (ven.ven_id, False), (ven.ven_id, True)]
    await vtn.stop()


async def test_a_ven_that_leaves_is_offline_and_comes_back_online() -> None:
    heard = Heard()
    async with running(backend=heard) as vtn:
        ven = await Ven(vtn).join()
        message = wire.OadrCancelPartyRegistration(
            request_id="c", registration_id=ven.registration_id, ven_id=ven.ven_id
        )
        await ven.send("EiRegisterParty", message, wire.OadrCanceledPartyRegistration)
        await clock_of(vtn).advance(6)
        await heard.wait_for(2)
        assert [v.online for v in vtn.vens] == [False]
        await ven.post("OadrPoll", wire.OadrPoll(ven_id=ven.ven_id))  # it is not registered, so it does not count
        await heard.wait_for(2)
        await ven.register()
        await heard.wait_for(3)
        assert [online for _, online in heard.calls] == [True, False, True]


async def test_a_callback_that_hangs_or_fails_holds_up_nobody_else() -> None:
    release = threading.Event()
    told: list[str] = []

    def offline(ven_id: str) -> None:
        told.append(ven_id)
        if len(told) == 1:
            release.wait(5)
        else:
            raise ValueError

    async with running(on_ven_offline=offline) as vtn:
        one, two = await Ven(vtn).join("one"), await Ven(vtn).join("two")
        await clock_of(vtn).advance(36)
        await asyncio.sleep(0.05)
        assert sorted(told) == sorted([one.ven_id, two.ven_id])
        await two.poll(wire.Message)
        assert {v.ven_id: v.online for v in vtn.vens} == {one.ven_id: False, two.ven_id: True}
        release.set()


async def test_presence_goes_on_when_the_store_does_not() -> None:
    kept = MemoryStore()
    store = Broken(kept)
    heard = Heard()
    async with running(store, backend=heard) as vtn:
        ven = await Ven(vtn).join()
        await heard.wait_for(1)
        store.fails["save_presence"] = StoreError("the disk is full")
        await clock_of(vtn).advance(36)
        await heard.wait_for(2)
        store.fails.clear()
        await ven.poll(wire.Message)
        await heard.wait_for(3)
        [registration] = await kept.list_registrations()
        assert (registration.online, registration.last_seen) == (True, NOW + 36 * S)
