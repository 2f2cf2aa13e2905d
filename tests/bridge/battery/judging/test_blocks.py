"""What is wrong with single blocks (manual M:6392–6640)."""

import pytest

from ridethrough.battery.board import Phase
from ridethrough.battery.judging.quantity import PATIENCE
from ridethrough.battery.layout import SYSTEM, block, string
from ridethrough.config.battery import Band, ImpedanceLimits, Pair

from .rig import Rig, configured

HOUR = 3600.0


@pytest.mark.parametrize(
    ("voltage", "raised"),
    [
        pytest.param(15.0, {"module.voltage_high_warning"}, id="at-the-high-alarm"),
        pytest.param(15.01, {"module.voltage_high_warning", "module.voltage_high"}, id="above-it"),
        pytest.param(14.7, set(), id="at-the-high-warning"),
        pytest.param(14.71, {"module.voltage_high_warning"}, id="above-the-high-warning"),
        pytest.param(12.6, set(), id="at-the-low-warning"),
        pytest.param(12.59, {"module.voltage_low_warning"}, id="below-the-low-warning"),
        pytest.param(12.0, {"module.voltage_low_warning"}, id="at-the-low-alarm"),
        pytest.param(11.99, {"module.voltage_low_warning", "module.voltage_low"}, id="below-the-low-alarm"),
    ],
)
def test_voltage_beyond_its_limits_is_told_of_block_string_and_system(voltage: float, raised: set[str]) -> None:
    """M:6449: if this value exceeds or falls below the specifications, a warning is issued; events M:7317–7340."""
    rig = Rig()
    rig.step(voltage={6: voltage})
    assert rig.block(6) == raised
    assert rig.string(2) == raised
    assert rig.system - {"module.voltage_out_of_range"} == raised
    assert rig.string(1) == rig.block(5) == set()


@pytest.mark.parametrize(
    ("temperature", "raised"),
    [
        pytest.param(10.0, set(), id="10"),
        pytest.param(9.5, {"module.temperature_low_warning"}, id="below-10"),
        pytest.param(5.0, {"module.temperature_low_warning"}, id="5"),
        pytest.param(4.5, {"module.temperature_low_warning", "module.temperature_low"}, id="below-5"),
        pytest.param(32.0, set(), id="32"),
        pytest.param(32.5, {"module.temperature_high_warning"}, id="above-32"),
        pytest.param(36.0, {"module.temperature_high_warning"}, id="36"),
        pytest.param(36.5, {"module.temperature_high_warning", "module.temperature_high"}, id="above-36"),
    ],
)
def test_temperature_limits_are_those_of_the_manual(temperature: float, raised: set[str]) -> None:
    """M:6560–6570: warning below 10 and above 32 °C, alarm below 5 and above 36 °C."""
    rig = Rig()
    rig.step(temperature={1: temperature})
    assert rig.block(1) == raised


def test_what_is_raised_ends_only_when_the_value_is_well_within() -> None:
    """A value that trembles at its limit makes one event, and not one each second."""
    rig = Rig()
    rig.step(temperature={1: 36.5})
    for temperature in (36.0, 36.5, 35.5, 36.0, 35.1):
        assert not rig.step(temperature={1: temperature}).conditions
    rig.step(temperature={1: 35.0})
    assert rig.block(1) == {"module.temperature_high_warning"}
    rig.step(temperature={1: 31.0})
    assert rig.block(1) == set()


def test_an_alarm_may_come_without_its_warning() -> None:
    """M:6952: alarms without prior warnings; the limits are judged one by one (M:6615)."""
    rig = Rig(configured(temperature=Band(high_alarm=36.0)))
    rig.step(temperature={1: 50.0})
    assert rig.block(1) == {"module.temperature_high"}


def test_limits_of_the_configuration_take_the_place_of_the_usual_ones() -> None:
    """M:6512: in most cases the default values fit; they can be changed."""
    rig = Rig(configured(voltage=Band(high_alarm=13.8)))
    rig.step(voltage={1: 13.9, 2: 11.0})
    assert rig.block(1) == {"module.voltage_high"}
    assert rig.block(2) == set()


class TestLowVoltagesAndDischarges:
    """M:6538–6546."""

    def test_low_voltages_raise_nothing_while_discharging(self) -> None:
        """M:6539: a UPS that has been in use draws voltages below the limits."""
        rig = Rig(phase=Phase.DISCHARGING)
        rig.step(voltage=dict.fromkeys(range(1, 9), 11.0))
        assert rig.system == set()

    def test_they_raise_nothing_for_the_delay_after_it(self) -> None:
        """M:6541–6543: while charging after a discharge voltages are at first below the warning level."""
        rig = Rig(configured(alarm_delay=2 * HOUR), phase=Phase.DISCHARGING)
        rig.step(voltage={1: 11.0})
        rig.go(Phase.CHARGING)
        rig.step(2 * HOUR - 1.0, voltage={1: 11.9})
        assert rig.block(1) == set()
        assert rig.judge.quiet

    def test_they_are_told_after_the_delay_although_nothing_has_changed(self) -> None:
        """M:6543: the alarm is delayed, not forgotten."""
        rig = Rig(configured(alarm_delay=2 * HOUR), phase=Phase.DISCHARGING)
        rig.step(voltage={1: 11.0})
        rig.go(Phase.CHARGING)
        rig.step(2 * HOUR)
        assert rig.block(1) == {"module.voltage_low", "module.voltage_low_warning"}
        assert not rig.judge.quiet

    def test_a_block_that_is_discharged_too_deeply_is_an_alarm_at_once(self) -> None:
        """M:6412–6424: deep discharge may reverse a cell, and a UPS does not see it in a single block."""
        rig = Rig(phase=Phase.DISCHARGING)
        rig.step(voltage={1: 9.6, 2: 9.59})
        assert rig.block(1) == set()
        assert rig.block(2) == {"module.voltage_low"}

    def test_a_lower_alarm_of_the_configuration_is_meant(self) -> None:
        """M:6450: limits may be changed in consultation with the maker."""
        rig = Rig(configured(voltage=Band(low_alarm=9.0)), phase=Phase.DISCHARGING)
        rig.step(voltage={1: 9.3, 2: 8.9})
        assert rig.block(1) == set()
        assert rig.block(2) == {"module.voltage_low"}

    def test_without_a_low_alarm_even_a_deep_discharge_raises_none(self) -> None:
        """What is not watched is not watched."""
        rig = Rig(configured(voltage=Band(high_alarm=15.0)), phase=Phase.DISCHARGING)
        rig.step(voltage={1: 1.0})
        assert rig.block(1) == set()

    def test_what_was_raised_before_stays_until_the_voltage_is_back(self) -> None:
        """A discharge does not make a weak block well."""
        rig = Rig()
        rig.step(voltage={1: 11.5})
        before = rig.block(1)
        rig.go(Phase.DISCHARGING)
        rig.step(voltage={1: 11.4})
        assert rig.block(1) == before == {"module.voltage_low", "module.voltage_low_warning"}
        rig.step(voltage={1: 12.7})
        assert rig.block(1) == set()

    def test_high_voltages_temperatures_and_impedances_are_not_delayed(self) -> None:
        """M:6545: the delay is for voltage alone, as the others tell something while charging; M:6395 boost charge."""
        rig = Rig(phase=Phase.DISCHARGING)
        rig.go(Phase.CHARGING)
        rig.step(voltage={1: 15.2}, temperature={2: 40.0}, impedance={3: 12.0})
        assert "module.voltage_high" in rig.block(1)
        assert "module.temperature_high" in rig.block(2)
        assert "module.impedance_high" in rig.block(3)

    def test_another_discharge_begins_the_delay_anew(self) -> None:
        """The delay counts from the end of the last one."""
        rig = Rig(configured(alarm_delay=HOUR), phase=Phase.DISCHARGING)
        rig.go(Phase.CHARGING)
        rig.go(Phase.DISCHARGING, HOUR - 10.0)
        rig.go(Phase.CHARGING)
        rig.step(HOUR - 1.0, voltage={1: 11.0})
        assert rig.block(1) == set()

    def test_a_bridge_that_starts_while_batteries_charge_takes_it_that_they_were_discharged(self) -> None:
        """A bridge that is fed by its UPS goes down with it: 512 alarms would welcome it back."""
        rig = Rig(configured(alarm_delay=HOUR), phase=Phase.CHARGING)
        rig.step(voltage={1: 11.0})
        assert rig.block(1) == set()
        rig.step(HOUR)
        assert "module.voltage_low" in rig.block(1)

    def test_the_rest_of_the_delay_outlives_a_restart(self) -> None:
        """A restart neither ends the delay nor begins it anew."""
        before = Rig(configured(alarm_delay=HOUR), phase=Phase.DISCHARGING)
        assert before.judge.state() == {"alarm_delay": HOUR}
        before.go(Phase.FLOATING)
        before.step(HOUR - 100.0)
        state = before.judge.state()
        assert state == {"alarm_delay": 100.0}
        rig = Rig(before.config, state=state)
        rig.step(99.0, voltage={1: 11.0})
        assert rig.block(1) == set()
        rig.step(1.0)
        assert "module.voltage_low" in rig.block(1)
        assert rig.judge.state() == {}


class TestImpedance:
    """M:6461–6504."""

    @pytest.mark.parametrize(
        ("impedance", "raised"),
        [
            pytest.param(6.0, set(), id="little-above"),
            pytest.param(6.7, {"module.impedance_high_warning"}, id="more-than-25-percent-above"),
            pytest.param(8.2, {"module.impedance_high_warning", "module.impedance_high"}, id="more-than-50-above"),
            pytest.param(3.5, {"module.impedance_low_warning"}, id="more-than-25-percent-below"),
            pytest.param(2.0, {"module.impedance_low_warning", "module.impedance_low"}, id="more-than-50-below"),
        ],
    )
    def test_a_block_that_differs_from_the_mean_of_all(self, impedance: float, raised: set[str]) -> None:
        """M:6441: a warning at 25 %, an alarm at 50 % of difference from the mean of all, to either side (M:6472)."""
        rig = Rig()
        rig.step(impedance={5: impedance})
        assert rig.block(5) == raised

    def test_the_limits_move_with_the_mean(self) -> None:
        """M:6474: as the mean of all is the basis, limits change fluidly; also for a block that has not changed."""
        rig = Rig()
        rig.step(impedance={1: 6.0})
        assert rig.block(1) == set()
        rig.step(impedance=dict.fromkeys(range(2, 9), 4.0))
        assert rig.block(1) == {"module.impedance_high_warning"}

    def test_fixed_limits_do_not_care_for_the_others(self) -> None:
        """M:6475–6480: it does not matter which values the batteries hold."""
        static = Band(low_alarm=2.0, low_warning=3.0, high_warning=8.0, high_alarm=10.0)
        rig = Rig(configured(impedance=ImpedanceLimits(dynamic=None, static=static)))
        rig.step(impedance=dict.fromkeys(range(1, 9), 9.0))
        assert rig.block(1) == rig.block(8) == {"module.impedance_high_warning"}
        rig.step(impedance={1: 10.5, 2: 2.5, 3: 1.0})
        assert rig.block(1) == {"module.impedance_high_warning", "module.impedance_high"}
        assert rig.block(2) == {"module.impedance_low_warning"}
        assert rig.block(3) == {"module.impedance_low_warning", "module.impedance_low"}

    def test_a_rise_above_the_impedance_when_new_is_told_by_itself_and_as_impedance(self) -> None:
        """M:6481–6486, events M:7636–7664; M:6495–6504: each of the three ways raises impedance warning and alarm."""
        limits = ImpedanceLimits(dynamic=None, baseline=Pair(30.0, 60.0))
        rig = Rig(configured(impedance=limits))
        rig.step(baseline=dict.fromkeys(range(1, 9), 4.0))
        assert rig.system == set()
        rig.step(impedance={1: 5.3, 2: 6.5})
        assert rig.block(1) == {"module.impedance_risen_warning", "module.impedance_high_warning"}
        assert rig.block(2) == rig.block(1) | {"module.impedance_risen", "module.impedance_high"}
        assert {"module.impedance_risen", "module.impedance_high"} <= rig.system
        assert "module.impedance_risen" not in rig.string(1)

    def test_a_fall_below_it_is_no_rise_but_a_low_impedance(self) -> None:
        """M:6485: if a value deviates from the baseline by a percentage, to whichever side."""
        rig = Rig(configured(impedance=ImpedanceLimits(dynamic=None, baseline=Pair(30.0, 60.0))))
        rig.step(baseline={1: 8.0}, impedance={1: 5.0})
        assert rig.block(1) == {"module.impedance_low_warning"}

    def test_the_three_ways_hold_together_and_any_of_them_is_enough(self) -> None:
        """M:6467: several options can be combined; M:6499: they trigger independently."""
        limits = ImpedanceLimits(Pair(25.0, 50.0), Band(high_warning=20.0, high_alarm=30.0), Pair(30.0, 60.0))
        rig = Rig(configured(impedance=limits))
        every = range(1, 9)
        rig.step(baseline=dict.fromkeys(every, 19.0), impedance=dict.fromkeys(every, 19.0))
        assert rig.system == set()
        rig.step(impedance=dict.fromkeys(every, 21.0))
        assert rig.block(1) == {"module.impedance_high_warning"}, "static"
        rig.step(impedance=dict.fromkeys(every, 19.0))
        assert rig.block(1) == set()
        rig.step(baseline={1: 13.0})
        assert rig.block(1) == {"module.impedance_high_warning", "module.impedance_risen_warning"}, "baseline"
        rig.step(baseline={1: 19.0}, impedance={2: 13.0})
        assert rig.block(1) == set()
        assert rig.block(2) == {"module.impedance_low_warning"}, "dynamic"

    def test_a_block_without_a_baseline_is_judged_by_the_others(self) -> None:
        """A block that has just been replaced has no table entry yet (M:6488)."""
        limits = ImpedanceLimits(Pair(25.0, 50.0), None, Pair(30.0, 60.0))
        rig = Rig(configured(impedance=limits))
        rig.step(impedance={1: 12.0})
        assert rig.block(1) == {"module.impedance_high_warning", "module.impedance_high"}

    def test_nothing_is_compared_before_half_of_the_blocks_have_an_impedance(self) -> None:
        """M:6967–6972: after a start there is no impedance at first; a mean of the first few says nothing."""
        rig = Rig(begin=False)
        rig.step(impedance={1: 5.0, 2: 5.0, 3: 12.0})
        assert rig.block(3) == set()
        assert ("battery_module", 3, "module.impedance_high") not in rig.conditions
        rig.step(impedance={4: 5.0})
        assert "module.impedance_high" in rig.block(3)

    def test_fixed_limits_need_not_wait_for_the_others(self) -> None:
        """They do not depend on them; but that no fixed limit objects does not mean that all is well."""
        limits = ImpedanceLimits(Pair(25.0, 50.0), Band(high_alarm=10.0))
        rig = Rig(configured(impedance=limits), begin=False)
        rig.step(impedance={1: 12.0, 2: 5.0})
        assert "module.impedance_high" in rig.block(1)
        assert ("battery_module", 2, "module.impedance_high") not in rig.conditions

    def test_no_way_at_all_judges_nothing(self) -> None:
        """M:6466 wants at least one, but a configuration may have none."""
        rig = Rig(configured(impedance=ImpedanceLimits(dynamic=None)))
        rig.step(impedance={1: 500.0})
        assert rig.block(1) == set()
        assert ("battery_module", 1, "module.impedance_high") not in rig.conditions


class TestCharge:
    """M:6575–6640."""

    def test_a_low_charge_is_told_of_the_block_and_the_system(self) -> None:
        """M:6617–6637: events of a single module, as soon as the charge drops below the value."""
        rig = Rig(configured(module_charge=Pair(60.0, 40.0)))
        rig.step(charge={1: 60.0, 2: 59.0, 3: 39.0})
        assert rig.block(1) == set()
        assert rig.block(2) == {"module.charge_low_warning"}
        assert rig.block(3) == {"module.charge_low_warning", "module.charge_low"} == rig.system

    def test_a_charge_that_cannot_be_told_is_never_low(self) -> None:
        """M:6981: in a boost charge there is no value but an arrow; M:5425: none at all of other chemistries."""
        rig = Rig(configured(module_charge=Pair(60.0, 40.0)))
        assert ("battery_module", 1, "module.charge_low") not in rig.conditions
        rig.step(charge={1: 30.0})
        rig.step(charge={1: None})
        assert rig.block(1) == set()
        assert ("battery_module", 1, "module.charge_low") in rig.unknown

    def test_a_full_block_is_back_whatever_the_hysteresis(self) -> None:
        """A limit of 99 % would otherwise never end."""
        rig = Rig(configured(module_charge=Pair(99.0, None)))
        rig.step(charge={1: 98.0})
        rig.step(charge={1: 99.5})
        assert rig.block(1) == {"module.charge_low_warning"}
        rig.step(charge={1: 100.0})
        assert rig.block(1) == set()


class TestUnknown:
    """Stale is not zero, nor is it high or low."""

    @pytest.mark.parametrize("column", ["voltage", "temperature", "impedance"])
    def test_a_value_that_is_not_known_raises_nothing(self, column: str) -> None:
        """Not even where it never was known."""
        rig = Rig(begin=False)
        rig.put(column, {1: None})
        assert not rig.step().conditions
        rig = Rig()
        rig.put(column, {1: None})
        found = rig.step()
        assert not found.conditions
        names = {key for kind, number, key in found.unknown if (kind, number) == ("battery_module", 1)}
        assert names == {f"module.{column}_{level}" for level in ("low", "low_warning", "high_warning", "high")}

    def test_what_is_told_again_is_found_again(self) -> None:
        """Those who hear of it must learn that it is known again, though nothing is different."""
        rig = Rig()
        rig.step(temperature={1: None})
        assert not rig.step(temperature={1: 22.0}).conditions.get(
            ("battery_module", 1, "module.temperature_high"), True
        )
        assert not rig.unknown

    def test_what_was_raised_stays_while_the_module_is_silent(self) -> None:
        """Silence does not cool a hot block; the module's own loss says why nothing is known."""
        rig = Rig()
        rig.step(temperature={1: 40.0})
        rig.step(lost={1: True}, temperature={1: None}, voltage={1: None}, impedance={1: None})
        rig.step(10 * PATIENCE)
        assert "module.temperature_high" in rig.block(1)
        assert ("battery_module", 1, "module.temperature_high") in rig.unknown
        rig.step(lost={1: False}, temperature={1: 22.0})
        assert rig.block(1) == set()

    def test_it_is_over_in_the_end_when_the_module_answers_but_has_no_such_value(self) -> None:
        """A sensor that has been taken away must not keep an alarm alive for ever."""
        rig = Rig()
        rig.step(temperature={1: 40.0})
        rig.step(temperature={1: None})
        rig.step(PATIENCE - 1.0)
        assert "module.temperature_high" in rig.block(1)
        rig.step(1.0)
        assert rig.block(1) == rig.string(1) == rig.system == set()
        assert ("battery_module", 1, "module.temperature_high") in rig.unknown

    def test_patience_begins_when_the_module_answers_again(self) -> None:
        """As long as it is silent nobody knows whether it has a value."""
        rig = Rig()
        rig.step(temperature={1: 40.0})
        rig.step(lost={1: True}, temperature={1: None})
        rig.step(PATIENCE)
        rig.step(lost={1: False})
        rig.step(PATIENCE - 2.0)
        assert "module.temperature_high" in rig.block(1)
        rig.step(2.0)
        assert rig.block(1) == set()


class TestRestart:
    """What was raised goes on as if nothing had been."""

    def test_hysteresis_goes_on(self) -> None:
        """A value between the limit and the way back is still beyond for what was raised, and not for what was not."""
        rig = Rig(raised=((block(1), "module.temperature_high"),), begin=False)
        rig.step(temperature={1: 35.5, 2: 35.5})
        assert "module.temperature_high" in rig.block(1)
        assert "module.temperature_high" not in rig.block(2)

    def test_what_is_over_meanwhile_is_told_to_be_over(self) -> None:
        """Otherwise it would be raised for ever."""
        raised = ((block(1), "module.temperature_high"), (string(1), "module.temperature_high"))
        rig = Rig(raised=(*raised, (SYSTEM, "module.temperature_high")))
        for place in (block(1), string(1), SYSTEM):
            assert rig.conditions[*place, "module.temperature_high"] is False

    def test_limits_that_are_gone_end_what_they_raised(self) -> None:
        """Someone who takes a limit away does not want its alarm to stay."""
        raised = ((block(1), "module.voltage_high"), (SYSTEM, "module.voltage_high"), (SYSTEM, "discharges_exceeded"))
        rig = Rig(configured(voltage=Band()), raised=raised, begin=False)
        found = rig.step()
        assert found.conditions == {(*place, key): False for place, key in raised}

    def test_places_and_conditions_of_others_are_let_alone(self) -> None:
        """The journal may be given whole."""
        raised = ((block(99), "module.voltage_high"), (SYSTEM, "thermal_runaway"), (block(1), "module.lost"))
        rig = Rig(raised=raised)
        assert rig.system == rig.block(1) == set()
        assert not rig.general("battery_system", 0)
        assert ("battery_system", 0, "thermal_runaway") not in rig.conditions

    def test_what_is_not_known_yet_stays_raised(self) -> None:
        """Modules answer one after the other."""
        rig = Rig(raised=((block(1), "module.temperature_high"),), begin=False)
        rig.step(temperature={2: 22.0})
        assert ("battery_module", 1, "module.temperature_high") not in rig.conditions
        assert rig.string(1) == {"module.temperature_high"}


def test_blocks_that_have_not_changed_are_not_told_again() -> None:
    """Cost is proportional to change; index 0 of a column is not used."""
    rig = Rig()
    rig.board.changed.add(0)
    found = rig.step(voltage={0: 99.0})
    assert not found.conditions
    assert not found.points
    assert not found.unknown
