"""Each rule with a message that keeps it and one that breaks it: a vector, and the same with an edit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from pyopenadr.v2 import Payload, decode, wire
from pyopenadr.v2.check import EXCHANGES, RULES, Direction, Finding, Problem, Rule, Scene, findings
from pyopenadr.v2.check.place import parts

VECTORS = Path(__file__).parents[2] / "vectors"
Edit = Callable[[str], str]


def text_of(vector: str) -> str:
    """The vector whose file name begins so, without the blanks between its elements."""
    (path,) = VECTORS.glob(f"{vector}_*.xml")
    return re.sub(r">\s+<", "><", path.read_text("utf-8"))


def put(old: str, new: str, nth: int = 1) -> Edit:
    """Put `new` where `old` stands for the nth time."""

    def edit(text: str) -> str:
        pieces = text.split(old)
        assert len(pieces) > nth, f"{old} stands {len(pieces) - 1} times"
        return old.join(pieces[:nth]) + new + old.join(pieces[nth:])

    return edit


def again(element: str, *edits: Edit) -> Edit:
    """Put an edited copy behind the first element of that name."""

    def edit(text: str) -> str:
        end = f"</{element}>"
        head, _, tail = text.partition(end)
        before, _, inside = head.partition(f"<{element}>")
        copy = f"<{element}>{inside}{end}"
        for change in edits:
            copy = change(copy)
        return f"{before}<{element}>{inside}{end}{copy}{tail}"

    return edit


def without(element: str, nth: int = 1) -> Edit:
    """Take the nth element of that name out."""

    def edit(text: str) -> str:
        found = list(re.finditer(f"<{element}[ >].*?</{element}>", text))
        start, end = found[nth - 1].span()
        return text[:start] + text[end:]

    return edit


class Case(NamedTuple):
    """`rule` is the name of the rule's function, `edits` break it, `where` is how the path of the finding ends."""

    rule: str
    vector: str
    edits: tuple[Edit, ...]
    where: str
    severity: str = "error"
    direction: Direction | None = None


def case(
    rule: str, vector: str, *edits: Edit, where: str, severity: str = "error", direction: Direction | None = None
) -> Case:
    return Case(rule, vector, edits, where, severity, direction)


def duration(text: str) -> str:
    return f"<xcal:duration><xcal:duration>{text}</xcal:duration></xcal:duration>"


def tag(name: str, text: str) -> str:
    return f"<{name}>{text}</{name}>"


INTERVAL_START = "<xcal:dtstart><xcal:date-time>2030-06-01T12:00:00Z</xcal:date-time></xcal:dtstart>"
PAYLOAD = "<ei:signalPayload><ei:payloadFloat><ei:value>1</ei:value></ei:payloadFloat></ei:signalPayload>"
STATUS = (
    "<oadr:oadrPayloadResourceStatus><oadr:oadrOnline>true</oadr:oadrOnline>"
    "<oadr:oadrManualOverride>false</oadr:oadrManualOverride></oadr:oadrPayloadResourceStatus>"
)
CURRENCY = (
    "<oadr:currencyPerKWh><oadr:itemDescription>currencyPerKWh</oadr:itemDescription>"
    "<oadr:itemUnits>EUR</oadr:itemUnits><scale:siScaleCode>none</scale:siScaleCode></oadr:currencyPerKWh>"
)
XMLNS_SCALE = put(
    "<oadr:oadrPayload ", '<oadr:oadrPayload xmlns:scale="http://docs.oasis-open.org/ns/emix/2011/06/siscale" '
)
EMIX = "http://docs.oasis-open.org/ns/emix/2011/06"

MESSAGE_CASES = (
    case("_ids_say_something", "25", put("vtn-demo", ""), where="oadrDistributeEvent/vtnID", severity="warning"),
    case("_ids_say_something", "43", put("opt-1", ""), where="oadrCancelOpt/optID", severity="warning"),
    case("_right_direction", "11", where="oadrPoll", direction="vtn-to-ven"),
    case("_right_direction", "25", where="oadrDistributeEvent", direction="ven-to-vtn"),
    case("_code_has_a_class", "12", put(">200<", ">600<"), where="eiResponse/responseCode", severity="warning"),
    case("_ven_says_who_it_is", "12", without("ei:venID"), where="oadrResponse/venID", severity="note"),
    case("_ven_says_who_it_is", "12", without("ei:venID"), where="oadrResponse/venID", direction="ven-to-vtn"),
    case("_ven_says_who_it_is", "11", put("ven-0001", ""), where="oadrPoll/venID"),
    case("_schema_version", "11", put(' ei:schemaVersion="2.0b"', ""), where="oadrPoll"),
    case("_schema_version", "11", put('Version="2.0b"', 'Version="2.0a"'), where="oadrPoll"),
)

EVENT_CASES = (
    case("_test_event", "21", put(">false<", ">true<"), where="eventDescriptor/testEvent", severity="note"),
    case("_test_event", "21", put(">false<", ">False<"), where="eventDescriptor/testEvent", severity="warning"),
    case("_test_event", "21", put(">false<", "><"), where="eventDescriptor/testEvent", severity="warning"),
    case("_cancelling_is_a_change", "21", put(">far<", ">cancelled<"), where="eventDescriptor/modificationNumber"),
    case("_status_fits", "22", put(">active<", ">near<"), where="eventDescriptor/eventStatus"),
    case("_status_fits", "22", put(">active<", ">none<"), where="eventDescriptor/eventStatus", severity="warning"),
    case(
        "_no_past_events", "22", put(">active<", ">completed<"), where="eventDescriptor/eventStatus", severity="warning"
    ),
    case("_random_window", "21", put("PT5M", "-PT5M"), where="tolerance/tolerate/startafter", severity="warning"),
    case("_notification", "21", without("ei:x-eiNotification"), where="properties/x-eiNotification/duration"),
    case("_one_ven", "21", again("ei:venID"), where="eiEvent/eiTarget/venID[2]"),
    case("_unique_event_ids", "21", again("oadr:oadrEvent"), where="oadrEvent[2]/eiEvent/eventDescriptor/eventID"),
    case("_unique_event_ids", "21", put("ev-1", ""), where="oadrEvent/eiEvent/eventDescriptor/eventID"),
    case("_order", "21", again("oadr:oadrEvent", put("T12:00", "T11:00")), where="oadrDistributeEvent/oadrEvent[2]"),
    case("_order", "21", again("oadr:oadrEvent", put(">far<", ">active<")), where="oadrDistributeEvent/oadrEvent[2]"),
    case(
        "_order",
        "21",
        put(">far<", ">active<"),
        put("<ei:priority>1<", "<ei:priority>0<"),
        again("oadr:oadrEvent", put("<ei:priority>0<", "<ei:priority>2<")),
        where="oadrDistributeEvent/oadrEvent[2]",
    ),
    case("_overlap", "21", again("oadr:oadrEvent", put("T12:00", "T13:04")), where="oadrEvent[2]", severity="note"),
    case("_says_whether_it_answers", "21", without("ei:eiResponse"), where="Event/eiResponse", severity="note"),
    case("_has_a_request_id", "21", put("dist-42", ""), where="oadrDistributeEvent/requestID"),
    case("_error_without_events", "21", put(">200<", ">452<"), where="eiResponse/responseCode", severity="warning"),
    case(
        "_made_at_once",
        "21",
        again("oadr:oadrEvent", put("T10:00:00Z", "T10:00:01Z")),
        where="oadrEvent[2]/eiEvent/eventDescriptor/createdDateTime",
    ),
    case("_asks_for_something", "20", put(">3<", ">0<"), where="eiRequestEvent/replyLimit", severity="warning"),
    case("_answers_or_fails", "30", without("ei:eventResponses"), where="eiCreatedEvent/eventResponses"),
    case("_request_ids", "30", put("<pyld:requestID/>", tag("pyld:requestID", "x")), where="eiResponse/requestID"),
    case("_request_ids", "30", put("dist-42", "", 2), where="eventResponses/eventResponse[2]/requestID"),
    case("_errors_of_single_events", "30", put(">200<", ">452<"), where="eiResponse/responseCode", severity="warning"),
    case("_error_opts_out", "30", put(">optOut<", ">optIn<"), where="eventResponse[2]/optType"),
)

SIGNAL_CASES = (
    case("_signal_uids", "21", put(tag("xcal:text", "1"), tag("xcal:text", "2")), where="interval[2]/uid/text"),
    case("_signal_uids", "21", without("xcal:uid"), where="interval[1]/uid/text"),
    case("_one_simple_signal", "a2", again("ei:eiEventSignal"), where="eiEventSignals/eiEventSignal[2]"),
    case("_one_simple_signal", "a2", put(">simple<", ">LOAD_DISPATCH<"), where="eiEventSignal/signalName"),
    case("_signals_fill_the_event", "21", put("PT30M", "PT31M"), where="eiEventSignal/intervals"),
    case("_signals_fill_the_event", "24", put("PT0S", "PT1H"), where="eiEventSignal/intervals"),
    case("_signals_fill_the_event", "21", put("PT30M", "-PT30M"), where="intervals/interval[1]/duration/duration"),
    case("_signals_fill_the_event", "21", put("PT1H", "-PT1H"), where="properties/duration/duration"),
    case("_signals_fill_the_event", "21", put("PT1H", "P1M"), put("PT30M", "P31D"), where="eiEventSignal/intervals"),
    case(
        "_simple_levels",
        "21",
        put(tag("ei:value", "2"), tag("ei:value", "4")),
        where="interval[2]/signalPayload/payloadFloat",
    ),
    case("_simple_levels", "a2", put(tag("ei:value", "2"), tag("ei:value", "1.5")), where="signalPayload/payloadFloat"),
    case(
        "_no_level_while_inactive",
        "21",
        put(tag("ei:value", "0"), tag("ei:value", "1")),
        where="currentValue/payloadFloat/value",
    ),
    case(
        "_current_value_is_real", "22", put("0.31", "0.32", 2), where="eiEventSignal[1]/currentValue/payloadFloat/value"
    ),
    case("_finite_value", "22", put("0.31", "NaN"), where="signalPayload/payloadFloat", severity="warning"),
    case("_one_number_for_each_interval", "21", put(PAYLOAD, PAYLOAD * 2), where="interval[1]/signalPayload[2]"),
    case(
        "_one_number_for_each_interval",
        "21",
        put("<ei:payloadFloat><ei:value>1</ei:value></ei:payloadFloat>", STATUS),
        where="interval[1]/signalPayload",
    ),
    case(
        "_baseline_uids",
        "22",
        put(tag("xcal:text", "1"), tag("xcal:text", "7"), 2),
        where="eiEventBaseline/intervals/interval[2]/uid/text",
    ),
    case(
        "_every_interval_lasts",
        "21",
        put(f"<ei:interval>{duration('PT30M')}", "<ei:interval>"),
        where="interval[1]/duration/duration",
    ),
    case("_every_interval_lasts", "22", put("PT2H", "PT3H"), where="eiEventBaseline/intervals"),
    case(
        "_no_start_of_intervals",
        "21",
        put("<ei:interval>", f"<ei:interval>{INTERVAL_START}"),
        where="interval[1]/dtstart/date-time",
    ),
    case("_known_signal", "22", put(">price<", ">setpoint<"), where="eiEventSignal[1]/signalType"),
    case("_known_signal", "22", without("oadr:currencyPerKWh"), where="eiEventSignal[1]/itemBase"),
    case("_known_signal", "22", put(">price<", ">priceMultiplier<"), where="eiEventSignal[1]/currencyPerKWh"),
    case("_known_signal", "22", put(">ELECTRICITY_PRICE<", ">DEMAND_CHARGE<"), where="eiEventSignal[1]/currencyPerKWh"),
    case(
        "_known_signal", "26", put(tag("ei:value", "0.5"), tag("ei:value", "1.5")), where="signalPayload/payloadFloat"
    ),
    case(
        "_known_signal",
        "22",
        put(">setpoint<", ">level<"),
        where="eiEventSignal[2]/intervals/interval[1]/signalPayload/payloadFloat",
    ),
    case("_known_signal", "21", put(">SIMPLE<", ">simple<"), where="eiEventSignal/signalName", severity="warning"),
    case(
        "_simple_has_no_unit",
        "21",
        XMLNS_SCALE,
        put("</ei:signalID>", f"</ei:signalID>{CURRENCY}"),
        where="eiEventSignal/currencyPerKWh",
    ),
    case(
        "_description_of_the_currency",
        "22",
        put("n>currencyPerKWh<", "n>currency<"),
        where="currencyPerKWh/itemDescription",
        severity="warning",
    ),
    case("_unique_signal_ids", "22", put("sig-d", "sig-p"), where="eiEventSignal[2]/signalID"),
    case("_signal_target", "22", put("Water_Heater", "Waterheater"), where="eiTarget/endDeviceAsset/mrid"),
    case(
        "_signal_target",
        "22",
        put("</power:endDeviceAsset>", "</power:endDeviceAsset><ei:venID>v</ei:venID>"),
        where="eiEventSignal[2]/eiTarget",
    ),
    case(
        "_signal_target", "22", without("power:endDeviceAsset"), where="eiEventSignal[2]/eiTarget", severity="warning"
    ),
    case("_simple_is_a_level", "21", put(">level<", ">delta<"), where="eiEventSignal/signalType"),
)

OPT_CASES = (
    case(
        "_only_start_and_duration",
        "40",
        put(
            "</xcal:duration></xcal:properties>",
            "</xcal:duration><ei:x-eiRampUp><xcal:duration>PT1M</xcal:duration></ei:x-eiRampUp></xcal:properties>",
        ),
        where="available[1]/properties/x-eiRampUp/duration",
    ),
    case("_targets_are_of_the_ven", "41", put("ven-0001", "ven-0002", 2), where="eiTarget/venID", severity="warning"),
    case("_schedule_or_event", "40", without("xcal:vavailability"), where="vavailability/components"),
    case(
        "_schedule_or_event",
        "41",
        put("<ei:venID>", f'<m:marketContext xmlns:m="{EMIX}">a</m:marketContext><ei:venID>'),
        where="oadrCreateOpt/marketContext",
    ),
    case("_device_classes", "40", put("Exterior_Lighting", "Lamp"), where="oadrDeviceClass/endDeviceAsset/mrid"),
    case("_periods_point_forward", "40", put("PT4H", "-PT4H"), where="available[2]/properties/duration/duration"),
)

METADATA_CASES = (
    case(
        "_offers_no_data",
        "50",
        put("<oadr:oadrReport>", f"<oadr:oadrReport>{INTERVAL_START}"),
        where="oadrReport[1]/dtstart/date-time",
    ),
    case("_offers_no_data", "50", without("oadr:oadrReportDescription", 3), where="oadrReport[2]"),
    case(
        "_offers_no_data",
        "50",
        put("<oadr:oadrReportDescription>", "<ei:eiReportID>x</ei:eiReportID><oadr:oadrReportDescription>"),
        where="oadrReport[1]/eiReportID",
        severity="warning",
    ),
    case(
        "_report_subject",
        "50",
        put("</ei:rID>", "</ei:rID><ei:reportSubject><ei:venID>v</ei:venID></ei:reportSubject>"),
        where="oadrReportDescription[1]/reportSubject",
    ),
    case("_unique_ids", "50", put("spec-ts", "spec-tu"), where="oadrReport[2]/reportSpecifierID"),
    case("_unique_ids", "50", put("rid-kwh", "rid-kw"), where="oadrReport[1]/oadrReportDescription[2]/rID"),
    case(
        "_request_ids_of_an_offer",
        "50",
        put(tag("ei:reportRequestID", "0"), tag("ei:reportRequestID", "rr-1")),
        where="oadrReport[1]/reportRequestID",
    ),
    case(
        "_request_ids_of_an_offer",
        "50",
        put("</ei:venID>", "</ei:venID><ei:reportRequestID>0</ei:reportRequestID>"),
        where="oadrRegisterReport/reportRequestID",
    ),
    case("_how_much_there_is", "50", put(duration("P1D"), ""), where="oadrReport[1]/duration/duration"),
    case(
        "_how_much_there_is", "50", put("PT1H", "P2D"), where="oadrReportDescription[1]/oadrSamplingRate/oadrMaxPeriod"
    ),
    case("_rates_in_order", "50", put("PT1M", "PT61M"), where="oadrSamplingRate/oadrMinPeriod", severity="warning"),
    case("_offered_names", "50", put("METADATA_TELEMETRY_USAGE", "TELEMETRY_USAGE"), where="oadrReport[1]/reportName"),
    case("_offered_names", "50", without("ei:reportName"), where="oadrReport[1]/reportName"),
    case("_known_reports", "50", put(">usage<", ">demand<"), where="oadrReportDescription[1]/reportType"),
    case("_known_reports", "50", put("Direct Read", "Net"), where="oadrReportDescription[1]/readingType"),
    case("_known_reports", "50", without("power:powerReal"), where="oadrReportDescription[1]/itemBase"),
    case(
        "_known_reports",
        "50",
        put(">METADATA_TELEMETRY_USAGE<", ">METADATA_TELEMETRY_STATUS<"),
        where="oadrReportDescription[1]/powerReal",
    ),
    case("_sampling_rate", "50", without("oadr:oadrSamplingRate"), where="oadrReportDescription[1]/oadrSamplingRate"),
)

REQUEST_CASES = (
    case("_granularity", "57", put("PT1M", "PT11M"), where="reportSpecifier/granularity/duration"),
    case("_granularity", "57", put("PT10M", "-PT10M"), where="reportSpecifier/reportBackDuration/duration"),
    case("_granularity", "57", put("PT10M", "PT0S"), where="reportSpecifier/granularity/duration", severity="warning"),
    case(
        "_nothing_that_requests_lack",
        "57",
        put(
            "</xcal:duration></xcal:properties>",
            "</xcal:duration><xcal:tolerance><xcal:tolerate><xcal:startafter>PT1M</xcal:startafter></xcal:tolerate></xcal:tolerance></xcal:properties>",
        ),
        where="reportInterval/properties/tolerance/tolerate/startafter",
    ),
    case(
        "_nothing_that_requests_lack",
        "57",
        XMLNS_SCALE,
        put("</ei:rID>", f"</ei:rID>{CURRENCY}"),
        where="specifierPayload/currencyPerKWh",
    ),
    case("_unique_request_ids", "57", again("oadr:oadrReportRequest"), where="oadrReportRequest[2]/reportRequestID"),
    case("_unique_request_ids", "57", put("rr-3", ""), where="oadrReportRequest/reportRequestID"),
    case("_series_have_a_period", "57", without("ei:reportInterval"), where="reportSpecifier/reportInterval"),
    case("_metadata_by_its_name", "55", put(">METADATA<", ">metadata<"), where="reportSpecifierID", severity="warning"),
    case(
        "_metadata_by_its_name",
        "55",
        put(tag("ei:rID", "0"), tag("ei:rID", "x")),
        where="specifierPayload/rID",
        severity="warning",
    ),
    case(
        "_reading_type_of_a_request", "57", put("x-notApplicable", "Direct Read"), where="specifierPayload/readingType"
    ),
)

DATA_CASES = (
    case("_belongs_to_a_request", "64", put(">rr-2<", ">0<"), where="oadrReport/reportRequestID", severity="warning"),
    case("_data_not_metadata", "64", without("xcal:dtstart"), where="oadrReport/dtstart/date-time"),
    case("_data_not_metadata", "64", without("strm:intervals"), where="oadrReport/intervals"),
    case("_data_not_metadata", "64", without("ei:reportName"), where="oadrReport/reportName"),
    case(
        "_data_not_metadata",
        "64",
        put(">TELEMETRY_STATUS<", ">METADATA_TELEMETRY_STATUS<"),
        where="oadrReport/reportName",
    ),
    case(
        "_data_not_metadata",
        "64",
        put(
            "<ei:reportRequestID>",
            "<oadr:oadrReportDescription><ei:rID>rid-st</ei:rID><ei:reportType>x-resourceStatus</ei:reportType>"
            "<ei:readingType>x-notApplicable</ei:readingType></oadr:oadrReportDescription><ei:reportRequestID>",
        ),
        where="oadrReport/oadrReportDescription",
    ),
    case("_starts", "62", without("xcal:dtstart", 3), where="interval[2]/dtstart/date-time"),
    case("_starts", "62", put("T10:00:00Z", "T09:59:00Z"), where="oadrReport/dtstart/date-time"),
    case("_starts", "62", put("T10:02:00Z", "T10:00:30Z"), where="interval[3]/dtstart/date-time"),
    case("_durations", "63", put(duration("PT1M"), "", 2), where="interval[2]/duration/duration"),
    case("_durations", "63", put("PT5M", "PT6M"), where="oadrReport/duration/duration"),
    case("_durations", "63", *[put(duration("PT1M"), "")] * 5, where="interval[2]"),
    case(
        "_durations",
        "62",
        put("<strm:intervals>", f"{duration('PT1M')}<strm:intervals>"),
        where="oadrReport/duration/duration",
    ),
    case("_uids", "63", put(tag("xcal:text", "1"), tag("xcal:text", "2")), where="interval[2]/uid/text"),
    case("_uids", "63", without("xcal:uid"), where="interval[1]/uid/text"),
    case(
        "_each_point_once",
        "64",
        again("oadr:oadrReportPayload"),
        where="interval/oadrReportPayload[2]/rID",
        severity="warning",
    ),
    case(
        "_missing_values",
        "62",
        put("12.5", "NaN"),
        where="interval[1]/oadrReportPayload/payloadFloat",
        severity="warning",
    ),
    case(
        "_accuracy", "64", put("</ei:rID>", "</ei:rID><ei:accuracy>1</ei:accuracy>"), where="oadrReportPayload/accuracy"
    ),
    case(
        "_kind_of_values",
        "64",
        put(">TELEMETRY_STATUS<", ">TELEMETRY_USAGE<"),
        where="oadrReportPayload/oadrPayloadResourceStatus",
    ),
    case(
        "_kind_of_values",
        "62",
        put(">TELEMETRY_USAGE<", ">TELEMETRY_STATUS<"),
        where="interval[1]/oadrReportPayload/payloadFloat",
    ),
    case(
        "_kind_of_values",
        "64",
        put("</oadr:oadrReportPayload>", f"</oadr:oadrReportPayload>{PAYLOAD}"),
        where="interval/signalPayload",
    ),
    case(
        "_states_have_no_length",
        "64",
        put("</xcal:dtstart>", f"</xcal:dtstart>{duration('PT1M')}", 2),
        where="interval/duration/duration",
        severity="warning",
    ),
    case(
        "_same_parts",
        "64",
        again("ei:interval", without("oadr:oadrSetPoint")),
        where="interval[2]/oadrReportPayload/oadrPayloadResourceStatus",
    ),
)

REGISTRATION_CASES = (
    case("_says_how_to_reach_it", "03", without("oadr:oadrHttpPullModel"), where="oadrHttpPullModel"),
    case("_says_how_to_reach_it", "04", without("oadr:oadrTransportAddress"), where="oadrTransportAddress"),
    case("_says_how_to_reach_it", "05", without("oadr:oadrTransportAddress"), where="oadrTransportAddress"),
    case(
        "_says_how_to_reach_it",
        "04",
        put("https://ven1.example.com:8443/ven", "None"),
        where="oadrTransportAddress",
        severity="warning",
    ),
    case("_registers_again_with_both_ids", "06", without("ei:venID"), where="oadrCreatePartyRegistration/venID"),
    case("_gives_both_ids", "07", without("ei:venID"), where="oadrCreatedPartyRegistration/venID"),
    case("_gives_both_ids", "07", put(">200<", ">463<"), where="registrationID", severity="warning"),
    case(
        "_gives_both_ids",
        "07",
        without("ei:venID"),
        without("ei:registrationID"),
        where="registrationID",
        severity="note",
    ),
    case(
        "_says_how_often_to_poll",
        "07",
        put("PT10S", "-PT10S"),
        where="oadrRequestedOadrPollFreq/duration",
        severity="warning",
    ),
    case(
        "_says_how_often_to_poll",
        "07",
        without("oadr:oadrRequestedOadrPollFreq"),
        where="oadrRequestedOadrPollFreq/duration",
        severity="warning",
    ),
)

CASES = (
    *MESSAGE_CASES,
    *EVENT_CASES,
    *SIGNAL_CASES,
    *OPT_CASES,
    *METADATA_CASES,
    *REQUEST_CASES,
    *DATA_CASES,
    *REGISTRATION_CASES,
)
BY_NAME = {rule.check.__name__: rule for rule in RULES}


def problems(rule: Rule, payload: Payload, direction: Direction | None) -> Iterator[Problem]:
    """What this rule alone finds."""
    sender = EXCHANGES[payload.message.message_type].sender
    if direction is not None:
        sender = "ven" if direction == "ven-to-vtn" else "vtn"
    scene = Scene(message=payload.message, profile=payload.profile, sender=sender)
    for _, part in parts(payload.message):
        if isinstance(part, rule.on):
            yield from rule.check(part, scene)


def matches(finding: Finding, case: Case) -> bool:
    rule = BY_NAME[case.rule]
    return (finding.rule, finding.severity) == (rule.number, case.severity) and finding.path.endswith(case.where)


def edited(case: Case) -> Payload:
    text = text_of(case.vector)
    for edit in case.edits:
        text = edit(text)
    return decode(text.encode())


IDS = [f"{case.rule[1:]}-{number}" for number, case in enumerate(CASES)]


@pytest.mark.parametrize("case", CASES, ids=IDS)
def test_a_broken_rule_is_found_where_it_is_broken(case: Case) -> None:
    payload = edited(case)
    assert list(problems(BY_NAME[case.rule], payload, case.direction)) != []
    found = findings(payload, direction=case.direction)
    assert [each for each in found if matches(each, case)], found


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.edits], ids=lambda case: f"{case.rule[1:]}-{case.vector}"
)
def test_a_kept_rule_is_not_found(case: Case) -> None:
    payload = decode(text_of(case.vector).encode())
    assert list(problems(BY_NAME[case.rule], payload, case.direction)) == []


def test_every_rule_has_a_case() -> None:
    assert set(BY_NAME) == {case.rule for case in CASES}
    assert len(BY_NAME) == len(RULES)


def test_every_finding_says_what_to_do() -> None:
    found = [each for case in CASES for each in findings(edited(case), direction=case.direction)]
    assert [each for each in found if not each.message or not each.fix] == []


@pytest.mark.parametrize(
    ("vector", "edits"),
    [
        # Months have no fixed length, but June has 30 days.
        ("21", [put("PT1H", "P1M"), put("PT30M", "P15D"), put("PT30M", "P15D")]),
        # Cancelled events keep the place that they had.
        (
            "23",
            [
                again(
                    "oadr:oadrEvent",
                    put("ev-1", "ev-2"),
                    put("T12:00", "T10:00"),
                    put(">cancelled<", ">active<"),
                    put(tag("ei:value", "0"), tag("ei:value", "1")),
                )
            ],
        ),
        # The event that begins when another's random window closes does not overlap it.
        ("21", [again("oadr:oadrEvent", put("ev-1", "ev-2"), put("T12:00", "T13:05"))]),
        # A signal of one's own has any type and unit.
        ("22", [put(">ELECTRICITY_PRICE<", ">x-price<"), put(">price<", ">setpoint<")]),
        # A VTN that asks for METADATA again and again.
        ("55", [put("PT0S", "P1D", 2)]),
    ],
)
def test_what_is_unusual_but_right_passes(vector: str, edits: list[Edit]) -> None:
    text = text_of(vector)
    for edit in edits:
        text = edit(text)
    found = findings(decode(text.encode()))
    assert [each for each in found if each.severity == "error" or each.rule == "18"] == []


def test_green_button_data_needs_no_numbers() -> None:
    feed = '<feed xmlns="http://www.w3.org/2005/Atom"></feed>'
    at = datetime(2030, 6, 1, tzinfo=UTC)
    report = wire.OadrReport(
        dtstart=at,
        intervals=(wire.Interval(payloads=(wire.GBPayload(feed=feed),)),),
        report_request_id="rr-1",
        report_specifier_id="spec-gb",
        report_name="HISTORY_GREENBUTTON",
        created_date_time=at,
    )
    message = wire.OadrUpdateReport(request_id="1", reports=(report,), ven_id="ven-0001")
    assert findings(Payload(message=message)) == ()
