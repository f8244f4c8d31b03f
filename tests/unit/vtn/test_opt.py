"""Opts: a VEN's word on an event, its schedules, and which of them are in force."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.model import Opt, OptType, Span, Target
from pyopenadr.model.schedule import in_force
from pyopenadr.store import Store
from pyopenadr.v2 import wire
from tests.unit.vtn.sample import HOUR, NOW, Ven, again, event, event_response, running, server

SECOND = NOW.replace(microsecond=0)
IN, OUT = OptType.IN, OptType.OUT


def create(ven: Ven, **fields: Any) -> wire.OadrCreateOpt:
    """An opt about event e1, unless told otherwise."""
    defaults: dict[str, Any] = {
        "opt_id": "o1",
        "opt_type": "optOut",
        "opt_reason": "economic",
        "ven_id": ven.ven_id,
        "created_date_time": NOW,
        "request_id": "co1",
        "target": wire.EiTarget(ven_id=(ven.ven_id,)),
        "event_id": "e1",
        "modification_number": 0,
    }
    return wire.OadrCreateOpt(**(defaults | fields))


def schedule(ven: Ven, **fields: Any) -> wire.OadrCreateOpt:
    """An hour in which the VEN is not there."""
    available = wire.WsCalendarInterval(dtstart=SECOND, duration=HOUR)
    return create(ven, **({"event_id": None, "modification_number": None, "vavailability": (available,)} | fields))


async def opt(ven: Ven, message: wire.OadrCreateOpt) -> str:
    reply = await ven.send("EiOpt", message, wire.OadrCreatedOpt)
    assert (reply.opt_id, reply.response.request_id) == (message.opt_id, message.request_id)
    return reply.response.response_code


async def cancel(ven: Ven, opt_id: str) -> str:
    message = wire.OadrCancelOpt(request_id="x1", opt_id=opt_id, ven_id=ven.ven_id)
    reply = await ven.send("EiOpt", message, wire.OadrCanceledOpt)
    assert (reply.opt_id, reply.response.request_id) == (opt_id, "x1")
    return reply.response.response_code


async def answers(ven: Ven) -> list[tuple[OptType, int, bool]]:
    found = await ven.vtn.answers(ven_id=ven.ven_id)
    return [(answer.opt_type, answer.modification_number, answer.by_opt) for answer in found]


async def test_an_opt_is_an_answer_that_a_later_answer_does_not_overrule(store: Store | str) -> None:
    vtn = server(store)
    ven = await Ven(vtn).join()
    await vtn.add_event(event())
    await ven.answer(await ven.poll(wire.OadrDistributeEvent))
    assert await answers(ven) == [(IN, 0, False)]
    for _ in range(2):  # the second time because the reply is lost
        assert await opt(ven, create(ven)) == "200"
    vtn = await again(vtn, store)
    ven.vtn = vtn
    assert await answers(ven) == [(OUT, 0, True)]
    assert len(await vtn.opts(ven.ven_id)) == 1
    await vtn.change_event("e1", priority=1)
    await ven.answer(await ven.poll(wire.OadrDistributeEvent), "optIn")
    assert await answers(ven) == [(OUT, 1, True)]  # also for the new version
    assert await ven.is_idle()
    assert await opt(ven, create(ven, opt_type="optIn", modification_number=1)) == "200"
    assert await answers(ven) == [(IN, 1, True)]
    await vtn.stop()


async def test_an_opt_of_a_former_registration_binds_nobody() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        await opt(ven, create(ven))
        await vtn.clock.advance(1)  # type: ignore[attr-defined]  # it is a FakeClock
        await ven.join()
        await ven.answer(await ven.poll(wire.OadrDistributeEvent), "optIn")
        assert await answers(ven) == [(IN, 0, False)]


@pytest.mark.parametrize(
    "part",
    [
        {"target": wire.EiTarget(resource_id=("r1",))},
        {"device_class": wire.EiTarget(end_device_asset=("Thermostat",))},
    ],
)
async def test_an_opt_of_a_part_is_no_answer_of_the_ven_as_a_whole(part: dict[str, Any]) -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        assert await opt(ven, create(ven, **part)) == "200"
        assert await answers(ven) == []
        assert len(await vtn.opts(ven.ven_id)) == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"event_id": "unknown"}, "452"),
        ({"modification_number": 1}, "450"),
        ({"target": wire.EiTarget(resource_id=("r1", "r9"))}, "462"),
        ({"target": wire.EiTarget(group_id=("g1",))}, "462"),
        ({"target": wire.EiTarget(ven_id=("other",))}, "452"),
        ({"market_context": "http://market.example/a"}, "459"),
        ({"vavailability": (wire.WsCalendarInterval(dtstart=SECOND, duration=HOUR),)}, "459"),
        ({"event_id": None, "modification_number": None}, "459"),
        ({"device_class": wire.EiTarget(resource_id=("r1",))}, "459"),
        ({"target": wire.EiTarget(resource_id=("r1",))}, "200"),
        ({"target": wire.EiTarget()}, "200"),
    ],
)
async def test_an_opt_that_does_not_fit_the_event_changes_nothing(fields: dict[str, Any], code: str) -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event(target=Target(resource_ids=("r1", "r2"))))
        assert await opt(ven, create(ven, **fields)) == code
        assert len(await vtn.opts(ven.ven_id)) == (code == "200")
        if code != "200":
            assert await answers(ven) == []


async def test_the_user_may_refuse_an_opt() -> None:
    async with running(on_create_opt=lambda payload: payload["opt_reason"] != "economic") as vtn:
        ven = await Ven(vtn).join()
        assert await opt(ven, schedule(ven)) == "459"
        assert await opt(ven, schedule(ven, opt_reason="emergency")) == "200"
        assert [o.opt_reason for o in await vtn.opts(ven.ven_id)] == ["emergency"]


async def test_a_schedule_is_kept_and_cancelled_by_its_id(store: Store | str) -> None:
    vtn = server(store)
    ven = await Ven(vtn).join()
    await vtn.add_event(event())
    await opt(ven, schedule(ven))
    await opt(ven, schedule(ven, opt_type="optIn"))
    await opt(ven, create(ven, opt_id="o2"))
    vtn = await again(vtn, store)
    ven.vtn = vtn
    assert [(o.opt_type, o.availability) for o in await vtn.opts(ven.ven_id)][:2] == [
        (OUT, (Span(SECOND, SECOND + HOUR),)),
        (IN, (Span(SECOND, SECOND + HOUR),)),
    ]
    assert await cancel(ven, "unknown") == "452"
    assert await cancel(ven, "o2") == "459"
    assert await cancel(ven, "o1") == "200"
    assert [o.opt_id for o in await vtn.opts(ven.ven_id)] == ["o2"]
    assert await cancel(ven, "o1") == "452"
    await vtn.stop()


async def test_an_answer_to_another_version_does_not_touch_an_opt() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        await opt(ven, create(ven))
        assert (await ven.created_event([event_response("e1", 3)])).response.response_code == "450"
        assert await answers(ven) == [(OUT, 0, True)]


# --- which schedules are in force (rule 203) ----------------------------------------------------------------------


def kept(opt_id: str, *resources: str, opt_type: OptType = OUT, **fields: Any) -> Opt:
    defaults: dict[str, Any] = {
        "opt_id": opt_id,
        "ven_id": "v",
        "opt_type": opt_type,
        "opt_reason": "economic",
        "created_date_time": SECOND,
        "availability": (Span(SECOND, SECOND + timedelta(hours=1)),),
        "target": Target(ven_ids=("v",), resource_ids=resources),
    }
    return Opt(**(defaults | fields))


@pytest.mark.parametrize(
    ("opts", "expected"),
    [
        ([kept("a"), kept("b")], [("b", ())]),
        ([kept("a", "r1"), kept("b")], [("b", ())]),
        ([kept("a"), kept("b", "r1")], [("a", ()), ("b", ("r1",))]),
        ([kept("a", "r1", "r2"), kept("b", "r1")], [("a", ("r2",)), ("b", ("r1",))]),
        ([kept("a", "r1"), kept("b", "r1")], [("b", ("r1",))]),
        ([kept("a", "r1"), kept("b", "r2")], [("a", ("r1",)), ("b", ("r2",))]),
        ([kept("a"), kept("b", opt_type=IN)], [("a", ()), ("b", ())]),
        ([kept("a"), kept("b", market_context="http://m")], [("a", ()), ("b", ())]),
        ([kept("a"), kept("b", device_classes=("Thermostat",))], [("a", ()), ("b", ())]),
        ([kept("a"), kept("b", event_id="e1")], [("a", ()), ("b", ())]),
        ([kept("a", event_id="e1"), kept("b", event_id="e1", opt_type=IN)], [("b", ())]),
    ],
)
def test_later_schedules_supersede_earlier_ones(opts: list[Opt], expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert [(opt.opt_id, opt.target.resource_ids) for opt in in_force(opts)] == expected
