"""When two URIs are the same (RFC 3986, section 6.2): market contexts are compared so (2.0b rule 512)."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

__all__ = ["is_same", "normalised"]

_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def _one_form(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0].upper()


def _without_dots(path: str) -> str:
    """The path with `.` and `..` resolved."""
    kept: list[str] = []
    parts = path.split("/")
    for part in parts:
        if part == ".." and len(kept) > 1:
            kept.pop()
        elif part not in (".", ".."):
            kept.append(part)
    if parts[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)


def normalised(uri: str) -> str:
    """The form in which equal URIs are equal texts.

    Scheme and host in lower case, escapes in one form, no dot segments, no default port, `/` for no path. What is
    no URI is equal only to itself: what has control characters within it, for example, which `urlsplit` passes over.
    """
    uri = uri.strip(" ")
    if not uri.isprintable():
        return uri
    try:
        parts = urlsplit(_ESCAPE.sub(_one_form, uri))
    except ValueError:  # such as http://[::1
        return uri
    scheme = parts.scheme.lower()
    user, at, host = parts.netloc.rpartition("@")
    authority = user + at + host.lower().removesuffix(_DEFAULT_PORTS.get(scheme, "\0")).removesuffix(":")
    path = _without_dots(parts.path) if parts.path.startswith("/") else parts.path
    return urlunsplit((scheme, authority, path or ("/" if authority else ""), parts.query, parts.fragment))


def is_same(one: str | None, other: str | None) -> bool:
    """Whether two URIs are equal; None is equal to None alone."""
    return one == other or (one is not None and other is not None and normalised(one) == normalised(other))
