"""Wire values: immutable, comparable, readable, like mappings, and to and from dicts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from pyopenadr.errors import SchemaMismatch
from pyopenadr.model.time import CalendarDuration
from pyopenadr.v2 import decode, wire
from pyopenadr.v2.profile import B
from pyopenadr.v2.wire.common import ITEM_BASE
from tests.properties.oracle import OADR, reference
from tests.vectors import vector, vectors

POLL = wire.OadrPoll(ven_id="ven1")


def test_values_are_immutable_and_comparable() -> None:
    with pytest.raises(AttributeError):
        POLL.ven_id = "other"  # type: ignore[misc]
    assert wire.OadrPoll(ven_id="ven1") == POLL
    assert wire.OadrPoll(ven_id="ven2") != POLL
    other: object = wire.OadrRequestReregistration(ven_id="ven1")
    assert other != POLL
    assert hash(POLL) == hash(wire.OadrPoll(ven_id="ven1"))
    assert len({decode(vector("21")).message, decode(vector("21")).message}) == 1


def test_values_read_well() -> None:
    assert repr(POLL) == "OadrPoll(schema_version='2.0b', ven_id='ven1')"
    assert POLL.message_type == "oadrPoll"


def test_values_answer_like_mappings() -> None:
    assert POLL["ven_id"] == "ven1"
    assert dict(POLL) == {"schema_version": "2.0b", "ven_id": "ven1"}
    assert list(POLL) == ["schema_version", "ven_id"] == list(POLL.keys())
    assert POLL.values() == ["2.0b", "ven1"]
    assert POLL.items() == [("schema_version", "2.0b"), ("ven_id", "ven1")]
    assert len(POLL) == 2
    assert "ven_id" in POLL
    assert "venID" not in POLL
    assert 7 not in POLL
    assert POLL.get("ven_id") == "ven1"
    assert POLL.get("nothing", 7) == 7
    assert POLL.get("keys") is None
    with pytest.raises(KeyError, match="tag"):
        POLL["tag"]


def test_get_gives_the_default_for_what_is_absent() -> None:
    response = wire.EiResponse(response_code="200", request_id="")
    assert response["response_description"] is None
    assert response.get("response_description", "OK") == "OK"


def test_a_dict_has_native_types() -> None:
    report = wire.OadrReport(
        dtstart=datetime(2030, 1, 1, tzinfo=UTC),
        duration=CalendarDuration(1),
        intervals=(
            wire.Interval(
                duration=timedelta(hours=1),
                payloads=(
                    wire.ReportPayload(r_id="1", value=1.5),
                    wire.ReportPayload(r_id="2", value=wire.ResourceStatus(online=True, manual_override=False)),
                ),
            ),
        ),
        report_request_id="0",
        report_specifier_id="s",
        created_date_time=datetime(2030, 1, 1, tzinfo=UTC),
    )
    fields = report.to_dict()
    assert fields == {
        "dtstart": datetime(2030, 1, 1, tzinfo=UTC),
        "duration": CalendarDuration(1),
        "intervals": [
            {
                "duration": timedelta(hours=1),
                "payloads": [
                    {"r_id": "1", "value": 1.5},
                    {"r_id": "2", "value": {"online": True, "manual_override": False}},
                ],
            }
        ],
        "report_request_id": "0",
        "report_specifier_id": "s",
        "created_date_time": datetime(2030, 1, 1, tzinfo=UTC),
    }
    assert wire.OadrReport.from_dict(fields) == report


@pytest.mark.parametrize("data", vectors())
def test_a_vector_comes_back_from_its_dict(data: bytes) -> None:
    message = decode(data).message
    assert type(message).from_dict(message.to_dict()) == message
    assert type(message).from_dict(dict(message)) == message


def test_what_is_absent_stays_absent() -> None:
    without = wire.OadrPoll(schema_version=None, ven_id="v")
    assert without.to_dict() == {"schema_version": None, "ven_id": "v"}
    assert wire.OadrPoll.from_dict(without.to_dict()) == without


@pytest.mark.parametrize(
    ("cls", "fields", "reason", "path"),
    [
        (wire.OadrPoll, {"ven_id": "v", "venID": "v"}, "no such field: venID", "OadrPoll"),
        (wire.OadrPoll, {}, "missing: ven_id", "OadrPoll"),
        (wire.OadrResponse, {"response": "200"}, "str '200'", "OadrResponse/response"),
        (wire.OadrResponse, {"response": {"code": "200"}}, "no such field: code", "OadrResponse/response"),
        (wire.EiTarget, {"ven_id": "v"}, "str 'v'", "EiTarget/ven_id"),
        (wire.SignalPayload, {"value": {"level": 1}}, "fit no ei:payloadBase", "SignalPayload/value"),
        (wire.Interval, {"payloads": [{"value": 1.0}, {"x": 1}]}, "fit no strm:", "Interval/payloads[1]"),
    ],
)
def test_a_dict_that_does_not_fit(cls: type[wire.Wire], fields: dict[str, Any], reason: str, path: str) -> None:
    with pytest.raises(SchemaMismatch, match=reason) as caught:
        cls.from_dict(fields)
    assert caught.value.path == path


def test_wire_values_may_stand_in_a_dict() -> None:
    response = wire.EiResponse(response_code="200", request_id="")
    assert wire.OadrResponse.from_dict({"response": response}) == wire.OadrResponse(response=response)


def test_every_unit_is_there() -> None:
    head = reference().maps.elements["{http://docs.oasis-open.org/ns/emix/2011/06}itemBase"]
    units = {unit.local_name for unit in head.iter_substitutes() if not unit.type.abstract}
    assert {variant.constants["element"] for variant in ITEM_BASE.variants} == units


def test_every_message_of_the_schema_has_a_class() -> None:
    holder = reference().maps.elements[f"{{{OADR}}}oadrSignedObject"]
    assert {child.name for child in holder.type.content} == {B.clark(cls.tag) for cls in B.messages}


def test_all_classes_are_exported() -> None:
    classes = [getattr(wire, name) for name in wire.__all__]
    assert all(issubclass(cls, wire.Wire) for cls in classes)
    assert all(issubclass(cls, msgspec.Struct) and cls.__struct_config__.frozen for cls in classes)
    assert all(cls.__doc__ and not cls.__doc__.startswith(cls.__name__ + "(") for cls in classes)
