"""What the tests of the numbered rules share: parties made by hand, and what they say."""

from __future__ import annotations

from typing import Any

from pyopenadr.model import Interval, Signal
from pyopenadr.transport.port import Reply
from pyopenadr.v2 import wire
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.ven.scripted import ScriptedVtn
from tests.unit.vtn.sample import (
    HOUR,
    MINUTE,
    SECOND,
    Ven,
    point,
    server,
)

REREGISTERED = "oadrRequestReregistration"


class HearingVtn(ScriptedVtn):
    """A scripted VTN that keeps what it gets as it came."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: list[bytes] = []

    async def post(self, url: str, body: bytes) -> Reply:
        self.bodies.append(body)
        return await super().post(url, body)


def simple(*values: float) -> Signal:
    """Levels for an hour in equal parts."""
    return Signal(
        signal_name="SIMPLE",
        signal_type="level",
        signal_id="s1",
        intervals=tuple(Interval(HOUR / len(values), value) for value in values),
    )


def numbers(message: wire.OadrDistributeEvent) -> list[int]:
    return [each.event_descriptor.modification_number for each in message.events]


def statuses(message: wire.OadrDistributeEvent) -> list[str]:
    return [each.event_descriptor.event_status for each in message.events]


async def offering() -> tuple[OpenADRServer, Ven]:
    """A VTN that offers a tariff, and a VEN that has taken note of it."""
    vtn = server()
    vtn.add_report("tariff", points=[point()], source=lambda request: {"price": 1.0})
    return vtn, await Ven(vtn).join()


async def create_report(ven: Ven, *requests: wire.ReportRequest, request_id: str = "c") -> wire.OadrCreatedReport:
    message = wire.OadrCreateReport(request_id=request_id, report_requests=requests, ven_id=ven.ven_id)
    return await ven.send("EiReport", message, wire.OadrCreatedReport)


async def asked(vtn: OpenADRServer, ven: Ven, **fields: Any) -> str:
    """Ask a VEN for its power every 5 minutes and have it accept. Returns the request's ID."""
    defaults: dict[str, Any] = {"granularity": MINUTE, "report_back_duration": 5 * MINUTE}
    request = await vtn.request_report(ven.ven_id, report_specifier_id="telemetry", **(defaults | fields))
    question = await ven.poll(wire.OadrCreateReport)
    await ven.created_report(question.request_id, request.report_request_id)
    return request.report_request_id


def opt(ven: Ven, **fields: Any) -> wire.OadrCreateOpt:
    available = wire.WsCalendarInterval(dtstart=SECOND, duration=HOUR)
    defaults: dict[str, Any] = {
        "opt_id": "o1",
        "opt_type": "optOut",
        "opt_reason": "economic",
        "ven_id": ven.ven_id,
        "created_date_time": SECOND,
        "request_id": "co",
        "target": wire.EiTarget(),
        "vavailability": (available,),
    }
    return wire.OadrCreateOpt(**(defaults | fields))


async def create_opt(ven: Ven, **fields: Any) -> wire.EiResponse:
    return (await ven.send("EiOpt", opt(ven, **fields), wire.OadrCreatedOpt)).response


async def cancel_opt(ven: Ven, opt_id: str = "o1", request_id: str = "x") -> wire.EiResponse:
    message = wire.OadrCancelOpt(request_id=request_id, opt_id=opt_id, ven_id=ven.ven_id)
    return (await ven.send("EiOpt", message, wire.OadrCanceledOpt)).response


async def yes(_: object) -> str:
    """An `on_event` that takes part in everything."""
    return "optIn"
