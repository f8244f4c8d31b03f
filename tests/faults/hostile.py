"""Bad requests, more than two thousand, all different and the same at each run."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.vectors import HERE

B, A = "/OpenADR2/Simple/2.0b/", "/OpenADR2/Simple/"
NAMES = ("EiEvent", "EiReport", "EiOpt", "EiRegisterParty", "OadrPoll")
POLL = (HERE / "11_oadrPoll.xml").read_bytes()
_QUERIES = ("01_", "12_", "13_")
"""Vectors that are no bad messages, or that a small change does not make one: anybody may ask, and say yes."""


@dataclass(frozen=True)
class Bad:
    """A request as bytes. One that is `cut` off gets no answer; its connection is closed from this side."""

    kind: str
    data: bytes
    cut: bool = False


def post(
    body: bytes, path: str = f"{B}OadrPoll", *headers: str, length: str | None = None, method: str = "POST"
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: vtn"]
    if not any(line.lower().startswith("content-type") for line in headers):
        lines.append("Content-Type: application/xml")
    lines += [*headers, f"Content-Length: {len(body) if length is None else length}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def service_of(name: str) -> str:
    """Where a vector belongs."""
    if name.startswith("a"):
        return f"{A}EiEvent"
    for part, service in (("Party", "EiRegisterParty"), ("Report", "EiReport"), ("Opt", "EiOpt"), ("Event", "EiEvent")):
        if part in name:
            return B + service
    return f"{B}OadrPoll"


def messages() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(HERE.glob("*.xml"))}


def cut_short(chance: random.Random) -> Iterator[Bad]:
    for name, body in messages().items():
        for _ in range(8):
            yield Bad("cut short", post(body[: chance.randrange(1, len(body.rstrip()) - 1)], service_of(name)))


def changed(chance: random.Random) -> Iterator[Bad]:
    for name, body in messages().items():
        if name.startswith(_QUERIES):
            continue
        for _ in range(8):
            at, kind = chance.randrange(60, len(body)), chance.randrange(4)
            middle = (bytes((chance.randrange(256),)), b"", b"<", body[at : at + 9] * 3)[kind]
            yield Bad("changed", post(body[:at] + middle + body[at + 1 :], service_of(name)))


def swapped(chance: random.Random) -> Iterator[Bad]:
    """Parts of one message in another one, and elements twice, gone, or under another name."""
    all_ = list(messages().items())
    for name, body in all_:
        if name.startswith(_QUERIES):
            continue
        tags = sorted(set(re.findall(rb"<([\w:]+)[ >]", body)))
        for _ in range(5):
            tag = chance.choice(tags)
            other = chance.choice((b"ei:unknown", b"oadr:oadrPoll", b"x", b"", b"ei:" + tag[:-1]))
            yield Bad("another name", post(body.replace(b"<" + tag, b"<" + other), service_of(name)))
            donor = chance.choice(all_)[1]
            a, b = chance.randrange(len(body)), chance.randrange(len(donor))
            yield Bad("spliced", post(body[:a] + donor[b:], service_of(name)))


def out_of_place() -> Iterator[Bad]:
    for name, body in messages().items():
        right = service_of(name)
        for service in NAMES:
            for path in (B + service, A + service):
                if path != right and not name.startswith(_QUERIES):
                    yield Bad("wrong address", post(body, path))
        for namespace in (b"http://openadr.org/oadr-2.0b/2012/07", b"http://openadr.org/oadr-2.0a/2012/07"):
            if namespace in body:
                yield Bad("wrong namespace", post(body.replace(namespace, namespace[:-1]), right))
        yield Bad("in HTML", post(b"<html><body>" + body + b"</body></html>", right))
        yield Bad("twice", post(body + body, right))


def entities() -> Iterator[Bad]:
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
    subsets = {
        "laughs": b'[<!ENTITY l0 "ha">' + laughs + b"]",
        "quadratic": b'[<!ENTITY l9 "' + b"a" * 50_000 + b'">]',
        "file": b'[<!ENTITY l9 SYSTEM "file:///etc/passwd">]',
        "net": b'[<!ENTITY l9 SYSTEM "http://127.0.0.1:1/x">]',
        "parameter": b'[<!ENTITY % p SYSTEM "http://127.0.0.1:1/x.dtd"> %p;]',
        "external": b'SYSTEM "http://127.0.0.1:1/x.dtd"',
        "public": b'PUBLIC "-//x//y" "http://127.0.0.1:1/x.dtd"',
        "attributes": b'[<!ATTLIST oadr:oadrPayload a CDATA "b">]',
        "notation": b'[<!NOTATION n SYSTEM "n">]',
        "empty": b"[]",
    }
    head, _, rest = POLL.partition(b"?>")
    for name, subset in subsets.items():
        for text in (rest, rest.replace(b"venID>", b"venID>&l9;", 1), rest.replace(b"venID>", b"venID>&l9;&l9;", 1)):
            body = head + b"?><!DOCTYPE oadr:oadrPayload " + subset + b">" + text
            for service in NAMES:
                yield Bad(f"DTD: {name}", post(body, B + service))
    yield Bad("unknown entity", post(rest.replace(b"venID>", b"venID>&nbsp;", 1)))


def large() -> Iterator[Bad]:
    for depth in (20, 65, 257, 1000, 20_000):
        for tag in (b"a", b"ei:venID", b"oadr:oadrPayload"):
            yield Bad("deep", post(b"<%s>" % tag * depth + b"</%s>" % tag * depth))
            yield Bad("deep and open", post(b"<%s>" % tag * depth))
    for count in (100, 5000, 30_000):
        attributes = b" ".join(b'a%d="b"' % number for number in range(count))
        yield Bad("attributes", post(POLL.replace(b"oadrPayload ", b"oadrPayload " + attributes + b" ", 1)))
        yield Bad("same attribute", post(b"<a " + b'b="c" ' * count + b"/>"))
        yield Bad("namespaces", post(b"<a " + b" ".join(b'xmlns:n%d="u"' % n for n in range(count)) + b"/>"))
        yield Bad("long name", post(b"<" + b"a" * count + b"/>"))
        yield Bad("comments", post(b"<!--" + b"-" * 0 + b"x" * count + b"-->" * count))
    for size in (8 * 1024 * 1024 + 1, 10**10, 10**18, 2**63, 2**64, 10**30):
        yield Bad("says it is large", post(b"<a", length=str(size)), cut=size < 2**63)


def encodings() -> Iterator[Bad]:
    text = POLL.decode().partition("?>")[2]
    for label in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037"):
        for declared in (f'<?xml version="1.0" encoding="{label}"?>', '<?xml version="1.0" encoding="utf-8"?>'):
            yield Bad("coding", post((declared + text).encode(label)))
    for label in ("ebcdic-cp-us", "utf-9", "", "x" * 1000, "rot13", "idna", "hex", "unicode-escape", "shift-jis"):
        yield Bad("coding", post(f'<?xml version="1.0" encoding="{label}"?>{text}'.encode()))
    for byte in range(128, 256):
        yield Bad("no UTF-8", post(POLL.replace(b"venID>", b"venID>" + bytes((byte,)), 1)))
    for byte in (*range(9), 11, 12, *range(14, 32)):
        yield Bad("control character", post(POLL.replace(b"venID>", b"venID>" + bytes((byte,)), 1)))
        yield Bad("control reference", post(POLL.replace(b"venID>", b"venID>&#%d;" % byte, 1)))
    for sequence in (b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbf\xbf", b"&#xD800;", b"&#x110000;"):
        yield Bad("no character", post(POLL.replace(b"venID>", b"venID>" + sequence, 1)))


def headers() -> Iterator[Bad]:
    for kind in (
        "text/html",
        "application/json",
        "multipart/form-data; boundary=x",
        "",
        "xml",
        "application/xml;" * 50,
    ):
        yield Bad("type", post(b"<", f"{B}OadrPoll", f"Content-Type: {kind}"))
    for charset in ("utf-16", "latin1", "utf-7", "x" * 500):
        yield Bad("charset", post(POLL, f"{B}OadrPoll", f"Content-Type: application/xml; charset={charset}"))
    for coding in ("gzip", "br", "deflate", "gzip, gzip", "x"):
        yield Bad("compressed", post(POLL, f"{B}OadrPoll", f"Content-Encoding: {coding}"))
    for length in ("-1", "+5", "5 5", "0x10", "1e3", "x", "5,5", "٣".encode().decode("latin-1")):
        yield Bad("length", post(POLL, length=length))
    for number in range(20):
        yield Bad("two lengths", post(POLL, f"{B}OadrPoll", f"Content-Length: {len(POLL) + number + 1}"))
        line = f"X-{number}: {'y' * 70_000}"
        yield Bad("long header", post(b"<", f"{B}OadrPoll", line))
    for chunks in (b"zz\r\n", b"-1\r\n\r\n", b"5\r\nabc", b"ffffffffffffffffff\r\n", b"1\r\nab\r\n", b"\r\n\r\n"):
        head = f"POST {B}OadrPoll HTTP/1.1\r\nHost: vtn\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        yield Bad("chunks", head + chunks, cut=chunks.startswith(b"5"))
    for name in (b"A B", b"A\x00", b"", b"A(", b"\xff"):
        yield Bad("header name", b"POST / HTTP/1.1\r\n" + name + b": x\r\n\r\n", cut=True)


def paths_and_methods(chance: random.Random) -> Iterator[Bad]:
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND", "LOCK", "MKCOL", "NOTIFY"):
        for service in NAMES:
            for base in (B, A):
                yield Bad("method", post(b"", base + service, method=method))
    for method in ("post", "FOO", "P\x00ST", "POST" * 100, "CONNECT"):
        yield Bad("no method", post(b"", method=method), cut=True)
    for number in range(80):
        path = "/" + "".join(chance.choice("abc./%2e~;?=&+-_:") for _ in range(chance.randrange(1, 40)))
        yield Bad("path", post(POLL, path if "?" not in path else path.replace("?", "x")))
        yield Bad("service", post(POLL, f"{B}Ei{number}"))
        yield Bad("version", post(POLL, f"/OpenADR2/Simple/{number}.0b/EiEvent"))
        yield Bad("way out", post(POLL, f"{B}OadrPoll/{'../' * (number + 1)}etc/passwd"))
    for text in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x00" * 500):
        yield Bad("no HTTP", text, cut=True)
    for number in range(60):
        yield Bad("no HTTP", bytes(chance.randrange(256) for _ in range(40 + number)) + b"\r\n\r\n", cut=True)


def signatures(chance: random.Random) -> Iterator[Bad]:
    for name in ("s_signed_oadrPoll_ecc.xml", "s_signed_oadrPoll_rsa.xml"):
        body = (HERE / name).read_bytes()
        yield Bad("nobody's signature", post(body))
        for part in (b"DigestValue>", b"SignatureValue>", b"X509Certificate>", b"Algorithm=", b"URI=", b"nonce>"):
            places = [found.end() for found in re.finditer(re.escape(part), body)]
            for _ in range(18 if places else 0):
                at = chance.choice(places) + chance.randrange(3)
                garbage = bytes(chance.choice(b'ABCabc012/+=<&"') for _ in range(chance.randrange(1, 30)))
                yield Bad("signature", post(body[:at] + garbage + body[at + chance.randrange(20) :]))
        for tag in (b"ds:Signature", b"ds:SignedInfo", b"ds:KeyInfo", b"ds:Object", b"ds:Reference"):
            start, end = body.find(b"<" + tag), body.find(b"</" + tag + b">")
            if 0 <= start < end:
                piece = body[start : end + len(tag) + 3]
                for times in (2, 3, 50):
                    yield Bad("wrapped", post(body.replace(piece, piece * times)))


def all_bad() -> list[Bad]:
    """Every bad request once, in an order by chance."""
    chance = random.Random(2030)
    made = [
        *cut_short(chance),
        *changed(chance),
        *swapped(chance),
        *out_of_place(),
        *entities(),
        *large(),
        *encodings(),
        *headers(),
        *paths_and_methods(chance),
        *signatures(chance),
    ]
    distinct = list({bad.data: bad for bad in made}.values())
    chance.shuffle(distinct)
    return distinct
