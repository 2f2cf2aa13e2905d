"""Pure things: words, status, names, numbers, commands, guesses."""

from collections.abc import Mapping
import math

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock, SystemClock
from ridethrough.config.feeds import NutUser
from ridethrough.feeds import Directory
from ridethrough.feeds.nut.accounts import ADDRESSES, FREE, Accounts
from ridethrough.feeds.nut.commands import ARGUMENTS, OUTLET_COMMANDS
from ridethrough.feeds.nut.status import DUE, FORCED, SOURCES, WORDS, compose
from ridethrough.feeds.nut.tracking import TRACKED, Tracking
from ridethrough.feeds.nut.ups import Upses
from ridethrough.feeds.nut.variables import RULES, decimal, naming
from ridethrough.feeds.nut.wire import VALUE_LIMIT, Refusal, decode, quote, split, word
from ridethrough.links.nut.names import place_command
from ridethrough.links.nut.protocol import quote as quoted_by_the_link, split as split_by_the_link
from ridethrough.links.nut.status import read_status
from ridethrough.site import Device, DeviceId, Site, Source, Value

CATALOGUE = load_catalogue()


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ({"on_battery": False}, "OL"),
        ({"on_battery": True}, "OB"),
        ({}, None),
        ({"battery_low": True, "output_off": True}, None),
        ({"on_battery": True, "discharging": True, "battery_low": True}, "OB DISCHRG LB"),
        ({"on_battery": True, "battery_depleted": True}, "OB LB"),
        ({"on_battery": True, "system_shutdown": True}, "FSD OB LB"),
        ({"on_battery": True, "shutdown_imminent": True}, "FSD OB LB"),
        # On mains nothing is to be shut down by a word: the outlets of this one may be on a timer.
        ({"on_battery": False, "shutdown_imminent": True}, "OL LB"),
        ({"on_battery": False, "system_shutdown": True}, "OL LB"),
        ({"on_battery": False, "charging": True, "boost": True}, "OL CHRG BOOST"),
        ({"on_battery": False, "on_bypass": True, "overload": True}, "OL OVER BYPASS"),
        ({"on_battery": False, "on_maintenance_bypass": True, "trim": True}, "OL TRIM BYPASS"),
        ({"on_battery": False, "output_off": True, "output_active": False}, "OL OFF"),
        ({"on_battery": False, "output_active": False}, "OL OFF"),
        ({"on_battery": True, "calibrating": True, "test_in_progress": True}, "OB CAL TEST"),
        ({"on_battery": False, "battery_bad": True, "device_alarm": True}, "ALARM OL RB"),
        ({"on_battery": False, "forced_shutdown": True, "eco_mode": True}, "FSD OL HE"),
    ],
    ids=str,
)
def test_the_status_of_a_ups(conditions: Mapping[str, bool], status: str | None) -> None:
    assert compose("ups", conditions.get) == status
    if status is not None:
        # Our own link understands it.
        read = read_status({"ups.status": status})
        assert read.unknown == ()
        assert read.conditions["on_battery"] is conditions["on_battery"]


def test_the_status_of_a_transfer_switch() -> None:
    assert compose("transfer_switch", {"output_active": True}.get) == "OL"
    assert compose("transfer_switch", {"output_active": False, "output_off": True}.get) == "OFF"
    assert compose("transfer_switch", {"overload": True}.get) is None


def test_what_the_tables_name_exists() -> None:
    for kind, (condition, _, _) in SOURCES.items():
        assert CATALOGUE.condition(kind, condition) is not None
    for name in {*(name for _, names in WORDS for name in names), *DUE, FORCED}:
        assert CATALOGUE.condition("ups", name) is not None, name
    for key, (argument, seconds) in ARGUMENTS.items():
        command = CATALOGUE.command("ups", key)
        assert command is not None
        unit = {one.name: one.unit for one in command.arguments}[argument]
        assert {"s": 1.0, "min": 60.0}[unit] == seconds
    assert set(OUTLET_COMMANDS) == {command.key for command in CATALOGUE.commands_of("outlet")}
    for key, name in OUTLET_COMMANDS.items():
        place = place_command(f"outlet.3.{name}")
        assert place is not None
        assert (place.outlet, place.key) == ("3", key)
    keys = [point.key.text for point in CATALOGUE.points if "ups" in point.kinds]
    plain = [key.replace("{line}", "L1").replace("{number}", "2").replace("{contact}", "1") for key in keys]
    for rule in RULES:
        assert any(rule.point.fullmatch(key) for key in plain), rule.point.pattern


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("input.L1.voltage", "input.L1-N.voltage"),
        ("output.L2.voltage.nominal", "output.L2-N.voltage.nominal"),
        ("input.bypass.L3.voltage", "input.bypass.L3-N.voltage"),
        ("input.L1-N.voltage", "input.L1-N.voltage"),
        ("input.L1-L2.voltage", "input.L1-L2.voltage"),
        ("output.L1.current", "output.L1.current"),
        ("battery.charge", "battery.charge"),
        ("driver.name", None),
        ("link.state", None),
        ("ups.status", None),
        ("experimental.a b", None),
    ],
)
def test_what_nut_calls_a_point(key: str, name: str | None) -> None:
    found = naming(key)
    assert (None if found is None else found.variable) == name


@pytest.mark.parametrize(
    ("value", "places", "measured", "computed"),
    [
        (230.0, 1, "230.0", "230.0"),
        (13.56, 1, "13.56", "13.6"),
        (100.0, 0, "100", "100"),
        (1834.27, 0, "1834.27", "1834"),
        (1 / 3, 2, "0.33333", "0.33"),
        (0.1 + 0.2, 1, "0.3", "0.3"),
        (-0.04, 0, "-0.04", "0"),
        (-0.0001, 1, "-0.0001", "0.0"),
        (-0.0, 1, "0.0", "0.0"),
        (-12.0, 0, "-12", "-12"),
        (math.nan, 1, "", ""),
    ],
)
def test_how_numbers_are_written(value: float, places: int, measured: str, computed: str) -> None:
    assert decimal(value, places, exact=False) == measured
    assert decimal(value, places, exact=True) == computed


def a_ups(points: Mapping[str, Value | None], conditions: Mapping[str, bool]) -> Mapping[str, str]:
    """Return the variables of a UPS of which the site knows this."""
    site = Site(CATALOGUE, SystemClock())
    device = Device(DeviceId("u"), "ups-1", "ups", "Rack", manufacturer="Maker", firmware="7")
    site.put(device)
    site.lane(device.id, None).post(points, {"on_battery": False, **conditions})
    site.lane(device.id, None, Source.COMPUTED).post({"battery.runtime": 1234.567})
    assert site.rejected == {}
    upses = Upses(Directory(site), "1", lambda device: False)
    return {name: one.text for name, one in upses.variables(device).items()}


def test_what_nut_has_other_words_for() -> None:
    told = a_ups(
        {
            "ups.watchdog.status": True,
            "ups.start.auto": False,
            "input.voltage.status": "warning_low",
            "ambient.1.contacts.1.config": "normal_open",
            "ups.test.state": "failed",
            "input.L1.voltage": 229.0,
            "input.L1-N.voltage": 231.0,
            "input.L2.voltage": 228.0,
            "ups.load": None,
            "device.model": "X",
        },
        {"beeper_enabled": False, "temperature_bad": True, "fan_failure": True, "threshold_warning": True},
    )
    assert told["ups.watchdog.status"] == "enabled"
    assert told["ups.start.auto"] == "no"
    assert told["input.voltage.status"] == "warning-low"
    assert told["ambient.1.contacts.1.config"] == "normal-opened"
    assert told["ups.test.result"] == "Done and error"
    assert told["ups.beeper.status"] == "disabled"
    # What names the neutral itself goes first.
    assert (told["input.L1-N.voltage"], told["input.L2-N.voltage"]) == ("231.0", "228.0")
    assert "input.L1.voltage" not in told
    assert "ups.load" not in told
    assert told["ups.alarm"] == "Fan failure! Overtemperature!"
    assert told["ups.status"] == "ALARM OL"
    assert told["battery.runtime"] == "1235"
    assert (told["device.mfr"], told["ups.mfr"]) == ("Maker", "Maker")
    assert (told["device.model"], told["ups.model"]) == ("X", "X")
    assert told["ups.firmware"] == "7"
    assert told["device.type"] == "ups"
    assert "ups.serial" not in told


def test_the_devices_own_alarm_goes_first_and_ends() -> None:
    assert a_ups({"ups.alarm": "Fan! "}, {"fan_failure": True})["ups.alarm"] == "Fan!"
    told = a_ups({"ups.alarm": ""}, {"fan_failure": True})
    assert ("ups.alarm" in told, told["ups.status"]) == (False, "OL")


@pytest.mark.parametrize(
    "text", ["", "plain", "two words", 'a "b" c', "back\\slash", '\\"', "ünïcode", "#no comment", "a=b", "{}"]
)
def test_quotes_are_those_of_the_link(text: str) -> None:
    assert quote(text) == quoted_by_the_link(text)
    assert split(f"VAR x {quote(text)}") == split_by_the_link(f"VAR x {quote(text)}") == ["VAR", "x", text]
    assert split(f"VAR {word(text)}") == ["VAR", text]


def test_nothing_in_a_value_ends_a_line_or_makes_it_too_long() -> None:
    assert quote("a\nERR b\r\x00\x85\u2028c") == '"a ERR b    c"'
    long = quote("ä" * 5000)
    assert len(long) == VALUE_LIMIT + 2
    assert long.endswith('…"')


def test_any_bytes_are_words_or_refused() -> None:
    assert decode(b"caf\xe9\r\n") == "café"
    assert decode("café".encode()) == "café"
    assert split(r"a\ b  'c d' \"e") == ["a b", "'c", "d'", '"e']
    for line in ('"open', "end\\", '"a" "', '"a\\"'):
        with pytest.raises(Refusal, match="INVALID-ARGUMENT"):
            split(line)


async def test_guesses_from_everywhere_are_remembered_within_bounds() -> None:
    clock = ManualClock()
    accounts = Accounts([NutUser("a", "right")], clock)
    for number in range(3 * ADDRESSES):
        assert await accounts.verify(f"192.0.{number >> 8}.{number & 255}", "a", "wrong") is None
    assert len(accounts._debts) <= ADDRESSES
    # One owner of an IPv6 network has as many guesses as one of an address; what is no address counts by itself.
    for prefix in ("2001:db8::", "fe80::1%eth"):
        for number in range(FREE):
            assert await accounts.verify(f"{prefix}{number}", "a", "wrong") is None
    for number in range(40):
        clock.tick(0.1 * number)
        assert await accounts.verify("::ffff:203.0.113.5", "a", "right") is not None
    assert await accounts.verify("not an address", "a", "right") is not None


def test_only_so_many_commands_are_followed() -> None:
    tracking = Tracking()
    numbers = [tracking.begin() for _ in range(TRACKED + 1)]
    tracking.end(numbers[0], None)
    assert tracking.told(numbers[0]) == "ERR UNKNOWN"
    tracking.end(numbers[1], None)
    assert tracking.told(numbers[1]) == "SUCCESS"
    assert tracking.told(numbers[-1]) == "PENDING"
