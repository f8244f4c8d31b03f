"""Kinds of values that several resources take."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

__all__ = ["Id", "Instant", "Text"]

Id = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
"""An ID of a VEN, a group, a rule and so on."""

Text = Annotated[str, msgspec.Meta(max_length=2000)]
"""A name or an address that somebody writes."""

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time with its zone."""
