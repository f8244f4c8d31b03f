"""Auto mode: the order of things, every message a poll can bring, and going on whatever happens."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.errors import TransportError
from pyopenadr.model import Event
from pyopenadr.transport.port import Reply
from pyopenadr.v2 import wire
from pyopenadr.v2.faults import response
from pyopenadr.ven import OpenADRClient
from pyopenadr.ven.dispatch import Dispatcher
from tests.unit.ven.scripted import NOW, ScriptedVtn, client_of, event, ok, problems, refusal, running

BOOTSTRAP = ["oadrCreatePartyRegistration", "oadrRegisterReport", "oadrRequestEvent"]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


@pytest.fixture
def vtn() -> ScriptedVtn:
    return ScriptedVtn()


async def test_the_order_after_a_new_registration(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock, query_first=True), clock) as client:
        kinds = [message.message_type for _, message in vtn.log]
        assert kinds == ["oadrQueryRegistration", *BOOTSTRAP, "oadrPoll"]
        services = [service for service, _ in vtn.log]
        assert services == ["EiRegisterParty", "EiRegisterParty", "EiReport", "EiEvent", "OadrPoll"]
        assert vtn.last(wire.OadrRegisterReport).reports == ()
    assert not client.running
    assert vtn.closed


async def test_polling_at_the_vtns_pace(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock), clock):
        await clock.advance(30)
        assert len(vtn.sent(wire.OadrPoll)) == 4


async def test_polling_at_ones_own_pace(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock, poll_interval=timedelta(seconds=15)), clock):
        await clock.advance(30)
        assert len(vtn.sent(wire.OadrPoll)) == 3


@pytest.mark.parametrize(("asked", "interval", "text"), [(None, 60, "how often"), (timedelta(0), 1, "once a second")])
async def test_a_vtn_without_a_sensible_pace(
    vtn: ScriptedVtn,
    clock: FakeClock,
    asked: timedelta | None,
    interval: float,
    text: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    vtn.poll_frequency = asked
    async with running(client_of(vtn, clock), clock) as client:
        assert client.poll_interval == timedelta(seconds=interval)
    assert any(text in line for line in problems(caplog.records))


async def test_jitter_only_lengthens_the_wait(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock, jitter=0.5), clock):
        await clock.advance(600)
    polls = [when for when, (service, _) in zip(vtn.times, vtn.log, strict=True) if service == "OadrPoll"]
    waits = [(b - a).total_seconds() for a, b in itertools.pairwise(polls)]
    assert all(10 <= wait <= 15 for wait in waits)
    assert len(set(waits)) > 10


async def test_the_queue_is_drained_before_the_next_wait(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.queue += [wire.OadrRegisterReport(request_id=str(n)) for n in range(3)]
    async with running(client_of(vtn, clock), clock):
        assert len(vtn.sent(wire.OadrPoll)) == 4
        assert [m.response.request_id for m in vtn.sent(wire.OadrRegisteredReport)] == ["0", "1", "2"]
        await clock.advance(9)
        assert len(vtn.sent(wire.OadrPoll)) == 4


async def test_a_vtn_that_always_lists_its_events_is_not_polled_without_end(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.rules[wire.OadrPoll] = lambda _: vtn.distribute(event())
    async with running(client_of(vtn, clock, on_event=_opt_in), clock):
        assert len(vtn.sent(wire.OadrPoll)) == 3
        await clock.advance(10)
        assert len(vtn.sent(wire.OadrPoll)) == 5


async def test_a_queue_without_end_does_not_keep_the_vtn_busy(vtn: ScriptedVtn, clock: FakeClock) -> None:
    numbers = itertools.count()
    vtn.rules[wire.OadrPoll] = lambda _: wire.OadrRegisterReport(request_id=str(next(numbers)))
    async with running(client_of(vtn, clock), clock):
        await clock.settle(3000)
        assert len(vtn.sent(wire.OadrPoll)) == 100


async def test_a_vtn_that_turns_in_circles_is_left_until_the_next_poll(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.rules[wire.OadrPoll] = lambda _: wire.OadrRegisterReport(request_id="r")
    async with running(client_of(vtn, clock), clock):
        await clock.settle(3000)
        assert len(vtn.sent(wire.OadrPoll)) == 4
        await clock.advance(10)
        assert len(vtn.sent(wire.OadrPoll)) == 8


async def test_a_vtn_that_wants_to_be_left_alone_gets_nothing_until_then(vtn: ScriptedVtn, clock: FakeClock) -> None:
    post = vtn.post

    async def busy(url: str, body: bytes) -> Reply:
        reply = await post(url, body)
        return Reply(503, b"busy", 100.0) if clock.now() < NOW + timedelta(seconds=30) else reply

    async with running(client_of(vtn, clock, on_event=_opt_in), clock) as client:
        vtn.post = busy  # type: ignore[method-assign]
        await clock.advance(10)
        before = len(vtn.log)
        await clock.advance(89)
        with pytest.raises(TransportError, match=r"asked not to be called for another \d+ s") as caught:
            await client.query_registration()
        assert caught.value.retry_after_s is not None
        assert len(vtn.log) == before
        await clock.advance(12)
        assert len(vtn.log) > before


async def test_a_step_that_was_left_out_is_made_up_for(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.rules[wire.OadrRegisterReport] = lambda _: 500
    async with running(client_of(vtn, clock), clock):
        await clock.advance(60)
        assert len(vtn.sent(wire.OadrRegisterReport)) == 3
        del vtn.rules[wire.OadrRegisterReport]
        await clock.advance(120)
        assert len(vtn.sent(wire.OadrRegisterReport)) == 4


async def test_another_vtn_than_the_configured_one_is_not_registered_with(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(client_of(vtn, clock, vtn_id="the right one"), clock) as client:
        await clock.advance(60)
        assert not client.registered
        assert client.vtn_id == "the right one"
    assert any("'vtn-1', but vtn_id says 'the right one'" in line for line in problems(caplog.records))


async def test_a_vtn_with_a_new_name_is_told(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(vtn, clock)
    await client.create_party_registration()
    vtn.rules[wire.OadrCreatePartyRegistration] = lambda message: vtn.created(message, vtn_id="vtn-2")
    await client.create_party_registration()
    assert client.vtn_id == "vtn-2"
    assert any("calls itself 'vtn-2' now" in line for line in problems(caplog.records))


async def _opt_in(_: object) -> str:
    return "optIn"


# -- each kind of message --------------------------------------------------------------------------------------------


async def test_events_arrive_by_poll(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.queue.append(vtn.distribute(event()))
    async with running(client_of(vtn, clock, on_event=_opt_in), clock) as client:
        answers = vtn.last(wire.OadrCreatedEvent).event_responses
        assert answers is not None
        assert answers[0].opt_type == "optIn"
        assert client.events["e1"].opt_type == "optIn"


async def test_metadata_of_the_vtn(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.queue.append(wire.OadrRegisterReport(request_id="q7"))
    async with running(client_of(vtn, clock), clock):
        message = vtn.last(wire.OadrRegisteredReport)
        assert (message.response.request_id, message.ven_id) == ("q7", "ven-1")
        assert message.response.response_code == "200"


async def test_cancelling_a_report_that_nobody_asked_for(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.queue.append(wire.OadrCancelReport(request_id="q", report_request_id=("x",), report_to_follow=False))
    async with running(client_of(vtn, clock), clock):
        message = vtn.last(wire.OadrCanceledReport)
        assert (message.response.response_code, message.response.request_id) == ("452", "q")
        assert message.pending_reports == ()


async def test_a_report_request_for_nothing_we_have(vtn: ScriptedVtn, clock: FakeClock) -> None:
    request = wire.ReportRequest(
        report_request_id="r",
        report_specifier=wire.ReportSpecifier(
            report_specifier_id="what",
            granularity=timedelta(0),
            report_back_duration=timedelta(0),
            specifier_payloads=(wire.SpecifierPayload(r_id="a", reading_type="x-notApplicable"),),
        ),
    )
    vtn.queue.append(wire.OadrCreateReport(request_id="q", report_requests=(request,)))
    async with running(client_of(vtn, clock), clock):
        message = vtn.last(wire.OadrCreatedReport)
        assert (message.response.response_code, message.response.request_id) == ("452", "q")


async def test_the_vtn_wants_a_reregistration(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock), clock):
        vtn.queue.append(wire.OadrRequestReregistration(ven_id="ven-1"))
        vtn.log.clear()
        await clock.advance(10)
        # A confirmed registration needs no new METADATA and no oadrRequestEvent (rule 405).
        assert vtn.names() == ["oadrResponse", "oadrCreatePartyRegistration"]
        message = vtn.last(wire.OadrCreatePartyRegistration)
        assert (message.ven_id, message.registration_id) == ("ven-1", "reg-1")
        assert vtn.last(wire.OadrResponse).ven_id == "ven-1"


async def test_a_vtn_that_wants_nothing_but_reregistrations(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.rules[wire.OadrPoll] = lambda _: wire.OadrRequestReregistration(ven_id="ven-1")
    async with running(client_of(vtn, clock), clock):
        await clock.advance(60)
        assert len(vtn.sent(wire.OadrPoll)) == 7


async def test_the_vtn_ends_the_registration(vtn: ScriptedVtn, clock: FakeClock) -> None:
    seen: list[bool] = []

    async def on_event(it: Event) -> str:
        seen.append(it.cancelled)
        return "optIn"

    vtn.events = [event()]
    client = client_of(vtn, clock, on_event=on_event, register_again_after=300)
    async with running(client, clock):
        vtn.queue.append(wire.OadrCancelPartyRegistration(request_id="c", registration_id="reg-1"))
        vtn.events = []
        await clock.advance(10)
        message = vtn.last(wire.OadrCanceledPartyRegistration)
        assert (message.response.response_code, message.response.request_id) == ("200", "c")
        assert (message.ven_id, message.registration_id) == ("ven-1", "reg-1")
        assert (client.registered, client.ven_id, dict(client.events)) == (False, None, {})
        assert seen == [False, True]
        vtn.log.clear()
        await clock.advance(290)
        assert vtn.log == []
        await clock.advance(30)
        assert vtn.names() == BOOTSTRAP
        assert client.registered


async def test_a_cancellation_of_another_registration_is_refused(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.queue.append(wire.OadrCancelPartyRegistration(request_id="c", registration_id="reg-2"))
    async with running(client_of(vtn, clock), clock) as client:
        assert vtn.last(wire.OadrCanceledPartyRegistration).response.response_code == "452"
        assert client.registered


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (wire.OadrRegisterReport(request_id="q", ven_id="other"), wire.OadrRegisteredReport),
        (
            wire.OadrCancelReport(request_id="q", report_request_id=("x",), report_to_follow=False, ven_id="other"),
            wire.OadrCanceledReport,
        ),
        (wire.OadrUpdateReport(request_id="q", ven_id="other"), wire.OadrUpdatedReport),
        (
            wire.OadrCancelPartyRegistration(request_id="q", registration_id="reg-1", ven_id="other"),
            wire.OadrCanceledPartyRegistration,
        ),
        (wire.OadrRequestReregistration(ven_id="other"), wire.OadrResponse),
    ],
)
async def test_messages_for_another_ven_are_refused(
    vtn: ScriptedVtn, clock: FakeClock, message: wire.Message, answer: type[wire.Message]
) -> None:
    vtn.queue.append(message)
    async with running(client_of(vtn, clock), clock) as client:
        assert vtn.last(answer)["response"].response_code == "452"
        assert client.registered
        assert len(vtn.sent(wire.OadrCreatePartyRegistration)) == 1


async def test_a_message_that_has_no_business_here(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    vtn.queue += [wire.OadrCreatedOpt(response=response(), opt_id="o"), wire.OadrRegisterReport(request_id="q")]
    async with running(client_of(vtn, clock), clock):
        assert vtn.sent(wire.OadrRegisteredReport), "the next message is fetched all the same"
    assert any("oadrCreatedOpt is passed over" in line for line in problems(caplog.records))


# -- failures --------------------------------------------------------------------------------------------------------


async def test_the_vtn_can_be_away_for_as_long_as_it_likes(vtn: ScriptedVtn, clock: FakeClock) -> None:
    client = client_of(vtn, clock)
    vtn.rules[wire.OadrCreatePartyRegistration] = lambda _: TransportError("nobody there")
    async with running(client, clock):
        await clock.advance(timedelta(days=2))
        waits = [(b - a).total_seconds() for a, b in itertools.pairwise(vtn.times)]
        for wait, nominal in zip(waits[:8], (1, 2, 4, 8, 16, 32, 60, 60), strict=True):
            assert 0.9 * nominal <= wait <= 1.1 * nominal
        del vtn.rules[wire.OadrCreatePartyRegistration]
        await clock.advance(70)
        assert client.registered


async def test_a_failing_poll_backs_off_and_recovers(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(client_of(vtn, clock), clock) as client:
        vtn.rules[wire.OadrPoll] = lambda _: 500
        vtn.log.clear()
        await clock.advance(600)
        # 1 + 2 + 4 + 8 and then every 10 s, the poll interval.
        assert 55 <= len(vtn.sent(wire.OadrPoll)) <= 65
        del vtn.rules[wire.OadrPoll]
        await clock.advance(20)
        polls = len(vtn.sent(wire.OadrPoll))
        await clock.advance(20)
        assert len(vtn.sent(wire.OadrPoll)) == polls + 2
        assert client.registered
    assert any("HTTP 500" in line and "next try in" in line for line in problems(caplog.records))


async def test_retry_after_is_honoured(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock), clock):
        vtn.rules[wire.OadrPoll] = lambda _: TransportError("busy", status=503, retry_after_s=120)
        vtn.log.clear()
        await clock.advance(129)
        assert len(vtn.sent(wire.OadrPoll)) == 1
        await clock.advance(2)
        assert len(vtn.sent(wire.OadrPoll)) == 2


@pytest.mark.parametrize("rubbish", [b"\x00\x01", b"<!DOCTYPE x><x/>", b"<a><b></a>", b"", b"<a/>"])
async def test_rubbish_from_the_vtn_is_logged_and_polling_goes_on(
    vtn: ScriptedVtn, clock: FakeClock, caplog: pytest.LogCaptureFixture, rubbish: bytes
) -> None:
    vtn.queue.append(rubbish)
    async with running(client_of(vtn, clock), clock) as client:
        assert problems(caplog.records)
        await clock.advance(2)
        assert len(vtn.sent(wire.OadrPoll)) == 2
        assert client.registered


@pytest.mark.parametrize("code", ["452", "463"])
async def test_a_vtn_that_has_forgotten_us_gets_a_new_registration(
    vtn: ScriptedVtn, clock: FakeClock, code: str
) -> None:
    async with running(client_of(vtn, clock), clock):
        vtn.queue.append(refusal(code))
        vtn.log.clear()
        await clock.advance(12)
        assert vtn.names() == BOOTSTRAP
        message = vtn.last(wire.OadrCreatePartyRegistration)
        assert (message.ven_id, message.registration_id) == (None, None)


async def test_known_events_survive_a_forced_registration(vtn: ScriptedVtn, clock: FakeClock) -> None:
    calls: list[object] = []

    async def on_event(it: object) -> str:
        calls.append(it)
        return "optIn"

    vtn.events = [event()]
    async with running(client_of(vtn, clock, on_event=on_event), clock):
        vtn.queue.append(refusal("463"))
        await clock.advance(12)
        assert vtn.names().count("oadrRequestEvent") == 2
        assert len(calls) == 1
        assert len(vtn.sent(wire.OadrCreatedEvent)) == 2, "each time it is received it is answered (rule 12)"


async def test_ids_that_the_vtn_refuses_to_confirm_are_given_up(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.rules[wire.OadrCreatePartyRegistration] = lambda message: (
        refusal("452") if message.registration_id else vtn.created(message)
    )
    async with running(client_of(vtn, clock, ven_id="v", registration_id="old"), clock) as client:
        await clock.advance(2)
        first, second = vtn.sent(wire.OadrCreatePartyRegistration)
        assert (first.registration_id, second.registration_id) == ("old", None)
        assert client.registered
        assert vtn.names()[-2:] == ["oadrRegisterReport", "oadrRequestEvent"]


async def test_stored_ids_are_confirmed_and_the_rest_of_the_bootstrap_follows(
    vtn: ScriptedVtn, clock: FakeClock
) -> None:
    async with running(client_of(vtn, clock, ven_id="ven-1", registration_id="reg-1"), clock) as client:
        assert vtn.names() == BOOTSTRAP
        assert vtn.last(wire.OadrCreatePartyRegistration).registration_id == "reg-1"
        assert client.poll_interval == timedelta(seconds=10)


@pytest.mark.parametrize("answer", [404, refusal("461"), 500, refusal("500"), b"<x/>"])
async def test_a_vtn_without_reports_gives_events_all_the_same(
    vtn: ScriptedVtn, clock: FakeClock, answer: object
) -> None:
    vtn.rules[wire.OadrRegisterReport] = lambda _: answer  # type: ignore[assignment,return-value]
    async with running(client_of(vtn, clock), clock):
        await clock.advance(10)
        assert vtn.sent(wire.OadrRequestEvent)
        assert vtn.sent(wire.OadrPoll)
        assert len(vtn.sent(wire.OadrCreatePartyRegistration)) == 1


async def test_a_plain_response_to_the_request_for_events_means_none(vtn: ScriptedVtn, clock: FakeClock) -> None:
    vtn.rules[wire.OadrRequestEvent] = lambda _: ok()
    async with running(client_of(vtn, clock), clock):
        assert vtn.sent(wire.OadrPoll)


async def test_an_answer_that_does_not_get_through_is_sent_again(vtn: ScriptedVtn, clock: FakeClock) -> None:
    failures = [TransportError("lost")] * 3
    vtn.rules[wire.OadrRegisteredReport] = lambda _: failures.pop() if failures else ok()
    vtn.queue.append(wire.OadrRegisterReport(request_id="q"))
    async with running(client_of(vtn, clock), clock) as client:
        assert client.unsent == 1
        await clock.advance(20)
        assert client.unsent == 0
        assert [m.response.request_id for m in vtn.sent(wire.OadrRegisteredReport)] == ["q"] * 4


async def test_a_bug_does_not_end_polling(
    vtn: ScriptedVtn, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(vtn, clock)

    async def broken(*_: object, **__: object) -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(Dispatcher, "handle", broken)
    async with running(client, clock):
        vtn.queue.append(wire.OadrRegisterReport(request_id="q"))
        await clock.advance(30)
        assert len(vtn.sent(wire.OadrPoll)) >= 3
    assert any("bug in pyopenadr" in line for line in problems(caplog.records))


# -- starting and stopping -------------------------------------------------------------------------------------------


async def test_entering_only_prepares_unless_polling_is_asked_for(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async with client_of(vtn, clock) as client:
        await clock.settle()
        assert not client.running
    assert vtn.log == []
    async with client_of(vtn, clock, auto_polling=True) as client:
        await clock.settle()
        assert vtn.sent(wire.OadrPoll)
    assert not client.running
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_run_while_it_runs_waits_for_the_end(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async with client_of(vtn, clock, auto_polling=True) as client:
        second = asyncio.create_task(client.run())
        await clock.settle()
        assert len(vtn.sent(wire.OadrCreatePartyRegistration)) == 1
        client.stop()
        await second
        assert not client.running


async def test_cancelling_run_leaves_nothing_behind(vtn: ScriptedVtn, clock: FakeClock) -> None:
    task = asyncio.create_task(client_of(vtn, clock).run())
    await clock.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_stopping_from_a_handler_and_starting_again(vtn: ScriptedVtn, clock: FakeClock) -> None:
    client = client_of(vtn, clock)

    @client.on_event
    async def on_event(it: Event) -> str:
        if not it.cancelled:
            client.stop()
        return "optIn"

    vtn.events = [event()]
    await client.run()
    assert not client.running
    vtn.events = []
    async with running(client, clock):
        assert vtn.names().count("oadrRegisterReport") == 1, "the VTN knows the METADATA already"
        assert vtn.names().count("oadrRequestEvent") == 2, "but what became of the events has to be asked"
        assert len(vtn.sent(wire.OadrCreatePartyRegistration)) == 1


async def test_stopping_what_does_not_run(vtn: ScriptedVtn) -> None:
    client = client_of(vtn)
    client.stop()
    await client.stop()
    await client.close()
    await client.close()


async def test_stopping_lets_a_request_through(vtn: ScriptedVtn, clock: FakeClock) -> None:
    client = client_of(vtn, clock)
    arrived = asyncio.Event()
    through: list[bool] = []
    post = vtn.post

    async def slow(url: str, body: bytes) -> object:
        arrived.set()
        await asyncio.sleep(0.05)
        through.append(True)
        return await post(url, body)

    vtn.post = slow  # type: ignore[assignment,method-assign]
    task = asyncio.create_task(client.run())
    await arrived.wait()
    await client.stop()
    await task
    assert through == [True]


async def test_ending_ones_own_registration_pauses_until_the_next(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock), clock) as client:
        await client.cancel_party_registration()
        vtn.log.clear()
        await clock.advance(300)
        assert vtn.log == []
        await client.create_party_registration()
        await clock.advance(61)
        assert vtn.names() == BOOTSTRAP
        assert vtn.sent(wire.OadrPoll)


async def test_a_poll_by_hand_in_auto_mode_is_handled_like_any_other(vtn: ScriptedVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock), clock) as client:
        vtn.queue.append(wire.OadrRegisterReport(request_id="q"))
        kind, _ = await client.poll()
        assert kind == "oadrRegisterReport"
        assert vtn.last(wire.OadrRegisteredReport).response.request_id == "q"


async def test_two_clients_share_nothing(clock: FakeClock) -> None:
    calls: dict[str, list[str]] = {"a": [], "b": []}

    def made(name: str) -> tuple[ScriptedVtn, OpenADRClient]:
        vtn = ScriptedVtn()

        async def on_event(it: Event) -> str:
            calls[name].append(it.event_id)
            return "optIn"

        client = client_of(vtn, clock, on_event=on_event)
        vtn.events = [event(f"event of {name}")]
        vtn.rules[wire.OadrCreatePartyRegistration] = lambda message: vtn.created(
            message, ven_id=name, registration_id=name
        )
        return vtn, client

    vtn_a, a = made("a")
    vtn_b, b = made("b")
    async with running(a, clock), running(b, clock):
        assert calls == {"a": ["event of a"], "b": ["event of b"]}
        assert (a.ven_id, b.ven_id) == ("a", "b")
        assert list(a.events) == ["event of a"]
        assert vtn_a.last(wire.OadrCreatedEvent).ven_id == "a"
        assert vtn_b.last(wire.OadrCreatedEvent).ven_id == "b"
