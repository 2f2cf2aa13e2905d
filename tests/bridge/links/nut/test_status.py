"""NUT's compound status words as conditions."""

from hypothesis import given, strategies as st
import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.links.nut.status import (
    ALARMS,
    OCCASIONAL,
    SEVERED,
    SILENT,
    SOURCES,
    STANDARD,
    Status,
    outlet_on,
    read_status,
)

WORDS = sorted({*STANDARD, *OCCASIONAL, *SILENT, *SEVERED})


def status(text: str, **more: str) -> Status:
    return read_status({"ups.status": text} | {key.replace("_", "."): value for key, value in more.items()})


def active(text: str) -> set[str]:
    return {condition for condition, so in status(text).conditions.items() if so}


@pytest.mark.parametrize(
    ("text", "so"),
    [
        ("OL", {"output_active"}),
        ("OL CHRG", {"output_active", "charging"}),
        ("OB DISCHRG", {"output_active", "on_battery", "discharging"}),
        ("OB LB", {"output_active", "on_battery", "battery_low"}),
        ("LB OL CHRG", {"output_active", "charging", "battery_low"}),
        ("OL BYPASS", {"output_active", "on_bypass"}),
        ("BYPASS", {"output_active", "on_bypass"}),
        ("OL OFF", {"output_off"}),
        ("OL LB OVER RB BOOST", {"output_active", "battery_low", "overload", "battery_bad", "boost"}),
        ("OL TRIM", {"output_active", "trim"}),
        ("OL CAL DISCHRG", {"output_active", "calibrating", "discharging"}),
        ("OB LB FSD", {"output_active", "on_battery", "battery_low", "forced_shutdown"}),
        ("ALARM OL CHRG RB", {"output_active", "device_alarm", "charging", "battery_bad"}),
        ("OL HE", {"output_active", "eco_mode"}),
        ("OL ECO", {"output_active", "eco_mode"}),
        ("OL TEST", {"output_active", "test_in_progress"}),
        ("OL OVERHEAT", {"output_active", "overheat_protection"}),
        ("OL HB", {"output_active"}),
    ],
)
def test_each_word_is_a_condition(text: str, so: set[str]) -> None:
    assert active(text) == so
    assert status(text).unknown == ()


def test_on_line_says_that_it_is_not_on_battery() -> None:
    assert status("OL").conditions["on_battery"] is False
    assert status("OL").conditions["battery_low"] is False


@pytest.mark.parametrize("text", ["", "   ", "WAIT", "HB", "WIBBLE"])
def test_a_status_without_a_source_of_power_leaves_everything_unknown(text: str) -> None:
    assert status(text).conditions == {}


def test_without_a_status_everything_is_unknown() -> None:
    assert read_status({}).conditions == {}


def test_what_is_said_is_so_even_without_a_source_of_power() -> None:
    assert status("ALARM LB").conditions == {"device_alarm": True, "battery_low": True}


def test_off_without_a_word_of_the_mains_leaves_on_battery_unknown() -> None:
    conditions = status("OFF").conditions
    assert "on_battery" not in conditions
    assert conditions["output_off"] is True
    assert conditions["output_active"] is False


def test_a_driver_that_says_both_is_on_battery() -> None:
    assert status("OL OB").conditions["on_battery"] is True


def test_unknown_words_are_told_and_change_nothing() -> None:
    told = status("OL WIBBLE CHRG WOBBLE")
    assert told.unknown == ("WIBBLE", "WOBBLE")
    assert told.conditions == status("OL CHRG").conditions


@pytest.mark.parametrize("word", sorted(SEVERED))
def test_a_driver_that_has_lost_the_ups_is_severed(word: str) -> None:
    assert status(f"OL {word}").severed
    assert not status("OL").severed


def test_an_occasional_word_is_over_only_after_it_was_seen() -> None:
    assert "eco_mode" not in status("OL").conditions
    assert read_status({"ups.status": "OL"}, frozenset({"eco_mode"})).conditions["eco_mode"] is False
    assert "eco_mode" not in read_status({"ups.status": ""}, frozenset({"eco_mode"})).conditions


def test_an_alarm_is_over_when_its_text_is_gone() -> None:
    with_alarm = read_status({"ups.status": "ALARM OL", "ups.alarm": "Fan failure!"})
    assert with_alarm.conditions["fan_failure"] is True
    seen = frozenset(condition for condition, so in with_alarm.conditions.items() if so)
    after = read_status({"ups.status": "OL"}, seen)
    assert after.conditions["fan_failure"] is False
    assert after.conditions["device_alarm"] is False


@pytest.mark.parametrize(
    ("text", "so"),
    [
        ("Replace battery!", {"battery_bad"}),
        ("No battery installed!", {"battery_bad"}),
        ("Battery voltage too low!", {"battery_low"}),
        ("Battery charger fail!", {"charger_failed"}),
        ("Temperature too high!", {"temperature_bad"}),
        ("OVERHEAT", {"temperature_bad"}),
        ("Fan failure! Fuse fault!", {"fan_failure", "fuse_failure"}),
        ("Internal UPS fault!", {"general_fault"}),
        ("Shutdown imminent!", {"shutdown_imminent"}),
        ("Awaiting power!", {"awaiting_power"}),
        ("Automatic bypass mode!", {"on_bypass"}),
        ("Bypass not available", {"bypass_bad"}),
        ("Input Bad ", {"input_bad"}),
        ("Output voltage out of range", {"output_bad"}),
        ("Output overload!", {"overload"}),
        ("Something else", set()),
    ],
)
def test_alarm_texts_are_conditions(text: str, so: set[str]) -> None:
    conditions = read_status({"ups.alarm": text}).conditions
    assert {condition for condition, holds in conditions.items() if holds} == so | {"device_alarm"}


@pytest.mark.parametrize("text", ["", "  ", "0"])
def test_no_alarm_is_none(text: str) -> None:
    assert read_status({"ups.alarm": text}).conditions == {}


@pytest.mark.parametrize(
    ("text", "running", "failed"),
    [
        ("No test initiated", False, False),
        ("no test performed", False, False),
        ("Done and passed", False, False),
        ("Done and warning", False, False),
        ("Done and error", False, True),
        ("aborted", False, False),
        ("In progress", True, False),
        ("Passed, Source: Internal", False, False),
        ("InvalidTest", False, False),
        ("Bad battery pack", False, True),
        ("OK", False, False),
        ("NO", False, False),
        ("NG", False, True),
        ("BT", False, True),
    ],
)
def test_the_last_test_is_told(text: str, running: bool, failed: bool) -> None:
    assert read_status({"ups.test.result": text}).conditions == {"test_in_progress": running, "test_failed": failed}


@pytest.mark.parametrize("text", ["", "0", "4711"])
def test_a_test_result_that_says_nothing_is_left_out(text: str) -> None:
    assert read_status({"ups.test.result": text}).conditions == {}


@pytest.mark.parametrize(("text", "heard"), [("enabled", True), ("disabled", False), ("muted", False)])
@pytest.mark.parametrize("name", ["ups.beeper.status", "beeper.status"])
def test_the_beeper_is_told(name: str, text: str, heard: bool) -> None:
    assert read_status({name: text}).conditions == {"beeper_enabled": heard}


def test_a_beeper_status_nobody_knows_is_left_out() -> None:
    assert read_status({"ups.beeper.status": "perhaps"}).conditions == {}


@pytest.mark.parametrize(
    ("charger", "charging", "discharging"),
    [("charging", True, False), ("discharging", False, True), ("floating", False, False), ("resting", False, False)],
)
def test_the_charger_knows_better_than_the_words(charger: str, charging: bool, discharging: bool) -> None:
    conditions = status("OL CHRG", battery_charger_status=charger).conditions
    assert (conditions["charging"], conditions["discharging"]) == (charging, discharging)


@pytest.mark.parametrize(("text", "pending"), [("-1", False), ("0", False), ("20", True)])
def test_a_running_timer_is_a_pending_shutdown(text: str, pending: bool) -> None:
    assert read_status({"ups.timer.shutdown": text}).conditions == {"shutdown_pending": pending}


@pytest.mark.parametrize(
    ("variables", "on"),
    [
        ({"outlet.1.status": "on"}, True),
        ({"outlet.1.status": "On"}, True),
        ({"outlet.1.status": "on/closed"}, True),
        ({"outlet.1.status": "off"}, False),
        ({"outlet.1.switch": "1"}, True),
        ({"outlet.1.status": "off", "outlet.1.switch": "1"}, False),
        ({"outlet.1.status": "unknown"}, None),
        ({"outlet.2.status": "on"}, None),
    ],
)
def test_an_outlet_is_on_or_off_or_does_not_say(variables: dict[str, str], on: bool | None) -> None:
    assert outlet_on(variables, "1") is on


def test_every_condition_is_in_the_catalogue() -> None:
    catalogue = load_catalogue()
    named = {*STANDARD.values(), *OCCASIONAL.values(), *(condition for _, condition in ALARMS)}
    named |= {"output_active", "test_failed", "shutdown_pending", "beeper_enabled"}
    assert [condition for condition in named if catalogue.condition("ups", condition) is None] == []
    assert catalogue.condition("outlet", "outlet_on") is not None


@given(
    st.lists(st.sampled_from(WORDS) | st.text(max_size=8), max_size=8).map(" ".join),
    st.text(max_size=30),
    st.text(max_size=30),
)
def test_any_words_in_any_order_are_survived(words: str, alarm: str, result: str) -> None:
    catalogue = load_catalogue()
    variables = {"ups.status": words, "ups.alarm": alarm, "ups.test.result": result, "ups.timer.shutdown": alarm}
    told = read_status(variables, frozenset(STANDARD.values()))
    assert all(catalogue.condition("ups", condition) for condition in told.conditions)
    if SOURCES.isdisjoint(words.split()):
        # Nothing is known not to be so by a status that says nothing.
        assert all(told.conditions.get(condition, True) for condition in STANDARD.values())
    assert set(told.unknown) <= set(words.split())


@given(st.permutations(["OL", "CHRG", "LB", "RB", "BOOST", "ALARM", "TEST"]))
def test_the_order_of_words_does_not_matter(words: list[str]) -> None:
    assert status(" ".join(words)).conditions == status("OL CHRG LB RB BOOST ALARM TEST").conditions
