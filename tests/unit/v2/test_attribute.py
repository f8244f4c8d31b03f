"""`xsi` attributes, and the elements that are kept unread."""

from __future__ import annotations

from typing import Any

import pytest

from pyopenadr.errors import SchemaMismatch
from pyopenadr.v2 import decode, encode
from pyopenadr.v2.profile import PREFIXES, B
from tests.properties.oracle import is_valid, why_not
from tests.unit.v2.document import (
    POLL,
    distribute,
    document,
    event,
)


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
