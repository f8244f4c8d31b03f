"""VENs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import quote

import msgspec
from litestar import Response, Router, delete, get, patch, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType

from pyopenadr.model import Registration
from pyopenadr.model.time import Duration
from pyopenadr.vtn.enrolment import fingerprint_text
from pyopenadr.vtn.intake import check_poll_frequency
from pyopenadr.vtn.login import IdentityKind
from pyopenadr.vtn.office import Office
from pyopenadr.vtn.rest.desk import Desk
from pyopenadr.vtn.rest.field import Id, Text
from pyopenadr.vtn.rest.page import After, Limit, Page, paged
from pyopenadr.vtn.rest.problem import Refusal
from pyopenadr.vtn.rest.role import ENROLMENT
from pyopenadr.vtn.rest.version import IfMatch, check_version, tag_of

__all__ = ["known", "router"]


class NewVen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A VEN that has its IDs by other means than a registration message. `profile` is 2.0a or 2.0b.

    `registration_id` is chosen if it is not given. `fingerprint` is that of its certificate.
    """

    ven_id: Id
    ven_name: str | None = None
    profile: str = "2.0b"
    registration_id: Id | None = None
    fingerprint: Text | None = None
    poll_frequency: Duration | None = None


class VenChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shall be different; what is left out stays, null is as for all VENs.

    `poll_frequency` is told to the VEN by having it register again; `signature` is off, accept or require. `identity`
    is what it has to show: its certificate, a `user` and a `password` by HTTP Basic (basic), or nothing but its name
    (none), with which WHOEVER REACHES THE VTN MAY SPEAK FOR THE VEN.
    """

    poll_frequency: Duration | UnsetType | None = UNSET
    signature: Literal["off", "accept", "require"] | UnsetType | None = UNSET
    identity: IdentityKind | UnsetType | None = UNSET
    user: str | None = None
    password: str | None = None


class Ven(msgspec.Struct, frozen=True, kw_only=True):
    """A VEN as the VTN knows it. `login` is the user that it logs in as, where its `identity` is basic."""

    ven_id: str
    ven_name: str | None
    registration_id: str | None
    profile: str
    transport: str
    push_address: str | None
    report_only: bool
    xml_signature: bool
    poll_frequency: Duration
    registered_at: datetime | None
    last_seen: datetime | None
    online: bool
    fingerprint: str | None
    signature: str | None
    second_fingerprint: str | None
    own_poll_frequency: Duration | None
    identity: IdentityKind
    login: str | None


def _shown(ven: Registration) -> Ven:
    """All but the digest of its password."""
    return Ven(**{name: getattr(ven, name) for name in Ven.__struct_fields__})


class Certificate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A certificate by its fingerprint: the 10 bytes of OpenADR or the whole SHA-256, in hex."""

    fingerprint: Text


def _version(ven: Registration) -> object:
    """What the ETag is of: what an operator sets."""
    return (
        ven.ven_id,
        ven.own_poll_frequency,
        ven.signature,
        ven.fingerprints,
        ven.identity,
        ven.login,
        ven.password_digest,
    )


def _reply(office: Office, ven: Registration) -> Response[Ven]:
    return Response(_shown(_now(office, ven)), headers={"etag": tag_of(_version(ven))})


def known(office: Office, ven_id: str) -> Registration:
    """The VEN with that ID as it is now.

    Raises:
        Refusal: 404, there is none.
    """
    registration = office.service.registration(ven_id)
    if registration is None:
        raise Refusal(404, f"there is no VEN {ven_id!r}")
    return _now(office, registration)


def _now(office: Office, registration: Registration) -> Registration:
    return msgspec.structs.replace(
        registration,
        online=office.watch.is_online(registration.ven_id),
        last_seen=office.watch.last_seen(registration),
    )


@get("/", opt=ENROLMENT, summary="VENs")
async def list_vens(
    office: Desk,
    search: Annotated[str | None, QueryParameter(description="A part of the ID or of the name, in any case.")] = None,
    online: FromQuery[bool | None] = None,
    registered: FromQuery[bool | None] = None,
    profile: FromQuery[str | None] = None,
    fingerprint: FromQuery[str | None] = None,
    after: After = None,
    limit: Limit = 100,
) -> Page[Ven]:
    """The VENs that are known, registered or not, by their IDs."""
    part = search.lower() if search else ""

    def is_wanted(ven: Registration) -> bool:
        return (
            (not part or part in ven.ven_id.lower() or part in (ven.ven_name or "").lower())
            and online in (None, office.watch.is_online(ven.ven_id))
            and registered in (None, ven.registration_id is not None)
            and profile in (None, ven.profile)
            and fingerprint in (None, ven.fingerprint)
        )

    found = sorted(filter(is_wanted, office.service.registrations), key=lambda ven: ven.ven_id)
    page = paged(found, lambda ven: ven.ven_id, after, limit)
    return Page(items=[_shown(_now(office, ven)) for ven in page.items], next=page.next)


@post("/", opt=ENROLMENT, summary="Admit a VEN")
async def add_ven(office: Desk, data: JSONBody[NewVen]) -> Response[Ven]:
    """Register a VEN that has its IDs by other means (2.0b rule 405; 2.0a). One that is registered stays so."""
    if data.poll_frequency is not None:
        check_poll_frequency(data.poll_frequency)
    made = await office.server.add_ven(
        data.ven_id,
        ven_name=data.ven_name,
        profile=data.profile,
        registration_id=data.registration_id,
        fingerprint=fingerprint_text(data.fingerprint) if data.fingerprint is not None else None,
    )
    if data.poll_frequency is not None:
        made = await office.server.set_poll_frequency(data.ven_id, data.poll_frequency)
    where = f"/api/vens/{quote(made.ven_id, safe='')}"
    return Response(_shown(made), status_code=201, headers={"location": where, "etag": tag_of(_version(made))})


@get("/{ven_id:str}", opt=ENROLMENT, summary="A VEN")
async def show_ven(office: Desk, ven_id: FromPath[str]) -> Response[Ven]:
    """One VEN; its ETag is that of what an operator has set."""
    return _reply(office, known(office, ven_id))


@patch("/{ven_id:str}", opt=ENROLMENT, summary="Change what is set of a VEN")
async def change_ven(
    office: Desk, ven_id: FromPath[str], data: JSONBody[VenChanges], if_match: IfMatch = None
) -> Response[Ven]:
    """Say how often a VEN shall poll, what is done about its signatures, or what it has to show. Needs If-Match."""
    if data.identity is UNSET and (data.user is not None or data.password is not None):
        raise Refusal(400, "a user and a password go with identity basic: say that, too")
    async with office.drafting:
        check_version(_version(known(office, ven_id)), if_match)
        if data.identity is not UNSET:
            kind = data.identity or "certificate"
            await office.server.set_identity(ven_id, kind, user=data.user, password=data.password)
        if data.signature is not UNSET:
            await office.server.set_signature(ven_id, data.signature)
        if data.poll_frequency is not UNSET:
            await office.server.set_poll_frequency(ven_id, data.poll_frequency)
    return _reply(office, known(office, ven_id))


@post("/{ven_id:str}/fingerprints", opt=ENROLMENT, summary="Bind a certificate to a VEN")
async def add_fingerprint(office: Desk, ven_id: FromPath[str], data: JSONBody[Certificate]) -> Response[Ven]:
    """Bind a certificate to a VEN; a second one while it changes from one to the other."""
    known(office, ven_id)
    await office.server.add_fingerprint(ven_id, data.fingerprint)
    return Response(_shown(known(office, ven_id)), status_code=201)


@delete(
    "/{ven_id:str}/fingerprints/{fingerprint:str}",
    opt=ENROLMENT,
    status_code=204,
    summary="Take a certificate away from a VEN",
)
async def remove_fingerprint(office: Desk, ven_id: FromPath[str], fingerprint: FromPath[str]) -> None:
    """What comes with that certificate is refused from now on."""
    known(office, ven_id)
    await office.server.remove_fingerprint(ven_id, fingerprint)


@delete("/{ven_id:str}", opt=ENROLMENT, status_code=204, summary="End a registration, or forget a VEN")
async def remove_ven(
    office: Desk,
    ven_id: FromPath[str],
    forget: Annotated[
        bool,
        QueryParameter(description="Forget the VEN at once with all that it has said; it is not told."),
    ] = False,
) -> None:
    """Tell a VEN that its registration ends, which it does when the VEN has answered; or forget it."""
    ven = known(office, ven_id)
    if forget:
        await office.service.remove(ven_id)
    elif ven.registration_id is not None:
        await office.server.cancel_registration(ven_id)


@post("/{ven_id:str}/reregister", opt=ENROLMENT, status_code=202, summary="Ask a VEN to register again")
async def reregister(office: Desk, ven_id: FromPath[str]) -> None:
    """Ask a VEN to register again with its IDs."""
    known(office, ven_id)
    await office.server.request_reregistration(ven_id)


router = Router(
    "/vens",
    route_handlers=[
        list_vens,
        add_ven,
        show_ven,
        change_ven,
        remove_ven,
        reregister,
        add_fingerprint,
        remove_fingerprint,
    ],
    tags=["VENs"],
)
