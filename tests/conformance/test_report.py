"""The numbered rules on reports (2.0b section D), by what the pure rules and the bridge do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pyopenadr.errors import ModelError, RemoteProtocolError
from pyopenadr.model import Reading, ResourceStatus, Target
from pyopenadr.v2 import encode, wire
from pyopenadr.v2.bridge import (
    lift_capability,
    lift_readings,
    lift_request,
    lower_capability,
    lower_readings,
    lower_request,
)
from pyopenadr.v2.vtn import check_request
from tests.unit.v2.sample import BEFORE, HOUR, MINUTE, START, capability, point, request, vector

NOTHING = timedelta(0)
OFFER = (capability(point("r1"), point("r2", on_change=True)),)
HISTORY = (capability(report_name="HISTORY_USAGE"),)
ONCE: dict[str, Any] = {"granularity": NOTHING, "report_back_duration": NOTHING}


def reading(minute: int, r_id: str = "r1", **fields: Any) -> Reading:
    defaults: dict[str, Any] = {"value": 1.0}
    return Reading(r_id=r_id, start=START + minute * MINUTE, **(defaults | fields))


def report(*readings: Reading) -> wire.OadrReport:
    return lower_readings(request(), "TELEMETRY_USAGE", readings, created=BEFORE)


def refusal(offer: Any = OFFER, live: tuple[str, ...] = (), **fields: Any) -> str | None:
    """The code with which the request is refused."""
    try:
        check_request(request(**fields), offer, live)
    except RemoteProtocolError as error:
        return error.code
    return None


def test_rule_300_both_only_what_is_offered_can_be_asked() -> None:
    assert refusal(r_ids=("r1", "r2")) is None
    assert refusal(r_ids=("r1", "r3")) == "452"


def test_rule_302_343_both_no_data_source_means_all_resources() -> None:
    (description,) = lower_capability(capability(point())).report_descriptions
    assert description.report_data_source is None
    assert lift_capability(lower_capability(capability(point()))).points[0].data_source == Target()


@pytest.mark.parametrize("fields", [{"report_specifier_id": "x"}, {"r_ids": ("x",)}, {"report_request_id": "live"}])
def test_rule_304_322_both_ids_are_validated(fields: dict[str, Any]) -> None:
    assert refusal(live=("live",), **fields) == "452"


def test_rule_305_both_metadata_describes_and_holds_no_data() -> None:
    lowered = lower_capability(capability())
    assert lowered.report_descriptions[0].item_base is not None
    assert (lowered.intervals, lowered.dtstart, lowered.ei_report_id) == ((), None, None)


def test_rule_307_both_the_subject_is_device_classes() -> None:
    (description,) = lower_capability(capability(point(subject=("EVSE",)))).report_descriptions
    assert description.report_subject == wire.EiTarget(end_device_asset=("EVSE",))
    (description,) = lower_capability(capability(point())).report_descriptions
    assert description.report_subject is None


def test_rule_308_327_both_metadata_is_asked_for_with_any_rid() -> None:
    lowered = lower_request(request(report_specifier_id="METADATA", r_ids=()))
    assert [each.r_id for each in lowered.report_specifier.specifier_payloads] == ["0"]
    assert lowered.report_specifier.report_specifier_id == "METADATA"
    assert lift_request(lowered).is_metadata
    assert refusal(offer=(), report_specifier_id="METADATA", r_ids=()) is None


def test_rule_311_both_the_inner_request_id_of_metadata_is_0() -> None:
    assert lower_capability(capability()).report_request_id == "0"


def test_rule_312_both_metadata_says_how_much_is_kept() -> None:
    assert lower_capability(capability(duration=HOUR)).duration == HOUR


def test_rule_313_both_data_has_a_start_a_name_and_no_description() -> None:
    lowered = report(reading(0))
    assert (lowered.dtstart, lowered.report_name) == (START, "TELEMETRY_USAGE")
    assert lowered.intervals
    assert lowered.report_descriptions == ()
    with pytest.raises(ModelError, match="rule 313"):
        report()


def test_rule_314_both_intervals_ascend_from_the_start_of_the_report() -> None:
    lowered = report(reading(2), reading(0), reading(1))
    assert [each.dtstart for each in lowered.intervals] == [START + n * MINUTE for n in range(3)]
    assert lowered.dtstart == lowered.intervals[0].dtstart


def test_rule_315_both_all_intervals_have_a_duration_or_none_has() -> None:
    assert {each.duration for each in report(reading(0), reading(1)).intervals} == {None}
    mixed = report(reading(0), reading(1, duration=MINUTE))
    assert {each.duration for each in mixed.intervals} == {NOTHING, MINUTE}


def test_rule_315_both_intervals_without_a_start_need_durations() -> None:
    payload = (wire.ReportPayload(r_id="r1", value=1.0),)
    bare = wire.OadrReport(
        dtstart=START,
        intervals=(wire.Interval(uid="0", payloads=payload), wire.Interval(uid="1", payloads=payload)),
        report_request_id="q1",
        report_specifier_id="spec1",
        report_name="TELEMETRY_USAGE",
        created_date_time=START,
    )
    with pytest.raises(RemoteProtocolError, match="rule 315"):
        lift_readings(bare)


def test_rule_316_both_intervals_by_number_are_understood() -> None:
    lifted = lift_readings(vector("63", wire.OadrUpdateReport).reports[0])
    assert [each.start for each in lifted] == [START + n * MINUTE for n in range(len(lifted))]


def test_rule_317_both_no_faster_than_offered_and_on_change_only_if_offered() -> None:
    assert refusal(granularity=MINUTE) is None
    assert refusal(granularity=timedelta(seconds=59)) == "454"
    assert refusal(granularity=2 * HOUR) == "454"
    assert refusal(granularity=NOTHING) == "454"
    assert refusal(granularity=NOTHING, r_ids=("r2",)) is None


def test_rule_318_319_both_a_value_that_is_missing_has_a_quality() -> None:
    bad = reading(0, value=0.0, quality="Quality Bad - Comm Failure", accuracy=0.5, confidence=0)
    assert lift_readings(report(bad)) == (bad,)


def test_rule_321_338_both_a_request_says_no_more_than_what_and_when() -> None:
    specifier = lower_request(request()).report_specifier
    assert specifier.report_interval == wire.WsCalendarInterval(dtstart=START, duration=NOTHING)
    assert specifier.specifier_payloads == (wire.SpecifierPayload(r_id="r1", reading_type="x-notApplicable"),)


def test_rule_324_both_how_often() -> None:
    assert request(**ONCE).is_one_shot
    assert refusal(**ONCE, start=None) is None
    assert refusal(granularity=timedelta(seconds=1), report_back_duration=NOTHING) is None
    assert refusal(offer=HISTORY, **ONCE) is None
    assert refusal(offer=HISTORY, granularity=NOTHING) == "454"
    assert refusal(offer=HISTORY, **ONCE, start=None) == "459"


def test_rule_330_both_an_rid_is_any_text() -> None:
    assert lift_readings(report(reading(0, "rid-ä 1"))) == (reading(0, "rid-ä 1"),)


def test_rule_331_both_well_known_reports_have_a_prefix_in_metadata() -> None:
    for name in ("TELEMETRY_USAGE", "TELEMETRY_STATUS", "HISTORY_USAGE"):
        lowered = lower_capability(capability(report_name=name))
        assert lowered.report_name == f"METADATA_{name}"
        assert lift_capability(lowered).report_name == name


def test_rule_333_ven_a_sampling_rate_is_whole() -> None:
    (description,) = lower_capability(capability(point(on_change=True))).report_descriptions
    assert description.sampling_rate == wire.SamplingRate(min_period=MINUTE, max_period=HOUR, on_change=True)
    with pytest.raises(ModelError, match="rule 333"):
        lower_capability(capability(point(max_period=None)))


def test_rule_334_ven_the_state_of_a_resource_survives() -> None:
    (lifted,) = lift_readings(vector("64", wire.OadrUpdateReport).reports[0])
    assert isinstance(lifted.value, ResourceStatus)
    state = lifted.value.load_control_state
    assert state is not None
    assert state.capacity is not None
    assert state.set_point is not None
    assert (state.capacity.maximum, state.set_point.current, state.level_offset) == (1.0, 21.5, None)
    assert lift_readings(report(lifted)) == (lifted,)


def test_rule_339_both_the_report_id_is_not_used() -> None:
    assert b"eiReportID" not in encode(wire.OadrUpdateReport(request_id="1", reports=(report(reading(0)),)))


def test_rule_340_both_no_more_than_is_kept() -> None:
    assert refusal(offer=HISTORY, **ONCE, duration=timedelta(days=1)) is None
    assert refusal(offer=HISTORY, **ONCE, duration=timedelta(days=2)) == "454"
    assert refusal(report_back_duration=timedelta(days=2)) == "454"


def test_rule_342_both_points_have_only_a_start_and_amounts_both() -> None:
    assert [(each.dtstart, each.duration) for each in report(reading(0)).intervals] == [(START, None)]
    amount = report(reading(0, duration=MINUTE))
    assert [(each.dtstart, each.duration) for each in amount.intervals] == [(START, MINUTE)]
