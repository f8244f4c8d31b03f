"""Every check on a VTN, in the order in which they are made."""

from __future__ import annotations

from pyopenadr.conformance.check import Check
from pyopenadr.conformance.judge import message_checks
from pyopenadr.conformance.vtn import event, general, lifecycle, opt, registration, report, security, transport

__all__ = ["VTN_CHECKS"]

VTN_CHECKS: tuple[Check, ...] = (
    *transport.CHECKS,
    *registration.BEFORE,
    *registration.CHECKS,
    *general.CHECKS,
    *report.CHECKS,
    *event.CHECKS,
    *lifecycle.CHECKS,
    *opt.CHECKS,
    *security.CHECKS,
    *registration.AT_THE_END,
    *transport.AT_THE_END,
    *message_checks("vtn"),
)
"""What needs a VEN that is not registered comes first, what ends a registration last."""
