"""The part of the server that an operator needs to say who may come in."""

from __future__ import annotations

import asyncio
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path

from pyopenadr.errors import ConfigError
from pyopenadr.model import Registration
from pyopenadr.model.time import Duration
from pyopenadr.store.port import Admission, Knock
from pyopenadr.transport.tls import FilePath
from pyopenadr.vtn.enrolment import Enrolment, fingerprint_text, make_admission
from pyopenadr.vtn.intake import Enrollee, Intake, check_poll_frequency, read_enrollees, take_in
from pyopenadr.vtn.login import IdentityKind, check_identity, digest_of
from pyopenadr.vtn.security import SignatureMode, check_signature_mode
from pyopenadr.vtn.service import Service

__all__ = ["Gate"]

log = logging.getLogger("pyopenadr.vtn")


class Gate(ABC):
    """What `OpenADRServer` offers about certificates, the inbox of those that knock, and the list of those allowed."""

    _service: Service
    _enrolment: Enrolment
    _can_sign: bool

    @abstractmethod
    async def start(self) -> None:
        """Open the store and begin to work."""

    @abstractmethod
    async def _apply_rules(self, ven_ids: Iterable[str], *, replaced: str | None = None) -> None: ...

    # --- the inbox --------------------------------------------------------------------------------------------------

    async def knocks(self, *, rejected: bool = False) -> list[Knock]:
        """Who wanted to register and waits for you, those that came first first; or those that you have rejected."""
        await self.start()
        return [knock for knock in await self._service.store.list_knocks() if knock.rejected is rejected]

    async def accept(self, knock: Knock | str, *, ven_id: str | None = None, ven_name: str | None = None) -> Admission:
        """Let in who has knocked (the knock, or its key): it is registered when it tries again.

        Its certificate is let in, and nothing else of what it says has to be so; without a certificate, its name is.
        `ven_id` is the ID that it gets; that of a VEN that is known already lets the VEN change to this certificate.
        `ven_name` is a name that it must come with.

        Raises:
            LocalProtocolError: nobody has knocked so.
        """
        await self.start()
        return await self._enrolment.accept(_key(knock), ven_id, ven_name)

    async def reject(self, knock: Knock | str) -> None:
        """Keep somebody out who has knocked; `accept` may still let it in later.

        Raises:
            LocalProtocolError: nobody has knocked so.
        """
        await self.start()
        await self._enrolment.reject(_key(knock))

    async def forget_knock(self, knock: Knock | str) -> bool:
        """Take a knock out of the inbox; if that VEN comes again, it knocks anew. Returns whether it was there."""
        await self.start()
        return await self._service.store.delete_knock(_key(knock))

    # --- the list of those allowed --------------------------------------------------------------------------------

    async def allow(
        self,
        *,
        fingerprint: str | None = None,
        common_name: str | None = None,
        ven_name: str | None = None,
        ven_id: str | None = None,
    ) -> Admission:
        """Put a VEN on the list of those that may register, without a knock. Safe to repeat.

        All that is given must be so, and the strongest of it (in the order of the arguments) is what the VEN is known
        by: a certificate's fingerprint; the common name in its certificate, also of a renewed one; its oadrVenName,
        for the first certificate that comes with it. `ven_id` is the ID that it gets; alone, the one it must bring.

        Raises:
            ConfigError: nothing is given, or the fingerprint is none.
        """
        admission = make_admission(fingerprint=fingerprint, common_name=common_name, ven_name=ven_name, ven_id=ven_id)
        await self.start()
        await self._service.store.save_admissions([admission])
        return admission

    async def allow_file(self, path: FilePath) -> int:
        """Put everybody of a CSV file on the list, as `enrol` does; its first line names the columns.

        These are those of `allow`, `groups` (separated by semicolons) and `poll_frequency` (as PT30S). Nobody is put
        there if a line is wrong. Returns how many there are in the file.

        Raises:
            ConfigError: the file can't be read, or lines are wrong; the text says which.
        """
        path = Path(os.fspath(path))
        found = await self.enrol(read_enrollees(path))
        if found.faults:
            told = "; ".join(f"line {fault.line}: {fault.detail}" for fault in found.faults[:20])
            more = f"; and {len(found.faults) - 20} more" if len(found.faults) > 20 else ""
            raise ConfigError(f"{path}, {told}{more}")
        return found.vens

    async def enrol(self, enrollees: Sequence[Enrollee], *, dry_run: bool = False) -> Intake:
        """Put many VENs on the list, with their groups and how often they shall poll; nothing if anything is wrong.

        Those that have a `ven_id` are known from now on, and registered when they come. With `dry_run` it is only
        looked whether that would do. Those that are registered, and are to poll at another pace, are asked to register
        again.
        """
        await self.start()
        found = await take_in(self._service, enrollees, dry_run=dry_run)
        if found.done:
            for one in enrollees:
                if one.ven_id is not None and one.poll_frequency is not None:
                    await self._service.tell_poll_frequency(one.ven_id)
            await self._apply_rules({one.ven_id for one in enrollees if one.ven_id is not None and one.groups})
        return found

    async def allowed(self) -> list[Admission]:
        """The list of those that may register; `ven_id` says which VEN somebody has become."""
        await self.start()
        return await self._service.store.list_admissions()

    async def disallow(self, admission: Admission) -> bool:
        """Take somebody off the list. A VEN that has registered already stays; see `remove_fingerprint`."""
        await self.start()
        return await self._service.store.delete_admission(admission.key)

    # --- certificates of VENs ---------------------------------------------------------------------------------------

    async def add_fingerprint(self, ven_id: str, fingerprint: str) -> Registration:
        """Bind a certificate to a VEN; a second one while it changes from one to the other. Safe to repeat.

        Raises:
            ConfigError: that is no fingerprint.
            LocalProtocolError: there is no such VEN, it has two already, or the certificate is another VEN's.
        """
        shown = fingerprint_text(fingerprint)
        await self.start()
        return await self._service.bind(ven_id, shown)

    async def remove_fingerprint(self, ven_id: str, fingerprint: str) -> Registration:
        """Take a certificate away from a VEN: what comes with it is refused from now on.

        A VEN without any left is bound to the next one that may come in for it.

        Raises:
            ConfigError: that is no fingerprint.
            LocalProtocolError: there is no such VEN, or that is not its certificate.
        """
        shown = fingerprint_text(fingerprint)
        await self.start()
        return await self._service.unbind(ven_id, shown)

    async def set_poll_frequency(self, ven_id: str, frequency: Duration | None) -> Registration:
        """Say how often a VEN shall poll; None is as often as all. It learns of it when it registers, and is asked to.

        Raises:
            ConfigError: it is not positive, or not in whole seconds.
            LocalProtocolError: there is no such VEN.
        """
        if frequency is not None:
            check_poll_frequency(frequency)
        await self.start()
        return await self._service.set_poll_frequency(ven_id, frequency)

    async def set_signature(self, ven_id: str, mode: SignatureMode | None) -> None:
        """Say what is done about the XML signatures of one VEN; None is what `signature` says for all.

        Raises:
            ConfigError: there is no such mode, or no `signing_key`.
            LocalProtocolError: there is no such VEN.
        """
        check_signature_mode(mode, has_key=self._can_sign)
        await self.start()
        await self._service.amend(ven_id, signature=mode)

    # --- what VENs show ---------------------------------------------------------------------------------------------

    async def set_identity(
        self, ven_id: str, identity: IdentityKind, *, user: str | None = None, password: str | None = None
    ) -> Registration:
        """Say what a VEN has to show to be let in: "certificate" is what all have to, unless this is called.

        "basic" is `user` and `password` by HTTP Basic, over TLS only (or on this machine), and then its certificate
        does not count; of the password only a digest is kept. "none" is nothing: WHOEVER REACHES THIS VTN MAY SPEAK FOR
        THE VEN; its certificates, where it has some, still may be shown. It is in force from the next message on. A VEN
        that has not registered yet is made known by `add_ven`.

        Raises:
            ConfigError: there is no such identity, or the user or the password is missing, or can't be one.
            LocalProtocolError: there is no such VEN, or another one logs in as that user.
        """
        check_identity(identity, user, password)
        digest = await asyncio.to_thread(digest_of, password) if password is not None else None
        await self.start()
        ven = await self._service.set_identity(ven_id, identity, user, digest)
        if identity == "none":
            log.warning("INSECURE: VEN %s needs no certificate and no password: its name is enough", ven_id)
        return ven

    def _warn_of_bare(self) -> None:
        """Say loudly which VENs come by their names alone."""
        bare = sorted(ven.ven_id for ven in self._service.registrations if ven.identity == "none")
        if bare:
            more = f" and {len(bare) - 10} more" if len(bare) > 10 else ""
            log.warning("INSECURE: the name is enough to speak for VEN %s%s", ", ".join(bare[:10]), more)


def _key(knock: Knock | str) -> str:
    return knock if isinstance(knock, str) else knock.key
