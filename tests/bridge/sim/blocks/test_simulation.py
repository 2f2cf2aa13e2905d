"""A whole battery that lives: its time, its control over real HTTP, its cables, and the command line."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from io import StringIO
import json
from pathlib import Path
import re
import struct

from aiohttp import ClientSession
import pytest
import voluptuous as vol

from ridethrough.clock import ManualClock
from ridethrough.sim import ScenarioError, SimulateOptions, simulate
from ridethrough.sim.blocks import BlockDesign
from ridethrough.sim.blocks.simulation import BatteryOptions, BatterySimulation
from ridethrough.sim.change import explain
from ridethrough.sim.control import serve_control
from ridethrough.sim.face import Place

from .raw import Master, framed, group, sound

SMALL = BatteryOptions(blocks=8, strings=2, boxes=1)


class Battery:
    """A simulation with time that is moved by hand."""

    def __init__(self, options: BatteryOptions = SMALL, **given: object) -> None:
        self.clock = ManualClock()
        self.simulation = BatterySimulation(options, clock=self.clock, **given)  # type: ignore[arg-type]
        self.room = self.simulation.room
        self.plant = self.room.plant

    def order(self, **changes: object) -> None:
        self.simulation.order(changes)


async def ask(path: Path, request: bytes, length: int) -> bytes:
    def visit() -> bytes:
        master = Master(path)
        try:
            return master.ask(request, length)
        finally:
            master.close()

    return await asyncio.to_thread(visit)


def left(folder: Path) -> list[Path]:
    return list(folder.iterdir())


@asynccontextmanager
async def running(simulation: BatterySimulation) -> AsyncIterator[None]:
    simulation.open()
    task = asyncio.create_task(simulation.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        simulation.close()


async def test_time_goes_as_fast_as_it_is_told() -> None:
    battery = Battery(speed=10.0)
    async with running(battery.simulation):
        await battery.clock.advance(20.0)
        battery.simulation.catch_up()
        assert battery.plant.time == pytest.approx(200.0, abs=1.0)
        battery.simulation.pause(paused=True)
        await battery.clock.advance(20.0)
        assert battery.plant.time == pytest.approx(200.0, abs=1.0)
        battery.simulation.pause(paused=False)
        battery.simulation.speed = 3600.0
        await battery.clock.advance(1.0)
        assert battery.simulation.state()["time"] == pytest.approx(3800.0, abs=2.0)
        with pytest.raises(ValueError, match="A speed lies between"):
            battery.simulation.speed = 0.0


def test_each_verb_does_what_it_says() -> None:
    battery = Battery()
    plant, room = battery.plant, battery.room
    before = [plant.block(number) for number in range(1, 9)]
    battery.order(
        mains=False,
        charger=False,
        load=500,
        ambient=30,
        age={"block": 1, "factor": 2.0},
        weaken={"block": 2, "share": 0.5},
        fail=[{"block": 3}, {"block": 4, "how": "open"}],
        runaway={"block": 5, "current": 3.0},
        loosen={"block": 6, "milliohm": 20},
        block={"block": 7, "charge": 0.5, "temperature": 44},
        dry_out={"string": 2, "factor": 10, "cooling": 0.5},
    )
    assert (plant.mains, plant.charger.on, plant.load, plant.ambient) == (False, False, 500.0, 30.0)
    assert plant.block(1).impedance == pytest.approx(2.0 * before[0].impedance)
    assert plant.block(2).capacity == pytest.approx(0.5 * before[1].capacity)
    assert (plant.columns[0].cells[2], plant.block(4).impedance > 1e5) == (5, True)
    assert plant.columns[1].leak[0] == 3.0
    assert plant.block(6).impedance == pytest.approx(before[5].impedance + 0.02)
    assert (plant.block(7).charge, plant.block(7).temperature) == (0.5, 44.0)
    assert plant.block(8).overcharge == pytest.approx(10.0 * before[7].overcharge)
    assert plant.columns[1].cooling == 0.5
    battery.order(runaway={"block": 5})
    assert plant.columns[1].leak[0] == 14.0

    battery.order(
        lose=[{"block": 1}, {"block": 2, "lost": False}],
        press={"block": 3},
        renumber={"block": 4, "number": 3},
        module={"block": 5, "fuse_blown": True, "calibrated": False, "hardware": "2.7", "voltage": 6},
        sensor={"sensor": 1, "broken": True, "lost": True},
        box={"box": 1, "input": 2},
        breaker={"string": 2, "closed": False},
        restart={"block": 6},
        cut={"behind": 4},
    )
    assert [module.lost for module in room.modules[:2]] == [True, False]
    assert [module.number for module in room.modules] == [1, 2, 3, 3, 5, 6, 7, 8]
    own = room.module(5).identity
    assert (room.module(5).fuse_blown, own.calibrated, own.hardware, own.voltage) == (True, False, (2, 7), 6)
    assert (room.broken_sensors, room.lost_sensors) == ({1}, {1})
    assert room.boxes[0].inputs == 0b10
    assert plant.closed == [True, False]
    assert battery.simulation.segments[0].cut == 4
    battery.order(
        sensor={"sensor": 1, "lost": False},
        box={"box": 1, "input": 2, "closed": False, "lost": True},
        cut={"behind": None},
    )
    assert (room.broken_sensors, room.lost_sensors) == ({1}, set())
    assert (room.boxes[0].inputs, room.boxes[0].lost) == (0, True)
    assert battery.simulation.segments[0].cut is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"x": 1}, "x: there is no such key"),
        ({"age": {"block": 1}}, "age.factor: is required"),
        ({"age": [{"block": 1, "factor": 2.0}, {"block": 0, "factor": 2.0}]}, "age.1.block: 0 must be a whole number"),
        ({"age": {"block": 9, "factor": 2.0}}, "age.block: 9 is not there, only 1 to 8"),
        ({"age": {"block": True, "factor": 2.0}}, "age.block: True must be a whole number"),
        ({"breaker": {"string": 3, "closed": True}}, "breaker.string: 3 is not there, only 1 to 2"),
        ({"fail": {"block": 1, "how": "fire"}}, "fail.how: 'fire' must be one of short, open"),
        ({"module": {"block": 1, "hardware": 1.3}}, "module.hardware: 1.3 must be a revision in quotes"),
        ({"plug": {"segment": 2, "plugged": True}}, "plug.segment: 2 is not there, only 1 to 1"),
        ({"mains": 0}, "mains: 0 must be true or false"),
        ([], "must be a section"),
    ],
    ids=lambda value: value.partition(":")[0] if isinstance(value, str) else "",
)
def test_what_is_wrong_is_refused_before_anything_is_done(wrong: object, said: str) -> None:
    battery = Battery()
    given = {"mains": False} | wrong if isinstance(wrong, dict) else wrong
    with pytest.raises(vol.Invalid) as refused:
        battery.simulation.order(given)
    assert said in explain(refused.value)
    assert battery.plant.mains


async def test_control_of_a_battery_over_http(tmp_path: Path) -> None:
    battery = Battery(replace(SMALL, breakers="each"), place=Place(tmp_path / "bus", None))
    async with (
        running(battery.simulation),
        serve_control(battery.simulation, "127.0.0.1", 0) as address,
        ClientSession(address) as session,
    ):
        async with session.post("/set", json={"lose": {"block": 3}, "line": {"garble": 0.5}}) as response:
            state = await response.json()
            assert response.status == 200
        assert state["blocks"]["lost"] == [3] and len(state["blocks"]["voltage"]) == 8
        assert state["segments"][0]["line"]["garble"] == 0.5
        async with session.post("/set", json={"line": {"garble": 0}}) as response:
            assert response.status == 200
        async with session.post("/scenario", json={"name": "outage"}) as response:
            assert response.status == 400
            assert "a battery has none" in (await response.json())["error"]
        assert sound(await ask(tmp_path / "bus", framed(106, b"\1\2\2"), 7))
        async with session.get("/state") as response:
            state = await response.json()
        assert [string["closed"] for string in state["strings"]] == [True, False]
        assert state["boxes"] == [{"number": 1, "inputs": 0, "outputs": 2, "lost": False}]
        async with session.get("/exchanges") as response:
            (exchange,) = (await response.json())["exchanges"]
        assert exchange["request"].encode("latin-1") == framed(106, b"\1\2\2")
        async with session.post("/speed", json={"factor": 60}) as response:
            assert (await response.json())["speed"] == 60.0


async def test_modules_are_shared_out_among_cables_and_boxes_hang_on_the_first(tmp_path: Path) -> None:
    options = replace(SMALL, blocks=7, strings=1, segments=(tmp_path / "b",), ring=tmp_path / "a2")
    battery = Battery(options, place=Place(tmp_path / "a", None))
    async with running(battery.simulation):
        assert battery.simulation.where == f"{tmp_path}/a, {tmp_path}/a2, {tmp_path}/b"
        heard = {}
        for name in ("a", "a2", "b"):
            answers = await ask(tmp_path / name, group(66, 1, 7), 32 if name != "b" else 24)
            heard[name] = [struct.unpack(">H", answers[at + 2 : at + 4])[0] for at in range(0, len(answers), 8)]
        assert heard == {"a": [1, 2, 3, 4], "a2": [1, 2, 3, 4], "b": [5, 6, 7]}
        assert len(await ask(tmp_path / "a", framed(105, b"\1"), 7)) == 7
        battery.order(plug={"segment": 1, "end": 2, "plugged": False})
        assert battery.simulation.where == f"{tmp_path}/a, {tmp_path}/b"
        battery.order(line={"plugged": False})
        assert battery.simulation.state()["path"] is None
        battery.order(line={"plugged": True})
        assert battery.simulation.where == f"{tmp_path}/a, {tmp_path}/a2, {tmp_path}/b"
    assert not left(tmp_path)


async def test_a_web_manager_is_a_device_as_well() -> None:
    battery = Battery(device="bacs")
    async with running(battery.simulation):
        where = battery.simulation.where
        assert where is not None
        host, _, port = where.rpartition(":")
        battery.order(line={"garble": 0.0}, mains=False)
        await battery.clock.advance(10.0)
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 1000, 1))
        answer = await asyncio.wait_for(reader.readexactly(11), 2.0)
        assert answer[10] & 0x08
        writer.close()
        battery.order(line={"plugged": False})
        assert battery.simulation.state()["path"] is None
        assert battery.simulation.state()["segments"] == []


class Printed(StringIO):
    """What was printed, with a moment at which it was all printed."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed = asyncio.Event()

    def flush(self) -> None:
        self.flushed.set()


async def test_a_battery_from_the_command_line(tmp_path: Path) -> None:
    out = Printed()
    battery = BatteryOptions(blocks=4, design=BlockDesign(2.0, 200.0))
    options = SimulateOptions(
        device="module-bus", port=tmp_path / "bus", control=("127.0.0.1", 0), baud_pacing=False, battery=battery
    )
    task = asyncio.create_task(simulate(options, out))
    await out.flushed.wait()
    match = re.fullmatch(rf"module-bus on {tmp_path}/bus, control (http://127\.0\.0\.1:\d+)\nready\n", out.getvalue())
    assert match is not None
    answers = await ask(tmp_path / "bus", group(66, 1, 4), 32)
    assert len(answers) == 32
    assert 2200 < struct.unpack(">H", answers[4:6])[0] < 2350
    async with ClientSession(match[1]) as session, session.get("/state") as response:
        assert json.loads(await response.text())["blocks"]["number"] == [1, 2, 3, 4]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not left(tmp_path)


async def test_a_battery_that_cannot_be_is_refused_with_a_reason() -> None:
    options = SimulateOptions(device="bacs", battery=BatteryOptions(blocks=10, strings=3))
    with pytest.raises(ScenarioError, match="10 blocks do not make 3 equal strings"):
        await simulate(options, StringIO())
