"""Carries a plan out: follows the signals, answers events, feeds the reports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from pyopenadr.agent.plan import Action, OptRule, Plan, PointPlan, SignalPlan, Source
from pyopenadr.agent.reading import AgentError, Change
from pyopenadr.clock import Clock
from pyopenadr.model import Event, OptType
from pyopenadr.model.timeline import Step
from pyopenadr.transport.port import Transport
from pyopenadr.ven.client import OpenADRClient
from pyopenadr.ven.declaration import data_point
from pyopenadr.ven.failsafe import FailSafe
from pyopenadr.ven.reply import DEFER, Defer

__all__ = ["Agent"]

log = logging.getLogger("pyopenadr.agent")

LOOK_S = 1.0
"""How often is looked for a new value, in seconds; device calls bring one at once."""
RETRY_S = 10.0
"""After what time an action that failed is tried again."""


class _Line:
    """One entry of `signals`, with what its actions were last told."""

    def __init__(self, plan: SignalPlan) -> None:
        self.plan = plan
        self.change: Change | None = None
        self.done: list[Change | None] = [None] * len(plan.actions)
        self.failed: dict[int, str] = {}
        self.again: datetime | None = None


class Agent:
    """A VEN by plan. `await run()` until `stop()`.

    Signals are followed by level: whenever the value that applies is another than the one that an action was last told,
    it is performed, and if it fails, again after ten seconds, with the value that applies then. So overlaps, changes,
    cancellations and restarts need no rules of their own, and what the device was told last is always what applies.
    """

    def __init__(
        self, plan: Plan, transport: Transport, *, state: str | None, clock: Clock, signing_key: Any = None
    ) -> None:
        self.plan = plan
        self._clock = clock
        self._lines = [_Line(signal) for signal in plan.signals]
        self._news = asyncio.Event()
        safe = plan.failsafe
        self.client = OpenADRClient(
            plan.ven.name,
            plan.vtn.url,
            ven_id=plan.ven.ven_id,
            vtn_id=plan.vtn.vtn_id,
            profile=plan.vtn.profile,
            state=state,
            poll_interval=plan.ven.poll_seconds,
            resource_ids=plan.ven.resources,
            group_ids=plan.ven.groups,
            market_contexts=plan.ven.market_contexts,
            run_test_events=plan.ven.run_test_events,
            failsafe=safe.then if safe is not None else "hold",
            failsafe_after=timedelta(minutes=safe.after_minutes) if safe is not None else None,
            transport=transport,
            clock=clock,
            signing_key=signing_key,
            on_event=self._answer,
        )
        for name in ("on_interval_start", "on_interval_end", "on_event_start", "on_event_end", "on_failsafe"):
            setattr(self.client, name, self._wake)
        for report in plan.reports:
            pairs = [(_point_of(point), point.source) for point in report.points]
            sources: Mapping[str, Any] = {made.r_id: _reader(made.r_id, source) for made, source in pairs}
            self.client.add_report(
                report.name, points=[made for made, _ in pairs], report_specifier_id=report.id, source=sources
            )

    async def run(self) -> None:
        """Follow the plan until `stop`."""
        follower = asyncio.create_task(self._follow(), name="pyopenadr signals")
        try:
            await self.client.run()
        finally:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)
            await self._let_go()
            await self.client.close()

    def stop(self) -> None:
        """End it; may be called from a signal handler."""
        self.client.stop()

    @property
    def values(self) -> list[dict[str, Any]]:
        """What applies, for each entry of `signals`, and what has failed."""
        return [
            {
                "signal": line.plan.signal,
                "resource": line.plan.resource or "",
                "value": line.change.value if line.change is not None else None,
                "event_id": line.change.event_id if line.change is not None else "",
                "failed": list(line.failed.values()),
            }
            for line in self._lines
        ]

    # -- signals -------------------------------------------------------------------------------------------------

    async def _wake(self, *_: object) -> None:
        self._news.set()

    async def _follow(self) -> None:
        """Look whether something has changed, for ever."""
        while True:
            self._news.clear()
            await self.refresh()
            pause = asyncio.ensure_future(self._clock.sleep(LOOK_S))
            news = asyncio.ensure_future(self._news.wait())
            try:
                await asyncio.wait({pause, news}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                pause.cancel()
                news.cancel()

    async def refresh(self) -> None:
        """Have every action told what applies now, those of different entries side by side."""
        steps = self.client.now()
        safe = self.client.failsafe
        await asyncio.gather(*(self._bring(line, self._wanted(line.plan, steps, safe)) for line in self._lines))

    def _wanted(self, plan: SignalPlan, steps: tuple[Step, ...], safe: FailSafe | None) -> Change:
        resource = plan.resource or ""
        idle = Change(value=plan.idle, signal=plan.signal, ven=self.plan.ven.name, resource=resource)
        if safe is not None and safe.active and safe.level is not None:
            return msgspec.structs.replace(idle, value=_within(plan, safe.level))
        fitting = [
            step
            for step in steps
            if step.signal.signal_name == plan.signal
            and plan.type in (None, step.signal.signal_type)
            and (plan.resource is None or step.resource in (plan.resource, ""))
        ]
        if not fitting:
            return idle
        # A step for our resource goes before one for whatever is not named.
        step = next((step for step in fitting if step.resource == resource), fitting[0])
        return Change(
            value=_within(plan, step.value),
            signal=plan.signal,
            ven=self.plan.ven.name,
            type=step.signal.signal_type,
            resource=resource or step.resource,
            event_id=step.event.event_id,
            start=step.span.start,
            end=step.span.end,
        )

    async def _bring(self, line: _Line, wanted: Change) -> None:
        now = self._clock.now()
        if wanted != line.change:
            log.info(
                "%s is %g%s", wanted.signal, wanted.value, f" by event {wanted.event_id}" if wanted.event_id else ""
            )
            line.change, line.again = wanted, None
        due = [number for number, done in enumerate(line.done) if done != wanted]
        if not due or (line.again is not None and now < line.again):
            return
        await asyncio.gather(*(self._perform(line, number, line.plan.actions[number], wanted) for number in due))
        line.again = now + timedelta(seconds=RETRY_S) if line.failed else None

    async def _perform(self, line: _Line, number: int, action: Action, wanted: Change) -> None:
        where = f"signals.{line.plan.signal}, action {number + 1}"
        try:
            await action.perform(wanted)
        except AgentError as error:
            text = f"{where}: {error}"
        except Exception as error:  # noqa: BLE001 - one action's bug must not keep the others from working
            text = f"{where}: {type(error).__name__}: {error}"
        else:
            if line.failed.pop(number, None) is not None:
                log.info("%s works again", where)
            line.done[number] = wanted
            return
        if line.failed.get(number) != text:
            log.error("%s; tried again every %g seconds", text, RETRY_S)
        line.failed[number] = text

    async def _let_go(self) -> None:
        """At the end, set the idle value where the plan says so."""
        for line in self._lines:
            if line.plan.at_stop == "idle" and line.change is not None:
                idle = self._wanted(line.plan, (), None)
                await asyncio.gather(
                    *(self._perform(line, number, action, idle) for number, action in enumerate(line.plan.actions))
                )

    # -- answers -------------------------------------------------------------------------------------------------

    async def _answer(self, event: Event) -> OptType | Defer:
        answer = self.plan.opt.default
        for number, rule in enumerate(self.plan.opt.rules, 1):
            if await self._fits(rule, event):
                answer = rule.answer
                log.info("event %s: opt rule %d says %s", event.event_id, number, answer)
                break
        return {"in": OptType.IN, "out": OptType.OUT}.get(answer, DEFER)

    async def _fits(self, rule: OptRule, event: Event) -> bool:
        if rule.market_context is not None and rule.market_context != event.market_context:
            return False
        if rule.signal is not None:
            values = [
                i.value for signal in event.signals if signal.signal_name == rule.signal for i in signal.intervals
            ]
            if not any(_beyond(value, rule.above, rule.below) for value in values):
                return False
        if rule.measured is None:
            return True
        try:
            return _beyond(await rule.measured.source.read(), rule.measured.above, rule.measured.below)
        except AgentError as error:
            log.warning("event %s: an opt rule is passed over, its source gives nothing: %s", event.event_id, error)
            return False


def _beyond(value: float, above: float | None, below: float | None) -> bool:
    """Whether a value is above the one and below the other, as far as they are given."""
    return (above is None or value > above) and (below is None or value < below)


def _within(plan: SignalPlan, value: float) -> float:
    low = plan.minimum if plan.minimum is not None else value
    return min(max(value, low), plan.maximum if plan.maximum is not None else max(value, low))


def _point_of(point: PointPlan) -> Any:
    return data_point(point.reading, r_id=point.id, resource_id=point.resource, unit=point.unit)


def _reader(r_id: str, source: Source) -> Any:
    """A function for one data point; what goes wrong is told by whoever calls it."""

    async def read() -> float:
        return await source.read()

    read.__qualname__ = f"the source of {r_id}"
    return read
