"""Numbers and texts of agents, and each quirk that cards have."""

from datetime import UTC, datetime
import math

from hypothesis import given, strategies as st
import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.links.snmp.values import Converter, Raw, clean, number_of, shown
from ridethrough.maps.objects import ObjectRow, load_mibs, load_quirks

READ = [mib for mib in load_mibs() if mib.read]
ROWS = {row.name: row for mib in reversed(READ) for row in mib.rows}
EVERY = [row for mib in READ for row in mib.rows]
PLAIN = Converter("1.3.6.1.4.1.99999", "", load_quirks())

DELTA, ALPHA, NETMAN = "1.3.6.1.4.1.2254.2.5", "1.3.6.1.4.1.7309.5", "1.3.6.1.4.1.5491.304"
EATON, DELL, ROUTER = "1.3.6.1.4.1.705.1", "1.3.6.1.4.1.674.10902.2", "1.3.6.1.4.1.14988.1"
APC = "1.3.6.1.4.1.318.1.3.17"


@pytest.mark.parametrize(
    ("agent", "descr", "name", "raw", "value"),
    [
        # What RFC 1628 says.
        ("", "", "upsBatteryVoltage", 538, 53.8),
        ("", "", "upsEstimatedMinutesRemaining", 31, 1860),
        ("", "", "upsInputFrequency", 499, 49.9),
        ("", "", "upsInputFrequency", 4000, 400),
        ("", "", "upsInputVoltage", 230, 230),
        ("", "", "upsOutputSource", 5, "battery"),
        ("", "", "upsAutoRestart", 2, False),
        ("", "", "upsTestElapsedTime", 1250, 12.5),
        # Absent values.
        ("", "", "upsInputCurrent", -1, None),
        ("", "", "upsEstimatedMinutesRemaining", 65535, None),
        ("", "", "upsSecondsOnBattery", 0x7FFFFFFF, None),
        ("", "", "upsBatteryTemperature", -273, None),
        ("", "", "upsEstimatedChargeRemaining", 255, None),
        ("", "", "upsEstimatedChargeRemaining", 130, None),
        ("", "", "upsOutputSource", 1, None),
        ("", "", "upsOutputSource", 99, None),
        # Negative where it is meant.
        ("", "", "upsBatteryCurrent", -2, -0.2),
        ("", "", "upsOutputPower", -26, -26),
        ("", "", "upsBatteryTemperature", -10, -10),
        # Numbers as texts.
        ("", "", "upsInputVoltage", b"230", 230),
        ("", "", "upsInputVoltage", b" 229.5 V", 229.5),
        ("", "", "upsBatteryVoltage", b"53.8", 53.8),
        ("", "", "upsBatteryVoltage", b"538", 53.8),
        ("", "", "upsInputVoltage", b"n/a", None),
        # Other units than the MIB's.
        ("", "", "upsInputFrequency", 50, 50),
        ("", "", "upsInputFrequency", 5001, 50.01),
        ("", "", "upsOutputVoltage", 2301, 230.1),
        ("", "", "upsBatteryTemperature", 253, 25.3),
        (DELTA, "Mini-SNMP", "upsBypassVoltage", 880, 88),
        (ALPHA, "", "upsInputVoltage", 880, 88),
        (ALPHA, "", "upsOutputVoltage", 122, 122),
        (ROUTER, "", "upsEstimatedMinutesRemaining", 1200, 1200),
        (APC, "MGE Galaxy", "upsInputVoltage", 1205, 120.5),
        # What a maker's cards say for nothing.
        (NETMAN, "", "upsBatteryCurrent", -1, None),
        ("", "", "upsBatteryCurrent", -1, -0.1),
        (EATON, "", "upsBatteryTemperature", 0, None),
        ("", "", "upsBatteryTemperature", 0, 0),
        (DELL, "", "upsBypassVoltage", 0, None),
        ("", "", "upsBypassVoltage", 0, 0),
        # Makers' own objects.
        ("", "", "upsAdvBatteryRunTimeRemaining", 1637400, 16374),
        ("", "", "upsHighPrecOutputLoad", 762, 76.2),
        ("", "", "tlpUpsOutputLineCurrent", 140, 1.4),
        ("", "", "mginputVoltage", 2290, 229),
        ("", "", "sensorMan3Value", 215, 21.5),
    ],
)
def test_value(agent: str, descr: str, name: str, raw: Raw, value: object) -> None:
    converter = Converter(agent, descr, load_quirks())
    assert converter.read(ROWS[name], raw).value == (pytest.approx(value) if isinstance(value, float) else value)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"Smart-UPS", "Smart-UPS"),
        (b"UPS602R2RT2N035 ", "UPS602R2RT2N035"),
        (b"abc\x00\x00\x00", "abc"),
        (bytes(16) + b"\n00000000000000000", None),
        (b"2767,10,2738,11.\n53 1200000000", "2767,10,2738,11."),
        (b"", None),
        (b"   ", None),
        (b"---", None),
        (b"0000000", None),
        (b"Unknown", None),
        (b"\xff\xfe\x01", None),
        ("1.3.6", "1.3.6"),
        (None, None),
    ],
)
def test_texts_are_cleaned(raw: Raw, text: str | None) -> None:
    assert clean(raw) == text


def test_bytes_that_are_no_text_are_shown_as_numbers() -> None:
    assert shown(b"\xff\x01") == "ff 01"
    assert shown(b"text\x00") == "text"
    assert shown(None) == ""
    assert shown(230) == "230"


def test_stamp_is_an_instant_of_the_wall_clock() -> None:
    now = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    row = ROWS["upsTestStartTime"]
    assert PLAIN.read(row, 97_000, 100_000, now).value == "2026-03-01T11:59:30+00:00"
    assert PLAIN.read(row, 100_500, 100_000, now).value is None, "not in the future"
    assert PLAIN.read(row, 97_000).value is None, "not without a clock"


def test_text_that_is_no_number_is_counted_as_malformed() -> None:
    assert PLAIN.read(ROWS["upsInputVoltage"], b"soon").malformed
    assert not PLAIN.read(ROWS["upsInputVoltage"], b"").malformed


def test_quirks_of_the_agent_itself() -> None:
    assert Converter("1.3.6.1.2.1.33", "CS121 v 4.26", load_quirks()).setting("most") == "16"
    assert PLAIN.setting("most") is None


_RAW = st.one_of(st.none(), st.integers(-(2**63), 2**64), st.floats(), st.binary(max_size=40), st.text(max_size=40))


@given(st.sampled_from(EVERY), _RAW)
def test_whatever_is_sent_is_a_value_of_its_point_or_none(row: ObjectRow, raw: Raw) -> None:
    reading = PLAIN.read(row, raw, 100_000, datetime(2026, 1, 1, tzinfo=UTC))
    if reading.value is None or row.key is None:
        return
    point = load_catalogue().point("ups" if row.child is None else row.child.kind, row.key)
    assert point is not None
    assert point.coerce(reading.value) == reading.value
    if isinstance(reading.value, float):
        assert math.isfinite(reading.value)


@given(st.binary(max_size=60))
def test_no_text_has_control_characters(raw: bytes) -> None:
    text = clean(raw)
    assert text is None or (text == text.strip() and all(ord(character) >= 32 for character in text))


@given(st.integers(-(2**31), 2**31 - 1))
def test_number_sent_as_text_is_the_same_number(number: int) -> None:
    assert number_of(str(number).encode()) == number_of(number) == number
