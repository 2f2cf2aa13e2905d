"""What an alarm does (manual M:6355–6383, M:6936–6948, M:7863–7933)."""

import pytest

from ridethrough.battery.alarm import (
    GENERAL,
    MUTED,
    PICKS_UP,
    STOPS_EQUALISING,
    TRIGGERS,
    Active,
    Alarm,
    Outputs,
    of_severity,
    stopped,
)
from ridethrough.battery.layout import SYSTEM, Layout, block, string
from ridethrough.catalogue import Severity, load_catalogue

HOT: Active = {block(1): {"module.temperature_high"}, SYSTEM: {"module.temperature_high"}}
WELL: Active = {}

PRINTED = """
7868 BACS System Alarm
7870 BACS Voltage High Alarm
7872 BACS Voltage Low Alarm
7874 BACS Temperature High Alarm
7876 BACS Temperature Low Alarm
7878 BACS Resistor High Alarm
7880 BACS Resistor Low Alarm
7882 BACS Thermal Runaway Alarm
7916 BACS Baseline Impedance Alarm
7918 BACS String Voltage High Alarm
7920 BACS String Voltage Low Alarm
7922 BACS String Current High Alarm
7924 BACS String Current Low Alarm
7926 BACS Module Revision Alarm
7928 BACS Equalizing deactivated by System
7930 BACS String Current Deviation Discharge Alarm
7932 BACS String Current Deviation Charge Alarm
"""
"""The contact list as the manual has it, but for the runaway of each string (M:7884–7915), which is the same condition."""


def started(now: float = 0.0) -> Alarm:
    """Make an alarm whose relay has picked up at `now`."""
    alarm = Alarm()
    alarm.update(WELL, now - PICKS_UP)
    assert alarm.update(WELL, now) == Outputs(general=False, buzzer=False, relay=True)
    return alarm


class TestList:
    """M:7863–7933 and M:6371–6378."""

    def test_it_is_the_printed_one(self) -> None:
        """M:7868–7932; the error of equalising comes from M:6377."""
        rows = {f"{trigger.line} {trigger.event}" for trigger in TRIGGERS}
        assert rows - set(PRINTED.split("\n")) == {"6377 Equalizing / Balancing Error alarm"}
        assert set(PRINTED.split("\n")) - rows == {""}

    def test_all_of_it_are_alarms_that_the_catalogue_has(self) -> None:
        """M:6939: a warning closes no contact, and none is in the list."""
        assert of_severity(Severity.ALARM) >= GENERAL

    @pytest.mark.parametrize(
        "key",
        [
            "breaker_open",
            "discharges_exceeded",
            "module.fuse_blown",
            "module.charge_low",
            "string.charge_low",
            "io_box_lost",
            "current_sensor_lost",
            "input_alarm.1",
        ],
    )
    def test_what_is_in_neither_list_sets_nothing_off(self, key: str) -> None:
        """ERRATA 62."""
        assert started().update({SYSTEM: {key}}, 1.0) == Outputs(general=False, buzzer=False, relay=True)

    @pytest.mark.parametrize("key", sorted(GENERAL))
    def test_each_of_it_sounds_and_drops_the_relay_and_its_end_undoes_it(self, key: str) -> None:
        """M:7867: alarm, buzzer on, relay dropping out; off, buzzer off, relay picking up."""
        alarm = started()
        assert alarm.update({SYSTEM: {key}}, 1.0) == Outputs(general=True, buzzer=True, relay=False)
        assert alarm.update(WELL, 2.0) == Outputs(general=False, buzzer=False, relay=True)

    @pytest.mark.parametrize("key", sorted(of_severity(Severity.WARNING)))
    def test_no_warning_does(self, key: str) -> None:
        """M:6939: a warning does not generate alarm contacts."""
        assert started().update({block(1): {key}, SYSTEM: {key}}, 1.0) == Outputs(False, False, True)


class TestRelay:
    """M:6362–6383."""

    def test_it_picks_up_15_to_20_seconds_after_the_start(self) -> None:
        """M:6367."""
        alarm = Alarm()
        assert not alarm.update(WELL, 100.0).relay
        assert not alarm.update(WELL, 114.9).relay
        assert alarm.update(WELL, 120.0).relay

    def test_with_an_alarm_at_the_start_it_does_not_pick_up(self) -> None:
        """M:6369."""
        alarm = Alarm()
        alarm.update(HOT, 0.0)
        assert alarm.update(HOT, 20.0) == Outputs(general=True, buzzer=True, relay=False)
        assert alarm.update(WELL, 21.0).relay

    def test_opened_by_hand_it_stays_open(self) -> None:
        """M:6380."""
        alarm = started()
        alarm.open()
        assert alarm.update(WELL, 1.0) == Outputs(general=False, buzzer=False, relay=False)
        assert not alarm.update(WELL, 86400.0).relay

    def test_until_it_is_closed_by_hand(self) -> None:
        """M:6383."""
        alarm = started()
        alarm.open()
        alarm.update(WELL, 1.0)
        alarm.close()
        assert alarm.update(WELL, 2.0).relay

    def test_until_an_alarm_is_over(self) -> None:
        """M:6382: an active alarm falls back to normal state."""
        alarm = started()
        alarm.open()
        assert not alarm.update(HOT, 1.0).relay
        assert alarm.update(WELL, 2.0).relay

    def test_until_a_restart(self) -> None:
        """M:6381: nothing of it is remembered."""
        alarm = started()
        alarm.open()
        assert started(500.0).update(WELL, 501.0).relay

    def test_closing_by_hand_does_not_hide_an_alarm(self) -> None:
        """M:6364: it is linked to the general alarm and cannot be configured."""
        alarm = started()
        alarm.update(HOT, 1.0)
        alarm.close()
        assert not alarm.update(HOT, 2.0).relay


class TestMute:
    """M:4795–4797."""

    def test_it_silences_the_buzzer_and_nothing_else(self) -> None:
        """M:4795: press mute to temporarily switch off the alarm."""
        alarm = started()
        alarm.update(HOT, 1.0)
        alarm.mute(1.0)
        assert alarm.update(HOT, 2.0) == Outputs(general=True, buzzer=False, relay=False)

    def test_it_cannot_be_switched_off_for_ever(self) -> None:
        """M:4796: after some time it will fall back to active state."""
        alarm = started()
        alarm.update(HOT, 1.0)
        alarm.mute(1.0)
        assert not alarm.update(HOT, MUTED).buzzer
        assert alarm.update(HOT, 1.0 + MUTED).buzzer

    def test_whatever_comes_on_top_of_it_sounds(self) -> None:
        """Who silenced a warm block has not heard of one that runs away."""
        alarm = started()
        alarm.update(HOT, 1.0)
        alarm.mute(1.0)
        worse: Active = {**HOT, string(1): {"thermal_runaway"}}
        assert alarm.update(worse, 2.0).buzzer
        assert alarm.update(worse, 3.0).buzzer

    def test_the_end_of_one_of_several_does_not_sound(self) -> None:
        """There is nothing new to hear."""
        alarm = started()
        alarm.update({**HOT, string(1): {"thermal_runaway"}}, 1.0)
        alarm.mute(1.0)
        assert not alarm.update(HOT, 2.0).buzzer

    def test_the_next_alarm_sounds_again(self) -> None:
        """Silence ends with what it was for."""
        alarm = started()
        alarm.update(HOT, 1.0)
        alarm.mute(1.0)
        alarm.update(WELL, 2.0)
        assert alarm.update(HOT, 3.0).buzzer

    def test_without_an_alarm_there_is_nothing_to_mute(self) -> None:
        """A mute in advance would swallow the alarm that follows."""
        alarm = started()
        alarm.mute(1.0)
        assert alarm.update(HOT, 2.0).buzzer


class TestEqualising:
    """M:6945, M:6995, M:7047."""

    LAYOUT = Layout.of([4, 4, 4])

    @pytest.mark.parametrize("key", sorted(STOPS_EQUALISING))
    def test_an_alarm_stops_it_in_its_string(self, key: str) -> None:
        """M:6945: alarms also stop any balancing in the affected battery string."""
        kinds = next(each.kinds for each in load_catalogue().conditions if each.key == key)
        place = block(6) if "battery_module" in kinds else string(2)
        assert stopped({place: {key}, SYSTEM: {key}, string(2): {key}}, self.LAYOUT) == {2}

    def test_a_block_is_enough(self) -> None:
        """M:6945; the string's own sum need not have been told yet."""
        assert stopped({block(6): {"module.voltage_high"}}, self.LAYOUT) == {2}

    @pytest.mark.parametrize("key", sorted(of_severity(Severity.WARNING) | of_severity(Severity.INFO)))
    def test_a_warning_does_not(self, key: str) -> None:
        """M:6939: warnings are just a visual indication."""
        assert stopped({block(6): {key}, string(2): {key}, SYSTEM: {key}}, self.LAYOUT) == frozenset()

    def test_an_alarm_of_the_system_alone_stops_nothing(self) -> None:
        """The discharge counter, a lost box and sums concern no string."""
        keys = {"discharges_exceeded", "io_box_lost", "general_alarm", "system_failure", "module.voltage_out_of_range"}
        assert stopped({SYSTEM: keys}, self.LAYOUT) == frozenset()

    def test_what_equalising_says_of_itself_does_not_keep_it_from_trying_again(self) -> None:
        """M:7786: off event once it has been restarted; M:7452 is the equaliser's own."""
        keys = {"equalizing_deactivated", "equalizing_error", "general_alarm"}
        assert stopped({block(6): keys, string(2): keys, SYSTEM: keys}, self.LAYOUT) == frozenset()

    def test_one_breaker_for_all_stops_it_everywhere(self) -> None:
        """M:6728: exactly one breaker, which disconnects all batteries."""
        assert stopped({SYSTEM: {"breaker_tripped"}}, self.LAYOUT) == {1, 2, 3}
        assert stopped({SYSTEM: {"breaker_tripped"}, string(3): {"breaker_tripped"}}, self.LAYOUT) == {3}

    def test_places_that_do_not_exist_stop_nothing(self) -> None:
        """Blocks and strings that were configured once."""
        assert stopped({block(99): {"module.lost"}, string(9): {"module.lost"}}, self.LAYOUT) == frozenset()


def test_only_alarms_stop_equalising() -> None:
    """M:6936–6948: the two categories."""
    assert of_severity(Severity.ALARM) >= STOPS_EQUALISING
