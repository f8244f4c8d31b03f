"""The conformance checks on openleadr's VTN and VEN: what they find is what docs/reference/interop.md says."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from pyopenadr.clock import SystemClock
from pyopenadr.conformance.check import NotApplicable
from pyopenadr.conformance.line import Line
from pyopenadr.conformance.runner import Result, chosen, run
from pyopenadr.conformance.served import Served
from pyopenadr.conformance.stimulus import EventWish
from pyopenadr.conformance.ven.registry import VEN_CHECKS
from pyopenadr.conformance.ven.stage import VenStage
from pyopenadr.conformance.vtn.registry import VTN_CHECKS
from pyopenadr.conformance.vtn.stage import VtnStage
from pyopenadr.transport.server import HttpServer
from tests.interop.peer import Peer

pytestmark = pytest.mark.interop

SLOW = ("vtn-event-begins*", "vtn-event-completed", "vtn-event-window", "vtn-transport-declared-entity")
"""Checks that wait for seconds, and one that is made last, on a peer that nobody needs any more."""

FAILED_VTN = {
    "vtn-transport-dots",
    "vtn-registration-stranger-poll",
    "vtn-registration-stranger-event",
    "vtn-registration-stranger-report",
    "vtn-registration-stranger-opt",
    "vtn-registration-profile-a",
    "vtn-registration-cancel",
    "vtn-registration-cancelled-poll",
    "vtn-registration-cancelled-event",
    "vtn-general-poll-wrong",
    "vtn-general-case",
    "vtn-general-profile-a",
    "vtn-report-metadata",
    "vtn-event-request",
    "vtn-event-request-wrong",
    "vtn-event-failure",
    "vtn-event-limit",
    "vtn-event-created-equal",
    "vtn-opt-create",
    "vtn-message-105-notification",
    "vtn-message-115-made-at-once",
    "vtn-message-29-current-value-is-real",
    "vtn-message-103-no-start-of-intervals",
    "vtn-message-324-series-have-a-period",
    "vtn-message-338-reading-type-of-a-request",
}
FAILED_VEN = {
    "ven-event-wrong-vtn",
    "ven-event-target-other",
    "ven-event-signal-unknown",
    "ven-event-completed",
    "ven-message-331-known-reports",
}


class OpenleadrStimulus:
    """What an application of openleadr's VTN can do with events; reports it asks for only at registration."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._ven_of: dict[str, str] = {}

    async def create_event(self, wish: EventWish) -> str:
        special = (wish.unit, wish.is_test, wish.start_after, wish.ramp_up, wish.priority, wish.steps[1:])
        if any(special) or wish.response_required != "always":
            raise NotApplicable("the program that moves the VTN makes plain events only")
        (seconds, value), start = wish.steps[0], wish.start.isoformat()
        event_id = await self._peer.ask("add_event", ven_id=wish.ven_id, start=start, seconds=seconds, value=value)
        self._ven_of[event_id] = wish.ven_id
        return str(event_id)

    async def cancel_event(self, event_id: str) -> None:
        await self._peer.ask("cancel_event", ven_id=self._ven_of[event_id], event_id=event_id)

    async def change_event(self, event_id: str, priority: int) -> None:
        raise NotApplicable("openleadr's VTN has no change of events")

    async def request_report(self, ven_id: str, specifier_id: str, seconds: int) -> str:
        raise NotApplicable("openleadr's VTN asks for reports when they are offered")

    async def cancel_report(self, ven_id: str, request_id: str) -> None:
        raise NotApplicable("openleadr's VTN has no cancellation of reports")

    async def reregister(self, ven_id: str) -> None:
        raise NotApplicable("openleadr's VTN asks for that by itself")

    async def cancel_registration(self, ven_id: str) -> None:
        raise NotApplicable("openleadr's VTN ends no registration")


def of(result: Result, verdict: str) -> set[str]:
    return {outcome.check.id for outcome in result.outcomes if outcome.verdict == verdict}


async def test_openleadrs_vtn() -> None:
    left_out = {each.id for each in chosen(VTN_CHECKS, SLOW)}
    async with Peer("openleadr_vtn") as peer:
        url = await peer.ask("start")
        stage = VtnStage(Line(url), clock=SystemClock(), stimulus=OpenleadrStimulus(peer), patience_s=2.0)
        result = await run(stage, [each for each in VTN_CHECKS if each.id not in left_out], target=url)
    assert len(of(result, "pass")) >= 80
    assert of(result, "fail") == FAILED_VTN


async def test_openleadrs_ven() -> None:
    stage = VenStage(clock=SystemClock(), patience_s=3.0)
    server = HttpServer(Served(stage.handle), "127.0.0.1", 0)
    await server.start()
    patterns = (*FAILED_VEN, "ven-event-new*", "ven-event-price", "ven-message-*", "ven-http-*")
    async with Peer("openleadr_ven") as peer:
        url = f"{server.url}/OpenADR2/Simple/2.0b"
        await peer.ask("start", name="laboratory", url=url, run=True, reports=True)
        pump = asyncio.create_task(_poll_on(peer))
        result = await run(stage, chosen(VEN_CHECKS, patterns), target="openleadr")
        pump.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await pump
    await server.stop()
    assert len(of(result, "pass")) >= 35
    assert of(result, "fail") == FAILED_VEN


async def _poll_on(peer: Peer) -> Any:
    """It polls once a second; told to, it does so more often."""
    while True:
        await asyncio.shield(peer.ask("call", method="_poll"))
        await asyncio.sleep(0.02)
