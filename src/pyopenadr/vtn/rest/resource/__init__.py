"""What the API serves: one module for each kind of thing. A new one is a module with a router, named here."""

from __future__ import annotations

from litestar import Router

from pyopenadr.vtn.rest.resource import (
    admission,
    asset,
    change,
    document,
    event,
    group,
    health,
    inbox,
    opt,
    reading,
    record,
    report,
    rule,
    token,
    ven,
    webhook,
)

__all__ = ["RESOURCES"]

RESOURCES: tuple[Router, ...] = (
    document.router,
    health.router,
    ven.router,
    inbox.router,
    admission.router,
    group.router,
    asset.router,
    event.router,
    opt.router,
    report.router,
    rule.router,
    reading.router,
    record.router,
    token.router,
    change.router,
    webhook.router,
)
"""Every resource. A router has no state, so that several servers may share it."""
