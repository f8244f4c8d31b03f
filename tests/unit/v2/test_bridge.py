from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from pyopenadr.errors import ModelError, RemoteProtocolError
from pyopenadr.model import (
    EVERYONE,
    Area,
    Baseline,
    CalendarDuration,
    Interval,
    LoadControlState,
    LoadControlValue,
    Opt,
    OptType,
    Reading,
    ResourceStatus,
    ResponseRequired,
    Span,
    Target,
    TransportInterface,
    Unit,
)
from pyopenadr.v2 import decode, encode, wire
from pyopenadr.v2.bridge import (
    lift_capability,
    lift_event,
    lift_opt,
    lift_readings,
    lift_request,
    lift_target,
    lift_unit,
    lower_capability,
    lower_event,
    lower_events,
    lower_opt,
    lower_readings,
    lower_request,
    lower_target,
    lower_unit,
)
from pyopenadr.v2.wire.common import ITEM_BASE
from tests.unit.v2.sample import (
    BEFORE,
    EURO_PER_KWH,
    HOUR,
    KILOWATT,
    MINUTE,
    START,
    capability,
    element,
    event,
    point,
    request,
    signal,
    vector,
)

NOTHING = timedelta(0)
replace = msgspec.structs.replace


@contextmanager
def refused(code: str, rule: str | None = None) -> Iterator[None]:
    """Expects a RemoteProtocolError with that code."""
    with pytest.raises(RemoteProtocolError) as caught:
        yield
    assert (caught.value.code, caught.value.rule) == (code, rule)


# --- units --------------------------------------------------------------------------------------------------------

UNITS = (
    Unit(name="voltage", symbol="V"),
    Unit(name="energyReal", symbol="Wh", scale="k"),
    Unit(name="energyApparent", symbol="VAh"),
    Unit(name="energyReactive", symbol="VARh"),
    KILOWATT,
    Unit(name="powerReal", symbol="J/s", hertz=60.0, voltage=110.0, ac=False),
    Unit(name="powerApparent", symbol="VA", hertz=60.0, voltage=110.0, ac=True),
    Unit(name="powerReactive", symbol="VAR", hertz=60.0, voltage=110.0, ac=True),
    Unit(name="current", symbol="A", scale="m"),
    Unit(name="frequency", symbol="Hz"),
    Unit(name="Therm", symbol="thm"),
    Unit(name="temperature", symbol="celsius"),
    Unit(name="pulseCount", symbol="count", pulse_factor=0.001),
    Unit(name="currency", symbol="EUR"),
    Unit(name="currencyPerKW", symbol="USD", scale="c"),
    EURO_PER_KWH,
    Unit(name="currencyPerKWh", symbol="EUR", description="currency"),
    Unit(name="currencyPerThm", symbol="GBP"),
    Unit(name="customUnit", symbol="persons", description="occupancy"),
    Unit(name="oadrGBDataDescription", feed='<atom:feed xmlns:atom="http://www.w3.org/2005/Atom"></atom:feed>'),
)


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: f"{unit.name}-{unit.symbol}")
def test_a_unit_survives(unit: Unit) -> None:
    assert lift_unit(lower_unit(unit)) == unit


def test_every_unit_of_the_schema_is_tried() -> None:
    assert {unit.name for unit in UNITS} == {variant.tag.partition(":")[2] for variant in ITEM_BASE.variants}


def test_no_unit_is_no_unit() -> None:
    assert lift_unit(None) is None
    assert lower_unit(None) is None


def test_what_the_standard_fixes_is_filled_in() -> None:
    item = lower_unit(Unit(name="pulseCount", pulse_factor=1.0))
    assert item == wire.ItemBase(
        element="pulseCount", item_description="pulse count", item_units="count", pulse_factor=1.0
    )
    per_therm = lower_unit(Unit(name="currencyPerThm", symbol="USD"))
    assert per_therm is not None
    assert per_therm.item_description == "currency"


def test_the_units_of_a_message_survive() -> None:
    message = vector("70", wire.OadrRegisterReport)
    items = [description.item_base for report in message.reports for description in report.report_descriptions]
    assert len(items) > 10
    assert [lower_unit(lift_unit(item)) for item in items] == items


@pytest.mark.parametrize(
    ("unit", "reason"),
    [
        (Unit(name="volts"), "no unit 'volts'"),
        (Unit(name="powerReal", symbol="W"), "needs ac, hertz, voltage"),
        (Unit(name="powerReal", symbol="kW", hertz=50.0, voltage=230.0, ac=True), "W, J/s, not 'kW'"),
        (Unit(name="voltage", symbol="kV"), "not 'kV'"),
        (Unit(name="voltage", hertz=50.0), "has no hertz"),
        (Unit(name="voltage", description="tension"), "leave it out"),
        (Unit(name="temperature"), "celsius, fahrenheit, not None"),
        (Unit(name="currency", symbol="BTC"), "ISO 4217"),
        (Unit(name="currency", symbol="EUR", description="money"), "leave it out"),
        (Unit(name="pulseCount"), "needs pulse_factor"),
        (Unit(name="pulseCount", pulse_factor=1.0, scale="k"), "has no scale"),
        (Unit(name="oadrGBDataDescription"), "needs feed"),
        (Unit(name="oadrGBDataDescription", feed="<feed/>", symbol="Wh"), "has no symbol"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_unit_that_the_schema_has_no_form_for_is_refused(unit: Unit, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        lower_unit(unit)


# --- targets ------------------------------------------------------------------------------------------------------

AREA = Area((52.0, 4.0, 52.0, 5.0, 53.0, 5.0, 52.0, 4.0), "c1", "p1")
FULL = Target(
    ven_ids=("ven1",),
    group_ids=("g1", "g2"),
    group_names=("north",),
    resource_ids=("r1",),
    party_ids=("p1",),
    end_device_assets=("Thermostat",),
    aggregated_pnodes=("a1",),
    meter_assets=("m1",),
    pnodes=("n1",),
    service_areas=(AREA,),
    service_delivery_points=("d1",),
    service_locations=(Area((1.0, 2.0)),),
    transport_interfaces=(TransportInterface("here", "there"),),
)


def test_a_target_of_all_kinds_survives() -> None:
    assert all(getattr(FULL, kind) for kind in Target.__struct_fields__)
    lowered = lower_target(FULL)
    assert lowered.lost == ()
    assert lift_target(lowered.value) == FULL


def test_no_target_is_an_empty_one() -> None:
    assert lift_target(None) == EVERYONE == lift_target(wire.EiTarget())
    assert lower_target(EVERYONE).value == wire.EiTarget()


def test_2_0a_has_four_kinds_of_targets() -> None:
    lowered = lower_target(FULL, "2.0a")
    assert lift_target(lowered.value) == Target(
        ven_ids=("ven1",), group_ids=("g1", "g2"), resource_ids=("r1",), party_ids=("p1",)
    )
    assert len(lowered.lost) == 9
    assert "target: 2.0a has no group_names" in lowered.lost


# --- events -------------------------------------------------------------------------------------------------------

BASELINE = Baseline(
    baseline_id="b1",
    baseline_name="as ever",
    start=BEFORE,
    duration=2 * HOUR,
    intervals=(Interval(2 * HOUR, 60.0),),
    resource_ids=("r1", "r2"),
    unit=KILOWATT,
)
RICH = event(
    "rich",
    signal(1, 3, device_classes=("Thermostat", "x-fan")),
    signal(0.3, name="ELECTRICITY_PRICE", kind="price", signal_id="s2", unit=EURO_PER_KWH),
    modification_number=4,
    modification_date_time=BEFORE,
    modification_reason="weather",
    priority=2,
    test_event="true",
    vtn_comment="please",
    start_after=5 * MINUTE,
    notification=CalendarDuration(1),
    ramp_up=-MINUTE,
    recovery=MINUTE,
    baseline=BASELINE,
    target=FULL,
    response_required=ResponseRequired.NEVER,
)


@pytest.mark.parametrize("one", [event(), RICH, event(cancelled=True)], ids=["plain", "rich", "cancelled"])
def test_an_event_survives(one: Any) -> None:
    lowered = lower_event(one, now=BEFORE, ven_id="ven1")
    assert lowered.lost == ()
    assert lowered.value is not None
    assert lift_event(lowered.value) == one


@pytest.mark.parametrize("name", ["21", "22", "23", "24", "25", "26", "27"])
def test_the_events_of_a_message_survive(name: str) -> None:
    message = vector(name, wire.OadrDistributeEvent)
    events = [lift_event(each) for each in message.events]
    lowered = lower_events(events, now=events[0].created_date_time if events else BEFORE, vtn_id="vtn", request_id="d1")
    assert [lift_event(each) for each in lowered.value.events] == events


def test_the_value_and_the_status_are_those_of_now() -> None:
    steps = event("e1", signal(1, 2))
    at_the_end = element(steps, now=START + 45 * MINUTE)
    assert at_the_end.event_descriptor.event_status == "active"
    assert at_the_end.event_descriptor.created_date_time == START + 45 * MINUTE
    assert at_the_end.event_signals[0].current_value == 2
    assert element(steps).event_signals[0].current_value == 0


def test_empty_texts_count_as_absent() -> None:
    plain = element(event())
    descriptor = replace(plain.event_descriptor, test_event="", vtn_comment="", modification_reason="")
    assert lift_event(replace(plain, event_descriptor=descriptor)) == event()


def with_signal(**fields: Any) -> wire.OadrEvent:
    plain = element(event("e1", signal(1, 2)))
    return replace(plain, event_signals=(replace(plain.event_signals[0], **fields),))


def with_interval(**fields: Any) -> wire.OadrEvent:
    first, second = element(event("e1", signal(1, 2))).event_signals[0].intervals
    return with_signal(intervals=(first, replace(second, **fields)))


@pytest.mark.parametrize(
    ("fields", "code", "rule"),
    [
        ({"uid": "2"}, "450", "101"),
        ({"uid": "b"}, "450", "101"),
        ({"duration": None}, "459", "102"),
        ({"dtstart": START}, "459", "103"),
        ({"payloads": (wire.SignalPayload(value=1.0),) * 2}, "459", "100"),
        ({"payloads": (wire.ReportPayload(r_id="r1", value=1.0),)}, "459", "100"),
        (
            {"payloads": (wire.SignalPayload(value=wire.ResourceStatus(online=True, manual_override=False)),)},
            "459",
            "100",
        ),
        ({"payloads": (wire.SignalPayload(value=math.nan),)}, "454", None),
        ({"payloads": (wire.SignalPayload(value=-math.inf),)}, "454", None),
    ],
)
def test_an_interval_without_meaning_is_refused(fields: dict[str, Any], code: str, rule: str | None) -> None:
    with refused(code, rule):
        lift_event(with_interval(**fields))


@pytest.mark.parametrize("fields", [{"uid": None}, {"uid": " 1 "}, {"dtstart": START + HOUR / 2}])
def test_a_harmless_deviation_is_not(fields: dict[str, Any]) -> None:
    assert lift_event(with_interval(**fields)) == event("e1", signal(1, 2))


def test_a_signal_may_be_narrowed_to_device_classes_only() -> None:
    with refused("459", "111"):
        lift_event(with_signal(target=wire.EiTarget(resource_id=("r1",))))
    assert lift_event(with_signal(target=wire.EiTarget())) == event("e1", signal(1, 2))


@pytest.mark.parametrize("name", ["simple", "Simple", "SIMPLE"])
def test_simple_may_be_written_in_any_case_and_with_any_type(name: str) -> None:
    assert lift_event(with_signal(signal_name=name, signal_type="price")) == event("e1", signal(1, 2))


def test_a_message_names_no_other_ven() -> None:
    two = event(target=Target(ven_ids=("ven1", "ven2")))
    for ven_id in ("ven1", "ven2"):
        lowered = lower_event(two, now=BEFORE, ven_id=ven_id)
        assert lowered.value is not None
        assert (lowered.value.target.ven_id, lowered.lost) == ((ven_id,), ())
    anybody = lower_event(two, now=BEFORE)
    assert anybody.value is not None
    assert anybody.value.target.ven_id == ()
    assert anybody.lost == ("target: a message names at most one venID, not ven1, ven2",)


def test_ids_of_areas_stand_once_in_a_message() -> None:
    target = Target(service_areas=(AREA, AREA))
    message = lower_events(
        [event("a", target=target), event("b", target=target)], now=BEFORE, vtn_id="v", request_id="1"
    )
    areas = [area for each in message.value.events for area in each.target.service_area]
    assert [(area.id, area.polygon_id) for area in areas] == [("c1", "p1"), *[(None, None)] * 3]
    encode(message.value)


# --- 2.0a ---------------------------------------------------------------------------------------------------------


def test_2_0a_gets_the_simple_signal() -> None:
    lowered = lower_event(RICH, now=BEFORE, ven_id="ven1", profile="2.0a")
    assert lowered.value is not None
    assert lift_event(lowered.value) == event(
        "rich",
        signal(1, 3),
        modification_number=4,
        priority=2,
        test_event="true",
        vtn_comment="please",
        start_after=5 * MINUTE,
        notification=CalendarDuration(1),
        ramp_up=-MINUTE,
        recovery=MINUTE,
        target=Target(ven_ids=("ven1",), group_ids=("g1", "g2"), resource_ids=("r1",), party_ids=("p1",)),
        response_required=ResponseRequired.NEVER,
    )
    assert lowered.value.event_signals[0].signal_name == "simple"
    assert lowered.lost[:5] == (
        "signal 's2': 2.0a has only one SIMPLE signal, and no ELECTRICITY_PRICE",
        "signal 's1': 2.0a has no device classes; it acts on all devices",
        "event 'rich': 2.0a has no modification_date_time",
        "event 'rich': 2.0a has no modification_reason",
        "event 'rich': 2.0a has no baseline",
    )
    assert len(lowered.lost) == 5 + 9


def test_of_several_simple_signals_2_0a_gets_the_general_one() -> None:
    two = event("e1", signal(1, device_classes=("Thermostat",)), signal(2, signal_id="s2"))
    lowered = lower_event(two, now=BEFORE, profile="2.0a")
    assert lowered.value is not None
    assert [each.signal_id for each in lowered.value.event_signals] == ["s2"]
    assert lowered.lost == ("signal 's1': 2.0a has only one SIMPLE signal",)


def test_2_0a_can_not_express_an_event_without_a_simple_signal() -> None:
    price = event("e1", signal(0.3, name="ELECTRICITY_PRICE", kind="price", unit=EURO_PER_KWH))
    lowered = lower_event(price, now=BEFORE, profile="2.0a")
    assert lowered.value is None
    assert len(lowered.lost) == 2
    message = lower_events([price, event()], now=BEFORE, vtn_id="vtn", request_id="1", profile="2.0a")
    assert [each.event_descriptor.event_id for each in message.value.events] == ["e1"]
    assert message.lost == lowered.lost


def test_a_target_that_2_0a_lacks_becomes_the_ven_itself() -> None:
    narrow = event(target=Target(pnodes=("n1",)))
    for ven_id, expected in (("ven1", ("ven1",)), (None, ())):
        lowered = lower_event(narrow, now=BEFORE, ven_id=ven_id, profile="2.0a")
        assert lowered.value is not None
        assert lowered.value.target == wire.EiTarget(ven_id=expected)


def test_a_2_0a_message_can_be_written_and_read() -> None:
    message = lower_events([RICH], now=BEFORE, vtn_id="vtn", request_id="1", ven_id="ven1", profile="2.0a").value
    assert decode(encode(message, profile="2.0a"), profile="2.0a").message == message


# --- capabilities and requests ------------------------------------------------------------------------------------


def test_a_capability_survives() -> None:
    rich = capability(
        point("a", data_source=FULL, subject=("Thermostat",), market_context="http://market.example", on_change=True),
        point("b", unit=None, report_type="x-resourceStatus", reading_type="x-notApplicable"),
        point("c", min_period=None, max_period=None),
    )
    lowered = lower_capability(rich)
    assert lift_capability(lowered) == rich
    assert (lowered.report_name, lowered.report_request_id) == ("METADATA_TELEMETRY_USAGE", "0")
    assert (lowered.dtstart, lowered.intervals, lowered.ei_report_id) == (None, (), None)


def test_a_report_of_ones_own_has_no_prefix() -> None:
    assert lower_capability(capability(report_name="x-fans")).report_name == "x-fans"
    assert lift_capability(lower_capability(capability(report_name="x-fans"))).report_name == "x-fans"


@pytest.mark.parametrize("fields", [{"min_period": None}, {"max_period": None}])
def test_half_a_sampling_rate_is_none(fields: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="rule 333"):
        lower_capability(capability(point(**fields)))
    with pytest.raises(ModelError, match="rule 333"):
        lower_capability(capability(point(min_period=None, max_period=None, on_change=True)))


def test_a_metadata_report_may_lack_a_duration_but_not_a_name() -> None:
    report = lower_capability(capability())
    assert lift_capability(replace(report, duration=None)) == capability(duration=NOTHING)
    assert lift_capability(replace(report, report_name="TELEMETRY_USAGE")) == capability()
    with refused("459", "331"):
        lift_capability(replace(report, report_name=None))


@pytest.mark.parametrize("name", ["50", "52"])
def test_the_capabilities_of_a_message_survive(name: str) -> None:
    reports = vector(name, wire.OadrRegisterReport).reports
    assert len(reports) > 0
    assert [lower_capability(lift_capability(report)) for report in reports] == list(reports)


@pytest.mark.parametrize(
    "asked",
    [
        request(duration=HOUR),
        request(start=None, granularity=NOTHING, report_back_duration=NOTHING, r_ids=("a", "b")),
        request(report_specifier_id="METADATA", r_ids=()),
    ],
    ids=["periodic", "one-shot", "metadata"],
)
def test_a_request_survives(asked: Any) -> None:
    assert lift_request(lower_request(asked)) == asked


@pytest.mark.parametrize("name", ["55", "56", "57", "58", "59"])
def test_the_requests_of_a_message_survive(name: str) -> None:
    requests = vector(name, wire.OadrCreateReport).report_requests
    assert [lower_request(lift_request(each)) for each in requests] == list(requests)


def test_a_request_for_metadata_asks_for_rid_0() -> None:
    payloads = lower_request(request(report_specifier_id="METADATA", r_ids=())).report_specifier.specifier_payloads
    assert payloads == (wire.SpecifierPayload(r_id="0", reading_type="x-notApplicable"),)


@pytest.mark.parametrize("fields", [{"r_ids": ()}, {"start": None, "duration": HOUR}])
def test_a_request_for_nothing_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ModelError):
        lower_request(request(**fields))


# --- readings -----------------------------------------------------------------------------------------------------


def reading(minute: int, value: float | ResourceStatus = 1.0, r_id: str = "r1", **fields: Any) -> Reading:
    return Reading(r_id=r_id, start=START + minute * MINUTE, value=value, **fields)


def lower(*readings: Reading) -> wire.OadrReport:
    return lower_readings(request(), "TELEMETRY_USAGE", readings, created=BEFORE)


STATUS = ResourceStatus(
    online=True,
    manual_override=False,
    load_control_state=LoadControlState(
        capacity=LoadControlValue(current=0.5, minimum=0.0, maximum=1.0, normal=1.0),
        level_offset=LoadControlValue(current=1.0),
        percent_offset=LoadControlValue(current=-5.0),
        set_point=LoadControlValue(current=21.0),
    ),
)


def test_readings_survive() -> None:
    readings = (
        reading(0, r_id="a", quality="Quality Good - Non Specific", confidence=90, accuracy=0.5),
        reading(0, r_id="b"),
        reading(1, STATUS),
        reading(1, ResourceStatus(online=False, manual_override=True), r_id="c"),
        reading(1, ResourceStatus(online=False, manual_override=True, load_control_state=LoadControlState())),
    )
    assert lift_readings(lower(*readings)) == readings


def test_readings_of_one_instant_share_an_interval_and_intervals_ascend() -> None:
    report = lower(reading(2), reading(0), reading(2, r_id="r2"), reading(1))
    assert [interval.dtstart for interval in report.intervals] == [START, START + MINUTE, START + 2 * MINUTE]
    assert [len(interval.payloads) for interval in report.intervals] == [1, 1, 2]
    assert report.dtstart == START
    assert report.report_descriptions == ()
    assert (report.report_name, report.report_request_id, report.report_specifier_id, report.created_date_time) == (
        "TELEMETRY_USAGE",
        "q1",
        "spec1",
        BEFORE,
    )


def test_points_have_no_duration_and_amounts_have_one() -> None:
    assert [interval.duration for interval in lower(reading(0), reading(1)).intervals] == [None, None]
    amounts = lower(reading(0, duration=MINUTE), reading(1, duration=MINUTE))
    assert [interval.duration for interval in amounts.intervals] == [MINUTE, MINUTE]


def test_where_both_occur_points_have_a_duration_of_zero() -> None:
    mixed = (reading(0, r_id="power"), reading(0, r_id="energy", duration=MINUTE))
    report = lower(*mixed)
    assert [interval.duration for interval in report.intervals] == [NOTHING, MINUTE]
    assert lift_readings(report) == mixed


def test_a_report_without_readings_is_refused() -> None:
    with pytest.raises(ModelError, match="rule 313"):
        lower()


@pytest.mark.parametrize("name", ["62", "63", "64", "65"])
def test_the_readings_of_a_message_survive(name: str) -> None:
    reports = vector(name, wire.OadrUpdateReport).reports
    assert len(reports) > 0
    for report in reports:
        readings = lift_readings(report)
        assert len(readings) > 0
        assert lift_readings(lower(*readings)) == readings


def test_intervals_with_only_durations_follow_each_other() -> None:
    report = vector("63", wire.OadrUpdateReport).reports[0]
    assert report.dtstart is not None
    readings = lift_readings(report)
    assert [each.start for each in readings] == [report.dtstart + n * MINUTE for n in range(len(readings))]
    assert {each.duration for each in readings} == {MINUTE}


def payload(value: float = 1.0) -> tuple[wire.ReportPayload, ...]:
    return (wire.ReportPayload(r_id="r1", value=value),)


def report_of(*intervals: wire.Interval, dtstart: Any = START) -> wire.OadrReport:
    return replace(lower(reading(0)), intervals=intervals, dtstart=dtstart)


def test_a_single_interval_may_lean_on_the_start_of_the_report() -> None:
    assert lift_readings(report_of(wire.Interval(uid="0", payloads=payload()))) == (reading(0),)


def test_uids_are_not_looked_at() -> None:
    same = [wire.Interval(uid="0", duration=MINUTE, payloads=payload())] * 2
    assert lift_readings(report_of(*same)) == (reading(0, duration=MINUTE), reading(1, duration=MINUTE))


def test_an_interval_without_a_start_follows_the_one_before_it() -> None:
    first = wire.Interval(dtstart=START + MINUTE, duration=MINUTE, payloads=payload())
    second = wire.Interval(duration=MINUTE, payloads=payload())
    assert [each.start for each in lift_readings(report_of(first, second, dtstart=None))] == [
        START + MINUTE,
        START + 2 * MINUTE,
    ]


def test_an_interval_at_no_known_instant_is_refused() -> None:
    with refused("459", "314"):
        lift_readings(report_of(wire.Interval(duration=MINUTE, payloads=payload()), dtstart=None))
    with refused("459", "315"):
        lift_readings(report_of(*[wire.Interval(uid="0", payloads=payload())] * 2))


def test_nan_is_no_value_and_infinity_no_reading() -> None:
    (found,) = lift_readings(report_of(wire.Interval(payloads=payload(math.nan))))
    assert isinstance(found.value, float)
    assert math.isnan(found.value)
    with refused("454"):
        lift_readings(report_of(wire.Interval(payloads=payload(math.inf))))


@pytest.mark.parametrize(
    ("found", "code"), [(wire.GBPayload(feed="<feed/>"), "461"), (wire.SignalPayload(value=1.0), "459")]
)
def test_other_payloads_are_no_readings(found: Any, code: str) -> None:
    with refused(code):
        lift_readings(report_of(wire.Interval(payloads=(found,))))


# --- opts ---------------------------------------------------------------------------------------------------------


def opt(**fields: Any) -> Opt:
    defaults: dict[str, Any] = {
        "opt_id": "o1",
        "ven_id": "ven1",
        "opt_type": OptType.OUT,
        "opt_reason": "economic",
        "created_date_time": BEFORE,
    }
    return Opt(**(defaults | fields))


SCHEDULE = opt(
    availability=(Span(START, START + HOUR), Span(START + 2 * HOUR)),
    market_context="http://market.example/a",
    target=Target(resource_ids=("r1",)),
    device_classes=("Thermostat",),
)
OF_EVENT = opt(event_id="e1", modification_number=3)


@pytest.mark.parametrize("one", [SCHEDULE, OF_EVENT], ids=["schedule", "event"])
def test_an_opt_survives(one: Opt) -> None:
    message = lower_opt(one, "q1")
    assert message.request_id == "q1"
    assert lift_opt(message) == one


@pytest.mark.parametrize("name", ["40", "41"])
def test_the_opt_of_a_message_survives(name: str) -> None:
    message = vector(name, wire.OadrCreateOpt)
    assert lift_opt(lower_opt(lift_opt(message), message.request_id)) == lift_opt(message)


def test_an_opt_for_everything_names_the_ven() -> None:
    message = lower_opt(OF_EVENT)
    assert message.target == wire.EiTarget(ven_id=("ven1",))
    assert lift_opt(replace(message, target=wire.EiTarget())) == OF_EVENT
    assert lift_opt(replace(message, target=wire.EiTarget(ven_id=("ven2",)))).target == Target(ven_ids=("ven2",))


def test_an_endless_availability_has_a_duration_of_zero() -> None:
    message = lower_opt(SCHEDULE)
    assert message.vavailability is not None
    assert [each.duration for each in message.vavailability] == [HOUR, NOTHING]


@pytest.mark.parametrize(
    ("one", "rule"),
    [
        (opt(), "206"),
        (opt(event_id="e1", modification_number=0, availability=(Span(START),)), "206"),
        (opt(event_id="e1"), "206"),
        (opt(availability=(Span(START),), modification_number=0), "206"),
        (replace(OF_EVENT, market_context="http://market.example/a"), "206"),
        (opt(availability=(Span(START, START),)), "210"),
        (opt(availability=(Span(START, BEFORE),)), "210"),
    ],
)
def test_an_opt_that_says_nothing_or_too_much_is_not_sent(one: Opt, rule: str) -> None:
    with pytest.raises(ModelError, match=f"rule {rule}"):
        lower_opt(one)


AVAILABLE = wire.WsCalendarInterval(dtstart=START, duration=HOUR)


@pytest.mark.parametrize(
    ("fields", "code", "rule"),
    [
        ({"event_id": None, "modification_number": None}, "459", "206"),
        ({"event_id": None, "modification_number": None, "vavailability": ()}, "459", "206"),
        ({"vavailability": (AVAILABLE,)}, "459", "206"),
        ({"device_class": wire.EiTarget(resource_id=("r1",))}, "459", "209"),
    ],
)
def test_such_an_opt_is_refused(fields: dict[str, Any], code: str, rule: str) -> None:
    with refused(code, rule):
        lift_opt(replace(lower_opt(OF_EVENT), **fields))


@pytest.mark.parametrize(
    ("fields", "code", "rule"),
    [
        ({"start_after": MINUTE}, "459", "200"),
        ({"notification": NOTHING}, "459", "200"),
        ({"ramp_up": MINUTE}, "459", "200"),
        ({"recovery": MINUTE}, "459", "200"),
        ({"duration": -MINUTE}, "454", None),
    ],
)
def test_a_time_of_availability_has_only_a_start_and_a_duration(
    fields: dict[str, Any], code: str, rule: str | None
) -> None:
    with refused(code, rule):
        lift_opt(replace(lower_opt(SCHEDULE), vavailability=(replace(AVAILABLE, **fields),)))
