"""Many VENs at once, and how often each is to poll."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from pyopenadr.errors import ConfigError, LocalProtocolError
from pyopenadr.model import Member
from pyopenadr.v2 import wire
from pyopenadr.vtn.intake import Enrollee, Fault, check_poll_frequency, read_enrollees
from tests.unit.vtn.party import SecureVen, print_of
from tests.unit.vtn.sample import Ven, again, clock_of, running, server, store_at

LISTED = {"enrolment": "allow-list"}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_file_prepares_everything_and_the_vens_come_when_they_like(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "vens.csv"
    path.write_text(
        "ven_id,fingerprint,common_name,groups,poll_frequency\n"
        f"v1,{print_of('a')},,north; south,PT1M\n"
        "v2,,b,north,\n"
        ",,c,,\n"
    )
    store = store_at(kind, tmp_path)
    async with running(store, **LISTED) as vtn:
        for group_id in ("north", "south"):
            await vtn.add_group(group_id)
        assert await vtn.allow_file(path) == 3
        assert await vtn.allow_file(path) == 3
        assert await vtn.members() == [Member("north", "v1"), Member("north", "v2"), Member("south", "v1")]
        assert {ven.ven_id: ven.registration_id for ven in vtn.vens} == {"v1": None, "v2": None}
    vtn = await again(vtn, store, **LISTED)
    async with vtn:
        for shows, ven_id, seconds in (("a", "v1", 60), ("b", "v2", 10)):
            ven = SecureVen(vtn, shows=shows)
            reply = await ven.register("site")
            assert (reply.ven_id, reply.requested_oadr_poll_freq) == (ven_id, timedelta(seconds=seconds))
        codes = [(await SecureVen(vtn, shows=shows).register("site")).response.response_code for shows in "cd"]
        assert codes == ["200", "463"]


async def test_if_a_line_is_wrong_nothing_is_done_and_every_wrong_line_is_named() -> None:
    async with running(**LISTED) as vtn:
        await vtn.add_ven("taken", fingerprint=print_of("t"))
        lines = [
            Enrollee(ven_id="v1", fingerprint=print_of("a")),
            Enrollee(),
            Enrollee(ven_id="v1", common_name="b"),
            Enrollee(ven_id="v2", groups=("nowhere",)),
            Enrollee(common_name="c", groups=("north",)),
            Enrollee(ven_id="v3", fingerprint=print_of("t")),
            Enrollee(ven_id="taken", fingerprint=print_of("x"), line=70),
            Enrollee(ven_id="v4", poll_frequency=timedelta(seconds=0.5)),
            Enrollee(fingerprint="AA"),
        ]
        found = await vtn.enrol(lines)
        assert [fault.line for fault in found.faults] == [2, 3, 4, 5, 6, 70, 8, 9]
        assert found.faults[1] == Fault(3, "ven_id v1 stands in line 1 already")
        assert found.faults[5].detail.startswith("VEN 'taken' has another certificate")
        assert (found.done, await vtn.allowed(), len(vtn.vens)) == (False, [], 1)


async def test_a_dry_run_changes_nothing() -> None:
    async with running(**LISTED) as vtn:
        await vtn.add_ven("old")
        found = await vtn.enrol([Enrollee(ven_id="old"), Enrollee(ven_id="new")], dry_run=True)
        assert (found.vens, found.new, found.done, found.faults) == (2, 1, False, ())
        assert await vtn.allowed() == []
        assert [ven.ven_id for ven in vtn.vens] == ["old"]


async def test_a_registered_ven_keeps_its_registration_when_it_is_in_a_file_too() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join("one")
        await vtn.enrol([Enrollee(ven_id=ven.ven_id, poll_frequency=timedelta(minutes=5))])
        assert vtn.service.is_registered(ven.ven_id)
        assert isinstance(await ven.poll(wire.OadrRequestReregistration), wire.OadrRequestReregistration)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("ven_id,poll_frequency\nv1,often\n", "line 2: poll_frequency 'often' is no duration"),
        ("ven_id,resource\nv1,x\n", "first line must name columns"),
    ],
)
def test_a_file_that_makes_no_sense(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "vens.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=error):
        read_enrollees(path)


# --- how often --------------------------------------------------------------------------------------------------


async def test_each_ven_may_have_a_pace_of_its_own_and_is_asked_to_register_for_it() -> None:
    async with running(misses=3) as vtn:
        ven = await Ven(vtn).join("one")
        await vtn.set_poll_frequency(ven.ven_id, timedelta(minutes=2))
        assert isinstance(await ven.poll(wire.OadrRequestReregistration), wire.OadrRequestReregistration)
        reply = await ven.register("one", ven_id=ven.ven_id, registration_id=ven.registration_id)
        assert reply.requested_oadr_poll_freq == timedelta(minutes=2)
        assert await ven.is_idle()
        await clock_of(vtn).advance(timedelta(minutes=5))
        assert [one.online for one in vtn.vens] == [True]
        await clock_of(vtn).advance(timedelta(minutes=2))
        assert [one.online for one in vtn.vens] == [False]
        await vtn.set_poll_frequency(ven.ven_id, None)
        reply = await ven.register("one", ven_id=ven.ven_id, registration_id=ven.registration_id)
        assert reply.requested_oadr_poll_freq == timedelta(seconds=10)


async def test_who_has_that_pace_already_is_not_asked_again() -> None:
    async with running() as vtn:
        ven = await Ven(vtn).join("one")
        await vtn.set_poll_frequency(ven.ven_id, timedelta(seconds=10))
        assert await ven.is_idle()
        with pytest.raises(LocalProtocolError):
            await vtn.set_poll_frequency("nobody", None)


@pytest.mark.parametrize("frequency", [timedelta(0), timedelta(seconds=-1), timedelta(seconds=1.5)])
def test_a_pace_that_cannot_be_is_refused(frequency: timedelta) -> None:
    with pytest.raises(ConfigError, match="poll_frequency"):
        check_poll_frequency(frequency)


# --- IDs by other means -------------------------------------------------------------------------------------------


async def test_a_ven_may_have_both_its_ids_from_elsewhere() -> None:
    async with server(**LISTED) as vtn:
        made = await vtn.add_ven("v1", registration_id="r-77")
        assert (made.registration_id, (await vtn.add_ven("v1")).registration_id) == ("r-77", "r-77")
        ven = Ven(vtn, "v1")
        reply = await ven.register("one", ven_id="v1", registration_id="r-77")
        assert (reply.ven_id, reply.registration_id) == ("v1", "r-77")
        assert (await vtn.add_ven("v1", registration_id="r-78")).registration_id == "r-78"
