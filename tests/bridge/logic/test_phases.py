"""A UPS of three phases: its load, and whether its input is good."""

import pytest

from ridethrough.catalogue import Value
from ridethrough.logic import UpsSettings, ups_derivation
from ridethrough.logic.phases import input_of, phases_load
from ridethrough.logic.ups_status import UpsConditions, derived_conditions

from .views import seen

LIMITS: dict[str, Value] = {"input.transfer.low": 184.0, "input.transfer.high": 276.0}


def volts(*phases: float, **more: float) -> dict[str, Value]:
    values: dict[str, Value] = {f"input.L{line}.voltage": voltage for line, voltage in enumerate(phases, 1)}
    values.update({f"input.{key.replace('_', '.')}": value for key, value in more.items()})
    return values


@pytest.mark.parametrize(
    ("values", "bad"),
    [
        (volts(230, 231, 229), None),
        (volts(230, 231, 229) | LIMITS, False),
        (volts(230, 183, 229) | LIMITS, True),
        (volts(230, 231, 280) | LIMITS, True),
        (volts(230, 0, 229), True),
        (volts(230, 231, 100, voltage_nominal=230), True),
        (volts(230, 231, 229, voltage_nominal=230), None),
        # Limits and ratings between two phases: 400 V in Europe, 208 V in America.
        (volts(230, 231, 229, transfer_low=320, transfer_high=480), False),
        (volts(230, 180, 229, transfer_low=320, transfer_high=480), True),
        (volts(230, 231, 229, voltage_nominal=400), None),
        (volts(230, 231, 100, voltage_nominal=400), True),
        (volts(120, 121, 119, voltage_nominal=208, transfer_low=177, transfer_high=240), False),
        (volts(120, 90, 119, voltage_nominal=208, transfer_low=177, transfer_high=240), True),
        # Only one limit is known: enough to be bad, not to be good.
        (volts(230, 231, 229, transfer_low=184), None),
        (volts(230, 100, 229, transfer_low=184), True),
        ({"input.L1-N.voltage": 230.0, "input.L2-N.voltage": 230.0, "input.L3-N.voltage": 50.0}, True),
        (volts(0, 0, 0, voltage_nominal=230), True),
    ],
)
def test_input_of_three_phases_is_bad_when_one_of_them_is(values: dict[str, Value], bad: bool | None) -> None:
    nothing = UpsConditions(frozenset(), frozenset())
    assert derived_conditions(nothing, values).get("input_bad") is bad


def test_average_of_the_phases_does_not_hide_a_missing_one() -> None:
    assert input_of(volts(230, 0, 230) | {"input.voltage": 230.0}).missing


def test_one_phase_too_high_is_the_bit_for_it() -> None:
    derived = ups_derivation(UpsSettings())(seen(volts(230, 231, 280) | LIMITS, on_battery=False), 0.0)
    assert derived.conditions["input_high"] is True


@pytest.mark.parametrize(
    ("values", "load"),
    [
        ({}, None),
        ({"output.L1.power.percent": 30.0, "output.L2.power.percent": 40.0, "output.L3.power.percent": 53.0}, 41.0),
        ({"output.L1.power.percent": 30.0, "output.L2.power.percent": 40.0}, None),
        ({"output.L1.power.percent": 30.0, "output.L2.power.percent": 40.0, "output.phases": 2}, 35.0),
        ({"output.L1.power.percent": 30.0, "output.phases": 3}, None),
        ({"output.L1.power.percent": 30.0}, 30.0),
        ({"ups.L1.load": 10.0, "ups.L2.load": 20.0, "ups.L3.load": 30.0}, 20.0),
    ],
)
def test_load_is_the_mean_of_all_phases(values: dict[str, Value], load: float | None) -> None:
    assert phases_load(values) == load


def test_load_of_the_phases_is_shown_and_makes_a_runtime() -> None:
    values: dict[str, Value] = {f"output.L{line}.power.percent": 100.0 for line in (1, 2, 3)}
    derived = ups_derivation(UpsSettings(hold_time=10))(seen(values | {"battery.charge": 50.0}, on_battery=True), 0.0)
    assert (derived.points["ups.load"], derived.points["battery.runtime"]) == (100.0, 300.0)
    told = ups_derivation(UpsSettings())(seen(values | {"ups.load": 7.0}, on_battery=True), 0.0)
    assert "ups.load" not in told.points
