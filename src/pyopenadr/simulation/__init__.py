"""Fleets that do not exist: many VENs with models of devices at a VTN, with faults if you like, and a report of it.

plan = Plan(start=start, length=timedelta(hours=2), events=(event_in_words("SIMPLE 2 at +15m for 1h", start),))
outcome = simulate(plan)
print(outcome.events[0].shed_kwh, outcome.problems)
"""

from pyopenadr.simulation.ask import NOTHING, Ask, ask_of
from pyopenadr.simulation.chart import svg_chart, text_chart
from pyopenadr.simulation.device import Battery, Device, ElectricVehicle, FlexibleLoad, Thermostat, make_device
from pyopenadr.simulation.fault import Faults, FaultTransport
from pyopenadr.simulation.fleet import Progress, Simulation, simulate
from pyopenadr.simulation.loop import LoopClock, SimulationLoop, run_at_speed
from pyopenadr.simulation.plan import Plan, event_in_words, parse_duration
from pyopenadr.simulation.report import Outcome

__all__ = [
    "NOTHING",
    "Ask",
    "Battery",
    "Device",
    "ElectricVehicle",
    "FaultTransport",
    "Faults",
    "FlexibleLoad",
    "LoopClock",
    "Outcome",
    "Plan",
    "Progress",
    "Simulation",
    "SimulationLoop",
    "Thermostat",
    "ask_of",
    "event_in_words",
    "make_device",
    "parse_duration",
    "run_at_speed",
    "simulate",
    "svg_chart",
    "text_chart",
]
