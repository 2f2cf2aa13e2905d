"""The Modbus link with maps of all sorts, and with all the profiles there are."""

from collections.abc import Callable

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import SystemClock
from ridethrough.links.base import Credentials, Identity
from ridethrough.links.context import LinkContext
from ridethrough.links.modbus import options as options_module, session as session_module
from ridethrough.links.modbus.options import KINDS
from ridethrough.links.probe import probe
from ridethrough.maps.registers import Profile, RegisterType, load_profile, profile_names, read_bits, read_registers
from tests.bridge.links.conftest import Notebook

from .conftest import Running
from .standin import Standin

HEAD = (
    "address,repeat,functions,type,count,order,scale,absent,device,point,condition,match,values,bits,writable,"
    "name,note,source\n"
)
BITS = "table,mask,condition,note,source\nword,1,on_bypass,,M:1\nword,8,on_battery,,M:2\n"
MODULAR = """\
1,,3 4,u16,,,0.1,,,battery.voltage,,,,,,VBAT,,M:1
2,,3 4,u16,,,,,,ups.mode,,,0=line 1=battery,,,MODE,,M:1
3,,3 4,u32,,low,0.001,,,output.energy,,,,,,KWH,,M:1
10,,3 4,text,4,,,,,ups.model,,,,,,MODEL,,M:1
14,,3 4,text,2,,,,,ups.serial,,,,,,SERIAL,,M:1
20,,3 4,u16,,,,,,battery.voltage.nominal,,,,,,VNOM,,M:1
40,,1,u16,,,,,,,general_fault,,,,,FAULT,,M:1
41,,2 1,u16,,,,,,aux.1,,,,,,INPUT,,M:1
100,3:20,3 4,u16,,,,,ups_module:{m},battery.charge,,,,,,CAP{m},,M:1
101,3:20,3 4,u16,,,,,ups_module:{m},ups.status.word,,,,word,,WORD{m},,M:1
102,3:20,3 4,text,2,,,,ups_module:{m},ups.serial,,,,,,SER{m},,M:1
"""
DEVICE = {1: 543, 2: 1, 3: 0xE240, 4: 1, 10: 0x4142, 11: 0x4344, 12: 0x2020, 13: 0, 14: 0x3132, 15: 0x3300, 20: 48} | {
    40: 1,
    41: 1,
    100: 90,
    101: 8,
    102: 0x5831,
    103: 0,
    **dict.fromkeys(range(120, 124), 0),
    140: 0,
    141: 1,
    142: 0x5833,
    143: 0,
}

type Mapped = Callable[[str], None]


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch) -> Mapped:
    """Put another map into the place of the default one."""

    def put(text: str) -> None:
        rows = read_registers("test.csv", HEAD + text, read_bits("bits.csv", BITS))
        profile = Profile("default", "ups", "Test", "", "M:1", rows)
        monkeypatch.setattr(options_module, "load_profile", lambda _: profile)

    return put


async def test_a_modular_ups(mapped: Mapped, running: Running, notebook: Notebook) -> None:
    mapped(MODULAR)
    async with Standin(DEVICE) as device, running(device.url) as link:
        await notebook.until_poll(2)
        assert notebook.points == {
            "battery.voltage": 54.3,
            "ups.mode": "battery",
            "output.energy": 123.456,
            "aux.1": True,
        }
        assert notebook.conditions == {"general_fault": True}
        assert notebook.rare == {"ups.model": "ABCD", "ups.serial": "123", "battery.voltage.nominal": 48}
        assert notebook.identity == Identity(model="ABCD", serial="123")
        # Module 2 has nothing but zeros: the place is empty.
        assert set(notebook.children) == {("ups_module", "1"), ("ups_module", "3")}
        assert notebook.names["ups_module", "1"] == "UPS module 1"
        first, third = notebook.children["ups_module", "1"], notebook.children["ups_module", "3"]
        assert first.points == {"battery.charge": 90, "ups.status.word": 8}
        assert first.conditions == {"on_bypass": False, "on_battery": True}
        assert first.rare == {"ups.serial": "X1"}
        assert third.points == {"battery.charge": 0, "ups.status.word": 1}
        texts = {value.name: value.text for value in link.raw()}
        assert texts["VBAT"] == "54.3"
        assert texts["MODE"] == "1"
        assert texts["SER3"] == "X3"
        assert {heard.function for heard in device.heard} == {1, 2, 3}


async def test_a_map_with_bits_goes_on_without_those_that_are_refused(
    mapped: Mapped, running: Running, notebook: Notebook
) -> None:
    mapped(MODULAR)
    async with Standin(DEVICE) as device:
        device.script = lambda heard: heard.exception(1) if heard.function == 2 else None
        async with running(device.url):
            await notebook.until_poll(2)
            await notebook.until(lambda: notebook.points.get("aux.1") is True)
    assert {heard.function for heard in device.heard} == {1, 2, 3}
    assert "refused" not in notebook.counters


async def test_the_status_does_not_wait_for_a_long_list_of_modules(
    mapped: Mapped, running: Running, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped(MODULAR)
    monkeypatch.setattr(session_module, "CHILDREN", 0.0)
    async with Standin(DEVICE) as device, running(f"{device.url}&poll=0.1&gap=0") as _:
        await notebook.until_poll()
        device.heard.clear()
        await notebook.until_poll(8)
    assert notebook.children["ups_module", "3"].polls >= 2


async def test_a_child_that_is_gone_lets_its_points_go(
    mapped: Mapped, running: Running, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapped(MODULAR)
    monkeypatch.setattr(session_module, "CHILDREN", 0.0)
    async with Standin(DEVICE) as device, running(device.url):
        await notebook.until_poll(2)
        del device.registers[100]
        await notebook.until(lambda: "battery.charge" in notebook.children["ups_module", "1"].gone)
        await notebook.until_poll(2)
    assert notebook.children["ups_module", "1"].points["ups.status.word"] == 8


@pytest.mark.parametrize("name", profile_names(*KINDS))
async def test_every_profile_can_be_read(name: str) -> None:
    """A device that has every register, each with a small number and the mains with 50 Hz, is read without a fault."""
    profile = load_profile(name)
    catalogue = load_catalogue()
    words = {address: 0 for row in profile.registers for address in range(row.address, row.end)}
    # Conditions stay off, most of all the one that says that the card has lost its UPS.
    words |= {row.address: 1 for row in profile.registers if row.point and not row.bits and not row.condition}
    for row in profile.registers:
        point = None if row.point is None or row.device is not None else catalogue.point(profile.kind, row.point)
        if point is not None and point.quantity.name == "frequency":
            words[row.address] = round(50 / row.scale)
    texts = [row for row in profile.registers if row.type is RegisterType.TEXT]
    words |= {row.address: 0x4142 for row in texts}
    async with Standin(words) as device:
        result = await probe(f"{device.url}&profile={name}", Credentials(), LinkContext.alone(SystemClock()))
    assert result.complete
    assert not {"timeouts", "refused"} & result.counters.keys()
    assert any(row.quality == "good" for row in result.rows) or any(result.conditions)
