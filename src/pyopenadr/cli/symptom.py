"""What an examination is about, and what it finds."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from pyopenadr.transport.tls import ClientTls, TlsProfile

__all__ = ["Finding", "Patient", "Verdict", "as_options", "side_of"]

Verdict = Literal["ok", "note", "warning", "error"]


class Finding(NamedTuple):
    """What a step has found. `do` is what to do about it, empty where there is nothing to do."""

    step: str
    verdict: Verdict
    text: str
    do: str = ""
    details: dict[str, Any] = {}  # noqa: RUF012 - a default that is never changed


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """Who is examined, and what we are to show: files in PEM form."""

    url: str
    cert: str | None = None
    key: str | None = None
    password: str | None = None
    ca_file: str | None = None
    profile: TlsProfile = "modern"
    timeout_s: float = 10.0
    signing_key: Any = None

    def tls(self, **changes: Any) -> ClientTls:
        """How we do TLS, but for `changes`."""
        settings: dict[str, Any] = {
            "cert": self.cert,
            "key": self.key,
            "password": self.password,
            "ca_file": self.ca_file,
            "profile": self.profile,
        }
        return ClientTls(**{**settings, **changes})


def side_of(text: str) -> str:
    """Which side refused, by the sentence that explains a failure of TLS: us, them, or unknown."""
    return "us" if "we refused" in text else "them" if "the other side refused" in text else "unknown"


def as_options(text: str) -> str:
    """The names of settings as those of the command's options."""
    return text.replace("cert and key", "--cert and --key").replace("ca_file", "--ca")
