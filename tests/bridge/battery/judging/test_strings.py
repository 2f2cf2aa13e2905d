"""What is wrong with strings: voltage, difference, current, deviation, charge (manual M:5577–5715, M:6515–6640)."""

import pytest

from ridethrough.battery.board import Phase
from ridethrough.battery.judging.quantity import PATIENCE
from ridethrough.battery.judging.strings import apart, difference
from ridethrough.battery.layout import sensor, string
from ridethrough.config.battery import Band, Pair, SensorsConfig

from .rig import Rig, configured

STRING_VOLTAGE = Band(low_alarm=46.0, low_warning=48.0, high_warning=58.0, high_alarm=60.0)
"""Of four blocks of 12 V."""


class TestVoltage:
    """M:6520–6526, events M:7665–7700."""

    @pytest.mark.parametrize(
        ("voltage", "raised"),
        [
            pytest.param(15.1, {"string.voltage_high_warning", "string.voltage_high"}, id="high-alarm"),
            pytest.param(14.6, {"string.voltage_high_warning"}, id="high-warning"),
            pytest.param(13.6, set(), id="well"),
            pytest.param(11.9, {"string.voltage_low_warning"}, id="low-warning"),
            pytest.param(11.4, {"string.voltage_low_warning", "string.voltage_low"}, id="low-alarm"),
        ],
    )
    def test_the_sum_of_the_blocks_is_judged(self, voltage: float, raised: set[str]) -> None:
        """M:7665–7700: string voltage out of configured threshold."""
        rig = Rig(configured(string_voltage=STRING_VOLTAGE, voltage=Band()))
        rig.step(voltage=dict.fromkeys(range(5, 9), voltage))
        assert rig.string(2) == raised == rig.system
        assert rig.string(1) == set()

    def test_it_is_not_watched_unless_limits_are_configured(self) -> None:
        """No invented limits: how many volts a string has depends on the UPS."""
        rig = Rig()
        rig.step(voltage=dict.fromkeys(range(1, 9), 1.0))
        assert ("battery_string", 1, "string.voltage_low") not in rig.conditions

    def test_a_string_that_drops_while_discharging_is_told(self) -> None:
        """M:6525: if, during a discharge, one string drops noticeably, something may be wrong."""
        rig = Rig(configured(string_voltage=STRING_VOLTAGE), phase=Phase.DISCHARGING)
        rig.step(voltage=dict.fromkeys(range(1, 5), 11.4))
        assert rig.string(1) == {"string.voltage_low_warning", "string.voltage_low"}

    def test_after_the_discharge_low_ones_wait_as_those_of_blocks_do(self) -> None:
        """M:6541–6545: while charging after a discharge voltages are below the limits at first."""
        rig = Rig(configured(string_voltage=STRING_VOLTAGE, alarm_delay=3600.0), phase=Phase.DISCHARGING)
        rig.go(Phase.CHARGING)
        rig.step(voltage=dict.fromkeys(range(1, 5), 11.4))
        assert rig.string(1) == set()
        rig.step(3600.0)
        assert {"string.voltage_low_warning", "string.voltage_low"} <= rig.string(1)

    def test_with_one_block_unknown_the_sum_is_unknown(self) -> None:
        """Three blocks of four are no string voltage; what was raised stays, as the module is lost."""
        rig = Rig(configured(string_voltage=STRING_VOLTAGE))
        rig.step(voltage={1: 19.5})
        assert "string.voltage_high_warning" in rig.string(1)
        rig.step(voltage={1: None}, lost={1: True})
        rig.step(2 * PATIENCE)
        assert "string.voltage_high_warning" in rig.string(1)
        assert ("battery_string", 1, "string.voltage_high_warning") in rig.unknown
        rig.step(lost={1: False})
        rig.step(PATIENCE)
        assert "string.voltage_high_warning" not in rig.string(1)


class TestDifference:
    """M:6515–6519, event M:7410."""

    def test_a_block_too_far_from_the_mean_of_its_string_is_a_warning(self) -> None:
        """M:6519: blocks on average at 11.7–11.9 V and one at 10.6 V, with ±1 V."""
        rig = Rig(configured((5, 5), voltage_difference=1.0, voltage=Band()), phase=Phase.DISCHARGING)
        rig.step(voltage={1: 11.8, 2: 11.9, 3: 12.1, 4: 11.9, 5: 10.3})
        assert rig.string(1) == {"module.voltage_difference_high"} == rig.system
        assert rig.string(2) == set(), "other strings have a mean of their own"
        assert rig.block(5) == set()
        assert not rig.general("battery_system", 0), "M:7410 is a warning only"

    def test_it_ends_when_the_block_is_back(self) -> None:
        """M:7425: back to normal, by a tenth of the limit."""
        rig = Rig(configured(voltage_difference=1.0))
        rig.step(voltage={1: 15.1})
        assert "module.voltage_difference_high" in rig.string(1)
        rig.step(voltage={1: 14.83})
        assert "module.voltage_difference_high" in rig.string(1)
        rig.step(voltage={1: 14.7})
        assert "module.voltage_difference_high" not in rig.string(1)

    @pytest.mark.parametrize(
        ("voltages", "expected"),
        [
            pytest.param([], None, id="none"),
            pytest.param([12.0], None, id="one"),
            pytest.param([12.0, None, None, None, 13.0], None, id="fewer-than-half"),
            pytest.param([12.0, 13.0, None, None], 0.5, id="half"),
            pytest.param([12.0, 12.0, 12.0, 16.0], 3.0, id="above"),
            pytest.param([12.0, 12.0, 12.0, 8.0], 3.0, id="below"),
        ],
    )
    def test_difference(self, voltages: list[float | None], expected: float | None) -> None:
        """The block furthest from the mean counts, to whichever side."""
        assert difference(voltages) == expected


class TestCurrent:
    """M:5660–5676, events M:7701–7753; ERRATA 58."""

    CONFIG = configured(
        current=Band(low_alarm=-100.0, low_warning=-50.0, high_warning=10.0, high_alarm=20.0),
        sensors=SensorsConfig("each"),
    )

    @pytest.mark.parametrize(
        ("current", "levels"),
        [
            pytest.param(20.5, {"current_high_warning", "current_high"}, id="charging-alarm"),
            pytest.param(10.5, {"current_high_warning"}, id="charging-warning"),
            pytest.param(0.0, set(), id="well"),
            pytest.param(-50.5, {"current_low_warning"}, id="discharging-warning"),
            pytest.param(-100.5, {"current_low_warning", "current_low"}, id="discharging-alarm"),
        ],
    )
    def test_charging_is_positive_and_discharging_negative(self, current: float, levels: set[str]) -> None:
        """M:7704 positive (charging), M:7717 negative (discharging) string current too high; M:11546 of the sensor."""
        rig = Rig(self.CONFIG)
        rig.step(current={1: 0.0, 2: current})
        expected = {f"{what}.{level}" for what in ("string", "sensor") for level in levels}
        assert rig.string(2) - {"string.current_out_of_range"} == expected
        assert rig.system - {"string.current_out_of_range"} == expected
        assert rig.at("current_sensor", 2) == {f"sensor.{level}" for level in levels}
        assert ("string.current_out_of_range" in rig.string(2)) == (
            not levels.isdisjoint({"current_high", "current_low"})
        )
        assert rig.string(1) == rig.at("current_sensor", 1) == set()

    def test_a_lost_sensor_ends_nothing_and_is_told(self) -> None:
        """M:11556: connection lost; the current is not known, and no longer is what the sensor had to say."""
        rig = Rig(self.CONFIG)
        rig.step(current={1: 0.0, 2: 25.0})
        rig.others[sensor(2)] = {"communications_lost"}
        rig.step(current={2: None})
        assert "current_sensor_lost" in rig.string(2)
        assert "current_sensor_lost" not in rig.string(1)
        assert {"current_sensor_lost", "sensor_lost", "string.current_high"} <= rig.system
        assert ("battery_string", 2, "string.current_high") in rig.unknown
        assert ("battery_string", 2, "sensor.current_high") in rig.unknown
        assert ("current_sensor", 2, "sensor.current_high") in rig.unknown
        rig.step(2 * PATIENCE)
        assert "string.current_high" in rig.string(2)
        rig.others.clear()
        rig.step(current={2: 0.0})
        assert rig.string(2) == rig.system == rig.at("current_sensor", 2) == set()
        assert not rig.unknown

    def test_of_a_current_that_is_not_known_nothing_is_said_of_the_sensor_either(self) -> None:
        """Neither that it is too high nor that it is not."""
        rig = Rig(self.CONFIG)
        rig.step(current={1: 0.0, 2: 0.0})
        rig.step(current={2: None})
        assert {
            ("current_sensor", 2, "sensor.current_high"),
            ("battery_string", 2, "sensor.current_high"),
        } <= rig.unknown
        assert ("current_sensor", 1, "sensor.current_high") not in rig.unknown
        rig.step(current={2: 0.0})
        assert not rig.unknown

    def test_a_current_that_nobody_measures_any_more_is_not_too_high_for_ever(self) -> None:
        """Nor is what follows from it, at the string, the sensor and the system."""
        rig = Rig(self.CONFIG)
        rig.step(current={1: 0.0, 2: 25.0})
        rig.step(current={2: None})
        rig.step(PATIENCE - 1.0)
        assert {"string.current_high", "sensor.current_high", "string.current_out_of_range"} <= rig.string(2)
        rig.step(1.0)
        assert rig.string(2) == rig.system == rig.at("current_sensor", 2) == set()
        assert ("current_sensor", 2, "sensor.current_high") in rig.unknown

    def test_one_sensor_for_all_stands_for_every_string(self) -> None:
        """M:5585–5594: only one current sensor for all strings."""
        limits = self.CONFIG.limits
        rig = Rig(configured(current=limits.current, sensors=SensorsConfig("one")))
        rig.step(current={1: 25.0, 2: 25.0})
        assert "sensor.current_high" in rig.at("current_sensor", 1)
        rig.others[sensor(1)] = {"communications_lost"}
        rig.step(current={1: None, 2: None})
        assert "current_sensor_lost" in rig.string(1)
        assert "current_sensor_lost" in rig.string(2)

    def test_without_sensors_nothing_is_said_of_them(self) -> None:
        """M:5583: a sensor is looked for only if it is configured."""
        rig = Rig()
        assert not {key for _, _, key in rig.conditions} & {"current_sensor_lost", "sensor_lost", "string.current_high"}


class TestDeviation:
    """M:5677–5695, events M:7789–7862."""

    CONFIG = configured(
        (4, 4, 4),
        discharge_deviation=Pair(10.0, 20.0),
        charge_deviation=Pair(2.0, 4.0),
        deviation_delay=60.0,
        sensors=SensorsConfig("each"),
    )

    def test_a_string_far_from_the_others_for_longer_than_the_delay(self) -> None:
        """M:5691–5695: short divergence is tolerable, over a longer period it is not."""
        rig = Rig(self.CONFIG, phase=Phase.DISCHARGING)
        rig.step(current={1: -50.0, 2: -50.0, 3: -28.0})
        rig.step(59.0)
        assert rig.system == set()
        rig.step(1.0)
        assert rig.string(3) == {"string.discharge_deviation_warning", "string.discharge_deviation"}
        assert rig.string(1) == {"string.discharge_deviation_warning"}, "it differs from a mean of 39 A by 11 A"

    def test_a_break_begins_the_delay_anew(self) -> None:
        """M:5692: a sudden load."""
        rig = Rig(self.CONFIG, phase=Phase.DISCHARGING)
        rig.step(current={1: -50.0, 2: -50.0, 3: -28.0})
        rig.step(50.0, current={3: -50.0})
        rig.step(current={3: -28.0})
        rig.step(59.0)
        assert rig.system == set()

    def test_charging_has_limits_of_its_own(self) -> None:
        """M:5688: after a discharge; M:7808, M:7845."""
        rig = Rig(self.CONFIG, phase=Phase.CHARGING)
        rig.step(current={1: 10.0, 2: 10.0, 3: 12.5})
        rig.step(60.0)
        assert rig.string(3) == {"string.charge_deviation_warning"}
        assert rig.string(1) == set()
        rig.step(current={3: 14.5})
        rig.step(60.0)
        assert rig.string(3) == {"string.charge_deviation_warning", "string.charge_deviation"}

    def test_it_is_over_with_its_phase(self) -> None:
        """M:7807, M:7825: a deviation is of a discharge or of a charge; on float there is none."""
        rig = Rig(self.CONFIG, phase=Phase.DISCHARGING)
        rig.step(current={1: -50.0, 2: -50.0, 3: 0.0})
        rig.step(60.0)
        assert "string.discharge_deviation" in rig.string(3)
        rig.go(Phase.FLOATING)
        assert rig.system == set()

    def test_a_current_that_is_not_known_does_not_deviate(self) -> None:
        """Nor do the others deviate from it."""
        rig = Rig(self.CONFIG, phase=Phase.DISCHARGING)
        rig.step(current={1: -50.0, 2: -50.0, 3: None})
        rig.step(60.0)
        assert rig.system == set()
        assert ("battery_string", 3, "string.discharge_deviation") not in rig.conditions

    def test_what_was_raised_before_a_restart_needs_no_new_delay(self) -> None:
        """Half a minute after a restart is not half a minute of peace."""
        raised = ((string(3), "string.discharge_deviation"), (string(3), "string.discharge_deviation_warning"))
        rig = Rig(self.CONFIG, phase=Phase.DISCHARGING, raised=raised, begin=False)
        rig.step(current={1: -50.0, 2: -50.0, 3: -28.0})
        assert rig.string(3) == {key for _, key in raised}

    @pytest.mark.parametrize(
        ("currents", "expected"),
        [
            pytest.param([None, 10.0], None, id="alone"),
            pytest.param([None, 10.0, None], None, id="others-unknown"),
            pytest.param([None, None, 10.0], None, id="unknown"),
            pytest.param([None, 10.0, 14.0], 4.0, id="two-differ-alike"),
            pytest.param([None, 10.0, 14.0, 18.0], 6.0, id="from-the-mean-of-the-others"),
        ],
    )
    def test_apart(self, currents: list[float | None], expected: float | None) -> None:
        """M:5695: compared to the other strings."""
        assert apart(currents, 1) == expected


def test_a_low_charge_of_a_string_is_told() -> None:
    """M:6593–6612: String Charge Low, warning and alarm; an unknown one is never low."""
    rig = Rig(configured(string_charge=Pair(60.0, 40.0)))
    rig.step(string_charge={1: 59.0, 2: 39.0})
    assert rig.string(1) == {"string.charge_low_warning"}
    assert rig.string(2) == {"string.charge_low_warning", "string.charge_low"} == rig.system
    rig.step(string_charge={1: None, 2: None})
    assert rig.string(1) == rig.string(2) == rig.system == set()
