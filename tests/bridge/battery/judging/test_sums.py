"""What follows for strings, the system and the state of each module (manual M:6936–6996)."""

from dataclasses import replace

import pytest

from ridethrough.battery.layout import SYSTEM, block, box, sensor, string
from ridethrough.config.battery import Band, BoxConfig, ImpedanceLimits, SensorsConfig

from .rig import Rig, configured

COUNTS = ("module.alarms.present", "module.warnings.present", "alarms.present")


def counts(rig: Rig) -> tuple[int, ...]:
    """Return how many blocks have an alarm, how many a warning, and how many alarms the system has."""
    return tuple(rig.points[*SYSTEM, key] for key in COUNTS)


class TestState:
    """M:6994–6997: normal, orange for a warning, red for an alarm; lost where nothing is heard (M:6919)."""

    def test_each_step(self) -> None:
        """The worst counts, and a lost module is lost whatever was known of it."""
        rig = Rig()
        name = (*block(3), "module.state")
        assert rig.points[name] == "normal"
        rig.step(temperature={3: 33.0})
        assert rig.points[name] == "warning"
        rig.step(temperature={3: 37.0})
        assert rig.points[name] == "alarm"
        rig.step(lost={3: True})
        assert rig.points[name] == "lost"
        rig.step(lost={3: False})
        assert rig.points[name] == "alarm"
        rig.step(temperature={3: 22.0})
        assert rig.points[name] == "normal"

    def test_nothing_is_said_of_a_module_of_which_nothing_is_known(self) -> None:
        """M:6914: not yet queried is not an error."""
        rig = Rig(begin=False)
        rig.step(temperature={1: None})
        assert not rig.points
        rig.step(lost={1: True})
        assert rig.points[*block(1), "module.state"] == "lost"

    @pytest.mark.parametrize(
        "key", ["module.fuse_blown", "module.incompatible", "module.duplicate", "equalizing_deactivated"]
    )
    def test_what_others_say_of_a_module_counts(self, key: str) -> None:
        """M:7587 fuse, M:7754 revision; M:5060 duplicate numbers."""
        rig = Rig()
        rig.others[block(2)] = {key, "equalizing"}
        rig.step()
        assert rig.points[*block(2), "module.state"] == "alarm"
        assert (*block(2), key) not in rig.conditions, "it is for others to say"
        del rig.others[block(2)]
        rig.step()
        assert rig.points[*block(2), "module.state"] == "normal"

    def test_what_is_neither_warning_nor_alarm_changes_nothing(self) -> None:
        """A block that is being equalised is well."""
        rig = Rig()
        rig.others[block(2)] = {"equalizing"}
        assert not rig.step().points

    def test_a_link_may_say_itself_that_a_module_is_lost(self) -> None:
        """The board may not have it yet."""
        rig = Rig()
        rig.others[block(2)] = {"module.lost"}
        rig.step()
        assert rig.points[*block(2), "module.state"] == "lost"
        assert "module.lost" in rig.string(1)


def test_blocks_with_alarms_and_warnings_are_counted() -> None:
    """M:12207 bacsModuleAlarmsPresent, bacsModuleWarningsPresent; a block may have both."""
    rig = Rig()
    assert counts(rig) == (0, 0, 0)
    rig.step(temperature={1: 33.0, 2: 37.0}, lost={3: True})
    assert counts(rig) == (2, 2, 3), "module.temperature_high, module.lost, system_failure"
    rig.step(temperature={1: 22.0, 2: 22.0}, lost={3: False})
    assert counts(rig) == (0, 0, 0)


def test_what_others_say_of_the_system_is_among_its_alarms() -> None:
    """A runaway is an alarm of the system, though another part of it finds it."""
    rig = Rig()
    rig.others[SYSTEM] = {"thermal_runaway", "monitoring"}
    rig.step()
    assert counts(rig) == (0, 0, 1)


@pytest.mark.parametrize(
    ("key", "of_string", "failure"),
    [
        pytest.param("module.lost", True, True, id="lost"),
        pytest.param("module.duplicate", False, True, id="duplicate"),
        pytest.param("module.incompatible", True, False, id="incompatible"),
        pytest.param("module.fuse_blown", False, False, id="fuse"),
    ],
)
def test_what_a_link_says_of_modules_is_summed_up(key: str, of_string: bool, failure: bool) -> None:
    """M:7299–7309 system alarm: communication or addressing; M:7587 and M:7754 are alarms of their own."""
    rig = Rig()
    assert rig.conditions[*SYSTEM, key] is False
    rig.others[block(7)] = {key}
    rig.step()
    assert rig.system == {key} | ({"system_failure"} if failure else set())
    assert rig.string(2) == ({key} if of_string else set())
    rig.others.clear()
    rig.step()
    assert rig.system == rig.string(2) == set()


def test_a_bus_that_is_gone_is_a_system_alarm_even_before_anything_is_known() -> None:
    """M:7299: module communication is lost and the system is in alarm mode."""
    rig = Rig(begin=False)
    rig.others[SYSTEM] = {"communications_lost"}
    rig.step()
    assert rig.system == {"system_failure"}
    assert rig.general("battery_system", 0)


def test_boxes_and_sensors_that_are_gone_are_told_of_the_system() -> None:
    """M:11484 sensor lost, M:11556 current sensor, M:11557 box."""
    rig = Rig(replace(configured(sensors=SensorsConfig("each")), boxes=(BoxConfig(), BoxConfig())))
    assert rig.conditions[*SYSTEM, "io_box_lost"] is False
    rig.others = {box(2): {"communications_lost"}, sensor(1): {"communications_lost"}}
    rig.step()
    assert rig.system == {"io_box_lost", "current_sensor_lost", "sensor_lost"}
    assert not rig.general("battery_system", 0), "M:7863–7933 has none of them"
    rig.others.clear()
    rig.step()
    assert rig.system == set()


def test_what_others_do_to_their_sets_afterwards_is_noticed() -> None:
    """The mapping may be one that is changed in place."""
    rig = Rig(replace(configured(), boxes=(BoxConfig(),)))
    rig.others = {box(1): set(), block(1): set()}
    rig.step()
    rig.others[box(1)].add("communications_lost")
    rig.others[block(1)].add("module.fuse_blown")
    rig.step()
    assert rig.system == {"io_box_lost", "module.fuse_blown"}


@pytest.mark.parametrize(
    ("column", "value", "key"),
    [
        pytest.param("voltage", 16.0, "module.voltage_out_of_range", id="voltage"),
        pytest.param("temperature", 0.0, "module.temperature_out_of_range", id="temperature"),
        pytest.param("impedance", 20.0, "module.impedance_out_of_range", id="impedance"),
        pytest.param("impedance", 7.0, "module.impedance_out_of_range_warning", id="impedance-warning"),
    ],
)
def test_bits_that_sum_up_high_and_low(column: str, value: float, key: str) -> None:
    """M:11471–11473, M:12169."""
    rig = Rig()
    assert rig.conditions[*SYSTEM, key] is False
    rig.put(column, {1: value})
    rig.step()
    assert key in rig.system


def test_discharges_that_have_reached_their_number_are_told() -> None:
    """M:7613: configured number of discharges reached; M:7619: reset to 0."""
    rig = Rig(configured(discharges=100))
    assert (*SYSTEM, "discharges_exceeded") not in rig.conditions, "nobody has counted yet"
    for discharges, exceeded in ((99, False), (100, True), (101, True), (0, False)):
        rig.discharges = discharges
        rig.step()
        assert rig.conditions[*SYSTEM, "discharges_exceeded"] is exceeded
    assert (*SYSTEM, "discharges_exceeded") not in Rig().conditions


class TestGeneralAlarm:
    """M:7563–7577, M:7863–7933."""

    def test_it_is_of_the_block_its_string_and_the_system(self) -> None:
        """M:11498: a bit of each module too."""
        rig = Rig()
        rig.step(temperature={6: 40.0})
        assert rig.general("battery_module", 6)
        assert rig.general("battery_string", 2)
        assert rig.general("battery_system", 0)
        assert not rig.general("battery_module", 5)
        assert not rig.general("battery_string", 1)
        rig.step(temperature={6: 22.0})
        assert not rig.general("battery_system", 0)
        assert not rig.general("battery_module", 6)

    def test_a_warning_is_none(self) -> None:
        """M:6939: a warning does not generate alarm contacts."""
        rig = Rig()
        rig.step(temperature={6: 33.0})
        assert rig.system
        assert not rig.general("battery_system", 0)

    def test_what_others_find_takes_part(self) -> None:
        """M:7882 thermal runaway, M:7928 equalising switched off, M:6377 its error."""
        rig = Rig()
        for place, key in (
            (string(2), "thermal_runaway"),
            (block(5), "equalizing_deactivated"),
            (SYSTEM, "equalizing_error"),
        ):
            rig.others = {place: {key}}
            rig.step()
            assert rig.general(*place)
            assert rig.general("battery_system", 0)
            assert not rig.general("battery_string", 1)
        rig.others = {}
        rig.step()
        assert not rig.general("battery_system", 0)

    def test_a_lost_module_is_one(self) -> None:
        """M:7868 system alarm, M:6375 communication lost to one or more modules."""
        rig = Rig()
        rig.step(lost={1: True})
        assert rig.general("battery_module", 1)
        assert rig.general("battery_string", 1)
        assert rig.general("battery_system", 0)

    def test_what_stands_in_no_list_is_none(self) -> None:
        """ERRATA 62: an open breaker, a blown fuse and the discharge counter are alarms, but not in the list."""
        rig = Rig(configured(discharges=1))
        rig.discharges = 5
        rig.others = {string(1): {"breaker_open"}, block(1): {"module.fuse_blown"}}
        rig.step()
        assert {"discharges_exceeded", "module.fuse_blown"} <= rig.system
        assert not rig.general("battery_system", 0)


def test_active_is_all_that_holds_whoever_found_it() -> None:
    """For the buzzer and the equaliser."""
    rig = Rig()
    rig.others = {block(1): {"module.fuse_blown"}, string(1): {"thermal_runaway"}}
    rig.step(temperature={1: 40.0})
    assert rig.judge.active[block(1)] >= {"module.fuse_blown", "module.temperature_high", "general_alarm"}
    assert rig.judge.active[string(1)] >= {"thermal_runaway", "module.temperature_high"}
    assert block(2) not in rig.judge.active


def test_monitoring_has_begun_when_every_module_has_answered_or_is_known_not_to() -> None:
    """M:6914–6923: initialized one by one; M:7283 started; M:11463 connected; M:6928 as many as are configured."""
    rig = Rig(begin=False)
    rig.step(temperature=dict.fromkeys(range(1, 8), 22.0))
    assert rig.at("battery_system", 0) == set()
    rig.step(lost={8: True})
    assert rig.conditions[*SYSTEM, "monitoring"]
    assert not rig.conditions[*SYSTEM, "modules_connected"]
    rig.step(lost={8: False}, temperature={8: 22.0})
    assert rig.conditions[*SYSTEM, "modules_connected"]
    rig.others[SYSTEM] = {"communications_lost"}
    rig.step()
    assert not rig.conditions[*SYSTEM, "monitoring"]


def test_monitoring_needs_no_limits() -> None:
    """Without any, modules are heard all the same, and their loss is an alarm."""
    rig = Rig(configured(voltage=Band(), temperature=Band(), impedance=ImpedanceLimits(dynamic=None)), begin=False)
    rig.step(voltage=dict.fromkeys(range(1, 8), 13.6))
    assert rig.conditions[*SYSTEM, "monitoring"] is False
    rig.step(voltage={8: 13.6})
    assert rig.conditions[*SYSTEM, "monitoring"]
    rig.step(lost={8: True})
    assert rig.general("battery_system", 0)


def test_a_system_of_which_nothing_is_heard_keeps_what_it_knew() -> None:
    """A link that is gone for a day ends no alarm, though no module is known to be lost."""
    rig = Rig(configured(string_voltage=Band(high_alarm=40.0), current=Band(high_alarm=20.0)))
    rig.step(temperature={1: 40.0}, current={1: 30.0})
    before = rig.system
    assert {"module.temperature_high", "string.voltage_high", "string.current_high"} <= before
    every = range(1, 9)
    for column in ("voltage", "temperature", "impedance"):
        rig.put(column, dict.fromkeys(every, None))
    rig.step(current={1: None})
    rig.step(86400.0)
    assert rig.system == before
    assert (*block(1), "module.temperature_high") in rig.unknown
    assert (*string(1), "string.voltage_high") in rig.unknown
    assert (*string(1), "string.current_high") in rig.unknown


def test_the_judges_own_words_come_back_without_harm() -> None:
    """Whoever keeps all that holds in one place may pass it whole."""
    rig = Rig()
    rig.step(temperature={1: 40.0}, lost={2: True})
    rig.others = {place: set(keys) for place, keys in rig.judge.active.items()}
    rig.step(temperature={1: 22.0}, lost={2: False})
    assert rig.system == rig.string(1) == rig.block(1) == set()
    assert not rig.general("battery_system", 0)
