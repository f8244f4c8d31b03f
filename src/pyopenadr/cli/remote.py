"""A client of a VTN's REST API, for the command line: plain calls, errors in words."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode, urlsplit

import typer

from pyopenadr.errors import ConfigError, PeerRefused, TransportError

__all__ = ["Api", "Json", "TokenText", "Url", "part", "token_file"]

DEFAULT_URL = "http://127.0.0.1:8080"
_PAGE = 1000
_PIECE = 1 << 16
Query = str | int | bool | list[str] | None
_TIMEOUT_S = 30.0

Url = Annotated[str, typer.Option("--url", envvar="PYOPENADR_URL", help="Where the VTN's API is, without /api.")]
TokenText = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="PYOPENADR_TOKEN",
        help="The token; else the one that `pyopenadr token create --save` has saved.",
        show_envvar=True,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="The result as JSON, for another program.")]


def token_file() -> Path:
    """Where the token of this user is saved."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "pyopenadr" / "token"


def part(text: str) -> str:
    """An ID as a part of a path."""
    return quote(text, safe="")


class Api:
    """The API at a base address.

    For a VTN with TLS the environment names files: PYOPENADR_CA (who has signed its certificate), PYOPENADR_CERT and
    PYOPENADR_KEY (the certificate to show).
    """

    def __init__(self, url: str, token: str | None) -> None:
        split = urlsplit(url)
        if split.scheme not in ("http", "https") or not split.netloc:
            raise ConfigError(f"--url must be an address such as {DEFAULT_URL}, not {url!r}")
        self._base = url.rstrip("/").removesuffix("/api")
        self._token = token or _saved_token()
        # No proxy and no redirect: the token goes to the address that was given, and nowhere else.
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), _NoRedirect(), urllib.request.HTTPSHandler(context=_tls())
        )

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, Query] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[Any, dict[str, str]]:
        """The JSON of the reply (None without any), and its headers in lower case.

        Raises:
            ConfigError: there is no token, or not one that is accepted.
            PeerRefused: the API refuses; the error says why.
            TransportError: it can't be reached.
        """
        with self._open(method, path, body, query, headers) as reply:
            text = self._read(reply)
            found = {name.lower(): value for name, value in reply.headers.items()}
        try:
            return (json.loads(text) if text else None), found
        except ValueError as error:
            raise TransportError(f"what is at {self._base} is no API of a VTN: it answers no JSON") from error

    def _open(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, Query] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Any:
        given = {name: _word(value) for name, value in (query or {}).items() if value is not None}
        url = f"{self._base}/api{path}" + (f"?{urlencode(given, doseq=True)}" if given else "")
        request = urllib.request.Request(url, method=method, headers={**(headers or {})})
        request.add_header("Authorization", f"Bearer {self._token}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            return self._opener.open(request, timeout=_TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.read()) from None
        except (OSError, HTTPException, ValueError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> TransportError:
        return TransportError(f"the API at {self._base} can't be reached: {error}")

    def save(self, path: str, file: Path, **query: Query) -> None:
        """Keep what is at a path in a file, which is there only when all of it has come.

        Raises:
            ConfigError: the file can't be written.
        """
        half = file.with_name(f"{file.name}.part")
        try:
            with self._open("GET", path, query=query) as reply, half.open("wb") as out:
                while data := self._read(reply, _PIECE):
                    out.write(data)
            half.replace(file)
        except OSError as error:
            raise ConfigError(f"{file} can't be written: {error.strerror or error}") from error
        finally:
            half.unlink(missing_ok=True)

    def _read(self, reply: Any, most: int = -1) -> bytes:
        try:
            data: bytes = reply.read(most)
        except (OSError, HTTPException) as error:
            raise self._unreachable(error) from error
        return data

    def get(self, path: str, **query: Query) -> Any:
        """The JSON at a path."""
        return self.ask("GET", path, query=query)[0]

    def items(self, path: str, *, most: int | None = None, **query: Query) -> Iterator[Any]:
        """Every item of a list, or the first `most`, page by page."""
        after: str | None = None
        left = most
        while left is None or left > 0:
            page = self.get(path, **query, after=after, limit=min(_PAGE, left) if left is not None else _PAGE)
            yield from page["items"]
            after = page["next"]
            if left is not None:
                left -= len(page["items"])
            if after is None:
                return


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _saved_token() -> str:
    try:
        return token_file().read_text("utf-8").strip()
    except OSError:
        raise ConfigError(
            "there is no token: give --token or PYOPENADR_TOKEN, or make one beside the VTN by "
            "`pyopenadr token create NAME --save --database …`"
        ) from None


def _tls() -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=os.environ.get("PYOPENADR_CA"))
        certificate = os.environ.get("PYOPENADR_CERT")
        if certificate:
            context.load_cert_chain(certificate, os.environ.get("PYOPENADR_KEY"))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"PYOPENADR_CA, PYOPENADR_CERT or PYOPENADR_KEY can't be used: {error}") from error
    return context


def _refusal(status: int, body: bytes) -> Exception:
    try:
        problem = json.loads(body)
        said = "; ".join(
            [problem.get("detail") or problem.get("title") or ""]
            + [f"{error.get('key', '')}: {error.get('message', '')}" for error in problem.get("errors") or ()]
        )
    except (ValueError, AttributeError):
        said = "without saying why"
    if status == HTTPStatus.UNAUTHORIZED:
        return ConfigError("the VTN does not accept the token: it is wrong, revoked or expired")
    if status == HTTPStatus.FORBIDDEN:
        return ConfigError(f"the token may not do that: {said}")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return TransportError(f"the VTN answers {status}: {said}", status=status)
    return PeerRefused(str(status), said)


def _word(value: Query) -> str | Sequence[str]:
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, list) else str(value)
