"""The structure of an XML signature, as the schema has it; no cryptography here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pyopenadr.v2.xml import opaque_text

if TYPE_CHECKING:
    from lxml.etree import _Element as Element

    from pyopenadr.v2.decoder import Context

__all__ = ["Signature", "read_signature"]


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """A `ds:Signature` as it stood in a document: its canonical text."""

    xml: str


def read_signature(element: Element, ctx: Context) -> Signature:
    """Read a signature's structure."""
    return Signature(xml=opaque_text(element))
