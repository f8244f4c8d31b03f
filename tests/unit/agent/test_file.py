"""`ven.yaml`: what is wrong in it is said with file, line and key."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from pyopenadr.agent.file import read_plan
from pyopenadr.agent.plan import Plan, schema
from pyopenadr.errors import ConfigError
from tests.house.source import PACKAGE, ROOT

HEAD = "vtn: {url: 'https://vtn.example.com'}\nven: {name: box}\n"
OLD = "vtn: {url: 'https://vtn.example.com', profile: 2.0a}\nven: {ven_id: x, name: box}\n"
ACTION = "{do: command, run: [echo]}"
RULE = "opt:\n  rules:\n  - "
POINT = "reports:\n- points:\n  - "


def written(folder: Path, text: str) -> Path:
    path = folder / "ven.yaml"
    path.write_text(text)
    return path


def test_the_least_file(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, HEAD))
    assert (plan.vtn.url, plan.ven.name, plan.opt.default, plan.signals) == ("https://vtn.example.com", "box", "in", ())


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("vtn: {url: x}\nven: {name: box}\n", 1, "vtn.url: the VTN's address must be like"),
        ("ven: {name: box}\n", 1, "the file: Object missing required field `vtn`"),
        (HEAD + "colour: red\n", 1, "unknown field `colour`"),
        (HEAD + "ven: {name: other}\n", 3, "ven stands there twice"),
        (HEAD + "signals:\n- signal: SIMPLE\n  actions: []\n", 5, "signals[0].actions"),
        (
            HEAD + "signals:\n- signal: SIMPLE\n  idle: low\n  actions: [" + ACTION + "]\n",
            5,
            "signals[0].idle: Expected",
        ),
        (HEAD + "signals:\n- signal: SIMPLE\n  actions:\n  - do: fly\n", 6, "Invalid value 'fly'"),
        (HEAD + "signals:\n- signal: SIMPLE\n  actions:\n  - do: http\n    url: ftp://x\n", 6, "begin with http://"),
        (HEAD + "signals:\n- signal: S\n  actions:\n  - {do: command, run: [a, $valu]}\n", 6, "there is only $value"),
        (
            HEAD + "signals:\n- signal: S\n  actions:\n  - {do: command, run: [$value]}\n",
            6,
            "must not come from the VTN",
        ),
        (HEAD + "signals:\n- signal: S\n  actions:\n  - {do: mqtt, host: h, topic: 'a/#'}\n", 6, "wildcard"),
        (
            HEAD + f"signals:\n- signal: S\n  minimum: 3\n  maximum: 2\n  actions: [{ACTION}]\n",
            5,
            "signals[0].minimum: 3 is above maximum, 2",
        ),
        (HEAD + RULE + "{answer: maybe}\n", 5, "opt.rules[0].answer"),
        (HEAD + RULE + "{answer: out}\n", 5, "fits every event"),
        (HEAD + RULE + "{answer: out, above: 3}\n", 5, "need the name of a signal"),
        (HEAD + RULE + "{answer: out, measured: {source: {from: constant, value: 1}}}\n", 5, "give above or below"),
        (HEAD + POINT + "{reading: powerReal, unit: kg, source: {from: constant, value: 1}}\n", 5, "powerReal"),
        (HEAD + POINT + "{reading: powerReal, source: {from: nowhere}}\n", 5, "'nowhere'"),
        (HEAD + "tls: {sign: true}\n", 3, "tls.sign: signing needs cert and key"),
        (HEAD + "status: {port: 99999}\n", 3, "status.port"),
        (HEAD + "failsafe: {after_minutes: 0}\n", 3, "failsafe.after_minutes"),
        (OLD.replace("ven_id: x, ", ""), 2, "ven: 2.0a has no registration"),
        (OLD.replace("vtn.example.com", "vtn.example.com/OpenADR2/Simple/2.0b"), 1, "vtn.url: "),
        (OLD + "tls: {sign: true, cert: a, key: b}\n", 3, "tls.sign: 2.0a has no signatures"),
        (OLD + POINT + "{reading: powerReal, source: {from: constant, value: 1}}\n", 3, "reports: 2.0a has no reports"),
        (
            OLD + f"signals:\n- signal: S\n  actions: [{ACTION}]\n",
            4,
            "signals[0].signal: 2.0a has the signal SIMPLE only",
        ),
        ("a: [\n", 2, "is no YAML"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_plan(path)
    assert f"{path}, line {line}" in str(caught.value)
    assert said in str(caught.value)


def test_secrets_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "vtn: {url: '${env:VTN_URL}'}\nven: {name: box}\n")
    with pytest.raises(ConfigError, match="environment variable VTN_URL"):
        read_plan(path)
    monkeypatch.setenv("VTN_URL", "https://vtn.example.com")
    assert read_plan(path).vtn.url == "https://vtn.example.com"


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="pyopenadr ven init"):
        read_plan(tmp_path / "ven.yaml")


def test_the_schema_that_is_shipped_is_fresh() -> None:
    shipped = json.loads((PACKAGE / "agent" / "ven.schema.json").read_text("utf-8"))
    assert shipped == json.loads(json.dumps(schema())), (
        "stale: pyopenadr ven schema > src/pyopenadr/agent/ven.schema.json"
    )
    assert set(shipped["$defs"]["Plan"]["properties"]) == set(Plan.__struct_fields__)
    assert msgspec.json.schema(Plan)["$ref"] == shipped["$ref"]


def test_the_file_of_the_page_is_in_order(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "howto" / "no-code.md").read_text("utf-8")
    [text] = re.findall(r"^```yaml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    plan = read_plan(written(tmp_path, text))
    assert len(plan.signals) == 2
    tags = {type(action).__struct_config__.tag for signal in plan.signals for action in signal.actions}
    assert tags == {"http", "mqtt", "modbus", "command"}
