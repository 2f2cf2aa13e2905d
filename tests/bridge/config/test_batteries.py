"""The section batteries: of the configuration file: what is taken, and what a person is told when it is wrong."""

from datetime import date, time
from pathlib import Path
import textwrap

import pytest

from ridethrough.config import EXAMPLE, ConfigError, advise, load
from ridethrough.config.battery import (
    Band,
    BatteryConfig,
    BatteryLogConfig,
    BlockConfig,
    BoxConfig,
    ContactConfig,
    ImpedanceLimits,
    LimitsConfig,
    Pair,
    SensorsConfig,
)
from ridethrough.config.inventory import inventory
from ridethrough.config.listing import listed

DEVICES = """\
ups:
  - id: ups-1
    link: megatec:/dev/ttyUSB0
batteries:
"""
LEAST = """\
- id: battery-1
  link: module_bus:/dev/ttyUSB4
  modules: 40
"""
FIRST = DEVICES.count("\n") + LEAST.count("\n") + 1
"""The line of the first key that a test adds."""


def read(folder: Path, more: str = "", least: str = LEAST, after: str = "") -> tuple[BatteryConfig, ...]:
    """Read a configuration with a battery system of which this is said besides."""
    file = folder / "bridge.yaml"
    file.write_text(DEVICES + least + textwrap.indent(textwrap.dedent(more), "  ") + after)
    return load(file).batteries


def one(folder: Path, more: str = "", least: str = LEAST) -> BatteryConfig:
    """Read the one battery system of which this is said besides."""
    (battery,) = read(folder, more, least)
    return battery


def problems(folder: Path, more: str, least: str = LEAST, after: str = "") -> list[tuple[int, str]]:
    """Return what is wrong, by line."""
    with pytest.raises(ConfigError) as caught:
        read(folder, more, least, after)
    return [(problem.line, problem.message) for problem in caught.value.problems]


def the_problem(folder: Path, more: str, least: str = LEAST) -> tuple[int, str]:
    """Return the one thing that is wrong."""
    (problem,) = problems(folder, more, least)
    return problem


# What is taken


def test_a_battery_system_needs_an_id_a_link_and_its_modules_and_grants_nothing(tmp_path: Path) -> None:
    battery = one(tmp_path)
    assert (battery.key, battery.name, battery.kind, battery.modules) == (
        "battery-1",
        "battery-1",
        "battery_system",
        40,
    )
    assert battery.allow == frozenset()
    assert battery.block == BlockConfig()
    assert battery.limits == LimitsConfig()
    assert battery.equalising.enabled is False
    assert battery.runaway.breakers == "none"


def test_everything_that_the_example_says_is_read(tmp_path: Path) -> None:
    text = EXAMPLE.partition("# batteries:\n")[2]
    block = "\n".join(line[2:] for line in text.splitlines())
    file = tmp_path / "bridge.yaml"
    file.write_text(DEVICES + block)
    (battery,) = load(file).batteries
    assert battery.ups == "ups-1"
    assert battery.block == BlockConfig(12.0, 7.0, "lead", 1, "Acme", "12-7", date(2025, 3, 1))
    assert [(string.name, string.modules) for string in battery.strings] == [("Left", 32), ("Right", 32)]
    assert battery.sensors == SensorsConfig("each")
    assert battery.boxes == (
        BoxConfig(
            {
                1: ContactConfig("Door", normally_closed=True),
                2: ContactConfig(breaker=1),
                3: ContactConfig(breaker=2),
            },
            {4: ContactConfig("Fan")},
        ),
    )
    assert battery.runaway.temperature_difference == 15.0
    assert battery.breakers == ((1, 1), (1, 2))
    assert battery.buzzer == (1, 3)
    assert battery.limits == LimitsConfig(
        voltage_difference=1.0,
        string_voltage=Band(340.0, 350.0, 460.0, 470.0),
        impedance=ImpedanceLimits(Pair(25.0, 50.0), Band(None, 10.0, 40.0, 50.0), Pair(25.0, 50.0)),
        string_charge=Pair(60.0, 40.0),
        module_charge=Pair(60.0, 40.0),
        current=Band(-120.0, -100.0, 5.0, 10.0),
        discharge_deviation=Pair(10.0, 20.0),
        charge_deviation=Pair(1.0, 2.0),
        discharges=100,
    )
    assert (battery.impedance.first, battery.impedance.every) == (time(8, 0), 12.0)
    assert battery.log == BatteryLogConfig()
    assert battery.allow == {"battery", "beeper", "breaker", "equalizing", "output", "programmer"}
    assert [threshold.point for threshold in battery.thresholds] == ["battery.voltage"]


def test_modules_are_divided_evenly_among_the_strings_as_in_the_example_of_the_manual(tmp_path: Path) -> None:
    """M:6611: 72 batteries divided by 6 strings."""
    battery = one(tmp_path, "strings: 6", LEAST.replace("40", "72"))
    assert [(string.name, string.modules) for string in battery.strings] == [(f"String {n}", 12) for n in range(1, 7)]


def test_strings_may_have_modules_of_their_own(tmp_path: Path) -> None:
    least = LEAST.replace("  modules: 40\n", "")
    battery = one(tmp_path, "strings:\n  - {name: A, modules: 10}\n  - {name: B, modules: 12}", least)
    assert [(string.name, string.modules) for string in battery.strings] == [("A", 10), ("B", 12)]


def test_limits_can_be_off_and_those_of_temperatures_keep_what_is_left_out(tmp_path: Path) -> None:
    limits = one(tmp_path, "limits: {temperature: {low_alarm: off, high_alarm: 40 °C}, discharges: off}").limits
    assert limits.temperature == Band(None, 10.0, 32.0, 40.0)
    assert limits.discharges is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [("7 Ah", 7.0), ("7", 7.0), ("0.5Ah", 0.5)],
)
def test_capacities_have_units(tmp_path: Path, written: str, meant: float) -> None:
    assert one(tmp_path, f"block: {{capacity: {written}}}").block.capacity == meant


def test_impedances_and_temperatures_may_be_written_without_special_characters(tmp_path: Path) -> None:
    battery = one(tmp_path, "impedance: {offset: 1 mOhm}\nlimits: {temperature: {high_alarm: 38 C}}\nlog: {size: 1 GB}")
    assert battery.impedance.offset == 1.0
    assert battery.limits.temperature.high_alarm == 38.0
    assert battery.log.size == 1000.0


@pytest.mark.parametrize("voltage", ["2 V", "2.4 V"])
def test_two_nicd_cells_share_a_module_whether_its_maker_says_2_or_2_4_volt(tmp_path: Path, voltage: str) -> None:
    """M:5478."""
    block = one(tmp_path, f"block: {{voltage: {voltage}, chemistry: nicd, cells: 2}}").block
    assert (block.voltage, block.cells) == (2.4, 2)


def test_breakers_are_counted_on_from_the_first_output_of_the_first_box(tmp_path: Path) -> None:
    """M:6268: the fifth breaker is on the second box, output 1."""
    battery = one(tmp_path, "strings: 5\nboxes: 2\nrunaway: {temperature_difference: 10 K, breakers: each}")
    assert battery.breakers == ((1, 1), (1, 2), (1, 3), (1, 4), (2, 1))
    single = one(tmp_path, "strings: 5\nboxes: 1\nrunaway: {temperature_difference: 10 K, breakers: one}")
    assert single.breakers == ((1, 1),)


def test_contact_of_a_breaker_may_be_normally_closed_and_outputs_beside_it_have_names(tmp_path: Path) -> None:
    battery = one(
        tmp_path,
        """\
        boxes:
          - outputs: {1: {normally_closed: yes}, 4: Fan}
        runaway: {temperature_difference: 10 K, breakers: one}
        relay: {box: 1, output: 2}
        """,
    )
    assert battery.boxes[0].outputs[1].normally_closed
    assert battery.relay == (1, 2)


def test_input_may_be_the_contact_of_the_breaker_of_all_strings(tmp_path: Path) -> None:
    assert one(tmp_path, "boxes: [{inputs: {1: {breaker: all}}}]").boxes[0].inputs[1].breaker == 0


def test_log_may_be_kept_in_postgresql_whose_address_is_never_shown(tmp_path: Path) -> None:
    battery = one(tmp_path, "log: {database: 'postgresql://a:secret@db/battery'}")
    assert battery.log.database == "postgresql://a:secret@db/battery"
    assert "secret" not in repr(battery)


# What is not


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("block: {voltage: 5 V}", "batteries.block.voltage: must be the nominal voltage of a block"),
        ("block: {capacity: 7 kg}", "has the unit kg; must be a number from 0.1 to 10000 Ah; units: Ah"),
        ("block: {chemistry: zinc}", "permitted: lead, nicd, lfp, other"),
        ("block: {cells: 2}", "batteries.block.cells: 2 are only for NiCd"),
        ("block: {cells: 2, chemistry: nicd, voltage: 12 V}", "with voltage: 2.4 V"),
        ("strings: 3", "batteries.modules: cannot be divided evenly among 3 strings"),
        ("strings: 17", "batteries.strings: must be a whole number from 1 to 16"),
        ("strings: []", "batteries.strings: must be 1 to 16 strings, not 0"),
        ("strings: [{name: A, modules: 4}, B]", "batteries.strings: must all have modules:, or none"),
        ("strings: [{name: A, modules: 4}]", "batteries.modules: is not 4, as many as the strings have"),
        ("sensors: two", "permitted: none, one, each"),
        ("sensors: {count: one, multiplier: 0}", "must be a number above 0, at most 100"),
        ("sensors: {count: each, multiplier: 2}", "is only for one sensor for all strings"),
        ("boxes: 5", "must be a whole number from 0 to 4"),
        ("boxes: [{}, {}, {}, {}, {}]", "batteries.boxes: must be at most 4 boxes, not 5"),
        ("boxes: [{outputs: {5: Fan}}]", "permitted: 1, 2, 3, 4"),
        ("boxes: [{inputs: {1: {breaker: 2}}}]", "there is no string 2; strings: 1 to 1, or all"),
        ("boxes: [{inputs: {1: {breaker: some}}}]", "must be the number of a string, 1 to 16, or all"),
        ("boxes: [{outputs: {1: {breaker: all}}}]", "the key 'breaker' is unknown"),
        ("impedance: {first: eight}", "batteries.impedance.first: must be a time of day such as 08:00"),
        ("log: {database: sqlite.db}", "must be an address such as postgresql://"),
        ("limits: {voltage: {low_alarm: 10 V}}", "missing: low_warning, high_warning, high_alarm"),
        (
            "limits: {temperature: {high_warning: 37 °C}}",
            "high_warning (37 °C) must be below high_alarm (36 °C), so that",
        ),
        ("limits: {temperature: {low_alarm: 12 °C}}", "low_alarm (12 °C) must be below low_warning (10 °C), so that"),
        ("limits: {string_voltage: {low_warning: 9 V, high_warning: 8 V}}", "must be below high_warning (8 V)"),
        ("limits: {temperature: {low_alarm: warm}}", "units: °C, C; or off"),
        ("limits: {string_charge: {warning: 20 %, alarm: 30 %}}", "must be below the warning's 20 %"),
        ("limits: {impedance: {dynamic: {warning: 50 %, alarm: 25 %}}}", "must be above the warning's 50 %"),
        ("limits: {impedance: {dynamic: off}}", "must have at least one of dynamic, static and baseline"),
        ("limits: {module_charge: {}}", "must have warning, alarm or both"),
        ("limits: {current: {high_alarm: 9 A}}", "batteries.limits.current: needs current sensors"),
        ("limits: {charge_deviation: {alarm: 9 A}}", "compares strings: it needs at least two"),
        ("limits: {voltage: {low_alarm: 100 V, low_warning: off, high_warning: off, high_alarm: off}}", "of one block"),
        ("equalising: {minimum: 14 V, maximum: 13 V}", "must be below the maximum, 13 V"),
        ("equalising: {maximum: 140 V}", "must be of one block of 12 V, from 4.8 to 20.4 V, not 140 V"),
        ("discharge: {source: current}", "current needs current sensors"),
        ("discharge: {source: ups}", "ups needs the UPS of these batteries"),
        ("discharge: {discharging: 1 A}", "must be negative"),
        ("discharge: {charging: -1 A}", "must be above 0 A"),
        ("runaway: {breakers: one}", "needs temperature_difference:"),
        ("runaway: {temperature_difference: 10 K, breakers: one}", "1 breakers need 1 of the boxes, 4 outputs each"),
        ("runaway: {temperature_difference: 10 K, current: 1 A}", "needs a sensor for each string"),
        ("buzzer: {box: 1, output: 1}", "batteries.buzzer.box: there is no box 1"),
        ("ups: ups-2", "batteries.ups: the UPS 'ups-2' is unknown, did you mean ups-1?"),
        ("allow: [shutdown]", "permitted: battery, beeper, breaker, equalizing, output, programmer"),
        ("power: 3 kVA", "the key 'power' is unknown"),
        ("thresholds: [{point: ups.load, above: {alarm: 3}}]", "a Battery system has no point 'ups.load'"),
    ],
)
def test_what_cannot_be_is_said_with_its_line_and_what_is_permitted(tmp_path: Path, more: str, message: str) -> None:
    found = problems(tmp_path, more)
    assert any(message in said for _, said in found), found
    assert {line for line, _ in found} <= {FIRST, FIRST - 1}


def test_a_system_has_512_modules_at_most(tmp_path: Path) -> None:
    assert one(tmp_path, "", LEAST.replace("40", "512")).modules == 512
    assert "must be a whole number from 1 to 512" in the_problem(tmp_path, "", LEAST.replace("40", "513"))[1]
    least = LEAST.replace("  modules: 40\n", "")
    strings = "strings: [{name: A, modules: 500}, {name: B, modules: 13}]"
    assert "have 513 modules together" in the_problem(tmp_path, strings, least)[1]
    assert "must be given" in the_problem(tmp_path, "strings: 2", least)[1]


def test_outputs_are_for_one_thing_each(tmp_path: Path) -> None:
    """M:6262: those of breakers are reserved and cannot be named."""
    runaway = "boxes: 1\nrunaway: {temperature_difference: 10 K, breakers: one}\n"
    assert (
        "output 1 of box 1 is reserved for breaker 1"
        in the_problem(tmp_path, f"{runaway}buzzer: {{box: 1, output: 1}}")[1]
    )
    both = "boxes: 1\nbuzzer: {box: 1, output: 1}\nrelay: {box: 1, output: 1}"
    assert "reserved for the buzzer" in the_problem(tmp_path, both)[1]
    line, message = the_problem(
        tmp_path,
        """\
        runaway: {temperature_difference: 10 K, breakers: one}
        boxes:
          - outputs:
              1: Fan
        """,
    )
    assert (line, message) == (FIRST + 3, "batteries.boxes.outputs.1: is reserved for breaker 1, and named after it")


def test_ids_are_unique_over_all_devices(tmp_path: Path) -> None:
    found = problems(tmp_path, "", LEAST.replace("battery-1", "ups-1"))
    assert found == [(5, "batteries.id: ups-1 is taken by the device of line 2")]


def test_links_of_batteries_are_checked_like_all(tmp_path: Path) -> None:
    file = tmp_path / "bridge.yaml"
    file.write_text(DEVICES + LEAST)

    def kind(url: str) -> str:
        return "ups" if "module_bus" in url else "battery_system"

    with pytest.raises(ConfigError) as caught:
        load(file, kind)
    messages = [problem.message for problem in caught.value.problems]
    assert messages == [
        "ups.link: megatec:/dev/ttyUSB0 is a link to a battery system, which belongs under batteries:",
        "batteries.link: module_bus:/dev/ttyUSB4 is a link to a UPS, which belongs under ups:",
    ]
    with pytest.raises(ConfigError, match=r"batteries\.link: in use"):
        load(file, check_links=lambda _devices: [("battery-1", "in use")])


def test_a_breaker_that_opens_without_power_is_permitted_but_warned_of(tmp_path: Path) -> None:
    """M:6263."""
    file = tmp_path / "bridge.yaml"
    more = """\
  runaway: {temperature_difference: 10 K, breakers: one}
  boxes:
    - outputs:
        1: {normally_closed: yes}
        2: {normally_closed: yes}
"""
    file.write_text(DEVICES + LEAST + more)
    (warning,) = advise(file, load(file))
    assert warning.line == FIRST + 3
    assert "the breaker at output 1 of box 1 opens whenever that box has no power" in warning.message


# What jobs may name


def test_jobs_hang_on_events_of_strings_and_modules_that_there_are(tmp_path: Path) -> None:
    jobs = """\
jobs:
  events:
    - {id: a, on: {device: battery-1/battery_module-40, condition: module.voltage_high}, do: {log: "{module.voltage}"}}
    - {id: b, on: {device: battery-1/battery_string-1, condition: thermal_runaway}, do: {log: "{event}"}}
    - {id: c, on: {device: battery-1/*, condition: module.lost}, do: {log: "{battery-1:battery.voltage}"}}
    - {id: e, on: {device: battery-1/battery_module-*, condition: module.impedance_high}, do: {log: "{id}"}}
    - id: d
      on: {device: battery-1, condition: general_alarm}
      do: {command: {device: battery-1, command: equalizing.pause}}
"""
    file = tmp_path / "bridge.yaml"
    file.write_text(DEVICES + LEAST + "  allow: equalizing\n" + jobs)
    config = load(file)
    rows = [(event.device, event.condition) for event in listed(config)]
    assert ("battery-1/battery_module-40", "module.voltage_high") in rows
    assert ("battery-1/battery_module-*", "module.lost") in rows
    assert [event.device for event in listed(config) if any(job.key == "e" for job in event.jobs)] == [
        "battery-1/battery_module-40",
        "battery-1/battery_module-*",
    ]
    assert not any("io_box" in device for device, _ in inventory(config).matches("battery-1/*"))


@pytest.mark.parametrize(
    "part",
    [
        "battery_module-41",
        "battery_module-0",
        "battery_module-07",
        "battery_string-2",
        "io_box-1",
        "outlet-1",
        "io_box-*",
    ],
)
def test_parts_that_there_are_not_cannot_be_named(tmp_path: Path, part: str) -> None:
    jobs = (
        f"jobs:\n  events:\n    - {{id: a, on: {{device: battery-1/{part}, condition: module.lost}}, do: {{log: x}}}}\n"
    )
    found = problems(tmp_path, "", after=jobs)
    message = f"battery-1 has no {part}; write a part as in battery-1/battery_string-1"
    assert any(message in said for _, said in found), found
