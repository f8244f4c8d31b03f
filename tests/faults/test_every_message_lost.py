"""A whole day of VTN and VEN, again and again, while each single message in turn meets with a fault.

Whatever happens to one message: no event is missed, no callback is doubled, no reading is lost or doubled, the opts
agree at both ends, and the day ends in the same state. `PYOPENADR_WHOLE_DAYS=1` (`make days`) runs a day for every
message and every fault. Without it the first idle poll after a message that matters stands for the others, and each
fault meets every eighth message, each fault with another one first.
"""

from __future__ import annotations

import os
from dataclasses import fields

import pytest

from pyopenadr.testing import Fault
from pyopenadr.testing.recorder import Recorded
from pyopenadr.v2 import wire
from tests.faults.day import Day, Outcome

WHOLE = bool(os.environ.get("PYOPENADR_WHOLE_DAYS"))
STRIDE = 1 if WHOLE else 8

TEN_MINUTES, LATE = 600.0, 1800.0
FAULTS = {
    "request lost": Fault(lose_request=True),
    "reply lost": Fault(lose_reply=True),
    "request doubled": Fault(duplicate=True),
    "request delayed": Fault(delay_s=TEN_MINUTES),
    "reply delayed": Fault(delay_reply_s=TEN_MINUTES),
    "request overtaken": Fault(delay_s=LATE),
    "reply overtaken": Fault(delay_reply_s=LATE),
    "copy arrives late": Fault(repeat_after_s=LATE),
    "request truncated": Fault(truncate_request=True),
    "reply truncated": Fault(truncate_reply=True),
}

STARTS_ANEW = {("copy arrives late", wire.OadrCreatePartyRegistration)}
"""The one message that means something else when it comes again after others: a VEN without a registrationID that
registers has forgotten everything, so the VTN forgets what the VEN had offered."""

DAILY = {
    wire.OadrQueryRegistration,
    wire.OadrCreatePartyRegistration,
    wire.OadrCreatedPartyRegistration,
    wire.OadrRequestReregistration,
    wire.OadrCancelPartyRegistration,
    wire.OadrCanceledPartyRegistration,
    wire.OadrPoll,
    wire.OadrResponse,
    wire.OadrRequestEvent,
    wire.OadrDistributeEvent,
    wire.OadrCreatedEvent,
    wire.OadrCreateOpt,
    wire.OadrCreatedOpt,
    wire.OadrCancelOpt,
    wire.OadrCanceledOpt,
    wire.OadrRegisterReport,
    wire.OadrRegisteredReport,
    wire.OadrCreateReport,
    wire.OadrCreatedReport,
    wire.OadrUpdateReport,
    wire.OadrUpdatedReport,
    wire.OadrCancelReport,
    wire.OadrCanceledReport,
}


def is_idle(one: Recorded) -> bool:
    return isinstance(one.request, wire.OadrPoll) and isinstance(one.reply, wire.OadrResponse)


def strikes(exchanges: list[Recorded]) -> list[int]:
    """The messages that are worth a run: all that matter, and the first idle poll of each stretch of them."""
    if WHOLE:
        return list(range(len(exchanges)))
    return [n for n, one in enumerate(exchanges) if not is_idle(one) or (n and not is_idle(exchanges[n - 1]))]


def differences(found: Outcome, expected: Outcome) -> dict[str, tuple[object, object]]:
    pairs = {field.name: (getattr(found, field.name), getattr(expected, field.name)) for field in fields(Outcome)}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


async def test_the_day_has_every_message_of_pull() -> None:
    day = Day()
    outcome = await day.run()
    assert {type(part) for one in day.exchanges for part in (one.request, one.reply) if part is not None} == DAILY
    assert max(outcome.calls.values()) == 1
    assert len(outcome.readings) == 18
    assert outcome.agreed == [True] * 4
    assert outcome.received == {"08:00": 1, "12:00": 1}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_fault_at_each_message_changes_nothing(name: str) -> None:
    calm = Day()
    expected = await calm.run()
    first = list(FAULTS).index(name) % STRIDE
    wrong = {}
    for strike in strikes(calm.exchanges)[first::STRIDE]:
        struck = calm.exchanges[strike]
        if (name, type(struck.request)) in STARTS_ANEW:
            continue
        day = Day(strike, FAULTS[name])
        found = differences(await day.run(), expected)
        if found:
            wrong[f"{strike} {type(struck.request).__name__} -> {type(struck.reply).__name__}"] = found
    assert not wrong, f"{name}: {wrong}"
