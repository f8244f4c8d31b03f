"""When this VEN has said that it takes part and when not (EiOpt), and what follows for an event."""

from __future__ import annotations

from collections.abc import Container, Mapping
from datetime import datetime
from types import MappingProxyType

from pyopenadr.clock import Clock
from pyopenadr.model import Event, Opt, OptType, Span, Target
from pyopenadr.model.uri import normalised
from pyopenadr.ven.state import Ledger

__all__ = ["OptBook", "word_on"]


class OptBook:
    """The availabilities that the VTN has been told and that were not taken back, also over a restart.

    `decides`: they answer the events that they are about, so that `on_event` is not asked.
    """

    def __init__(self, ledger: Ledger, clock: Clock, *, decides: bool) -> None:
        self._ledger = ledger
        self._decides = decides
        self._opts = ledger.load("opt", Opt)
        for opt_id in [opt_id for opt_id, opt in self._opts.items() if _is_over(opt, clock.now())]:
            self.drop(opt_id)
        self._on_events = ledger.load("event opt", Opt)

    @property
    def opts(self) -> Mapping[str, Opt]:
        """The availabilities by their optID."""
        return MappingProxyType(self._opts)

    def put(self, opt: Opt) -> None:
        """Keep what the VTN was told."""
        self._opts[opt.opt_id] = opt
        self._ledger.put("opt", opt.opt_id, opt)

    def drop(self, opt_id: str) -> None:
        """Forget what was taken back."""
        self._opts.pop(opt_id, None)
        self._ledger.drop("opt", opt_id)

    def note_on_event(self, opt: Opt, listed: Container[str | None]) -> None:
        """Remember an opt on an event, and forget those on events that are not listed any more."""
        for opt_id in [opt_id for opt_id, known in self._on_events.items() if known.event_id not in listed]:
            del self._on_events[opt_id]
            self._ledger.drop("event opt", opt_id)
        self._on_events[opt.opt_id] = opt
        self._ledger.put("event opt", opt.opt_id, opt)

    def event_of(self, opt_id: str) -> str | None:
        """The event that an opt is on; None if it is on times, or unknown."""
        opt = self._on_events.get(opt_id)
        return opt.event_id if opt is not None and opt_id not in self._opts else None

    def word_on(self, event: Event, span: Span) -> OptType | None:
        """What they say to an event that is executed in `span`, if they are to decide; None: nothing."""
        if not self._decides:
            return None
        words = {word for opt in self._opts.values() if (word := word_on(opt, event, span)) is not None}
        return OptType.OUT if OptType.OUT in words else next(iter(words), None)


def word_on(opt: Opt, event: Event, span: Span) -> OptType | None:
    """What one availability says to an event that is executed in `span`.

    It must be about everything that the event is for: about its market context, its targets and the device classes of
    all its signals. Then an optOut counts if it overlaps the event at all, and an optIn if it covers all of it.
    """
    if opt.market_context is not None and normalised(opt.market_context) != normalised(event.market_context):
        return None
    if not _is_about(opt.target, event.target) or not _is_about_devices(opt, event):
        return None
    if opt.opt_type is OptType.OUT:
        return OptType.OUT if any(each.overlaps(span) for each in opt.availability) else None
    return OptType.IN if any(_covers(each, span) for each in opt.availability) else None


def _is_about(target: Target, wanted: Target) -> bool:
    """Whether `target` holds everything that `wanted` names; the venID alone stands for all that is behind the VEN."""
    kinds = [kind for kind in Target.__struct_fields__ if kind != "ven_ids"]
    if not any(getattr(target, kind) for kind in kinds):
        return True
    named = [kind for kind in kinds if getattr(wanted, kind)]
    return bool(named) and all(set(getattr(wanted, kind)) <= set(getattr(target, kind)) for kind in named)


def _is_about_devices(opt: Opt, event: Event) -> bool:
    own = set(opt.device_classes)
    return not own or all(signal.device_classes and own.issuperset(signal.device_classes) for signal in event.signals)


def _covers(outer: Span, inner: Span) -> bool:
    ends_in_time = outer.end is None or (inner.end is not None and inner.end <= outer.end)
    return outer.start <= inner.start and ends_in_time


def _is_over(opt: Opt, now: datetime) -> bool:
    return all(span.end is not None and span.end <= now for span in opt.availability)
