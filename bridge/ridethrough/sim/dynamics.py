"""What time does to a UPS: transfers, discharge and recharge, heat, timers. Pure and deterministic."""

from dataclasses import replace
from math import exp, inf, isfinite

from . import battery
from .ups import (
    BatteryTest,
    Inputs,
    OffReason,
    Outcome,
    Supply,
    Topology,
    UpsDesign,
    UpsState,
    battery_low,
    battery_power,
    empty_charge,
    is_charging,
    low_charge,
    mains_supply,
)

LONGEST = 1.0
"""Seconds of one step of integration; timers and thresholds end a step early."""
_MOMENT = 1e-6
"""Durations below this count as over."""
_NOTHING = 1e-7
"""Charge (0–1) that makes no difference."""
_RELIEF = 10.0
"""An online UPS leaves its bypass after so many seconds without overload."""
_COOLING = 120.0
"""A UPS has recovered from any overload after so many seconds."""


def step(design: UpsDesign, state: UpsState, inputs: Inputs, dt: float) -> UpsState:
    """Give the state `dt` seconds later, with the inputs held. Raises ValueError for a dt below 0 or without end.

    It does not matter into how many calls a time is divided, beyond the error of the integration (well below 0.1 %).
    """
    if not isfinite(dt) or dt < 0.0:
        raise ValueError(f"Time goes forward, in finite steps; not by {dt}")
    state = _decide(design, state, inputs)
    while dt > _MOMENT:
        seconds = min(dt, _stride(design, state, inputs))
        state = _decide(design, _flow(design, state, inputs, seconds), inputs)
        dt -= seconds
    return state


def runtime_left(design: UpsDesign, state: UpsState, inputs: Inputs) -> float:
    """Seconds for which the battery would feed the present load if mains were absent from now on: the truth.

    An overload that the UPS does not bear for so long ends it sooner; 0 when the output is off.
    """
    if not state.output_on:
        return 0.0
    stress_left = (1.0 - state.stress) * design.overload_time(inputs.load)
    wear, power = inputs.faults.wear, battery_power(design, inputs)
    empty = empty_charge(design, inputs)
    target = inputs.ambient + _rise(design, inputs, discharging=True)
    charge, warmth, left = state.charge, state.temperature, 0.0
    while charge > empty + _NOTHING and left < stress_left:
        rate = _depletion(design, charge, warmth, inputs)
        seconds = min(0.005 / rate, (charge - empty) / rate)
        charge = battery.discharge(design.battery, charge, power, warmth, wear, seconds)
        warmth = target + (warmth - target) * exp(-seconds / design.heat_lag)
        left += seconds
    return min(left, stress_left)


def _stride(design: UpsDesign, state: UpsState, inputs: Inputs) -> float:
    """Seconds until something may happen, at most one step of integration."""
    good = state.mains_good_for
    ends = [
        state.test_left if state.test else inf,
        inf if state.shutdown_in is None else state.shutdown_in,
        inf if state.restore_in is None else state.restore_in,
        design.transfer_back - good,
        design.restart_delay - good,
        _RELIEF - state.relieved_for,
        (1.0 - state.stress) * design.overload_time(inputs.load),
    ]
    if state.on_battery:
        rate = _depletion(design, state.charge, state.temperature, inputs)
        thresholds = low_charge(design, inputs), empty_charge(design, inputs)
        ends += [(state.charge - threshold) / rate for threshold in thresholds if state.charge > threshold + _NOTHING]
    at_rest = not state.on_battery and (state.charge >= 1.0 or not is_charging(design, inputs))
    return min([inf if at_rest else LONGEST, *(end for end in ends if end > _MOMENT)])


# Continuous: what flows while nothing is decided.


def _flow(design: UpsDesign, state: UpsState, inputs: Inputs, seconds: float) -> UpsState:
    wear = inputs.faults.wear
    charge, out, into, served = state.charge, state.energy_out, state.energy_in, state.energy_served
    if state.on_battery:
        power = battery_power(design, inputs)
        charge = battery.discharge(design.battery, charge, power, state.temperature, wear, seconds)
        out += power * seconds
        served += inputs.load * design.real_power * seconds
    elif charge < 1.0 and is_charging(design, inputs):
        current = battery.charging_current(design.battery, charge)
        into += current * battery.charging_voltage(design.battery, charge, state.temperature) * seconds
        charge = battery.recharge(design.battery, charge, state.temperature, wear, seconds)
    target = inputs.ambient + _rise(design, inputs, discharging=state.on_battery) * state.output_on
    overloaded = state.output_on and inputs.load > 1.0
    good = mains_supply(design, inputs) is not None
    return replace(
        state,
        charge=charge,
        temperature=target + (state.temperature - target) * exp(-seconds / design.heat_lag),
        test_left=_less(state.test_left, seconds),
        shutdown_in=None if state.shutdown_in is None else _less(state.shutdown_in, seconds),
        restore_in=None if state.restore_in is None else _less(state.restore_in, seconds),
        mains_good_for=state.mains_good_for + seconds if good else 0.0,
        stress=(
            min(1.0, state.stress + seconds / design.overload_time(inputs.load))
            if overloaded
            else max(0.0, state.stress - seconds / _COOLING)
        ),
        relieved_for=0.0 if overloaded else state.relieved_for + seconds,
        elapsed=state.elapsed + seconds,
        energy_out=out,
        energy_in=into,
        energy_served=served,
    )


def _depletion(design: UpsDesign, charge: float, temperature: float, inputs: Inputs) -> float:
    """Charge lost per second under the present load."""
    wear = inputs.faults.wear
    drawn = battery.draw(design.battery, charge, battery_power(design, inputs), wear)
    return inf if drawn is None else battery.depletion(design.battery, drawn.current, temperature, wear)


def _rise(design: UpsDesign, inputs: Inputs, *, discharging: bool) -> float:
    rise = inputs.load**2 * design.heat_load + (inputs.load * design.heat_battery if discharging else 0.0)
    return rise * (3.0 if inputs.faults.fan else 1.0)


def _less(left: float, seconds: float) -> float:
    return left - seconds if left - seconds > _MOMENT else 0.0


# Discrete: what the UPS decides at one moment. Applying it twice changes nothing further.


def _decide(design: UpsDesign, state: UpsState, inputs: Inputs) -> UpsState:
    if mains_supply(design, inputs) is None and state.mains_good_for > 0.0:
        state = replace(state, mains_good_for=0.0)
    if not state.output_on:
        return _off(design, state, inputs)
    state = _test(design, state, inputs)
    state = _transfer(design, state, inputs)
    state = _overload(design, state, inputs)
    state = _exhaustion(design, state, inputs)
    return _shutdown(design, state, inputs)


def _off(design: UpsDesign, state: UpsState, inputs: Inputs) -> UpsState:
    """Switch on again when that is due and mains has been good for long enough."""
    supply = mains_supply(design, inputs)
    if supply is None or state.mains_good_for < design.restart_delay - _MOMENT:
        return state
    due = state.off_reason is OffReason.CUTOFF or (
        state.off_reason is OffReason.SHUTDOWN and state.restore_in is not None and state.restore_in <= 0.0
    )
    if not due:
        return state
    return replace(
        state, supply=supply, off_reason=None, restore_in=None, restore_after=None, shutdown_in=None, stress=0.0
    )


def _go_off(state: UpsState, reason: OffReason) -> UpsState:
    return replace(
        state,
        supply=Supply.OFF,
        off_reason=reason,
        shutdown_in=None,
        test=None,
        test_left=0.0,
        outcome=Outcome.ABORTED if state.test else state.outcome,
        stress=0.0,
    )


def _overload(design: UpsDesign, state: UpsState, inputs: Inputs) -> UpsState:
    if state.supply is Supply.BYPASS and inputs.load <= 1.0 and state.relieved_for >= _RELIEF - _MOMENT:
        return replace(state, supply=mains_supply(design, inputs) or Supply.BATTERY, stress=0.0)
    if state.stress < 1.0 - _MOMENT or state.supply is Supply.BYPASS or inputs.load <= 1.0:
        return state
    if design.topology is Topology.ONLINE and not state.on_battery:
        return replace(state, supply=Supply.BYPASS)
    return _go_off(state, OffReason.OVERLOAD)


def _test(design: UpsDesign, state: UpsState, inputs: Inputs) -> UpsState:
    if state.test is None:
        return state
    if mains_supply(design, inputs) is None:
        return replace(state, test=None, test_left=0.0, outcome=Outcome.ABORTED, glitch=inputs.mains_voltage)
    worn = inputs.faults.wear.resistance / inputs.faults.wear.capacity >= design.test_resistance
    if state.test is BatteryTest.DEEP and battery_low(design, state, inputs):
        outcome = Outcome.FAILED if worn else Outcome.PASSED
    elif battery_low(design, state, inputs):
        outcome = Outcome.FAILED
    elif state.test_left <= 0.0:
        outcome = Outcome.FAILED if worn else Outcome.PASSED
    else:
        return state
    return replace(state, test=None, test_left=0.0, outcome=outcome)


def _transfer(design: UpsDesign, state: UpsState, inputs: Inputs) -> UpsState:
    supply = mains_supply(design, inputs)
    if state.on_battery:
        settled = state.mains_good_for >= design.transfer_back - _MOMENT
        if supply is not None and settled and state.test is None:
            return replace(state, supply=supply)
        return state
    if supply is None:
        return replace(state, supply=Supply.BATTERY, glitch=inputs.mains_voltage)
    if state.supply is Supply.BYPASS:
        return state
    return state if state.supply is supply else replace(state, supply=supply)


def _exhaustion(design: UpsDesign, state: UpsState, inputs: Inputs) -> UpsState:
    if not state.on_battery:
        return state
    if state.charge > empty_charge(design, inputs) + _NOTHING:
        return state
    return _go_off(state, OffReason.CUTOFF)


def _shutdown(design: UpsDesign, state: UpsState, inputs: Inputs) -> UpsState:
    """Go off when it is time, or at once when the battery gets low on the way (Megatec protocol, S)."""
    if state.shutdown_in is None:
        return state
    failing = state.on_battery and state.test is None and battery_low(design, state, inputs)
    if state.shutdown_in > 0.0 and not failing:
        return state
    return replace(_go_off(state, OffReason.SHUTDOWN), restore_in=state.restore_after, restore_after=None)
