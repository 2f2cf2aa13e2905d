"""The battery against closed forms, and properties that hold for every battery."""

from hypothesis import given, strategies as st
import pytest

from ridethrough.sim.battery import (
    BatteryDesign,
    Wear,
    capacity,
    charge_at,
    charging_current,
    charging_voltage,
    depletion,
    discharge,
    draw,
    float_voltage,
    open_voltage,
    recharge,
    resistance,
)

DESIGN = BatteryDesign(nominal_voltage=24.0, blocks=2, capacity=9.0, peukert=1.2, resistance=0.03)
STIFF = BatteryDesign(nominal_voltage=24.0, blocks=2, capacity=9.0, peukert=1.2, resistance=0.0)


@pytest.mark.parametrize("current", [0.45, 2.0, 9.0, 27.0])
def test_constant_current_empties_the_battery_in_peukerts_time(current: float) -> None:
    """T = H (C / (I H))^k, Peukert 1897."""
    closed_form = 20.0 * (9.0 / (current * 20.0)) ** 1.2 * 3600.0
    assert 1.0 / depletion(DESIGN, current, 25.0) == pytest.approx(closed_form, rel=1e-9)


def test_the_rated_current_lasts_the_rated_hours() -> None:
    assert 1.0 / depletion(DESIGN, 9.0 / 20.0, 25.0) == pytest.approx(20.0 * 3600.0)


def test_small_currents_are_counted_and_gain_nothing() -> None:
    assert 1.0 / depletion(DESIGN, 0.09, 25.0) == pytest.approx(100.0 * 3600.0)


def test_constant_power_follows_the_quadrature_of_peukerts_law() -> None:
    """Without resistance I = P / U0(q); the time from full to empty is the integral of dq / rate(q)."""
    slices = 20_000
    expected = sum(
        1.0 / depletion(STIFF, 300.0 / open_voltage(STIFF, (i + 0.5) / slices), 25.0) / slices for i in range(slices)
    )
    charge, seconds = 1.0, 0.0
    while charge > 0.0:
        charge = discharge(STIFF, charge, 300.0, 25.0, Wear(), 1.0)
        seconds += 1.0
    assert seconds == pytest.approx(expected, abs=1.5)


def test_terminal_voltage_sags_by_ohms_law_and_delivers_the_power() -> None:
    drawn = draw(DESIGN, 0.8, 500.0)
    assert drawn is not None
    assert drawn.current * drawn.voltage == pytest.approx(500.0)
    assert open_voltage(DESIGN, 0.8) - drawn.voltage == pytest.approx(0.03 * drawn.current)


def test_more_power_than_the_resistance_lets_through_cannot_be_drawn() -> None:
    most = open_voltage(DESIGN, 1.0) ** 2 / (4.0 * 0.03)
    assert draw(DESIGN, 1.0, most * 0.999) is not None
    assert draw(DESIGN, 1.0, most * 1.001) is None
    assert discharge(DESIGN, 1.0, most * 1.001, 25.0, Wear(), 1.0) == 1.0


@pytest.mark.parametrize("power", [100.0, 500.0, 900.0])
def test_the_charge_at_which_a_voltage_is_reached_is_found_in_closed_form(power: float) -> None:
    drawn = draw(DESIGN, charge_at(DESIGN, power, 22.0, Wear()), power)
    assert drawn is not None
    assert drawn.voltage == pytest.approx(22.0)


def test_cold_and_age_take_capacity() -> None:
    assert capacity(DESIGN, 25.0, Wear()) == 9.0
    assert capacity(DESIGN, 5.0, Wear()) == pytest.approx(9.0 * 0.88)
    assert capacity(DESIGN, -200.0, Wear()) == 4.5
    assert capacity(DESIGN, 200.0, Wear()) == pytest.approx(9.9)
    assert capacity(DESIGN, 25.0, Wear(capacity=0.5)) == 4.5
    assert resistance(DESIGN, Wear(capacity=0.5)) == pytest.approx(0.06)


def test_charging_goes_from_constant_current_through_a_taper_to_nothing() -> None:
    assert charging_current(DESIGN, 0.1) == charging_current(DESIGN, 0.85) == 1.0
    assert charging_current(DESIGN, 0.925) == pytest.approx(0.5)
    assert charging_current(DESIGN, 0.9999) == pytest.approx(0.02)
    assert charging_current(DESIGN, 1.0) == 0.0


def test_charging_voltage_rises_to_the_float_voltage_and_is_compensated_for_heat() -> None:
    voltages = [charging_voltage(DESIGN, charge / 100.0, 25.0) for charge in range(101)]
    assert voltages == sorted(voltages)
    assert voltages[-1] == voltages[85] == float_voltage(DESIGN, 25.0) == pytest.approx(27.3)
    assert float_voltage(DESIGN, 35.0) == pytest.approx(27.3 - 12 * 0.03)


def test_recharge_is_complete_in_finite_time() -> None:
    charge, hours = 0.0, 0
    while charge < 1.0:
        charge = recharge(DESIGN, charge, 25.0, Wear(), 3600.0)
        hours += 1
    assert 10 <= hours <= 30


@given(
    charge=st.floats(0.05, 1.0),
    power=st.floats(0.0, 800.0),
    temperature=st.floats(-10.0, 50.0),
    wear=st.builds(Wear, st.floats(0.2, 1.2), st.floats(0.2, 3.0)),
)
def test_discharge_only_takes_and_recharge_only_gives(
    charge: float, power: float, temperature: float, wear: Wear
) -> None:
    after = discharge(DESIGN, charge, power, temperature, wear, 10.0)
    assert 0.0 <= after <= charge
    assert charge <= recharge(DESIGN, charge, temperature, wear, 10.0) <= 1.0
