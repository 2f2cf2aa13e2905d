"""Images: what exists, what follows the site, and what is shown of devices that are lost, partly there or one-phase."""

from collections.abc import Sequence
from dataclasses import replace
import struct

import pytest

from ridethrough.feeds import Dependents
from ridethrough.feeds.directory import Subject
from ridethrough.feeds.modbus.image import COILS, HOLDING, INPUTS, Area, Image
from ridethrough.maps.registers import Profile, load_profile, profile_names, read_bits, read_registers
from ridethrough.site import Change, Device
from tests.bridge.feeds.rig import World

from .test_encode import HEAD

STATUS, COMMUNICATIONS_LOST = 109, 134
MAINS, OUTAGE, LOST = 4, 12, 0x4000


def image(world: World, profile: Profile | str = "default", key: str = "ups-1") -> Image:
    """Make an image that follows the site."""
    made = Image(
        world.context.directory,
        Subject(world.context.directory, key),
        load_profile(profile) if isinstance(profile, str) else profile,
    )
    world.site.observe(made.follow)
    return made


def words(made: Image, address: int, count: int = 1) -> Sequence[int]:
    content = made.registers(address, count)
    assert content is not None
    return struct.unpack(f">{count}H", content)


def word(made: Image, address: int) -> int:
    return words(made, address)[0]


def profile_of(*rows: str, kind: str = "ups", bits: str = "") -> Profile:
    """Make a map of rows: `address,repeat,functions,type,count,order,scale,absent,device,point,condition,match,…`."""
    tables = read_bits("bits", f"table,mask,condition,note,source\n{bits}")
    registers = read_registers("test", HEAD + "\n".join(f"{row},,," for row in rows), tables)
    return replace(load_profile("default"), name="test", kind=kind, registers=registers)


@pytest.mark.parametrize("name", profile_names())
def test_no_map_says_different_things_by_functions_3_and_4(name: str) -> None:
    registers = [row for row in load_profile(name).registers if not row.is_bit]
    taken: dict[int, tuple[int, int]] = {}
    for row in registers:
        for address in range(row.address, row.end):
            assert taken.setdefault(address, (row.address, row.count)) == (row.address, row.count)


def test_addresses_in_runs() -> None:
    area = Area([(5, 6), (1, 3), (3, 4), (10, 12)], 2)
    area.write(2, b"\x02\x02")
    area.write(10, b"\x0a\x0a\x0b\x0b")
    assert area.read(1, 3) == b"\x00\x00\x02\x02\x00\x00"
    assert area.read(11, 1) == b"\x0b\x0b"
    for address, count in ((0, 1), (0, 2), (3, 2), (4, 1), (4, 2), (6, 1), (9, 2), (11, 2), (12, 1), (65535, 1)):
        assert area.read(address, count) is None
    assert Area([], 1).read(0, 1) is None


def test_a_change_is_drawn_when_it_comes(world: World) -> None:
    ups = world.ups()
    made = image(world)
    assert word(made, STATUS) == MAINS
    world.post(ups, {"battery.charge": 61.7, "battery.runtime": 600}, {"on_battery": True})
    assert (word(made, 103), word(made, 108), word(made, STATUS), word(made, 116)) == (62, 10, OUTAGE, 1)
    assert made.bits(COILS, 116, 1) == made.bits(INPUTS, 116, 1) == b"\x01"


def test_only_what_a_change_is_about_is_drawn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ups = world.ups()
    made = image(world)
    drawn: list[int] = []
    touched = Dependents.touched

    def counting(dependents: Dependents[object], change: Change) -> list[object]:
        found = touched(dependents, change)
        drawn.append(len(found))
        return found

    monkeypatch.setattr(Dependents, "touched", counting)
    world.post(ups, {"battery.charge": 50})
    other = world.device("ups-2")
    world.post(other, {"battery.charge": 50})
    assert drawn == [1, 0, 0]
    assert word(made, 103) == 50


def test_a_lost_device_shows_nothing_good(world: World) -> None:
    ups = world.ups()
    made = image(world)
    world.post(ups, conditions={"on_battery": True})
    world.lose(ups)
    assert words(made, 97, 7) == (65535,) * 7
    assert words(made, 104, 5) == (65536 - 9999,) * 5
    assert word(made, STATUS) == LOST
    assert words(made, 115, 24) == (*(0,) * 19, 1, *(0,) * 4)
    assert made.bits(COILS, COMMUNICATIONS_LOST, 1) == b"\x01"
    world.post(ups, {"battery.charge": 99, "ups.status.word": 4}, {"communications_lost": False, "output_active": True})
    assert (word(made, 103), word(made, STATUS), word(made, COMMUNICATIONS_LOST)) == (99, MAINS, 0)


def test_a_device_that_comes_goes_and_comes(world: World) -> None:
    made = image(world)
    assert (word(made, 103), word(made, STATUS), word(made, COMMUNICATIONS_LOST)) == (65535, LOST, 1)
    ups = world.ups()
    assert (word(made, 103), word(made, STATUS), word(made, COMMUNICATIONS_LOST)) == (100, MAINS, 0)
    world.site.remove(ups.id)
    assert (word(made, 103), word(made, STATUS), word(made, COMMUNICATIONS_LOST)) == (65535, LOST, 1)
    world.ups()
    assert word(made, 103) == 100


def test_sensors_and_contacts_come_and_go(world: World) -> None:
    ups = world.ups()
    made = image(world)
    assert (word(made, 144), word(made, 50000)) == (65535, 65535)
    sensor, box = world.part(ups, "sensor", "2"), world.part(ups, "io_box", "1")
    world.post(sensor, {"sensor.value": 21.4})
    world.post(box, {"input.1": True, "input.64": False})
    assert (word(made, 144), word(made, 50073)) == (21, 21)
    assert (word(made, 50000), word(made, 50001), word(made, 50063)) == (1, 65535, 0)
    assert made.bits(COILS, 50000, 2) == b"\x01"
    world.site.remove(sensor.id)
    assert word(made, 144) == 65535


def test_a_device_of_one_phase_has_no_voltage_on_the_others(world: World) -> None:
    ups = world.ups()
    made = image(world)
    assert words(made, 97, 3) == (229, 0, 0)
    assert words(made, 104, 3) == (230, 0, 0)
    world.post(ups, {"output.voltage": None})
    assert words(made, 97, 3) == (65535, 65535, 65535)


@pytest.mark.parametrize(
    ("points", "shown"),
    [
        pytest.param(
            {"output.L1.voltage": 231, "output.L2.voltage": 232, "output.L3.voltage": 233}, (231, 232, 233), id="all"
        ),
        pytest.param({"output.L1-N.voltage": 231, "output.L2-N.voltage": 232}, (231, 232, 65535), id="one not known"),
        pytest.param({"output.L1.voltage": 231, "output.phases": 3}, (231, 65535, 65535), id="two not known"),
        pytest.param({"output.voltage": 400, "output.L2.voltage": 231}, (65535, 231, 65535), id="the first not known"),
    ],
)
def test_a_phase_that_is_there_but_not_known(
    world: World, points: dict[str, float | int | bool | str | None], shown: tuple[int, ...]
) -> None:
    ups = world.device("ups-1")
    made = image(world)
    world.post(ups, points)
    assert words(made, 97, 3) == shown


def test_a_contact_is_known_by_its_point_else_by_its_condition(world: World) -> None:
    ups = world.ups()
    made = image(world)
    assert word(made, 139) == 65535
    world.post(ups, conditions={"aux_input.1": True})
    assert word(made, 139) == 1
    world.post(ups, {"aux.1": False})
    assert word(made, 139) == 0


@pytest.mark.parametrize(
    ("conditions", "shown"),
    [
        pytest.param({}, MAINS, id="on mains"),
        pytest.param({"on_battery": True}, 12, id="power failure"),
        pytest.param({"on_battery": True, "battery_low": True}, 28, id="power failure and battery low"),
        pytest.param({"test_in_progress": True}, 68, id="battery test"),
        pytest.param({"on_bypass": True}, 5, id="bypass"),
        pytest.param({"shutdown_imminent": True}, 6, id="shutdown, one of two conditions of a bit"),
        pytest.param(
            {"on_battery": True, "temperature_bad": True, "battery_low": True, "output_active": False}, 56, id="56"
        ),
    ],
)
def test_the_status_words_of_the_manual(world: World, conditions: dict[str, bool], shown: int) -> None:
    """M:1794, M:8254, M:11148."""
    ups = world.ups()
    made = image(world)
    world.post(ups, conditions=conditions)
    assert word(made, STATUS) == shown


def test_a_number_that_is_read_by_its_bits(world: World) -> None:
    """1 the UPS and 2 the bypass feeds the load (M:10136)."""
    ups = world.ups()
    made = image(world, "invt_rm")
    assert word(made, 207) == 1
    world.post(ups, conditions={"on_bypass": True})
    assert word(made, 207) == 2
    world.post(ups, conditions={"on_bypass": False, "output_active": False})
    assert word(made, 207) == 0


def test_an_enum_with_bits_is_told_by_the_bits_where_it_has_no_word(world: World) -> None:
    ups = world.ups()
    made = image(world, "borri")
    assert word(made, 99) == 0
    world.post(ups, {"ups.mode": "eco"}, {"on_bypass": True})
    assert word(made, 99) == 2
    world.lose(ups)
    assert word(made, 99) == 65535


def test_a_map_with_bits_of_its_own(world: World) -> None:
    ups = world.ups()
    world.post(ups, {"battery.charger.status": "charging"}, {"overload": True})
    made = image(world, "rittal")
    assert made.bits(INPUTS, 0, 31) == bytes.fromhex("20 04 00 00")
    assert made.bits(COILS, 0, 11) == b"\x00\x00"
    assert made.bits(COILS, 109, 1) is None
    assert made.bits(INPUTS, 31, 1) is None


def test_one_word_shown_several_times(world: World) -> None:
    ups = world.ups()
    head, tail = "5,,3,u16,,,,,", ",,,"
    made = image(
        world,
        profile_of(
            f"{head},,on_battery,&0x01{tail}",
            f"{head},,battery_low,&0x10{tail}",
            f"{head},,on_bypass,&0x02{tail}",
            f"6,,3,u16,,,,,,ups.power,,,{tail[1:]}",
            f"6,,3,u16,,,,,,,on_battery,{tail}",
            "7,,3,u16,,,,,,ups.power,,,,,",
            "7,,3,u16,,,,,,ups.realpower,,,,,",
        ),
    )
    world.post(ups, conditions={"on_battery": True, "battery_low": True})
    assert (word(made, 5), word(made, 6), word(made, 7)) == (0x11, 1, 65535)
    world.post(ups, {"ups.power": 700})
    assert (word(made, 6), word(made, 7)) == (700, 700)
    world.post(ups, {"ups.power": None, "ups.realpower": 600})
    assert (word(made, 6), word(made, 7)) == (1, 600)


def test_the_battery_map_has_its_addresses_and_its_word_for_nothing(world: World) -> None:
    world.device("battery-1", "battery_system")
    made = image(world, "bacs", "battery-1")
    assert words(made, 1010, 4) == (65536 - 9999,) * 4
    assert made.registers(1006, 1) is None
    assert made.registers(4004, 125) is not None
    assert made.areas[HOLDING].read(4001, 2) is None


def test_many_devices_of_a_map_share_its_layout(world: World) -> None:
    devices: list[Device] = [world.ups(f"ups-{number}") for number in range(1, 4)]
    made = [image(world, "abb", device.key) for device in devices]
    world.post(devices[1], {"battery.charge": 33})
    assert [word(one, 103) for one in made] == [100, 33, 100]


def test_a_battery_system_is_served_by_its_map(world: World) -> None:
    system = world.device("battery-1", "battery_system")
    made = image(world, "bacs", "battery-1")
    assert word(made, 2740) == word(made, 2741) == 0x10000 - 9999
    string = world.part(system, "battery_string", "11")
    world.post(string, {"string.current": -12.34})
    module = world.part(system, "battery_module", "331")
    world.post(module, {"module.temperature": 25.0, "module.voltage": 12.825, "module.impedance": 43.72})
    world.post(module, {"module.charge": 88.0}, {"module.voltage_high": True})
    # The worked examples of M:11447-11457, at the addresses of the 331st module and the 11th string.
    assert (word(made, 2740), word(made, 2741), word(made, 2742)) == (128, 12825, 4372)
    assert word(made, 2743) & 0x0004
    assert word(made, 4004 + 330) == 88
    assert word(made, 2710) == 0x10000 - 1234
    world.lanes[module.id].lost()
    assert word(made, 2741) == 0x10000 - 9999
