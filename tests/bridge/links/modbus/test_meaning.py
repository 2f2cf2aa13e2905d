"""What registers mean: numbers, texts, phases, conditions."""

from collections.abc import Mapping
import math
import struct

from hypothesis import given, strategies as st
import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.links.modbus.decode import Raw, raw_of, value_of
from ridethrough.links.modbus.meaning import Meaning, phases_of, understand
from ridethrough.maps.phases import plain_key
from ridethrough.maps.registers import Register, load_profile, read_bits, read_registers

HEAD = (
    "address,repeat,functions,type,count,order,scale,absent,device,point,condition,match,values,bits,writable,"
    "name,note,source\n"
)
CATALOGUE = load_catalogue()
DEFAULT = load_profile("default").registers


def row(text: str) -> Register:
    """Read one row: type to values, with the columns around them filled in."""
    bits = read_bits("bits.csv", "table,mask,condition,note,source\nword,1,on_bypass,,M:1\nword,8,on_battery,,M:2\n")
    (register,) = read_registers("test.csv", f"{HEAD}1,,3,{text},,NAME,,M:1\n", bits)
    return register


def said(*pairs: tuple[Register, Raw | None], phases: int | None = 3) -> Meaning:
    """Understand registers of a UPS."""
    return understand("ups", dict(pairs), phases, CATALOGUE)


@pytest.mark.parametrize(
    ("text", "words", "raw"),
    [
        ("u16,,,,,,,,,,", [0xFFFB], 0xFFFB),
        ("s16,,,,,,,,,,", [0xFFFB], -5),
        ("s16,,,,,,,,,,", [0x7FFF], 32767),
        ("u32,,,,,,,,,,", [1, 2], 65538),
        ("u32,,low,,,,,,,,", [1, 2], 131073),
        ("s32,,,,,,,,,,", [0xFFFF, 0xFFFF], -1),
        ("s32,,low,,,,,,,,", [0xFFFF, 0x7FFF], 2147483647),
        ("f32,,,,,,,,,,", [0x4366, 0x8000], 230.5),
        ("f32,,,,,,,,,,", [0x7FC0, 0], None),
        ("f32,,,,,,,,,,", [0x7F80, 0], None),
        ("u16,,,,0xffff 0x8000,,,,,,", [0x8000], None),
        ("s16,,,,-1,,,,,,", [0xFFFF], None),
        ("text,4,,,,,,,,,", [0x4142, 0x4320, 0x2000, 0x5858], "ABC"),
        ("text,2,,,,,,,,,", [0x2020, 0], None),
        ("text,2,,,,,,,,,", [0x41FF, 0x0142], "AB"),
    ],
)
def test_words_become_numbers_and_texts(text: str, words: list[int], raw: Raw | None) -> None:
    assert raw_of(row(text), words) == raw


@pytest.mark.parametrize(
    ("text", "raw", "value"),
    [
        ("u16,,,0.1,,,input.voltage,,,,", 2301, 230.1),
        ("s16,,,60,,,battery.runtime,,,,", 14, 840),
        ("s16,,,0.5 -39,,,battery.temperature,,,,", 127, 24.5),  # manual M:11449-11451
        ("s16,,,0.5 -39,,,battery.temperature,,,,", 128, 25),
        ("s16,,,0.5 -39,,,battery.temperature,,,,", 0, -39),
        ("s16,,,1 -39,,,battery.temperature,,,,", 64, 25),
        ("u16,,,,,,aux.1,,,,", 1, True),
        ("u16,,,,,,aux.1,,0,,", 1, False),
        ("u16,,,,,,aux.1,,&0x04,,", 6, True),
        ("u16,,,,,,ups.mode,,,0=line 1=battery,", 1, "battery"),
        ("u16,,,,,,input.failures,,,,", 7, 7),
        ("f32,,,0.001,,,output.energy,,,,", 1234.5, 1.2345),
        ("text,2,,,,,ups.model,,,,", "AB", "AB"),
    ],
)
def test_raw_values_become_those_of_their_point(text: str, raw: Raw, value: object) -> None:
    register = row(text)
    assert register.point is not None
    point = CATALOGUE.point("ups", register.point)
    assert point is not None
    assert value_of(register, raw, point) == value


@pytest.mark.parametrize(
    ("text", "raw"),
    [
        ("u16,,,,,,battery.charge,,,,", 255),
        ("u16,,,,,,input.voltage,,,,", 65535),
        ("u16,,,,,,ups.load,,,,", 65535),
        ("s16,,,60,,,battery.runtime,,,,", -1),
        ("u16,,,,,,ups.mode,,,0=line 1=battery,", 7),
    ],
)
def test_a_value_that_cannot_be_is_left_out(text: str, raw: int) -> None:
    register = row(text)
    meaning = said((register, raw))
    assert meaning.points == {}
    assert register in meaning.senseless


def test_a_value_that_is_not_there_makes_its_point_unsupported() -> None:
    register = row("u16,,,,0xffff,,battery.charge,,,,")
    assert said((register, None)).points == {"battery.charge": None}


def test_of_several_registers_for_one_point_the_first_with_a_value_counts() -> None:
    first, second, third = (row("u16,,,,,,battery.charge,,,,") for _ in range(3))
    assert said((first, 0), (second, 50), (third, 60)).points == {"battery.charge": 50}
    assert said((first, 40), (second, 50)).points == {"battery.charge": 40}
    assert said((first, 0), (second, None)).points == {"battery.charge": 0}
    assert said((first, 0), (second, 50)).rows == {"battery.charge": second}


def test_a_condition_holds_if_any_register_says_so() -> None:
    word, flag = row("u16,,,,,,ups.status.word,,,,word"), row("u16,,,,,,,on_battery,,,")
    assert said((word, 1), (flag, 1)).conditions == {"on_bypass": True, "on_battery": True}
    assert said((word, 8), (flag, 0)).conditions == {"on_bypass": False, "on_battery": True}
    assert said((word, 0), (flag, 0)).conditions == {"on_bypass": False, "on_battery": False}
    assert said((flag, None)).conditions == {}


@pytest.mark.parametrize(
    ("status", "holding"),
    # The manual's examples, M:8254-8257 and M:11148-11153, and 56 of M:1815.
    [
        (4, {"output_active"}),
        (12, {"output_active", "on_battery"}),
        (28, {"output_active", "on_battery", "battery_low"}),
        (68, {"output_active", "test_in_progress"}),
        (5, {"output_active", "on_bypass"}),
        (56, {"on_battery", "battery_low", "temperature_bad"}),
    ],
)
def test_the_status_word_of_the_default_map(status: int, holding: set[str]) -> None:
    (register,) = [register for register in DEFAULT if register.bits]
    meaning = said((register, status))
    assert {condition for condition, active in meaning.conditions.items() if active} == holding
    assert len(meaning.conditions) == 17
    assert meaning.points == {"ups.status.word": status}


# Phases


def raws(**values: int) -> Mapping[Register, Raw | None]:
    """Give registers of the default map by their printed names."""
    return {register: values[register.name] for register in DEFAULT if register.name in values}


@pytest.mark.parametrize(
    ("values", "phases"),
    [
        ({"OUTPUT_VOLT0": 230, "OUTPUT_VOLT1": 0, "OUTPUT_VOLT2": 0}, 1),
        ({"OUTPUT_VOLT0": 230, "OUTPUT_VOLT1": 231, "OUTPUT_VOLT2": 0}, 3),
        ({"INVOLT0": 0, "INVOLT1": 0, "OUTPUT_VOLT0": 230}, 1),
        ({"INVOLT0": 0, "INVOLT1": 229}, 3),
        ({"OUTPUT_VOLT0": 0, "OUTPUT_VOLT1": 0}, None),
        ({"BATTCAP": 90}, None),
    ],
)
def test_the_phases_are_counted_by_those_alive(values: dict[str, int], phases: int | None) -> None:
    assert phases_of(raws(**values)) == phases


@pytest.mark.parametrize(
    ("key", "plain"),
    [
        ("output.L1.power.percent", "ups.load"),
        ("output.L1.voltage", "output.voltage"),
        ("input.L1-N.voltage", "input.voltage"),
        ("input.bypass.L1.voltage", "input.bypass.voltage"),
        ("input.2.L1.voltage", "input.2.voltage"),
        ("output.L1.current", "output.current"),
        ("output.L2.voltage", None),
        ("output.L1-L2.voltage", None),
        ("battery.charge", "battery.charge"),
    ],
)
def test_the_only_phase_has_plain_names(key: str, plain: str | None) -> None:
    assert plain_key("ups", key, CATALOGUE) == plain


def test_phases_are_withheld_until_they_are_known() -> None:
    values = raws(OUTPUT_VOLT0=0, OUTPUT_VOLT1=0, BATTCAP=90)
    assert said(*values.items(), phases=None).points == {"battery.charge": 90}
    assert said(*values.items(), phases=1).points == {"battery.charge": 90, "output.voltage": 0}


@given(words=st.lists(st.integers(0, 0xFFFF), min_size=2, max_size=2))
def test_no_words_break_the_decoding(words: list[int]) -> None:
    for kind, count in (("u16", 1), ("s16", 1), ("u32", 2), ("s32", 2), ("f32", 2), ("text", 2)):
        for order in ("high", "low"):
            register = row(f"{kind},{count},{order},0.1,0,,output.energy,,,,word")
            raw = raw_of(register, words[:count])
            assert raw is None or isinstance(raw, str) or math.isfinite(raw)
            meaning = said((register, raw))
            assert set(meaning.points) <= {"output.energy"}


@given(number=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_float_survives_in_both_orders(number: float) -> None:
    high, low = struct.unpack(">HH", struct.pack(">f", number))
    assert raw_of(row("f32,,,,,,,,,,"), [high, low]) == number
    assert raw_of(row("f32,,low,,,,,,,,"), [low, high]) == number


@given(words=st.lists(st.integers(0, 0xFFFF), min_size=len(DEFAULT), max_size=len(DEFAULT)))
def test_no_content_of_the_default_map_gives_an_impossible_value(words: list[int]) -> None:
    values = {register: raw_of(register, [word]) for register, word in zip(DEFAULT, words, strict=True)}
    meaning = understand("ups", {row: raw for row, raw in values.items() if row.device is None}, 3, CATALOGUE)
    for key, value in meaning.points.items():
        point = CATALOGUE.point("ups", key)
        assert point is not None
        assert value is not None
        assert point.coerce(value) == value


def test_the_register_that_the_map_names_first_goes_before() -> None:
    lines = "20,,3,u16,,,0.1,,,battery.voltage,,,,,,fine,,M:1\n10,,3,u16,,,,,,battery.voltage,,,,,,coarse,,M:1\n"
    coarse, fine = read_registers("test.csv", HEAD + lines, {})
    assert (coarse.name, fine.name) == ("coarse", "fine")
    assert said((coarse, 54), (fine, 543)).points == {"battery.voltage": 54.3}
    assert said((coarse, 54), (fine, 0)).points == {"battery.voltage": 54}
