"""The models of devices keep the laws of physics and their users' comfort, whatever is asked of them."""

from __future__ import annotations

import copy
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyopenadr.errors import ConfigError
from pyopenadr.simulation import NOTHING, Ask, Battery, Device, ElectricVehicle, FlexibleLoad, Thermostat, make_device
from pyopenadr.simulation.device import KINDS

ASKS = st.builds(
    Ask,
    curtail=st.floats(-1.0, 1.0),
    limit_kw=st.none() | st.floats(-5.0, 12.0),
    delta_kw=st.none() | st.floats(-5.0, 5.0),
    share=st.none() | st.floats(0.0, 1.5),
    of_usual=st.booleans(),
)
STEPS_S = st.sampled_from((10.0, 60.0, 300.0))


def live(device: Device, asks: list[Ask], dt_s: float, seed: int = 1) -> list[float]:
    draw = random.Random(seed)
    return [device.step(ask, dt_s, draw) for ask in asks]


@given(asks=st.lists(ASKS, min_size=1, max_size=60), dt_s=STEPS_S, seed=st.integers(0, 10_000))
def test_a_room_is_never_warmer_than_is_comfortable(asks: list[Ask], dt_s: float, seed: int) -> None:
    device = KINDS["thermostat"](random.Random(seed))
    assert isinstance(device, Thermostat)
    most_heat = device.gain_kw * 1.2 + device.loss_kw_k * (device.outdoor_c - device.comfort_c)
    device.rated_kw = max(device.rated_kw, 1.01 * most_heat / device.cop)  # strong enough to hold it there
    draw = random.Random(seed)
    for ask in asks:
        power = device.step(ask, dt_s, draw)
        assert -1e-9 <= power <= device.rated_kw + 1e-9
        assert device.target_c - 1e-6 <= device.temperature_c <= device.comfort_c + 1e-6


@given(power_share=st.floats(0.0, 1.0), dt_s=STEPS_S, start_c=st.floats(15.0, 30.0))
def test_heat_that_comes_in_and_goes_out_is_what_warms_the_room(
    power_share: float, dt_s: float, start_c: float
) -> None:
    device = Thermostat(rated_kw=4.0, temperature_c=start_c, comfort_c=60.0, target_c=5.0)
    gain = device.gain_kw * random.Random(1).uniform(0.8, 1.2)
    power = device.step(Ask(limit_kw=4.0 * power_share), dt_s, random.Random(1))
    hours, loss, heat = dt_s / 3600.0, device.loss_kw_k, device.heat_kwh_k
    # The mean temperature of the step, for the heat that came in through the walls, by small steps of its own.
    temperature, parts, came_in = start_c, 20_000, 0.0
    for _ in range(parts):
        inflow = loss * (device.outdoor_c - temperature)
        came_in += inflow * hours / parts
        temperature += (inflow + gain - device.cop * power) * hours / parts / heat
    stored = heat * (device.temperature_c - start_c)
    assert stored == pytest.approx(came_in + (gain - device.cop * power) * hours, abs=1e-3)


def test_a_thermostat_lets_the_room_become_warmer_and_cools_it_afterwards() -> None:
    device = Thermostat(rated_kw=4.0, temperature_c=22.0)
    usual = live(copy.deepcopy(device), [NOTHING] * 60, 60.0)
    asked = live(device, [Ask(curtail=1.0)] * 30, 60.0)
    assert sum(asked) < 0.5 * sum(usual[:30])
    assert 22.0 < device.temperature_c <= 25.0
    after = live(device, [NOTHING] * 30, 60.0, seed=2)
    assert after[0] > usual[0]
    assert device.temperature_c == pytest.approx(22.0, abs=0.01)


@given(asks=st.lists(ASKS, min_size=1, max_size=80), dt_s=STEPS_S, seed=st.integers(0, 10_000))
def test_a_battery_stays_within_its_bounds_and_makes_no_energy(asks: list[Ask], dt_s: float, seed: int) -> None:
    device = KINDS["battery"](random.Random(seed))
    assert isinstance(device, Battery)
    draw, shadow = random.Random(seed), random.Random(seed)
    for ask in asks:
        before = device.energy_kwh
        battery_kw = device.step(ask, dt_s, draw) - device.load_kw * shadow.uniform(0.7, 1.3)
        assert abs(battery_kw) <= device.battery_kw + 1e-9
        assert device.reserve_kwh - 1e-6 <= device.energy_kwh <= device.capacity_kwh
        through = battery_kw * dt_s / 3600.0
        stored = through * device.efficiency if through > 0.0 else through / device.efficiency
        assert device.energy_kwh - before == pytest.approx(stored, abs=1e-9)


def test_a_battery_gives_when_asked_takes_when_welcome_and_goes_back_to_its_rest() -> None:
    device = Battery(rated_kw=7.0, capacity_kwh=10.0, energy_kwh=7.0, rest_kwh=7.0, reserve_kwh=1.0)
    assert live(device, [Ask(curtail=1.0)], 3600.0)[0] == pytest.approx(0.8 - 5.0, abs=0.3)
    assert live(copy.deepcopy(device), [Ask(curtail=-1.0)], 600.0)[0] == pytest.approx(0.8 + 5.0, abs=0.3)
    live(device, [NOTHING] * 300, 60.0)
    assert device.energy_kwh == pytest.approx(7.0)
    assert live(device, [Ask(limit_kw=0.0)], 60.0) == [pytest.approx(0.0, abs=1e-9)]


@given(
    asks=st.lists(ASKS, min_size=1, max_size=30),
    dt_s=st.sampled_from((60.0, 300.0, 700.0)),
    share=st.floats(0.0, 1.0),
    arrives_s=st.floats(-7200.0, 7200.0),
)
def test_a_car_that_can_be_full_in_time_is_full_when_it_leaves(
    asks: list[Ask], dt_s: float, share: float, arrives_s: float
) -> None:
    leaves_s = 4.0 * 3600.0
    stays_h = (leaves_s - max(0.0, arrives_s)) / 3600.0
    missing = share * 7.4 * 0.92 * stays_h
    device = ElectricVehicle(rated_kw=7.4, missing_kwh=missing, arrives_s=arrives_s, leaves_s=leaves_s)
    steps = math.ceil(leaves_s / dt_s)
    powers = live(device, [asks[n % len(asks)] for n in range(steps)], dt_s)
    assert device.missing_kwh == pytest.approx(0.0, abs=1e-6)
    assert sum(powers) * dt_s / 3600.0 * 0.92 == pytest.approx(missing, abs=1e-6)
    assert all(0.0 <= power <= 7.4 + 1e-9 for power in powers)
    assert live(device, [NOTHING], dt_s) == [0.0]


def test_a_car_charges_at_once_unless_asked_to_wait() -> None:
    device = ElectricVehicle(rated_kw=11.0, missing_kwh=20.0, arrives_s=600.0, leaves_s=36_000.0)
    assert live(copy.deepcopy(device), [NOTHING] * 12, 60.0) == [0.0] * 10 + [11.0] * 2
    assert live(device, [Ask(curtail=1.0)] * 12, 60.0) == [0.0] * 12
    assert live(device, [Ask(curtail=0.5), Ask(limit_kw=4.0)], 60.0) == [5.5, 4.0]


@given(asks=st.lists(ASKS, min_size=1, max_size=80), dt_s=STEPS_S, seed=st.integers(0, 10_000))
def test_a_flexible_load_owes_what_it_put_off_and_no_more(asks: list[Ask], dt_s: float, seed: int) -> None:
    device = KINDS["flexible"](random.Random(seed))
    assert isinstance(device, FlexibleLoad)
    usual = live(copy.deepcopy(device), [NOTHING] * len(asks), dt_s, seed)
    powers = live(device, asks, dt_s, seed)
    hours = dt_s / 3600.0
    put_off = sum(max(0.0, u - p) for u, p in zip(usual, powers, strict=True)) * hours
    made_up = sum(max(0.0, p - u) for u, p in zip(usual, powers, strict=True)) * hours
    assert device.owed_kwh == pytest.approx(device.payback * put_off - made_up, abs=1e-6)
    assert all(p >= (1.0 - device.flexible) * u - 1e-9 for u, p in zip(usual, powers, strict=True))
    assert all(p <= device.rated_kw + 1e-9 for p in powers)


@given(kind=st.sampled_from(sorted(KINDS)), seed=st.integers(0, 10_000), asks=st.lists(ASKS, min_size=1, max_size=20))
def test_what_is_asked_changes_no_lot(kind: str, seed: int, asks: list[Ask]) -> None:
    device = KINDS[kind](random.Random(seed))
    one, other = random.Random(seed), random.Random(seed)
    twin = copy.deepcopy(device)
    for ask in asks:
        device.step(ask, 60.0, one)
        twin.step(NOTHING, 60.0, other)
    assert one.getstate() == other.getstate()


def test_the_mix_decides_what_is_made() -> None:
    draw = random.Random(3)
    made = [make_device({"ev": 1.0, "battery": 3.0, "flexible": 0.0}, draw).kind for _ in range(400)]
    assert set(made) == {"ev", "battery"}
    assert 0.6 < made.count("battery") / 400 < 0.9
    assert make_device({"ev": 1.0}, random.Random(5)) == make_device({"ev": 1.0}, random.Random(5))


@pytest.mark.parametrize("mix", [{}, {"ev": 0.0}, {"ev": -1.0, "battery": 2.0}, {"toaster": 1.0}])
def test_a_mix_that_makes_no_sense_is_refused(mix: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="thermostat, battery, ev, flexible"):
        make_device(mix, random.Random(1))
