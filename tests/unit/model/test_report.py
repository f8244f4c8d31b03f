from __future__ import annotations

from datetime import timedelta

from tests.unit.v2.sample import HOUR, capability, point, request


def test_a_capability_finds_its_points() -> None:
    two = capability(point("a"), point("b"))
    assert two.point("b") == point("b")
    assert two.point("c") is None


def test_a_request_for_metadata_is_known_by_its_specifier() -> None:
    assert request(report_specifier_id="METADATA").is_metadata
    assert not request(report_specifier_id="metadata").is_metadata


def test_a_request_without_a_report_back_duration_is_for_one_report() -> None:
    assert request(report_back_duration=timedelta(0)).is_one_shot
    assert not request(report_back_duration=HOUR).is_one_shot
