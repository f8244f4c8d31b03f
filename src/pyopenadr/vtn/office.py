"""What a VTN has around the protocol when it is run by the API: notices that are kept, and who looks after them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from pyopenadr.errors import ConfigError, OpenADRError
from pyopenadr.model import Registration
from pyopenadr.store.ledger import Ledger, Notice, Record
from pyopenadr.transport.port import Reply
from pyopenadr.transport.server import HttpServer
from pyopenadr.vtn.batch import Batch
from pyopenadr.vtn.beside import Beside
from pyopenadr.vtn.doors.observed import ObservedDoor, records_of_push
from pyopenadr.vtn.doors.v2_http import V2Door
from pyopenadr.vtn.lateness import Lateness
from pyopenadr.vtn.metric import Metrics
from pyopenadr.vtn.service import Service
from pyopenadr.vtn.watch import Watch, keep_on
from pyopenadr.vtn.webhook import WebhookSender

if TYPE_CHECKING:
    from pyopenadr.vtn.server import OpenADRServer

__all__ = ["ApiSettings", "Office", "make_office"]

log = logging.getLogger("pyopenadr.vtn")

_KEPT_NOTICES = timedelta(days=7)
_KEPT_REPLAYS = timedelta(days=1)
_PAGE = 200
_ALIVE_S = 15.0
_LOOK_S = 1.0
"""How often a stream looks for notices of other processes on the same database."""


class ApiSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the API is served, and what is kept and told beside the protocol.

    Without a `port` the API is on the VTN's own address, behind its TLS, where every client needs a certificate. With
    one it is there instead, as plain HTTP on `host`, which is loopback unless you put something safe before it.
    `audit` says what is kept of each message: nothing, who and what (`headers`), or all of it without secrets (`full`);
    for how long says `audit_kept`. Webhooks go to https addresses that everybody can reach; `webhook_http` allows http,
    `webhook_private` allows addresses of private networks.
    """

    port: int | None = None
    host: str = "127.0.0.1"
    audit: Literal["none", "headers", "full"] = "none"
    audit_kept: timedelta = timedelta(days=90)
    webhook_http: bool = False
    webhook_private: bool = False

    def __post_init__(self) -> None:
        if self.audit not in ("none", "headers", "full"):
            raise ConfigError(f"audit may be none, headers or full, not {self.audit!r}")
        if self.audit_kept <= timedelta(0):
            raise ConfigError(f"audit_kept must be positive, not {self.audit_kept}")


class Office:
    """The parts that the API stands on. `start` comes after the store has been opened, `stop` before it is closed."""

    def __init__(self, server: OpenADRServer, service: Service, watch: Watch, settings: ApiSettings) -> None:
        self.server = server
        self.service = service
        self.watch = watch
        self.clock = server.clock
        self.settings = settings
        self.ledger: Ledger = service.store
        self.drafting = asyncio.Lock()
        self.notices = Batch[Notice](self.ledger.add_notices, "notices")
        self.records = Batch[Record](self.ledger.add_records, "the audit")
        self.metrics = Metrics()
        self.lateness = Lateness(service, self.clock)
        self.webhooks = WebhookSender(
            self.ledger, self.clock, http=settings.webhook_http, private=settings.webhook_private
        )
        self.closing = False
        self._http: HttpServer | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        service.notices.listen(self.notices.add)
        service.notices.listen(self.lateness.note)
        service.notices.listen(lambda notice: self.metrics.note_notice(notice.kind))

    def start(self) -> None:
        """Begin to work."""
        self.closing = False
        self._spawn(self.notices.run())
        self._spawn(self.records.run())
        self._spawn(keep_on(self._tell_webhooks, self.clock, 0.0, "telling the webhooks"))
        self._spawn(keep_on(self.lateness.look, self.clock, 10.0, "looking for late reports"))
        self._spawn(keep_on(self.prune, self.clock, 3600.0, "forgetting old notices"))

    def close_streams(self) -> None:
        """End the streams, which would hold up the end of the server."""
        self.closing = True
        self.notices.wake()

    async def stop(self) -> None:
        """End what runs, and keep what is left."""
        self.close_streams()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.webhooks.stop()
        for last in (self.notices, self.records):
            try:
                await last.flush()
            except OpenADRError:
                log.exception("the last notices and lines of the audit could not be saved")

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell_webhooks(self) -> None:
        await self.notices.saved(_LOOK_S)
        await self.webhooks.look()

    def observed(self, door: V2Door) -> ObservedDoor:
        """The door with the metrics and the audit beside it."""
        return ObservedDoor(door, self.metrics, self.settings.audit, self.records.add, self.clock.now)

    def keep_push(self, ven: Registration, body: bytes, sent_at: datetime, reply: Reply | None) -> None:
        """Keep a message that was pushed to a VEN, and its reply, as far as the audit is to have it."""
        if self.settings.audit != "none":
            full = self.settings.audit == "full"
            for record in records_of_push(ven, body, sent_at, reply, self.clock.now(), full=full):
                self.records.add(record)

    def metrics_text(self) -> str:
        """The figures of this process, for Prometheus."""
        known = self.service.registrations
        return self.metrics.text(
            {
                "vens": ("VENs that are known.", len(known)),
                "vens_registered": ("VENs that are registered.", sum(v.registration_id is not None for v in known)),
                "vens_online": ("VENs that are online.", sum(self.watch.is_online(v.ven_id) for v in known)),
                "open_events": ("Events that are not over.", len(self.service.open_events)),
                "unsaved": ("Notices and audit lines not saved yet.", self.notices.waiting + self.records.waiting),
                "dropped": ("Notices and audit lines that were given up.", self.notices.dropped + self.records.dropped),
            }
        )

    async def prune(self) -> None:
        """Forget what is too old."""
        now = self.clock.now()
        await self.ledger.prune(
            notices=now - _KEPT_NOTICES, records=now - self.settings.audit_kept, replays=now - _KEPT_REPLAYS
        )

    async def follow(self, after: int | None) -> AsyncIterator[Notice | None]:
        """The notices after that number, or from now on, as they come; None when there was none for a while."""
        position = await self.ledger.last_notice() if after is None else after
        silent_s = 0.0
        while not self.closing:
            found = await self.ledger.list_notices(after=position, limit=_PAGE)
            for notice in found:
                yield notice
                position = notice.seq
            if found:
                silent_s = 0.0
                continue
            await self.notices.saved(_LOOK_S)
            silent_s += _LOOK_S
            if silent_s >= _ALIVE_S:
                silent_s = 0.0
                yield None

    # --- serving ----------------------------------------------------------------------------------------------------

    async def check(self) -> None:
        """Whether the store can be read; raises if not."""
        await self.ledger.last_notice()

    def on_own_port(self, app: Beside) -> None:
        """Serve `app` at the port of the settings, from `listen` on."""
        self._http = HttpServer(app, self.settings.host, self.settings.port or 0)

    async def listen(self) -> None:
        """Listen on the API's own port, where it has one."""
        if self._http is not None:
            await self._http.start()
            log.info("the API is at %s/api", self._http.url)

    async def close(self) -> None:
        """End streams, and listen no more on the API's own port."""
        self.close_streams()
        if self._http is not None:
            await self._http.stop()

    @property
    def url(self) -> str:
        """The API's base address."""
        base = self._http.url if self._http is not None else self.server.url
        return f"{base}/api"


def make_office(
    server: OpenADRServer, service: Service, watch: Watch, api: bool | ApiSettings
) -> tuple[Office | None, Beside]:
    """What a server has besides the protocol: its office, if it has an API, and what it serves at other paths.

    Raises:
        ConfigError: a package is missing.
    """

    async def check() -> None:
        await service.store.load_event("")

    if not api:
        return None, Beside(check)
    try:  # late, because most programs with a VTN need no web framework
        from pyopenadr.vtn.rest.app import make_api
    except ImportError as error:
        raise ConfigError(f"the API needs more packages: pip install 'pyopenadr[vtn]' ({error})") from error
    office = Office(server, service, watch, api if isinstance(api, ApiSettings) else ApiSettings())
    full = Beside(check, make_api(office))
    if office.settings.port is None:
        return office, full
    office.on_own_port(full)
    return office, Beside(check)
