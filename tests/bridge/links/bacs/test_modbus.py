"""A web manager read by Modbus, against registers that were worked out from the manual alone."""

import asyncio

import pytest

from ridethrough.battery.layout import Layout
from ridethrough.clock import SystemClock
from ridethrough.links.base import CommandError, Credentials, LinkError
from ridethrough.links.context import LinkContext
from ridethrough.links.modbus import battery as battery_module
from ridethrough.links.probe import probe
from ridethrough.links.runner import LinkState
from ridethrough.links.schemes import check_link, open_link
from ridethrough.site import Quality
from tests.bridge.links.conftest import Notebook
from tests.bridge.links.modbus.conftest import Running, run_link
from tests.bridge.links.modbus.standin import Standin
from tests.bridge.links.watched import watched

from .manager import Manager, charge, empty, fleet, module, string


def of_module(notebook: Notebook, number: int) -> Notebook:
    return notebook.children["battery_module", str(number)]


async def until_details(notebook: Notebook, number: int) -> None:
    """Wait until the charge of a module has been told."""
    async with asyncio.timeout(10):
        while ("battery_module", str(number)) not in notebook.children or not of_module(notebook, number).rare:
            await asyncio.sleep(0.01)


async def test_the_edges_of_the_map_are_where_the_manual_has_them(running: Running, notebook: Notebook) -> None:
    registers = fleet(512, 16)
    for number, code in ((1, 0x7F), (330, 0x81), (331, 0x00), (512, 0xFF)):
        registers[module(number)] = code
    registers[module(330) + 3] = 0x0004
    registers[module(331) + 3] = 0x8008
    assert (module(330), module(331), module(512), string(16), charge(512)) == (2705, 2740, 3645, 2735, 4515)
    async with Manager(registers) as manager, running(manager.url):
        await until_details(notebook, 512)
    assert notebook.points["battery.modules"] == 512
    assert notebook.points["battery.strings"] == 16
    assert sum(kind == "battery_module" for kind, _ in notebook.children) == 512
    temperatures = {
        number: of_module(notebook, number).points["module.temperature"] for number in (1, 2, 330, 331, 512)
    }
    assert temperatures == {1: 24.5, 2: 25.0, 330: 25.5, 331: -39.0, 512: 88.5}
    for number in (1, 330, 331, 512):
        points = of_module(notebook, number).points
        assert points["module.voltage"] == pytest.approx(12 + number / 1000)
        assert points["module.impedance"] == pytest.approx(4 + number / 100)
        assert points["module.equalizing"] == number % 101
        rare = of_module(notebook, number).rare
        assert rare["module.charge"] == 100 - number % 50
        assert (rare["module.string"], rare["module.position"]) == ((number - 1) // 32 + 1, (number - 1) % 32 + 1)
    raised = {
        number: {key for key, active in of_module(notebook, number).conditions.items() if active}
        for number in (1, 330, 331, 512)
    }
    assert raised == {
        1: set(),
        330: {"module.voltage_high"},
        331: {"module.voltage_low", "module.incompatible"},
        512: set(),
    }
    for number in (1, 10, 11, 16):
        points = notebook.children["battery_string", str(number)].points
        assert points["string.current"] == pytest.approx(-1 - number / 100)
        assert points["string.current.ac"] == pytest.approx(0.1 + number / 100)
    assert notebook.children["battery_string", "10"].points["string.voltage"] == 541.0
    assert notebook.children["battery_string", "10"].points["string.voltage.average"] == 13.51
    # Strings 11 to 16 have no register for their voltages (M:11293).
    assert "string.voltage" not in notebook.children["battery_string", "11"].points
    assert not any(kind == "io_box" for kind, _ in notebook.children)


async def test_a_whole_reading_takes_about_thirty_requests(running: Running, notebook: Notebook) -> None:
    async with Manager(fleet(512, 16)) as manager, running(manager.url):
        await until_details(notebook, 512)
        # The first is for the counts alone.
        asked = [span for span in manager.requests() if span != (1000, 1005)]
        whole = {span for span in asked if span[0] >= 1006 or span[1] > 1005}
        assert 27 <= len(whole) <= 34
        assert {count for _, _, count in manager.asked if count > 125} == set()


async def test_the_state_does_not_wait_for_all_blocks_of_a_slow_manager(running: Running, notebook: Notebook) -> None:
    async with Manager(fleet(512, 16)) as manager, running(manager.url):
        manager.delay = 0.02
        await until_details(notebook, 512)
        asked = [address for _, address, _ in manager.asked]
        blocks = [place for place, address in enumerate(asked) if 1060 <= address < 3650]
        during = asked[blocks[0] : blocks[-1]]
        assert 3 <= during.count(1000) <= 12
        # It gets as much time for other things as a reading has taken.
        assert asked.count(1060) == 1
        manager.delay = 0.0
        await notebook.until_poll(2)


async def test_only_what_is_there_is_asked_for(running: Running, notebook: Notebook) -> None:
    async with Manager(fleet(24, 2)) as manager, running(manager.url):
        await until_details(notebook, 24)
        spans = list(manager.requests())
    assert {number for kind, number in notebook.children if kind == "battery_module"} == {
        str(number) for number in range(1, 25)
    }
    assert {number for kind, number in notebook.children if kind == "battery_string"} == {"1", "2"}
    asked = {address for first, last in spans for address in range(first, last + 1)}
    # Modules 25 to 512, strings 11 to 16 and the charges of the others have no business on the line.
    assert not asked & set(range(module(25), 3650))
    assert not asked & set(range(charge(25), 4516))


async def test_what_is_not_supported_is_not_invented(running: Running, notebook: Notebook) -> None:
    registers = fleet(3, 1)
    registers |= {module(1): -1, module(1) + 1: -9999, module(1) + 2: -1, module(1) + 3: -1, module(1) + 4: -9999}
    registers |= {string(1): -9999, string(1) + 1: -1, charge(1): -1, 1001: -1, 1002: -9999}
    registers[module(2) + 2] = 0  # no block has 0 mΩ: it was not measured yet
    async with Manager(registers) as manager, running(manager.url):
        await until_details(notebook, 3)
    points = of_module(notebook, 1).points
    assert {key: points[key] for key in points if key.startswith("module.")} == dict.fromkeys(
        ("module.temperature", "module.voltage", "module.impedance", "module.equalizing")
    )
    assert of_module(notebook, 1).conditions == {}
    assert of_module(notebook, 1).rare["module.charge"] is None
    assert of_module(notebook, 2).points["module.impedance"] is None
    assert of_module(notebook, 2).points["module.voltage"] == 12.002
    one = notebook.children["battery_string", "1"].points
    assert (one["string.current"], one["string.voltage"], one["string.voltage.average"]) == (None, None, 13.501)
    assert "general_alarm" not in notebook.conditions
    assert notebook.conditions["monitoring"] is True


@pytest.mark.parametrize(
    ("address", "word", "condition"),
    [
        (1000, 0x0008, "discharging"),
        (1000, 0x0100, "system_failure"),
        (1000, 0x8000, "module.polling"),
        (1001, 0x0001, "general_alarm"),
        (1001, 0x0008, "thermal_runaway"),
        (1001, 0x8000, "current_sensor_lost"),
        (1002, 0x0002, "module.lost"),
        (1002, 0x8000, "module.incompatible"),
        (1005, 0x0010, "equalizing_deactivated"),
        (1005, 0x2000, "string.charge_low_warning"),
    ],
)
async def test_a_flag_is_a_condition(
    address: int, word: int, condition: str, running: Running, notebook: Notebook
) -> None:
    async with (
        Manager(fleet(1, 1) | {1000: 0x0001, address: word | (address == 1000)}) as manager,
        running(manager.url),
    ):
        await notebook.until_poll(2)
    assert {key for key, active in notebook.conditions.items() if active} == {"monitoring", condition}


async def test_inputs_and_outputs_of_boxes_that_are_there(running: Running, notebook: Notebook) -> None:
    registers = fleet(1, 1)
    for offset in range(4):
        registers[3650 + 4 + offset] = int(offset == 3)  # box 2, input 4
        registers[3666 + 4 + offset] = int(offset == 0)  # box 2, output 1
        registers[3662 + offset] = registers[3678 + offset] = 0  # box 4, at rest
    async with Manager(registers) as manager, running(manager.url):
        await notebook.until(lambda: ("io_box", "4") in notebook.children)
    boxes = {number: box for (kind, number), box in notebook.children.items() if kind == "io_box"}
    assert set(boxes) == {"2", "4"}
    assert boxes["2"].conditions == {
        "input_alarm.1": False,
        "input_alarm.2": False,
        "input_alarm.3": False,
        "input_alarm.4": True,
    }
    assert [boxes["2"].points[f"output.{number}"] for number in range(1, 5)] == [True, False, False, False]
    assert set(boxes["4"].conditions.values()) == {False}


async def test_boxes_that_are_zero_throughout_are_there_when_configured(
    notebook: Notebook, context: LinkContext
) -> None:
    registers = fleet(2, 1) | dict.fromkeys(range(3650, 3682), 0)
    told = LinkContext(context.clock, context.ports, layout=Layout.of([2], boxes=1))
    async with Manager(registers) as manager, run_link(manager.url, notebook, told):
        await notebook.until_poll(2)
    assert {number for kind, number in notebook.children if kind == "io_box"} == {"1"}


async def test_a_module_that_is_lost_shows_no_old_values(running: Running, notebook: Notebook, quick: None) -> None:
    async with Manager(fleet(2, 1)) as manager, running(manager.url):
        await until_details(notebook, 2)
        of_module(notebook, 1).points.clear()
        manager.registers[module(1) + 3] = 0x0002
        await notebook.until(lambda: of_module(notebook, 1).conditions.get("module.lost"))
        of_module(notebook, 1).points.clear()
        await notebook.until_poll(2)
        assert "module.voltage" not in of_module(notebook, 1).points
        manager.registers[module(1) + 3] = 0
        await notebook.until(lambda: "module.voltage" in of_module(notebook, 1).points)


async def test_strings_of_different_lengths_are_placed_by_the_configuration(
    notebook: Notebook, context: LinkContext
) -> None:
    told = LinkContext(context.clock, context.ports, layout=Layout.of([1, 3]))
    async with Manager(fleet(4, 2)) as manager, run_link(manager.url, notebook, told):
        await until_details(notebook, 4)
    assert of_module(notebook, 2).rare["module.string"] == 2
    assert of_module(notebook, 4).rare["module.position"] == 3


async def test_blocks_that_do_not_divide_evenly_have_no_place(running: Running, notebook: Notebook) -> None:
    async with Manager(fleet(5, 2)) as manager, running(manager.url):
        await until_details(notebook, 5)
    assert "module.string" not in of_module(notebook, 5).rare


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the blocks with every poll."""
    monkeypatch.setattr(battery_module, "BLOCKS", 0.0)
    monkeypatch.setattr(battery_module, "DETAILS", 0.0)


async def test_modules_that_are_no_longer_counted_are_let_go(running: Running, notebook: Notebook, quick: None) -> None:
    registers = fleet(3, 1)
    registers[module(3) + 3] = 0x0004
    async with Manager(registers) as manager, running(manager.url):
        await notebook.until(lambda: ("battery_module", "3") in notebook.children)
        await notebook.until(lambda: of_module(notebook, 3).conditions.get("module.voltage_high"))
        manager.registers[1004] = 2
        await notebook.until(lambda: "module.voltage" in of_module(notebook, 3).gone)
        assert of_module(notebook, 3).conditions["module.voltage_high"] is False
        manager.registers[1004] = 3
        await notebook.until(lambda: of_module(notebook, 3).conditions["module.voltage_high"])


async def test_a_discharge_has_the_blocks_read_with_every_poll(running: Running, notebook: Notebook) -> None:
    async with Manager(fleet(2, 1)) as manager, running(manager.url):
        await until_details(notebook, 2)
        manager.registers |= {1000: 0x000B, module(2) + 1: 11500}
        await notebook.until_condition("discharging")
        before = sum(first <= module(1) <= last for first, last in manager.requests())
        await notebook.until_poll(4)
        assert sum(first <= module(1) <= last for first, last in manager.requests()) >= before + 2
        assert of_module(notebook, 2).points["module.voltage"] == 11.5


async def test_a_manager_without_the_later_registers_is_read_as_far_as_it_goes(
    running: Running, notebook: Notebook
) -> None:
    registers = {address: value for address, value in fleet(20, 1).items() if address <= 3649}
    async with Manager(registers, last=3649) as manager, running(manager.url):
        await notebook.until(lambda: ("battery_module", "20") in notebook.children)
        await notebook.until_poll(2)
    assert of_module(notebook, 20).points["module.voltage"] == 12.02
    assert notebook.counters["refused"] >= 32


@pytest.mark.parametrize(
    ("registers", "sentence"),
    [
        (dict.fromkeys(empty(), 0), "answers, but not by the map bacs .*1000.* zero throughout"),
        (fleet(1, 1) | {1004: 700}, "BACS_NUMMODULES.* is 700, and there can be 512 at most"),
        (fleet(1, 1) | {1003: 17}, "BACS_NUMSTRINGS.* is 17, and there can be 16 at most"),
    ],
    ids=["zero", "modules", "strings"],
)
async def test_what_is_no_web_manager_is_said_so(registers: dict[int, int], sentence: str, running: Running) -> None:
    async with Manager(registers) as manager:
        with pytest.raises(LinkError, match=sentence):
            async with running(manager.url):
                await asyncio.Event().wait()


async def test_temperatures_that_cannot_be_are_left_out_and_counted(running: Running, notebook: Notebook) -> None:
    async with Manager(fleet(1, 1) | {module(1): 4000}) as manager, running(manager.url):
        await notebook.until(lambda: ("battery_module", "1") in notebook.children)
    assert "module.temperature" not in of_module(notebook, 1).points
    assert notebook.counters["malformed"] == 1


async def test_a_lost_connection_loses_everything_and_its_return_brings_it_back(context: LinkContext) -> None:
    async with Manager(fleet(2, 1)) as manager:
        url = manager.url.replace("timeout=1", "timeout=0.2")
        async with watched(open_link(url, Credentials(), context)) as whole:
            await whole.until(lambda: whole.site.device_by_key("ups-1/battery_module-2") is not None)
            part = whole.site.device_by_key("ups-1/battery_module-2")
            assert part is not None

            def quality() -> Quality | None:
                reading = whole.site.reading(part.id, "module.voltage")
                return None if reading is None else reading.quality

            await whole.until(lambda: quality() is Quality.GOOD)
            manager.silent = True
            await whole.until(lambda: whole.runner.state is LinkState.LOST)
            assert quality() is Quality.LOST
            manager.silent = False
            await whole.until(lambda: quality() is Quality.GOOD)


async def test_modbus_with_the_profile_is_the_same(running: Running, notebook: Notebook) -> None:
    async with Manager(fleet(2, 1)) as manager, running(f"modbus://127.0.0.1:{manager.port}/1?profile=bacs"):
        await until_details(notebook, 2)
    assert of_module(notebook, 2).points["module.voltage"] == 12.002
    assert check_link("modbus://h/1?profile=bacs") == check_link("bacs://h/1") == "battery_system"
    assert check_link("bacs+snmp://h") == "battery_system"


async def test_the_probe_shows_the_printed_names(context: LinkContext) -> None:
    async with Manager(fleet(1, 1)) as manager:
        result = await probe(manager.url, Credentials(), LinkContext.alone(SystemClock()))
    assert {"1", "12.001"} <= {row.text for row in result.rows}


async def test_nothing_is_ever_written(context: LinkContext) -> None:
    for url in ("bacs://h/1", "bacs+snmp://h"):
        with pytest.raises(CommandError):
            await open_link(url, Credentials(), context).perform("equalizing.pause", {})


def served(registers: dict[int, int]) -> dict[int, int]:
    return {address: value & 0xFFFF for address, value in registers.items()}


def at(device: Standin) -> str:
    return device.url.replace("modbus:", "bacs:")


@pytest.mark.parametrize("counts", [{1003: -1, 1004: -9999}, {}], ids=["unsupported", "refused"])
async def test_without_counts_the_configuration_says_how_many_there_are(
    counts: dict[int, int], notebook: Notebook, context: LinkContext
) -> None:
    registers = fleet(4, 2)
    del registers[1003], registers[1004]
    told = LinkContext(context.clock, context.ports, layout=Layout.of([2, 2]))
    async with Standin(served(registers | counts)) as device, run_link(at(device), notebook, told):
        await until_details(notebook, 4)
    assert {number for kind, number in notebook.children if kind == "battery_module"} == {"1", "2", "3", "4"}
    assert of_module(notebook, 4).points["module.voltage"] == 12.004


async def test_without_any_word_of_how_many_those_are_there_that_say_something(
    running: Running, notebook: Notebook
) -> None:
    async with Standin(served(fleet(3, 1) | {1003: -1, 1004: -1})) as device, running(at(device)):
        await until_details(notebook, 3)
    assert {number for kind, number in notebook.children if kind == "battery_module"} == {"1", "2", "3"}


async def test_a_manager_that_is_busy_is_asked_again(
    running: Running, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(battery_module, "PAUSE", 0.01)
    async with Standin(served(fleet(2, 1))) as device:
        device.script = lambda heard: heard.exception(6) if len(device.heard) <= 3 else None
        async with running(at(device)):
            await until_details(notebook, 2)
    assert notebook.counters["refused"] >= 3


async def test_what_refuses_everything_is_said_so(running: Running) -> None:
    async with Standin({}) as device:
        with pytest.raises(LinkError, match="not by the map bacs .it refuses 1000-1005, 3650"):
            async with running(at(device)):
                await asyncio.Event().wait()


async def test_what_was_refused_is_asked_for_again(
    running: Running, notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(battery_module, "RETRY", 0.2)
    registers = served(fleet(1, 1))
    current = registers.pop(string(1))
    async with Standin(registers) as device, running(at(device)):
        await notebook.until_counted("refused")
        device.registers[string(1)] = current
        async with asyncio.timeout(10):
            while notebook.children["battery_string", "1"].points.get("string.current") != -1.01:
                await asyncio.sleep(0.01)


async def test_a_lost_module_has_no_charge_that_is_old(running: Running, notebook: Notebook) -> None:
    async with Manager(fleet(1, 1) | {module(1) + 3: 0x0002}) as manager, running(manager.url):
        await until_details(notebook, 1)
    assert of_module(notebook, 1).rare == {"module.string": 1, "module.position": 1}
