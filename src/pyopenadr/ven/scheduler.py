"""Executes events: calls the device code when something is to begin or to end, each call once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import ModelError
from pyopenadr.model import Event, OptType, Span
from pyopenadr.v2.ven import KnownEvent, executed_span
from pyopenadr.ven.execution import DeviceCall, EndReason, Run, is_due, made, next_boundary, next_call
from pyopenadr.ven.handler import Caller, Handler, HandlerFailed, given
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.state import Ledger
from pyopenadr.ven.task import Crew

__all__ = ["Scheduler"]

LONGEST_REST_S = 60.0
"""How long it takes at most to notice that the machine's clock was set, or that the machine slept."""
START_PATIENCE = timedelta(seconds=10)
"""How long nothing is started after the client has, unless the VTN has said before what became of the events."""


class Scheduler:
    """Executes the events that this VEN has opted in to.

    While it is `suspended` (then `wake` it) no event is executed, and those that run are ended.
    `known` gives the events there are, `handler` the user's handler of a name. Each call is noted before it is made,
    and when it has been made. One that was under way when the process died is first settled: `on_interrupted` says
    whether it was carried out, and where it does not, the call is repeated.
    """

    def __init__(
        self,
        *,
        caller: Caller,
        crew: Crew,
        clock: Clock,
        journal: Journal,
        ledger: Ledger,
        known: Callable[[], Mapping[str, KnownEvent]],
        handler: Callable[[str], Handler | None],
        takes_tests: bool,
    ) -> None:
        self._caller = caller
        self._crew = crew
        self._clock = clock
        self._journal = journal
        self._ledger = ledger
        self._known = known
        self._handler = handler
        self._takes_tests = takes_tests
        self._runs = ledger.load("run", Run)
        self._drivers: dict[str, asyncio.Task[None]] = {}
        self._turn: list[asyncio.Future[None]] = []
        self._woken: asyncio.Event | None = None
        self._held_until: datetime | None = None
        self.suspended = False

    # -- what others say -----------------------------------------------------------------------------------------

    def wake(self) -> None:
        """The events have changed."""
        if self._woken is not None:
            self._woken.set()

    def release(self) -> None:
        """The VTN has been asked what became of the events: from now on what is due begins."""
        if self._held_until is not None:
            self._held_until = None
            self.wake()

    def finish(self, event_id: str, event: Event, until: datetime, reason: EndReason) -> None:
        """The event is taken back; what runs of it ends at `until`, for `reason`."""
        run = self._runs.get(event_id)
        if run is not None and run.begun:
            end = until if run.end is None else min(run.end, until)
            self._note(event_id, msgspec.structs.replace(run, event=event, end=end, reason=reason))
        else:
            self._forget(event_id)
        self.wake()

    async def quiet(self) -> None:
        """Wait until no event runs."""
        while any(run.begun for run in self._runs.values()):
            turn = asyncio.get_running_loop().create_future()
            self._turn.append(turn)
            await turn

    def executions(self) -> list[tuple[Event, Span]]:
        """The events that are, were or will be executed, with when."""
        found = {
            event_id: (known.event, executed_span(known.event, known.offset))
            for event_id, known in self._known().items()
            if self._is_wanted(known)
        }
        for event_id, run in self._runs.items():
            if run.begun and event_id not in found:
                found[event_id] = (run.event, Span(run.start, run.end))
        return list(found.values())

    # -- running -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Execute events for ever."""
        self._woken = asyncio.Event()
        self._held_until = self._clock.now() + START_PATIENCE
        while True:
            if self._held_until is not None and self._clock.now() >= self._held_until:
                self._held_until = None
            try:
                self._refresh()
                self._advance()
                rest = self._rest_s()
            except Exception:  # noqa: BLE001 - a bug with one event must not keep all others from being executed
                self._journal.exception("the execution of events failed by a bug in pyopenadr; it goes on")
                rest = LONGEST_REST_S
            await self._rest(self._woken, rest)

    def _is_wanted(self, known: KnownEvent) -> bool:
        is_meant = known.opt_type is OptType.IN and (self._takes_tests or not known.event.is_test)
        return is_meant and not self.suspended

    def _refresh(self) -> None:
        """Bring the runs up to date with what is known of the events."""
        events = self._known()
        for event_id, known in events.items():
            if self._is_wanted(known):
                self._want(event_id, known)
            elif (run := self._runs.get(event_id)) is not None and (known.opt_type is not None or self.suspended):
                self._break_off(event_id, run, self._reason(known))
            elif run is not None and not run.begun:
                self._forget(event_id)  # nobody has decided yet about its new version
        now = self._clock.now()
        for event_id in [event_id for event_id in self._runs if event_id not in events]:
            run = self._runs[event_id]
            is_recovering = run.ended and (event_id in self._drivers or next_call(run, now) is not None)
            if not run.begun and not is_recovering and run.pending is None:
                self._forget(event_id)

    def _reason(self, known: KnownEvent) -> EndReason:
        """Why an event is not wanted any more that still is known."""
        if known.opt_type is OptType.OUT:
            return EndReason.OPTED_OUT
        return EndReason.FAILSAFE if self.suspended else EndReason.MODIFIED

    def _want(self, event_id: str, known: KnownEvent) -> None:
        event, span = known.event, executed_span(known.event, known.offset)
        fresh = Run(event=event, start=span.start, end=span.end)
        run = self._runs.get(event_id)
        if run is None:
            if self._is_possible(fresh):
                self._runs[event_id] = fresh
        elif run.ended:
            is_longer = run.end is not None and (span.end is None or span.end > run.end)
            if run.reason is not EndReason.COMPLETED or is_longer:
                self._note(
                    event_id,
                    msgspec.structs.replace(
                        fresh, reached=run.reached, pending=run.pending, turn=run.turn + 1, starts=run.starts
                    ),
                )
        elif (run.event, run.start, run.end, run.reason) != (event, span.start, span.end, EndReason.COMPLETED):
            run = msgspec.structs.replace(run, event=event, start=span.start, end=span.end, reason=EndReason.COMPLETED)
            self._note(event_id, run)

    def _is_possible(self, run: Run) -> bool:
        try:
            next_boundary(run, self._clock.now())
        except ModelError as error:
            event_id = run.event.event_id
            self._journal.error(f"event {event_id} can't be executed: {error}", extra={"event_id": event_id})
            return False
        return True

    def _break_off(self, event_id: str, run: Run, reason: EndReason) -> None:
        if not run.begun:
            if not run.ended:
                self._forget(event_id)
            return
        now = self._clock.now()
        if run.reason is EndReason.COMPLETED and (run.end is None or run.end > now):
            self._note(event_id, msgspec.structs.replace(run, end=now, reason=reason))

    def _advance(self) -> None:
        """Have every event driven on for which something is due."""
        for event_id in list(self._runs):
            if event_id not in self._drivers and (self._interrupted(event_id) or self._next(event_id)) is not None:
                self._drivers[event_id] = self._crew.spawn(self._drive(event_id), f"execution of {event_id}")

    def _interrupted(self, event_id: str) -> DeviceCall | None:
        """The call that was under way when the process died; for one who knows that none is being made now."""
        run = self._runs.get(event_id)
        return run.pending if run is not None else None

    def _next(self, event_id: str) -> DeviceCall | None:
        run = self._runs.get(event_id)
        if run is None or (self._held_until is not None and not run.begun):
            return None
        return next_call(run, self._clock.now())

    def _rest_s(self) -> float | None:
        """How long nothing is due; None: until something changes."""
        now = self._clock.now()
        instants = [next_boundary(run, now) for run in self._runs.values()]
        if self._runs and self._held_until is not None:
            instants.append(self._held_until)
        seconds = [(instant - now).total_seconds() for instant in instants if instant is not None]
        return min([*seconds, LONGEST_REST_S]) if seconds else None

    async def _rest(self, woken: asyncio.Event, seconds: float | None) -> None:
        if seconds is None:  # the rule with idle VENs, of which there may be thousands
            await woken.wait()
            woken.clear()
            return
        waits: set[asyncio.Future[Any]] = {
            asyncio.ensure_future(woken.wait()),
            asyncio.ensure_future(self._clock.sleep(seconds)),
        }
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for it in waits:
                it.cancel()
        woken.clear()

    # -- one event -----------------------------------------------------------------------------------------------

    async def _drive(self, event_id: str) -> None:
        """Make the calls of one event that are due. What begins waits for what ends at the same time elsewhere."""
        try:
            if (interrupted := self._interrupted(event_id)) is not None:
                await self._settle(event_id, interrupted)
            while (call := self._next(event_id)) is not None:
                if not call.is_end and self._others_end(event_id):
                    self.wake()
                    turn = asyncio.get_running_loop().create_future()
                    self._turn.append(turn)
                    await turn
                    continue
                await self._make(event_id, call)
                self._pass_on()
        finally:
            self._drivers.pop(event_id, None)
            self._pass_on()
            self.wake()

    def _others_end(self, event_id: str) -> bool:
        calls = (self._next(other) for other in self._runs if other != event_id)
        return any(call is not None and call.is_end for call in calls)

    def _pass_on(self) -> None:
        turn, self._turn = self._turn, []
        for waiting in turn:
            if not waiting.done():
                waiting.set_result(None)

    async def _make(self, event_id: str, call: DeviceCall) -> None:
        """Make a call, noted before and after."""
        handler = self._handler(call.handler)
        if handler is not None:
            await self._change(event_id, lambda run: msgspec.structs.replace(run, pending=call))
            try:
                await self._caller.ask(given(handler, call.args, call=call), *call.args)
            except HandlerFailed as error:
                self._complain(call, f"{call.handler}: {error}")
        await self._change(event_id, lambda run: made(run, call))

    async def _settle(self, event_id: str, call: DeviceCall) -> None:
        """Deal with a call that was under way when the process died: done, not done, or, if in doubt, repeated."""
        done = await self._was_made(call)
        run = self._runs.get(event_id)
        if done is None and run is not None and is_due(run, call, self._clock.now()):
            await self._make(event_id, msgspec.structs.replace(call, event=run.event, repeated=True))
        elif done is False:
            await self._change(event_id, lambda run: msgspec.structs.replace(run, pending=None))
        else:  # what perhaps was begun counts as begun, so that its end comes
            await self._change(event_id, lambda run: made(run, call))

    async def _change(self, event_id: str, change: Callable[[Run], Run]) -> None:
        """Change what is noted, and wait until it is safe."""
        run = self._runs.get(event_id)
        if run is not None:
            self._note(event_id, change(run))
        await self._ledger.kept()

    async def _was_made(self, call: DeviceCall) -> bool | None:
        """What the user says; None: he does not know."""
        handler = self._handler("on_interrupted")
        if handler is None:
            return None
        try:
            word = await self._caller.ask(handler, msgspec.structs.replace(call, repeated=True))
        except HandlerFailed as error:
            self._complain(call, f"on_interrupted: {error}; what was begun is repeated")
            return None
        if word is None or isinstance(word, bool):
            return word
        self._complain(call, f"on_interrupted returned {word!r}, not True, False or None; what was begun is repeated")
        return None

    def _complain(self, call: DeviceCall, problem: str) -> None:
        event_id = call.event.event_id
        self._journal.error(f"event {event_id}: {problem}", extra={"event_id": event_id})

    def _note(self, event_id: str, run: Run) -> None:
        self._runs[event_id] = run
        self._ledger.put("run", event_id, run)

    def _forget(self, event_id: str) -> None:
        if self._runs.pop(event_id, None) is not None:
            self._ledger.drop("run", event_id)
