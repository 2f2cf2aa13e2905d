"""The physical UPS: transfers, tests, shutdown, overload, faults, and the truth about its runtime."""

from dataclasses import replace

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough.sim.battery import Wear, open_voltage
from ridethrough.sim.designs import DESIGNS
from ridethrough.sim.dynamics import runtime_left, step
from ridethrough.sim.unit import Unit
from ridethrough.sim.ups import (
    BatteryTest,
    Faults,
    Inputs,
    OffReason,
    Outcome,
    Supply,
    UpsState,
    battery_low,
    battery_voltage,
    cancel_shutdown,
    gauges,
    has_fault,
    is_alive,
    is_sounding,
    output_voltage,
    press_power,
    shut_down,
    start_test,
    stop_test,
)

INTERACTIVE = DESIGNS["interactive-1000"]
ONLINE = DESIGNS["online-3000"]
STANDBY = DESIGNS["standby-600"]


def unit(design: str = "interactive-1000", **inputs: object) -> Unit:
    made = Unit(DESIGNS[design])
    surround(made, **inputs)
    return made


def surround(made: Unit, **inputs: object) -> None:
    made.inputs = replace(made.inputs, **inputs)  # type: ignore[arg-type]
    made.advance(0.0)


def supply(made: Unit) -> Supply:
    return made.state.supply


def powered(made: Unit) -> bool:
    return made.state.output_on


def low(made: Unit) -> bool:
    return battery_low(made.design, made.state, made.inputs)


def test_mains_failure_goes_to_battery_at_once_and_back_when_mains_has_settled() -> None:
    ups = unit()
    surround(ups, mains_voltage=0.0)
    assert supply(ups) is Supply.BATTERY
    ups.advance(30.0)
    surround(ups, mains_voltage=230.0)
    ups.advance(1.9)
    assert ups.state.on_battery
    ups.advance(0.1)
    assert supply(ups) is Supply.MAINS


@pytest.mark.parametrize(
    ("voltage", "source", "output"),
    [
        (230.0, Supply.MAINS, 230.0),
        (200.0, Supply.BOOST, 230.0),
        (260.0, Supply.TRIM, 226.2),
        (160.0, Supply.BATTERY, 230.0),
        (290.0, Supply.BATTERY, 230.0),
    ],
)
def test_a_line_interactive_ups_boosts_trims_and_transfers(voltage: float, source: Supply, output: float) -> None:
    ups = unit(mains_voltage=voltage)
    assert supply(ups) is source
    assert output_voltage(ups.design, ups.state, ups.inputs) == pytest.approx(output)


def test_topologies_differ_in_what_the_load_sees() -> None:
    online, standby = unit("online-3000", mains_voltage=210.0), unit("standby-600", mains_voltage=210.0)
    assert gauges(online.design, online.state, online.inputs).output_voltage == 230.0
    assert gauges(standby.design, standby.state, standby.inputs).output_voltage == 210.0


def test_a_wrong_frequency_is_no_mains() -> None:
    assert unit(mains_frequency=45.0).state.on_battery


def test_battery_runs_low_then_empty_then_the_ups_is_dead_until_mains_returns() -> None:
    ups = unit(load=1.0, faults=Faults(wear=Wear(resistance=1.5)))
    surround(ups, mains_voltage=0.0)
    seen = []
    for _ in range(3600):
        ups.advance(1.0)
        seen.append((low(ups), ups.state.supply))
    assert seen.index((True, Supply.BATTERY)) < seen.index((True, Supply.OFF))
    assert ups.state.off_reason is OffReason.CUTOFF
    assert not is_alive(ups.design, ups.state, ups.inputs)
    assert ups.state.charge > 0.0  # cut off by voltage, a little left
    surround(ups, mains_voltage=230.0)
    assert is_alive(ups.design, ups.state, ups.inputs)
    ups.advance(9.9)
    assert not powered(ups)
    ups.advance(0.1)
    assert supply(ups) is Supply.MAINS
    ups.advance(86400.0)
    assert ups.state.charge == 1.0


def test_an_exhausted_battery_does_not_carry_the_load_for_a_moment() -> None:
    ups = unit()
    ups.state = replace(ups.state, charge=0.0)
    surround(ups, mains_voltage=0.0)
    assert ups.state.off_reason is OffReason.CUTOFF


def test_a_battery_that_cannot_give_the_power_is_cut_off() -> None:
    ups = unit(load=1.0, faults=Faults(wear=Wear(resistance=20.0)))
    ups.state = replace(ups.state, supply=Supply.BATTERY)
    assert battery_voltage(ups.design, ups.state, ups.inputs) == 0.0
    surround(ups, mains_voltage=0.0)
    assert ups.state.off_reason is OffReason.CUTOFF
    assert runtime_left(ups.design, replace(ups.state, supply=Supply.MAINS), ups.inputs) == 0.0


@pytest.mark.parametrize("design", list(DESIGNS))
@pytest.mark.parametrize("load", [0.1, 0.5, 1.0])
@pytest.mark.parametrize("wear", [Wear(), Wear(capacity=0.6), Wear(resistance=2.5)])
def test_the_predicted_runtime_is_what_then_happens(design: str, load: float, wear: Wear) -> None:
    ups = unit(design, load=load, faults=Faults(wear=wear))
    predicted = runtime_left(ups.design, ups.state, ups.inputs)
    surround(ups, mains_voltage=0.0)
    seconds = 0.0
    while powered(ups):
        ups.advance(1.0)
        seconds += 1.0
    assert seconds == pytest.approx(predicted, rel=0.01, abs=2.0)


def test_the_prediction_knows_that_an_overload_ends_it_sooner() -> None:
    ups = unit(load=1.2)
    assert runtime_left(ups.design, ups.state, ups.inputs) == pytest.approx(60.0)
    assert runtime_left(ups.design, replace(ups.state, supply=Supply.OFF), ups.inputs) == 0.0


def test_a_quick_test_passes_in_ten_seconds_on_good_blocks() -> None:
    ups = unit()
    ups.state = start_test(ups.state, BatteryTest.QUICK)
    ups.advance(9.9)
    assert (supply(ups), ups.state.test) == (Supply.BATTERY, BatteryTest.QUICK)
    ups.advance(0.1)
    assert (supply(ups), ups.state.test, ups.state.outcome) == (Supply.MAINS, None, Outcome.PASSED)


@pytest.mark.parametrize("wear", [Wear(resistance=2.1), Wear(capacity=0.45)])
@pytest.mark.parametrize("kind", [BatteryTest.QUICK, BatteryTest.DEEP])
def test_worn_blocks_fail_the_test_and_the_ups_reports_a_fault_until_one_passes(wear: Wear, kind: BatteryTest) -> None:
    ups = unit(faults=Faults(wear=wear))
    ups.state = start_test(ups.state, kind)
    ups.advance(7200.0)
    assert ups.state.outcome is Outcome.FAILED
    assert has_fault(ups.design, ups.state, ups.inputs)
    surround(ups, faults=Faults())
    ups.advance(200_000.0)
    ups.state = start_test(ups.state, BatteryTest.QUICK)
    ups.advance(10.0)
    assert not has_fault(ups.design, ups.state, ups.inputs)


def test_a_timed_test_fails_when_the_battery_gets_low_before_its_time() -> None:
    ups = unit(load=1.0)
    ups.state = start_test(ups.state, BatteryTest.TIMED, 99 * 60.0)
    ups.advance(1800.0)
    assert ups.state.outcome is Outcome.FAILED
    assert supply(ups) is Supply.MAINS


def test_a_deep_test_ends_at_low_battery_and_the_load_stays_supplied() -> None:
    ups = unit()
    ups.state = start_test(ups.state, BatteryTest.DEEP)
    while ups.state.test:
        ups.advance(1.0)
        assert powered(ups)
    assert ups.state.outcome is Outcome.PASSED
    assert ups.state.charge == pytest.approx(0.2, abs=0.01)


def test_a_test_can_be_stopped_and_is_aborted_by_a_real_failure() -> None:
    ups = unit()
    assert stop_test(ups.state) is ups.state
    ups.state = stop_test(start_test(ups.state, BatteryTest.DEEP))
    ups.advance(0.0)
    assert (supply(ups), ups.state.outcome) == (Supply.MAINS, Outcome.ABORTED)
    ups.state = start_test(replace(ups.state, outcome=Outcome.NONE), BatteryTest.QUICK)
    surround(ups, mains_voltage=0.0)
    assert (supply(ups), ups.state.test, ups.state.outcome) == (Supply.BATTERY, None, Outcome.ABORTED)
    assert start_test(ups.state, BatteryTest.QUICK) is ups.state


def test_shutdown_on_battery_waits_its_delay_and_restores_when_mains_is_back() -> None:
    ups = unit()
    surround(ups, mains_voltage=0.0)
    ups.state = shut_down(ups.state, 60.0, 180.0)
    ups.advance(59.9)
    assert powered(ups)
    ups.advance(0.1)
    assert (supply(ups), ups.state.off_reason) == (Supply.OFF, OffReason.SHUTDOWN)
    ups.advance(600.0)
    assert not powered(ups)
    surround(ups, mains_voltage=230.0)
    ups.advance(9.9)
    assert not powered(ups)
    ups.advance(0.1)
    assert supply(ups) is Supply.MAINS


def test_shutdown_with_mains_present_goes_off_and_on_again() -> None:
    ups = unit()
    ups.state = shut_down(ups.state, 30.0, 60.0)
    ups.advance(30.0)
    assert not powered(ups)
    ups.advance(59.9)
    assert not powered(ups)
    ups.advance(0.1)
    assert powered(ups)


def test_shutdown_without_restore_stays_off_until_cancelled() -> None:
    ups = unit()
    ups.state = shut_down(ups.state, 0.0, None)
    ups.advance(86400.0)
    assert not powered(ups)
    assert shut_down(ups.state, 0.0, 10.0) is ups.state
    ups.state = cancel_shutdown(ups.design, ups.state)
    ups.advance(10.0)
    assert powered(ups)


def test_a_pending_shutdown_can_be_cancelled() -> None:
    ups = unit()
    ups.state = cancel_shutdown(ups.design, shut_down(ups.state, 30.0, 60.0))
    ups.advance(3600.0)
    assert powered(ups) and ups.state.shutdown_in is None


def test_low_battery_hastens_a_pending_shutdown() -> None:
    ups = unit(load=0.5)
    ups.state = replace(ups.state, charge=0.22)
    surround(ups, mains_voltage=0.0)
    ups.state = shut_down(ups.state, 5400.0, 60.0)
    while powered(ups):
        ups.advance(1.0)
    assert ups.state.off_reason is OffReason.SHUTDOWN
    assert ups.state.elapsed < 300.0


def test_an_interactive_ups_goes_off_after_a_sustained_overload_and_waits_for_its_button() -> None:
    ups = unit(load=1.2)
    ups.advance(59.0)
    assert powered(ups)
    ups.advance(1.0)
    assert ups.state.off_reason is OffReason.OVERLOAD
    surround(ups, load=0.4)
    ups.advance(3600.0)
    assert not powered(ups)
    ups.state = press_power(ups.design, ups.state, ups.inputs, on=True)
    assert supply(ups) is Supply.MAINS
    assert press_power(ups.design, ups.state, ups.inputs, on=True) is ups.state


def test_short_overloads_are_borne() -> None:
    ups = unit()
    for _ in range(5):
        surround(ups, load=1.2)
        ups.advance(20.0)
        surround(ups, load=0.5)
        ups.advance(120.0)
    assert powered(ups) and ups.state.stress == 0.0


def test_an_online_ups_takes_refuge_in_its_bypass_and_returns() -> None:
    ups = unit("online-3000", load=1.2, mains_voltage=225.0)
    ups.advance(60.0)
    assert supply(ups) is Supply.BYPASS
    assert output_voltage(ups.design, ups.state, ups.inputs) == 225.0
    ups.advance(600.0)
    assert supply(ups) is Supply.BYPASS
    surround(ups, load=0.9)
    ups.advance(9.9)
    assert supply(ups) is Supply.BYPASS
    ups.advance(0.1)
    assert supply(ups) is Supply.MAINS


def test_an_online_ups_on_bypass_drops_the_overload_when_mains_fails() -> None:
    ups = unit("online-3000", load=1.2)
    ups.advance(60.0)
    surround(ups, mains_voltage=0.0)
    assert ups.state.off_reason is OffReason.OVERLOAD


def test_the_power_button_switches_off_and_starts_on_battery_without_mains() -> None:
    ups = unit()
    ups.state = press_power(ups.design, ups.state, ups.inputs, on=False)
    ups.advance(3600.0)
    assert ups.state.off_reason is OffReason.SWITCH
    surround(ups, mains_voltage=0.0)
    ups.state = press_power(ups.design, ups.state, ups.inputs, on=True)
    assert ups.state.on_battery


def test_a_failed_charger_leaves_the_charge_where_it_is_and_is_reported() -> None:
    ups = unit(faults=Faults(charger=True))
    ups.state = replace(ups.state, charge=0.5)
    ups.advance(7200.0)
    assert ups.state.charge == 0.5
    assert has_fault(ups.design, ups.state, ups.inputs)
    assert battery_voltage(ups.design, ups.state, ups.inputs) == pytest.approx(12 * (1.84 + 0.145))


def test_the_beeper_sounds_in_an_outage_and_for_faults_but_not_in_a_test_nor_when_muted() -> None:
    ups = unit()

    def sounding() -> bool:
        return is_sounding(ups.design, ups.state, ups.inputs)

    assert not sounding()
    ups.state = start_test(ups.state, BatteryTest.QUICK)
    assert not sounding()
    surround(ups, mains_voltage=0.0)
    assert sounding()
    ups.state = replace(ups.state, beeper=False)
    assert not sounding()
    ups.state = replace(ups.state, beeper=True)
    surround(ups, mains_voltage=230.0, load=1.05)
    ups.advance(5.0)
    assert sounding()
    surround(ups, load=0.5, faults=Faults(fan=True))
    assert sounding()


def test_temperature_follows_load_and_battery_with_a_lag_and_more_without_a_fan() -> None:
    idle, loaded = unit(load=0.0), unit(load=1.0)
    idle.advance(7200.0)
    loaded.advance(600.0)
    assert idle.state.temperature == pytest.approx(25.0)
    assert loaded.state.temperature == pytest.approx(25.0 + 6.0 * (1.0 - 2.718281828**-1), abs=0.01)
    surround(loaded, mains_voltage=0.0)
    warm = loaded.state.temperature
    loaded.advance(120.0)
    assert loaded.state.temperature > warm + 1.0
    fanless = unit(load=1.0, faults=Faults(fan=True), ambient=40.0)
    fanless.advance(7200.0)
    assert fanless.state.temperature == pytest.approx(58.0, abs=0.1)


def test_stuck_gauges_show_what_they_showed_while_the_truth_moves_on() -> None:
    ups = unit(faults=Faults(stuck=(("battery_voltage", 27.3), ("load", 0.1))))
    surround(ups, mains_voltage=0.0)
    ups.advance(300.0)
    shown = gauges(ups.design, ups.state, ups.inputs)
    assert (shown.battery_voltage, shown.load) == (27.3, 0.1)
    assert battery_voltage(ups.design, ups.state, ups.inputs) < 26.0


@pytest.mark.parametrize("dt", [-1.0, float("nan"), float("inf")])
def test_time_goes_forward_in_finite_steps(dt: float) -> None:
    with pytest.raises(ValueError, match="forward"):
        step(INTERACTIVE, UpsState(), Inputs(), dt)


surroundings = st.builds(
    Inputs,
    mains_voltage=st.sampled_from([0.0, 150.0, 200.0, 230.0, 260.0]),
    load=st.floats(0.0, 1.4),
    ambient=st.floats(0.0, 40.0),
)
stories = st.lists(st.tuples(surroundings, st.floats(0.0, 400.0)), min_size=1, max_size=6)
designs = st.sampled_from(list(DESIGNS.values()))


@settings(max_examples=40, deadline=None)
@given(design=designs, story=stories, charge=st.floats(0.0, 1.0))
def test_energy_and_charge_balance_in_every_story(design, story, charge) -> None:  # type: ignore[no-untyped-def]
    state = UpsState(charge=charge)
    for inputs, seconds in story:
        before, state = state, step(design, state, inputs, seconds)
        assert 0.0 <= state.charge <= 1.0
        served = state.energy_served - before.energy_served
        out = state.energy_out - before.energy_out
        assert served <= out * design.efficiency + 1e-6
        if out > 0.0 and state.energy_in == before.energy_in:
            assert state.charge < before.charge
        if out == 0.0:
            assert state.charge >= before.charge
        full = design.battery.capacity * 3600.0
        if state.energy_in == before.energy_in:  # what leaves the terminals was in the blocks before
            assert (
                out <= (before.charge - state.charge) * 1.1 * full * open_voltage(design.battery, before.charge) + 1.0
            )
        if out == 0.0:  # what is in the blocks came through the terminals
            gained = (state.charge - before.charge) * 0.85 * full * open_voltage(design.battery, before.charge)
            assert gained <= state.energy_in - before.energy_in + 1.0


@settings(max_examples=30, deadline=None)
@given(design=designs, story=stories, parts=st.integers(2, 37))
def test_it_does_not_matter_into_how_many_steps_time_is_cut(design, story, parts) -> None:  # type: ignore[no-untyped-def]
    whole = cut = UpsState(charge=0.6)
    for inputs, seconds in story:
        whole = step(design, whole, inputs, seconds)
        for _ in range(parts):
            cut = step(design, cut, inputs, seconds / parts)
    assert cut.charge == pytest.approx(whole.charge, abs=2e-3)
    assert cut.temperature == pytest.approx(whole.temperature, abs=0.05)
    assert cut.elapsed == pytest.approx(whole.elapsed, abs=1e-3)


def test_a_round_trip_through_the_battery_costs_energy() -> None:
    ups = unit(load=0.5)
    surround(ups, mains_voltage=0.0)
    ups.advance(600.0)
    surround(ups, mains_voltage=230.0)
    ups.advance(86400.0)
    assert ups.state.charge == 1.0
    assert ups.state.energy_in > ups.state.energy_out > ups.state.energy_served > 0.0
