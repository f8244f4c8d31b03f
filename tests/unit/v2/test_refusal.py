"""What encode refuses, and what it takes though it was not declared so."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from pyopenadr.errors import SchemaMismatch, WireError
from pyopenadr.v2 import decode, encode, wire
from pyopenadr.v2.codec import body_of
from pyopenadr.v2.plan import shape_of
from pyopenadr.v2.profile import A, B
from tests.properties.oracle import why_not
from tests.unit.v2.document import (
    AREA,
    NOON,
    ONE,
    STATUS,
    area,
    distribute,
    event,
    signal_payload,
    target,
    unit,
)
from tests.vectors import vector


class Status(enum.StrEnum):
    FAR = "far"


def test_words_may_be_enums() -> None:
    assert encode(distribute(event(event_status=Status.FAR))) == encode(distribute(event()))


def test_a_version_is_escaped_in_its_attribute() -> None:
    message = wire.OadrPoll(schema_version="x-\"<>&'1", ven_id="v")
    data = encode(message)
    assert why_not(data) is None
    assert decode(data).message == message


@pytest.mark.parametrize(
    ("fields", "path", "reason"),
    [
        ({"event_id": None}, "event_descriptor/event_id", "missing"),
        ({"event_id": 7}, "event_descriptor/event_id", "int 7"),
        ({"event_id": b"x"}, "event_descriptor/event_id", "bytes"),
        ({"event_id": "a\x01"}, "event_descriptor/event_id", r"U\+0001"),
        ({"event_id": "a\ud800"}, "event_descriptor/event_id", r"U\+D800"),
        ({"modification_number": -1}, "event_descriptor/modification_number", "0 to 4294967295"),
        ({"priority": 1.0}, "event_descriptor/priority", "whole number"),
        ({"priority": []}, "event_descriptor/priority", r"list \[\]"),
        ({"market_context": "%"}, "event_descriptor/market_context", "URI"),
        ({"created_date_time": datetime(2030, 1, 1)}, "event_descriptor/created_date_time", "time zone"),  # noqa: DTZ001
        ({"created_date_time": "2030-01-01T00:00:00Z"}, "event_descriptor/created_date_time", "str"),
        ({"created_date_time": []}, "event_descriptor/created_date_time", "list"),
        ({"event_status": "soon"}, "event_descriptor/event_status", "none, far, near"),
        ({"event_status": ["far"]}, "event_descriptor/event_status", "list"),
        ({"duration": timedelta(milliseconds=1)}, "active_period/duration", "whole number of seconds"),
        ({"start_after": "PT1H"}, "active_period/start_after", "str"),
        ({"signal_name": "OWN"}, "event_signals[0]/signal_name", "x-"),
        ({"signal_type": "x-own"}, "event_signals[0]/signal_type", "delta, level"),
        ({"current_value": "1"}, "event_signals[0]/current_value", "number"),
        ({"current_value": True}, "event_signals[0]/current_value", "bool"),
        ({"event_signals": ()}, "event_signals", "at least one"),
        ({"event_signals": None}, "event_signals", "tuple"),
        ({"event_signals": "x"}, "event_signals", "tuple"),
        ({"event_signals": (None,)}, "event_signals[0]", "missing"),
        ({"intervals": ()}, "event_signals[0]/intervals", "at least one"),
        ({"intervals": (ONE, STATUS)}, "event_signals[0]/intervals[1]", "Interval"),
        (
            {"intervals": (msgspec.structs.replace(ONE, payloads=(1.0,)),)},
            "event_signals[0]/intervals[0]/payloads[0]",
            "SignalPayload",
        ),
        (
            {"intervals": (msgspec.structs.replace(ONE, payloads=(signal_payload(None),)),)},
            "event_signals[0]/intervals[0]/payloads[0]/value",
            "float",
        ),
        ({"target": None}, "target", "missing"),
        ({"target": target(ven_id="ven1")}, "target/ven_id", "tuple"),
        ({"target": target(ven_id=(None,))}, "target/ven_id[0]", "missing|nothing"),
        ({"target": target(ven_id=None)}, "target/ven_id", "tuple"),
        ({"target": target(pnode=(1,))}, "target/pnode[0]", "int"),
        (
            {"target": target(service_area=(msgspec.structs.replace(AREA, id="1"),))},
            "target/service_area[0]/id",
            "XML name",
        ),
        (
            {"target": target(service_area=(area(None),))},
            "target/service_area[0]/pos_list",
            "missing",
        ),
        ({"response_required": "Always"}, "response_required", "always, never"),
        ({"item_base": wire.ItemBase(element="joule")}, "event_signals[0]/item_base", "voltage"),
        (
            {
                "item_base": wire.ItemBase(
                    element="voltage", item_description="Voltage", item_units="A", si_scale_code="none"
                )
            },
            "event_signals[0]/item_base/item_units",
            "'V'",
        ),
        (
            {"item_base": wire.ItemBase(element="voltage", item_description="Voltage", item_units="V")},
            "event_signals[0]/item_base/si_scale_code",
            "missing",
        ),
        (
            {
                "item_base": wire.ItemBase(
                    element="voltage",
                    item_description="Voltage",
                    item_units="V",
                    si_scale_code="none",
                    pulse_factor=1.0,
                )
            },
            "event_signals[0]/item_base/pulse_factor",
            "voltage has none",
        ),
        ({"item_base": STATUS}, "event_signals[0]/item_base", "ResourceStatus"),
        ({"item_base": unit(["voltage"])}, "event_signals[0]/item_base", "voltage"),
    ],
)
def test_what_can_not_be_written(fields: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(SchemaMismatch, match=reason) as caught:
        encode(distribute(event(), event(**fields)))
    assert caught.value.path == f"oadrDistributeEvent/events[1]/{path}"
    assert str(caught.value).startswith("can't be written: ")


def test_a_refusal_names_the_rule() -> None:
    with pytest.raises(SchemaMismatch) as caught:
        encode(distribute(event(dtstart=datetime(2030, 1, 1))))  # noqa: DTZ001
    assert caught.value.rule == "1"


def test_half_of_a_pair_can_not_be_written() -> None:
    opt = decode(vector("41")).message
    assert isinstance(opt, wire.OadrCreateOpt)
    for field in ("event_id", "modification_number"):
        with pytest.raises(SchemaMismatch, match="missing") as caught:
            encode(msgspec.structs.replace(opt, **{field: None}))
        assert caught.value.path == f"oadrCreateOpt/{field}"
    neither = msgspec.structs.replace(opt, event_id=None, modification_number=None)
    assert b"qualifiedEventID" not in encode(neither)


def test_no_list_and_an_empty_list_are_different_things() -> None:
    response = wire.EiResponse(response_code="200", request_id="")
    for responses, written in ((None, False), ((), True)):
        message = wire.OadrCreatedEvent(response=response, event_responses=responses, ven_id="v")
        data = encode(message)
        assert (b"<ei:eventResponses></ei:eventResponses>" in data) is written
        assert decode(data).message == message
        assert wire.OadrCreatedEvent.from_dict(message.to_dict()) == message


def test_lists_are_as_good_as_tuples() -> None:
    assert encode(distribute(event(target=target(ven_id=["ven1"])))) == encode(distribute(event()))
    assert encode(distribute(event(target=target(ven_id=[])))) == encode(distribute(event(target=target())))


@pytest.mark.parametrize("thing", [None, 7, "x", wire.EiResponse(response_code="200", request_id=""), event()])
def test_only_messages_are_written(thing: Any) -> None:
    with pytest.raises(SchemaMismatch, match="is no message"):
        encode(thing)


def test_a_signature_that_is_none_is_not_written() -> None:
    signed = decode(vector("s_signed_oadrPoll_ecc_no"))
    assert signed.signature is not None
    assert decode(encode(signed)) == signed
    broken = msgspec.structs.replace(signed.signature, xml="<x/>")
    with pytest.raises(WireError):
        encode(msgspec.structs.replace(signed, signature=broken))


def test_times_in_other_zones_are_written_in_utc() -> None:
    there = timezone(timedelta(hours=-5))
    assert encode(distribute(event(dtstart=NOON.astimezone(there)))) == encode(distribute(event()))


def test_the_body_is_part_of_the_document() -> None:
    message = distribute(event())
    assert body_of(B, message, None).encode() in encode(message)


def test_plans_of_the_same_class_are_made_once() -> None:
    assert shape_of(B, wire.EiTarget) is shape_of(B, wire.EiTarget)
    assert shape_of(A, wire.EiTarget) is not shape_of(B, wire.EiTarget)
