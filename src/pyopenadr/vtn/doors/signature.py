"""XML signatures at the VTN's door: whose are accepted, replays, and signed replies (2.0b rule 514)."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import lru_cache

import msgspec

from pyopenadr.errors import ConfigError, SignatureInvalid, StoreError
from pyopenadr.model import Registration
from pyopenadr.store.port import Claim
from pyopenadr.transport.certificate import described
from pyopenadr.v2 import Limits, wire
from pyopenadr.v2.signature import (
    DEFAULT_WINDOW,
    SWITCHES,
    Document,
    SigningKey,
    Trust,
    Verified,
    names_of,
    sign,
    verify,
)
from pyopenadr.vtn.doors.talk import Peer
from pyopenadr.vtn.security import SignatureMode
from pyopenadr.vtn.service import Application, Service

__all__ = ["Signatures"]


class Signatures:
    """Verifies what VENs sign, and signs the replies to them and what is pushed to them.

    A signature counts if it is made with the certificate of the connection, or with one that is bound to the VEN. Where
    neither is known, one of `authorities` (certificates, PEM or DER) must have issued its certificate.

    Args:
        mode: for every VEN that has no mode of its own.
        key: what replies are signed with; loaded once.
        window: how far the clocks of VENs may be off, and for how long nonces are remembered.
        accept: names of `pyopenadr.v2.signature.SWITCHES` that VENs may use.
    """

    def __init__(
        self,
        service: Service,
        key: SigningKey,
        *,
        mode: SignatureMode,
        window: timedelta = DEFAULT_WINDOW,
        accept: Iterable[str] = (),
        authorities: Sequence[bytes] = (),
    ) -> None:
        self._accept = tuple(accept)
        if unknown := sorted(set(self._accept) - SWITCHES.keys()):
            raise ConfigError(f"no signature switch {', '.join(unknown)}: use {', '.join(SWITCHES)}")
        self._service = service
        self._key = key
        self._mode: SignatureMode = mode
        self._window = window
        self._authorities = tuple(authorities)
        self._nonces = _Nonces(service)

    def mode_for(self, message: wire.Message, peer: Peer) -> str:
        """What is done about the signature of a message from there."""
        return self._mode_of(self._sender(message, peer))

    def allows_unsigned(self, ven_id: str) -> bool:
        """Whether a VEN may do without."""
        return self._mode_of(self._service.registration(ven_id)) != "require"

    def _mode_of(self, known: Registration | None) -> str:
        return self._mode if known is None or known.signature is None else known.signature

    @staticmethod
    def read(body: bytes, *, limits: Limits, leniency: Iterable[str]) -> Document:
        """The document in a body, without a look at its signature.

        Raises:
            WireError: there is no message of 2.0b in it.
        """
        return Document(body, profile="2.0b", limits=limits, leniency=leniency)

    async def open(self, document: Document, peer: Peer) -> tuple[Peer, Claim]:
        """Verify a signed message; the peer with what the signature shows of it, and the claim to its nonce.

        If the message is not answered after all, the claim has to be given back.

        Raises:
            SignatureInvalid: it is not in order, or it was seen before.
            StoreError: whether it was seen before can't be found out.
        """
        known = self._sender(document.payload.message, peer)
        prints = frozenset(known.fingerprints if known is not None else ())
        if peer.fingerprint is not None:
            prints |= {peer.fingerprint}
        verified, claim = await self._verify(document, prints)
        if peer.fingerprint is not None or verified.certificate is None:
            return msgspec.structs.replace(peer, signed=True), claim
        shown = described(verified.certificate)
        known_now = msgspec.structs.replace(
            peer,
            fingerprint=shown.fingerprint,
            common_name=shown.common_name,
            not_after=shown.not_after,
            signed=True,
        )
        return known_now, claim

    def give_back(self, claim: Claim) -> None:
        """The message was not acted on for no fault of its own: it may come again as it is, once."""
        self._nonces.give_back(claim)

    async def tidy(self) -> None:
        """Give back what could not be given back at once.

        Raises:
            StoreError: the store does not answer.
        """
        await self._nonces.release()

    def seal(self, message: wire.Message) -> bytes:
        """A message of ours as a signed document."""
        return sign(message, self._key, now=self._service.clock.now(), nonce=secrets.token_hex(16))

    def signs_for(self, ven: Registration) -> bool:
        """Whether what is pushed to a VEN is signed: where it has to sign itself, or says that it does."""
        mode = self._mode_of(ven)
        return ven.profile == "2.0b" and (mode == "require" or (mode == "accept" and ven.xml_signature))

    def needs_signed(self, ven: Registration) -> bool:
        """Whether what a VEN says to a push counts only if it is signed."""
        return ven.profile == "2.0b" and self._mode_of(ven) == "require"

    async def open_reply(
        self, body: bytes, ven: Registration, *, limits: Limits, leniency: Iterable[str]
    ) -> wire.Message:
        """The message in the reply of a VEN that was pushed to, with its signature verified if there has to be one.

        Raises:
            WireError: it is none, or its signature is not in order.
            StoreError: whether it was seen before can't be found out.
        """
        document = self.read(body, limits=limits, leniency=leniency)
        if document.payload.signature is None:
            if self.needs_signed(ven):
                kind = document.payload.message.message_type
                raise SignatureInvalid(f"the reply {kind} is not signed, and this VTN wants signatures", rule="514")
        elif self._mode_of(ven) != "off":
            await self._verify(document, frozenset(ven.fingerprints))
        return document.payload.message

    async def _verify(self, document: Document, prints: frozenset[str]) -> tuple[Verified, Claim]:
        """Verify a document that should be signed with one of the certificates with these fingerprints.

        Raises:
            SignatureInvalid: it is not in order, or it was seen before.
            StoreError: whether it was seen before can't be found out.
        """
        verified = verify(
            document,
            trusted=self._trust(document, prints),
            now=self._service.clock.now(),
            window=self._window,
            accept=self._accept,
        )
        claim = await self._nonces.claim(verified)
        if claim is None:
            raise SignatureInvalid(
                "this message was received before: sign each message anew, also when it is sent again", rule="514"
            )
        return verified, claim

    def _sender(self, message: wire.Message, peer: Peer) -> Registration | None:
        """The VEN that a message claims to be from."""
        application = Application(
            ven_id=message.get("ven_id") or None,
            registration_id=message.get("registration_id") or None,
            ven_name=message.get("ven_name") or None,
            fingerprint=peer.fingerprint,
            login=peer.login,
        )
        return self._service.concerned(application)

    def _trust(self, document: Document, prints: frozenset[str]) -> Trust:
        if prints:
            return _pinned(prints)
        shown = document.certificate
        if not self._authorities or shown is None:
            raise SignatureInvalid(
                "nobody knows whose signature this should be: connect with the VEN's certificate, bind the VEN to it, "
                "or tell the VTN which authorities issue the VENs' certificates",
                rule="514",
            )
        try:
            return Trust(authorities=self._authorities, names=names_of(shown))
        except ConfigError as error:
            raise SignatureInvalid(f"the certificate of the signature can't be used: {error}", rule="514") from error


@lru_cache(maxsize=4096)
def _pinned(fingerprints: frozenset[str]) -> Trust:
    return Trust(fingerprints=fingerprints)


class _Nonces:
    """Whether a message was seen before, by any process at the same store. Those of one moment are asked together."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._waiting: list[tuple[Claim, asyncio.Future[bool]]] = []
        self._returned: list[Claim] = []
        self._asking: asyncio.Task[None] | None = None

    async def claim(self, verified: Verified) -> Claim | None:
        """The claim to its nonce, if the signer uses it for the first time.

        Raises:
            StoreError: the store does not answer.
        """
        signer = hashlib.sha256(verified.public_key).hexdigest()
        # By a part of a second that nobody else has, this claim differs from a later one to the same nonce.
        until = verified.expires + timedelta(microseconds=secrets.randbelow(1_000_000))
        claim = Claim(scope=f"nonce {signer}", name=verified.nonce, expires_at=until)
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((claim, answer))
        self._begin()
        return claim if await answer else None

    def give_back(self, claim: Claim) -> None:
        """Have the claim given back soon: before anything else is claimed here, and when the store answers again."""
        self._returned.append(claim)
        self._begin()

    async def release(self) -> None:
        """Give back what is to be given back.

        Raises:
            StoreError: the store does not answer; it is still to be done.
        """
        returned, self._returned = self._returned, []
        if returned:
            try:
                await self._service.store.give_back(returned)
            except BaseException:  # also cancelled
                self._returned = [*returned, *self._returned]
                raise

    def _begin(self) -> None:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        while True:
            group, self._waiting = self._waiting, []
            try:
                await self.release()
                results = await self._service.store.claim([claim for claim, _ in group]) if group else []
            except BaseException as error:  # whoever waits has to hear of it, whatever it is
                for _, answer in group:
                    if not answer.done():
                        answer.set_exception(StoreError(f"replays can't be recognised: {error}"))
                if not isinstance(error, Exception):
                    raise
            else:
                for (_, answer), is_new in zip(group, results, strict=True):
                    if not answer.done():
                        answer.set_result(is_new)
            if not self._waiting:
                return
