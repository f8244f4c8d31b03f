"""What the VEN's answer must be, said in one line."""

from __future__ import annotations

from pyopenadr.conformance.check import Broken, Questionable
from pyopenadr.v2 import faults, wire

__all__ = ["followed", "rejected", "same", "succeeded", "turned_down"]


def followed(response: wire.EventResponse) -> None:
    """That the event was understood, whatever the VEN opts for.

    Raises:
        Broken: it was refused with an error.
    """
    if not faults.is_success(response.response_code):
        said = f": {response.response_description}" if response.response_description else ""
        raise Broken(f"the event is refused with {response.response_code}{said}")


def rejected(response: wire.EventResponse, *usual: str) -> None:
    """That the event was refused with an error, and opted out of.

    Raises:
        Broken: it was not.
        Questionable: it was, with an unusual code.
    """
    if faults.is_success(response.response_code):
        raise Broken(f"it is answered by {response.response_code} and {response.opt_type}")
    if response.opt_type != "optOut":
        raise Broken(f"it is refused with {response.response_code}, but the answer is {response.opt_type}")
    if usual and response.response_code not in usual:
        raise Questionable(f"it is refused with {response.response_code}; {' or '.join(usual)} says it better")


def succeeded(response: wire.EiResponse) -> None:
    """That a request was taken.

    Raises:
        Broken: it was refused.
    """
    if not faults.is_success(response.response_code):
        said = f": {response.response_description}" if response.response_description else ""
        raise Broken(f"it is refused with {response.response_code}{said}")


def turned_down(response: wire.EiResponse, *usual: str) -> None:
    """That a request was refused.

    Raises:
        Broken: it was taken.
        Questionable: it was refused with an unusual code.
    """
    if faults.is_success(response.response_code):
        raise Broken(f"it is answered by {response.response_code}, as if nothing were wrong")
    if usual and response.response_code not in usual:
        raise Questionable(f"it is refused with {response.response_code}; {' or '.join(usual)} says it better")


def same(what: str, found: object, wanted: object) -> None:
    """That something is what it should be.

    Raises:
        Broken: it is not.
    """
    if found != wanted:
        raise Broken(f"{what} is {found!r}, not {wanted!r}")
