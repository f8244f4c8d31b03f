"""What the VEN does while it hears nothing of its VTN: hold what runs, release everything, or go to a given level."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import ConfigError
from pyopenadr.ven.handler import Caller, Handler, HandlerFailed
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.scheduler import Scheduler
from pyopenadr.ven.state import Ledger

__all__ = ["FailSafe", "Guard", "action_of"]

Action = Literal["hold", "release", "level"]


class FailSafe(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the VEN is on its own (`active`), and what it does then.

    `since` is when the VTN was heard of last. With `action` "hold" the events that are known are executed as ever;
    with "release" and "level" they are suspended, and with "level" the devices are to go to `level`.
    """

    active: bool
    since: datetime
    action: Action
    level: float | None = None


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept from the first silence until the user knows that all is well. `told`: he knows of `active`."""

    since: datetime
    active: bool = False
    told: bool = True


def action_of(failsafe: str | float) -> tuple[Action, float | None]:
    """What the setting means.

    Raises:
        ConfigError: nothing.
    """
    match failsafe:
        case "hold" | "release":
            return failsafe, None
        case bool() | str():
            raise ConfigError(f'failsafe must be "hold", "release" or a level, not {failsafe!r}')
    return "level", float(failsafe)


class Guard:
    """Watches how long the VTN has been silent; with `after` of None that never matters.

    Silent is a VTN that has been asked since and has not given the answer that it should: the passing of time alone
    says nothing, because the machine may have slept, or its clock may have been set. The user is told once that `after`
    has passed, and once that the VTN is back, also over restarts. `is_meant` says whether the VEN wants to be in touch
    with its VTN at all.
    """

    def __init__(
        self,
        *,
        after: timedelta | None,
        failsafe: str | float,
        scheduler: Scheduler,
        caller: Caller,
        clock: Clock,
        journal: Journal,
        ledger: Ledger,
        handler: Callable[[], Handler | None],
        is_meant: Callable[[], bool],
    ) -> None:
        self._after = after
        self._action, self._level = action_of(failsafe)
        self._scheduler = scheduler
        self._caller = caller
        self._clock = clock
        self._journal = journal
        self._ledger = ledger
        self._handler = handler
        self._is_meant = is_meant
        self._heard = clock.now()
        self._row = ledger.load("failsafe", _Row).get("") if after is not None else None
        self._woken: asyncio.Event | None = None
        scheduler.suspended = self._suspends and self._row is not None and (self._row.active or not self._row.told)

    @property
    def state(self) -> FailSafe | None:
        """The state while the VEN is on its own; None while it is not."""
        return self._state_of(self._row) if self._row is not None and self._row.active else None

    def heard(self) -> None:
        """The VTN has given the answer that it should."""
        self._heard = self._clock.now()
        if self._row is None:
            return
        if self._row.active:
            self._note(_Row(since=self._row.since, active=False, told=False))
        elif self._row.told:
            self._note(None)

    def missed(self) -> None:
        """The VTN has been asked, and has not given the answer that it should."""
        if self._after is not None and self._row is None:
            self._note(_Row(since=self._heard))

    async def run(self) -> None:
        """Watch for ever."""
        if self._after is None:
            return
        self._woken = asyncio.Event()
        while True:
            self._woken.clear()
            row = self._row
            rest: float | None = None
            if row is not None and not row.told:
                await self._tell(row)
                continue
            if row is not None and not row.active:
                rest = (row.since + self._after - self._clock.now()).total_seconds()
                if rest <= 0.0 and self._is_meant():
                    self._note(_Row(since=row.since, active=True, told=False))
                    continue
            await self._rest(self._woken, rest)

    async def _tell(self, row: _Row) -> None:
        """Have what runs ended, then tell; on the way back tell, then have it begun again."""
        if row.active:
            text = f"nothing was heard of the VTN since {row.since:%Y-%m-%d %H:%M:%S} UTC: fail-safe, {self._shown}"
            self._journal.warning(text)
            if self._suspends:
                self._scheduler.suspended = True
                self._scheduler.wake()
                await self._scheduler.quiet()
        else:
            self._journal.warning("the VTN is back: the fail-safe is over")
        await self._ledger.kept()
        if (handler := self._handler()) is not None:
            try:
                await self._caller.ask(handler, self._state_of(row))
            except HandlerFailed as error:
                self._journal.error(f"fail-safe: {error}")
        if self._row is not row:
            return  # it has changed meanwhile, and that is told next
        self._note(_Row(since=row.since, active=True) if row.active else None)
        if not row.active:
            self._scheduler.suspended = False
            self._scheduler.wake()

    async def _rest(self, woken: asyncio.Event, seconds: float | None) -> None:
        if seconds is None:
            await woken.wait()
            return
        alarm = asyncio.ensure_future(self._clock.sleep(max(seconds, 1.0)))
        wait = asyncio.ensure_future(woken.wait())
        try:
            await asyncio.wait({alarm, wait}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
            wait.cancel()

    def _note(self, row: _Row | None) -> None:
        self._row = row
        if row is None:
            self._ledger.drop("failsafe", "")
        else:
            self._ledger.put("failsafe", "", row)
        if self._woken is not None:
            self._woken.set()

    def _state_of(self, row: _Row) -> FailSafe:
        return FailSafe(active=row.active, since=row.since, action=self._action, level=self._level)

    @property
    def _suspends(self) -> bool:
        return self._action != "hold"

    @property
    def _shown(self) -> str:
        return self._action if self._level is None else f"level {self._level:g}"
