"""Every check on a VEN, in the order in which they are made."""

from __future__ import annotations

from pyopenadr.conformance.check import Check
from pyopenadr.conformance.judge import message_checks
from pyopenadr.conformance.ven import content, event, registration, report, security

__all__ = ["VEN_CHECKS"]

VEN_CHECKS: tuple[Check, ...] = (
    *registration.CHECKS,
    *event.CHECKS,
    *content.CHECKS,
    *report.CHECKS,
    *security.CHECKS,
    *registration.AT_THE_END,
    *message_checks("ven"),
)
"""What ends the registration comes last."""
