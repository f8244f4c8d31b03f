"""When a report is sampled and when it is sent (2.0b rules 317, 324, 325)."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.model import DataPoint, ReportRequest, Span
from pyopenadr.model.time import ZERO, total_seconds
from pyopenadr.ven.sample import FASTEST, is_interval_data

__all__ = ["Plan", "follow", "plan_of", "sleep_until"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The times of a periodic report.

    Samples are taken at `start` and every `step` from then on, and sent every `back`, until `end` (None: for ever).
    `at_once`: each sample is sent as soon as it is taken, the first one at `start`. `on_change`: what has not
    changed since the last sample is not recorded.
    """

    start: datetime
    step: timedelta
    back: timedelta
    end: datetime | None
    at_once: bool
    on_change: bool


def plan_of(request: ReportRequest, points: Sequence[DataPoint], now: datetime, *, in_one_go: bool) -> Plan:
    """The times that `request` asks for, if it arrives at `now`.

    `in_one_go`: there are no samples; the readings of a whole report come from the user when it is due.
    """
    start = now if request.start is None else max(now, request.start)
    end = Span.of(request.start or start, request.duration).end
    # Months have no fixed length; the length of the first one is used throughout.
    back = max(FASTEST, timedelta(seconds=total_seconds(request.report_back_duration, start)))
    on_change = request.granularity == ZERO
    if on_change:
        periods = [total_seconds(p.min_period, start) for p in points if p.min_period is not None]
        step = timedelta(seconds=max(periods, default=0.0))
    else:
        step = timedelta(seconds=total_seconds(request.granularity, start))
    step = max(FASTEST, step)
    at_once = not on_change and step >= back and not any(is_interval_data(point) for point in points)
    if in_one_go:
        step, on_change = back, False
    return Plan(start=start, step=step, back=back, end=end, at_once=at_once, on_change=on_change)


async def follow(
    plan: Plan,
    clock: Clock,
    *,
    sample_period: Callable[[datetime, datetime], Awaitable[None]],
    sample_instant: Callable[[datetime], Awaitable[None]],
    send: Callable[[datetime], Awaitable[None]],
    resumed: bool = False,
    sent_to: datetime | None = None,
) -> None:
    """Do what is due, when it is due, until the plan's end.

    `resumed`: it has begun before a restart, with what was due until now; `sent_to` is when it was sent last then.

    A sample that is missed, because the program or the machine did not run or the one before took too long, is left
    out.
    """
    step = plan.step.total_seconds()
    sent = max(0, (sent_to - plan.start) // plan.back) if sent_to is not None else 0
    index = max(0, math.ceil((clock.now() - plan.start).total_seconds() / step)) if resumed else 0
    while True:
        instant = plan.start + index * plan.step
        over = plan.end is not None and instant >= plan.end
        if plan.end is not None:
            instant = min(instant, plan.end)
        await sleep_until(clock, instant)
        missed = clock.now() - instant >= plan.step
        if index > 0 and not missed:
            await sample_period(max(plan.start, _before(plan, instant)), instant)
        if over:
            if not plan.at_once:
                await send(instant)
            return
        if plan.at_once:
            if not missed:
                await sample_instant(instant)
            await send(instant)
        else:
            if (due := (instant - plan.start) // plan.back) > sent:
                sent = due
                await send(instant)
            if not missed:
                await sample_instant(instant)
        index = max(index + 1, math.ceil((clock.now() - plan.start).total_seconds() / step))


def _before(plan: Plan, instant: datetime) -> datetime:
    """The beginning of the sampling period that ends at `instant`, which at the very end may be a short one."""
    into = (instant - plan.start) % plan.step
    return instant - (into or plan.step)


async def sleep_until(clock: Clock, instant: datetime) -> None:
    """Wait until the clock shows `instant`; it may be set in the meantime."""
    while (left := (instant - clock.now()).total_seconds()) > 0:
        await clock.sleep(left)
