"""Many events, one answer: what applies when.

Events may overlap; the standard leaves open what a VEN then does (2.0b rule 18). Here, of the signals of one name
that act on the same devices, that of the event with the best priority applies (1 is the best, 0 the last), then that
of the event which started earlier, then that which was given first; market contexts make no difference. When the
better one ends, the other applies again for the rest of its time. Spans are half-open, so of adjacent events the
later one applies at the instant where they meet.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product

import msgspec

from pyopenadr.model.event import Event, Interval, Signal
from pyopenadr.model.time import Span

__all__ = ["Step", "in_force", "timeline"]

_FOREVER = datetime.max.replace(tzinfo=UTC)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """From when to when one interval of one signal applies to something.

    `resource` and `device_class` say to what; an empty text means whatever the steps do not name by itself.
    `number` is that of the interval, from 0.
    """

    span: Span
    resource: str
    device_class: str
    event: Event
    signal: Signal
    number: int

    @property
    def interval(self) -> Interval:
        """The interval that applies."""
        return self.signal.intervals[self.number]

    @property
    def value(self) -> float:
        """What it says."""
        return self.interval.value


class _Claim(msgspec.Struct, frozen=True, gc=False):
    """One interval of one signal with the time it takes up, and how it ranks (lower is better)."""

    start: datetime
    end: datetime
    rank: tuple[bool, int, datetime, int]
    event: Event
    signal: Signal
    number: int
    resources: frozenset[str]
    device_classes: frozenset[str]

    def covers(self, resource: str, device_class: str) -> bool:
        """Whether it acts on that resource's devices of that class; without names it acts on all."""
        return (not self.resources or resource in self.resources) and (
            not self.device_classes or device_class in self.device_classes
        )


def _named_resources(event: Event, signal: Signal) -> Collection[str]:
    return event.target.resource_ids


def timeline(
    events: Iterable[tuple[Event, Span | timedelta]],
    start: datetime,
    end: datetime | None = None,
    *,
    resources_of: Callable[[Event, Signal], Collection[str]] = _named_resources,
) -> tuple[Step, ...]:
    """What applies from `start` to `end` (None: for ever), in order of time.

    Each event comes with the offset of its start, or with the span in which it is really executed, which cuts off
    its signals. A cancelled event counts only where such a span is given. `resources_of` tells which resources a
    signal of an event acts on, none meaning all; by default those that the target names by resourceID.
    """
    until = end if end is not None else _FOREVER
    claims: dict[str, list[_Claim]] = {}
    for order, (event, when) in enumerate(events):
        if event.cancelled and not isinstance(when, Span):
            continue
        span = when if isinstance(when, Span) else Span.of(event.start + when, event.duration)
        window = (max(start, span.start), min(until, span.end if span.end is not None else _FOREVER))
        rank = (event.priority == 0, event.priority, span.start, order)
        for signal in event.signals:
            resources = frozenset(resources_of(event, signal))
            claims.setdefault(signal.signal_name, []).extend(
                _claims_of(event, signal, span.start, window, rank, resources)
            )
    steps = [step for of_one_name in claims.values() for step in _steps(of_one_name)]
    return tuple(sorted(steps, key=_in_order))


def _in_order(step: Step) -> tuple[datetime, str, str, str]:
    return step.span.start, step.signal.signal_name, step.resource, step.device_class


def _claims_of(
    event: Event,
    signal: Signal,
    start: datetime,
    window: tuple[datetime, datetime],
    rank: tuple[bool, int, datetime, int],
    resources: frozenset[str],
) -> Iterable[_Claim]:
    for number, (span, _) in enumerate(signal.spans(start)):
        begin = max(span.start, window[0])
        end = min(span.end if span.end is not None else _FOREVER, window[1])
        if begin < end:
            yield _Claim(begin, end, rank, event, signal, number, resources, frozenset(signal.device_classes))


def _steps(claims: Sequence[_Claim]) -> Iterable[Step]:
    """The steps of the signals of one name, for each combination of what they name."""
    resources = {""}.union(*(claim.resources for claim in claims))
    device_classes = {""}.union(*(claim.device_classes for claim in claims))
    for resource, device_class in product(sorted(resources), sorted(device_classes)):
        lane = [claim for claim in claims if claim.covers(resource, device_class)]
        for start, end, claim in _winners(lane):
            yield Step(
                span=Span(start, None if end == _FOREVER else end),
                resource=resource,
                device_class=device_class,
                event=claim.event,
                signal=claim.signal,
                number=claim.number,
            )


def _winners(claims: Sequence[_Claim]) -> Iterable[tuple[datetime, datetime, _Claim]]:
    """Who applies from when to when. Goes through the instants at which something begins or ends."""
    waiting = sorted(range(len(claims)), key=lambda index: claims[index].start, reverse=True)
    instants = sorted({instant for claim in claims for instant in (claim.start, claim.end)})
    running: list[tuple[tuple[bool, int, datetime, int], int]] = []
    last: tuple[datetime, int] | None = None  # since when, and who
    for instant in instants:
        while waiting and claims[waiting[-1]].start <= instant:
            index = waiting.pop()
            heapq.heappush(running, (claims[index].rank, index))
        while running and claims[running[0][1]].end <= instant:
            heapq.heappop(running)
        best = running[0][1] if running else None
        if last is not None and last[1] != best:
            yield last[0], instant, claims[last[1]]
            last = None
        if last is None and best is not None:
            last = instant, best


def in_force(steps: Iterable[Step], now: datetime) -> tuple[Step, ...]:
    """The steps that apply at `now`."""
    return tuple(step for step in steps if now in step.span)
