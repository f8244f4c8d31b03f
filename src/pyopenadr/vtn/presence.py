"""Who is online: a VEN that has missed a number of its polls in a row is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import msgspec

from pyopenadr.model import Registration
from pyopenadr.model.time import total_seconds

__all__ = ["Change", "Presence"]


class Change(msgspec.Struct, frozen=True):
    """A VEN has come or gone."""

    ven_id: str
    online: bool


class Presence:
    """Keeps when each VEN was last heard of, and says whose state has changed.

    `misses` is how many poll intervals may pass without a sign of life. After a restart, VENs that were online get
    that long from `started` on before they count as offline, because nobody could hear them in between.
    """

    def __init__(self, started: datetime, misses: int = 3) -> None:
        self._started = started
        self._misses = misses
        self._last_seen: dict[str, datetime] = {}
        self._online: set[str] = set()
        self._deadline: dict[str, timedelta] = {}
        self._dirty: set[str] = set()

    def watch(self, registration: Registration) -> None:
        """Follow a VEN, from its registration or from the store."""
        ven_id = registration.ven_id
        allowed = total_seconds(registration.poll_frequency, self._started) * self._misses
        self._deadline[ven_id] = timedelta(seconds=max(allowed, 1.0))
        if registration.online:
            self._online.add(ven_id)

    def note(self, registration: Registration) -> None:
        """Another worker has seen the VEN come or go."""
        self.watch(registration)
        if not registration.online:
            self._online.discard(registration.ven_id)

    def undo(self, change: Change) -> None:
        """The change could not be saved: it is as if it had not been seen."""
        (self._online.discard if change.online else self._online.add)(change.ven_id)

    @property
    def shortest(self) -> timedelta:
        """The time after which the first of the VENs could count as offline."""
        return min(self._deadline.values(), default=timedelta.max)

    def is_too_long(self, registration: Registration, now: datetime, slack: timedelta) -> bool:
        """Whether a VEN that was last seen as its registration says has been silent for too long."""
        last = max(self._started, registration.last_seen or self._started)
        return now - last > self._deadline.get(registration.ven_id, timedelta.max - slack) + slack

    def forget(self, ven_id: str) -> bool:
        """Follow the VEN no longer. Returns whether it was online."""
        self._last_seen.pop(ven_id, None)
        self._deadline.pop(ven_id, None)
        self._dirty.discard(ven_id)
        was_online = ven_id in self._online
        self._online.discard(ven_id)
        return was_online

    def is_watched(self, ven_id: str) -> bool:
        """Whether the VEN is followed."""
        return ven_id in self._deadline

    @property
    def watched(self) -> list[str]:
        """The VENs that are followed."""
        return list(self._deadline)

    def is_online(self, ven_id: str) -> bool:
        """Whether the VEN counts as online."""
        return ven_id in self._online

    def last_seen(self, ven_id: str) -> datetime | None:
        """When the VEN was last heard of since the start."""
        return self._last_seen.get(ven_id)

    def seen(self, ven_id: str, now: datetime) -> Change | None:
        """The VEN has sent something; a Change if it was offline before."""
        self._last_seen[ven_id] = now
        self._dirty.add(ven_id)
        if ven_id in self._online:
            return None
        self._online.add(ven_id)
        return Change(ven_id, True)

    def lost(self, ven_id: str) -> Change | None:
        """The VEN can't be reached any more; a Change if it was online before."""
        if ven_id not in self._online:
            return None
        self._online.discard(ven_id)
        return Change(ven_id, False)

    def gone(self, now: datetime, may_be_silent: Callable[[str], bool] = lambda ven_id: False) -> list[Change]:
        """The VENs that have been silent for too long and were online until now; some may be silent for ever."""
        changes = []
        for ven_id in sorted(self._online):
            silent_since = self._last_seen.get(ven_id, self._started)
            if may_be_silent(ven_id):
                continue
            if now - silent_since > self._deadline.get(ven_id, timedelta.max):
                self._online.discard(ven_id)
                changes.append(Change(ven_id, False))
        return changes

    def take_unsaved(self) -> dict[str, datetime]:
        """When the VENs were last seen whose time has not been taken for saving yet."""
        unsaved = {ven_id: self._last_seen[ven_id] for ven_id in self._dirty}
        self._dirty.clear()
        return unsaved

    def unsaved_again(self, ven_ids: Iterable[str]) -> None:
        """Saving has failed: offer these times once more."""
        self._dirty.update(ven_id for ven_id in ven_ids if ven_id in self._last_seen)
