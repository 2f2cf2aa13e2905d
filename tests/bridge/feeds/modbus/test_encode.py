"""What a register holds, for every register of every map, and by the rules where nothing is known."""

from dataclasses import replace
import math
import struct

from hypothesis import given, strategies as st
import pytest

from ridethrough.catalogue import Point, load_catalogue
from ridethrough.feeds.modbus.encode import Field, absent, field_of, packed, raw_of
from ridethrough.links.modbus.decode import raw_of as read_raw, value_of
from ridethrough.maps.registers import Profile, Register, load_profile, profile_names, read_registers
from ridethrough.site import Value

CATALOGUE = load_catalogue()
HEAD = (
    "address,repeat,functions,type,count,order,scale,absent,device,point,condition,match,values,bits,writable,"
    "name,note,source\n"
)
PROFILES = [pytest.param(load_profile(name), id=name) for name in profile_names()]


def register(row: str) -> Register:
    """Make a register of a row: `type,count,order,scale,absent,device,point,condition,match,values`."""
    (made,) = read_registers("test", f"{HEAD}1,,3,{row},,,,,\n", {})
    return made


def a_field(row: str) -> Field:
    return field_of(register(row), "ups", CATALOGUE)


def point_of(profile: Profile, row: Register) -> Point | None:
    kind = profile.kind if row.device is None else row.device.kind
    return None if row.point is None else CATALOGUE.point(kind, row.point)


def read(row: Register, content: bytes) -> int | float | str | None:
    """Read a register as the link does."""
    return read_raw(row, struct.unpack(f">{row.count}H", content))


def values(row: Register, point: Point) -> st.SearchStrategy[Value]:
    """Give what a point may be, at times beyond what the register can hold."""
    if row.values:
        return st.sampled_from([point.coerce(option) for option in row.values.values()])
    match point.quantity.type:
        case "bool":
            return st.booleans()
        case "text":
            return st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), max_size=2 * row.count)
        case "int":
            return st.integers(-70000, 70000)
        case _:
            return st.floats(-70000 * row.scale + row.offset, 70000 * row.scale + row.offset)


@pytest.mark.parametrize("profile", PROFILES)
@given(data=st.data())
def test_what_is_served_is_what_a_link_reads(profile: Profile, data: st.DataObject) -> None:
    rows = [row for row in profile.registers if point_of(profile, row) is not None]
    if not rows:
        assert profile.name == "transfer_switch"
        return
    row = data.draw(st.sampled_from(rows), "register")
    point = point_of(profile, row)
    assert point is not None
    value = data.draw(values(row, point), "value")
    raw = raw_of(field_of(row, profile.kind, CATALOGUE), value)
    content = packed(row, raw)
    assert len(content) == 2 * row.count
    if isinstance(value, str) and not row.values:
        kept = value.encode()[: 2 * row.count].decode(errors="ignore").strip()
        assert read(row, content) == (kept or None)
        return
    if raw is None:
        assert isinstance(value, int | float)
        low = -(1 << (16 * row.count - 1)) if row.type.signed else 0
        assert not low <= (value - row.offset) / row.scale <= low + (1 << 16 * row.count) - 1.5
        assert content == packed(row, absent(row))
        return
    found = read(row, content)
    assert found is not None
    if row.values or isinstance(value, bool):
        assert value_of(row, found, point) == value
    else:
        assert isinstance(value, int | float)
        assert isinstance(found, int)
        nearest = math.floor((value - row.offset) / row.scale + 0.5)
        # A number that is the map's word for no value moves by one step.
        steps = 1.500001 if nearest in row.absent else 0.500001
        assert abs(found * row.scale + row.offset - value) <= row.scale * steps


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_not_known_is_no_measurement(profile: Profile) -> None:
    for row in profile.registers:
        content = packed(row, None)
        assert len(content) == 2 * row.count
        found = read(row, content)
        if row.absent or row.type == "text":
            assert found is None
        else:
            assert found == (-9999 if row.type.signed else (1 << 16 * row.count) - 1)


@pytest.mark.parametrize(
    ("row", "value", "content"),
    [
        pytest.param("u16,,,,,,output.voltage,,,", 229.5, "00e6", id="rounded half up"),
        pytest.param("u16,,,0.1,,,output.voltage,,,", 229.5, "08f7", id="scaled"),
        pytest.param("s16,,,,,,ups.temperature,,,", -5, "fffb", id="below zero"),
        pytest.param("u16,,,,,,ups.temperature,,,", -5, "ffff", id="below zero, without a sign: not available"),
        pytest.param("u16,,,,,,ups.power,,,", 65534, "fffe", id="the most"),
        pytest.param("u16,,,,,,ups.power,,,", 70000, "ffff", id="too much: not available, not clamped"),
        pytest.param("s16,,,,,,ups.power,,,", 40000, "d8f1", id="too much with a sign"),
        pytest.param("u32,,,,,,ups.power,,,", 70000, "0001 1170", id="two words"),
        pytest.param("u32,,low,,,,ups.power,,,", 70000, "1170 0001", id="two words, the low one first"),
        pytest.param("s32,,,,,,ups.temperature,,,", -2, "ffff fffe", id="two words below zero"),
        pytest.param("s32,,,,-1 -9999,,ups.temperature,,,", 1e12, "ffff d8f1", id="two words, too much"),
        pytest.param("f32,,,,,,output.voltage,,,", 230.5, "4366 8000", id="float"),
        pytest.param("f32,,low,,,,output.voltage,,,", 230.5, "8000 4366", id="float, the low word first"),
        pytest.param("f32,,,1e-300,,,output.voltage,,,", 230.5, "7fc0 0000", id="float, too much"),
        pytest.param("s16,,,0.01,-1 -9999,,battery.current,,,", -0.01, "0000", id="the map's word for no value"),
        pytest.param("s16,,,0.01,-1 -9999,,battery.current,,,", -99.99, "d8f2", id="its other word for no value"),
        pytest.param("u16,,,,0xFFFF 0,,ups.power,,,", 0, "0001", id="a map to which 0 is no value"),
        pytest.param("text,2,,,,,ups.model,,,", "ABCDEF", "4142 4344", id="text, cut"),
        pytest.param("text,2,,,,,ups.model,,,", "ABCé", "4142 4300", id="text, not cut within a character"),
        pytest.param("text,2,,,,,ups.model,,,", "A", "4100 0000", id="text, filled up"),
        pytest.param("u16,,,,,,ups.mode,,,0=line 2=bypass", "bypass", "0002", id="enum"),
        pytest.param("u16,,,,,,ups.mode,,,0=line 2=bypass", "eco", "ffff", id="enum, not in the map"),
        pytest.param("u16,,,,,,aux.1,,&0x08,", True, "0008", id="flag with a mask"),
        pytest.param("u16,,,,,,aux.1,,&0x08,", False, "0000", id="flag with a mask, not set"),
        pytest.param("u16,,,,,,aux.1,,=3,", True, "0003", id="flag that is a number"),
        pytest.param("u16,,,,,,aux.1,,=0,", True, "0000", id="flag that is zero"),
        pytest.param("u16,,,,,,aux.1,,=0,", False, "0001", id="flag that is not zero"),
        pytest.param("u16,,,,,,ups.model,,,", "X9", "ffff", id="a text where a number belongs"),
    ],
)
def test_values(row: str, value: Value, content: str) -> None:
    one = a_field(row)
    assert packed(one.register, raw_of(one, value)) == bytes.fromhex(content)


def test_an_unknown_float_is_no_number() -> None:
    made = register("f32,,,,,,output.voltage,,,")
    (number,) = struct.unpack(">f", packed(made, None))
    assert math.isnan(number)


def test_an_absent_that_the_type_cannot_hold_is_not_taken() -> None:
    assert absent(replace(register("u16,,,,,,ups.power,,,"), absent=frozenset({-1}))) == 65535
    assert absent(replace(register("s16,,,,,,ups.power,,,"), absent=frozenset({-32768, 5}))) == -32768
