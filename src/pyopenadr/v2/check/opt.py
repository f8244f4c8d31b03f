"""Rules on availability schedules and on opting by EiOpt."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pyopenadr.model.time import is_positive, is_zero
from pyopenadr.v2.check.finding import Problem, Scene, rule
from pyopenadr.v2.check.message import device_class_problems
from pyopenadr.v2.text import format_duration
from pyopenadr.v2.wire import OadrCreateOpt

__all__ = ["RULES"]

_EXTRAS = (
    ("start_after", "tolerance"),
    ("notification", "x-eiNotification"),
    ("ramp_up", "x-eiRampUp"),
    ("recovery", "x-eiRecovery"),
)


@rule("200", OadrCreateOpt)
def _only_start_and_duration(opt: OadrCreateOpt, scene: Scene) -> Iterator[Problem]:
    """The periods of an availability schedule have a start and a duration, and nothing else."""
    for position, period in enumerate(opt.vavailability or ()):
        for field, name in _EXTRAS:
            if period.get(field) is not None:
                yield Problem(
                    f"period {position + 1} of the availability has {name}",
                    "give only dtstart and duration",
                    ("vavailability", position, field),
                )


@rule("202", OadrCreateOpt, severity="warning")
def _targets_are_of_the_ven(opt: OadrCreateOpt, scene: Scene) -> Iterator[Problem]:
    """The target names resources of the VEN that sends the opt, or nothing for all of them."""
    for position, ven_id in enumerate(opt.target.ven_id):
        if ven_id != opt.ven_id:
            yield Problem(
                f"VEN {opt.ven_id!r} opts for another VEN, {ven_id!r}",
                "name only your own venID",
                ("target", "ven_id", position),
            )


@rule("206", OadrCreateOpt)
def _schedule_or_event(opt: OadrCreateOpt, scene: Scene) -> Iterator[Problem]:
    """An opt is either a schedule, or qualifies one event and then has neither schedule nor market context."""
    if opt.event_id is None:
        if not opt.vavailability:
            yield Problem(
                "the opt has neither an event nor a period of availability",
                "add qualifiedEventID, or vavailability with its periods",
                ("vavailability",),
            )
        return
    for field, name in (("vavailability", "vavailability"), ("market_context", "marketContext")):
        if opt.get(field) is not None:
            yield Problem(
                f"the opt is for event {opt.event_id!r} and has {name} too",
                f"leave {name} out: with an event it has no meaning",
                (field,),
            )


@rule("209", OadrCreateOpt)
def _device_classes(opt: OadrCreateOpt, scene: Scene) -> Iterator[Problem]:
    """oadrDeviceClass holds only device classes."""
    for problem in device_class_problems(opt.device_class, "oadrDeviceClass"):
        yield msgspec.structs.replace(problem, at=("device_class", *problem.at))


@rule("210", OadrCreateOpt)
def _periods_point_forward(opt: OadrCreateOpt, scene: Scene) -> Iterator[Problem]:
    """A period of availability lasts some time, or (duration 0) for ever."""
    for position, period in enumerate(opt.vavailability or ()):
        if not (is_zero(period.duration) or is_positive(period.duration)):
            yield Problem(
                f"period {position + 1} of the availability lasts {format_duration(period.duration)}",
                "give a positive duration, or PT0S for an open end",
                ("vavailability", position, "duration"),
            )


RULES = (_only_start_and_duration, _targets_are_of_the_ven, _schedule_or_event, _device_classes, _periods_point_forward)
