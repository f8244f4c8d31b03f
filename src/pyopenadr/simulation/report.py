"""What comes out of a simulation: who took part, what was shed, what the VTN saw of it, and what went wrong."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from pyopenadr.model import OptType, Reading
from pyopenadr.simulation.counterpart import Participation
from pyopenadr.simulation.fault import FaultKind, Tally
from pyopenadr.simulation.plan import Plan
from pyopenadr.simulation.site import R_ID, Site

__all__ = [
    "Curve",
    "EventOutcome",
    "FaultOutcome",
    "Outcome",
    "Percentiles",
    "Phase",
    "Telemetry",
    "curve_of",
    "outcome_of",
]

MOST_DIFFERENCE = 0.05
"""By which share of the energy the VTN's view may differ from the truth before that is a problem."""


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """How long something took: half of the times were at most `p50`, 95 of 100 at most `p95`, all at most `most`."""

    count: int = 0
    p50: float | None = None
    p95: float | None = None
    most: float | None = None

    @classmethod
    def of(cls, values: Iterable[float]) -> Percentiles:
        """Those of some values; of none they are None."""
        ordered = sorted(values)
        if not ordered:
            return cls()
        last = len(ordered) - 1
        return cls(
            count=len(ordered),
            p50=ordered[math.ceil(0.5 * last)],
            p95=ordered[math.ceil(0.95 * last)],
            most=ordered[-1],
        )


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """From when to when an interval of an event's first signal holds, in seconds from the start, and its value."""

    start_s: float
    end_s: float
    value: float


class EventOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an event. `silent` have got it and not answered, `refused` answered with an error.

    Energies are those of its active period; `seen_shed_kwh` is what the VTN can know of it, None where it knows
    nothing. `answers` is how long the answers took, in seconds of the simulation.
    """

    event_id: str
    signal_name: str
    signal_type: str
    start: datetime
    phases: tuple[Phase, ...]
    opted_in: int
    opted_out: int
    refused: int
    silent: int
    answers: Percentiles
    baseline_kwh: float
    load_kwh: float
    shed_kwh: float
    mean_shed_kw: float
    most_shed_kw: float
    seen_shed_kwh: float | None


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """The power of all sites in each step, in kW: as it was, as it would have been without any event, and what the VTN
    sees of the former. `heard` is from how many VENs it has a reading of that step, `heard_kw` the power of those.
    """

    step_s: float
    baseline_kw: tuple[float, ...]
    load_kw: tuple[float, ...]
    seen_kw: tuple[float, ...]
    heard_kw: tuple[float, ...]
    heard: tuple[int, ...]


class Telemetry(msgspec.Struct, frozen=True, kw_only=True):
    """The VTN's view of the load beside the truth.

    `coverage` is the share of the steps of all VENs of which it has a reading; of these, `truth_kwh` is the energy and
    `seen_kwh` what the readings say. `difference` is that of the two as a share of the former.
    """

    source: str
    readings: int
    coverage: float
    truth_kwh: float
    seen_kwh: float
    difference: float


class FaultOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How often a fault was injected, and how often the VEN has come through it."""

    kind: FaultKind
    injected: int
    recovered: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a simulation. `problems` says what did not go as it should, in sentences; if nothing, it is `good`.

    `polls` is how long polls took, in milliseconds of the machine's time. `wall_s` and `cpu_s` are what the simulation
    took of the machine, with all VENs and, if it is in the same process, the VTN.
    """

    vtn: str
    vens: int
    registered: int
    devices: Mapping[str, int]
    seed: int
    start: datetime
    length_s: float
    events: tuple[EventOutcome, ...]
    curve: Curve
    telemetry: Telemetry
    polls: Percentiles
    exchanges: int
    wall_s: float
    cpu_s: float
    faults: tuple[FaultOutcome, ...]
    errors: Mapping[str, int]
    problems: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether everything went as it should."""
        return not self.problems

    def to_dict(self) -> dict[str, Any]:
        """The whole of it as JSON has it."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain | {"good": self.good}


def curve_of(sites: Sequence[Site], readings: Sequence[Sequence[Reading]], plan: Plan) -> tuple[Curve, int]:
    """The power over time, with the readings that the VTN has of each site; and how many readings count."""
    steps = min((len(site.load) for site in sites), default=0)
    step_s = plan.step.total_seconds()
    load, baseline = [0.0] * steps, [0.0] * steps
    seen, heard_kw, heard = [0.0] * steps, [0.0] * steps, [0] * steps
    count = 0
    for site, told in zip(sites, readings, strict=True):
        for number in range(steps):
            load[number] += site.load[number]
            baseline[number] += site.baseline[number]
        good = _good(told)
        count += len(good)
        known: set[int] = set()
        for start_s, end_s, value in _spans(good, plan):
            # A reading stands for the steps whose middle is in its time.
            for number in range(max(0, math.ceil(start_s / step_s - 0.5)), min(steps, math.ceil(end_s / step_s - 0.5))):
                if number not in known:
                    known.add(number)
                    seen[number] += value
                    heard_kw[number] += site.load[number]
                    heard[number] += 1
    curve = Curve(
        step_s=step_s,
        baseline_kw=tuple(baseline),
        load_kw=tuple(load),
        seen_kw=tuple(seen),
        heard_kw=tuple(heard_kw),
        heard=tuple(heard),
    )
    return curve, count


def _good(readings: Iterable[Reading]) -> list[tuple[Reading, float]]:
    """The readings of power that hold a value, by time."""
    found = [
        (reading, float(reading.value))
        for reading in readings
        if reading.r_id == R_ID
        and isinstance(reading.value, int | float)
        and not (reading.quality or "").startswith(("Quality Bad", "No Quality"))
    ]
    return sorted(found, key=lambda it: it[0].start)


def _spans(readings: Sequence[tuple[Reading, float]], plan: Plan) -> Iterable[tuple[float, float, float]]:
    """Each reading with the time that it stands for, in seconds from the start."""
    starts = [(reading.start - plan.start).total_seconds() for reading, _ in readings]
    usual = min((b - a for a, b in itertools.pairwise(starts) if b > a), default=plan.telemetry.total_seconds())
    for (_, value), start in zip(readings, starts, strict=True):
        yield start, start + usual, value


def outcome_of(
    plan: Plan,
    sites: Sequence[Site],
    *,
    vtn: str,
    source: str,
    participation: Sequence[Participation],
    readings: Sequence[Sequence[Reading]],
    tally: Tally,
    wall_s: float,
    cpu_s: float,
) -> Outcome:
    """Put together what came out, and judge it."""
    curve, count = curve_of(sites, readings, plan)
    outcome = Outcome(
        vtn=vtn,
        vens=len(sites),
        registered=sum(site.client is not None and site.client.registered for site in sites),
        devices=dict(Counter(site.device.kind for site in sites)),
        seed=plan.seed,
        start=plan.start,
        length_s=len(curve.load_kw) * curve.step_s,
        events=tuple(_event(one, plan, curve) for one in participation),
        curve=curve,
        telemetry=_telemetry(curve, source, count, len(sites)),
        polls=Percentiles.of(1000.0 * seconds for seconds in tally.polls_s),
        exchanges=tally.exchanges,
        wall_s=wall_s,
        cpu_s=cpu_s,
        faults=_faults(sites, tally),
        errors=dict(tally.errors),
    )
    return msgspec.structs.replace(outcome, problems=tuple(_problems(outcome)))


def _event(one: Participation, plan: Plan, curve: Curve) -> EventOutcome:
    event, signal = one.event, one.event.signals[0]
    end = plan.length.total_seconds()
    phases = []
    for span, interval in signal.spans(event.start):
        until = end if span.end is None else (span.end - plan.start).total_seconds()
        phases.append(Phase(start_s=(span.start - plan.start).total_seconds(), end_s=until, value=interval.value))
    first = max(0, math.ceil(phases[0].start_s / curve.step_s - 0.5))
    active = range(first, min(len(curve.load_kw), math.ceil(phases[-1].end_s / curve.step_s - 0.5)))
    hours = curve.step_s / 3600.0
    sheds = [curve.baseline_kw[number] - curve.load_kw[number] for number in active]
    # What the VTN has not heard of counts with the same share as what it has.
    seen = [
        curve.baseline_kw[number] - curve.seen_kw[number] * curve.load_kw[number] / curve.heard_kw[number]
        for number in active
        if curve.heard_kw[number]
    ]
    opts = Counter(one.answers.values())
    answered = len(one.answers) + one.refusals
    return EventOutcome(
        event_id=event.event_id,
        signal_name=signal.signal_name,
        signal_type=signal.signal_type,
        start=event.start,
        phases=tuple(phases),
        opted_in=opts[OptType.IN],
        opted_out=opts[OptType.OUT],
        refused=one.refusals,
        silent=max(0, one.concerned - answered),
        answers=Percentiles.of(one.seconds),
        baseline_kwh=sum(curve.baseline_kw[number] for number in active) * hours,
        load_kwh=sum(curve.load_kw[number] for number in active) * hours,
        shed_kwh=sum(sheds) * hours,
        mean_shed_kw=sum(sheds) / len(sheds) if sheds else 0.0,
        most_shed_kw=max(sheds, default=0.0),
        seen_shed_kwh=sum(seen) * hours if seen else None,
    )


def _telemetry(curve: Curve, source: str, readings: int, vens: int) -> Telemetry:
    hours = curve.step_s / 3600.0
    truth, seen = sum(curve.heard_kw) * hours, sum(curve.seen_kw) * hours
    all_steps = vens * len(curve.heard)
    return Telemetry(
        source=source,
        readings=readings,
        coverage=sum(curve.heard) / all_steps if all_steps else 0.0,
        truth_kwh=truth,
        seen_kwh=seen,
        difference=abs(seen - truth) / abs(truth) if truth else 0.0,
    )


def _faults(sites: Sequence[Site], tally: Tally) -> tuple[FaultOutcome, ...]:
    found = [
        FaultOutcome(kind=kind, injected=tally.injected[kind], recovered=tally.recovered[kind])
        for kind in FaultKind
        if tally.injected[kind]
    ]
    if skewed := [site for site in sites if site.skew]:
        well = sum(site.client is not None and site.client.registered for site in skewed)
        found.append(FaultOutcome(kind=FaultKind.CLOCK_SKEW, injected=len(skewed), recovered=well))
    return tuple(found)


def _problems(outcome: Outcome) -> Iterable[str]:
    if outcome.registered < outcome.vens:
        yield f"{outcome.vens - outcome.registered} of {outcome.vens} VENs are not registered"
    for event in outcome.events:
        if event.silent:
            yield f"event {event.event_id}: {event.silent} VENs have not answered"
        if event.refused:
            yield f"event {event.event_id}: {event.refused} VENs have answered with an error"
        if event.opted_in and event.most_shed_kw <= 0.0 and any(phase.value > 0.0 for phase in event.phases):
            yield f"event {event.event_id}: nothing was shed, though {event.opted_in} VENs have opted in"
    for fault in outcome.faults:
        if fault.recovered < fault.injected:
            open_ones = fault.injected - fault.recovered
            yield f"{open_ones} of {fault.injected} faults of the kind {fault.kind} are not recovered"
    if outcome.telemetry.difference > MOST_DIFFERENCE:
        yield f"the VTN's view of the energy differs from the truth by {outcome.telemetry.difference:.0%}"
    for text, times in outcome.errors.items():
        yield f"{times} times: {text}"
