"""What the user's `on_event` may say: yes, no, the whole answer, or that somebody decides later."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from pyopenadr.errors import ConfigError
from pyopenadr.model import Event, OptType
from pyopenadr.model.time import ZERO
from pyopenadr.ven.handler import HandlerFailed

__all__ = ["DEFER", "Defer", "EventReply", "reply_of"]


class EventReply(msgspec.Struct, frozen=True, kw_only=True):
    """What `on_event` may return in place of "optIn" or "optOut": the contents of the event's oadrCreatedEvent.

    `opt_type` is one of these two, `response_code` has three digits, and `response_description` is free text, None for
    the standard's word on the code.
    """

    opt_type: OptType | str
    response_code: str = "200"
    response_description: str | None = None


class Defer(msgspec.Struct, frozen=True, kw_only=True):
    """What `on_event` may return if somebody decides later, by `client.opt_in` or `opt_out`.

    He has the time `within` (seconds, if a number); None: until the event begins, its ramp-up included. Then `default`
    is the answer, None being the client's `default_opt`. Until then the VTN gets none.

    Raises:
        ConfigError: a value is wrong.
    """

    within: timedelta | float | None = None
    default: OptType | str | None = None

    def __post_init__(self) -> None:
        if self.default is not None and self.default not in ("optIn", "optOut"):
            raise ConfigError(f'default must be "optIn" or "optOut", not {self.default!r}')
        if self._length is not None and self._length <= ZERO:
            raise ConfigError(f"within must be positive, not {self.within}")

    @property
    def _length(self) -> timedelta | None:
        if self.within is None or isinstance(self.within, timedelta):
            return self.within
        return timedelta(seconds=self.within)

    def deadline(self, event: Event, offset: timedelta, now: datetime) -> datetime:
        """Until when there is time. `offset` is that of the event's random start."""
        return event.near_from + offset if self._length is None else now + self._length


DEFER = Defer()
"""Somebody decides before the event begins; if nobody does, the answer is the client's `default_opt`."""


def reply_of(answer: object) -> EventReply | Defer:
    """What a handler's return value means.

    Raises:
        HandlerFailed: it means nothing.
    """
    if isinstance(answer, Defer):
        return answer
    if isinstance(answer, str) and answer in ("optIn", "optOut"):
        return EventReply(opt_type=OptType(answer))
    opt_type = getattr(answer, "opt_type", None)
    code = getattr(answer, "response_code", "200")
    description = getattr(answer, "response_description", None)
    if (
        opt_type in ("optIn", "optOut")
        and isinstance(code, str)
        and len(code) == 3
        and code.isascii()
        and code.isdigit()
        and isinstance(description, str | None)
    ):
        return EventReply(opt_type=OptType(opt_type), response_code=code, response_description=description)
    raise HandlerFailed(f'on_event returned {answer!r}: return "optIn", "optOut", an EventReply or DEFER')
