"""The numbered rules of OpenADR 2.0b (profile specification 1.1, chapter 11) in our own, short words.

`RULES` has one line for each, with whose behaviour it binds and how strongly; `UNTESTABLE` why a side has no test;
`LACKS` what of a rule we do not keep. `matrix` compares them with the tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["LACKS", "RULES", "UNTESTABLE", "WITHDRAWN", "Rule"]

VEN, VTN = ("ven",), ("vtn",)
BOTH = (*VEN, *VTN)
MUST, SHOULD, MAY, MEANS = "must", "should", "may", "means"


class Rule(NamedTuple):
    """One rule: its number, the sides that it binds, its level, and what it asks."""

    number: int
    sides: tuple[str, ...]
    level: str
    text: str


RULES = (
    # --- events, also in 2.0a ---
    Rule(1, BOTH, MUST, "Times are in UTC and end in Z; durations have no decimals; fractions of a second are taken"),
    Rule(2, VTN, MUST, "The intervals of each signal are numbered 0, 1, 2, …"),
    Rule(3, VTN, MEANS, "Priority 1 is the highest, 0 is none"),
    Rule(4, VTN, MUST, "A new event has modificationNumber 0"),
    Rule(5, VTN, MUST, "Each change of an event adds 1 to its number; the course of time adds none, cancelling does"),
    Rule(6, VEN, MUST, "An event is a test unless testEvent says false"),
    Rule(7, VTN, MUST, "A 2.0a VEN gets exactly one signal, SIMPLE"),
    Rule(8, VTN, MUST, "The intervals of a signal fill the event"),
    Rule(9, VTN, MUST, "The levels of SIMPLE are 0, 1, 2 and 3"),
    Rule(10, VTN, MUST, "An event is taken back by the status cancelled"),
    Rule(12, VEN, MUST, "An event marked always is answered each time it arrives, one marked never not at all"),
    Rule(13, VTN, MUST, "An event is far, near (only with a ramp) and then active"),
    Rule(14, VTN, MUST, "The current value of SIMPLE is 0 while the event is not active"),
    Rule(15, VTN, MUST, "A list has active events first, by priority and start, then pending ones by start"),
    Rule(16, VTN, MUST, "optIn and optOut in an answer are understood"),
    Rule(17, VTN, MUST, "A later optOut counts"),
    Rule(18, BOTH, MAY, "Events may overlap; of two that touch, the later one counts where they meet"),
    Rule(19, VEN, MUST, "A bad event in a message does not spoil the good ones"),
    Rule(20, VTN, MAY, "Pending and active events may change, but not their past"),
    Rule(21, BOTH, MUST, "venID, vtnID and eventID are checked; an unknown event that is cancelled is no error"),
    Rule(22, VEN, MEANS, "An empty target is the VEN; several values are alternatives"),
    Rule(23, BOTH, MUST, "Only a VEN asks for events"),
    Rule(25, VTN, SHOULD, "An oadrCreatedEvent that fails as a whole is not looked into further, another one is"),
    Rule(27, VTN, MUST, "No more events are sent than replyLimit says"),
    Rule(29, VTN, MUST, "The current value is that of the interval that runs"),
    Rule(30, VEN, MUST, "With startafter the start is random and the end moves along; changes keep the offset"),
    Rule(31, VEN, MUST, "Start, duration, tolerance, ramp and recovery are acted on"),
    Rule(32, BOTH, MUST, "The durations and values of the intervals are acted on"),
    Rule(33, BOTH, MUST, "What is missing, unexpected or makes no sense is an error of the application"),
    Rule(35, VEN, MUST, "Answers to events are there, unless the whole message is refused"),
    Rule(36, VEN, MUST, "A cancellation is acknowledged, and the event not mentioned again"),
    Rule(37, VEN, MUST, "A VEN over HTTP can pull; it may be pushed to"),
    Rule(38, VTN, MUST, "A VTN can push and be polled over HTTP, and push over XMPP"),
    Rule(40, VTN, MUST, "A list that answers a request or a poll has an eiResponse"),
    Rule(41, VTN, MUST, "A list of events has a requestID of its own"),
    Rule(42, BOTH, MUST, "An answer quotes the requestID of the list that brought the event, and the message none"),
    Rule(43, VEN, MUST, "The requestIDs of lists need not differ"),
    Rule(45, BOTH, MUST, "No message names the place of the schema"),
    Rule(46, BOTH, MUST, "What is optional may be left out and is understood; empty is absent"),
    Rule(47, BOTH, MEANS, "An event of duration 0 lasts until it is cancelled"),
    Rule(48, BOTH, MUST, "Wrong market context, target, signal, event or version have an error of their own"),
    Rule(50, VTN, MUST, "A list has every pending and active event, and cancelled ones until acknowledged"),
    Rule(51, BOTH, MUST, "In pull mode the VEN begins every exchange; in push mode there are no polls"),
    Rule(52, VTN, MUST, "A cancelled event is sent until it is acknowledged or over"),
    Rule(53, BOTH, MUST, "HTTP has Host, Content-Length and Content-Type application/xml"),
    Rule(56, VEN, SHOULD, "An unknown event is new"),
    Rule(57, BOTH, SHOULD, "A known event with a higher number replaces the old version"),
    Rule(58, VEN, SHOULD, "A known event with a lower number is error 450"),
    Rule(59, VEN, SHOULD, "A known event that is cancelled ends and is forgotten"),
    Rule(60, VEN, MUST, "An unknown event that is cancelled is only answered"),
    Rule(61, VEN, MUST, "A known event that is no longer listed is cancelled"),
    Rule(62, VEN, MUST, "Every list is looked at, however it arrives"),
    Rule(63, VTN, MUST, "The target of an event names one VEN at most"),
    Rule(64, VEN, MUST, "A 2.0a VEN answers all events before it asks again"),
    Rule(65, VEN, MUST, "With startafter an event that is cancelled ends at a random time"),
    Rule(66, BOTH, MUST, "With startafter an event is listed until the last VEN may have ended it"),
    Rule(67, BOTH, MUST, "TLS 1.2 with the two suites of the standard"),
    Rule(68, BOTH, MUST, "Certificates of both families: the VTN has both, a VEN one or both; keys are long enough"),
    Rule(69, BOTH, MAY, "In 2.0a the signalType of SIMPLE says nothing"),
    Rule(70, VTN, MUST, "A venID names one VEN, an eventID one event of a VEN"),
    # --- events, new in 2.0b ---
    Rule(100, VTN, MUST, "An interval of a signal or baseline has exactly one value, a number"),
    Rule(101, VTN, MUST, "The intervals of a baseline are numbered 0, 1, 2, …"),
    Rule(102, VTN, MUST, "Every interval has a duration; they fill the event, or the baseline"),
    Rule(103, VTN, MUST, "The intervals of signals and baselines have no start"),
    Rule(104, VTN, MUST, "A well-known signal has the types, units and values of the table"),
    Rule(105, VTN, MUST, "Every event has a notification time, if only 0"),
    Rule(106, VTN, MAY, "SIMPLE may stand beside other signals"),
    Rule(107, VTN, MUST, "Each of several signals has an ID of its own"),
    Rule(108, VTN, MEANS, "A baseline is the sum of the resources that it names"),
    Rule(109, VEN, MUST, "An event with a signal that is not supported is error 460"),
    Rule(110, VTN, MAY, "The current value of other signals is open while the event is not active"),
    Rule(111, BOTH, MUST, "The target of a signal is device classes only, and narrows that of the event"),
    Rule(112, VEN, MUST, "If it is not clear which resource a signal is for, that is error 469"),
    Rule(113, VTN, MUST, "A 2.0a VEN gets the current value, another one may"),
    Rule(114, VEN, MUST, "The VEN goes by its clock and need not look at the status"),
    Rule(115, VTN, MUST, "A message is made anew: all its events have its time and the status of now"),
    Rule(116, BOTH, MUST, "The signalType of SIMPLE is level"),
    # --- opts ---
    Rule(200, BOTH, MUST, "A time of availability has only a start and a duration"),
    Rule(201, BOTH, MAY, "What schedules mean for events is agreed on, so it can be set"),
    Rule(202, VEN, MUST, "An empty target is everything behind the VEN; there may be several schedules"),
    Rule(203, VTN, MUST, "A new schedule replaces earlier ones of its type, for its targets"),
    Rule(204, VEN, MUST, "An opt has an optID; cancelling it cancels every opt with that ID"),
    Rule(205, VTN, MUST, "A schedule with a market context is for its events alone"),
    Rule(206, BOTH, MUST, "An opt on an event stands until another one, is for its resources, and has no times"),
    Rule(207, BOTH, MUST, "A requestID of an opt is echoed; it may be empty"),
    Rule(208, BOTH, MUST, "An opt has venID and optID; unknown ones are error 452"),
    Rule(209, BOTH, MUST, "oadrDeviceClass is device classes only, and left out if empty"),
    Rule(210, BOTH, MUST, "A time of availability of duration 0 has no end"),
    Rule(211, BOTH, MUST, "An opt on an event is not cancelled; cancelling what was replaced is no error"),
    # --- reports ---
    Rule(300, BOTH, MUST, "Only what is offered is asked for, and all that is asked for is in each report"),
    Rule(301, BOTH, MUST, "METADATA is sent after registration and on request, also if there are no reports"),
    Rule(302, BOTH, MEANS, "A data point is the sum of the resources in its data source"),
    Rule(303, BOTH, MUST, "A requestID of a report message is echoed; it may be empty"),
    Rule(304, BOTH, SHOULD, "The IDs in report messages are checked; unknown ones are error 452"),
    Rule(305, BOTH, MUST, "METADATA describes with units and holds no data"),
    Rule(306, BOTH, MUST, "New METADATA replaces the old and ends the reports asked for"),
    Rule(307, BOTH, MUST, "A reportSubject is device classes only, and left out if empty"),
    Rule(308, BOTH, MUST, "reportSpecifierIDs and the rIDs in each are used once; METADATA is asked for with any rID"),
    Rule(309, BOTH, MUST, "After power-up METADATA comes before everything but registration and events"),
    Rule(311, BOTH, MUST, "The inner reportRequestID of METADATA is 0, the outer that of the request, if any"),
    Rule(312, BOTH, MUST, "METADATA says how much data is kept; no sampling is slower than that"),
    Rule(313, BOTH, MUST, "Data has a start, intervals and the bare name, and no descriptions"),
    Rule(314, BOTH, MUST, "Intervals ascend from the start of the report; all have a start or none"),
    Rule(315, BOTH, MUST, "All intervals have a duration or none; without starts they need durations"),
    Rule(316, BOTH, MUST, "Intervals without a start are numbered"),
    Rule(317, BOTH, MUST, "Granularity and report back duration are kept, within what is offered"),
    Rule(318, BOTH, MUST, "A value that is not there is a placeholder with a bad quality"),
    Rule(319, BOTH, MUST, "Accuracy is in the unit of the value"),
    Rule(321, BOTH, MUST, "A request has no tolerance, notification, ramps or units"),
    Rule(322, BOTH, MUST, "A reportRequestID is used once"),
    Rule(324, BOTH, MUST, "A report back duration of 0 is one report at once, else they come each time"),
    Rule(325, BOTH, MUST, "Reports begin and end as asked; a duration of 0 is for ever"),
    Rule(327, BOTH, MUST, "METADATA is asked for by that reportSpecifierID"),
    Rule(328, BOTH, MUST, "A cancellation inside an oadrUpdatedReport counts, for the reports of that update"),
    Rule(329, BOTH, MUST, "All reports that are to come are listed as pending"),
    Rule(330, BOTH, MAY, "An rID is any text"),
    Rule(331, BOTH, MUST, "Well-known reports have their types, and METADATA_ before the name in METADATA"),
    Rule(333, VEN, MUST, "Telemetry has a sampling rate"),
    Rule(334, VEN, MUST, "A status report has the parts that fit, the same ones in all intervals"),
    Rule(335, BOTH, MUST, "If data go on after a cancellation in an answer, oadrCancelReport ends them"),
    Rule(336, BOTH, MUST, "One cancellation may name several reports; an unknown one is an error"),
    Rule(337, BOTH, MUST, "A single amount is measured beforehand, so that it is there at once"),
    Rule(338, BOTH, MUST, "The readingType in a request is x-notApplicable"),
    Rule(339, BOTH, SHOULD, "eiReportID is not used"),
    Rule(340, BOTH, MUST, "More than is offered is not asked for, and is error 454"),
    Rule(341, BOTH, MUST, "The start of a request is its oldest instant; the first value is not far from it"),
    Rule(342, BOTH, MUST, "Points have only a start, amounts a start and a duration"),
    Rule(343, BOTH, MEANS, "No data source, subject or context is everything of the sender"),
    Rule(344, BOTH, MUST, "Requests inside an oadrRegisteredReport are served"),
    Rule(345, BOTH, MUST, "reportToFollow brings exactly one more report"),
    Rule(346, BOTH, SHOULD, "Reports are predictable; the same one may come again, and then replaces what it had"),
    # --- registration ---
    Rule(400, BOTH, SHOULD, "Wrong venID, vtnID and registrationID are error 452"),
    Rule(401, BOTH, MUST, "A VEN queries and registers, a VTN asks for that, both cancel; a VEN may try again"),
    Rule(402, VEN, MUST, "A new registration has no IDs, a renewed one both; push has an address"),
    Rule(403, VTN, MUST, "A registration is answered with profiles, transports, pace and both IDs"),
    Rule(404, VTN, MUST, "A query is answered without IDs"),
    Rule(405, BOTH, MUST, "A new registration is followed by METADATA and events, a renewed one by nothing"),
    Rule(406, BOTH, MUST, "Registering without IDs starts anew"),
    Rule(407, BOTH, MUST, "After a cancellation nothing of the other side is left"),
    # --- in general ---
    Rule(500, BOTH, MUST, "A poll brings one message or a blank answer; a VEN empties the queue, at the VTN's pace"),
    Rule(501, BOTH, MUST, "VTNs and VENs over HTTP support OadrPoll"),
    Rule(502, VTN, MUST, "A poll brings events only if something has changed, and then all of them"),
    Rule(506, BOTH, MUST, "A VTN serves 2.0a VENs beside others; a VEN may speak 2.0a"),
    Rule(507, BOTH, MUST, "A VTN supports HTTP and XMPP, a VEN one of them"),
    Rule(508, VEN, MUST, "Every message of a VEN has its venID"),
    Rule(509, BOTH, MUST, "Every message has its schemaVersion"),
    Rule(510, BOTH, MUST, "The least signals, reports, targets and stored data that everybody supports"),
    Rule(511, BOTH, MUST, "The address of a service; equal addresses are equal; only VTNs have OadrPoll"),
    Rule(512, BOTH, MUST, "Case counts in venID and vtnID; market contexts are compared as URIs"),
    Rule(514, BOTH, MAY, "XML signatures; if they are wanted, nothing unsigned, wrong, old or repeated is taken"),
    Rule(515, BOTH, MUST, "How VENs and VTNs are kept apart, known and found over XMPP"),
    Rule(516, BOTH, MUST, "Nobody talks to a party whose certificate has expired"),
    Rule(517, VTN, MUST, "Who is not registered gets 463, who has a wrong ID 452, both in a proper message"),
)

WITHDRAWN = (11, 24, 26, 28, 34, 39, 44, 49, 54, 55, 310, 320, 323, 326, 332, 503, 504, 505, 513)
"""The numbers that version 1.1 does not use; older papers may cite them."""

UNTESTABLE: Mapping[tuple[int, str], str] = MappingProxyType(
    {
        (57, "vtn"): "a VTN receives no events",
        (110, "vtn"): "any value keeps it",
        (507, "vtn"): "there is no XMPP to test",
        (515, "ven"): "there is no XMPP to test",
        (515, "vtn"): "there is no XMPP to test",
    }
)
"""Why a side has no test for a rule that binds it, by rule and side."""

LACKS: Mapping[int, str] = MappingProxyType(
    {
        12: "of the same event delivered twice within a second, before the first answer has left, only the last "
        "delivery is answered",
        38: "no XMPP",
        304: "a VEN takes data of the VTN whatever its reportRequestID is",
        331: "a VEN or VTN that is told to offer other contents under a well-known name does so",
        334: "that all intervals have the same parts is left to the source of the data",
        507: "the VTN has no XMPP",
        515: "no XMPP",
    }
)
"""What we do not keep of a rule."""
