"""What may stand in `ven.yaml`, as types: they check the file, and its JSON Schema is made from them."""

from __future__ import annotations

from inspect import cleandoc
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pyopenadr.agent.action import Command, Http, Modbus, Mqtt
from pyopenadr.agent.source import CommandSource, ConstantSource, CsvSource, HttpSource

__all__ = [
    "Action",
    "FailSafePlan",
    "LogPlan",
    "OptPlan",
    "OptRule",
    "Plan",
    "PointPlan",
    "ReportPlan",
    "SignalPlan",
    "Source",
    "StatusPlan",
    "TlsPlan",
    "VenPlan",
    "VtnPlan",
    "While",
    "schema",
]

Action = Http | Mqtt | Modbus | Command
Source = CommandSource | HttpSource | CsvSource | ConstantSource
Port = Annotated[int, Meta(ge=1, le=65535)]
Seconds = Annotated[float, Meta(gt=0)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the file; what it does not know is refused."""


class VtnPlan(_Part, frozen=True, kw_only=True):
    """Whom to talk to. `vtn_id` is checked if it is given. With `profile` 2.0a the VEN needs its `ven_id`, and has
    SIMPLE events only: no reports and no signatures. `user` and `password` are those of HTTP Basic.
    """

    url: str
    vtn_id: str | None = None
    profile: Literal["2.0a", "2.0b"] = "2.0b"
    user: str | None = None
    password: str | None = None

    @property
    def basic(self) -> tuple[str, str] | None:
        """The login, if there is one."""
        return (self.user, self.password or "") if self.user is not None else None


class VenPlan(_Part, frozen=True, kw_only=True):
    """Who we are. `ven_id` where it was agreed upon beforehand; `state` is the file that survives a restart ("none" for
    none; by default one in the user's state folder)."""

    name: str
    ven_id: str | None = None
    state: str | None = None
    poll_seconds: Seconds | None = None
    resources: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    market_contexts: tuple[str, ...] | None = None
    run_test_events: bool = False


class TlsPlan(_Part, frozen=True, kw_only=True):
    """PEM files: our certificate and key, and the authorities of the VTN's certificate. `sign` signs every message."""

    cert: str | None = None
    key: str | None = None
    ca: str | None = None
    profile: Literal["modern", "openadr"] = "modern"
    proxy: str | None = None
    sign: bool = False


class SignalPlan(_Part, frozen=True, kw_only=True):
    """What to do when the value of a signal changes.

    `signal` is its name, such as SIMPLE or ELECTRICITY_PRICE; `type` and `resource` narrow it. `idle` is the value
    while no event applies. Values are kept within `minimum` and `maximum`. `at_stop`: whether the end of the program
    leaves things
    as they are, or sets the idle value.
    """

    signal: str
    actions: Annotated[tuple[Action, ...], Meta(min_length=1)]
    type: str | None = None
    resource: str | None = None
    idle: float = 0.0
    minimum: float | None = None
    maximum: float | None = None
    at_stop: Literal["hold", "idle"] = "hold"


class While(_Part, frozen=True, kw_only=True):
    """A condition on something measured: the source's value is below or above a limit."""

    source: Source
    above: float | None = None
    below: float | None = None


class OptRule(_Part, frozen=True, kw_only=True):
    """An answer for events in which `signal` is at some time above or below a limit, or of a market context; with
    `measured`, only while that holds too."""

    answer: Literal["in", "out", "ask"]
    signal: str | None = None
    above: float | None = None
    below: float | None = None
    market_context: str | None = None
    measured: While | None = None


class OptPlan(_Part, frozen=True, kw_only=True):
    """How events are answered: by the first rule that fits, else by `default`. "ask" leaves it to `pyopenadr ven opt`;
    if nobody says anything before the event begins, it is opted out of."""

    default: Literal["in", "out", "ask"] = "in"
    rules: tuple[OptRule, ...] = ()


class PointPlan(_Part, frozen=True, kw_only=True):
    """One thing that is measured: `reading` is the standard's name (powerReal, energyReal, voltage, temperature, …), or
    any word for a `unit` of your own; `unit` is the symbol with its prefix, such as kW. `id` is its rID."""

    reading: str
    source: Source
    unit: str | None = None
    id: str | None = None
    resource: str | None = None


class ReportPlan(_Part, frozen=True, kw_only=True):
    """A report that is offered to the VTN."""

    points: Annotated[tuple[PointPlan, ...], Meta(min_length=1)]
    name: str = "TELEMETRY_USAGE"
    id: str | None = None


class FailSafePlan(_Part, frozen=True, kw_only=True):
    """What happens when the VTN has been silent for so many minutes: "hold" goes on with the events that are known,
    "release" ends them, a number ends them and is the value of every signal."""

    after_minutes: Annotated[float, Meta(gt=0)]
    then: Literal["hold", "release"] | float = "hold"


class StatusPlan(_Part, frozen=True, kw_only=True):
    """A read-only page and REST on this port of loopback."""

    port: Port


class LogPlan(_Part, frozen=True, kw_only=True):
    """Keeps every message, without secrets, in this file; `pyopenadr ven log` looks into it."""

    file: str


class Plan(_Part, frozen=True, kw_only=True):
    """A VEN without code."""

    vtn: VtnPlan
    ven: VenPlan
    tls: TlsPlan = TlsPlan()
    signals: tuple[SignalPlan, ...] = ()
    opt: OptPlan = OptPlan()
    reports: tuple[ReportPlan, ...] = ()
    failsafe: FailSafePlan | None = None
    status: StatusPlan | None = None
    log: LogPlan | None = None


def schema() -> dict[str, Any]:
    """The JSON Schema of the file, for editors."""
    found = msgspec.json.schema(Plan)
    for part in found["$defs"].values():
        # From Python 3.13 on docstrings come without their indentation; the schema is the same everywhere.
        part["description"] = cleandoc(part["description"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
