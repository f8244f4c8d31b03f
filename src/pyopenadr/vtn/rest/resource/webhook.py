"""Webhooks: who is told of what happens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Router, delete, get, post
from litestar.params import FromPath, JSONBody

from pyopenadr.store.ledger import Webhook
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.page import Page
from pyopenadr.vtn.rest.problem import Refusal
from pyopenadr.vtn.rest.role import OPERATOR
from pyopenadr.vtn.webhook import check_target, make_webhook

__all__ = ["router"]


class WebhookView(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook without its secret. `position` is the seq of the last notice that it has taken."""

    webhook_id: str
    url: str
    kinds: tuple[str, ...]
    created_at: datetime
    position: int
    attempts: int
    next_at: datetime | None
    last_error: str | None


class NewWebhook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to send notices, and which; all kinds if none is named."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    kinds: tuple[str, ...] = ()


class MadeWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook, and the secret that its requests are signed with, which is shown this once."""

    webhook: WebhookView
    secret: str


def _view(webhook: Webhook) -> WebhookView:
    return WebhookView(**{name: getattr(webhook, name) for name in WebhookView.__struct_fields__})


@get("/", opt=OPERATOR, summary="Webhooks")
async def list_webhooks(office: Desk) -> Page[WebhookView]:
    """All webhooks and how far each has come, in one page."""
    return Page(items=[_view(webhook) for webhook in await office.ledger.list_webhooks()])


@post("/", summary="Make a webhook")
async def add_webhook(office: Desk, data: JSONBody[NewWebhook]) -> MadeWebhook:
    """Have notices sent to an address, from now on, in order, until each has been taken by a 2xx.

    The requests are signed as "Standard Webhooks" are. No Idempotency-Key here: the answer holds a secret.
    """
    settings = office.settings
    check_target(data.url, http=settings.webhook_http, private=settings.webhook_private)
    await office.notices.flush()
    made = make_webhook(data.url, data.kinds, clock=office.clock, position=await office.ledger.last_notice())
    await office.ledger.save_webhook(made)
    return MadeWebhook(webhook=_view(made), secret=made.secret)


@delete("/{webhook_id:str}", status_code=204, summary="Remove a webhook")
async def remove_webhook(office: Desk, webhook_id: FromPath[str]) -> None:
    """Send it no more."""
    if not await office.ledger.delete_webhook(webhook_id):
        raise Refusal(404, f"there is no webhook {webhook_id!r}")


router = Router("/webhooks", route_handlers=[list_webhooks, add_webhook, remove_webhook], tags=["webhooks"])
