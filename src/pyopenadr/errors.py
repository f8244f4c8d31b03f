"""The exception tree. Every error of the package is an `OpenADRError`.

    OpenADRError
    ├── ModelError              a value that OpenADR has no meaning for (a negative interval, SIMPLE level 7)
    ├── WireError               bytes that are no OpenADR message
    │   ├── Malformed           not well-formed XML, forbidden XML (DTD, entities), or beyond the limits
    │   ├── SchemaMismatch      well-formed, but not what the schema of the profile allows
    │   └── SignatureInvalid    the XML signature is missing, wrong, stale or by somebody else
    ├── ProtocolError           a valid message at the wrong time or with the wrong content
    │   ├── LocalProtocolError  we, or the code that calls us, broke the protocol
    │   └── RemoteProtocolError the peer broke it
    ├── PeerRefused             the peer answered with an error code
    ├── TransportError          the peer could not be reached, or the connection failed
    ├── StoreError              the store could not keep or find something
    │   └── StoreUnavailable    it can't be reached now; the same may work later
    └── ConfigError             a setting is wrong

Each message says what was wrong, where, and what to do about it.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "LocalProtocolError",
    "Malformed",
    "ModelError",
    "OpenADRError",
    "PeerRefused",
    "ProtocolError",
    "RemoteProtocolError",
    "SchemaMismatch",
    "SignatureInvalid",
    "StoreError",
    "StoreUnavailable",
    "TransportError",
    "WireError",
]


class OpenADRError(Exception):
    """Base of every error that pyopenadr raises on purpose."""


class ModelError(OpenADRError, ValueError):
    """A value that OpenADR has no meaning for.

    `rule` names the conformance rule that forbids it (for example `"9"`), where there is one.
    """

    def __init__(self, message: str, *, rule: str | None = None) -> None:
        super().__init__(f"{message} (rule {rule})" if rule else message)
        self.rule = rule


class WireError(OpenADRError, ValueError):
    """Bytes that are no OpenADR message, or a value that can't be written as one.

    `path` is the element path (`oadrPayload/oadrSignedObject/oadrPoll/venID`), `line` the line in the input
    (1-based), `rule` the conformance rule; each is None where it does not apply.
    """

    def __init__(
        self, message: str, *, path: str | None = None, line: int | None = None, rule: str | None = None
    ) -> None:
        where = f" at {path}" if path else ""
        on_line = f" (line {line})" if line else ""
        by_rule = f" [rule {rule}]" if rule else ""
        super().__init__(f"{message}{where}{on_line}{by_rule}")
        self.reason = message
        self.path = path
        self.line = line
        self.rule = rule


class Malformed(WireError):
    """Not well-formed XML, XML with a DTD or entities, an encoding we don't read, or beyond the limits."""


class SchemaMismatch(WireError):
    """Well-formed XML that the schema of the profile does not allow.

    `expected` and `found` say what the schema wants there and what was there instead.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str | None = None,
        line: int | None = None,
        rule: str | None = None,
        expected: str | None = None,
        found: str | None = None,
    ) -> None:
        super().__init__(message, path=path, line=line, rule=rule)
        self.expected = expected
        self.found = found


class SignatureInvalid(WireError):
    """The XML signature is missing, incomplete, wrong, stale, or made with a key we don't expect."""


class ProtocolError(OpenADRError):
    """A valid message at the wrong time or with content that the rules forbid.

    `code` is the response code for it (200 to 599, see `pyopenadr.v2.faults`).
    """

    def __init__(self, message: str, *, code: str = "459", rule: str | None = None) -> None:
        super().__init__(f"{message} (rule {rule})" if rule else message)
        self.code = code
        self.rule = rule


class LocalProtocolError(ProtocolError):
    """We, or the code that calls us, would break the protocol."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol."""


class PeerRefused(OpenADRError):
    """The peer answered our request with an error.

    `code` is its three-digit response code, `description` its text, `message_type` the element that carried it.
    """

    def __init__(self, code: str, description: str | None = None, *, message_type: str | None = None) -> None:
        text = f"the peer answered {code}"
        if description:
            text += f": {description}"
        if message_type:
            text += f" (in {message_type})"
        super().__init__(text)
        self.code = code
        self.description = description
        self.message_type = message_type


class TransportError(OpenADRError):
    """The peer could not be reached, or the exchange failed below the message.

    `status` is the HTTP status where one came back. `retry` says whether the same request may succeed later
    without a change; `retry_after_s` is the peer's own wish in seconds, if it gave one.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry: bool = True,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry = retry
        self.retry_after_s = retry_after_s


class StoreError(OpenADRError):
    """The store could not keep or find something."""


class StoreUnavailable(StoreError):
    """The store can't be reached now. Nothing is wrong with what was asked: the same may work later."""


class ConfigError(OpenADRError, ValueError):
    """A setting is wrong. The message names the setting and what it may be."""
