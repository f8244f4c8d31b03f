"""`pyopenadr vtn`: a VTN that runs by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from pyopenadr.cli.crew import Crew, inherited
from pyopenadr.cli.interrupt import on_interrupt
from pyopenadr.cli.log import set_up_logging
from pyopenadr.cli.tape import Tape
from pyopenadr.errors import ConfigError, LocalProtocolError
from pyopenadr.store import open_store
from pyopenadr.transport.proxy import ProxyForm, TrustedProxy
from pyopenadr.transport.server import bind
from pyopenadr.transport.tls import ServerTls, TlsProfile
from pyopenadr.v2.text import parse_date_time, parse_duration
from pyopenadr.vtn.enrolment import EnrolmentMode
from pyopenadr.vtn.office import ApiSettings
from pyopenadr.vtn.security import SignatureMode
from pyopenadr.vtn.server import OpenADRServer

if TYPE_CHECKING:
    from pyopenadr.v2.signature import SigningKey

log = logging.getLogger("pyopenadr.vtn")


def vtn(
    vtn_id: Annotated[str, typer.Option(help="The VTN's ID, which VENs check.")] = "vtn",
    database: Annotated[
        str,
        typer.Option(
            help="Where to keep everything: sqlite:///FILE, postgresql://user@host/name, or memory to forget it."
        ),
    ] = "sqlite:///vtn.db",
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")] = 8080,
    poll_seconds: Annotated[int, typer.Option(min=1, help="How often VENs are asked to poll, in seconds.")] = 10,
    misses: Annotated[int, typer.Option(min=1, help="Polls that a VEN may miss before it counts as offline.")] = 3,
    workers: Annotated[int, typer.Option(min=1, help="How many processes serve; more than one need PostgreSQL.")] = 1,
    events: Annotated[
        Path | None, typer.Option(help="A JSON file with events to publish at the start; known event_ids are kept.")
    ] = None,
    cert: Annotated[
        list[Path] | None, typer.Option(help="The VTN's certificate with its chain; twice for RSA and EC side by side.")
    ] = None,
    key: Annotated[list[Path] | None, typer.Option(help="The key of each certificate, in the same order.")] = None,
    ca: Annotated[Path | None, typer.Option(help="The authorities of the VENs' certificates.")] = None,
    crl: Annotated[Path | None, typer.Option(help="Certificates that have been revoked.")] = None,
    client_cert_optional: Annotated[
        bool,
        typer.Option(help="Let VENs connect without a certificate, of which `vens set --identity` says that they may."),
    ] = False,
    tls_profile: Annotated[
        str, typer.Option(help="modern, or openadr for TLS 1.2 with the two suites of rule 67 alone.")
    ] = "modern",
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep every message in this file, without secrets.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Serve plain HTTP on an address that others can reach.")
    ] = False,
    proxy: Annotated[
        list[str] | None, typer.Option(help="An address or network of a proxy in front that does TLS; may be repeated.")
    ] = None,
    proxy_header: Annotated[str, typer.Option(help="The header with the VEN's certificate.")] = "Client-Cert",
    proxy_form: Annotated[
        str | None, typer.Option(help="How it stands there: rfc9440, pem, der, xfcc or fingerprint.")
    ] = None,
    proxy_verify_header: Annotated[
        str | None, typer.Option(help="The header with the proxy's own verdict: SUCCESS or 0.")
    ] = None,
    enrolment: Annotated[
        str | None,
        typer.Option(help="Who may register: open, knocking or allow-list. Default: open on loopback without --cert."),
    ] = None,
    allow: Annotated[
        Path | None,
        typer.Option(help="A CSV file with VENs that may register: fingerprint, common_name, ven_name, ven_id."),
    ] = None,
    signature: Annotated[
        str, typer.Option(help="XML signatures of VENs: off, accept (verify those that are there) or require.")
    ] = "off",
    sign_cert: Annotated[
        Path | None, typer.Option(help="The certificate that replies are signed with; else the first --cert.")
    ] = None,
    sign_key: Annotated[Path | None, typer.Option(help="The key of --sign-cert; else the first --key.")] = None,
    signature_seconds: Annotated[
        int, typer.Option(min=1, help="How far the clocks of VENs that sign may be off, in seconds.")
    ] = 60,
    api: Annotated[
        bool, typer.Option("--api", help="Serve the REST API at /api, for those with a token (pyopenadr token create).")
    ] = False,
    api_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Serve the API there instead, as plain HTTP on loopback.")
    ] = None,
    audit: Annotated[str, typer.Option(help="What is kept of messages with --api: none, headers or full.")] = "none",
    traces: Annotated[
        bool, typer.Option("--traces", help="Send spans of OpenTelemetry to where OTEL_EXPORTER_OTLP_ENDPOINT says.")
    ] = False,
    log_format: Annotated[str, typer.Option(help="text, or json with ven_id and request_id in each line.")] = "text",
) -> None:
    """Serve OpenADR 2.0a and 2.0b VENs by HTTP pull until interrupted.

    Without --cert this is plain HTTP on loopback, and every VEN that reaches it is accepted: a laboratory. With --cert,
    --key and --ca it is HTTPS; every VEN needs a certificate of these authorities, must be on the list of --allow (or
    be let in by a program; --enrolment open lets in everybody), and is bound to its certificate (pyopenadr certs demo
    makes a set for tests). The file given by --events holds a list:
    [{"event_id": "e1", "start": "2030-01-31T12:00:00Z", "intervals": [["PT1H", 2]]}]
    """
    set_up_logging(log_format)
    planned = _read_events(events) if events is not None else []
    if workers > 1 and api_port is not None:
        raise ConfigError("--workers can't share --api-port: use --api, which serves the API on the VTN's own port")
    worker = inherited()
    server = OpenADRServer(
        vtn_id,
        database=None if database == "memory" else database,
        host=host,
        port=port,
        poll_frequency=timedelta(seconds=poll_seconds),
        misses=misses,
        tls=_tls(cert or [], key or [], ca, crl, tls_profile, optional=client_cert_optional),
        insecure=insecure,
        proxy=_proxy(proxy or [], proxy_header, proxy_form, proxy_verify_header),
        enrolment=_choice("--enrolment", enrolment, EnrolmentMode),
        signature=_choice("--signature", signature, SignatureMode) or "off",
        signing_key=_signing_key(signature, sign_cert, sign_key, cert or [], key or []),
        signature_window=timedelta(seconds=signature_seconds),
        listener=worker[0] if worker is not None else None,
        api=_api(api, api_port, audit),
        traces=traces,
    )
    if workers > 1 and worker is None:
        asyncio.run(_lead(database, host, port, workers))
        return
    with Tape(record, "vtn") if record is not None else contextlib.nullcontext() as tape:
        if tape is not None:
            server.record(tape.keep)
        crew = worker[1] if worker is not None else None
        asyncio.run(_serve(server, planned, allow, crew, in_memory=database == "memory"))


async def _lead(database: str, host: str, port: int, workers: int) -> None:
    """Start the workers, after a look at the database that they would all stumble over."""
    if not database.startswith("postgresql"):
        raise ConfigError(f"{workers} workers need PostgreSQL, because they can't share {database}: --database")
    store = open_store(database)
    await store.open()
    await store.close()
    with bind(host, port) as listener:
        bound = listener.getsockname()
        typer.echo(f"VTN with {workers} workers at {bound[0]} port {bound[1]}; stop with Ctrl-C")
        await Crew(sys.argv[1:], listener, workers).run()


def _api(api: bool, port: int | None, audit: str) -> ApiSettings | bool:
    if not api and port is None:
        if audit != "none":
            raise ConfigError("--audit needs --api or --api-port, by which it can be read")
        return False
    if audit not in ("none", "headers", "full"):
        raise ConfigError(f"--audit may be none, headers or full, not {audit}")
    return ApiSettings(port=port, audit=audit)  # type: ignore[arg-type]  # one of the three, as was just checked


def _tls(
    cert: list[Path], key: list[Path], ca: Path | None, crl: Path | None, profile: str, *, optional: bool
) -> ServerTls | None:
    if not cert:
        if key or ca or crl or profile != "modern" or optional:
            raise ConfigError("--key, --ca, --crl, --client-cert-optional and --tls-profile need --cert")
        return None
    if len(cert) != len(key):
        raise ConfigError("give one --key for each --cert, in the same order")
    if ca is None:
        raise ConfigError("--cert needs --ca, the authorities of the VENs' certificates")
    if profile not in ("modern", "openadr"):
        raise ConfigError(f"--tls-profile may be modern or openadr, not {profile}")
    chosen: TlsProfile = "openadr" if profile == "openadr" else "modern"
    return ServerTls(
        certificates=tuple(zip(cert, key, strict=True)),
        ca_file=ca,
        crl_file=crl,
        profile=chosen,
        client_certificate_required=not optional,
    )


def _choice(option: str, value: str | None, choices: Any) -> Any:
    """What a user wrote, if it is one of the literals that it may be."""
    if value not in (None, *get_args(choices)):
        raise ConfigError(f"{option} may be {', '.join(get_args(choices))}, not {value}")
    return value


def _proxy(addresses: list[str], header: str, form: str | None, verify_header: str | None) -> TrustedProxy | None:
    if not addresses:
        if header != "Client-Cert" or form or verify_header:
            raise ConfigError("--proxy-header, --proxy-form and --proxy-verify-header need --proxy")
        return None
    return TrustedProxy(
        addresses=addresses,
        header=header,
        form=_choice("--proxy-form", form, ProxyForm),
        verify_header=verify_header,
        address_header="X-Forwarded-For",
    )


def _signing_key(
    mode: str, cert: Path | None, key: Path | None, certs: list[Path], keys: list[Path]
) -> SigningKey | None:
    if (cert is None) != (key is None):
        raise ConfigError("--sign-cert and --sign-key go together")
    if cert is None or key is None:
        if mode == "off":
            return None
        if not certs or not keys:
            raise ConfigError(f"--signature {mode} needs --sign-cert and --sign-key: replies have to be signed")
        cert, key = certs[0], keys[0]
    from pyopenadr.transport.certificate import read_file
    from pyopenadr.v2.signature import SigningKey

    return SigningKey.from_pem(read_file(cert, "the certificate file"), read_file(key, "the key file"))


async def _serve(
    server: OpenADRServer, planned: list[dict[str, Any]], allow: Path | None, crew: int | None, *, in_memory: bool
) -> None:
    """Serve until told to stop; also when `crew`, a pipe, ends, for then nobody would start and stop workers."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    on_interrupt(stopping.set)
    if crew is not None:

        def orphaned(pipe: int) -> None:
            loop.remove_reader(pipe)
            stopping.set()

        loop.add_reader(crew, orphaned, crew)
    if allow is not None:
        typer.echo(f"{await server.allow_file(allow)} VENs on the list of those that may register")
    async with server:
        typer.echo(f"VENs are given {server.url}; stop with Ctrl-C")
        if server.api_url is not None:
            typer.echo(f"API at {server.api_url}, a page to try it at {server.api_url}/docs")
            if in_memory:  # no other process could make a token for it
                typer.echo(f"an operator's token, for this run: {await server.create_token('this run')}")
        for event in planned:
            try:
                published = await server.add_event(**event)
                typer.echo(f"event {published.event_id} published")
            except LocalProtocolError as error:
                log.info("%s", error)
        await stopping.wait()


def _read_events(path: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{path} is no JSON: {error}") from error
    if not isinstance(found, list) or not all(isinstance(event, dict) for event in found):
        raise ConfigError(f"{path} must hold a list of events")
    return [_read_event(event, f"{path}, event {number}") for number, event in enumerate(found, 1)]


def _read_event(event: dict[str, Any], where: str) -> dict[str, Any]:
    try:
        start: datetime = parse_date_time(event["start"])
        intervals = [(parse_duration(duration), float(value)) for duration, value in event["intervals"]]
    except KeyError as error:
        raise ConfigError(f"{where}: {error} is missing") from error
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f'{where}: {error}; write "start" as 2030-01-31T12:00:00Z and "intervals" as [["PT1H", 2]]'
        ) from error
    return {**event, "start": start, "intervals": intervals}
