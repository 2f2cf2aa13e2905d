"""Register maps: the files that come with the bridge, and what the reader makes of rows."""

from collections.abc import Iterator

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.maps.registers import (
    Device,
    MapError,
    Match,
    Register,
    RegisterType,
    WordOrder,
    load_profile,
    overlapping,
    profile_names,
    read_bits,
    read_registers,
)

HEAD = (
    "address,repeat,functions,type,count,order,scale,absent,device,point,condition,match,values,bits,writable,"
    "name,note,source\n"
)
BITS = read_bits("bits.csv", "table,mask,condition,note,source\nword,0x0001,on_bypass,,M:1\nword,8,on_battery,,M:2\n")


def rows(text: str) -> tuple[Register, ...]:
    """Read rows as a map file has them."""
    return read_registers("test.csv", HEAD + text, BITS)


def all_rows() -> Iterator[tuple[str, str, Register]]:
    """Give every row of every map: where it stands, the kind of the device it belongs to, the row."""
    for name in profile_names():
        profile = load_profile(name)
        for register in profile.registers:
            kind = profile.kind if register.device is None else register.device.kind
            yield f"{name} {register.address} {register.name}", kind, register


# The files


def test_every_row_names_only_what_the_catalogue_knows() -> None:
    catalogue = load_catalogue()
    unknown = []
    for where, kind, register in all_rows():
        catalogue.kind(kind)
        if register.point is not None and catalogue.point(kind, register.point) is None:
            unknown.append(f"{where}: point {register.point} of {kind}")
        conditions = {bit.condition for bit in register.bits} | {register.condition} - {None}
        unknown += [
            f"{where}: condition {key} of {kind}"
            for key in conditions
            if key is not None and catalogue.condition(kind, key) is None
        ]
    assert not unknown


def test_every_value_of_an_enum_is_one_of_its_options() -> None:
    catalogue = load_catalogue()
    for where, kind, register in all_rows():
        point = None if register.point is None else catalogue.point(kind, register.point)
        if point is not None and point.options:
            assert register.values, f"{where}: {register.point} needs values"
            assert {point.coerce(option) for option in register.values.values()} <= set(point.options), where


def test_no_two_registers_claim_one_address() -> None:
    for name in profile_names():
        assert overlapping(load_profile(name).registers) == [], name


def test_every_row_says_what_it_is_called_and_where_it_is_printed() -> None:
    for where, _, register in all_rows():
        assert register.name, where
        assert register.source, where


def test_a_profile_is_of_a_kind_that_can_be_configured() -> None:
    for name, title in profile_names().items():
        # A battery system is only served; links/modbus refuses its map.
        assert load_profile(name).kind in {"ups", "transfer_switch", "battery_system"}
        assert title


def test_the_status_bits_are_those_of_the_catalogue() -> None:
    (status,) = [register for register in load_profile("default").registers if register.bits]
    assert status.address == 109
    by_mask = {row.key: row.upsman_bit for row in load_catalogue().conditions if row.upsman_bit}
    assert {bit.condition: bit.mask for bit in status.bits} == by_mask


def test_the_default_map_is_complete() -> None:
    addresses = {register.address for register in load_profile("default").registers}
    assert addresses == {*range(97, 151), *range(50000, 50080)}  # manual M:8240-8438


def test_a_profile_that_does_not_exist() -> None:
    with pytest.raises(KeyError):
        load_profile("nobody")


# The reader


def test_a_row_with_everything() -> None:
    (register,) = rows(
        "7,,4 3,s32,,low,0.1,-1 0x7fffffff,sensor:2,sensor.value,,&0x08,0=line 1=battery,word,yes,V,why,M:3\n"
    )
    assert register.functions == (4, 3)
    assert (register.type, register.count, register.end) == (RegisterType.S32, 2, 9)
    assert register.order is WordOrder.LOW
    assert register.scale == 0.1
    assert register.absent == {-1, 0x7FFFFFFF}
    assert register.device == Device("sensor", "2")
    assert (register.point, register.condition) == ("sensor.value", None)
    assert register.match == Match(mask=8)
    assert register.values == {0: "line", 1: "battery"}
    assert [(bit.mask, bit.condition) for bit in register.bits] == [(1, "on_bypass"), (8, "on_battery")]
    assert register.writable
    assert not register.is_bit
    assert register.type.signed


def test_a_range_is_a_row_for_each_register() -> None:
    first, second, third = rows("50-52,,2,u16,,,,,io_box:1,input.{n},,,,,,Input {n},,M:3\n")
    assert [first.address, second.address, third.address] == [50, 51, 52]
    assert third.point == "input.3"
    assert third.name == "Input 3"
    assert first.is_bit


def test_a_repeated_row_counts_its_device() -> None:
    both = rows("100,2:50,3,u16,,,,,ups_module:{m},battery.charge,,,,,,CAP,,M:3\n")
    assert [(row.address, row.device) for row in both] == [
        (100, Device("ups_module", "1")),
        (150, Device("ups_module", "2")),
    ]


def test_a_repeated_row_may_count_on_from_another() -> None:
    first, second = rows("2740,2:5:331,3,u16,,,,,battery_module:{m},module.voltage,,,,,,MODULE_{m}_VOLT,,M:3\n")
    assert (first.address, first.device, first.name) == (2740, Device("battery_module", "331"), "MODULE_331_VOLT")
    assert (second.address, second.device) == (2745, Device("battery_module", "332"))


def test_what_is_added_after_scaling_stands_behind_the_scale() -> None:
    plain, moved = rows("7,,3,s16,,,0.1,,,,,,,,,A,,M:3\n8,,3,s16,,,0.5 -39,,,,,,,,,B,,M:3\n")
    assert (plain.scale, plain.offset) == (0.1, 0)
    assert (moved.scale, moved.offset) == (0.5, -39)


def test_names_of_profiles_by_the_kind_of_their_devices() -> None:
    assert profile_names("battery_system") == {"bacs": "BACS, battery monitoring"}
    assert profile_names("transfer_switch").keys() == {"sts_tumel", "transfer_switch"}
    assert profile_names("ups", "transfer_switch", "battery_system") == profile_names()


@pytest.mark.parametrize(
    ("match", "raw", "holds"),
    [
        ("", 2, True),
        ("", 0, False),
        ("0", 0, True),
        ("0", 1, False),
        ("=2", 2, True),
        ("=2", 3, False),
        ("&0x08", 12, True),
        ("&0x08", 7, False),
    ],
)
def test_when_a_condition_holds(match: str, raw: int, holds: bool) -> None:
    (register,) = rows(f"7,,3,u16,,,,,,,on_battery,{match},,,,A,,M:3\n")
    assert register.match.holds(raw) is holds


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("x,,3,u16,,,,,,,,,,,,A,,M:3", "line 2: invalid literal"),
        ("7,,5,u16,,,,,,,,,,,,A,,M:3", "functions must be some of"),
        ("7,,,u16,,,,,,,,,,,,A,,M:3", "functions must be some of"),
        ("7,,3,u64,,,,,,,,,,,,A,,M:3", "u64"),
        ("7,,3,text,,,,,,,,,,,,A,,M:3", "text cannot take no registers"),
        ("7,,3,u32,3,,,,,,,,,,,A,,M:3", "u32 cannot take 3 registers"),
        ("65535,,3,u32,,,,,,,,,,,,A,,M:3", "there is no address 65535"),
        ("500063,,3,u16,,,,,,,,,,,,A,,M:3", "there is no address 500063"),
        ("7,,3,u16,,,0,,,,,,,,,A,,M:3", "scale must be"),
        ("7,,3,u16,,,1 nan,,,,,,,,,A,,M:3", "scale must be"),
        ("7,,3,u16,,,1 2 3,,,,,,,,,A,,M:3", "scale must be"),
        ("7,2:5:1:9,3,u16,,,,,,,,,,,,A,,M:3", "repeat is times:stride"),
        ("7,2,3,u16,,,,,,,,,,,,A,,M:3", "not enough values"),
        ("7,,3,u16,,,,,sensor,,,,,,,A,,M:3", "kind:number"),
        ("7,,3,u16,,,,,,,,,,nothing,,A,,M:3", "no table nothing"),
        ("7,,3,u16,,,,,,,,,,,maybe,A,,M:3", "writable must be"),
        ("7,,3,u16,,middle,,,,,,,,,,A,,M:3", "middle"),
        ("7,,3,u16,,,,,,,,,,,,A,M:3", "17 cells instead of 18"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(row: str, complaint: str) -> None:
    with pytest.raises(MapError, match=f"test.csv, line 2: .*{complaint}|test.csv, {complaint}"):
        rows(row + "\n")


def test_comments_and_blank_lines_do_not_count() -> None:
    with pytest.raises(MapError, match="line 4"):
        rows("# the status\n\n7,,3,u99,,,,,,,,,,,,A,,M:3\n")


def test_a_wrong_heading_is_said() -> None:
    with pytest.raises(MapError, match="the first line must be address,"):
        read_registers("test.csv", "", {})
    with pytest.raises(MapError, match=r"bits.csv, line 2"):
        read_bits("bits.csv", "table,mask,condition,note,source\nword,one,on_bypass,,M:1\n")


def test_the_same_word_may_be_shown_twice_but_not_overlap() -> None:
    same = rows("7,,3,u16,,,,,,,,,,,,A,,M:3\n7,,3,s16,,,,,,,,,,,,B,,M:3\n")
    assert overlapping(same) == []
    crossed = rows("7,,3,u32,,,,,,,,,,,,A,,M:3\n8,,3,u16,,,,,,,,,,,,B,,M:3\n")
    assert overlapping(crossed) == [crossed]
    apart = rows("7,,3,u32,,,,,,,,,,,,A,,M:3\n8,,1,u16,,,,,,,,,,,,B,,M:3\n")
    assert overlapping(apart) == []
