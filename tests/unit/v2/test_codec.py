"""Documents in, documents out: the envelope, the profiles, the errors, and what is not written."""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from pyopenadr.errors import SchemaMismatch, WireError
from pyopenadr.v2 import Payload, decode, encode, wire
from pyopenadr.v2.codec import body_of
from pyopenadr.v2.plan import shape_of
from pyopenadr.v2.profile import PREFIXES, PROFILES, A, B
from pyopenadr.v2.quick import read as read_quickly
from pyopenadr.v2.xml import parse
from tests.properties.oracle import is_valid, why_not
from tests.vectors import HERE, vector

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
NAMES = sorted(path.stem for path in HERE.glob("*.xml"))
DECLARED = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in PREFIXES.items())


def document(message: str, *, identity: str = "") -> bytes:
    """A message in its envelope, with every usual prefix declared."""
    return (
        f"<oadr:oadrPayload {DECLARED}><oadr:oadrSignedObject{identity}>{message}</oadr:oadrSignedObject>"
        "</oadr:oadrPayload>"
    ).encode()


POLL = '<oadr:oadrPoll ei:schemaVersion="2.0b"><ei:venID>ven1</ei:venID></oadr:oadrPoll>'
RESPONSE = (
    "<oadr:oadrResponse><ei:eiResponse><ei:responseCode>200</ei:responseCode>"
    "<pyld:requestID>r</pyld:requestID></ei:eiResponse></oadr:oadrResponse>"
)


def target(**fields: Any) -> wire.EiTarget:
    """A target; also one with values of wrong types."""
    return wire.EiTarget(**fields)


def signal_payload(value: Any) -> wire.SignalPayload:
    return wire.SignalPayload(value=value)


def area(pos_list: Any) -> wire.FeatureCollection:
    return wire.FeatureCollection(pos_list=pos_list)


def unit(element: Any) -> wire.ItemBase:
    return wire.ItemBase(element=element)


def event(**fields: Any) -> wire.OadrEvent:
    """A SIMPLE event of one hour; `fields` replace those of any structure in it that has them."""
    parts: dict[str, Any] = {
        "event_id": "e1",
        "modification_number": 0,
        "market_context": "http://market.example",
        "created_date_time": NOON,
        "event_status": "far",
        "dtstart": NOON,
        "duration": HOUR,
        "notification": HOUR,
        "signal_name": "SIMPLE",
        "signal_type": "level",
        "signal_id": "s1",
        "current_value": 0.0,
        "intervals": (wire.Interval(duration=HOUR, uid="0", payloads=(wire.SignalPayload(value=1.0),)),),
        "target": target(ven_id=("ven1",)),
        "response_required": "always",
        **fields,
    }

    def build(cls: Any, **more: Any) -> Any:
        return cls(
            **{name: parts[name] for name in cls.__struct_fields__ if name in parts and name not in more}, **more
        )

    return build(  # type: ignore[no-any-return]
        wire.OadrEvent,
        event_descriptor=build(wire.EventDescriptor),
        active_period=build(wire.ActivePeriod),
        event_signals=parts.get("event_signals", (build(wire.EiEventSignal, target=None),)),
    )


def distribute(*events: wire.OadrEvent) -> wire.OadrDistributeEvent:
    return wire.OadrDistributeEvent(request_id="r1", vtn_id="vtn1", events=events)


# ---- the example messages


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


# ---- the envelope


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


# ---- xsi, Green Button, elements that are kept


def test_nil_only_where_the_schema_allows_it() -> None:
    nil = document(POLL.replace("<ei:venID>", '<ei:venID xsi:nil="false">'))
    assert not is_valid(nil)
    with pytest.raises(SchemaMismatch, match="attribute xsi:nil is not allowed on ei:venID"):
        decode(nil)


COMPONENTS = "<xcal:components></xcal:components>"


@pytest.mark.parametrize(
    ("components", "valid"),
    [
        ("<xcal:components/>", True),
        ("<xcal:components> \n</xcal:components>", True),
        ('<xcal:components xsi:nil="true"/>', True),
        ('<xcal:components xsi:nil=" 0 ">text</xcal:components>', True),
        ('<xcal:components a="1">some <x xmlns="urn:x" b="2"><y/></x> thing</xcal:components>', True),
        ('<xcal:components xsi:nil="true">x</xcal:components>', False),
        ('<xcal:components xsi:nil="1"> </xcal:components>', False),
        ('<xcal:components xsi:nil="1"><x xmlns="urn:x"/></xcal:components>', False),
        ('<xcal:components xsi:nil="yes"/>', False),
        ("<xcal:components/><xcal:components/>", False),
        ("", False),
    ],
)
def test_components_are_kept(components: str, valid: bool) -> None:
    text = (
        encode(distribute(event()))
        .decode()
        .replace("<oadr:oadrPayload", f'<oadr:oadrPayload xmlns:xsi="{PREFIXES["xsi"]}"')
    )
    data = text.replace(COMPONENTS, components).encode()
    assert is_valid(data) is valid
    if not valid:
        with pytest.raises(SchemaMismatch):
            decode(data)
        return
    payload = decode(data)
    again = encode(payload)
    assert why_not(again) is None
    assert decode(again) == payload


@pytest.mark.parametrize("components", ["x", "<x/>", f"<xcal:components xmlns:xcal='{PREFIXES['xcal']}'>", 7, None])
def test_components_must_be_components(components: Any) -> None:
    with pytest.raises(SchemaMismatch, match="active_period/components"):
        encode(distribute(event(components=components)))


FEED = (
    '<a:feed xmlns:a="http://www.w3.org/2005/Atom" xmlns:e="http://naesb.org/espi"><a:id>urn:uuid:1</a:id>'
    "<!-- a comment --><a:title>usage &amp; more</a:title><a:updated>2030-01-01T00:00:00Z</a:updated>"
    "<a:entry><a:id>1</a:id><a:title/><a:updated>2030-01-01T00:00:00Z</a:updated><a:content>"
    "<e:UsagePoint/></a:content></a:entry></a:feed>"
)


def test_green_button_is_kept() -> None:
    report = (
        '<oadr:oadrUpdateReport ei:schemaVersion="2.0b"><pyld:requestID>r</pyld:requestID><oadr:oadrReport>'
        f"<strm:intervals><ei:interval><oadr:oadrGBPayload>{FEED}</oadr:oadrGBPayload></ei:interval></strm:intervals>"
        "<oadr:oadrReportDescription><ei:rID>1</ei:rID><ei:reportType>usage</ei:reportType>"
        f"<oadr:oadrGBDataDescription>{FEED}</oadr:oadrGBDataDescription>"
        "<ei:readingType>Direct Read</ei:readingType></oadr:oadrReportDescription>"
        "<ei:reportRequestID>1</ei:reportRequestID><ei:reportSpecifierID>1</ei:reportSpecifierID>"
        "<ei:reportName>HISTORY_GREENBUTTON</ei:reportName><ei:createdDateTime>2030-01-01T00:00:00Z"
        "</ei:createdDateTime></oadr:oadrReport></oadr:oadrUpdateReport>"
    )
    data = document(report)
    assert why_not(data) is None
    payload = decode(data)
    (found,) = payload.message["reports"]
    feed = found.intervals[0].payloads[0].feed
    assert feed == found.report_descriptions[0].item_base.feed
    assert "usage &amp; more" in feed
    assert '<e:UsagePoint xmlns:e="http://naesb.org/espi"></e:UsagePoint>' in feed
    again = encode(payload)
    assert why_not(again) is None
    assert decode(again) == payload


# ---- the two profiles


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


ONE = wire.Interval(duration=HOUR, uid="0", payloads=(wire.SignalPayload(value=1.0),))


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


# ---- what errors say


@pytest.mark.parametrize(
    ("message", "reason", "path", "expected", "found"),
    [
        (
            POLL.replace("ei:venID", "ei:vtnID"),
            "ei:vtnID is not allowed here",
            "oadrPoll/vtnID",
            "ei:venID",
            "ei:vtnID",
        ),
        ("<oadr:oadrPoll/>", "ei:venID is missing in oadr:oadrPoll", "oadrPoll", "ei:venID", "nothing"),
        (
            POLL.replace("</oadr:oadrPoll>", "<ei:venID/></oadr:oadrPoll>"),
            "stands twice",
            "oadrPoll/venID[2]",
            "nothing more",
            "ei:venID",
        ),
        (
            RESPONSE.replace("200", "20"),
            "ei:responseCode must be three digits, not '20'",
            "oadrResponse/eiResponse/responseCode",
            "three digits",
            "20",
        ),
        (
            RESPONSE.replace("<pyld:requestID>r</pyld:requestID>", "").replace(
                "<ei:responseCode>", "<pyld:requestID/><ei:responseCode>"
            ),
            "ei:responseCode must stand before pyld:requestID",
            "oadrResponse/eiResponse/responseCode",
            "nothing more",
            "ei:responseCode",
        ),
        (POLL.replace("2.0b", "2.0c"), "attribute ei:schemaVersion must be 2.0a, 2.0b", "oadrPoll", None, "2.0c"),
        (
            POLL.replace("<ei:venID>", '<ei:venID lang="en">'),
            "attribute lang is not allowed on ei:venID",
            "oadrPoll/venID",
            None,
            "lang",
        ),
        (
            POLL.replace("<ei:venID>", "stray<ei:venID>"),
            "text 'stray' is not allowed in oadr:oadrPoll",
            "oadrPoll",
            None,
            "stray",
        ),
        (
            POLL.replace("ven1", "<x/>"),
            "x is not allowed in ei:venID, which holds text",
            "oadrPoll/venID/x",
            "text",
            "x",
        ),
    ],
)
def test_errors(message: str, reason: str, path: str, expected: str | None, found: str) -> None:
    data = document(f"\n\n{message}")
    assert not is_valid(data)
    with pytest.raises(SchemaMismatch) as caught:
        decode(data)
    error = caught.value
    assert error.reason.startswith(reason) or reason in error.reason
    assert error.path == f"oadrPayload/oadrSignedObject/{path}"
    assert error.line == 3
    assert error.found == found
    if expected is not None:
        assert error.expected == expected


def test_errors_name_the_member_of_a_list_and_the_rule() -> None:
    good = encode(distribute(event(), event()))
    head, _, tail = good.decode().rpartition("2030-01-31T12:00:00Z")
    with pytest.raises(SchemaMismatch, match="UTC time") as caught:
        decode(f"{head}2030-01-31T12:00:00+01:00{tail}".encode())
    assert caught.value.path is not None
    assert "oadrEvent[2]/eiEvent/eiActivePeriod/properties/dtstart/date-time" in caught.value.path
    assert caught.value.rule == "1"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (
            "<ei:signalPayload>",
            "<ei:signalPayload/><ei:signalPayload>",
            "ei:payloadFloat or oadr:oadrPayloadResourceStatus is missing",
        ),
        (
            "<xcal:uid>",
            "<ei:nonsense/><xcal:uid>",
            "expected: xcal:uid, ei:signalPayload or oadr:oadrReportPayload or oadr:oadrGBPayload",
        ),
        (
            "<ei:payloadFloat>",
            "<ei:payloadFloat><ei:value>1</ei:value></ei:payloadFloat><ei:payloadFloat>",
            "already is one of its group",
        ),
        (
            "<ei:signalName>SIMPLE",
            "<oadr:frequency/><ei:signalName>SIMPLE",
            "oadr:frequency is not allowed here|must stand before|is missing",
        ),
    ],
)
def test_errors_in_groups(old: str, new: str, reason: str) -> None:
    data = encode(distribute(event())).decode().replace(old, new, 1).encode()
    assert not is_valid(data)
    with pytest.raises(SchemaMismatch, match=reason):
        decode(data)


# ---- Ids


AREA = wire.FeatureCollection(id="a", polygon_id="b", pos_list=(52.1, 4.3))


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


# ---- what is not written


class Status(enum.StrEnum):
    FAR = "far"


def test_words_may_be_enums() -> None:
    assert encode(distribute(event(event_status=Status.FAR))) == encode(distribute(event()))


def test_a_version_is_escaped_in_its_attribute() -> None:
    message = wire.OadrPoll(schema_version="x-\"<>&'1", ven_id="v")
    data = encode(message)
    assert why_not(data) is None
    assert decode(data).message == message


STATUS = wire.ResourceStatus(online=True, manual_override=False)


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


# ---- xsi:type


def with_type(data: bytes, element: str, name: str, uri: str) -> bytes:
    """The document with `xsi:type` on the first element of that name."""
    declared = f"xmlns:t='{uri}' xmlns:s='{PREFIXES['xsi']}'"
    return data.replace(f"<{element}".encode(), f"<{element} {declared} s:type='{name}'".encode(), 1)


XS = "http://www.w3.org/2001/XMLSchema"


@pytest.mark.parametrize(
    ("element", "name", "uri", "taken"),
    [
        ("ei:eventID", "t:string", XS, True),
        ("ei:eiTarget", "t:EiTargetType", PREFIXES["ei"], True),
        ("ei:payloadFloat", "t:PayloadFloatType", PREFIXES["ei"], True),
        ("xcal:duration><xcal:duration", "t:DurationValueType", PREFIXES["xcal"], True),
        ("xcal:duration", "t:DurationPropType", PREFIXES["xcal"], True),
        ("oadr:oadrDistributeEvent", "t:oadrDistributeEventType", B.namespace, True),
        ("xcal:duration", "t:DurationValueType", PREFIXES["xcal"], False),
        ("ei:eventID", "string", XS, False),
        ("ei:eventID", "u:string", XS, False),
        ("ei:eventID", "t:float", XS, False),
        ("ei:eventID", "t:string", PREFIXES["ei"], False),
        ("ei:eventID", "", XS, False),
        ("oadr:oadrEvent", "t:oadrEventType", B.namespace, False),
        ("oadr:oadrSignedObject", "t:oadrSignedObject", B.namespace, False),
    ],
)
def test_a_type_may_be_named_if_it_is_the_own_one(element: str, name: str, uri: str, taken: bool) -> None:
    data = with_type(encode(distribute(event())), element, name, uri)
    assert is_valid(data) is taken
    if taken:
        assert decode(data).message == distribute(event())
    else:
        with pytest.raises(SchemaMismatch, match="attribute xsi:type is not allowed on"):
            decode(data)


def test_a_derived_type_is_not_taken_though_the_schema_does() -> None:
    data = with_type(encode(distribute(event())), "ei:eventID", "t:token", XS)
    assert is_valid(data)
    with pytest.raises(SchemaMismatch, match="attribute xsi:type is not allowed on ei:eventID"):
        decode(data)
