"""openleadr's VEN against our VTN: registration, events, opts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pyopenadr.model import Event, Interval, OptType, ResponseRequired, Signal, Span, Target, Unit
from pyopenadr.store.port import Answer
from pyopenadr.v2 import decode, wire
from pyopenadr.vtn.server import OpenADRServer
from tests.interop.peer import Peer, eventually

pytestmark = pytest.mark.interop

VTN_ID = "VTN_1"
PATH = "/OpenADR2/Simple/2.0b"
HOUR = timedelta(hours=1)


def soon() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + HOUR


@pytest.fixture
async def vtn() -> AsyncIterator[OpenADRServer]:
    """Our VTN; it asks VENs to poll once an hour, so that a test says when."""
    async with OpenADRServer(VTN_ID, port=0, poll_frequency=HOUR) as server:
        yield server


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer("openleadr_ven") as process:
        yield process


async def connect(peer: Peer, vtn: OpenADRServer, **settings: Any) -> str:
    """Start the VEN in its automatic mode, which registers and polls once; its venID."""
    await peer.ask("start", name="laboratory", url=vtn.url + PATH, run=True, **settings)
    ven_id = (await peer.ask("state"))["ven_id"]
    assert isinstance(ven_id, str)
    return ven_id


async def poll(peer: Peer) -> None:
    await peer.ask("call", method="_poll")


async def sent(peer: Peer) -> list[wire.Message]:
    """What the VEN has sent, read strictly."""
    return [decode(text.encode()).message for text in (await peer.ask("traffic"))["sent"]]


# --- registration ---------------------------------------------------------------------------------------------------


async def test_it_registers_and_takes_its_ids_and_the_frequency_from_us(vtn: OpenADRServer, peer: Peer) -> None:
    ven_id = await connect(peer, vtn)
    (known,) = vtn.vens
    state = await peer.ask("state")
    assert (known.ven_name, known.ven_id, known.online) == ("laboratory", ven_id, True)
    assert (state["ven_id"], state["registration_id"]) == (known.ven_id, known.registration_id)
    assert state["poll_frequency"] == HOUR.total_seconds()


async def test_all_that_it_sends_is_valid_and_comes_in_the_order_of_the_standard(
    vtn: OpenADRServer, peer: Peer
) -> None:
    await connect(peer, vtn, reports=True)
    assert [message.message_type for message in await sent(peer)] == [
        "oadrQueryRegistration",
        "oadrCreatePartyRegistration",
        "oadrRegisterReport",
        "oadrRequestEvent",
        "oadrPoll",
        "oadrRegisteredReport",
    ]


async def test_it_gives_none_as_its_address(vtn: OpenADRServer, peer: Peer) -> None:
    """It has no address to give in pull mode, and then the word None stands there."""
    await connect(peer, vtn)
    (create,) = [each for each in await sent(peer) if isinstance(each, wire.OadrCreatePartyRegistration)]
    assert create.transport_address == "None"
    assert vtn.vens[0].push_address is None


async def test_a_refused_ven_knows_that_it_is_not_registered(vtn: OpenADRServer, peer: Peer) -> None:
    vtn.on_create_party_registration = lambda payload: False
    await peer.ask("start", name="laboratory", url=vtn.url + PATH, run=True)
    assert (await peer.ask("state"))["registration_id"] is None
    assert vtn.vens == []


async def test_it_registers_again_with_its_ids_when_we_ask(vtn: OpenADRServer, peer: Peer) -> None:
    ven_id = await connect(peer, vtn)
    before = vtn.vens[0].registration_id
    await vtn.request_reregistration(ven_id)
    await poll(peer)
    assert [message.message_type for message in (await sent(peer))[-4:]] == [
        "oadrResponse",
        "oadrCreatePartyRegistration",
        "oadrRegisterReport",
        "oadrRequestEvent",
    ]
    assert vtn.vens[0].registration_id == before
    assert (await peer.ask("state"))["registration_id"] == before
    await poll(peer)
    assert (await sent(peer))[-1].message_type == "oadrPoll"  # it is not asked a second time


async def test_it_ends_the_registration_when_we_ask(vtn: OpenADRServer, peer: Peer) -> None:
    ven_id = await connect(peer, vtn)
    await vtn.cancel_registration(ven_id)
    await poll(peer)
    assert (await peer.ask("state"))["registration_id"] is None
    assert vtn.vens[0].registration_id is None


async def test_it_ends_the_registration_itself(vtn: OpenADRServer, peer: Peer) -> None:
    await connect(peer, vtn)
    await peer.ask("call", method="cancel_party_registration")
    assert (await peer.ask("state"))["registration_id"] is None
    assert vtn.vens[0].registration_id is None


# --- events ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def fast() -> AsyncIterator[OpenADRServer]:
    """Our VTN; it asks VENs to poll every second."""
    async with OpenADRServer(VTN_ID, port=0, poll_frequency=timedelta(seconds=1)) as server:
        yield server


def answered(vtn: OpenADRServer, event_id: str, modification_number: int) -> Callable[[], Awaitable[Answer | None]]:
    async def find() -> Answer | None:
        answers = await vtn.answers(event_id)
        return next((each for each in answers if each.modification_number == modification_number), None)

    return find


async def test_an_event_is_told_changed_and_cancelled_while_it_polls_by_itself(fast: OpenADRServer, peer: Peer) -> None:
    await connect(peer, fast)
    event = await fast.add_event(start=soon(), intervals=[(HOUR, 1)])
    answer: Answer = await eventually(answered(fast, event.event_id, 0))
    assert (answer.opt_type, answer.response_code) == (OptType.IN, "200")

    await peer.ask("set_opt", opt_type="optOut")
    await fast.change_event(event.event_id, priority=1)
    answer = await eventually(answered(fast, event.event_id, 1))
    assert (answer.opt_type, answer.response_code) == (OptType.OUT, "200")

    await fast.cancel_event(event.event_id)
    await eventually(answered(fast, event.event_id, 2))
    assert (await peer.ask("state"))["heard"] == [
        ["new", event.event_id, 0, "far", [[1.0]]],
        ["changed", event.event_id, 1, "far", [[1.0]]],
        ["changed", event.event_id, 2, "cancelled", [[1.0]]],
    ]


async def test_an_event_with_all_that_we_can_say_arrives_with_its_values(vtn: OpenADRServer, peer: Peer) -> None:
    await connect(peer, vtn)
    price = Signal(
        signal_name="ELECTRICITY_PRICE",
        signal_type="price",
        signal_id="price",
        unit=Unit(name="currencyPerKWh", symbol="EUR", scale="none"),
        intervals=(Interval(HOUR, 0.25), Interval(HOUR, 0.5)),
    )
    level = Signal(signal_name="SIMPLE", signal_type="level", signal_id="level", intervals=(Interval(2 * HOUR, 2.0),))
    event = await vtn.add_event(
        Event(
            event_id="EVENT-1",
            start=soon(),
            duration=2 * HOUR,
            signals=(price, level),
            created_date_time=datetime.now(UTC),
            market_context="http://example.com/programme",
            priority=3,
            start_after=timedelta(minutes=5),
            ramp_up=timedelta(minutes=1),
            recovery=timedelta(minutes=1),
            target=Target(group_ids=("north", "south"), resource_ids=("roof",)),
            vtn_comment="5 < 6 & \N{SNOWMAN}",
        )
    )
    await poll(peer)
    assert (await peer.ask("state"))["heard"] == [["new", "EVENT-1", 0, "far", [[0.25, 0.5], [2.0]]]]
    assert [answer.opt_type for answer in await vtn.answers(event.event_id)] == [OptType.IN]


async def test_an_event_without_an_end(vtn: OpenADRServer, peer: Peer) -> None:
    await connect(peer, vtn)
    signal = Signal(
        signal_name="SIMPLE", signal_type="level", signal_id="level", intervals=(Interval(timedelta(0), 1.0),)
    )
    await vtn.add_event(
        Event(
            event_id="EVENT-1",
            start=soon(),
            duration=timedelta(0),
            signals=(signal,),
            created_date_time=datetime.now(UTC),
            market_context="http://example.com/programme",
        )
    )
    await poll(peer)
    assert [answer.opt_type for answer in await vtn.answers("EVENT-1")] == [OptType.IN]


async def test_an_event_that_wants_no_answer_gets_none(vtn: OpenADRServer, peer: Peer) -> None:
    await connect(peer, vtn)
    await vtn.add_event(start=soon(), intervals=[(HOUR, 1)], response_required=ResponseRequired.NEVER)
    await poll(peer)
    assert len((await peer.ask("state"))["heard"]) == 1
    assert await vtn.answers() == []


async def test_a_cancelled_event_that_it_never_saw_is_answered(peer: Peer) -> None:
    """Its handler for new events gets the cancelled event."""
    async with OpenADRServer(VTN_ID, port=0, poll_frequency=HOUR) as vtn:
        await peer.ask("start", name="laboratory", url=vtn.url + PATH)
        await peer.ask("call", method="create_party_registration")
        ven_id = (await peer.ask("state"))["ven_id"]
        event = await vtn.add_event(start=soon(), intervals=[(HOUR, 1)], ven_ids=[ven_id])
        # It fetches the event and does nothing with it, as if the reply had been lost.
        await peer.ask("call", method="request_event")
        await vtn.cancel_event(event.event_id)
        await peer.ask("call", method="sync_events")
        assert (await peer.ask("state"))["heard"] == [["new", event.event_id, 1, "cancelled", [[1.0]]]]
        assert [answer.modification_number for answer in await vtn.answers(event.event_id)] == [1]


async def test_it_refuses_signal_names_of_ones_own_while_it_opts_in(vtn: OpenADRServer, peer: Peer) -> None:
    """Names with x- are legal; it answers 460 to them, with the opt of its handler. We keep both."""
    await connect(peer, vtn)
    event = await vtn.add_event(start=soon(), intervals=[(HOUR, 1)], signal_name="x-valve")
    await poll(peer)
    (answer,) = await vtn.answers(event.event_id)
    assert (answer.response_code, answer.opt_type) == ("460", OptType.IN)


async def test_it_reads_ids_of_digits_as_numbers(vtn: OpenADRServer, peer: Peer) -> None:
    """007 comes back as 7, which is no event of ours: it is told 452, and the event stays unanswered."""
    await connect(peer, vtn)
    await vtn.add_event(event_id="007", start=soon(), intervals=[(HOUR, 1)])
    await poll(peer)
    assert (await peer.ask("state"))["heard"][0][1] == 7
    assert await vtn.answers() == []
    reply = decode((await peer.ask("traffic"))["received"][-1].encode()).message
    assert isinstance(reply, wire.OadrResponse)
    assert reply.response.response_code == "452"


async def test_it_complains_of_a_lower_case_vtn_id_but_answers_the_event(peer: Peer) -> None:
    """The oadrCreatedEvent as a whole says 452, the answer in it 200: the answer counts."""
    async with OpenADRServer("vtn_1", port=0, poll_frequency=HOUR) as vtn:
        await connect(peer, vtn)
        event = await vtn.add_event(start=soon(), intervals=[(HOUR, 1)])
        await poll(peer)
        created = (await sent(peer))[-1]
        assert isinstance(created, wire.OadrCreatedEvent)
        assert created.response.response_code == "452"
        assert [answer.opt_type for answer in await vtn.answers(event.event_id)] == [OptType.IN]


# --- opts -----------------------------------------------------------------------------------------------------------


async def test_an_availability_is_stated_and_taken_back(vtn: OpenADRServer, peer: Peer) -> None:
    ven_id = await connect(peer, vtn)
    start = soon()
    opt_id = await peer.ask(
        "create_opt",
        opt_type="optOut",
        opt_reason="economic",
        available=[start.isoformat(), 3600],
        target="roof",
        market_context="http://example.com/programme",
        signal_target_mrid="Thermostat",
    )
    (opt,) = await vtn.opts(ven_id)
    assert (opt.opt_id, opt.opt_type, opt.opt_reason) == (opt_id, OptType.OUT, "economic")
    assert opt.availability == (Span(start, start + HOUR),)
    assert (opt.target.resource_ids, opt.device_classes) == (("roof",), ("Thermostat",))

    assert await peer.ask("call", method="cancel_opt", opt_id=opt_id) is True
    assert await vtn.opts(ven_id) == []


async def test_an_opt_qualifies_an_event(vtn: OpenADRServer, peer: Peer) -> None:
    ven_id = await connect(peer, vtn)
    event = await vtn.add_event(start=soon(), intervals=[(HOUR, 1)])
    await poll(peer)
    await peer.ask("create_opt", opt_type="optOut", opt_reason="economic", event_id=event.event_id, target="roof")
    (opt,) = await vtn.opts(ven_id)
    assert (opt.event_id, opt.modification_number, opt.opt_type) == (event.event_id, 0, OptType.OUT)
