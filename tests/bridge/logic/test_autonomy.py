"""Charge and runtime where the protocol gives none: the manual's examples, and never a promise that is not kept."""

import math

from hypothesis import given, strategies as st
import pytest

from ridethrough.logic.autonomy import (
    FIRST_GUESS_LIMIT,
    Autonomy,
    AutonomyInputs,
    AutonomyState,
    UpsSettings,
    first_guess,
    highest,
    step,
    stretch,
)

SETTINGS = UpsSettings(power=1000, hold_time=10, recharge_time=4)
HOUR = 3600.0
loads = st.floats(0.0, 2.0)
shares = st.floats(0.0, 1.0)
volts = st.floats(8.0, 16.0)


class Run:
    """Steps one after another, with time passed by hand."""

    def __init__(self, settings: UpsSettings = SETTINGS, now: float = 1000.0) -> None:
        self.settings = settings
        self.state = AutonomyState()
        self.now = now

    def at(self, after: float, inputs: AutonomyInputs) -> Autonomy:
        self.now += after
        self.state, autonomy = step(self.settings, self.state, inputs, self.now)
        return autonomy


def on_battery(
    load: float | None = 1.0, charge: float | None = None, block_voltage: float | None = None
) -> AutonomyInputs:
    return AutonomyInputs(True, load, charge, block_voltage)


def on_mains(
    load: float | None = 1.0, charge: float | None = None, block_voltage: float | None = None
) -> AutonomyInputs:
    return AutonomyInputs(False, load, charge, block_voltage)


def test_full_battery_lasts_the_hold_time_at_full_load() -> None:
    assert Run().at(0, on_mains(charge=1.0)) == Autonomy(1.0, 600.0)


def test_half_the_load_lasts_longer_than_the_hold_time() -> None:
    runtime = Run().at(0, on_mains(load=0.5, charge=1.0)).runtime
    assert runtime is not None and runtime > 600.0


def test_four_minutes_become_seven_and_a_half_when_servers_shut_down_and_the_load_halves() -> None:
    # M:2736-2738
    run = Run(UpsSettings(power=1000, hold_time=7))
    run.at(0, on_battery(charge=1.0))
    assert run.at(180, on_battery()).runtime == pytest.approx(240.0)
    assert run.at(0, on_battery(load=0.5)).runtime == pytest.approx(450.0)


def test_remaining_time_is_corrected_upwards_when_the_load_falls_to_a_fifth() -> None:
    # M:2773-2777
    run = Run(UpsSettings(power=1000, hold_time=60))
    run.at(0, on_battery(charge=1.0))
    assert run.at(1800, on_battery()).runtime == pytest.approx(1800.0)
    runtime = run.at(0, on_battery(load=0.2)).runtime
    assert runtime is not None and 2 * 1800 < runtime < 5 * 1800


def test_charge_falls_to_nothing_after_the_hold_time_and_no_further() -> None:
    run = Run()
    run.at(0, on_battery(charge=1.0))
    assert run.at(300, on_battery()).charge == pytest.approx(0.5)
    assert run.at(300, on_battery()).charge == pytest.approx(0.0, abs=1e-9)
    assert run.at(300, on_battery()) == Autonomy(0.0, 0.0)


def test_empty_battery_is_full_after_the_recharge_time_and_no_fuller() -> None:
    run = Run()
    run.at(0, on_mains(charge=0.0))
    assert run.at(2 * HOUR, on_mains()).charge == pytest.approx(0.5)
    assert run.at(2 * HOUR, on_mains()).charge == pytest.approx(1.0)
    assert run.at(2 * HOUR, on_mains()).charge == 1.0


def test_battery_with_a_failed_charger_gains_nothing() -> None:
    run = Run()
    broken = AutonomyInputs(discharging=False, load=0.5, charger=False)
    run.at(0, AutonomyInputs(discharging=False, load=0.5, charge=0.4, charger=False))
    assert run.at(HOUR, broken).charge == 0.4


def test_second_outage_begins_with_what_the_first_has_left() -> None:
    run = Run()
    run.at(0, on_battery(charge=1.0))
    run.at(300, on_mains())
    assert run.at(HOUR, on_battery()).charge == pytest.approx(0.75)
    assert run.at(150, on_battery()).charge == pytest.approx(0.5)


def test_battery_that_the_ups_calls_low_is_not_promised_more_than_a_tenth() -> None:
    run = Run()
    run.at(0, on_mains(charge=1.0))
    assert run.at(0, AutonomyInputs(discharging=True, load=1.0, low=True)) == Autonomy(0.1, 60.0)
    # What it has left goes on from there, and mains charges it again.
    assert run.at(30, AutonomyInputs(discharging=True, load=1.0, low=True)).charge == pytest.approx(0.05)
    run.at(0, on_mains())
    charged = run.at(7200, on_mains()).charge
    assert charged is not None
    assert charged > 0.1


def test_low_battery_of_a_device_that_tells_its_charge_has_that_charge() -> None:
    assert Run().at(0, AutonomyInputs(discharging=True, load=1.0, charge=0.4, low=True)).charge == 0.4


def test_device_knows_its_charge_better() -> None:
    run = Run()
    run.at(0, on_battery(charge=1.0))
    assert run.at(300, on_battery(charge=0.9)).charge == 0.9
    assert run.at(60, on_battery()).charge == pytest.approx(0.8)


@pytest.mark.parametrize(
    ("settings", "inputs"),
    [
        (UpsSettings(power=1000, hold_time=10), on_mains()),
        (UpsSettings(power=1000, hold_time=10), on_battery()),
        (SETTINGS, AutonomyInputs(discharging=None, load=0.5, charge=0.5, block_voltage=13.0)),
        (UpsSettings(), AutonomyInputs(discharging=None)),
    ],
)
def test_nothing_is_known_without_data(settings: UpsSettings, inputs: AutonomyInputs) -> None:
    run = Run(settings)
    for _ in range(3):
        assert run.at(24 * HOUR, inputs) == Autonomy()


def test_no_runtime_without_hold_time_or_load() -> None:
    assert Run(UpsSettings(power=1000)).at(0, on_mains(charge=1.0)) == Autonomy(1.0, None)
    assert Run().at(0, on_mains(load=None, charge=1.0)) == Autonomy(1.0, None)


def test_contact_ups_is_taken_as_full_only_after_a_whole_recharge_time_on_mains() -> None:
    run = Run()
    assert run.at(0, on_mains()).charge is None
    assert run.at(4 * HOUR - 1, on_mains()).charge is None
    assert run.at(1, on_mains()) == Autonomy(1.0, 600.0)


def test_outage_before_that_starts_the_wait_again() -> None:
    run = Run()
    run.at(0, on_mains())
    run.at(3 * HOUR, on_battery())
    run.at(60, on_mains())
    assert run.at(3 * HOUR, on_mains()).charge is None


def test_first_guess_from_a_float_voltage_leaves_room_for_doubt_and_fills_up() -> None:
    run = Run()
    assert run.at(0, on_mains(block_voltage=13.65)).charge == FIRST_GUESS_LIMIT
    assert run.at(0.4 * HOUR, on_mains(block_voltage=13.65)).charge == pytest.approx(1.0)


def test_first_guess_in_the_middle_of_an_outage_comes_from_the_discharge_voltage() -> None:
    charge = Run().at(0, on_battery(block_voltage=11.7)).charge
    assert charge == pytest.approx(0.5)


def test_worn_battery_that_sags_early_is_not_promised_the_hold_time() -> None:
    run = Run()
    run.at(0, on_battery(charge=1.0))
    runtime = run.at(60, on_battery(block_voltage=10.5)).runtime
    assert runtime is not None and runtime < 200.0
    # A voltage that recovers with less load does not bring the charge back.
    charge = run.state.charge
    assert charge is not None
    after = run.at(0, on_battery(load=0.1, block_voltage=12.4)).charge
    assert after == charge


def test_without_hold_time_the_charge_on_battery_is_what_the_voltage_says() -> None:
    run = Run(UpsSettings())
    run.at(0, on_mains(charge=1.0))
    assert run.at(0, on_battery(block_voltage=12.35)).charge == 1.0
    assert run.at(10, on_battery(block_voltage=12.35)).charge == pytest.approx(0.75)
    assert run.at(10, on_battery()).charge is None


def test_line_lost_during_an_outage_does_not_stop_the_battery() -> None:
    run = Run()
    run.at(0, on_battery(charge=1.0))
    assert run.at(60, AutonomyInputs(discharging=None)) == Autonomy()
    assert run.at(60, AutonomyInputs(discharging=None)) == Autonomy()
    assert run.at(60, on_battery()).charge == pytest.approx(0.7)
    run.at(60, AutonomyInputs(discharging=None))
    assert run.at(60, on_mains()).charge == pytest.approx(0.5)


def test_time_without_word_that_ends_on_battery_counts_as_discharge_at_the_load_found() -> None:
    run = Run()
    run.at(0, on_mains(charge=1.0))
    run.at(1, AutonomyInputs(discharging=None))
    assert run.at(299, on_battery(load=1.0)).charge == pytest.approx(0.5, abs=0.01)


def test_time_without_word_that_ends_on_mains_earns_no_charge() -> None:
    run = Run()
    run.at(0, on_mains(charge=0.5))
    run.at(0, AutonomyInputs(discharging=None))
    assert run.at(24 * HOUR, on_mains()).charge == pytest.approx(0.5)


def test_unknown_load_on_battery_is_counted_as_full_load() -> None:
    run = Run()
    run.at(0, on_battery(load=None, charge=1.0))
    after = run.at(300, on_battery(load=None))
    assert after.charge == pytest.approx(0.5)
    assert after.runtime is None


@pytest.mark.parametrize("name", ["power", "load", "hold_time", "recharge_time"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_settings_must_be_more_than_nothing(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=name):
        UpsSettings(**{name: value})


@given(loads, loads)
def test_more_load_never_lasts_longer(one: float, other: float) -> None:
    assert stretch(max(one, other)) <= stretch(min(one, other))


@given(loads, shares, shares)
def test_more_charge_never_lasts_shorter(load: float, one: float, other: float) -> None:
    low = Run().at(0, on_battery(load=load, charge=min(one, other))).runtime
    high = Run().at(0, on_battery(load=load, charge=max(one, other))).runtime
    assert low is not None and high is not None and 0.0 <= low <= high


@given(volts, volts, loads)
def test_more_voltage_never_means_less_charge(one: float, other: float, load: float) -> None:
    assert 0.0 <= first_guess(min(one, other)) <= first_guess(max(one, other)) <= FIRST_GUESS_LIMIT
    assert 0.0 <= highest(min(one, other), load) <= highest(max(one, other), load) <= 1.0


moments = st.builds(
    AutonomyInputs,
    discharging=st.sampled_from([True, False, None]),
    load=st.none() | loads,
    charge=st.none() | shares,
    block_voltage=st.none() | volts,
    low=st.booleans(),
    charger=st.booleans(),
)


@given(st.lists(st.tuples(st.floats(0.0, 7200.0), moments), max_size=20), st.booleans())
def test_whatever_happens_values_stay_within_bounds_and_none_is_invented(
    history: list[tuple[float, AutonomyInputs]], settings: bool
) -> None:
    run = Run(SETTINGS if settings else UpsSettings())
    for after, inputs in history:
        autonomy = run.at(after, inputs)
        assert autonomy.charge is None or 0.0 <= autonomy.charge <= 1.0
        assert autonomy.runtime is None or 0.0 <= autonomy.runtime <= 15.0 * 600.0 + 1e-6
        if inputs.discharging is None:
            assert autonomy == Autonomy()
        if inputs.load is None or not settings:
            assert autonomy.runtime is None
        if inputs.charge is not None and inputs.discharging is not None:
            assert autonomy.charge == inputs.charge


@given(
    st.lists(st.tuples(st.floats(1.0, 600.0), st.floats(0.05, 1.5)), min_size=1, max_size=30),
    st.floats(1.0, 1.4),
    st.floats(0.0, 1 / 14),
)
def test_battery_that_follows_peukerts_law_always_lasts_at_least_as_long_as_promised(
    legs: list[tuple[float, float]], exponent: float, own_draw: float
) -> None:
    """A stranger's battery: Peukert's law over what the load and the UPS itself draw, full at the start.

    Above full load only exponents up to ours are covered: there nothing is known but the hold time at full load.
    """

    def lasts(load: float) -> float:
        real = min(exponent, 1.3) if load > 1.0 else exponent
        return 600.0 * math.pow((1.0 + own_draw) / (load + own_draw), real)

    run = Run()
    run.at(0, on_battery(load=legs[0][1], charge=1.0))
    left = 1.0
    for seconds, load in legs:
        promised = run.at(0, on_battery(load=load)).runtime
        assert promised is not None and promised <= left * lasts(load) + 1e-6
        left -= seconds / lasts(load)
        if left <= 0.0:
            break
        run.at(seconds, on_battery(load=load))


@given(st.lists(st.floats(0.0, 60.0), max_size=30))
def test_many_small_steps_come_to_the_same_as_one(steps: list[float]) -> None:
    fine, coarse = Run(), Run()
    fine.at(0, on_battery(charge=1.0))
    coarse.at(0, on_battery(charge=1.0))
    for seconds in steps:
        fine.at(seconds, on_battery())
    assert coarse.at(sum(steps), on_battery()).charge == pytest.approx(fine.state.charge if steps else 1.0, abs=1e-9)
