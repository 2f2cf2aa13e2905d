"""The bus in use: reading, losing and finding modules, duties, impedances, outputs, rings and segments."""

from pathlib import Path

import pytest

from ridethrough.battery.bus import Pace
from tests.bridge.links.conftest import Notebook

from .conftest import Running, until
from .peer import FakeBox, FakeBus, Served, Terminal


def module(notebook: Notebook, number: int) -> Notebook:
    return notebook.child("battery_module", str(number), "")


async def test_what_modules_measure_is_told_of_each(notebook: Notebook, running: Running, tmp_path: Path) -> None:
    bus = FakeBus.of(5)
    bus.module(3).voltage, bus.module(3).temperature, bus.module(3).impedance = 13217, -41, 0xFFFF
    async with Terminal(tmp_path / "tty", bus) as terminal, running(terminal.path, 3, 2):
        await until(lambda: notebook.conditions.get("module.polling"))
        await until(lambda: module(notebook, 5).rare.get("module.serial"))
        assert module(notebook, 3).points == {
            "module.voltage": 13.217, "module.temperature": -4.1, "module.impedance": None, "module.equalizing": 0,
        }  # fmt: skip
        assert module(notebook, 5).rare == {
            "module.type": "12 V", "module.hardware": "2.1", "module.firmware": "3.4", "module.serial": "1005",
        }  # fmt: skip
        assert module(notebook, 1).conditions == {
            "module.lost": False, "module.incompatible": False, "module.fuse_blown": False, "module.duplicate": False,
        }  # fmt: skip
        assert notebook.rare["module.type"] == "12 V"


async def test_a_module_is_lost_after_three_scans_and_found_at_once(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(4)
    async with Served(bus) as server, running(f"//{server.where}", 4):
        await until(lambda: module(notebook, 2).conditions.get("module.lost") is False)
        bus.module(2).silent = True
        await until(lambda: module(notebook, 2).conditions.get("module.lost"))
        assert "module.voltage" in module(notebook, 2).gone
        assert module(notebook, 1).conditions["module.lost"] is False
        bus.module(2).silent, bus.module(2).serial = False, 77
        await until(lambda: module(notebook, 2).conditions.get("module.lost") is False)
        await until(lambda: module(notebook, 2).rare.get("module.serial") == "77")


async def test_voltages_alone_are_read_in_a_discharge_and_temperatures_not_forgotten(
    notebook: Notebook, running: Running
) -> None:
    bus = FakeBus.of(200)
    async with Served(bus) as server, running(f"//{server.where}", 200) as link:
        await until(lambda: notebook.conditions.get("module.polling"))
        assert link.bus is not None
        link.bus.pace(Pace.VOLTAGE)
        bus.asked.clear()
        await until(lambda: sum(request[1] == 66 for request in bus.asked) > 5)
        kinds = [request[1] for request in bus.asked if request[1] in (65, 66)]
        assert 0.3 < kinds.count(66) / len(kinds) < 0.7
        bus.module(7).voltage = 11800
        await until(lambda: module(notebook, 7).points["module.voltage"] == 11.8)
        bus.module(150).temperature = 400
        await until(lambda: module(notebook, 150).points["module.temperature"] == 40.0)


async def test_duties_are_sent_and_ended_when_the_link_stops(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(3)
    async with Served(bus) as server:
        async with running(f"//{server.where}", 3) as link:
            assert link.bus is not None
            link.bus.equalise({2: 40})
            await until(lambda: module(notebook, 2).points.get("module.equalizing") == 40)
            bus.module(2).duty = 0
            bus.module(2).status |= 0x20
            await until(lambda: bus.module(2).duty == 40)
        await until(lambda: [one.duty for one in bus.modules] == [0, 0, 0])


async def test_impedances_are_measured_never_of_two_neighbours(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(20)
    async with Served(bus) as server, running(f"//{server.where}", 20) as link:
        await until(lambda: notebook.conditions.get("module.polling"))
        assert link.bus is not None
        link.bus.measure(range(1, 21))
        await until(lambda: len(bus.measured) == 20)
        assert sorted(bus.measured) == list(range(1, 21))
        assert bus.measured[:7] == [1, 4, 7, 10, 13, 16, 19]
        await until(lambda: module(notebook, 20).points["module.impedance"] == 5.21)


async def test_sensors_and_boxes(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(2)
    bus.sensors = {1: (0, -12340, 56), 2: (1, 5, 5)}
    bus.boxes = {1: FakeBox(inputs=0b0101)}
    async with (
        Served(bus) as server,
        running(f"//{server.where}", 1, 1, sensors=2, boxes=2, more="&safe=1.2:on&safe_after=90") as link,
    ):
        box, sensor = notebook.child("io_box", "1", ""), notebook.child("current_sensor", "1", "")
        broken, missing = notebook.child("current_sensor", "2", ""), notebook.child("io_box", "2", "")
        await until(lambda: box.points)
        assert box.points["input.1"] is True
        assert box.points["input.2"] is False
        await until(lambda: sensor.points.get("sensor.current") == -12.34)
        assert sensor.points["sensor.current.ac"] == 0.56
        await until(lambda: broken.conditions.get("communications_lost"))
        await until(lambda: missing.conditions.get("communications_lost"))
        assert link.bus is not None
        link.bus.switch(1, 3, energised=True)
        await until(lambda: box.points["output.3"])
        assert bus.boxes[1].safe == (2, 2, 90)
        link.bus.fall_back(1, 4, energised=False)
        link.bus.fall_back(1, 2, energised=False)
        await until(lambda: bus.boxes[1].safe == (0b1010, 2, 90))
        bus.boxes[1].silent = True
        await until(lambda: box.conditions.get("communications_lost"))
        assert "output.3" in box.gone
        assert notebook.conditions["io_box_lost"] is True
        bus.boxes[1].silent, bus.boxes[1].outputs, bus.boxes[1].safe = False, 0, None
        await until(lambda: bus.boxes[1].outputs == 4)
        await until(lambda: bus.boxes[1].safe == (0b1010, 2, 90))


@pytest.mark.parametrize("apart", [1, 8], ids=["slots of their own", "one slot"])
async def test_two_modules_with_one_number(notebook: Notebook, running: Running, apart: int) -> None:
    bus = FakeBus.of(6)
    bus.module(5).serial = bus.module(4).serial + apart
    async with Served(bus) as server, running(f"//{server.where}", 6):
        await until(lambda: notebook.conditions.get("module.polling"))
        bus.module(5).number = 4
        await until(lambda: module(notebook, 4).conditions["module.duplicate"])
        await until(lambda: module(notebook, 5).conditions["module.lost"])
        assert notebook.counters["malformed"] >= 3
        bus.modules[-2].number = 5
        await until(lambda: not module(notebook, 4).conditions["module.duplicate"])


async def test_what_the_first_end_of_a_ring_cannot_reach_is_asked_at_the_second(
    notebook: Notebook, running: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    near, far = FakeBus.of(3), FakeBus.of(3, first=4)
    async with (
        Terminal(tmp_path / "near", near) as first,
        Terminal(tmp_path / "far", far) as second,
        running(first.path, 6, more=f"&ring={second.path}"),
    ):
        await until(lambda: module(notebook, 6).points)
        assert all(module(notebook, number).conditions.get("module.lost") is False for number in (1, 4))
        await until(lambda: "modules 4–6 answer only at the other end" in caplog.text)
        near.modules.append(far.modules.pop(0))
        await until(
            lambda: any(request[1] == 65 and request[3] <= 4 < request[3] + request[4] for request in near.asked)
        )
        near.asked.clear()
        await until(lambda: len(near.asked) > 20)
        assert module(notebook, 4).conditions.get("module.lost") is False


async def test_a_closed_ring_is_one_line_whose_ends_do_not_take_what_is_for_the_other(
    notebook: Notebook, running: Running, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bus = FakeBus.of(4)
    async with Terminal(tmp_path / "near", bus) as first, Terminal(tmp_path / "far", bus) as second:
        first.close_ring(second)
        async with running(first.path, 4, more=f"&ring={second.path}") as link:
            await until(lambda: notebook.conditions.get("module.polling"))
            bus.module(2).silent = True
            await until(lambda: module(notebook, 2).conditions["module.lost"])
            bus.module(2).silent = False
            await until(lambda: not module(notebook, 2).conditions["module.lost"])
            await link.perform("programmer.start", {})
            await link.perform("programmer.check", {"number": 3, "frames": 6})
            await until(lambda: notebook.points["programmer.state"] == "ready")
            assert notebook.points["programmer.result"] == (
                "Module 3: 6 frames sent, 6 came back whole, 0 were lost, 0 broken."
            )
            await link.perform("programmer.change", {"old": 4, "new": 9})
        assert "other end of the ring" not in caplog.text


async def test_segments_are_found_and_read_apart(notebook: Notebook, running: Running) -> None:
    one, other = FakeBus.of(3), FakeBus.of(3, first=4)
    async with (
        Served(one) as first,
        Served(other) as second,
        running(f"//{first.where}", 6, more=f"&segments={second.where}"),
    ):
        await until(lambda: all(module(notebook, n).points for n in range(1, 7)))
        one.asked.clear()
        other.asked.clear()
        await until(lambda: len(one.asked) > 3 and len(other.asked) > 3)
        assert {request[3] for request in one.asked if request[1] == 65} == {1}
        assert {request[3] for request in other.asked if request[1] == 65} == {4}
        one.modules.append(other.modules.pop(0))
        # It is lost, and so asked everywhere.
        await until(lambda: any(request[1] == 65 and request[3] + request[4] > 4 for request in one.asked))
        await until(lambda: not module(notebook, 4).conditions["module.lost"])


async def test_a_sensor_that_is_out_of_its_range_or_away_gives_no_current(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(1)
    bus.sensors = {1: (0, 1000, 0)}
    sensor = notebook.child("current_sensor", "1", "")
    async with Served(bus) as server, running(f"//{server.where}", 1, sensors=1):
        await until(lambda: sensor.points.get("sensor.current") == 1.0)
        bus.sensors[1] = (2, 99999, 0)
        await until(lambda: "sensor.current" in sensor.gone)
        assert sensor.points["sensor.current"] == 1.0
        assert sensor.conditions["communications_lost"] is False
        bus.sensors.clear()
        await until(lambda: sensor.conditions["communications_lost"])
        await until(lambda: notebook.conditions["current_sensor_lost"])


async def test_a_module_that_was_exchanged_between_two_scans_is_noticed(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(2)
    async with Served(bus) as server, running(f"//{server.where}", 2):
        await until(lambda: module(notebook, 2).rare.get("module.serial") == "1002")
        bus.module(2).serial = 4711
        await until(lambda: module(notebook, 2).rare["module.serial"] == "4711")
