"""Groups, programmes and resources: whom a target means, what each VEN is told, and what happens when they change."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from pyopenadr.errors import ConfigError, LocalProtocolError, ModelError
from pyopenadr.model import Area, Group, Member, Position, Resource, Target
from pyopenadr.store import Store
from pyopenadr.v2 import wire
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.vtn.sample import Ven, again, event, ids, running, server

SQUARE = Area((52.0, 4.0, 52.0, 5.0, 53.0, 5.0, 53.0, 4.0))


async def told(ven: Ven) -> dict[str, wire.EiTarget]:
    """The events that a VEN is told of, with their targets."""
    message = await ven.request_events()
    return {e.event_descriptor.event_id: e.target for e in message.events}


async def joined(vtn: OpenADRServer, *names: str) -> list[Ven]:
    """VENs with the IDs that they are called by."""
    vens = []
    for name in names:
        ven = Ven(vtn, name)
        await ven.register(name, ven_id=name)
        await ven.take_offer()
        vens.append(ven)
    return vens


async def test_groups_resources_and_members_are_kept(store: Store | str) -> None:
    vtn = server(store)
    await vtn.add_group("g", name="north", ven_ids="one", resources=[("two", "car")])
    await vtn.add_group("p", market_context="http://m")
    await vtn.add_to_group("p", ven_ids=["one", "two"])
    await vtn.remove_from_group("p", ven_ids=["two"])
    boiler = await vtn.add_resource("one", "boiler", position=Position(52.5, 4.5), meter_assets=("m1",))
    await vtn.add_resources([Resource(ven_id="one", party_ids=("acme",)), Resource(ven_id="two", resource_id="car")])
    await vtn.remove_resource("two", "car")
    vtn = await again(vtn, store)
    north, programme = Group(group_id="g", name="north"), Group(group_id="p", market_context="http://m")
    assert await vtn.groups() == [north, programme]
    assert await vtn.members() == [Member("g", "one"), Member("p", "one")]
    assert await vtn.members(ven_id="two") == []
    assert await vtn.resources("one") == [Resource(ven_id="one", party_ids=("acme",)), boiler]
    assert [await vtn.remove_group("g"), await vtn.remove_group("g")] == [True, False]
    assert await vtn.members("g") == []
    await vtn.stop()


async def test_what_is_wrong_with_a_group_is_said() -> None:
    async with running() as vtn:
        await vtn.add_group("g", name="north")
        with pytest.raises(LocalProtocolError, match="'g' has the name 'north'"):
            await vtn.add_group("h", name="north")
        with pytest.raises(ConfigError, match="group_id"):
            await vtn.add_group("")
        with pytest.raises(ConfigError, match="pair of ven_id and resource_id"):
            await vtn.add_to_group("g", resources=["boiler"])  # type: ignore[list-item]  # that is the point
        for change in (vtn.add_to_group, vtn.remove_from_group):
            with pytest.raises(LocalProtocolError, match="no group z"):
                await change("z", ven_ids=["one"])
        with pytest.raises(ConfigError, match="no colour"):
            await vtn.add_resource("one", "boiler", colour="red")
        with pytest.raises(ConfigError, match="boiler"):
            await vtn.add_resource("one", "boiler", party_ids=7)
        assert await vtn.groups() == [Group(group_id="g", name="north")]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ({"group_ids": ("north",)}, {"a": {"ven_id": ("a",), "group_id": ("north",)}}),
        ({"group_names": ("The South",)}, {"b": {"resource_id": ("car",), "group_name": ("The South",)}}),
        ({"resource_ids": ("boiler",)}, {"a": {"resource_id": ("boiler",)}, "b": {"resource_id": ("boiler",)}}),
        ({"party_ids": ("acme",)}, {"c": {"ven_id": ("c",), "party_id": ("acme",)}}),
        ({"ven_ids": ("a", "b")}, {"a": {"ven_id": ("a",)}, "b": {"ven_id": ("b",)}}),
        (
            {"ven_ids": ("a",), "group_ids": ("south",)},
            {"a": {"ven_id": ("a",)}, "b": {"resource_id": ("car",), "group_id": ("south",)}},
        ),
        (
            {"end_device_assets": ("Thermostat",), "meter_assets": ("m1",)},
            {"a": {"resource_id": ("boiler",), "meter_asset": ("m1",), "end_device_asset": ("Thermostat",)}},
        ),
        ({}, {"a": {}, "b": {}, "c": {}}),
    ],
)
async def test_a_target_is_resolved_and_each_ven_is_told_its_own_part(
    target: dict[str, Any], expected: dict[str, dict[str, Any]], store: Store | str
) -> None:
    vtn = server(store)
    vens = {ven.ven_id: ven for ven in await joined(vtn, "a", "b", "c")}
    await vtn.add_group("north", ven_ids=["a"])
    await vtn.add_group("south", name="The South", resources=[("b", "car")])
    await vtn.add_resource("a", "boiler", meter_assets=("m1",), end_device_assets=("Thermostat",))
    await vtn.add_resource("b", "boiler")
    await vtn.add_resource("c", party_ids=("acme",))
    made = event(target=Target(**target))
    plan = await vtn.preview(made)
    assert plan.ven_ids == tuple(sorted(expected))
    assert plan.everyone is (target == {})
    await vtn.add_event(made)
    vtn = await again(vtn, store)
    for ven_id, ven in vens.items():
        ven.vtn = vtn
        heard = await told(ven)
        assert heard == ({"e1": wire.EiTarget(**expected[ven_id])} if ven_id in expected else {})
    await vtn.stop()


async def test_a_service_area_means_those_who_are_in_it() -> None:
    async with running() as vtn:
        inside, with_plant, outside = await joined(vtn, "in", "plant", "out")
        await vtn.add_resource("in", position=Position(52.5, 4.5))
        await vtn.add_resource("plant", "wind", position=Position(52.1, 4.9))
        await vtn.add_resource("plant", position=Position(40.0, 4.9))
        await vtn.add_resource("out", position=Position(51.0, 4.5))
        await vtn.add_event(event(target=Target(service_areas=(SQUARE,))))
        message = await inside.request_events()
        [sent] = message.events
        assert sent.target.ven_id == ("in",)
        assert sent.target.service_area[0].pos_list == SQUARE.positions
        assert (await told(with_plant))["e1"].resource_id == ("wind",)
        assert await told(outside) == {}


async def test_a_programme_limits_its_events_to_its_members() -> None:
    async with running() as vtn:
        one, two = await joined(vtn, "one", "two")
        await vtn.add_group("summer", market_context="http://summer", ven_ids=["one"])
        await vtn.add_group("all", ven_ids=["one", "two"])
        await vtn.add_event(event("a", market_context="http://summer"))
        await vtn.add_event(event("b", market_context="http://summer", target=Target(group_ids=("all",))))
        await vtn.add_event(event("c", market_context="http://winter"))
        await vtn.add_event(event("d", market_context="http://summer"), ven_ids=["two"])  # who says so, means it
        assert (await told(one)).keys() == {"a", "b", "c"}
        assert (await told(two)).keys() == {"c", "d"}


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ({"group_ids": ("north", "nrth")}, "group_ids nrth"),
        ({"group_names": ("north",)}, "group_names north"),
        ({"resource_ids": ("boiler", "boilr")}, "resource_ids boilr"),
        ({"party_ids": ("acme",)}, "party_ids acme"),
    ],
)
async def test_a_value_that_is_not_kept_is_refused_where_others_are(target: dict[str, Any], what: str) -> None:
    async with running() as vtn:
        wrong = event(target=Target(**target))
        assert (await vtn.preview(wrong)).everyone  # nothing is kept yet: the VENs know what they are
        await vtn.add_group("north")
        await vtn.add_resource("a", "boiler")
        for attempt in (vtn.preview, vtn.add_event):
            with pytest.raises(ModelError, match=what):
                await attempt(wrong)
        assert await vtn.events() == []
        await vtn.add_event(wrong, ven_ids=["a"])


async def test_an_event_for_nobody_is_published_and_said(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as vtn:
        await vtn.add_group("north")
        with caplog.at_level(logging.WARNING):
            await vtn.add_event(event(target=Target(group_ids=("north",))))
        assert "e1 is for nobody" in caplog.text


async def test_who_joins_gets_the_event_and_who_leaves_keeps_it(store: Store | str) -> None:
    vtn = server(store)
    one, two, three = await joined(vtn, "one", "two", "three")
    await vtn.add_group("g", ven_ids=["one"])
    await vtn.add_event(event("a", target=Target(group_ids=("g",))))
    await vtn.add_event(event("gone", target=Target(group_ids=("g",))))
    await vtn.cancel_event("gone")
    assert await two.is_idle()
    vtn = await again(vtn, store)
    one.vtn = two.vtn = three.vtn = vtn
    await vtn.add_to_group("g", ven_ids=["two"])
    assert ids(await two.poll(wire.OadrDistributeEvent)) == ["a"]
    await vtn.add_resource("three", "car")
    assert await told(three) == {}
    await vtn.add_to_group("g", resources=[("three", "car")])
    assert (await told(three))["a"].resource_id == ("car",)
    await vtn.remove_from_group("g", ven_ids=["one", "two"])
    assert set(await told(one)) == {"a", "gone"}
    assert (await told(one))["a"].ven_id == ("one",)
    await vtn.remove_group("g")
    assert set(await told(two)) == {"a"}
    await vtn.cancel_event("a")
    assert (await two.request_events()).events[0].event_descriptor.event_status == "cancelled"
    await vtn.stop()


async def test_a_changed_target_may_take_in_more_but_nobody_loses_it_silently() -> None:
    async with running() as vtn:
        one, two = await joined(vtn, "one", "two")
        await vtn.add_group("small", ven_ids=["one"])
        await vtn.add_group("large", ven_ids=["one", "two"])
        await vtn.add_event(event(target=Target(group_ids=("small",))))
        await vtn.change_event("e1", target=Target(group_ids=("large",)))
        assert (await told(two))["e1"].group_id == ("large",)
        with pytest.raises(LocalProtocolError, match="more VENs"):
            await vtn.change_event("e1", target=Target(group_ids=("small",)))
        changed = await vtn.change_event("e1", target=Target())
        assert changed.modification_number == 2
        assert (await told(one)).keys() == {"e1"}


async def test_an_opt_for_a_resource_of_the_group_is_taken() -> None:
    """What the VEN was told is what its opts are judged by (2.0b rule 206)."""
    async with running() as vtn:
        [ven] = await joined(vtn, "one")
        await vtn.add_group("g", resources=[("one", "car"), ("one", "boiler")])
        made = await vtn.add_event(event(target=Target(group_ids=("g",))))
        await ven.poll(wire.OadrDistributeEvent)
        for resource_id, code in (("car", "200"), ("bike", "462")):
            opt = wire.OadrCreateOpt(
                opt_id=f"o-{resource_id}",
                opt_type="optOut",
                opt_reason="economic",
                ven_id="one",
                created_date_time=made.start,
                request_id="x",
                event_id="e1",
                modification_number=0,
                target=wire.EiTarget(resource_id=(resource_id,)),
            )
            reply = await ven.send("EiOpt", opt, wire.OadrCreatedOpt)
            assert reply.response.response_code == code
