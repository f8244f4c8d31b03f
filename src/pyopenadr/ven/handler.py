"""Calling the user's code so that it can't hurt: in a thread if it is a plain function, and not for ever."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from pyopenadr.clock import Clock
from pyopenadr.errors import OpenADRError
from pyopenadr.ven.task import Crew

__all__ = ["Caller", "Handler", "HandlerFailed", "HandlerSlot", "given", "handler_of"]

Handler = Callable[..., Any]
H = TypeVar("H", bound=Handler)

MOST_THREADS = 16
"""How many plain functions of one client may run at the same time. Those that hang count."""


class HandlerFailed(OpenADRError):
    """A handler raised, hung, or returned something that has no meaning. The text says which."""


class _Slot:
    """What reading a handler attribute gives: call it with a function to set the handler (decorator)."""

    def __init__(self, name: str, client: Any) -> None:
        self.name = name
        self.handler: Handler | None = client.__dict__.get(f"_{name}")
        self._client = client

    def __call__(self, handler: H) -> H:
        if not callable(handler):
            raise TypeError(
                f"{self.name} was called with {type(handler).__name__}: it takes your function, "
                f"as in @client.{self.name}, and the client is the one who calls that"
            )
        setattr(self._client, self.name, handler)
        return handler

    def __repr__(self) -> str:
        return f"<{self.name}: {self.handler!r}>"


class HandlerSlot:
    """A handler attribute of the client.

    It can be assigned (`client.on_event = f`), used as a decorator (`@client.on_event`), and replaced by a method
    of a subclass. None takes the handler away.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, client: Any, owner: type) -> Callable[..., Any]:
        # On the class there is nothing to call; typing knows only the use on a client.
        return self if client is None else _Slot(self._name, client)  # type: ignore[return-value]

    def __set__(self, client: Any, handler: Handler | None) -> None:
        if handler is not None and not callable(handler):
            raise TypeError(f"{self._name} must be a function or a coroutine function, not {handler!r}")
        client.__dict__[f"_{self._name}"] = handler


def handler_of(client: object, name: str) -> Handler | None:
    """The handler that is set, whichever way it was."""
    found: Any = getattr(client, name)
    handler: Handler | None = found.handler if isinstance(found, _Slot) else found
    return handler


def is_coroutine_function(handler: Handler) -> bool:
    """Whether calling it gives a coroutine, as far as can be seen without calling it."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(type(handler).__call__)


def given(handler: Handler, args: tuple[Any, ...], **more: Any) -> Handler:
    """The handler with that of `more` which it has a parameter of that name for, beside its arguments."""
    try:
        signature = inspect.signature(handler)
        taken = signature.bind_partial(*args).arguments
    except (TypeError, ValueError):  # a built-in that does not say, or it can't be called so: that is told by the call
        return handler
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    wanted = {name for name, it in signature.parameters.items() if it.kind in named and name not in taken}
    found = {name: value for name, value in more.items() if name in wanted}
    return functools.partial(handler, **found) if found else handler


class Caller:
    """Calls handlers: coroutines as tasks, plain functions in threads of their own.

    The threads are daemons: one that hangs neither blocks the event loop nor the end of the program.
    """

    def __init__(self, clock: Clock, timeout_s: float, crew: Crew) -> None:
        self.timeout_s = timeout_s
        self._clock = clock
        self._crew = crew
        self._threads = 0

    def start(self, handler: Handler, *args: Any) -> asyncio.Task[Any]:
        """Begin a call. Whatever goes wrong in it is raised by the task as `HandlerFailed`."""
        return self._crew.spawn(self._call(handler, args), f"handler {name_of(handler)}", quiet=True)

    async def ask(self, handler: Handler, *args: Any, timeout_s: float | None = None) -> Any:
        """Call and wait for the result.

        Raises:
            HandlerFailed: it raised, or gave no result in time; a coroutine is cancelled then.
        """
        patience = self.timeout_s if timeout_s is None else min(timeout_s, self.timeout_s)
        task = self.start(handler, *args)
        try:
            if not await self.ends_within(task, patience):
                raise HandlerFailed(f"{name_of(handler)} gave no answer within {patience:g} seconds")
            return task.result()
        finally:
            task.cancel()

    async def ends_within(self, task: asyncio.Task[Any], seconds: float) -> bool:
        """Wait for the task, but no longer than `seconds` of the clock."""
        alarm = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
        return task.done()

    async def _call(self, handler: Handler, args: tuple[Any, ...]) -> Any:
        try:
            if is_coroutine_function(handler):
                return await handler(*args)
            result = await self._in_thread(handler, args)
            return await result if inspect.isawaitable(result) else result
        except HandlerFailed:
            raise
        except asyncio.CancelledError:
            own = asyncio.current_task()
            if own is not None and own.cancelling():
                raise
            raise HandlerFailed(f"{name_of(handler)} was cancelled from within") from None
        except Exception as error:  # it is the user's code, which may raise anything
            raise HandlerFailed(f"{name_of(handler)} raised {type(error).__name__}: {error}") from error

    async def _in_thread(self, handler: Handler, args: tuple[Any, ...]) -> Any:
        if self._threads >= MOST_THREADS:
            raise HandlerFailed(
                f"{name_of(handler)} was not called: {MOST_THREADS} handlers are still running or hang; "
                "let them end, or make them coroutines"
            )
        loop = asyncio.get_running_loop()
        # Result and failure travel as a pair, because a future can't carry every exception.
        future: asyncio.Future[tuple[Any, BaseException | None]] = loop.create_future()
        context = contextvars.copy_context()

        def work() -> None:
            result: Any = None
            failure: BaseException | None = None
            try:
                result = context.run(handler, *args)
            except BaseException as error:  # noqa: BLE001 - whatever ends the user's code has to be told
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop has been closed in the meantime
                loop.call_soon_threadsafe(self._report, future, (result, failure))

        self._threads += 1
        threading.Thread(target=work, name="pyopenadr handler", daemon=True).start()
        result, failure = await future
        if failure is not None:
            raise HandlerFailed(f"{name_of(handler)} raised {type(failure).__name__}: {failure}") from failure
        return result

    def _report(
        self, future: asyncio.Future[tuple[Any, BaseException | None]], outcome: tuple[Any, BaseException | None]
    ) -> None:
        self._threads -= 1
        if not future.done():
            future.set_result(outcome)


def name_of(handler: Handler) -> str:
    """How the handler is called in messages."""
    if isinstance(handler, functools.partial):
        return name_of(handler.func)
    return getattr(handler, "__qualname__", None) or type(handler).__name__
