"""A restart goes on where it stopped: whatever the moment at which the process died."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import TransportError
from pyopenadr.model import DataPoint, Event, OptType, Reading, Span
from pyopenadr.v2 import wire
from pyopenadr.v2.bridge import lift_readings, lower_request
from pyopenadr.v2.faults import response
from pyopenadr.ven import OpenADRClient
from pyopenadr.ven.state import Ledger, MemoryLedger
from tests.unit.ven.mortal import MortalLedger, mortal
from tests.unit.ven.scripted import HOUR, NOW, ScriptedVtn, client_of, event, ok, problems, refusal, running
from tests.unit.ven.test_report import ENERGY, MINUTE, POWER, TEN, WANTED, metadata, periodic, piggyback, update

BOOTSTRAP = ["oadrCreatePartyRegistration", "oadrRegisterReport", "oadrRequestEvent"]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def vtn() -> ScriptedVtn:
    return ScriptedVtn()


@pytest.fixture
def state() -> MemoryLedger:
    return MemoryLedger()


class Site:
    """A VEN whose user's code notes what it is asked."""

    def __init__(self, vtn: ScriptedVtn, clock: FakeClock, state: Ledger, **settings: Any) -> None:
        self.clock = clock
        self.asked: list[tuple[str, int, bool]] = []
        self.measured: list[float] = []
        # Each process draws other lots.
        draw = random.Random(f"{clock.now()} {len(vtn.log)}")
        self.client = client_of(vtn, clock, state=state, on_event=self.on_event, random=draw, **settings)
        self.client.add_report(points=[POWER], source=self.measure)

    async def on_event(self, it: Event) -> str:
        self.asked.append((it.event_id, it.modification_number, it.cancelled))
        return "optIn"

    async def measure(self) -> float:
        self.measured.append((self.clock.now() - NOW).total_seconds())
        return self.measured[-1]


def wants(vtn: ScriptedVtn, client: OpenADRClient, *, every: timedelta = TEN, back: timedelta = MINUTE) -> None:
    """Have the VTN ask for telemetry when it is told what there is."""
    specifier = client.capabilities[0].report_specifier_id
    piggyback(vtn, periodic(every=every, back=back, report_specifier_id=specifier))


def taken(vtn: ScriptedVtn) -> list[Reading]:
    """All readings that the VTN has ever been sent."""
    return [
        reading
        for message in vtn.sent(wire.OadrUpdateReport)
        for report in message.reports
        for reading in lift_readings(report)
    ]


def seconds(readings: list[Reading]) -> list[float]:
    return [(reading.start - NOW).total_seconds() for reading in readings]


# -- the registration ------------------------------------------------------------------------------------------------


async def test_the_registration_is_taken_up(vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger) -> None:
    async with running(client_of(vtn, clock, state=state), clock):
        assert vtn.names() == BOOTSTRAP
    vtn.log.clear()
    client = client_of(vtn, clock, state=state)
    assert (client.ven_id, client.registration_id, client.vtn_id) == ("ven-1", "reg-1", "vtn-1")
    assert client.registered
    assert client.poll_interval == TEN
    async with running(client, clock):
        assert vtn.names() == ["oadrRequestEvent"], "only what became of the events has to be asked"
        assert vtn.sent(wire.OadrPoll)


async def test_other_reports_than_before_are_told(vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger) -> None:
    async with running(Site(vtn, clock, state).client, clock):
        pass
    vtn.log.clear()
    client = client_of(vtn, clock, state=state)
    client.add_report(points=[POWER, ENERGY])
    async with running(client, clock):
        assert vtn.names() == BOOTSTRAP[1:]


@pytest.mark.parametrize("code", ["452", "463"])
async def test_a_vtn_that_has_forgotten_the_ven_is_registered_with_again(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger, code: str
) -> None:
    async with running(client_of(vtn, clock, state=state), clock):
        pass
    vtn.log.clear()
    for kind in (wire.OadrPoll, wire.OadrRequestEvent):
        vtn.rules[kind] = lambda _: refusal(code) if not vtn.sent(wire.OadrCreatePartyRegistration) else ok()
    async with running(client_of(vtn, clock, state=state), clock) as client:
        await clock.advance(20)
        assert vtn.names()[-3:] == BOOTSTRAP
        assert vtn.last(wire.OadrCreatePartyRegistration).ven_id is None
        assert client.registered


async def test_a_registration_that_was_ended_stays_ended(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    async with running(client_of(vtn, clock, state=state), clock) as client:
        await client.cancel_party_registration()
    client = client_of(vtn, clock, state=state)
    assert not client.registered
    assert client.ven_id is None


async def test_the_vtns_wish_for_a_new_registration_is_not_forgotten(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    async with running(client_of(vtn, clock, state=state), clock):
        vtn.rules[wire.OadrCreatePartyRegistration] = lambda _: TransportError("away")
        vtn.queue.append(wire.OadrRequestReregistration(ven_id="ven-1"))
        await clock.advance(10)
    vtn.rules.clear()
    vtn.log.clear()
    async with running(client_of(vtn, clock, state=state), clock):
        assert vtn.names()[0] == "oadrCreatePartyRegistration"
        assert vtn.last(wire.OadrCreatePartyRegistration).registration_id == "reg-1"


async def test_a_ven_id_of_the_configuration_overrules_the_state(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    async with running(client_of(vtn, clock, state=state), clock):
        pass
    assert client_of(vtn, clock, state=state, ven_id="ven-1").registered
    other = client_of(vtn, clock, state=state, ven_id="ven-2")
    assert (other.ven_id, other.registered) == ("ven-2", False)


# -- events ----------------------------------------------------------------------------------------------------------


async def test_events_with_their_answers_and_offsets(vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger) -> None:
    vtn.events = [event(start_after=HOUR)]
    first = Site(vtn, clock, state)
    async with running(first.client, clock):
        known = first.client.events["e1"]
        assert known.offset > timedelta(0)
    second = Site(vtn, clock, state)
    assert second.client.events == {"e1": known}
    async with running(second.client, clock):
        assert second.client.executed_span("e1").start == NOW + HOUR + known.offset
        assert second.asked == []


async def test_a_question_that_was_not_answered_is_asked_again(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    async def hangs(_: Event) -> str:
        await clock.sleep(1000)
        return "optIn"

    vtn.events = [event()]
    async with running(client_of(vtn, clock, state=state, on_event=hangs, handler_timeout_s=5), clock) as client:
        await clock.advance(6)
        assert client.events["e1"].opt_type is OptType.OUT, "the default, for the time being"
    vtn.rules[wire.OadrRequestEvent] = lambda _: TransportError("the VTN is not needed for that")
    site = Site(vtn, clock, state)
    async with running(site.client, clock):
        assert site.asked == [("e1", 0, False)]
        assert vtn.last(wire.OadrCreatedEvent).event_responses is not None
        assert site.client.events["e1"].opt_type is OptType.IN
    again = Site(vtn, clock, state)
    async with running(again.client, clock):
        assert again.asked == []


async def test_an_answer_that_was_not_sent_is_sent(vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger) -> None:
    vtn.events = [event()]
    vtn.rules[wire.OadrCreatedEvent] = lambda _: TransportError("lost")
    async with running(Site(vtn, clock, state).client, clock):
        pass
    vtn.rules = {wire.OadrRequestEvent: lambda _: TransportError("lost")}
    vtn.log.clear()
    site = Site(vtn, clock, state)
    async with running(site.client, clock):
        (answer,) = vtn.last(wire.OadrCreatedEvent).event_responses or ()
        assert (answer.event_id, answer.opt_type, answer.request_id) == ("e1", "optIn", "d-1")
        assert site.asked == []
        assert site.client.unsent == 0


async def test_an_event_that_still_runs_out_ends_after_the_restart(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    vtn.events = [event(start=NOW - HOUR / 2, start_after=HOUR / 4)]
    first = Site(vtn, clock, state)
    async with running(first.client, clock):
        vtn.events = []
        vtn.queue.append(vtn.distribute())
        await clock.advance(10)
        assert first.asked == [("e1", 0, False)], "it ends at random, later"
    second = Site(vtn, clock, state)
    async with running(second.client, clock):
        await clock.advance(HOUR)
        assert second.asked == [("e1", 0, True)]
    third = Site(vtn, clock, state)
    async with running(third.client, clock):
        await clock.advance(HOUR)
        assert third.asked == []


async def test_an_event_that_was_cancelled_in_the_meantime(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    vtn.events = [event()]
    async with running(Site(vtn, clock, state).client, clock):
        pass
    vtn.events = [event("e2")]
    site = Site(vtn, clock, state)
    async with running(site.client, clock):
        assert sorted(site.asked) == [("e1", 0, True), ("e2", 0, False)]


async def test_availabilities_are_remembered(vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger) -> None:
    client = client_of(vtn, clock, state=state)
    await client.create_party_registration()
    await client.create_opt("optOut", opt_id="holiday", availability=[Span(NOW, NOW + HOUR)])
    assert list(client_of(vtn, clock, state=state).opts) == ["holiday"]
    again = client_of(vtn, clock, state=state)
    await again.cancel_opt("holiday")
    assert not client_of(vtn, clock, state=state).opts


# -- reports ---------------------------------------------------------------------------------------------------------


async def test_a_report_goes_on_at_its_own_times(vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger) -> None:
    first = Site(vtn, clock, state)
    wants(vtn, first.client)
    async with running(first.client, clock):
        await clock.advance(34)
        assert taken(vtn) == []
    await clock.advance(21)
    second = Site(vtn, clock, state)
    assert list(second.client.report_requests) == ["rr"]
    async with running(second.client, clock):
        await clock.advance(64)
        assert len(vtn.sent(wire.OadrRegisterReport)) == 1
        assert seconds(taken(vtn)) == [0, 10, 20, 30], "40 and 50 were missed, 60 waits for the next report"
        await clock.advance(2)
        assert seconds(taken(vtn)) == [0, 10, 20, 30, 60, 70, 80, 90, 100, 110]


async def test_a_report_whose_end_has_passed_is_sent_with_what_there_is(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    first = Site(vtn, clock, state)
    specifier = first.client.capabilities[0].report_specifier_id
    piggyback(vtn, periodic(report_specifier_id=specifier, duration=2 * MINUTE))
    async with running(first.client, clock):
        await clock.advance(75)
    await clock.advance(HOUR)
    second = Site(vtn, clock, state)
    async with running(second.client, clock):
        assert seconds(taken(vtn)) == [0, 10, 20, 30, 40, 50, 60, 70]
        assert second.measured == []
        assert not second.client.report_requests
    third = Site(vtn, clock, state)
    async with running(third.client, clock):
        assert len(taken(vtn)) == 8


async def test_readings_wait_for_the_vtn_over_restarts_and_arrive_in_order(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    site = Site(vtn, clock, state)
    wants(vtn, site.client, back=TEN)
    vtn.rules[wire.OadrUpdateReport] = lambda _: TransportError("away")
    for _ in range(3):
        async with running(site.client, clock):
            await clock.advance(25)
            assert site.client.unsent > 0
        site = Site(vtn, clock, state)
    tried = {message.request_id: message.reports for message in vtn.sent(wire.OadrUpdateReport)}
    vtn.log.clear()
    del vtn.rules[wire.OadrUpdateReport]
    async with running(site.client, clock):
        await clock.advance(1)
        assert seconds(taken(vtn)) == [0, 10, 20, 30, 40, 50, 60, 70]
        assert [reading.value for reading in taken(vtn)] == seconds(taken(vtn))
        for message in vtn.sent(wire.OadrUpdateReport):
            assert tried.get(message.request_id, message.reports) == message.reports, "a repetition is a repetition"
        assert (site.client.unsent, site.client.dropped) == (0, 0)


async def test_the_backlog_has_bounds_and_counts_what_it_drops(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger, caplog: pytest.LogCaptureFixture
) -> None:
    site = Site(vtn, clock, state, most_unsent=4, keep_unsent=HOUR)
    wants(vtn, site.client, back=TEN)
    vtn.rules[wire.OadrUpdateReport] = lambda _: TransportError("away")
    async with running(site.client, clock):
        await clock.advance(95)
        assert site.client.dropped == 6
    assert any("given up" in line and "6 so far" in line for line in problems(caplog.records))
    await clock.advance(2 * HOUR)
    site = Site(vtn, clock, state, most_unsent=4, keep_unsent=HOUR)
    async with running(site.client, clock):
        assert site.client.dropped == 9, "the newest always stays"
        vtn.log.clear()
        del vtn.rules[wire.OadrUpdateReport]
        await clock.advance(70)
        assert seconds(taken(vtn))[0] == 90


async def test_readings_outlive_a_vtn_that_forgets_us(vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger) -> None:
    site = Site(vtn, clock, state)
    wants(vtn, site.client, back=TEN)
    async with running(site.client, clock):
        vtn.rules[wire.OadrUpdateReport] = lambda _: TransportError("away")
        await clock.advance(25)
        vtn.log.clear()
        for kind in (wire.OadrPoll, wire.OadrUpdateReport):
            vtn.rules[kind] = lambda _: refusal("463") if not vtn.sent(wire.OadrCreatePartyRegistration) else ok()
        vtn.rules[wire.OadrUpdateReport] = lambda m: (
            refusal("463")
            if not vtn.sent(wire.OadrCreatePartyRegistration)
            else wire.OadrUpdatedReport(response=response(m.request_id))
        )
        await clock.advance(60)
        assert {10, 20} <= set(seconds(taken(vtn)))
        assert site.client.dropped == 0


async def test_a_vtn_that_never_knows_us_does_not_get_a_report_for_ever(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger
) -> None:
    site = Site(vtn, clock, state)
    specifier = site.client.capabilities[0].report_specifier_id
    vtn.rules[wire.OadrRegisterReport] = lambda m: wire.OadrRegisteredReport(
        response=response(m.request_id),
        report_requests=()
        if len(vtn.sent(wire.OadrRegisterReport)) > 1
        else tuple(map(lower_request, [periodic(back=TEN, report_specifier_id=specifier, duration=TEN)])),
    )
    vtn.rules[wire.OadrUpdateReport] = lambda _: refusal("463")
    async with running(site.client, clock):
        await clock.advance(HOUR)
        assert len(vtn.sent(wire.OadrCreatePartyRegistration)) <= 4
        assert site.client.unsent == 0
        assert site.client.dropped == len(site.measured)


async def test_what_is_not_offered_any_more_ends(
    vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger, caplog: pytest.LogCaptureFixture
) -> None:
    first = Site(vtn, clock, state)
    wants(vtn, first.client)
    async with running(first.client, clock):
        await clock.advance(5)
    async with running(client_of(vtn, clock, state=state), clock) as client:
        assert not client.report_requests
    assert any("not offered any more" in line for line in problems(caplog.records))


async def test_what_we_want_of_the_vtn_is_remembered(vtn: ScriptedVtn, clock: FakeClock, state: MemoryLedger) -> None:
    async with running(client_of(vtn, clock, state=state), clock) as client:
        vtn.queue.append(metadata())
        await clock.advance(10)
        await client.create_report([WANTED])
    again = client_of(vtn, clock, state=state)
    assert [capability.report_specifier_id for capability in again.vtn_capabilities] == ["vtn-spec"]
    assert list(again._parts.requester.requests) == ["mine"]
    async with running(again, clock):
        vtn.queue.append(update())
        await clock.advance(10)
        assert vtn.last(wire.OadrUpdatedReport).response.response_code == "200"


def test_the_default_specifier_is_the_same_each_time(vtn: ScriptedVtn) -> None:
    def specifiers() -> list[str]:
        client = client_of(vtn)
        points: list[list[DataPoint]] = [[POWER], [POWER], [ENERGY]]
        return [client.add_report(points=some) for some in points]

    assert specifiers() == specifiers()
    assert len(set(specifiers())) == 3


# -- death at any moment ---------------------------------------------------------------------------------------------


async def live(
    life: int | None,
) -> tuple[int, dict[float, set[tuple[object, str]]], list[tuple[str, int, bool]], ScriptedVtn]:
    """Two minutes in which the process dies once and starts again at once; how many commits there were."""
    clock = FakeClock(NOW)
    vtn = ScriptedVtn()
    vtn.clock = clock
    stored: defaultdict[float, set[tuple[object, str]]] = defaultdict(set)

    def store(message: wire.OadrUpdateReport) -> wire.OadrUpdatedReport:
        for report in message.reports:
            for reading in lift_readings(report):
                stored[(reading.start - NOW).total_seconds()].add((reading.value, message.request_id))
        return wire.OadrUpdatedReport(response=response(message.request_id))

    vtn.rules[wire.OadrUpdateReport] = store
    vtn.events = [event("a"), event("b")]
    first = MortalLedger(life=life)
    site = Site(vtn, clock, first)
    wants(vtn, site.client, back=2 * TEN)
    asked = site.asked
    left = 120.0
    async with mortal(site.client, first, clock):
        while left and not first.dead:
            await clock.advance(1)
            left -= 1
            if left == 85:
                vtn.events = [event("a", modification_number=1, priority=1)]
                vtn.queue.append(vtn.distribute())
    if first.dead:
        if left > 85:
            vtn.events = [event("a", modification_number=1, priority=1)]
        vtn.queue.clear()
        second = MortalLedger(first.grave)
        site = Site(vtn, clock, second)
        async with mortal(site.client, second, clock):
            await clock.advance(left + 20)
        asked = asked + site.asked
    return first.commits, stored, asked, vtn


async def test_death_at_every_single_commit_loses_and_repeats_nothing() -> None:
    commits, stored, asked, _ = await live(None)
    assert commits > 20
    assert sorted(stored) == [10 * k for k in range(12)]
    for life in range(1, commits):
        _, stored, asked, vtn = await live(life)
        due = [10.0 * k for k in range(12)]
        missing = [instant for instant in due if instant not in stored]
        assert len(missing) <= 1, f"life {life}: only the instant of the death may be missing, not {missing}"
        assert set(map(len, stored.values())) == {1}, (
            f"life {life}: a reading arrives in one message, or its repetition"
        )
        calls = Counter(asked)
        assert calls["a", 1, False] >= 1
        # Twice only if it died while the call was under way, that is, before the answer was noted.
        assert max(calls.values()) <= 2, f"life {life}: {calls}"
        assert sum(calls.values()) - len(calls) <= 2, f"life {life}: {calls}"
        answered = {
            (answer.event_id, answer.modification_number, answer.opt_type)
            for message in vtn.sent(wire.OadrCreatedEvent)
            for answer in message.event_responses or ()
        }
        assert ("a", 1, "optIn") in answered
