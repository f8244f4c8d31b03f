"""Documents in, documents out: the example messages, the envelope, the two profiles, Ids."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pyopenadr.errors import SchemaMismatch
from pyopenadr.v2 import Payload, decode, encode, wire
from pyopenadr.v2.profile import PREFIXES, PROFILES, A, B
from pyopenadr.v2.quick import read as read_quickly
from pyopenadr.v2.xml import parse
from tests.properties.oracle import is_valid, why_not
from tests.unit.v2.document import (
    AREA,
    DECLARED,
    NOON,
    ONE,
    POLL,
    distribute,
    document,
    event,
    target,
)
from tests.vectors import HERE, vector

NAMES = sorted(path.stem for path in HERE.glob("*.xml"))


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_is_read_and_written_again(name: str) -> None:
    payload = decode((HERE / f"{name}.xml").read_bytes())
    data = encode(payload)
    assert decode(data) == payload
    assert payload.deviations == ()
    assert payload.profile == ("2.0a" if "_20a_" in name else "2.0b")
    if payload.profile == "2.0b":
        assert why_not(data) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_vector_takes_the_quick_way(name: str) -> None:
    data = (HERE / f"{name}.xml").read_bytes()
    payload = decode(data)
    profile = next(profile for profile in PROFILES if profile.name == payload.profile)
    root = parse(data)
    element = root if profile is A else next(root.iter(profile.clark(payload.message.tag)))
    quickly = read_quickly(profile, type(payload.message), element)
    has_other_attributes = b"gml:id" in data or data.count(b"schemaVersion") > 1
    assert quickly == (None if has_other_attributes else payload.message)


def test_there_is_a_vector_for_nearly_every_message() -> None:
    seen = {type(decode((HERE / f"{name}.xml").read_bytes()).message) for name in NAMES}
    assert seen == set(B.messages)
    assert {type(decode(vector(f"a{n}")).message) for n in range(1, 5)} == set(A.messages)


def test_all_messages_are_declared() -> None:
    assert (len(B.messages), len(A.messages)) == (23, 4)
    assert {cls.tag.removeprefix("oadr:") for cls in B.messages} == {
        *("oadrDistributeEvent", "oadrCreatedEvent", "oadrRequestEvent", "oadrResponse", "oadrCancelOpt"),
        *("oadrCanceledOpt", "oadrCreateOpt", "oadrCreatedOpt", "oadrCancelReport", "oadrCanceledReport"),
        *("oadrCreateReport", "oadrCreatedReport", "oadrRegisterReport", "oadrRegisteredReport"),
        *("oadrUpdateReport", "oadrUpdatedReport", "oadrCancelPartyRegistration", "oadrPoll"),
        *("oadrCanceledPartyRegistration", "oadrCreatePartyRegistration", "oadrCreatedPartyRegistration"),
        *("oadrRequestReregistration", "oadrQueryRegistration"),
    }


def test_a_poll_is_written_as_short_as_can_be() -> None:
    assert encode(wire.OadrPoll(ven_id="ven1")) == (
        b'<oadr:oadrPayload xmlns:ei="http://docs.oasis-open.org/ns/energyinterop/201110"'
        b' xmlns:oadr="http://openadr.org/oadr-2.0b/2012/07"><oadr:oadrSignedObject>'
        b'<oadr:oadrPoll ei:schemaVersion="2.0b"><ei:venID>ven1</ei:venID></oadr:oadrPoll>'
        b"</oadr:oadrSignedObject></oadr:oadrPayload>"
    )


def test_rare_namespaces_are_declared_where_they_are_needed() -> None:
    plain = encode(distribute(event()))
    assert b"xmlns:power=" not in plain
    assert b"xmlns:gml=" not in plain
    assets = target(end_device_asset=("Thermostat",))
    assert b"xmlns:power=" in encode(distribute(event(target=assets)))


def test_the_id_of_the_signed_object() -> None:
    payload = decode(document(POLL, identity=' oadr:Id=" a-1 "'))
    assert payload.object_id == "a-1"
    assert decode(encode(payload)) == payload
    assert b'oadr:Id="a-1"' in encode(payload)


@pytest.mark.parametrize("object_id", ["", "1", "a b", "a:b", 7])
def test_an_id_must_be_an_xml_name(object_id: Any) -> None:
    with pytest.raises(SchemaMismatch, match="object_id"):
        encode(Payload(message=wire.OadrPoll(ven_id="v"), object_id=object_id))
    with pytest.raises(SchemaMismatch, match="Id must be"):
        decode(document(POLL, identity=f' oadr:Id="{object_id}"'))


ENVELOPES = [
    (b"<x/>", "no OpenADR 2.0 document"),
    (f"<oadr:oadrPayload {DECLARED}/>".encode(), "oadrSignedObject is missing"),
    (document(""), "one message, not 0"),
    (document(POLL + POLL), "one message, not 2"),
    (document("<ei:venID>x</ei:venID>"), "no message of 2.0b"),
    (document(POLL).replace(b"<oadr:oadrSignedObject>", b"<oadr:oadrSignedObject>text"), "text 'text'"),
    (document(POLL).replace(b"</oadr:oadrPayload>", b"text</oadr:oadrPayload>"), "text 'text'"),
    (
        document(POLL).replace(b"</oadr:oadrPayload>", b"<oadr:oadrSignedObject/></oadr:oadrPayload>"),
        "not allowed here",
    ),
    (document(POLL).replace(b"<oadr:oadrPayload", b'<oadr:oadrPayload a="1"'), "attribute a is not allowed"),
    (document(POLL, identity=' Id="a"'), "attribute Id is not allowed"),
    (document(POLL, identity=' oadr:Id="a" ei:schemaVersion="2.0b"'), "schemaVersion is not allowed"),
    (document(POLL).replace(b"2012/07", b"2012/08"), "no OpenADR 2.0 document"),
    (POLL.replace("oadr:oadrPoll", f"oadr:oadrPoll {DECLARED}", 1).encode(), "no OpenADR 2.0 document"),
    (vector("a1").replace(b"oadr-2.0a", b"oadr-2.0c"), "no OpenADR 2.0 document"),
]


@pytest.mark.parametrize(("data", "reason"), ENVELOPES)
def test_envelopes_that_are_refused(data: bytes, reason: str) -> None:
    assert not is_valid(data)
    with pytest.raises(SchemaMismatch, match=reason):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"\n<!-- before -->" + document(f"\n\t{POLL}<!-- c --><?pi?>\n") + b"<!-- after -->\n",
        document(POLL).replace(b"<oadr:oadrPayload", b'<oadr:oadrPayload xsi:schemaLocation="u x.xsd"'),
        document(POLL).replace(b"<ei:venID", b'<ei:venID xsi:noNamespaceSchemaLocation="x.xsd"'),
        document(
            POLL.replace("oadr:oadrPoll", "p7:oadrPoll xmlns:p7='http://openadr.org/oadr-2.0b/2012/07'", 1).replace(
                "</oadr:", "</p7:"
            )
        ),
        # One prefix for two namespaces, one inside the other.
        document(
            f'<p:oadrPoll xmlns:p="{B.namespace}"><p:venID xmlns:p="{PREFIXES["ei"]}">ven1</p:venID></p:oadrPoll>'
        ),
        # The default namespace is another one on the inner level.
        (
            f'<oadrPayload xmlns="{B.namespace}"><oadrSignedObject><oadrPoll><venID xmlns="{PREFIXES["ei"]}">ven1'
            "</venID></oadrPoll></oadrSignedObject></oadrPayload>"
        ).encode(),
        document(POLL.replace("ven1", "v<!-- -->en<?p?>1")),
        document(POLL.replace("ven1", "<![CDATA[ven]]>&#49;")),
    ],
)
def test_what_xml_leaves_free(data: bytes) -> None:
    assert is_valid(data)
    payload = decode(data)
    assert payload.message["ven_id"] == "ven1"
    assert payload.deviations == ()


def test_a_profile_can_be_asked_for() -> None:
    a, b = vector("a1"), vector("20")
    assert decode(a, profile="2.0a").profile == "2.0a"
    assert decode(b, profile="2.0b").profile == "2.0b"
    with pytest.raises(SchemaMismatch, match=r"this is a 2\.0a message") as caught:
        decode(a, profile="2.0b")
    assert (caught.value.expected, caught.value.found) == ("a 2.0b message", "2.0a")
    with pytest.raises(SchemaMismatch, match=r"this is a 2\.0b message"):
        decode(b, profile="2.0a")


def test_a_message_without_a_version() -> None:
    payload = decode(document(POLL.replace(' ei:schemaVersion="2.0b"', "")))
    assert payload.message["schema_version"] is None
    assert b'ei:schemaVersion="2.0b"' in encode(payload)  # rule 509
    assert decode(vector("a1")).message["schema_version"] is None
    assert b"schemaVersion" not in encode(wire.OadrRequestEvent(request_id="", ven_id="v"), profile="2.0a")


def test_the_same_event_in_both_profiles() -> None:
    message = distribute(event())
    data = encode(message, profile="2.0a")
    assert data.startswith(b'<oadr:oadrDistributeEvent xmlns:ei="http://docs.oasis-open.org')
    assert b"oadr-2.0a/2012/07" in data
    payload = decode(data)
    assert payload.profile == "2.0a"
    assert payload.message == msgspec.structs.replace(message, schema_version=None)
    assert encode(payload) == data
    assert decode(encode(message)).message == message


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"modification_reason": "x"}, "events[0]/event_descriptor/modification_reason"),
        ({"modification_date_time": NOON}, "events[0]/event_descriptor/modification_date_time"),
        ({"notification": None}, "events[0]/active_period/notification"),
        ({"current_value": None}, "events[0]/event_signals[0]/current_value"),
        ({"signal_type": "x-loadControlSetpoint"}, "events[0]/event_signals[0]/signal_type"),
        ({"item_base": wire.ItemBase(element="voltage")}, "events[0]/event_signals[0]/item_base"),
        ({"target": target(group_name=("g",))}, "events[0]/target/group_name"),
        (
            {"intervals": (msgspec.structs.replace(ONE, payloads=ONE.payloads * 2),)},
            "events[0]/event_signals[0]/intervals[0]/payloads",
        ),
        (
            {"intervals": (msgspec.structs.replace(ONE, payloads=()),)},
            "events[0]/event_signals[0]/intervals[0]/payloads",
        ),
        ({"intervals": (msgspec.structs.replace(ONE, uid=None),)}, "events[0]/event_signals[0]/intervals[0]/uid"),
        (
            {"intervals": (msgspec.structs.replace(ONE, dtstart=NOON),)},
            "events[0]/event_signals[0]/intervals[0]/dtstart",
        ),
        (
            {"intervals": (msgspec.structs.replace(ONE, payloads=(wire.ReportPayload(r_id="1", value=1.0),)),)},
            "events[0]/event_signals[0]/intervals[0]/payloads[0]",
        ),
        (
            {
                "intervals": (
                    msgspec.structs.replace(
                        ONE,
                        payloads=(wire.SignalPayload(value=wire.ResourceStatus(online=True, manual_override=True)),),
                    ),
                )
            },
            "events[0]/event_signals[0]/intervals[0]/payloads[0]/value",
        ),
    ],
)
def test_what_the_a_profile_can_not_say(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(SchemaMismatch) as caught:
        encode(distribute(event(**fields)), profile="2.0a")
    assert caught.value.path == f"oadrDistributeEvent/{path}"


def test_the_a_profile_has_no_signatures_and_few_messages() -> None:
    with pytest.raises(SchemaMismatch, match="no signatures"):
        encode(Payload(message=distribute(), profile="2.0a", object_id="a"))
    with pytest.raises(SchemaMismatch, match=r"OadrPoll is no message of profile 2\.0a"):
        encode(wire.OadrPoll(ven_id="v"), profile="2.0a")
    unknown: Any = "3.0"
    with pytest.raises(SchemaMismatch, match="there is no profile"):
        encode(wire.OadrPoll(ven_id="v"), profile=unknown)


@pytest.mark.parametrize("cut", ["<ei:currentValue>", "<ei:x-eiNotification>", "<xcal:uid>"])
def test_what_the_a_profile_requires(cut: str) -> None:
    text = encode(distribute(event()), profile="2.0a").decode()
    end = cut.replace("<", "</")
    start = text.index(cut)
    data = text[:start] + text[text.index(end) + len(end) :]
    with pytest.raises(SchemaMismatch, match=r"is missing|must stand|not allowed here"):
        decode(data.encode())


def test_ids_must_be_unique() -> None:
    message = distribute(event(target=target(service_area=(AREA,))))
    data = encode(Payload(message=message, object_id="c"))
    assert is_valid(data)
    assert decode(data).message == message
    twice = data.replace(b'gml:id="b"', b'gml:id="a"')
    assert not is_valid(twice)
    for changed in (twice, data.replace(b'oadr:Id="c"', b'oadr:Id="a"')):
        with pytest.raises(SchemaMismatch, match="Id 'a' stands twice"):
            decode(changed)
    for object_id, area in (("a", AREA), (None, msgspec.structs.replace(AREA, polygon_id="a"))):
        again = distribute(event(target=target(service_area=(area,))))
        with pytest.raises(SchemaMismatch, match="Ids must be unique in a document: a"):
            encode(Payload(message=again, object_id=object_id))
