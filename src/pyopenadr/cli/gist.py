"""What a message says, in plain sentences for somebody who is new to OpenADR."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from pyopenadr.model.time import CalendarDuration, Duration, is_positive, is_zero
from pyopenadr.v2 import wire
from pyopenadr.v2.faults import CODES

__all__ = ["gist", "said_distance", "said_duration", "said_time"]

_MOST = 10
_UNITS = ((86400, "day", "days"), (3600, "h", "h"), (60, "min", "min"), (1, "s", "s"))
_PER = {"currencyPerKW": "/kW", "currencyPerKWh": "/kWh", "currencyPerThm": "/thm"}


def said_duration(duration: Duration) -> str:
    """A duration in words: `1 h 30 min`."""
    if isinstance(duration, CalendarDuration):
        years, months = divmod(duration.months, 12)
        parts = [_count(number, name) for number, name in ((years, "year"), (months, "month")) if number]
        if duration.rest:
            parts.append(said_duration(duration.rest))
        return ("minus " if duration.negative else "") + " ".join(parts)
    if duration < timedelta(0):
        return f"minus {said_duration(-duration)}"
    left = int(duration.total_seconds())
    parts = []
    for seconds, one, many in _UNITS:
        number, left = divmod(left, seconds)
        if number:
            parts.append(f"{number} {one if number == 1 else many}")
    return " ".join(parts) or "0 s"


def said_time(instant: datetime) -> str:
    """An instant in words, in UTC."""
    return instant.strftime("%Y-%m-%d %H:%M" + (":%S" if instant.second else "") + " UTC")


def said_distance(instant: datetime, now: datetime) -> str:
    """How far away an instant is: `in 2 h`, `3 days ago`."""
    seconds = int((instant - now).total_seconds())
    years = abs(seconds) // (365 * 86400)
    if years:
        text = _count(years, "year")
    else:
        size, one, many = next((unit for unit in _UNITS if abs(seconds) >= unit[0]), (1, "s", "s"))
        number = abs(seconds) // size
        if not number:
            return "now"
        text = f"{number} {one if number == 1 else many}"
    return f"in {text}" if seconds > 0 else f"{text} ago"


def _count(number: int, name: str) -> str:
    return f"{number} {name}" if number == 1 else f"{number} {name}s"


def _listed(names: Iterable[str]) -> str:
    quoted = [repr(name) for name in names]
    more = f" and {len(quoted) - _MOST} more" if len(quoted) > _MOST else ""
    return ", ".join(quoted[:_MOST]) + more


def _answer(response: wire.EiResponse | wire.EventResponse) -> str:
    meaning = CODES.get(response.response_code)
    text = response.response_code + (f" ({meaning})" if meaning else "")
    if response.response_description and response.response_description != meaning:
        text += f": {response.response_description!r}"
    return text


def _unit(item: wire.ItemBase | None) -> str:
    if item is None or item.item_units is None:
        return ""
    scale = "" if item.si_scale_code in (None, "none") else item.si_scale_code
    return f" {scale}{item.item_units}{_PER.get(item.element, '')}"


def _signal(signal: wire.EiEventSignal) -> str:
    values = [
        payload.value
        for interval in signal.intervals
        for payload in interval.payloads
        if isinstance(payload, wire.SignalPayload) and isinstance(payload.value, float)
    ]
    if not values:
        text = "without values"
    elif len(values) <= 4:
        text = ", then ".join(f"{value:g}" for value in values)
    else:
        text = f"in {len(values)} steps from {min(values):g} to {max(values):g}"
    return f"{signal.signal_name} {signal.signal_type} {text}{_unit(signal.item_base)}"


def _target(target: wire.EiTarget) -> str:
    kinds = {
        "ven_id": "VEN",
        "group_id": "group",
        "group_name": "group",
        "resource_id": "resource",
        "party_id": "party",
    }
    named = [f"{name} {_listed(target[kind])}" for kind, name in kinds.items() if target[kind]]
    others = any(values for kind, values in target.items() if kind not in kinds)
    if others:
        named.append("a place in the grid or a kind of device")
    return f"for {', '.join(named)}" if named else "for the whole VEN"


def _event(event: wire.OadrEvent, now: datetime) -> str:
    descriptor, period = event.event_descriptor, event.active_period
    verb = "starts" if period.dtstart > now else "started"
    length = "until it is cancelled" if is_zero(period.duration) else f"for {said_duration(period.duration)}"
    when = f"{verb} {said_time(period.dtstart)} ({said_distance(period.dtstart, now)}), {length}"
    if period.start_after is not None and is_positive(period.start_after) and not is_zero(period.start_after):
        when += f", at random up to {said_duration(period.start_after)} later"
    parts = [
        descriptor.event_status,
        when,
        " and ".join(_signal(signal) for signal in event.event_signals),
        _target(event.target),
        "must be answered" if event.response_required == "always" else "must not be answered",
    ]
    if descriptor.modification_number:
        parts.insert(1, f"changed {_count(descriptor.modification_number, 'time')}")
    if (descriptor.test_event or "").strip() not in ("", "false"):
        parts.append("only a test")
    return f"Event {descriptor.event_id!r}: {', '.join(parts)}."


def _distribute_event(message: wire.OadrDistributeEvent, now: datetime) -> Iterator[str]:
    if message.response is not None and not message.response.response_code.startswith("2"):
        yield f"It is an error: {_answer(message.response)}."
    listed = "No events: the VEN drops any that it still has" if not message.events else "It lists the events"
    yield f"VTN {message.vtn_id!r}. {listed if not message.events else _count(len(message.events), 'event')}."
    yield from (_event(event, now) for event in message.events[:_MOST])
    if len(message.events) > _MOST:
        yield f"… and {len(message.events) - _MOST} more."


def _created_event(message: wire.OadrCreatedEvent, now: datetime) -> Iterator[str]:
    yield f"VEN {message.ven_id!r} answers {_answer(message.response)}."
    responses = message.event_responses or ()
    for response in responses[:_MOST]:
        verb = "opts in to" if response.opt_type == "optIn" else "opts out of"
        which = f"event {response.event_id!r} (modification {response.modification_number})"
        yield f"It {verb} {which}, {_answer(response)}."
    if len(responses) > _MOST:
        yield f"… and {len(responses) - _MOST} more answers."


def _request_event(message: wire.OadrRequestEvent, now: datetime) -> Iterator[str]:
    limit = "all its events" if message.reply_limit is None else f"at most {_count(message.reply_limit, 'event')}"
    yield f"VEN {message.ven_id!r} wants {limit}."


def _response(message: Any, now: datetime) -> Iterator[str]:
    yield f"The answer is {_answer(message.response)}."
    if pending := message.get("pending_reports"):
        yield f"Reports that are still to come: {_listed(pending)}."
    if opt_id := message.get("opt_id"):
        yield f"It is about opt {opt_id!r}."
    for request in message.get("report_requests", ()):
        yield _report_request(request)
    if cancel := message.get("cancel_report"):
        yield f"It also ends the reports {_listed(cancel.report_request_id)}."


def _report_request(request: wire.ReportRequest) -> str:
    specifier = request.report_specifier
    back, interval = specifier.report_back_duration, specifier.report_interval
    if specifier.report_specifier_id == "METADATA":
        what = "what reports there are (METADATA)"
    else:
        points = _listed(payload.r_id for payload in specifier.specifier_payloads)
        what = f"data points {points} of report {specifier.report_specifier_id!r}"
    often = "once" if is_zero(back) else f"every {said_duration(back)}"
    if not is_zero(specifier.granularity):
        often += f", with a value for every {said_duration(specifier.granularity)}"
    when = ""
    if interval is not None:
        length = "without end" if is_zero(interval.duration) else f"for {said_duration(interval.duration)}"
        when = f", from {said_time(interval.dtstart)} {length}"
    return f"Request {request.report_request_id!r}: {what}, {often}{when}."


def _create_report(message: wire.OadrCreateReport, now: datetime) -> Iterator[str]:
    yield from (_report_request(request) for request in message.report_requests[:_MOST])
    if len(message.report_requests) > _MOST:
        yield f"… and {len(message.report_requests) - _MOST} more requests."


def _register_report(message: wire.OadrRegisterReport, now: datetime) -> Iterator[str]:
    if not message.reports:
        yield "The sender has no reports to offer."
    for report in message.reports[:_MOST]:
        keeps = f", data of {said_duration(report.duration)}" if report.duration is not None else ""
        points = _count(len(report.report_descriptions), "data point")
        yield f"Report {report.report_specifier_id!r} ({report.report_name or 'without a name'}): {points}{keeps}."
    if len(message.reports) > _MOST:
        yield f"… and {len(message.reports) - _MOST} more reports."


def _update_report(message: wire.OadrUpdateReport, now: datetime) -> Iterator[str]:
    for report in message.reports[:_MOST]:
        values = sum(len(interval.payloads) for interval in report.intervals)
        start = f", from {said_time(report.dtstart)}" if report.dtstart is not None else ""
        yield (
            f"Report {report.report_specifier_id!r} ({report.report_name or 'without a name'}) for request"
            f" {report.report_request_id!r}: {_count(values, 'value')} in"
            f" {_count(len(report.intervals), 'interval')}{start}."
        )
    if len(message.reports) > _MOST:
        yield f"… and {len(message.reports) - _MOST} more reports."


def _cancel_report(message: wire.OadrCancelReport, now: datetime) -> Iterator[str]:
    after = "one last report is to follow" if message.report_to_follow else "no report is to follow"
    yield f"Ends the reports {_listed(message.report_request_id)}; {after}."


def _create_opt(message: wire.OadrCreateOpt, now: datetime) -> Iterator[str]:
    verb = "opts in" if message.opt_type == "optIn" else "opts out"
    if message.event_id is not None:
        what = f"for event {message.event_id!r} (modification {message.modification_number})"
    else:
        what = f"for {_count(len(message.vavailability or ()), 'period')}"
    yield f"VEN {message.ven_id!r} {verb} {what}, because of {message.opt_reason}, {_target(message.target)}."
    for period in (message.vavailability or ())[:_MOST]:
        length = "without end" if is_zero(period.duration) else f"for {said_duration(period.duration)}"
        yield f"From {said_time(period.dtstart)} {length}."


def _cancel_opt(message: wire.OadrCancelOpt, now: datetime) -> Iterator[str]:
    yield f"VEN {message.ven_id!r} takes opt {message.opt_id!r} back."


def _create_registration(message: wire.OadrCreatePartyRegistration, now: datetime) -> Iterator[str]:
    again = f"again, as {message.registration_id!r}" if message.registration_id else "anew"
    who = f"VEN {message.ven_id!r}" if message.ven_id else "A VEN"
    name = f" named {message.ven_name!r}" if message.ven_name else ""
    if message.transport_name == "xmpp":
        how = "by XMPP"
    elif message.http_pull_model:
        how = "over HTTP, polling"
    else:
        how = f"over HTTP, pushed to at {message.transport_address or 'an address that is missing'}"
    only = ", for reports only" if message.report_only else ""
    yield f"{who}{name} registers {again} for {message.profile_name} {how}{only}."


def _created_registration(message: wire.OadrCreatedPartyRegistration, now: datetime) -> Iterator[str]:
    yield f"VTN {message.vtn_id!r} answers {_answer(message.response)}."
    if message.registration_id and message.ven_id:
        yield f"The VEN is {message.ven_id!r}, its registration {message.registration_id!r}."
    offers = [f"{profile.profile_name} over {' and '.join(profile.transports)}" for profile in message.profiles]
    yield f"The VTN speaks {', '.join(offers)}."
    if message.requested_oadr_poll_freq is not None:
        yield f"A VEN that pulls is to poll every {said_duration(message.requested_oadr_poll_freq)}."


def _who(message: Any, now: datetime) -> Iterator[str]:
    if ven_id := message.get("ven_id"):
        yield f"VEN {ven_id!r}."
    if registration_id := message.get("registration_id"):
        yield f"Registration {registration_id!r}."


_GISTS: Mapping[type[wire.Message], Callable[[Any, datetime], Iterator[str]]] = MappingProxyType(
    {
        wire.OadrDistributeEvent: _distribute_event,
        wire.OadrCreatedEvent: _created_event,
        wire.OadrRequestEvent: _request_event,
        wire.OadrCreateReport: _create_report,
        wire.OadrRegisterReport: _register_report,
        wire.OadrUpdateReport: _update_report,
        wire.OadrCancelReport: _cancel_report,
        wire.OadrCreateOpt: _create_opt,
        wire.OadrCancelOpt: _cancel_opt,
        wire.OadrCreatePartyRegistration: _create_registration,
        wire.OadrCreatedPartyRegistration: _created_registration,
    }
)


def gist(message: wire.Message, now: datetime) -> tuple[str, ...]:
    """The content of a message in sentences. `now` is what "in 2 h" counts from."""
    tell = _GISTS.get(type(message), _response if "response" in message else _who)
    return tuple(tell(message, now))
