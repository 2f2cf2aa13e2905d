"""The register maps that come with the bridge, held against the manual they are taken from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
import re

import pytest

from ridethrough.catalogue import Point, load_catalogue
from ridethrough.maps.registers import Device, Register, load_profile, profile_names
from tests.strangers import RECORDINGS

# What is in each map's section of the manual: first line, last line.
SECTIONS = {
    "abb": (8439, 8851),
    "masterguard": (8852, 8914),
    "centiel": (8915, 9077),
    "rittal": (9078, 9212),
    "netminder_lt_md": (9213, 9266),
    "netminder_eon": (9267, 9330),
    "netminder_other": (9331, 9394),
    "aeg_protect_3m20": (9395, 9455),
    "aeg_protect_331": (9456, 9503),
    "aeg_protect_233": (9504, 9561),
    "powertronix": (9562, 9606),
    "socomec": (9607, 9681),
    "mhd_modular": (9682, 9800),
    "borri": (9801, 9860),
    "invt_rm": (9861, 10311),
    "slc_adapt_x": (10312, 10763),
    "m600": (10764, 10918),
    "inform": (10919, 10991),
    "transfer_switch": (10992, 11008),
    "sts_tumel": (11009, 11046),
    "trimod": (11047, 11109),
    "everexceed": (11110, 11128),
    "bacs": (11154, 11511),
}
ABB_MODULES = {30000 + 100 * module + register for module in range(1, 31) for register in range(67)}

MANUAL = RECORDINGS.parent / "reference" / "004_b438365b07bca2cb.txt"

maps = pytest.mark.parametrize("name", sorted(SECTIONS))


@cache
def registers(name: str) -> tuple[Register, ...]:
    """Give the rows of a map."""
    return load_profile(name).registers


def point_of(name: str, register: Register) -> Point | None:
    """Find the point of a row in the catalogue."""
    kind = load_profile(name).kind if register.device is None else register.device.kind
    return None if register.point is None else load_catalogue().point(kind, register.point)


def points(name: str) -> list[tuple[Register, Point]]:
    """Give every row that has a point, with it."""
    return [(row, point) for row in registers(name) if (point := point_of(name, row)) is not None]


# Without the manual


def test_every_file_is_a_profile_and_every_profile_is_of_a_section() -> None:
    folder = resources.files("ridethrough.maps") / "modbus"
    files = {file.name.removesuffix(".csv") for file in folder.iterdir()} - {"profiles", "bits"}
    assert files == SECTIONS.keys() | {"default"}
    assert profile_names().keys() == files


@maps
def test_every_point_and_condition_is_known(name: str) -> None:
    catalogue = load_catalogue()
    kind_of_all = load_profile(name).kind
    for row in registers(name):
        kind = kind_of_all if row.device is None else row.device.kind
        point = None if row.point is None else catalogue.point(kind, row.point)
        assert row.point is None or point is not None, (row.address, row.point)
        for condition in {row.condition, *(bit.condition for bit in row.bits)} - {None}:
            assert condition is not None
            assert catalogue.condition(kind, condition) is not None, (row.address, condition)
        # Both only where they say the same: a contact, and that it is closed.
        assert point is None or row.condition is None or point.quantity.type == "bool", row.address


@maps
def test_an_address_stands_once_for_each_function(name: str) -> None:
    claimed = [
        (function, address)
        for row in registers(name)
        for function in row.functions
        for address in range(row.address, row.end)
    ]
    assert len(claimed) == len(set(claimed))


@maps
def test_a_row_is_printed_in_the_section_of_its_map(name: str) -> None:
    first, last = SECTIONS[name]
    for row in registers(name):
        assert first < int(row.source.removeprefix("M:")) <= last, row.address
    assert load_profile(name).source == f"M:{first}"


# What the printed name says of the quantity; the first that fits counts.
QUANTITIES: tuple[tuple[str, set[str]], ...] = (
    (r"Battery Condition|Status|SMTCOM|SMTHCOM|sensor|Analog|Statusbit|Alarm|STATUS|Identif|AEESer", set()),
    (r"kilowatt-hour", {"energy"}),
    (r"BATTCAP|Battery capacity|PERCBATT", {"charge"}),
    (
        r"in kilowatt|\bin KW\b|\bkW\b|\[KW\]|Watts|\bin W\b|\[W\]|OUTACTPWR|0\.1kW|WATT",
        {"real_power", "apparent_power"},
    ),
    (r"kVA|\bVA\b|EX_OUT_VA", {"apparent_power"}),
    (r"Time on Battery|Seconds on Battery", {"duration"}),
    (r"AUTONOMTIME|Autonomy Time|remain time", {"runtime"}),
    (r"power factor|\bPF_[ABC]", {"power_factor"}),
    (r"Load \(%\)|Output Load|Load percent|Outpower Phase|Output Power (L|Phase )\d", {"ratio", "apparent_power"}),
    (r"FREQ|frequency", {"frequency"}),
    (r"Balancing in %", {"ratio"}),
    (r"volt", {"voltage", "cell_voltage"}),
    (r"Impedance", {"impedance"}),
    (r"curr|SOLABATTC|SOLAWROC|charch", {"current"}),
    (r"temp", {"temperature"}),
    (r"AUX", {"flag"}),
    (r"Phase Balance", {"ratio"}),
    (r"Powerfail Counter", {"total"}),
)


@maps
def test_a_row_is_of_the_quantity_that_its_name_says(name: str) -> None:
    told = 0
    for row, point in points(name):
        allowed = next((allowed for said, allowed in QUANTITIES if re.search(said, row.name, re.IGNORECASE)), set())
        if allowed:
            told += 1
            assert point.quantity.name in allowed, (row.address, row.name, row.point)
    assert told > 0 or name == "transfer_switch"


# What the printed name or note says of the scale; the catalogue has V, A, Hz, W, VA and s.
SCALES: tuple[tuple[str, str, float], ...] = (
    ("real_power", r"\*10\.0.*\[K", 100),
    ("apparent_power", r"\*10\.0.*\[K", 100),
    ("real_power", r"0\.1 kW", 100),
    ("apparent_power", r"0\.1 kVA", 100),
    ("real_power", r"/1000|KW\b|Kilowatt", 1000),
    ("apparent_power", r"KVA|KW\b", 1000),
    ("runtime", r"0\.1 minutes", 6),
    ("runtime", r"minutes", 60),
    ("current", r"\*5\.0", 0.1),
    ("", r"\* ?10\b|x 10\b", 0.1),
)
COEFFICIENTS: Mapping[str, Mapping[str, float]] = {
    # Printed in a column of their own: M:9096-9125, M:10766-10827, M:10546-10560.
    "rittal": {"power_factor": 0.01},
    "m600": dict.fromkeys(("frequency", "power_factor"), 0.01)
    | dict.fromkeys(("voltage", "current", "temperature", "charge", "ratio"), 0.1),
    "slc_adapt_x": {},
    # Printed once for all strings and modules: M:11168-11178, M:11447-11458.
    "bacs": {"current": 0.01, "voltage": 0.1, "cell_voltage": 0.001, "impedance": 0.01, "temperature": 0.5},
}


@maps
def test_a_row_is_scaled_as_printed(name: str) -> None:
    for row, point in points(name):
        quantity = point.quantity.name
        said = f"{row.name} {row.note}"
        scale = next(
            (scale for of, words, scale in SCALES if of in ("", quantity) and re.search(words, said, re.IGNORECASE)),
            COEFFICIENTS.get(name, {}).get(quantity, 1.0),
        )
        if (
            name == "rittal"
            and row.functions == (4,)
            and quantity not in ("power_factor", "real_power", "apparent_power")
        ):
            scale = 0.1
        if name == "rittal" and row.functions == (4,) and quantity in ("real_power", "apparent_power"):
            scale = 100  # 0.1 kVA and 0.1 kW: M:9110-9111
        if name == "slc_adapt_x" and row.address in {166, 167, 168, 178, 179, 180}:
            scale = 0.1
        assert row.scale == scale, (row.address, said, row.point)


@pytest.mark.parametrize(
    ("address", "device", "point"),
    [
        (1003, None, "battery.strings"),
        (1010, ("battery_string", "1"), "string.current"),
        (1056, ("battery_string", "10"), "string.voltage"),
        (1058, ("battery_string", "10"), "string.current.ac"),
        (1060, ("battery_module", "1"), "module.temperature"),
        (2709, ("battery_module", "330"), "module.equalizing"),
        (2710, ("battery_string", "11"), "string.current"),
        (2738, ("battery_string", "16"), "string.current.ac"),
        (2740, ("battery_module", "331"), "module.temperature"),
        (3647, ("battery_module", "512"), "module.impedance"),
        (3669, ("io_box", "1"), "output.4"),
        (3678, ("io_box", "4"), "output.1"),
        (4004, ("battery_module", "1"), "module.charge"),
        (4515, ("battery_module", "512"), "module.charge"),
    ],
)
def test_the_edges_of_the_map_of_a_battery_system(address: int, device: tuple[str, str] | None, point: str) -> None:
    (row,) = [row for row in registers("bacs") if row.address == address]
    assert row.device == (None if device is None else Device(*device))
    assert row.point == point
    assert (row.offset == -39) == (point == "module.temperature")


def test_the_words_of_a_battery_system_are_bits() -> None:
    words = {row.address: row for row in registers("bacs") if row.bits}
    assert [len(words[address].bits) for address in (1000, 1001, 1002, 1005)] == [16, 16, 16, 14]
    modules = [row for address, row in words.items() if address > 1005]
    assert [row.device for row in modules] == [Device("battery_module", str(number)) for number in range(1, 513)]
    assert {row.bits for row in modules} == {words[1002].bits}
    # An input's alarm, not its level: M:11371.
    (alarm,) = [row for row in registers("bacs") if row.address == 3665]
    assert (alarm.device, alarm.condition, alarm.point) == (Device("io_box", "4"), "input_alarm.4", None)


@maps
def test_a_row_is_of_the_phase_that_its_name_says(name: str) -> None:
    for row in registers(name):
        said = re.search(r"Phase ([123ABC])\b|\bL([123])\b|\(l([123])-n\)|\bPF_([ABC])|\b([RST]) phase", row.name)
        if row.point is None or said is None or "intended" in row.note:
            continue
        phase = {letter: str("123ABC123RST".index(letter) % 3 + 1) for letter in "123ABCRST"}[
            next(group for group in said.groups() if group)
        ]
        if phase == "1" and row.point.endswith(".frequency") and not re.search(r"\.L\d", row.point):
            continue  # what the phases have in common goes by the first
        assert f".L{phase}." in row.point, (row.address, row.name, row.point)


ALARMS = {
    "battery bad": "battery_bad",
    "on battery": "on_battery",
    "battery low": "battery_low",
    "low battery": "battery_low",
    "battery depleted": "battery_depleted",
    "depleted battery": "battery_depleted",
    "overtemperature": "temperature_bad",
    "over temperature": "temperature_bad",
    "temperature bad": "temperature_bad",
    "input bad": "input_bad",
    "output bad": "output_bad",
    "output overload": "overload",
    "on bypass": "on_bypass",
    "bypass bad": "bypass_bad",
    "output off as requested": "output_off_requested",
    "ouput off as requested": "output_off_requested",
    "ups off as requested": "ups_off_requested",
    "charger failed": "charger_failed",
    "ups output off": "output_off",
    "ups system off": "system_off",
    "fan failure": "fan_failure",
    "fuse failure": "fuse_failure",
    "general fault": "general_fault",
    "diagnose test failed": "test_failed",
    "diagnosis test failed": "test_failed",
    "awaiting power": "awaiting_power",
    "shutdown pending": "shutdown_pending",
    "shutdown imminent": "shutdown_imminent",
    "test in progress": "test_in_progress",
}


@maps
def test_an_alarm_is_the_condition_that_its_name_says(name: str) -> None:
    for row in registers(name):
        wording = re.sub(r"^\(?SNMPALARMS\S* |^\(CBSER\S* |^Alarm:? ", "", re.sub(r"^\(\S+ Alarm:? ", "", row.name))
        condition = ALARMS.get(wording.lower().rstrip("."))
        if condition is None or row.condition is None:
            continue
        assert row.condition == condition, (row.address, row.name)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        *((name, 115) for name in ("abb", "masterguard", "centiel", "socomec", "inform", "mhd_modular", "invt_rm")),
        ("slc_adapt_x", 115),
        ("rittal", 115),
        ("netminder_lt_md", 109),
        ("netminder_other", 123),
    ],
)
def test_the_24_alarms_stand_in_the_order_of_rfc_1628(name: str, first: int) -> None:
    by_number = {row.rfc1628_alarm: row.key for row in load_catalogue().conditions if row.rfc1628_alarm}
    rows = {row.address: row for row in registers(name) if row.condition is not None}
    for number in range(1, 25):
        row = rows.get(first + number - 1)
        assert (row.condition if row else None) == by_number[number], number


def test_the_modules_of_abb_have_what_the_whole_has() -> None:
    whole = {row.address: row for row in registers("abb") if row.address < 30000}
    modules: dict[str, dict[int, Register]] = {}
    for row in registers("abb"):
        if row.device is not None and row.device.kind == "ups_module":
            modules.setdefault(row.device.number, {})[row.address] = row
        else:
            # A module that has something never speaks for the whole UPS, least of all when it is lost.
            assert row.address < 30000
    assert modules.keys() == {str(number) for number in range(1, 31)}
    for number, rows in modules.items():
        for address, row in rows.items():
            like = whole[address - 30000 - (int(number) - 1) * 100]
            if row.point is None and row.condition is None:
                # The catalogue has no such point of a module.
                continue
            assert (row.point, row.condition, row.scale, row.type) == (
                like.point,
                like.condition,
                like.scale,
                like.type,
            )


def test_flags_of_a_transfer_switch_that_say_the_reverse() -> None:
    rows = {row.address: row for row in registers("sts_tumel")}
    # Source 1 is sound when 1 (M:11038), a transfer is possible when 0 (M:11043).
    assert rows[127].condition == "source_a_failure"
    assert rows[127].match.holds(0)
    assert not rows[127].match.holds(1)
    assert rows[132].condition == "transfer_impossible"
    assert rows[132].match.holds(1)
    assert not rows[132].match.holds(0)


@pytest.mark.parametrize(
    ("name", "address", "number", "conditions"),
    [
        ("borri", 99, 0, set()),  # M:9809: mains, battery, bypass
        ("borri", 99, 1, {"on_battery"}),
        ("borri", 99, 2, {"on_bypass"}),
        ("invt_rm", 207, 0, set()),  # M:10136: none, UPS, bypass
        ("invt_rm", 207, 1, {"output_active"}),
        ("invt_rm", 207, 2, {"output_active", "on_bypass"}),
        ("everexceed", 106, 0x2105, {"on_bypass", "output_active", "overload", "general_fault"}),  # M:11125-11128
    ],
)
def test_numbers_that_are_read_by_their_bits(name: str, address: int, number: int, conditions: set[str]) -> None:
    (row,) = [row for row in registers(name) if row.address == address]
    assert {bit.condition for bit in row.bits if number & bit.mask} == conditions


# With the manual


@dataclass(frozen=True)
class Printed:
    """A row of a table in the manual."""

    line: int
    signed: bool | None
    """None where no type is printed."""


_TYPED = re.compile(r"\s*(\d{1,6})\s+([US])\b")
_ALONE = re.compile(r"\s*(\d{1,6})\s*")
_TYPE_ALONE = re.compile(r"\s*([US])(\s+3 ?/ ?4\b.*)?\s*")
_UNTYPED = {
    "powertronix": re.compile(r"\s*(\d{3}) .*(?:x|not supported) *"),
    "m600": re.compile(r"\s*(\d{1,3}) (?:\S.*)?(?:Unsigned int|\bint 0|Reserved).*"),
}
_PMC = re.compile(r"\s*(\d{1,2}) (bit|word) ([124])\b.*")


@pytest.fixture(scope="module")
def manual() -> list[str]:
    """Give the manual's lines, the first at 1."""
    if not MANUAL.exists():
        pytest.skip(f"no {MANUAL.name} in {MANUAL.parent}")
    return ["", *MANUAL.read_text(encoding="utf-8").split("\n")]


def printed_rows(manual: list[str], name: str) -> dict[int, Printed]:
    """Find the registers that the section of a map prints, by address."""
    first, last = SECTIONS[name]
    found = {}
    for number in range(first + 1, last + 1):
        line, following = manual[number], manual[number + 1]
        if (untyped := _UNTYPED.get(name)) is not None:
            if row := untyped.fullmatch(line):
                found[int(row[1])] = Printed(number, None)
        elif row := _TYPED.match(line):
            found.setdefault(int(row[1]), Printed(number, row[2] == "S"))
        elif (row := _ALONE.fullmatch(line)) and (type_ := _TYPE_ALONE.fullmatch(following)):
            found.setdefault(int(row[1]), Printed(number, type_[1] == "S"))
    return found


# Rows that the manual only hints at: `continue until`, ranges, what stands in other columns.
NOT_PRINTED: Mapping[str, set[int]] = {
    "abb": ABB_MODULES,
    "rittal": set(range(31)),
    "bacs": {*range(1010, 1060), *range(1060, 3650), *range(4004, 4516)},
}
# How many rows a section prints, counted by hand from first and last row.
HOW_MANY = {"masterguard": 53, "trimod": 61, "m600": 133, "powertronix": 43, "invt_rm": 137, "mhd_modular": 109}


@maps
def test_every_printed_row_is_in_the_map(manual: list[str], name: str) -> None:
    printed = printed_rows(manual, name)
    rows = {row.address: row for row in registers(name) if row.functions not in {(1,), (2,)}}
    if name == "rittal":
        rows = {address: row for address, row in rows.items() if row.functions == (4, 3)}
    assert not printed.keys() - rows.keys()
    assert not rows.keys() - printed.keys() - NOT_PRINTED.get(name, set())
    if name in HOW_MANY:
        assert len(printed) == HOW_MANY[name]
    for address, row in printed.items():
        if row.signed is not None and name != "bacs":
            assert rows[address].type.signed is row.signed, address


@maps
def test_a_row_stands_where_its_source_says(manual: list[str], name: str) -> None:
    printed = printed_rows(manual, name)
    for row in registers(name):
        line = int(row.source.removeprefix("M:"))
        in_one_row = name in ("bacs", "rittal") or row.name == "Reserved" or row.address in ABB_MODULES
        if row.address in printed and not in_one_row:
            assert line == printed[row.address].line, row.address
        assert manual[line].strip(), row.address


@maps
def test_the_name_is_the_printed_one(manual: list[str], name: str) -> None:
    last = SECTIONS[name][1]
    for row in registers(name):
        if name == "bacs":
            continue
        line = int(row.source.removeprefix("M:"))
        if row.address in ABB_MODULES and "continue" in manual[line]:
            continue
        text = "".join("".join(manual[line : min(line + 14, last + 1)]).split())
        for word in re.sub(r" \(module \d+\)$", "", row.name).replace('"', "").split():
            assert word in text.replace("“", "").replace("”", ""), (row.address, word)


def test_the_inputs_outputs_and_measurements_of_the_pmc_extension(manual: list[str]) -> None:
    first, last = SECTIONS["rittal"]
    printed = {
        (int(row[3]), int(row[1])): number
        for number in range(first, last)
        if (row := _PMC.fullmatch(manual[number])) is not None
    }
    rows = {(row.functions[0], row.address): row for row in registers("rittal") if row.functions != (4, 3)}
    assert len(printed) == 11 + 27 + 5
    for key, number in printed.items():
        assert rows[key].source == f"M:{number}"
    assert rows.keys() - printed.keys() == {*((2, n) for n in range(11, 31)), *((1, n) for n in range(5, 11))}
    assert all(rows[1, number].writable for number in range(5))
