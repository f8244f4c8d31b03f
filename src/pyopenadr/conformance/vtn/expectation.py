"""What a reply of the VTN must be, said in one line."""

from __future__ import annotations

from typing import TypeVar

from pyopenadr.conformance.check import Broken, Questionable
from pyopenadr.conformance.vtn.stage import Answer
from pyopenadr.v2 import faults, wire

__all__ = ["accepted", "echoed", "refused", "same"]

M = TypeVar("M", bound=wire.Message)


def accepted(answer: Answer, kind: type[M]) -> M:
    """The reply as that message, with success.

    Raises:
        Broken: it is another one, or an error.
    """
    message = answer.message
    if not isinstance(message, kind):
        raise Broken(f"the reply is {answer}, not {kind.__name__[0].lower()}{kind.__name__[1:]}")
    response = faults.response_of(message)
    if response is not None and not faults.is_success(response.response_code):
        said = f": {response.response_description}" if response.response_description else ""
        raise Broken(f"{message.message_type} says {response.response_code}{said}")
    return message


def refused(answer: Answer, *usual: str) -> None:
    """That the reply is an error of the application, 4xx.

    Raises:
        Broken: it is a success, no message, or not one with a response code.
        Questionable: it is an error, but none of the `usual` codes.
    """
    code = answer.code
    if code is None:
        raise Broken(f"it is answered by {answer}, not by an error in a message")
    if not code.startswith(("4", "5")):
        raise Broken(f"it is answered by {answer}, as if nothing were wrong")
    if usual and code not in usual:
        raise Questionable(f"it is refused with {code}; {' or '.join(usual)} says it better")


def echoed(answer: Answer, request_id: str) -> None:
    """That the reply quotes the requestID of what it answers.

    Raises:
        Broken: it does not.
    """
    response = faults.response_of(answer.message) if answer.message is not None else None
    if response is None:
        raise Broken(f"the reply is {answer}, which has no requestID")
    same("the requestID in eiResponse", response.request_id, request_id)


def same(what: str, found: object, wanted: object) -> None:
    """That something is what it should be.

    Raises:
        Broken: it is not.
    """
    if found != wanted:
        raise Broken(f"{what} is {found!r}, not {wanted!r}")
