"""The rules on no single service that a VEN follows, seen from outside by a VTN that plays by the test's script."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pyopenadr.clock import FakeClock
from pyopenadr.model import DataPoint, Interval, ResourceStatus, Signal, Target
from pyopenadr.v2 import encode, wire
from pyopenadr.ven.listener import Listener
from pyopenadr.ven.session import base_of
from tests.conformance.scene import HearingVtn, yes
from tests.unit.v2.sample import EURO_PER_KWH
from tests.unit.ven.scripted import HOUR, NOW, client_of, event, refusal, running
from tests.unit.ven.site_a import running as running_a
from tests.unit.ven.site_a import site
from tests.unit.ven.test_report import KILOWATT, STATUS, asked, create, number, offering, readings
from tests.unit.vtn.sample import event as vtn_event

PUSH = Listener(host=None, public_url="https://ven.example/far")


async def test_rule_500_ven_it_polls_as_often_as_asked_and_empties_the_queue(vtn: HearingVtn, clock: FakeClock) -> None:
    vtn.poll_frequency = timedelta(seconds=30)
    async with running(client_of(vtn, clock, on_event=yes), clock):
        start = len(vtn.times)
        await clock.advance(25)
        vtn.queue += [vtn.distribute(event()), wire.OadrRegisterReport(request_id="q")]
        await clock.advance(66)
    polls = [
        (time - NOW).total_seconds()
        for (_, message), time in zip(vtn.log[start:], vtn.times[start:], strict=True)
        if isinstance(message, wire.OadrPoll)
    ]
    assert polls == [30, 30, 30, 60, 90]
    assert {service for service, message in vtn.log if isinstance(message, wire.OadrRegisteredReport)} == {"EiReport"}
    assert len(vtn.sent(wire.OadrRequestEvent)) == 1


async def test_rule_500_ven_an_error_in_the_answer_to_a_poll_is_understood(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock), clock):
        vtn.queue.append(refusal("452"))
        await clock.advance(30)
        assert len(vtn.sent(wire.OadrCreatePartyRegistration)) == 2


async def test_rule_501_ven_it_polls_the_service_of_that_name(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(client_of(vtn, clock), clock):
        pass
    assert {service for service, message in vtn.log if isinstance(message, wire.OadrPoll)} == {"OadrPoll"}


async def test_rule_508_ven_every_message_names_the_ven(vtn: HearingVtn, clock: FakeClock) -> None:
    async with running(offering(vtn, clock, number, on_event=yes), clock):
        vtn.queue += [
            vtn.distribute(event()),
            create(asked()),
            wire.OadrRegisterReport(request_id="q"),
            wire.OadrCancelReport(request_id="q", report_request_id=("x",), report_to_follow=False),
            wire.OadrRequestReregistration(ven_id="ven-1"),
        ]
        await clock.advance(20)
        vtn.queue.append(wire.OadrCancelPartyRegistration(request_id="c", registration_id="reg-1"))
        await clock.advance(20)
    kinds = {message.message_type for _, message in vtn.log}
    assert kinds >= {
        *("oadrPoll", "oadrRequestEvent", "oadrCreatedEvent", "oadrRegisterReport", "oadrRegisteredReport"),
        *("oadrCreatedReport", "oadrUpdateReport", "oadrCanceledReport", "oadrResponse"),
        "oadrCanceledPartyRegistration",
    }
    nameless = [message for _, message in vtn.log if message["ven_id"] != "ven-1"]
    assert nameless == vtn.sent(wire.OadrCreatePartyRegistration)[:1]


def signal(name: str, kind: str, unit: object, value: float) -> Signal:
    intervals = (Interval(HOUR, value),)
    return Signal(signal_name=name, signal_type=kind, signal_id=name, unit=unit, intervals=intervals)  # type: ignore[arg-type]


async def test_rule_510_ven_the_least_that_a_ven_can_do(vtn: HearingVtn, clock: FakeClock) -> None:
    vtn.events = [
        event("level"),
        event("price", signals=(signal("ELECTRICITY_PRICE", "price", EURO_PER_KWH, 0.5),)),
        event("dispatch", signals=(signal("LOAD_DISPATCH", "setpoint", KILOWATT, 40.0),)),
    ]
    power = DataPoint(r_id="power", unit=KILOWATT)
    status = DataPoint(
        r_id="state",
        report_type=STATUS.report_type,
        reading_type=STATUS.reading_type,
        data_source=Target(resource_ids=("boiler",)),
    )
    client = client_of(vtn, clock, on_event=yes)
    client.add_report("HISTORY_USAGE", points=[power], report_specifier_id="past")
    client.add_report(points=[power], report_specifier_id="now", source=lambda: 3.0, sample_every=1)
    state = ResourceStatus(online=True, manual_override=False)
    client.add_report(points=[status], report_specifier_id="status", source=lambda: state)
    async with running(client, clock):
        answers = [it for m in vtn.sent(wire.OadrCreatedEvent) for it in m.event_responses or ()]
        assert sorted((it.event_id, it.response_code) for it in answers) == [
            ("dispatch", "200"),
            ("level", "200"),
            ("price", "200"),
        ]
        for second in range(120):
            client.record("power", float(second), NOW - timedelta(seconds=200 - second))
        past = asked(report_specifier_id="past", start=NOW - timedelta(seconds=200), duration=timedelta(seconds=120))
        vtn.queue.append(create(past))
        await clock.advance(10)
        assert [len(found) for found in readings(vtn)] == [120]
    offered = {it.report_name for it in vtn.last(wire.OadrRegisterReport).reports}
    assert offered == {"METADATA_HISTORY_USAGE", "METADATA_TELEMETRY_USAGE", "METADATA_TELEMETRY_STATUS"}


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://vtn.example", "https://vtn.example/OpenADR2/Simple/2.0b"),
        ("https://vtn.example:8443/some/where/", "https://vtn.example:8443/some/where/OpenADR2/Simple/2.0b"),
        ("https://vtn.example/OpenADR2/Simple/2.0b/", "https://vtn.example/OpenADR2/Simple/2.0b"),
    ],
)
def test_rule_511_ven_a_service_is_called_under_its_address(url: str, base: str) -> None:
    assert base_of(url) == base


async def test_rule_511_ven_its_server_knows_equal_addresses_and_no_poll(vtn: HearingVtn, clock: FakeClock) -> None:
    client = client_of(vtn, clock, push=PUSH)
    async with running(client, clock):
        body = encode(wire.OadrRegisterReport(request_id="q"))
        statuses = [
            (await client.receive(path, body))[0]
            for path in (
                "/far/OpenADR2/Simple/2.0b/EiReport",
                "/far/./%4FpenADR2/Simple/2.0b/EiReport",
                "/far/OpenADR2/Simple/2.0b/OadrPoll",
                "/far/OpenADR2/Simple/2.0c/EiReport",
            )
        ]
    assert statuses == [200, 200, 404, 404]


async def test_rule_512_ven_market_contexts_are_compared_as_uris_and_ids_by_letters(
    vtn: HearingVtn, clock: FakeClock
) -> None:
    vtn.events = [event("same", market_context="HTTP://Market.Example:80/%61"), event("other", market_context="urn:A")]
    vtn.events.append(event("mine", market_context="http://market.example/a", target=Target(ven_ids=("VEN-1",))))
    async with running(client_of(vtn, clock, on_event=yes, market_contexts=["http://market.example/a"]), clock) as ven:
        assert list(ven.events) == ["same"]
    answers = [it for m in vtn.sent(wire.OadrCreatedEvent) for it in m.event_responses or ()]
    assert {it.event_id: it.response_code for it in answers} == {"same": "200", "other": "462", "mine": "452"}


async def test_rule_506_ven_it_speaks_20a_with_a_vtn_of_that_kind() -> None:
    async with site() as both, running_a(both):  # it decodes what the VEN sends as 2.0a, at the address of 2.0a
        await both.vtn.add_event(vtn_event())
        await both.clock.advance(11)
        assert both.heard == [("e1", 0, False)]
        assert await both.opts() == [("e1", 0, "optIn")]
        assert set(both.kinds) == {"oadrRequestEvent", "oadrCreatedEvent"}
        assert [it.profile for it in both.vtn.vens] == ["2.0a"]
