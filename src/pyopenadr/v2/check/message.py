"""Rules that hold for messages of every service."""

from __future__ import annotations

from collections.abc import Iterator

from pyopenadr.v2.check.exchange import EXCHANGES
from pyopenadr.v2.check.finding import Problem, Scene, rule
from pyopenadr.v2.wire import (
    EiResponse,
    EiTarget,
    Message,
    OadrCreatePartyRegistration,
)
from pyopenadr.v2.wire.enumeration import DEVICE_CLASSES

__all__ = ["RULES", "device_class_problems", "is_failure"]

_PARTIES = {"ven": "VEN", "vtn": "VTN"}


def is_failure(code: str) -> bool:
    """Whether a response code reports an error."""
    return code[0] in "45"


def device_class_problems(target: EiTarget | None, name: str) -> Iterator[Problem]:
    """What is wrong with a target that may hold only device classes (2.0b rules 111, 209, 307)."""
    if target is None:
        return
    others = [kind for kind, values in target.items() if values and kind != "end_device_asset"]
    if others:
        yield Problem(
            f"{name} holds more than device classes",
            "keep only endDeviceAsset there; name resources, groups and VENs in the other target",
            (others[0],),
        )
    elif not target.end_device_asset:
        yield Problem(f"{name} is empty", f"leave {name} out", severity="warning")
    for position, device_class in enumerate(target.end_device_asset):
        if device_class not in DEVICE_CLASSES and not device_class.startswith("x-"):
            yield Problem(
                f"{device_class!r} is no device class of the standard",
                "use one of its list, such as Thermostat or Electric_Vehicle, or your own that starts with x-",
                ("end_device_asset", position),
            )


@rule("21", Message, severity="warning")
def _ids_say_something(message: Message, scene: Scene) -> Iterator[Problem]:
    """An ID that is there is not empty."""
    for field, name in (("vtn_id", "vtnID"), ("registration_id", "registrationID"), ("opt_id", "optID")):
        if message.get(field) == "":
            yield Problem(f"{name} is empty", "send the ID, or leave the element out if it is optional", (field,))


@rule("33", Message)
def _right_direction(message: Message, scene: Scene) -> Iterator[Problem]:
    """Each message is sent only by the side that it belongs to."""
    sender = EXCHANGES[message.message_type].sender
    if sender is not None and scene.sender is not None and scene.sender != sender:
        yield Problem(
            f"a {_PARTIES[scene.sender]} must not send {message.message_type}",
            f"only a {_PARTIES[sender]} sends it; the receiver refuses it with 459",
        )


@rule("48", EiResponse, severity="warning")
def _code_has_a_class(response: EiResponse, scene: Scene) -> Iterator[Problem]:
    """The first digit of a response code says what kind of answer it is."""
    if response.response_code[0] not in "12345":
        yield Problem(
            f"response code {response.response_code} is of no known kind",
            "use 200 for success, 4xx if the request was wrong, 5xx if you failed",
            ("response_code",),
        )


@rule("508", Message, profile="2.0b")
def _ven_says_who_it_is(message: Message, scene: Scene) -> Iterator[Problem]:
    """Every message of a VEN carries its venID; only a query and a first registration need none."""
    if "ven_id" not in message or message.get("ven_id") or isinstance(message, OadrCreatePartyRegistration):
        return
    if scene.sender == "ven":
        yield Problem(f"{message.message_type} says not which VEN sends it", "fill venID", ("ven_id",))
    elif scene.sender is None:
        yield Problem(
            "there is no venID: fine from a VTN, but a VEN must always send it",
            "add venID if a VEN sends this",
            ("ven_id",),
            "note",
        )


@rule("509", Message, profile="2.0b")
def _schema_version(message: Message, scene: Scene) -> Iterator[Problem]:
    """Every 2.0b message carries ei:schemaVersion."""
    version = message.get("schema_version")
    fix = f'write ei:schemaVersion="2.0b" on {message.message_type}'
    if version is None:
        yield Problem(f"{message.message_type} has no attribute ei:schemaVersion", fix)
    elif version != "2.0b":
        yield Problem(f"the message is written in 2.0b, but its schemaVersion is {version!r}", fix)


RULES = (_ids_say_something, _right_direction, _code_has_a_class, _ven_says_who_it_is, _schema_version)
