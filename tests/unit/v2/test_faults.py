from __future__ import annotations

import pytest

from pyopenadr.errors import (
    ConfigError,
    LocalProtocolError,
    Malformed,
    ModelError,
    OpenADRError,
    PeerRefused,
    RemoteProtocolError,
    SchemaMismatch,
    SignatureInvalid,
    StoreError,
    TransportError,
)
from pyopenadr.v2 import faults, wire


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelError("x"), "454"),
        (SchemaMismatch("x"), "459"),
        (Malformed("x"), "459"),
        (SignatureInvalid("x"), "463"),
        (LocalProtocolError("x", code="451"), "451"),
        (RemoteProtocolError("x"), "459"),
        (PeerRefused("462"), "462"),
        (StoreError("x"), "500"),
        (TransportError("x"), "500"),
        (ConfigError("x"), "500"),
        (OpenADRError("x"), "500"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, OpenADRError) else value,
)
def test_each_error_has_a_code(error: OpenADRError, code: str) -> None:
    assert faults.code_of(error) == code


def test_a_response_is_ok_unless_said_otherwise() -> None:
    assert faults.response() == wire.EiResponse(response_code="200", response_description="OK", request_id="")
    assert faults.response("q1", "452").response_description == "invalid ID"
    assert faults.response("q1", "452", "no ven7").response_description == "no ven7"
    assert faults.response("q1", "499").response_description is None
    assert faults.response("q1").request_id == "q1"


def test_a_fault_says_what_was_wrong() -> None:
    found = faults.fault(RemoteProtocolError("no ven7", code="452", rule="21"), "q1")
    assert found == faults.response("q1", "452", "no ven7 (rule 21)")


def test_a_refusal_is_passed_on_in_the_words_of_the_peer() -> None:
    assert faults.fault(PeerRefused("462", "not here", message_type="oadrResponse")) == faults.response(
        "", "462", "not here"
    )


def test_what_went_wrong_inside_stays_inside() -> None:
    assert "password" not in str(faults.fault(StoreError("wrong password for postgresql://…")))


def test_a_message_has_a_response_or_none() -> None:
    response = faults.response("q1", "452")
    assert faults.response_of(wire.OadrResponse(response=response)) == response
    assert faults.response_of(wire.OadrDistributeEvent(request_id="d", vtn_id="vtn")) is None
    assert faults.response_of(wire.OadrPoll(ven_id="ven1")) is None


@pytest.mark.parametrize("code", ["200", "201", "299"])
def test_success_passes(code: str) -> None:
    faults.raise_for(wire.OadrResponse(response=faults.response("", code)))


def test_a_message_without_a_response_passes() -> None:
    faults.raise_for(wire.OadrPoll(ven_id="ven1"))


@pytest.mark.parametrize("code", ["100", "300", "452", "500", "000"])
def test_everything_else_is_a_refusal(code: str) -> None:
    with pytest.raises(PeerRefused) as caught:
        faults.raise_for(wire.OadrCanceledOpt(response=faults.response("", code, "why")))
    assert (caught.value.code, caught.value.description, caught.value.message_type) == (code, "why", "oadrCanceledOpt")


@pytest.mark.parametrize("code", [*faults.CODES, "499"])
def test_the_way_back_keeps_the_code(code: str) -> None:
    assert faults.code_of(faults.error_of(code)) == code


def test_the_way_back_keeps_the_description() -> None:
    assert "no ven7" in str(faults.error_of("452", "no ven7"))
    assert "invalid ID" in str(faults.error_of("452", None))
