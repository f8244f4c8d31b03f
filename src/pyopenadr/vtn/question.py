"""The questions that a VTN asks the code of its user, and the answers it takes.

A backend is anything with methods of these names: an object of the user's own class, the server itself with handlers
set on it, or a mix. Every one may be a plain function or a coroutine function. The server has a default for each
question; a handler replaces the default of just that question.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from pyopenadr.errors import ConfigError

__all__ = ["QUESTIONS", "Backend", "Question"]

log = logging.getLogger("pyopenadr.vtn")

_F = TypeVar("_F", bound=Callable[..., Any])

QUESTIONS: Mapping[str, str] = MappingProxyType(
    {
        "on_query_registration": "(payload) A VEN asks what the VTN supports. Return an OadrCreatedPartyRegistration, "
        "or None for the standard answer.",
        "on_create_party_registration": "(payload) A VEN wants to register. Return None to accept it, "
        "(ven_id, registration_id) to choose its IDs, or False to refuse it (463).",
        "on_cancel_party_registration": "(payload) A VEN ends its registration. The server has to forget it; this is "
        "for your own records.",
        "on_created_event": "(payload) A VEN has answered events. The server keeps the answers; this is for your own "
        "records.",
        "on_request_event": "(ven_id) Which events are there for this VEN? Return an Event, a list of them, an "
        "OadrDistributeEvent, or None. Default: those of add_event.",
        "on_request_report": "(ven_id) Is there a report of the VTN for this VEN? Return a Report, an "
        "OadrUpdateReport, or None. Asked at a poll when nothing else waits.",
        "on_poll": "(ven_id) What comes next for this VEN? Return a message, an Event, a Report, or None for the blank "
        "oadrResponse. Replaces the server's own queue.",
        "on_create_report": "(payload) A VEN asks for reports of the VTN. Return None to accept, False to refuse "
        "(461). Default: what add_report declares is accepted.",
        "on_register_report": "(payload) A VEN says what it can report. Return the ReportRequests for it, or None. "
        "Default: earlier requests are made again.",
        "on_registered_report": "(payload) A VEN has taken note of the VTN's reports. For your own records.",
        "on_created_report": "(payload) A VEN has accepted or refused report requests. For your own records.",
        "on_update_report": "(payload) A VEN delivers readings. The VEN gets its acknowledgement when this returns. "
        "Default: they are kept in the store.",
        "on_create_opt": "(payload) A VEN states its availability, or opts in or out of an event. Return False to "
        "refuse (459). The server keeps it.",
        "on_cancel_opt": "(payload) A VEN takes a schedule back. For your own records.",
        "on_event_unanswered": "(event_id, ven_ids) The time to answer an event is over (`answer_within`), and "
        "these VENs have not. They are sent it again all the same. Called once for each version of an event.",
        "on_ven_online": "(ven_id) A VEN is heard of for the first time, or again.",
        "on_ven_offline": "(ven_id) A VEN has missed too many polls.",
        "on_certificate_expiring": "(ven_id, not_after) The certificate that a VEN connects with expires in less than "
        "30 days, at the time `not_after`. Said once per certificate and day.",
    }
)
"""Every question with its argument, what it means, and what may be returned."""


_AT_POLLS = ("on_poll", "on_request_event", "on_request_report")


class Backend:
    """The handlers that somebody has set, by question."""

    answers_polls = False
    """Whether a handler has to be asked at each poll."""

    def __init__(self) -> None:
        self._handlers: dict[str, Callable[..., Any]] = {}

    def set(self, name: str, handler: Callable[..., Any] | None) -> None:
        """Answer a question by `handler`; None brings the default back.

        Raises:
            ConfigError: there is no such question, or the handler can't be called.
        """
        if name not in QUESTIONS:
            raise ConfigError(f"there is no handler {name!r}: use one of {', '.join(QUESTIONS)}")
        if handler is None:
            self._handlers.pop(name, None)
        elif not callable(handler):
            raise ConfigError(f"{name} must be a function or a coroutine function, not {type(handler).__name__}")
        else:
            self._handlers[name] = handler
        self.answers_polls = not self._handlers.keys().isdisjoint(_AT_POLLS)

    def get(self, name: str) -> Callable[..., Any] | None:
        """The handler for a question, if somebody has set one."""
        return self._handlers.get(name)

    def adopt(self, backend: object) -> None:
        """Take every method of an object that is named like a question.

        Raises:
            ConfigError: the object has none, which is most likely a mistake in a name.
        """
        found = [name for name in QUESTIONS if callable(getattr(backend, name, None))]
        if not found:
            raise ConfigError(
                f"{type(backend).__name__} answers no question: give it methods such as on_update_report(payload)"
            )
        for name in dir(backend):
            if name.startswith("on_") and name not in QUESTIONS:
                log.warning("%s.%s answers no question that a VTN asks: is it misspelt?", type(backend).__name__, name)
        for name in found:
            self.set(name, getattr(backend, name))


class _Asking(Protocol):
    backend: Backend


class Question:
    """A handler's place on the server: assign a function to it, or use it as a decorator."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, server: _Asking | None, owner: type) -> Callable[..., Any]:
        # Typing knows only the use on a server, and a method of that name in a subclass has to fit.
        if server is None:
            return self  # type: ignore[return-value]

        def register(handler: _F) -> _F:
            server.backend.set(self._name, handler)
            return handler

        return register

    def __set__(self, server: _Asking, handler: Callable[..., Any] | None) -> None:
        server.backend.set(self._name, handler)
