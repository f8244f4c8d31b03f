"""Keeps an eye on the VENs while the server runs: notes who is heard, and tells the user who comes and goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from pyopenadr.clock import Clock
from pyopenadr.errors import OpenADRError
from pyopenadr.model import Registration
from pyopenadr.model.time import total_seconds
from pyopenadr.vtn.handler import Caller
from pyopenadr.vtn.presence import Change, Presence
from pyopenadr.vtn.question import Backend
from pyopenadr.vtn.service import Service

__all__ = ["Watch", "keep_on"]

log = logging.getLogger("pyopenadr.vtn")


class Watch:
    """Presence at work: from messages and the clock to the store and the user's callbacks.

    Each change is saved and then told, once; the changes of one VEN are told in order, those of different VENs do
    not wait for each other.
    """

    def __init__(self, service: Service, backend: Backend, caller: Caller, clock: Clock, misses: int) -> None:
        self._service = service
        self._backend = backend
        self._caller = caller
        self._clock = clock
        self._misses = misses
        self._presence = Presence(clock.now(), misses)
        self._telling: dict[str, asyncio.Task[None]] = {}
        service.on_ven = self._changed

    def _changed(self, registration: Registration) -> None:
        """Another worker has changed the VEN."""
        if registration.registration_id is not None:
            self._presence.note(registration)

    def start(self) -> None:
        """Begin anew with what the service knows."""
        self._presence = Presence(self._clock.now(), self._misses)
        for registration in self._service.registrations:
            if registration.registration_id is not None:
                self._presence.watch(registration)

    async def stop(self) -> None:
        """Save what is left; callbacks under way are not waited for."""
        tasks = list(self._telling.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        try:
            await self._save({})
        except OpenADRError:
            log.exception("the times when VENs were last heard of could not be saved")

    def is_online(self, ven_id: str) -> bool:
        """Whether the VEN counts as online."""
        return self._presence.is_online(ven_id)

    def last_seen(self, registration: Registration) -> datetime | None:
        """When the VEN was last heard of."""
        return self._presence.last_seen(registration.ven_id) or registration.last_seen

    def heard(self, ven_id: str) -> None:
        """A registered VEN has sent something."""
        if not self._presence.is_watched(ven_id):
            registration = self._service.registration(ven_id)
            if registration is None:
                return
            self._presence.watch(registration)
        change = self._presence.seen(ven_id, self._clock.now())
        if change is not None:
            self._tell(change)

    def unreachable(self, ven_id: str, since: datetime) -> None:
        """No push has reached the VEN since then; after as long as a pull VEN may be silent it counts as offline."""
        frequency = total_seconds(self._service.poll_frequency, since)
        if (self._clock.now() - since).total_seconds() >= frequency * self._misses:
            change = self._presence.lost(ven_id)
            if change is not None:
                self._tell(change)

    def _may_be_silent(self, ven_id: str) -> bool:
        registration = self._service.registration(ven_id)
        return registration is not None and registration.push_address is not None

    async def look(self) -> None:
        """See who has been silent for too long, or has left, and save when the others were last heard of."""
        for ven_id in self._presence.watched:
            if not self._service.is_registered(ven_id) and self._presence.forget(ven_id):
                self._tell(Change(ven_id, False))
        if not self._service.store.is_shared:
            for change in self._presence.gone(self._clock.now(), self._may_be_silent):
                self._tell(change)
        try:
            await self._save({})
            if self._service.store.is_shared and await self._service.store.leads():
                await self._look_for_all()
        except OpenADRError:
            log.exception("the times when VENs were last heard of could not be saved; trying again later")

    async def _look_for_all(self) -> None:
        """See whom no worker has heard for too long. They all write down what they hear once in a while."""
        if not self._presence.watched:
            return
        now, slack = self._clock.now(), timedelta(seconds=self.step_s)
        for registration in await self._service.store.list_silent(now - self._presence.shortest - slack):
            if self._presence.is_too_long(registration, now, slack) and not self._may_be_silent(registration.ven_id):
                self._tell(Change(registration.ven_id, False))

    @property
    def step_s(self) -> float:
        """How often to look, in seconds."""
        return max(1.0, total_seconds(self._service.poll_frequency, self._clock.now()) / 2)

    def _tell(self, change: Change) -> None:
        before = self._telling.get(change.ven_id)
        task = asyncio.create_task(self._announce(change, before))
        self._telling[change.ven_id] = task

        def forget(done: asyncio.Task[None]) -> None:
            if self._telling.get(change.ven_id) is done:
                del self._telling[change.ven_id]

        task.add_done_callback(forget)

    async def _announce(self, change: Change, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        try:
            if self._service.store.is_shared:
                if not await self._service.store.turn(change.ven_id, online=change.online):
                    return  # another worker has seen it first
            else:
                await self._save({change.ven_id: change.online})
        except OpenADRError:
            log.exception("presence of VEN %s could not be saved", change.ven_id)
            if self._service.store.is_shared:
                self._presence.undo(change)
                return
        name = "on_ven_online" if change.online else "on_ven_offline"
        log.info("VEN %s is %s", change.ven_id, "online" if change.online else "offline")
        self._service.notices.publish("ven-online" if change.online else "ven-offline", ven_id=change.ven_id)
        handler = self._backend.get(name)
        if handler is not None:
            try:
                await self._caller.call(handler, change.ven_id, peer=change.ven_id)
            except Exception:  # the user's code may raise anything; presence goes on
                log.exception("%s(%r) failed", name, change.ven_id)

    async def _save(self, online: dict[str, bool]) -> None:
        last_seen = self._presence.take_unsaved()
        if not last_seen and not online:
            return
        try:
            await self._service.note_presence(last_seen, online)
        except OpenADRError:
            self._presence.unsaved_again(last_seen)
            raise


async def keep_on(work: Callable[[], Coroutine[Any, Any, Any]], clock: Clock, pause_s: float, what: str) -> None:
    """Do some work over and over, whatever goes wrong with it, with `pause_s` seconds in between."""
    while True:
        try:
            await work()
        except Exception:  # one failure, of the store for example, must not end the work for good
            log.exception("%s failed; trying again later", what)
        await clock.sleep(pause_s)
