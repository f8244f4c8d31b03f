"""The official 2.0b schema as the judge: libxml2's validator, and `xmlschema` where libxml2 is known to be wrong."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import openleadr
import xmlschema
from lxml import etree

SCHEMA = Path(openleadr.__file__).parent / "schema" / "oadr_20b.xsd"
OADR = "http://openadr.org/oadr-2.0b/2012/07"


@cache
def schema() -> etree.XMLSchema:
    """The schema in libxml2."""
    return etree.XMLSchema(etree.parse(str(SCHEMA)))


@cache
def reference() -> Any:
    """The schema in the pure Python validator; slow, and used for its model of the schema too."""
    return xmlschema.XMLSchema(str(SCHEMA))


def parse(data: bytes) -> etree._Element | None:
    """The document's root, None if it is not well-formed."""
    try:
        return etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
    except (etree.XMLSyntaxError, ValueError):
        return None


def is_valid(data: bytes) -> bool:
    """Whether libxml2 takes the document for a 2.0b message."""
    root = parse(data)
    return root is not None and root.tag == f"{{{OADR}}}oadrPayload" and schema().validate(root)


def why_not(data: bytes) -> str | None:
    """libxml2's first objection, None if there is none."""
    root = parse(data)
    if root is None:
        return "not well-formed"
    if root.tag != f"{{{OADR}}}oadrPayload":
        return f"the root is {root.tag}"
    if schema().validate(root):
        return None
    log: Any = schema().error_log
    return str(log.last_error)


def is_valid_by_reference(data: bytes) -> bool:
    """Whether `xmlschema` takes the document for a 2.0b message."""
    return parse(data) is not None and bool(reference().is_valid(BytesIO(data)))
