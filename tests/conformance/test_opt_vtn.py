"""The rules on opts that a VTN follows, each seen from outside by a VEN made by hand."""

from __future__ import annotations

from datetime import timedelta

from pyopenadr.model import OptType
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
