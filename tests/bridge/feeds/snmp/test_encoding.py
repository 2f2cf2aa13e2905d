"""Values of the site as numbers of a MIB, and bytes as SNMP wants them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ridethrough.feeds.snmp import ber
from ridethrough.feeds.snmp.ber import BerError, Tag
from ridethrough.feeds.snmp.encoding import Held, encoded, flags, number, text, ticks
from ridethrough.feeds.snmp.pdu import Status, in_v1
from ridethrough.maps.objects import ObjectRow, load_mibs
from ridethrough.site import Value

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROWS = {row.name: row for mib in load_mibs()[:3] for row in mib.rows}


def said(row: str | ObjectRow, value: Value | None = None, held: Held | None = None, up: float = 1000.0) -> object:
    """Encode, and read back what came of it."""
    found = encoded(ROWS[row] if isinstance(row, str) else row, value, held or {}, up, NOW)
    if found is None:
        return None
    tag, start, end = ber.Reader(found).next()
    if tag == Tag.OCTETS:
        return found[start:end].decode()
    return int.from_bytes(found[start:end], signed=True)


@pytest.mark.parametrize(
    ("row", "value", "expected"),
    [
        ("upsBatteryVoltage", 54.64, 546),
        ("upsBatteryVoltage", 54.65, 547),
        ("upsBatteryCurrent", -1.26, -13),
        ("upsBatteryTemperature", -4.4, -4),
        ("upsEstimatedMinutesRemaining", 1799.0, 29),
        ("upsEstimatedMinutesRemaining", 1800.0, 30),
        ("upsInputVoltage", 1e12, 2**31 - 1),
        ("upsInputVoltage", -1e12, -(2**31)),
        ("upsInputVoltage", "230", 230),
        ("upsInputVoltage", "n/a", None),
        ("upsInputVoltage", float("inf"), None),
        ("upsInputVoltage", None, None),
        ("upsInputLineBads", 2**40, 2**32 - 1),
        ("upsIdentManufacturer", "M" * 40, "M" * 31),
        ("upsIdentModel", "ü" * 40, "ü" * 31),
        ("upsTestId", "1.3.6", None),
        ("upsTestStartTime", (NOW - timedelta(seconds=10)).isoformat(), 99000),
        ("upsTestStartTime", (NOW - timedelta(days=10)).isoformat(), 0),
        ("upsTestStartTime", "yesterday", None),
        ("upsTestStartTime", "2026-01-01T00:00:00", None),
    ],
    ids=str,
)
def test_values_are_numbers_of_their_unit(row: str, value: Value | None, expected: object) -> None:
    assert said(row, value) == expected


@pytest.mark.parametrize(
    ("row", "value", "held", "expected"),
    [
        ("upsOutputSource", "line", {}, 3),
        ("upsOutputSource", "eco", {}, 1),
        ("upsOutputSource", None, {}, None),
        ("upsOutputSource", "eco", {"on_battery": False, "on_bypass": False, "output_active": True}, 3),
        ("upsOutputSource", "line", {"on_battery": True}, 5),
        ("upsOutputSource", None, {"on_battery": True}, 5),
        ("upsOutputSource", None, {"on_bypass": True, "on_battery": False}, 4),
        ("upsOutputSource", None, {"output_active": False}, 2),
        ("upsOutputSource", None, {"on_battery": None, "output_active": True}, None),
        ("upsOutputSource", "bypass", {"on_battery": None}, 4),
        ("upsOutputSource", None, {"on_battery": True, "on_bypass": True}, None),
        ("upsBatteryStatus", "good", {"battery_low": False}, 2),
        ("upsBatteryStatus", "normal", {"battery_low": True}, 3),
        ("upsBatteryStatus", None, {"battery_low": True, "battery_depleted": True}, 4),
        ("upsTestResultsSummary", None, {"test_in_progress": False}, None),
        ("upsTestResultsSummary", "passed", {"test_in_progress": False, "test_failed": False}, 1),
        ("upsConfigAudibleStatus", "muted", {"beeper_enabled": False}, 3),
        ("upsAutoRestart", True, {}, 1),
        ("upsAutoRestart", False, {}, 2),
        ("upsGeneratorOn", None, {"generator_on": False}, 0),
        ("upsGeneratorOn", None, {"generator_on": None}, None),
        ("transferSwitchSource1On", None, {"on_source_a": True}, 1),
        ("transferSwitchSource1On", None, {"on_source_a": False}, 0),
        ("transferSwitchSource1On", None, {"on_source_a": None}, None),
        ("transferSwitchPreferedMains1", "A", {}, 1),
        ("transferSwitchPreferedMains1", "B", {}, 0),
        ("auxPort1", True, {}, 1),
        ("auxPort1", False, {}, 0),
    ],
    ids=str,
)
def test_what_a_condition_says_goes_before_a_word(
    row: str, value: Value | None, held: Held, expected: int | None
) -> None:
    assert said(row, value, held) == expected


def test_degrees_fahrenheit_are_made_again() -> None:
    assert said(replace(ROWS["upsBatteryTemperature"], syntax="fahrenheit"), 25.0) == 77


def test_a_status_word_is_made_of_what_is_known() -> None:
    masks = {"a": 1, "b": 4, "sign": 1 << 31, "beyond": 1 << 40}
    assert flags({}, masks) is None
    assert flags({"a": None}, masks) is None
    assert flags({"a": True, "b": None}, masks) == 1
    assert flags({"a": True, "b": True, "beyond": True}, masks) == 5
    assert flags({"sign": True}, masks) == -(2**31)


def test_the_clock_begins_again_after_497_days() -> None:
    assert ticks(2**32 / 100 + 1) == ticks(1)
    assert ticks(-1) == ticks(0)


@pytest.mark.parametrize("amount", [0, 1, -1, 127, 128, -128, -129, 2**31 - 1, -(2**31)])
def test_integers_come_back(amount: int) -> None:
    assert ber.read_integer(number(amount)[2:]) == amount


@pytest.mark.parametrize("amount", [0, 127, 128, 2**31, 2**32 - 1])
def test_counters_come_back(amount: int) -> None:
    assert int.from_bytes(number(amount, Tag.COUNTER)[2:], signed=True) == amount


@pytest.mark.parametrize("content", [b"", b"\0" * 5], ids=["nothing", "too long"])
def test_impossible_integers_are_none(content: bytes) -> None:
    with pytest.raises(BerError):
        ber.read_integer(content)


@pytest.mark.parametrize("oid", [(0, 0), (1, 3), (2, 999, 3), (1, 3, 127, 128, 16383, 16384, 2**32 - 1)], ids=str)
def test_names_come_back(oid: ber.Oid) -> None:
    assert ber.read_name(ber.name(oid)[2:]) == oid


@pytest.mark.parametrize("content", [b"", b"\x81", b"\x2b\xff\xff\xff\xff\x7f"], ids=["nothing", "cut", "too great"])
def test_impossible_names_are_none(content: bytes) -> None:
    with pytest.raises(BerError):
        ber.read_name(content)


@pytest.mark.parametrize("length", [0, 127, 128, 255, 256, 65535, 65536])
def test_lengths_come_back(length: int) -> None:
    assert ber.Reader(ber.octets(bytes(length))).take(Tag.OCTETS) == bytes(length)


def test_a_text_is_cut_between_two_characters() -> None:
    assert text("é" * 60)[2:].decode() == "é" * 31


def test_the_first_version_has_words_of_its_own() -> None:
    assert {in_v1(status) for status in Status} <= {status for status in Status if status <= Status.GEN_ERR}
    assert in_v1(Status.WRONG_TYPE) is Status.BAD_VALUE
    assert in_v1(Status.NOT_WRITABLE) is Status.NO_SUCH_NAME
    assert in_v1(Status.RESOURCE_UNAVAILABLE) is Status.GEN_ERR
