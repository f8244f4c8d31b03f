"""Traffic that is recorded without secrets, and replayed against both sides."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from pyopenadr.cli import app
from pyopenadr.cli.replay import Player, Stage, _on_stage, differences
from pyopenadr.cli.tape import Line, Tape, message_in, read_tape, without_secrets
from pyopenadr.clock import SystemClock
from pyopenadr.errors import ConfigError
from pyopenadr.transport.http import HttpTransport
from pyopenadr.transport.record import RecordingTransport, Traffic
from pyopenadr.v2 import decode, wire
from pyopenadr.v2.signature import SigningKey, sign
from pyopenadr.ven.client import OpenADRClient
from pyopenadr.vtn.server import OpenADRServer
from tests.unit.transport.pki import Pki

NOW = datetime(2030, 1, 1, tzinfo=UTC)


async def converse(client: OpenADRClient) -> None:
    """What is recorded: a VEN registers, hears of an event and answers it."""
    await client.create_party_registration()
    while (found := await client.poll())[0] != "oadrResponse":
        if found[0] == "oadrDistributeEvent":
            await client.created_event(found[1]["events"][0]["event_descriptor"]["event_id"], "optIn")
        elif found[0] == "oadrRegisterReport":
            await client.handle(*found)


async def vtn_with_event(level: float = 2) -> OpenADRServer:
    vtn = OpenADRServer("vtn", port=0)
    start = datetime.now(UTC) + timedelta(hours=1)
    await vtn.add_event(event_id="e1", start=start, intervals=[(timedelta(hours=1), level)])
    return vtn


async def recorded(folder: Path) -> tuple[list[Line], list[Line]]:
    """The same conversation as each side has recorded it."""
    vtn = await vtn_with_event()
    with Tape(folder / "vtn.jsonl", "vtn") as theirs, Tape(folder / "ven.jsonl", "ven") as ours:
        vtn.record(theirs.keep)
        async with vtn:
            transport = RecordingTransport(HttpTransport(), ours.keep, who="ven", clock=SystemClock())
            async with OpenADRClient("ven", vtn.url, transport=transport) as client:
                await converse(client)
                assert client.registration_id is not None
                for tape in (folder / "vtn.jsonl", folder / "ven.jsonl"):
                    assert client.registration_id not in tape.read_text()
    return list(read_tape(folder / "ven.jsonl")), list(read_tape(folder / "vtn.jsonl"))


async def test_both_sides_record_the_same(tmp_path: Path) -> None:
    ours, theirs = await recorded(tmp_path)
    assert [(line.path, line.request, line.status, line.reply) for line in ours] == [
        (line.path, line.request, line.status, line.reply) for line in theirs
    ]
    assert {line.side for line in ours} == {"ven"}
    types = [message.message_type for line in ours if (message := message_in(line.request))]
    assert types[:2] == ["oadrCreatePartyRegistration", "oadrPoll"]
    assert "oadrCreatedEvent" in types
    assert os.stat(tmp_path / "ven.jsonl").st_mode & 0o077 == 0


async def test_against_a_vtn_that_behaves_the_same(tmp_path: Path) -> None:
    lines, _ = await recorded(tmp_path)
    async with await vtn_with_event() as vtn:
        assert await Player(lines, vtn.url, HttpTransport()).play() == []


async def test_against_a_vtn_that_does_not(tmp_path: Path) -> None:
    lines, _ = await recorded(tmp_path)
    async with await vtn_with_event(level=3) as vtn:
        found = await Player(lines, vtn.url, HttpTransport()).play()
    assert [f.message for f in found] == ["oadrPoll"]
    assert "is 3.0, and was 2.0" in found[0].text
    gone = await Player(lines, vtn.url, HttpTransport()).play()
    assert len(gone) == len(lines)
    assert "no connection" in gone[0].text


async def on_stage(lines: list[Line], name: str, opt: str, wait: float = 5.0) -> Any:
    stage = Stage(lines)

    async def post(url: str, body: bytes) -> Any:
        from pyopenadr.transport.port import Reply

        return Reply(*stage.answer(url, body))

    transport = HttpTransport()
    transport.post = post  # type: ignore[method-assign]
    async with OpenADRClient(name, "http://localhost", transport=transport) as client:
        await client.create_party_registration()
        while (found := await client.poll())[0] != "oadrResponse":
            if found[0] == "oadrDistributeEvent":
                event = found[1]["events"][0]
                start = event["active_period"]["dtstart"]
                assert start > datetime.now(UTC)
                await client.created_event(event["event_descriptor"]["event_id"], opt)
            elif found[0] == "oadrRegisterReport":
                await client.handle(*found)
    return [*stage.found, *stage.missing()]


async def test_against_a_ven_that_behaves_the_same(tmp_path: Path) -> None:
    lines, _ = await recorded(tmp_path)
    long_ago = [msgspec.structs.replace(line, at=line.at - timedelta(days=100)) for line in lines]
    assert await on_stage(lines, "ven", "optIn") == []
    assert long_ago[0].at < lines[0].at


async def test_against_a_ven_that_does_not(tmp_path: Path) -> None:
    lines, _ = await recorded(tmp_path)
    found = await on_stage(lines, "another", "optOut")
    assert {f.message for f in found} == {"oadrCreatePartyRegistration", "oadrCreatedEvent"}
    assert any("'optOut'" in f.text and "'optIn'" in f.text for f in found)


async def test_a_stage_is_served_and_says_what_did_not_come(tmp_path: Path) -> None:
    lines, _ = await recorded(tmp_path)
    found = await _on_stage(Stage(lines), 0, 1.0)
    assert {f.text for f in found} == {"the VEN did not send this"}
    assert len(found) == len(lines)


def test_nonsense_is_a_difference() -> None:
    stage = Stage([Line(at=NOW, side="ven", who="v", path="/x")])
    assert stage.answer("/x", b"nonsense")[0] == 406
    assert "no message" in stage.found[0].text


def test_secrets_are_left_out(tmp_path: Path) -> None:
    folder = Pki.make(tmp_path)
    files = folder.files("ven-RSA")
    key = SigningKey.from_pem(Path(files.cert).read_bytes(), Path(files.key).read_bytes())
    message = wire.OadrCreatePartyRegistration(
        request_id="1",
        registration_id="very-secret",
        profile_name="2.0b",
        transport_name="simpleHttp",
        transport_address="https://user:word@ven.example/path?token=abc",
        report_only=False,
        xml_signature=True,
        http_pull_model=False,
    )
    text = without_secrets(sign(message, key, now=NOW, nonce="some-nonce-0123456789"))
    assert text is not None
    for secret in ("very-secret", "user", "word@", "abc", "nonce", "SignatureValue"):
        assert secret not in text
    left = decode(text.encode()).message
    assert isinstance(left, wire.OadrCreatePartyRegistration)
    assert left.transport_address == "https://ven.example/path"
    assert without_secrets(b"password=1") == "[10 bytes that are no XML]"
    assert without_secrets(b" ") is None


def test_a_lost_answer_is_kept_and_not_played(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with Tape(path, "ven") as tape:
        tape.keep(Traffic(at=NOW, who="v", path="/a/OadrPoll", request=b"<a/>", error="no connection"))
    [line] = read_tape(path)
    assert (line.error, line.service, line.reply) == ("no connection", "OadrPoll", None)


def test_differences_are_named() -> None:
    response = wire.EiResponse(response_code="200", request_id="1")
    one = wire.OadrResponse(response=response, ven_id="a")
    assert list(differences(one, wire.OadrResponse(response=response, ven_id="b"))) == []
    bad = wire.OadrResponse(response=wire.EiResponse(response_code="452", request_id="2"), ven_id="a")
    assert list(differences(one, bad)) == ["response.response_code is '452', and was '200'"]
    assert list(differences(one, None)) == ["no message, and it was oadrResponse"]
    assert list(differences(wire.OadrPoll(ven_id="a"), bad)) == ["oadrResponse, and it was oadrPoll (452 )"]


def test_the_command(tmp_path: Path) -> None:
    lines, _ = asyncio.run(recorded(tmp_path))
    assert lines
    file = str(tmp_path / "ven.jsonl")
    done = CliRunner().invoke(app, ["replay", file, "--vtn", "http://127.0.0.1:9", "--json"])
    assert done.exit_code == 1
    assert len(json.loads(done.stdout)["differences"]) == len(lines)
    assert CliRunner().invoke(app, ["replay", file]).exit_code == 2
    (tmp_path / "bad").write_text("{}\n")
    with pytest.raises(ConfigError, match="line 1 is no recorded exchange"):
        list(read_tape(tmp_path / "bad"))
