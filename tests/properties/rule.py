"""Strategies for model values that 2.0b can express."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hypothesis import strategies as st

from pyopenadr.model import (
    EVERYONE,
    Area,
    Baseline,
    CalendarDuration,
    Capability,
    DataPoint,
    Event,
    Interval,
    LoadControlState,
    LoadControlValue,
    Opt,
    OptType,
    Reading,
    ReportRequest,
    ResourceStatus,
    ResponseRequired,
    Signal,
    Span,
    Target,
    TransportInterface,
    Unit,
)
from pyopenadr.v2.wire import enumeration

T = TypeVar("T")

ORIGIN = datetime(2030, 1, 1, tzinfo=UTC)
NOTHING = timedelta(0)

texts = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn")), max_size=8)
some_text = texts.filter(bool)
own_names = st.from_regex(r"\Ax-[A-Za-z_.]{1,6}\Z")
uris = st.sampled_from(["http://market.example/a", "urn:programme:b", "http://x.example/?q=1#f", "#c"])
numbers = st.floats(allow_nan=False, allow_infinity=False)
instants = st.integers(-10_000_000, 100_000_000).map(lambda seconds: ORIGIN + timedelta(seconds=seconds))
plain = st.integers(1, 10_000_000).map(lambda seconds: timedelta(seconds=seconds))
calendar = st.builds(CalendarDuration, st.integers(1, 30), st.just(NOTHING) | plain)
periods = plain | calendar
amounts = st.just(NOTHING) | periods
signed = (
    amounts
    | plain.map(lambda period: -period)
    | st.builds(CalendarDuration, st.integers(1, 30), negative=st.just(True))
)


def tuples(values: st.SearchStrategy[T], maximum: int = 3) -> st.SearchStrategy[tuple[T, ...]]:
    return st.lists(values, max_size=maximum).map(tuple)


def named(values: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.sampled_from(values) | own_names


def _unit(name: str, symbols: tuple[str, ...], **more: st.SearchStrategy[object]) -> st.SearchStrategy[Unit]:
    scales = st.sampled_from(enumeration.SI_SCALE_CODES)
    return st.builds(Unit, **{"name": st.just(name), "symbol": st.sampled_from(symbols), "scale": scales} | more)


_DECIMALS = st.integers(-100_000, 100_000).map(lambda number: number / 100)
_AT = {"hertz": _DECIMALS, "voltage": _DECIMALS, "ac": st.booleans()}
_CURRENCIES = enumeration.CURRENCIES
units = st.one_of(
    _unit("voltage", ("V",)),
    _unit("energyReal", ("Wh",)),
    _unit("energyApparent", ("VAh",)),
    _unit("energyReactive", ("VARh",)),
    _unit("powerReal", ("W", "J/s"), **_AT),
    _unit("powerApparent", ("VA",), **_AT),
    _unit("powerReactive", ("VAR",), **_AT),
    _unit("current", ("A",)),
    _unit("frequency", ("Hz",)),
    _unit("Therm", ("thm",)),
    _unit("temperature", ("celsius", "fahrenheit")),
    _unit("pulseCount", ("count",), scale=st.just("none"), pulse_factor=numbers),
    _unit("currency", _CURRENCIES),
    _unit("currencyPerKW", _CURRENCIES),
    _unit("currencyPerKWh", _CURRENCIES),
    _unit("currencyPerThm", _CURRENCIES),
    _unit("customUnit", ("",), symbol=texts, description=texts),
)


@st.composite
def targets(draw: st.DrawFn, ven_ids: tuple[str, ...] = ("ven1",)) -> Target:
    """Targets; the Ids of their areas are unique, since a document may have each only once."""
    kinds: dict[str, Any] = {kind: draw(tuples(texts)) for kind in Target.__struct_fields__ if kind not in _OTHER_KINDS}
    areas = []
    for number in range(draw(st.integers(0, 3))):
        positions = tuple(draw(st.lists(numbers, min_size=2, max_size=6)))
        areas.append(
            Area(
                positions,
                draw(st.sampled_from([None, f"c{number}"])),
                draw(st.sampled_from([None, f"p{number}"])),
            )
        )
    cut = draw(st.integers(0, len(areas)))
    return Target(
        ven_ids=draw(st.sampled_from([(), ven_ids])),
        service_areas=tuple(areas[:cut]),
        service_locations=tuple(areas[cut:]),
        transport_interfaces=draw(tuples(st.builds(TransportInterface, texts, texts))),
        **kinds,
    )


_OTHER_KINDS = ("ven_ids", "service_areas", "service_locations", "transport_interfaces")

intervals = st.lists(st.builds(Interval, periods, numbers), min_size=1, max_size=4).map(tuple)
classes = tuples(named(enumeration.DEVICE_CLASSES))


@st.composite
def signals(draw: st.DrawFn) -> Signal:
    """Signals that the schema allows; whether Table 1 does is another matter."""
    name = draw(named(enumeration.SIGNAL_NAMES).filter(lambda text: text != "simple"))
    return Signal(
        signal_name=name,
        signal_type="level" if name == "SIMPLE" else draw(st.sampled_from(enumeration.SIGNAL_TYPES)),
        signal_id=draw(texts),
        intervals=draw(intervals),
        unit=draw(st.none() | units),
        device_classes=draw(classes),
    )


baselines = st.builds(
    Baseline,
    baseline_id=texts,
    baseline_name=texts,
    start=instants,
    duration=amounts,
    intervals=intervals,
    resource_ids=tuples(texts),
    unit=st.none() | units,
)

events = st.builds(
    Event,
    event_id=texts,
    start=instants,
    duration=amounts,
    signals=st.lists(signals(), min_size=1, max_size=3).map(tuple),
    created_date_time=instants,
    market_context=uris,
    modification_number=st.integers(0, 2**32 - 1),
    modification_date_time=st.none() | instants,
    modification_reason=st.none() | some_text,
    priority=st.integers(0, 2**32 - 1),
    cancelled=st.booleans(),
    test_event=st.none() | some_text,
    vtn_comment=st.none() | some_text,
    start_after=amounts,
    notification=amounts,
    ramp_up=st.none() | signed,
    recovery=st.none() | signed,
    baseline=st.none() | baselines,
    target=targets(),
    response_required=st.sampled_from(ResponseRequired),
)


@st.composite
def hours(draw: st.DrawFn, event_id: str | None = None) -> Event:
    """Events that are right by all rules, near each other in time, with few different contents."""
    values = draw(st.lists(st.sampled_from([0.0, 1.0, 2.0, 3.0]), min_size=1, max_size=4))
    part = timedelta(minutes=draw(st.sampled_from([5, 10, 15])))
    is_open = draw(st.integers(0, 9)) == 0
    steps = (Interval(NOTHING, values[0]),) if is_open else tuple(Interval(part, value) for value in values)
    return Event(
        event_id=event_id if event_id is not None else draw(st.sampled_from("abcdef")),
        start=ORIGIN + timedelta(minutes=draw(st.integers(-60, 60))),
        duration=NOTHING if is_open else part * len(values),
        signals=(Signal(signal_name="SIMPLE", signal_type="level", signal_id="s1", intervals=steps),),
        created_date_time=ORIGIN,
        market_context="http://market.example/a",
        modification_number=draw(st.integers(0, 3)),
        priority=draw(st.integers(0, 3)),
        cancelled=draw(st.integers(0, 5)) == 0,
        start_after=timedelta(minutes=draw(st.sampled_from([0, 0, 5]))),
        ramp_up=draw(st.sampled_from([None, timedelta(minutes=10), -timedelta(minutes=10)])),
        response_required=draw(st.sampled_from(ResponseRequired)),
    )


@st.composite
def points(draw: st.DrawFn) -> DataPoint:
    """Data points; a sampling rate is there as a whole or not at all."""
    sampled = draw(st.booleans())
    return DataPoint(
        r_id=draw(texts),
        report_type=draw(named(enumeration.REPORT_TYPES)),
        reading_type=draw(named(enumeration.READING_TYPES)),
        unit=draw(st.none() | units),
        data_source=draw(st.just(EVERYONE) | targets().map(_without_areas)),
        subject=draw(classes),
        market_context=draw(st.none() | uris),
        min_period=draw(amounts) if sampled else None,
        max_period=draw(amounts) if sampled else None,
        on_change=sampled and draw(st.booleans()),
    )


def _without_areas(target: Target) -> Target:
    # Their Ids would have to be unique in the whole message.
    return Target(
        **{kind: getattr(target, kind) for kind in Target.__struct_fields__ if not kind.startswith("service_")}
    )


capabilities = st.builds(
    Capability,
    report_specifier_id=texts,
    report_name=named(tuple(name for name in enumeration.REPORT_NAMES if not name.startswith("METADATA"))),
    duration=amounts,
    points=st.lists(points(), max_size=3).map(tuple),
    created_date_time=instants,
)


@st.composite
def requests(draw: st.DrawFn) -> ReportRequest:
    """Requests for data or for METADATA."""
    specifier = draw(st.just("METADATA") | texts)
    start = draw(st.none() | instants)
    return ReportRequest(
        report_request_id=draw(texts),
        report_specifier_id=specifier,
        r_ids=() if specifier == "METADATA" else tuple(draw(st.lists(texts, min_size=1, max_size=3))),
        granularity=draw(amounts),
        report_back_duration=draw(amounts),
        start=start,
        duration=draw(amounts) if start is not None else NOTHING,
    )


_values = st.builds(
    LoadControlValue,
    current=numbers,
    minimum=st.none() | numbers,
    maximum=st.none() | numbers,
    normal=st.none() | numbers,
)
_parts = st.none() | _values
states = st.builds(
    ResourceStatus,
    online=st.booleans(),
    manual_override=st.booleans(),
    load_control_state=st.none()
    | st.builds(LoadControlState, capacity=_parts, level_offset=_parts, percent_offset=_parts, set_point=_parts),
)
readings = st.builds(
    Reading,
    r_id=texts,
    start=st.integers(0, 3).map(lambda minutes: ORIGIN + timedelta(minutes=minutes)) | instants,
    value=numbers | states,
    duration=st.none() | periods,
    quality=st.none() | named(enumeration.DATA_QUALITIES),
    confidence=st.none() | st.integers(0, 100),
    accuracy=st.none() | numbers,
)


@st.composite
def opts(draw: st.DrawFn) -> Opt:
    """Opts on an event, or with times of availability; a target that names only the VEN is written as an empty one."""
    on_event = draw(st.booleans())
    spans = st.builds(
        lambda start, length: Span(start, start + length if length else None), instants, st.none() | plain
    )
    target = draw(st.just(EVERYONE) | targets())
    return Opt(
        opt_id=draw(texts),
        ven_id="ven1",
        opt_type=draw(st.sampled_from(OptType)),
        opt_reason=draw(named(enumeration.OPT_REASONS)),
        created_date_time=draw(instants),
        market_context=None if on_event else draw(st.none() | uris),
        availability=() if on_event else tuple(draw(st.lists(spans, min_size=1, max_size=3))),
        event_id=draw(texts) if on_event else None,
        modification_number=draw(st.integers(0, 2**32 - 1)) if on_event else None,
        target=EVERYONE if target == Target(ven_ids=("ven1",)) else target,
        device_classes=draw(classes),
    )
