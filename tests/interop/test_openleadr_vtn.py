"""Our VEN against openleadr's VTN: registration, events, opts, reports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from pyopenadr.errors import PeerRefused, ProtocolError, TransportError
from pyopenadr.model import DataPoint, Event, OptType, Report, ReportRequest, ResourceStatus, Span, Target, Unit
from pyopenadr.transport.http import HttpTransport
from pyopenadr.transport.port import Reply
from pyopenadr.v2 import decode, wire
from pyopenadr.ven.client import OpenADRClient
from tests.interop.peer import Peer, Recorder, eventually

pytestmark = pytest.mark.interop

HOUR = timedelta(hours=1)
POWER = Unit(name="powerReal", symbol="W", scale="none", hertz=50.0, voltage=230.0, ac=True)
WHEN = "2026-01-01T00:00:00Z"
ENERGY = Unit(name="energyReal", symbol="Wh", scale="k")


class Setting(NamedTuple):
    """One VTN of openleadr's with one VEN of ours."""

    peer: Peer
    client: OpenADRClient
    recorder: Recorder
    heard: list[Event]

    async def state(self, part: str) -> Any:
        return (await self.peer.ask("state"))[part]

    async def has(self, part: str, count: int) -> Any:
        """The part of the VTN's state, as soon as it has so many entries."""

        async def look() -> Any:
            entries = await self.state(part)
            return entries if len(entries) >= count else None

        return await eventually(look)

    async def connect(self) -> str:
        """Start auto mode and wait until it is registered; the venID."""
        self.client.auto_polling = True
        await self.client.__aenter__()
        await eventually(lambda: self.client.registered)
        ven_id = self.client.ven_id
        assert ven_id is not None
        return ven_id

    async def another_poll(self) -> None:
        """Wait until the next poll has been answered."""
        polls = len(self.replies("OadrPoll"))
        await eventually(lambda: len(self.replies("OadrPoll")) > polls)

    def replies(self, service: str) -> list[wire.Message]:
        """What the VTN has answered there, read strictly."""
        return [decode(reply.body).message for name, _, reply in self.recorder.exchanges if name == service]


@pytest.fixture
async def setting() -> AsyncIterator[Setting]:
    heard: list[Event] = []

    def on_event(event: Event) -> str:
        heard.append(event)
        return "optIn"

    async with Peer("openleadr_vtn") as peer:
        url = await peer.ask("start")
        recorder = Recorder(HttpTransport())
        client = OpenADRClient("laboratory", url, on_event=on_event, transport=recorder, query_first=True)
        try:
            yield Setting(peer, client, recorder, heard)
        finally:
            await client.close()


def in_an_hour() -> str:
    return (datetime.now(UTC).replace(microsecond=0) + HOUR).isoformat()


# --- registration ---------------------------------------------------------------------------------------------------


async def test_we_register_and_take_ids_and_frequency_from_it(setting: Setting) -> None:
    ven_id = await setting.connect()
    (known,) = (await setting.state("registered")).values()
    assert known == {"ven_id": ven_id, "ven_name": "laboratory", "registration_id": setting.client.registration_id}
    assert (setting.client.vtn_id, setting.client.poll_interval) == ("VTN_OLR", timedelta(seconds=1))


async def test_the_answer_to_our_query_has_empty_ids(setting: Setting) -> None:
    """They may be left out; empty they don't count as ids here."""
    message_type, payload = await setting.client.query_registration()
    assert (message_type, payload["ven_id"], payload["registration_id"]) == ("oadrCreatedPartyRegistration", "", "")
    assert setting.client.ven_id is None
    assert not setting.client.registered


async def test_a_refusal_that_looks_like_a_yes_is_no_registration(setting: Setting) -> None:
    """It says 200 and leaves the ids empty."""
    await setting.peer.ask("refuse")
    with pytest.raises(ProtocolError, match="venID"):
        await setting.client.create_party_registration()
    assert not setting.client.registered
    (reply,) = setting.replies("EiRegisterParty")
    assert isinstance(reply, wire.OadrCreatedPartyRegistration)
    assert (reply.response.response_code, reply.ven_id, reply.registration_id) == ("200", "", "")


async def test_we_end_the_registration_and_get_a_plain_response(setting: Setting) -> None:
    """The standard has oadrCanceledPartyRegistration for this. The yes in oadrResponse counts."""
    await setting.client.create_party_registration()
    message_type, _ = await setting.client.cancel_party_registration()
    assert message_type == "oadrResponse"
    assert not setting.client.registered
    assert await setting.state("registered") == {}


async def test_we_register_again_when_it_has_forgotten_us(setting: Setting) -> None:
    """It asks for that in place of whatever reply was due."""
    ven_id = await setting.connect()
    await setting.another_poll()  # the bootstrap is over
    await setting.peer.ask("forget")
    await setting.has("registered", 1)
    assert list(await setting.state("registered")) == [ven_id]
    assert "oadrRequestReregistration" in [reply.message_type for reply in setting.replies("OadrPoll")]
    await eventually(lambda: setting.client.registered)


async def test_asking_for_events_where_there_are_none_gets_a_plain_response(setting: Setting) -> None:
    """The standard has an empty oadrDistributeEvent for this."""
    await setting.client.create_party_registration()
    assert (await setting.client.request_event()).message_type == "oadrResponse"
    assert (await setting.client.poll()).message_type == "oadrResponse"


# --- events ---------------------------------------------------------------------------------------------------------


async def test_an_event_is_heard_changed_and_cancelled(setting: Setting) -> None:
    ven_id = await setting.connect()
    event_id = await setting.peer.ask("add_event", ven_id=ven_id, start=in_an_hour(), seconds=3600, value=1)
    await setting.has("opts", 1)
    await setting.peer.ask("change_event", ven_id=ven_id, event_id=event_id, value=2)
    await setting.has("opts", 2)
    await setting.peer.ask("cancel_event", ven_id=ven_id, event_id=event_id)
    opts = await setting.has("opts", 3)
    assert opts == [[ven_id, event_id, "optIn"]] * 3
    await eventually(lambda: len(setting.heard) == 3)
    assert [
        (event.event_id, event.modification_number, event.cancelled, event.signals[0].intervals[0].value)
        for event in setting.heard
    ] == [(event_id, 0, False, 1.0), (event_id, 1, False, 2.0), (event_id, 2, True, 2.0)]
    first = setting.heard[0]
    assert (first.duration, first.target.ven_ids, first.market_context) == (HOUR, (ven_id,), "oadr://unknown.context")
    assert first.signals[0].signal_name == "SIMPLE"


async def test_an_event_that_is_no_longer_listed_is_cancelled(setting: Setting) -> None:
    ven_id = await setting.connect()
    for value in (1, 2):
        await setting.peer.ask("add_event", ven_id=ven_id, start=in_an_hour(), seconds=3600, value=value)
    opts = await setting.has("opts", 2)
    gone, kept = (event_id for _, event_id, _ in opts)
    await setting.peer.ask("drop_event", ven_id=ven_id, event_id=gone)
    await eventually(lambda: any(event.cancelled for event in setting.heard))
    assert [event.event_id for event in setting.heard if event.cancelled] == [gone]
    assert kept in setting.client.events


async def test_an_event_that_wants_no_answer_gets_none(setting: Setting) -> None:
    ven_id = await setting.connect()
    await setting.peer.ask(
        "add_event", ven_id=ven_id, start=in_an_hour(), seconds=3600, value=0.25,
        signal_name="x-valve", signal_type="setpoint", response_required="never",
    )  # fmt: skip
    await eventually(lambda: setting.heard)
    assert (setting.heard[0].signals[0].signal_name, setting.heard[0].signals[0].intervals[0].value) == (
        "x-valve",
        0.25,
    )
    await setting.another_poll()
    assert setting.replies("EiEvent")[1:] == []  # the first is that of oadrRequestEvent


async def test_answering_an_event_that_it_does_not_know_is_refused(setting: Setting) -> None:
    await setting.client.create_party_registration()
    await setting.peer.ask("add_event", ven_id=setting.client.ven_id, start=in_an_hour(), seconds=3600, value=1)
    with pytest.raises(PeerRefused) as refusal:
        await setting.client.created_event("another", OptType.IN, modification_number=0)
    assert refusal.value.code == "452"


async def test_an_event_brings_a_request_id_of_none(setting: Setting) -> None:
    """The word None stands in the eiResponse of its oadrDistributeEvent after a poll. Nothing depends on it."""
    await setting.client.create_party_registration()
    await setting.peer.ask("add_event", ven_id=setting.client.ven_id, start=in_an_hour(), seconds=3600, value=1)
    _, payload = await setting.client.poll()
    assert payload["response"]["request_id"] == "None"
    assert payload["events"][0]["event_descriptor"]["event_status"] == "far"


# --- opts -----------------------------------------------------------------------------------------------------------


async def test_it_has_no_service_for_opts(setting: Setting) -> None:
    await setting.client.create_party_registration()
    start = datetime.now(UTC) + HOUR
    with pytest.raises(TransportError, match="404") as error:
        await setting.client.create_opt(OptType.OUT, availability=[Span(start, start + HOUR)])
    assert (error.value.status, error.value.retry) == (404, False)


# --- reports --------------------------------------------------------------------------------------------------------


def point(r_id: str, unit: Unit | None = POWER, **fields: Any) -> DataPoint:
    return DataPoint(r_id=r_id, unit=unit, data_source=Target(resource_ids=(f"{r_id}-resource",)), **fields)


async def test_it_hears_what_we_can_report_and_asks_for_it(setting: Setting) -> None:
    values = {"roof": 1.5, "cellar": 2.5}
    for r_id in values:
        setting.client.add_report(points=[point(r_id)], source=lambda r_id: values[r_id])
    ven_id = await setting.connect()
    await setting.has("readings", 4)
    assert await setting.state("offered") == [
        [ven_id, "roof-resource", "RealPower", "W", "none"],
        [ven_id, "cellar-resource", "RealPower", "W", "none"],
    ]
    assert {value for _, _, value in await setting.state("readings")} == {1.5, 2.5}


async def test_energy_arrives_as_energy(setting: Setting) -> None:
    setting.client.add_report(points=[point("meter", ENERGY)], source=lambda r_id: 7.0)
    ven_id = await setting.connect()
    readings = await setting.has("readings", 1)
    assert await setting.state("offered") == [[ven_id, "meter-resource", "RealEnergy", "Wh", "k"]]
    assert readings[0][2] == 7.0


async def test_a_state_as_a_number_arrives(setting: Setting) -> None:
    state = point("roof", None, report_type="x-state", reading_type="x-notApplicable")
    setting.client.add_report("TELEMETRY_STATUS", points=[state], source=lambda r_id: 1.0)
    await setting.connect()
    (first, *_) = await setting.has("readings", 1)
    assert (first[0], first[2]) == ("Status", 1.0)


async def rejected_reports(setting: Setting) -> list[bytes]:
    """The reports that the VTN has answered with 500, as soon as there is one, and while polling goes on."""

    def look() -> list[bytes]:
        return [
            body for service, body, reply in setting.recorder.exchanges if service == "EiReport" and reply.status == 500
        ]

    rejected: list[bytes] = await eventually(look)
    await setting.another_poll()
    return rejected


async def test_a_report_with_two_values_for_one_instant_fails_there(setting: Setting) -> None:
    """The standard gathers them in one interval, as it does here. Give each data point a report of its own."""
    setting.client.add_report(points=[point("roof"), point("cellar")], source=lambda r_id: 1.0)
    await setting.connect()
    message = decode((await rejected_reports(setting))[0]).message
    assert isinstance(message, wire.OadrUpdateReport)
    assert [len(interval.payloads) for interval in message.reports[0].intervals] == [2]
    assert await setting.state("readings") == []
    assert setting.client.unsent > 0


async def test_a_report_on_the_state_of_a_resource_fails_there(setting: Setting) -> None:
    """It reads numbers only."""
    setting.client.add_report(
        "TELEMETRY_STATUS",
        points=[point("roof", None, report_type="x-resourceStatus", reading_type="x-notApplicable")],
        source=lambda r_id: ResourceStatus(online=True, manual_override=False),
    )
    await setting.connect()
    assert await rejected_reports(setting)
    assert setting.client.unsent > 0


# --- what an application of openleadr's may have its VTN say at a poll ----------------------------------------------


async def say(setting: Setting, message_type: str, payload: dict[str, Any], answer: type[wire.Message]) -> Reply:
    """Have the VTN say something; what it replies to our answer, which must be one of that type."""
    await setting.peer.ask("say", message_type=message_type, payload=payload)

    def find() -> Reply | None:
        exchanges = ((decode(body).message, reply) for _, body, reply in setting.recorder.exchanges)
        return next((reply for message, reply in exchanges if isinstance(message, answer)), None)

    reply: Reply = await eventually(find)
    return reply


def refusal(reply: Reply) -> str:
    message = decode(reply.body).message
    assert isinstance(message, wire.OadrResponse)
    return message.response.response_code


async def test_its_offer_of_reports_is_noted_but_asking_for_them_is_refused(setting: Setting) -> None:
    await setting.connect()
    offer = {
        "report_name": "METADATA_TELEMETRY_USAGE",
        "report_specifier_id": "weather",
        "duration": "PT1H",
        "created_date_time": WHEN,
        "report_descriptions": [{"r_id": "outside", "report_type": "usage", "reading_type": "Direct Read"}],
    }
    await say(setting, "oadrRegisterReport", {"reports": [offer]}, wire.OadrRegisteredReport)
    (capability,) = setting.client.vtn_capabilities
    assert (capability.report_specifier_id, [each.r_id for each in capability.points]) == ("weather", ["outside"])
    request = ReportRequest(report_request_id="REQUEST-1", report_specifier_id="weather", r_ids=("outside",))
    with pytest.raises(PeerRefused) as error:
        await setting.client.create_report([request])
    assert error.value.code == "459"


async def test_a_report_of_its_own_reaches_the_handler_though_it_refuses_the_receipt(setting: Setting) -> None:
    reports: list[Report] = []
    setting.client.on_report = reports.append
    await setting.connect()
    report = {
        "report_id": "REPORT-1",
        "report_request_id": "REQUEST-1",
        "report_specifier_id": "weather",
        "report_name": "TELEMETRY_USAGE",
        "created_date_time": WHEN,
        "dtstart": WHEN,
        "intervals": [{"dtstart": WHEN, "report_payload": {"r_id": "outside", "value": 4.5}}],
    }
    reply = await say(setting, "oadrUpdateReport", {"reports": [report]}, wire.OadrUpdatedReport)
    assert refusal(reply) == "459"
    assert [reading.value for each in reports for reading in each.readings] == [4.5]


async def test_it_ends_a_report_though_it_refuses_the_receipt(setting: Setting) -> None:
    setting.client.add_report(points=[point("roof")], source=lambda r_id: 1.5)
    await setting.connect()
    await setting.has("readings", 1)
    (request_id,) = setting.client.report_requests
    payload = {"report_request_id": request_id, "report_to_follow": False}
    assert refusal(await say(setting, "oadrCancelReport", payload, wire.OadrCanceledReport)) == "459"
    assert not setting.client.report_requests


async def ask_for(setting: Setting, specifier: str, r_id: str) -> None:
    """Have the VTN ask for one report at once."""
    request = {
        "report_request_id": "REQUEST-2",
        "report_specifier": {
            "report_specifier_id": specifier,
            "granularity": "PT0S",
            "report_back_duration": "PT0S",
            "specifier_payloads": [{"r_id": r_id, "reading_type": "Direct Read"}],
        },
    }
    await setting.peer.ask("say", message_type="oadrCreateReport", payload={"report_requests": [request]})


def replies_about_it(setting: Setting, kind: type[wire.Message]) -> list[Reply]:
    exchanges = ((decode(body).message, reply) for _, body, reply in setting.recorder.exchanges)
    return [reply for message, reply in exchanges if isinstance(message, kind) and "REQUEST-2" in str(message)]


async def test_it_asks_for_a_report_at_a_poll(setting: Setting) -> None:
    setting.client.add_report(points=[point("roof")], source=lambda r_id: 1.5, report_specifier_id="power")
    await setting.connect()
    await ask_for(setting, "power", "roof")
    (data, *_) = await eventually(lambda: replies_about_it(setting, wire.OadrUpdateReport))
    (acceptance, *_) = replies_about_it(setting, wire.OadrCreatedReport)
    assert (acceptance.status, data.status) == (200, 200)


async def test_it_fails_on_an_acceptance_if_it_asked_for_nothing_at_the_registration(setting: Setting) -> None:
    """What it asked for, here the list of our reports, is sent all the same."""
    await setting.connect()
    await ask_for(setting, "METADATA", "0")
    (metadata, *_) = await eventually(lambda: replies_about_it(setting, wire.OadrRegisterReport))
    (acceptance, *_) = replies_about_it(setting, wire.OadrCreatedReport)
    assert (acceptance.status, metadata.status) == (500, 200)


async def test_it_ends_the_registration_though_it_refuses_the_receipt(setting: Setting) -> None:
    await setting.connect()
    payload = {"registration_id": setting.client.registration_id}
    reply = await say(setting, "oadrCancelPartyRegistration", payload, wire.OadrCanceledPartyRegistration)
    assert refusal(reply) == "459"
    await eventually(lambda: not setting.client.registered)
