"""A client for code without coroutines: the same client, in an event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pyopenadr.errors import LocalProtocolError

if TYPE_CHECKING:
    from pyopenadr.ven.client import OpenADRClient

__all__ = ["BlockingClient"]

T = TypeVar("T")


class BlockingClient:
    """Whatever the client has, without `await`: methods wait for their result, attributes and handlers are the same.

    To be used in `with`. With `auto_polling` the client runs in the background meanwhile; `run()` waits until `stop()`.
    """

    def __init__(self, client: OpenADRClient) -> None:
        # Past our own __setattr__, which is about the client's attributes.
        object.__setattr__(self, "_client", client)
        object.__setattr__(self, "_loop", None)
        object.__setattr__(self, "_thread", None)

    def __enter__(self) -> Self:
        if self._loop is not None:
            raise LocalProtocolError("the client is in use already: leave its `with` first")
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=_live, args=(loop,), name="pyopenadr client", daemon=True)
        object.__setattr__(self, "_loop", loop)
        object.__setattr__(self, "_thread", thread)
        thread.start()
        try:
            self._wait_for(self._client.__aenter__())
        except BaseException:  # whatever it was, the thread must not stay
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._wait_for(self._client.close())
        finally:
            self._end()

    def __getattr__(self, name: str) -> Any:
        found = self._in_loop(lambda: getattr(self._client, name)) if self._loop else getattr(self._client, name)
        # A handler's place is called with a function, to set it, and that has nothing to wait for.
        return self._waiting(found) if inspect.ismethod(found) else found

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._client, name, value)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *dir(self._client)})

    def _waiting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if self._loop is None:
                raise LocalProtocolError(f"{method.__name__} needs the client's loop: use it in `with`")
            return self._wait_for(_result(method, args, kwargs))

        call.__name__, call.__doc__ = method.__name__, method.__doc__
        return call

    def _in_loop(self, get: Callable[[], T]) -> T:
        async def ask() -> T:
            return get()

        return self._wait_for(ask())

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        if threading.current_thread() is self._thread:
            work.close()
            raise LocalProtocolError(
                "a handler that is a coroutine must not wait for the blocking client: make it a plain function"
            )
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _end(self) -> None:
        loop, thread = self._loop, self._thread
        object.__setattr__(self, "_loop", None)
        object.__setattr__(self, "_thread", None)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _result(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = method(*args, **kwargs)
    # What `stop` returns can be waited for, too, but a handler that calls it would then wait for itself.
    return await result if inspect.iscoroutine(result) else result


def _live(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    loop.run_forever()
    loop.run_until_complete(loop.shutdown_asyncgens())
