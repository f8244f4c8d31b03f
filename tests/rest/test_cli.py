"""The commands over the API, against a running VTN, as somebody types them."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pyopenadr import OpenADRServer
from pyopenadr.cli import app
from pyopenadr.cli.outline import read_table
from pyopenadr.cli.remote import token_file
from pyopenadr.errors import ConfigError
from pyopenadr.store.port import Knock
from pyopenadr.v2 import wire
from tests.rest.background import Background, background
from tests.store.sample import reading
from tests.unit.vtn.sample import Ven, metadata

Run = Callable[..., Result]
START = "2035-01-31T12:00:00+00:00"


@pytest.fixture(scope="module")
def vtn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    database = f"sqlite:///{tmp_path_factory.mktemp('vtn')}/vtn.db"
    with background(lambda: OpenADRServer("vtn", port=0, api=True, database=database)) as running:
        yield running


@pytest.fixture
def run(vtn: Background, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("PYOPENADR_URL", vtn.url)
    monkeypatch.setenv("PYOPENADR_TOKEN", vtn.run(vtn.server.create_token("cli")))

    def call(*arguments: str, code: int = 0, say: str | None = None) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=say)
        assert result.exit_code == code, result.output
        return result

    return call


def read(result: Result) -> Any:
    return json.loads(result.stdout)


def test_an_event_from_the_first_word_to_the_last_answer(vtn: Background, run: Run) -> None:
    ven = Ven(vtn.server)
    vtn.run(ven.join("board"))
    made = read(
        run("event", "create", "--start", START, "--interval", "PT1H=2", "--ven", ven.ven_id, "--yes", "--json")
    )
    event_id = made["event"]["event_id"]
    assert made["recipients"] == [ven.ven_id]
    assert event_id in run("event", "list").stdout
    assert f"{ven.ven_id}\tboard\tonline\tqueued" in run("event", "show", event_id).stdout
    run("event", "watch", event_id, "--timeout", "0.1", "--every", "0.1", code=1)
    vtn.run(ven.answer(vtn.run(ven.poll(wire.OadrDistributeEvent))))
    assert run("event", "watch", event_id).stdout.splitlines() == [f"{ven.ven_id} opted in", "1 opted in"]
    changed = read(run("event", "change", event_id, "--priority", "3", "--json"))
    assert (changed["event"]["priority"], changed["event"]["modification_number"]) == (3, 1)
    assert "cancelled" in run("event", "cancel", event_id, "--yes").stdout
    copy = read(run("event", "copy", event_id, "--start", "+2h", "--json"))
    copy_id = copy["event"]["event_id"]
    assert copy["state"] == "draft"
    assert "published" in run("event", "publish", copy_id).stdout
    assert read(run("event", "list", "--state", "draft", "--json")) == []


def test_nothing_is_published_without_a_yes(vtn: Background, run: Run) -> None:
    before = len(vtn.run(vtn.server.events()))
    result = run("event", "create", "--start", "+10m", "--interval", "PT1H=2", code=2)
    assert "It is for" in result.stdout
    assert "--yes" in result.stderr
    assert len(vtn.run(vtn.server.events())) == before


def test_a_draft_needs_no_question_and_can_be_deleted(run: Run) -> None:
    draft = read(run("event", "create", "--start", "+1d", "--interval", "PT1H=2", "--draft", "--json", "--yes"))
    assert "deleted" in run("event", "delete", draft["event"]["event_id"]).stdout


def test_an_event_from_files(run: Run, tmp_path: Path) -> None:
    plan, steps = tmp_path / "plan.json", tmp_path / "steps.csv"
    plan.write_text(json.dumps({"priority": 4, "signal_name": "ELECTRICITY_PRICE", "signal_type": "priceMultiplier"}))
    steps.write_text("start,value\n2035-01-31T12:00:00Z,0.5\n2035-01-31T12:15:00Z,0.7\n")
    made = read(run("event", "create", str(plan), "--csv", str(steps), "--yes", "--json"))["event"]
    assert (made["start"], made["duration"], made["priority"]) == ("2035-01-31T12:00:00Z", "PT1800S", 4)
    assert [step["value"] for step in made["signals"][0]["intervals"]] == [0.5, 0.7]
    yaml = tmp_path / "plan.yaml"
    yaml.write_text("start: 2035-02-01T12:00:00Z\nintervals:\n  - {duration: PT1H, value: 1}\n")
    made = read(run("event", "create", str(yaml), "--yes", "--json"))["event"]
    assert made["start"] == "2035-02-01T12:00:00Z"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["event", "create", "--interval", "PT1H=2"], "--start"),
        (["event", "create", "--start", "+10x", "--interval", "PT1H=2"], "+10m"),
        (["event", "create", "--start", "+10m", "--interval", "PT1H"], "PT1H=2"),
        (["event", "create", "--start", "+10m", "--interval", "PT1H=x"], "no number"),
        (["event", "create", "no-such-file.json"], "can't be read"),
        (["event", "change", "e"], "what shall be different"),
        (["event", "list", "--url", "nonsense"], "--url"),
        (["event", "list", "--token", "poa_x_y"], "does not accept the token"),
        (["token", "revoke", "nobody", "--database", "sqlite://"], "no token"),
        (["token", "create", "me", "--role", "king", "--database", "sqlite://"], "role"),
    ],
)
def test_what_is_wrong_with_the_words_is_said(run: Run, arguments: list[str], said: str) -> None:
    assert said in run(*arguments, code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["event", "show", "nothing"], "404"),
        (["vens", "show", "nobody"], "404"),
        (["event", "create", "--start", "+10m", "--interval", "PT1H=9", "--yes"], "422"),
        (["event", "list", "--url", "http://127.0.0.1:1"], "can't be reached"),
    ],
)
def test_what_the_vtn_refuses_is_said(run: Run, arguments: list[str], said: str) -> None:
    assert said in run(*arguments, code=1).stderr


def test_vens(vtn: Background, run: Run) -> None:
    run("vens", "add", "by/hand", "--name", "one")
    assert [ven["ven_id"] for ven in read(run("vens", "list", "--search", "by/", "--json"))] == ["by/hand"]
    assert "by/hand\tone\t2.0b" in run("vens", "list").stdout
    assert read(run("vens", "show", "by/hand", "--json"))["ven_name"] == "one"
    assert "by/hand" in run("vens", "show", "by/hand").stdout
    run("vens", "reregister", "by/hand")
    run("vens", "remove", "by/hand", code=2)
    run("vens", "remove", "by/hand", "--yes")
    run("vens", "remove", "by/hand", "--forget", "--yes")
    run("vens", "show", "by/hand", code=1)


def test_reports_and_opts(vtn: Background, run: Run) -> None:
    ven = Ven(vtn.server)
    vtn.run(ven.join("meter"))
    vtn.run(ven.register_reports(metadata("telemetry", "power")))
    made = read(
        run("report", "request", ven.ven_id, "telemetry", "--every", "PT15M", "--granularity", "PT1M", "--json")
    )
    listed = run("report", "list", ven.ven_id).stdout
    assert "telemetry" in listed
    assert made["report_request_id"] in listed
    run("report", "cancel", ven.ven_id, made["report_request_id"])
    assert read(run("report", "list", ven.ven_id, "--json"))["requests"] == []
    assert read(run("report", "readings", ven.ven_id, "--json")) == []
    assert read(run("opt", "list", ven.ven_id, "--json")) == []


def test_tokens_are_made_beside_the_vtn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("PYOPENADR_TOKEN", raising=False)
    database = f"sqlite:///{tmp_path}/vtn.db"

    def call(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, ["token", *arguments, "--database", database])
        assert result.exit_code == code, result.output
        return result

    text = call("create", "shown").stdout.strip()
    assert text.startswith("poa_")
    call("create", "saved", "--role", "viewer", "--days", "1", "--save")
    assert stat.S_IMODE(token_file().stat().st_mode) == 0o600
    assert token_file().read_text().startswith("poa_")
    listed = json.loads(call("list", "--json").stdout)
    assert [(one["name"], one["role"]) for one in listed] == [("shown", "operator"), ("saved", "viewer")]
    assert "digest" not in listed[0]
    assert text.split("_", 2)[2] not in call("list").stdout
    call("revoke", listed[0]["token_id"])
    assert json.loads(call("list", "--json").stdout)[0]["revoked_at"] is not None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        "duration,value\nPT1H,x\n",
        "start,value\n2035-01-31T12:00:00Z,1\n",
        "start,value\nnow,1\n",
        "start,value\n2035-01-31T12:00:00,1\n2035-01-31T13:00:00,1\n",
        "start,value\n2035-01-31T13:00:00Z,1\n2035-01-31T12:00:00Z,1\n",
    ],
)
def test_a_table_that_makes_no_sense_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "steps.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"steps\.csv"):
        read_table(path)


def test_a_table_of_durations(tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    path.write_text("duration,value\nPT1H,1\nPT30M,2.5\n")
    assert read_table(path) == (None, [{"duration": "PT1H", "value": 1.0}, {"duration": "PT30M", "value": 2.5}])
    path.write_text("start,value,end\n2035-01-31T12:00:00Z,1,2035-01-31T12:20:00Z\n")
    assert read_table(path) == ("2035-01-31T12:00:00+00:00", [{"duration": "PT1200S", "value": 1.0}])


def test_who_may_register(vtn: Background, run: Run) -> None:
    store: Any = vtn.server.service.store
    at = vtn.server.clock.now()
    for key in ("name one", "name two"):
        vtn.run(store.save_knock(Knock(key=key, first_at=at, last_at=at, ven_name=key[5:]), most=10))
    assert "name one\t\tone" in run("inbox", "list").stdout
    assert "let in" in run("inbox", "accept", "name one", "--ven", "v-one").stdout
    run("inbox", "reject", "name two")
    assert [one["key"] for one in read(run("inbox", "list", "--rejected", "--json"))] == ["name two"]
    run("inbox", "forget", "name two")
    run("inbox", "forget", "name two", code=1)
    assert "ven-name one\t\tone\tv-one" in run("allow", "list").stdout
    assert read(run("allow", "add", "--common-name", "d17", "--json"))["key"] == "common-name d17"
    run("allow", "add", code=2)
    run("allow", "remove", "common-name d17")
    assert [one["key"] for one in read(run("allow", "list", "--json"))] == ["ven-name one"]


def test_groups_and_resources(vtn: Background, run: Run) -> None:
    run("group", "add", "north", "--name", "The North", "--ven", "v1", "--resource", "v2:boiler")
    assert "north\tThe North" in run("group", "list", "--search", "nor").stdout
    shown = read(run("group", "show", "north", "--json"))
    assert [(one["ven_id"], one["resource_id"]) for one in shown["members"]] == [("v1", ""), ("v2", "boiler")]
    changed = read(run("group", "change", "north", "--name", "", "--market-context", "http://p", "--json"))
    assert (changed["name"], changed["market_context"]) == (None, "http://p")
    assert [one["group_id"] for one in read(run("group", "list", "--programmes", "--json"))] == ["north"]
    run("group", "join", "north", "--ven", "v3")
    run("group", "leave", "north", "--ven", "v1", "--resource", "v2:boiler")
    assert "v3\t" in run("group", "show", "north").stdout
    run("group", "change", "north", code=2)
    run("group", "join", "north", "--resource", "v2", code=2)
    run("group", "remove", "north")
    run("group", "show", "north", code=1)
    run("resource", "set", "v1", "--position", "52.37,4.90")
    run("resource", "set", "v1", "boiler", "--meter", "m17", "--name", "hot")
    assert run("resource", "list").stdout.splitlines()[1:] == ["v1\t\t\t52.37,4.9", "v1\tboiler\thot\tm17"]
    run("resource", "set", "v1", "--position", "north", code=2)
    run("resource", "remove", "v1", "boiler")
    assert [one["resource_id"] for one in read(run("resource", "list", "--ven", "v1", "--json"))] == [""]


def test_rules_and_exported_readings(vtn: Background, run: Run, tmp_path: Path) -> None:
    made = read(run("rule", "set", "power", "--every", "PT5M", "--ven", "v1", "--granularity", "PT1M", "--json"))
    assert (made["ven_ids"], made["report_back_duration"]) == (["v1"], "PT300S")
    run("rule", "set", "power", "--every", "PT10M", "--report", "telemetry")
    assert "power\tall VENs\ttelemetry" in run("rule", "list").stdout
    run("rule", "remove", "power")
    assert read(run("rule", "list", "--json")) == []
    vtn.run(vtn.server.add_ven("metered"))
    store: Any = vtn.server.service.store
    vtn.run(store.save_readings([reading(ven_id="metered", r_id="r1"), reading(ven_id="metered", r_id="r2")]))
    file = tmp_path / "meters.csv"
    run("report", "export", str(file), "--ven", "metered", "--r-id", "r2")
    assert [line.split(",")[2] for line in file.read_text().splitlines()] == ["r_id", "r2"]
    assert [path.name for path in tmp_path.glob("meters*")] == ["meters.csv"]
    run("report", "export", str(tmp_path / "meters.xls"), code=2)
    run("report", "export", str(tmp_path / "nowhere" / "m.csv"), code=2)
    run("report", "export", str(file), "--group", "nowhere", code=1)


def test_the_audit_and_the_webhooks(vtn: Background, run: Run) -> None:
    run("vens", "add", "audited")
    assert vtn.server._office is not None
    vtn.run(vtn.server._office.records.flush())
    assert "api\tPOST /api/vens\taudited" in run("audit", "--ven", "audited").stdout
    assert [one["status"] for one in read(run("audit", "--ven", "audited", "--direction", "api", "--json"))] == ["201"]
    assert run("webhook", "add", "https://example.com/hook", "--kind", "ven-offline").stdout.startswith("whsec_")
    [made] = read(run("webhook", "list", "--json"))
    assert (made["kinds"], "secret" in made) == (["ven-offline"], False)
    assert "https://example.com/hook\tven-offline" in run("webhook", "list").stdout
    run("webhook", "remove", made["webhook_id"])
    run("webhook", "add", "https://example.com/hook", "--kind", "nonsense", code=1)


def test_a_file_of_vens_and_what_is_set_of_each(vtn: Background, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "vens.csv"
    file.write_text("ven_id,common_name,poll_frequency,groups\nbulk-1,d1,PT1M,\nbulk-2,d2,,nowhere\n")
    failed = run("allow", "file", str(file), code=1)
    assert "vens.csv, line 3: there is no group nowhere" in failed.stderr
    file.write_text("ven_id,common_name,poll_frequency\nbulk-1,d1,PT1M\nbulk-2,d2,\n")
    dry = run("allow", "file", str(file), "--dry-run", "--json")
    assert read(dry) == {"vens": 2, "new": 2, "done": False, "faults": []}
    assert "2 checked, 2 of them new" in dry.stderr
    assert "2 may register" in run("allow", "file", str(file)).stderr
    run("vens", "set", "bulk-1", "--poll", "PT2M")
    assert read(run("vens", "show", "bulk-1", "--json"))["own_poll_frequency"] == "PT120S"
    assert read(run("vens", "set", "bulk-1", "--poll", "default", "--json"))["own_poll_frequency"] is None
    run("vens", "set", "bulk-1", code=2)
    run("vens", "set", "bulk-1", "--identity", "basic", "--user", "meter", say="s3cret\n")
    shown = run("vens", "show", "bulk-1", "--json")
    assert (read(shown)["identity"], read(shown)["login"]) == ("basic", "meter")
    assert not {"s3cret", "scrypt", "password"} & set(re.findall(r"\w+", shown.stdout))
    assert read(run("vens", "set", "bulk-1", "--identity", "default", "--json"))["identity"] == "certificate"
    assert "user" in run("vens", "set", "bulk-1", "--user", "meter", code=1).stderr
    run("vens", "add", "ours", "--registration-id", "r-1", "--poll", "PT1M")
    assert read(run("vens", "show", "ours", "--json"))["registration_id"] == "r-1"
