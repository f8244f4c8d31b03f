"""The rules on opts that a VTN follows, each seen from outside by a VEN made by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.model import OptType, Target
from pyopenadr.v2 import wire
from tests.conformance.scene import (
    cancel_opt,
    create_opt,
    create_report,
    offering,
)
from tests.unit.vtn.sample import (
    HOUR,
    MINUTE,
    SECOND,
    Ven,
    event,
    ids,
    running,
    wanted,
)


async def test_rule_200_vtn_a_time_of_availability_has_no_tolerance() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        tolerant = wire.WsCalendarInterval(dtstart=SECOND, duration=HOUR, start_after=MINUTE)
        assert (await create_opt(ven, vavailability=(tolerant,))).response_code.startswith("4")
        assert await vtn.opts(ven.ven_id) == []


async def test_rule_203_211_vtn_a_new_schedule_supersedes_and_the_old_one_can_still_be_cancelled() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await create_opt(ven, opt_id="old")
        await create_opt(ven, opt_id="new")
        assert [each.opt_id for each in await vtn.opts(ven.ven_id)] == ["new"]
        assert (await cancel_opt(ven, "old")).response_code == "200"


async def test_rule_204_vtn_all_schedules_with_an_id_go_together() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await create_opt(ven)
        await create_opt(ven, opt_type="optIn")
        assert (await cancel_opt(ven)).response_code == "200"
        assert await vtn.opts(ven.ven_id) == []


async def test_rule_206_vtn_an_opt_of_an_event_stands_until_another_one() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        message = await ven.poll(wire.OadrDistributeEvent)
        about = {"vavailability": None, "event_id": "e1", "modification_number": 0}
        assert (await create_opt(ven, **about)).response_code == "200"
        await ven.answer(message, "optIn")
        assert [answer.opt_type for answer in await vtn.answers()] == [OptType.OUT]


async def test_rule_207_303_vtn_request_ids_are_echoed_also_empty_ones() -> None:
    vtn, ven = await offering()
    for request_id in ("mine", ""):
        assert (await create_opt(ven, request_id=request_id)).request_id == request_id
        assert (await cancel_opt(ven, request_id=request_id)).request_id == request_id
        assert (
            await create_report(ven, wanted("m", "METADATA"), request_id=request_id)
        ).response.request_id == request_id
    assert (await ven.register_reports()).response.request_id == "rr1"
    assert (await ven.update_report()).response.request_id == "u1"
    await vtn.stop()


async def test_rule_208_vtn_an_unknown_opt_is_452() -> None:
    async with running() as vtn:
        assert (await cancel_opt(await Ven(vtn).join(), "unknown")).response_code == "452"


async def test_rule_210_vtn_an_availability_without_duration_is_for_ever() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        endless = wire.WsCalendarInterval(dtstart=SECOND, duration=timedelta(0))
        await create_opt(ven, vavailability=(endless,))
        [kept] = await vtn.opts(ven.ven_id)
        assert [span.end for span in kept.availability] == [None]


async def test_rule_211_vtn_an_opt_of_an_event_is_not_cancelled() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event())
        await create_opt(ven, vavailability=None, event_id="e1", modification_number=0)
        assert (await cancel_opt(ven)).response_code.startswith("4")
        assert len(await vtn.opts(ven.ven_id)) == 1


@pytest.mark.parametrize(("policy", "sent"), [("send", ["e1"]), ("skip", [])])
async def test_rule_201_vtn_whether_schedules_keep_events_away_is_a_setting(policy: str, sent: list[str]) -> None:
    async with running(opt_schedules=policy) as vtn:
        ven = await Ven(vtn).join()
        await create_opt(ven, vavailability=(wire.WsCalendarInterval(dtstart=SECOND, duration=3 * HOUR),))
        await vtn.add_event(event())
        assert ids(await ven.request_events()) == sent


async def test_rule_203_vtn_a_schedule_for_a_resource_replaces_only_that() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await create_opt(ven, opt_id="r1", target=wire.EiTarget(resource_id=("r1",)))
        await create_opt(ven, opt_id="r2", target=wire.EiTarget(resource_id=("r2",)))
        await create_opt(ven, opt_id="in", opt_type="optIn", target=wire.EiTarget(resource_id=("r1",)))
        await create_opt(ven, opt_id="new", target=wire.EiTarget(resource_id=("r1",)))
        assert sorted(each.opt_id for each in await vtn.opts(ven.ven_id)) == ["in", "new", "r2"]


@pytest.mark.parametrize(
    ("context", "sent"), [("http://market.example/a", []), ("HTTP://Market.Example/a", []), ("urn:other", ["e1"])]
)
async def test_rule_205_vtn_a_schedule_of_a_programme_is_for_its_events_alone(context: str, sent: list[str]) -> None:
    async with running(opt_schedules="skip") as vtn:
        ven = await Ven(vtn).join()
        all_day = wire.WsCalendarInterval(dtstart=SECOND, duration=3 * HOUR)
        await create_opt(ven, vavailability=(all_day,), market_context=context)
        await vtn.add_event(event())
        assert ids(await ven.request_events()) == sent


async def test_rule_206_vtn_an_opt_on_what_the_event_is_not_for_is_refused() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        await vtn.add_event(event(target=Target(resource_ids=("r1", "r2"))))
        about: dict[str, Any] = {"vavailability": None, "event_id": "e1", "modification_number": 0}
        for fields, code in (
            ({"target": wire.EiTarget(resource_id=("r9",))}, "462"),
            ({"event_id": "unknown"}, "452"),
            ({"modification_number": 1}, "450"),
            ({"target": wire.EiTarget(resource_id=("r1",))}, "200"),
        ):
            assert (await create_opt(ven, **(about | fields))).response_code == code
        assert len(await vtn.opts(ven.ven_id)) == 1


async def test_rule_209_vtn_a_device_class_is_one_of_the_list() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join()
        for target, is_good in (
            (wire.EiTarget(end_device_asset=("EVSE",)), True),
            (wire.EiTarget(resource_id=("r1",)), False),
        ):
            assert ((await create_opt(ven, device_class=target)).response_code == "200") is is_good
        [kept] = await vtn.opts(ven.ven_id)
        assert kept.device_classes == ("EVSE",)
