"""What the parts of a conversation share: who they work for, and how they ask the user's code."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from pyopenadr.errors import RemoteProtocolError
from pyopenadr.store.port import Outgoing
from pyopenadr.v2 import faults, wire
from pyopenadr.vtn.delivery import Item, Ven
from pyopenadr.vtn.handler import Caller
from pyopenadr.vtn.identity import Peer
from pyopenadr.vtn.provider import Provider
from pyopenadr.vtn.question import Backend
from pyopenadr.vtn.service import Service

__all__ = ["UNSET", "Answer", "Peer", "Talk"]

log = logging.getLogger("pyopenadr.vtn")


Answer = Callable[[Any, Peer], Awaitable[wire.Message | None]]
"""Answers one kind of message; None is an empty reply."""


class _Unset:
    """What stands for "the user has no handler for this"."""


UNSET: Final = _Unset()


class Talk:
    """One part of the conversation with VENs: the messages of one service."""

    def __init__(self, vtn_id: str, service: Service, provider: Provider, backend: Backend, caller: Caller) -> None:
        self.vtn_id = vtn_id
        self.service = service
        self.provider = provider
        self.backend = backend
        self.caller = caller

    async def ask(self, name: str, argument: str | wire.Message) -> Any:
        """The answer of the user's handler, or UNSET if there is none."""
        handler = self.backend.get(name)
        if handler is None:
            return UNSET
        peer = argument if isinstance(argument, str) else argument.get("ven_id") or argument.get("ven_name") or ""
        return await self.caller.call(handler, argument, peer=peer)

    def ven(self, ven_id: str | None) -> Ven:
        """The registered VEN that a message names.

        Raises:
            RemoteProtocolError: 452, it names none; 463, the VEN is not registered.
        """
        if not ven_id:
            raise RemoteProtocolError("the message has no venID", code="452", rule="508")
        return self.service.registered(ven_id)

    async def settle(self, ven_id: str, kind: type[Item], response: wire.EiResponse) -> Outgoing | None:
        """The VEN has answered a message of that kind: it is done, unless the VEN failed on it (5xx).

        Then it is sent again later. Returns the message if it was open and the VEN has answered by success.
        """
        item = await self.service.open_item(ven_id, kind, response.request_id)
        if not faults.is_success(response.response_code):
            log.warning(
                "VEN %s answers %s by %s %s",
                ven_id,
                kind.__name__,
                response.response_code,
                response.response_description or "",
            )
        if item is None or response.response_code.startswith("5"):
            return None
        await self.service.done(ven_id, item.item_id)
        return item if faults.is_success(response.response_code) else None

    def acknowledge(self, request_id: str, ven_id: str | None) -> wire.OadrResponse:
        """The plain "OK"."""
        return wire.OadrResponse(response=faults.response(request_id), ven_id=ven_id)
