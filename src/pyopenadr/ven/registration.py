"""The VEN's registration: its ids, how often it is to poll, and the messages that get and end it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from enum import Enum

import msgspec

from pyopenadr.clock import Clock
from pyopenadr.errors import ConfigError, LocalProtocolError, RemoteProtocolError
from pyopenadr.model import Capability, Duration
from pyopenadr.model.time import total_seconds
from pyopenadr.v2 import wire
from pyopenadr.ven.journal import Journal
from pyopenadr.ven.session import Session
from pyopenadr.ven.state import Ledger

__all__ = ["DEFAULT_POLL_INTERVAL", "SHORTEST_POLL_INTERVAL", "Identity", "Registrar", "State"]

DEFAULT_POLL_INTERVAL = timedelta(seconds=60)
"""How often to poll where neither the VTN nor the user says so."""
SHORTEST_POLL_INTERVAL = timedelta(seconds=1)
"""The VEN never polls more often than this, whatever the VTN asks."""


class State(Enum):
    """Where the registration stands."""

    NONE = "there is none; ask for a new one"
    STALE = "the VTN wants it renewed, with the ids there are"
    REGISTERED = "all is well"
    ENDED = "the VEN's own side has ended it and wants no new one"


class Identity(msgspec.Struct, kw_only=True):
    """Who the VEN is. The three ids come from the VTN, unless they were agreed upon before."""

    ven_name: str
    ven_id: str | None = None
    registration_id: str | None = None
    vtn_id: str | None = None


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a registration."""

    ven_id: str
    registration_id: str | None
    vtn_id: str | None
    poll_interval: timedelta
    stale: bool
    metadata: tuple[Capability, ...] | None
    push_address: str | None = None


class Registrar:
    """Registers the VEN and keeps what the VTN said on that occasion, also over a restart.

    `identity.ven_id` may be set beforehand, with or without `registration_id`: with both the VEN counts as
    registered (2.0b rule 405), without the second it asks for a registration under that id (rule 402). `count` is how
    many new registrations there have been. `confirmed` is False as long as the VTN has not been heard of them.
    In 2.0a, which has no registration, the VEN counts as registered under its id, always.
    `push_address` gives where the VTN is to push to; None: we poll.
    `metadata` are the capabilities that the VTN has been told since it registered us; None: not yet.

    Raises:
        ConfigError: in 2.0a, the VEN has no id, or has a registration.
    """

    def __init__(
        self,
        identity: Identity,
        session: Session,
        *,
        ledger: Ledger,
        clock: Clock,
        journal: Journal,
        poll_interval: timedelta | None = None,
    ) -> None:
        self.identity = identity
        self.count = 0
        self.confirmed = False
        self.metadata: tuple[Capability, ...] | None = None
        self.poll_interval = poll_interval if poll_interval is not None else DEFAULT_POLL_INTERVAL
        self._state = State.NONE
        self.push_address: Callable[[], str] | None = None
        self._own_interval = poll_interval
        self._configured_ven_id = identity.ven_id
        self._configured_vtn_id = identity.vtn_id
        self._told_address: str | None = None
        self._session = session
        self._ledger = ledger
        self._clock = clock
        self._journal = journal
        self._is_agreed = session.profile == "2.0a"
        if self._is_agreed:
            if not identity.ven_id or identity.registration_id is not None:
                raise ConfigError(
                    "2.0a has no registration: give the ven_id that was agreed upon with the VTN's operator, "
                    "and no registration_id"
                )
            self._state, self.confirmed = State.REGISTERED, True
            return
        if identity.ven_id is not None and identity.registration_id is not None:
            self._state = State.REGISTERED
        self._resume(ledger.load("registration", _Row).get(""))

    def _resume(self, row: _Row | None) -> None:
        """Take up the registration of the last run, unless the configuration names another VEN now."""
        if row is None or self._configured_ven_id not in (None, row.ven_id):
            return
        who = self.identity
        who.ven_id, who.registration_id = row.ven_id, row.registration_id
        who.vtn_id = who.vtn_id or row.vtn_id
        self.poll_interval = self._own_interval or row.poll_interval
        self.metadata = row.metadata
        self._told_address = row.push_address
        self.confirmed = True
        self._state = State.STALE if row.stale else State.REGISTERED

    @property
    def state(self) -> State:
        """Where the registration stands."""
        return self._state

    @state.setter
    def state(self, state: State) -> None:
        if self._is_agreed:
            return  # whom the VTN does not know, it may know later: that is its operator's matter
        self._state = state
        self._keep()

    def check_address(self) -> None:
        """See whether the VTN knows where to push to now, which may be elsewhere than in the last run."""
        address = self.push_address() if self.push_address is not None else None
        if self._state is State.REGISTERED and self.confirmed and address != self._told_address:
            self.state = State.STALE

    def told(self, capabilities: tuple[Capability, ...]) -> None:
        """The VTN has been told these."""
        self.metadata = capabilities
        self._keep()

    def _keep(self) -> None:
        """Note the registration. One that the VTN has forgotten stays noted: it will tell us so again."""
        who = self.identity
        if not self.confirmed or who.ven_id is None or self._state is State.ENDED:
            self._ledger.drop("registration", "")
            return
        row = _Row(
            ven_id=who.ven_id,
            registration_id=who.registration_id,
            vtn_id=who.vtn_id,
            poll_interval=self.poll_interval,
            stale=self._state is State.STALE,
            metadata=self.metadata,
            push_address=self._told_address,
        )
        self._ledger.put("registration", "", row)

    @property
    def ven_id(self) -> str:
        """The VEN's id.

        Raises:
            LocalProtocolError: there is none yet.
        """
        if self.identity.ven_id is None:
            raise LocalProtocolError("the VEN is not registered: call create_party_registration() first", code="463")
        return self.identity.ven_id

    async def query(self) -> wire.OadrCreatedPartyRegistration:
        """Ask what the VTN supports (EiRegisterParty); changes nothing."""
        message = wire.OadrQueryRegistration(request_id=self._session.new_id())
        return await self._session.ask("EiRegisterParty", message, wire.OadrCreatedPartyRegistration)

    async def register(self, *, anew: bool) -> wire.OadrCreatedPartyRegistration | None:
        """Get a registration: a new one, or the one there is confirmed (2.0b rules 402, 403, 405, 406).

        In 2.0a there is nothing to do, and None.

        Raises:
            PeerRefused: the VTN will not have us.
            RemoteProtocolError: its answer lacks the ids.
        """
        if self._is_agreed:
            return None
        who = self.identity
        address = self.push_address() if self.push_address is not None else None
        message = wire.OadrCreatePartyRegistration(
            request_id=self._session.new_id(),
            registration_id=None if anew else who.registration_id,
            ven_id=self._configured_ven_id if anew else who.ven_id,
            profile_name="2.0b",
            transport_name="simpleHttp",
            report_only=False,
            xml_signature=self._session.seal.signs,
            ven_name=who.ven_name,
            http_pull_model=address is None,
            transport_address=address,
        )
        reply = await self._session.ask("EiRegisterParty", message, wire.OadrCreatedPartyRegistration)
        self._check_vtn(reply.vtn_id)
        ven_id = reply.ven_id or message.ven_id
        if not ven_id:
            raise RemoteProtocolError("the VTN's oadrCreatedPartyRegistration gives no venID", code="459", rule="403")
        who.ven_id = ven_id
        who.registration_id = reply.registration_id or message.registration_id
        who.vtn_id = reply.vtn_id or who.vtn_id
        if not who.registration_id:
            self._journal.warning("the VTN gave no registrationID (2.0b rule 403): the registration can't be cancelled")
        self.poll_interval = self._interval(reply.requested_oadr_poll_freq)
        self.count += anew
        if anew:
            self.metadata = None
        self.confirmed = True
        self._told_address = address
        self.state = State.REGISTERED
        await self._ledger.kept()
        self._journal.info(
            f"registered {who.ven_name!r} with VTN {who.vtn_id!r}, "
            + (
                f"polling every {self.poll_interval.total_seconds():g} s" if address is None else f"pushed to {address}"
            ),
            extra={"request_id": message.request_id},
        )
        return reply

    def _check_vtn(self, vtn_id: str | None) -> None:
        """Whether this is the VTN of the configuration; where that names none, another one than before is logged."""
        known = self.identity.vtn_id
        if not vtn_id or known in (None, vtn_id):
            return
        if self._configured_vtn_id is not None:
            raise RemoteProtocolError(
                f"the VTN at this address is {vtn_id!r}, but vtn_id says {known!r}: set vtn_url or vtn_id right",
                code="452",
            )
        self._journal.warning(f"the VTN calls itself {vtn_id!r} now, and was {known!r} before")

    async def cancel(self) -> wire.OadrCanceledPartyRegistration | wire.OadrResponse | None:
        """End the registration from our side; the ids are forgotten once the VTN has agreed (2.0b rule 407)."""
        if self.identity.registration_id is None:
            raise LocalProtocolError("there is no registration to cancel", code="463")
        message = wire.OadrCancelPartyRegistration(
            request_id=self._session.new_id(),
            registration_id=self.identity.registration_id,
            ven_id=self.identity.ven_id,
        )
        reply = await self._session.tell("EiRegisterParty", message, wire.OadrCanceledPartyRegistration)
        self.forget()
        self.state = State.ENDED
        return reply

    def forget(self) -> None:
        """Drop the ids that the VTN gave; the registration is over."""
        self.identity.ven_id = self._configured_ven_id
        self.identity.registration_id = None
        self.metadata = None
        self.confirmed = False
        self.state = State.NONE

    def _interval(self, asked: Duration | None) -> timedelta:
        if self._own_interval is not None:
            return self._own_interval
        if asked is None:
            self._journal.warning(
                "the VTN does not say how often to poll (2.0b rule 403): "
                f"polling every {DEFAULT_POLL_INTERVAL.total_seconds():g} s; set poll_interval for another value"
            )
            return DEFAULT_POLL_INTERVAL
        seconds = total_seconds(asked, self._clock.now())
        if seconds < SHORTEST_POLL_INTERVAL.total_seconds():
            self._journal.warning(f"the VTN wants to be polled every {seconds:g} s: polling once a second instead")
            return SHORTEST_POLL_INTERVAL
        return timedelta(seconds=seconds)
