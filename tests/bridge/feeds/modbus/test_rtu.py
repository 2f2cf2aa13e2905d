"""The bridge as a slave on a serial line: pairs of pseudo-terminals, with everything that lines do to bytes."""

import asyncio
from collections.abc import AsyncIterator, Callable
import contextlib
from contextlib import suppress
import logging
import os
from pathlib import Path

import pytest

from ridethrough.config.feeds import ModbusConfig, ModbusSerialConfig, ModbusUnitConfig
from ridethrough.feeds import FeedError, Traffic
from ridethrough.feeds.modbus import make, slave as modbus_slave
from ridethrough.feeds.modbus.framing import framed
from ridethrough.tasks import Backoff
from tests.bridge.feeds.rig import World
from tests.bridge.links.modbus.line import Rs485Line
from tests.bridge.links.peers import SerialPeer

from .masters import ON_MAINS, READ_WORD, UPS_1, Master, Served, served, until

FAST = 115200
WRITE = bytes.fromhex("05 c391 ff00")
READ = framed(1, READ_WORD)
ANSWER = framed(1, ON_MAINS)


class Wire:
    """A master's end of a line: says bytes, hears bytes."""

    def __init__(self, line: Rs485Line) -> None:
        self.line = line
        self.heard = bytearray()
        self.arrived = asyncio.Event()
        self.echo = False
        line.corrupt = self._hear

    def say(self, data: bytes) -> None:
        """Put bytes on the line."""
        with contextlib.suppress(BlockingIOError):
            os.write(self.line._ends[self.line.units[0]], data)

    async def answer(self, length: int = len(ANSWER), within: float = 2.0) -> bytes:
        """Wait for so many bytes."""
        async with asyncio.timeout(within):
            while len(self.heard) < length:
                self.arrived.clear()
                await self.arrived.wait()
        answer = bytes(self.heard)
        self.heard.clear()
        return answer

    async def ask(self, frame: bytes, length: int = len(ANSWER)) -> bytes:
        """Ask and return what is answered."""
        self.say(frame)
        return await self.answer(length)

    async def silence(self, seconds: float = 0.1) -> None:
        """Hear nothing for so long."""
        await asyncio.sleep(seconds)
        assert bytes(self.heard) == b""

    def _hear(self, data: bytes) -> bytes:
        self.heard += data
        self.arrived.set()
        if self.echo:
            self.say(data)
        return data


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    """Lay a line."""
    async with Rs485Line(tmp_path, units=1) as line:
        yield Wire(line)


def config(wire: Wire, *, baud: int = FAST, tcp: bool = False) -> ModbusConfig:
    serial = ModbusSerialConfig(wire.line.units[0], baud=baud)
    return ModbusConfig(port=0, tcp=tcp, serial=serial, units=UPS_1, allow=frozenset({"output"}))


@pytest.fixture
async def slave(world: World, wire: Wire) -> AsyncIterator[Served]:
    """Serve a UPS with an I/O box on it."""
    ups = world.ups()
    world.part(ups, "io_box", "1", commands=("output.set",))
    async with served(world, config(wire)) as feed:
        yield feed


async def test_a_request_is_answered_and_its_place_is_told(wire: Wire, slave: Served) -> None:
    assert slave.place == wire.line.units[0]
    assert await wire.ask(READ) == ANSWER
    assert (slave.traffic.requests, slave.traffic.errors) == (1, 0)


async def test_exceptions_and_functions_that_nobody_knows(wire: Wire, slave: Served) -> None:
    assert await wire.ask(framed(1, bytes.fromhex("03 0000 0001")), 5) == framed(1, b"\x83\x02")
    assert await wire.ask(framed(1, bytes.fromhex("03 0061 007e")), 5) == framed(1, b"\x83\x03")
    assert await wire.ask(framed(1, b"\x41\x07\x07\x07"), 5) == framed(1, b"\xc1\x01")
    assert (slave.traffic.requests, slave.traffic.errors) == (3, 3)


@pytest.mark.parametrize("unit", [2, 247, 248, 255])
async def test_other_units_are_not_answered_for(wire: Wire, slave: Served, unit: int) -> None:
    wire.say(framed(unit, READ_WORD))
    await wire.silence()
    assert await wire.ask(READ) == ANSWER


async def test_what_is_written_is_carried_out(wire: Wire, slave: Served, world: World) -> None:
    assert await wire.ask(framed(1, WRITE), 8) == framed(1, WRITE)
    assert world.given == [("ups-1/io_box-1", "output.set", {"number": 2, "state": 1})]


async def test_a_broadcast_is_carried_out_and_not_answered(wire: Wire, slave: Served, world: World) -> None:
    wire.say(framed(0, WRITE))
    await until(lambda: len(world.given) == 1)
    wire.say(framed(0, READ_WORD) + framed(0, b"\x41") + framed(0, bytes.fromhex("05 ffff ff00")))
    await wire.silence()
    assert await wire.ask(READ) == ANSWER
    assert len(world.given) == 1


async def test_a_broken_frame_is_not_answered_but_counted(wire: Wire, slave: Served) -> None:
    wire.say(READ[:-1] + b"\x00")
    await wire.silence()
    assert slave.traffic.errors == 1
    assert await wire.ask(READ) == ANSWER


async def test_bytes_that_come_in_bunches_make_a_frame(wire: Wire, slave: Served) -> None:
    for byte in READ:
        wire.say(bytes([byte]))
        await asyncio.sleep(0.001)
    assert await wire.answer() == ANSWER


@pytest.mark.parametrize("noise", [b"\x00", b"\xff\xff", b"\x01", b"\x01\x10\xc3", bytes(range(40))], ids=bytes.hex)
async def test_a_request_behind_noise_is_answered(wire: Wire, slave: Served, noise: bytes) -> None:
    assert await wire.ask(noise + READ) == ANSWER


async def test_what_others_say_on_the_line_is_let_pass(wire: Wire, slave: Served) -> None:
    other = framed(9, bytes.fromhex("03 0000 007d")), framed(9, b"\x03\xfa" + bytes(250))
    wire.say(b"".join(other) * 2)
    await wire.silence(0.05)
    assert await wire.ask(b"".join(other) + READ) == ANSWER
    assert slave.traffic.errors == 0


async def test_an_adapter_that_hears_itself_does_not_make_it_talk_to_itself(
    wire: Wire, slave: Served, world: World
) -> None:
    """The answer to a write is the request again: what is heard of it must not be obeyed."""
    wire.echo = True
    assert await wire.ask(framed(1, WRITE), 8) == framed(1, WRITE)
    await wire.silence()
    for _ in range(3):
        assert await wire.ask(READ) == ANSWER
    assert await wire.ask(framed(1, WRITE), 8) == framed(1, WRITE)
    await wire.silence()
    assert len(world.given) == 2
    assert slave.traffic.errors == 0


async def test_the_same_written_again_is_no_echo(wire: Wire, slave: Served, world: World) -> None:
    assert await wire.ask(READ) == ANSWER
    await wire.silence(0.06)
    for _ in range(3):
        assert await wire.ask(framed(1, WRITE), 8) == framed(1, WRITE)
    assert len(world.given) == 3


@pytest.mark.parametrize("baud", [1200, 9600, 19200, 38400, 57600, 115200])
async def test_it_waits_until_the_master_has_left_the_line(world: World, wire: Wire, baud: int) -> None:
    world.ups()
    async with served(world, config(wire, baud=baud)):
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await wire.ask(READ) == ANSWER
        took = loop.time() - began
    assert took >= max(0.00175 if baud > 19200 else 0.0, 3.5 * 10 / baud if baud <= 19200 else 0.0)


@pytest.mark.parametrize("parity", ["none", "even", "odd"])
@pytest.mark.parametrize("stop_bits", [1, 2])
async def test_lines_are_set_as_configured(world: World, wire: Wire, parity: str, stop_bits: int) -> None:
    world.ups()
    serial = ModbusSerialConfig(wire.line.units[0], 19200, parity, stop_bits)  # type: ignore[arg-type]  # a Literal
    async with served(world, ModbusConfig(tcp=False, serial=serial, units=UPS_1)):
        assert await wire.ask(READ) == ANSWER


async def test_tcp_and_rtu_at_once_from_the_same_image(world: World, wire: Wire) -> None:
    ups = world.ups()
    async with served(world, config(wire, tcp=True)) as feed, Master(feed.port) as master:
        # The line is opened a moment after the port; what came before is nobody's.
        with suppress(TimeoutError):
            await wire.ask(READ)
        wire.heard.clear()
        assert await wire.ask(READ) == ANSWER
        assert await master.ask(READ_WORD) == ON_MAINS
        world.post(ups, conditions={"on_battery": True})
        assert await wire.ask(READ) == framed(1, bytes.fromhex("03 02 000c"))
        assert await master.ask(READ_WORD) == bytes.fromhex("03 02 000c")
        # Only lines leave unit 0 and strangers unanswered.
        assert await master.ask(READ_WORD, 9) == b"\x83\x0b"
        wire.say(framed(0, READ_WORD) + framed(9, READ_WORD))
        await wire.silence()


async def test_a_line_that_is_pulled_out_and_put_back_while_tcp_goes_on(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    quickly(monkeypatch)
    world.ups()
    places: list[str] = []
    async with SerialPeer(tmp_path) as peer:
        serial = ModbusSerialConfig(peer.path, FAST)
        feed = make(ModbusConfig(port=0, serial=serial, units=UPS_1), world.context, Traffic())
        with caplog.at_level(logging.INFO):
            task = asyncio.create_task(feed.serve(places.append))
            await until(lambda: bool(places) and peer.path in places[-1])
            port = int(places[0].rpartition(":")[2])
            assert places == [f"127.0.0.1:{port}", f"127.0.0.1:{port}, {peer.path}"]
            peer.hang_up()
            await until(lambda: places[-1] == f"127.0.0.1:{port}")
            assert peer.path in str(feed.problem)
            await asyncio.sleep(0.2)
            async with Master(port) as master:
                assert await master.ask(READ_WORD) == ON_MAINS
            peer.plug_in()
            await until(lambda: peer.path in places[-1])
            assert feed.problem is None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    said = [record.getMessage() for record in caplog.records if record.name.startswith("ridethrough.feeds")]
    assert len(said) == 2
    assert said[0].startswith(f"Modbus has lost its serial port {peer.path}")
    assert said[0].endswith("It is tried again until it works; Modbus TCP goes on.")
    assert said[1] == f"Modbus serves {peer.path} again"


def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have lines tried again without waiting long."""
    monkeypatch.setattr(modbus_slave, "_RETRIES", Backoff(first=0.02, cap=0.05))


async def test_a_line_that_is_not_there_from_the_beginning(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    quickly(monkeypatch)
    world.ups()
    missing = ModbusSerialConfig(str(tmp_path / "missing"))
    with pytest.raises(FeedError, match=r"There is no port .*missing; is the adapter plugged in\?"):
        async with served(world, ModbusConfig(tcp=False, serial=missing)):
            pass
    with caplog.at_level(logging.WARNING):
        async with (
            served(world, ModbusConfig(port=0, serial=missing, units=UPS_1)) as feed,
            Master(feed.port) as master,
        ):
            await asyncio.sleep(0.2)
            assert await master.ask(READ_WORD) == ON_MAINS
    assert sum("There is no port" in record.getMessage() for record in caplog.records) == 1


async def test_a_line_alone_that_goes_is_left_to_the_owner_of_the_feed(world: World, tmp_path: Path) -> None:
    async with SerialPeer(tmp_path) as peer:
        config = ModbusConfig(tcp=False, serial=ModbusSerialConfig(peer.path, FAST))
        feed = make(config, world.context, Traffic())
        ready = asyncio.Event()
        task = asyncio.create_task(feed.serve(lambda place: ready.set()))
        await ready.wait()
        peer.hang_up()
        with pytest.raises(FeedError, match="is the cable or the adapter unplugged"):
            await asyncio.wait_for(task, 5)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        pytest.param(lambda path: path.write_text(""), "is not a serial port", id="a file"),
        pytest.param(lambda path: path.symlink_to("/dev/null"), "is not a serial port", id="no terminal"),
    ],
)
async def test_what_is_no_serial_port(
    world: World, tmp_path: Path, spoil: Callable[[Path], object], sentence: str
) -> None:
    path = tmp_path / "port"
    await asyncio.to_thread(spoil, path)
    with pytest.raises(FeedError, match=sentence):
        async with served(world, ModbusConfig(tcp=False, serial=ModbusSerialConfig(str(path)))):
            pass


async def test_a_port_that_another_has(world: World, wire: Wire, slave: Served) -> None:
    with pytest.raises(FeedError, match="is in use by another program"):
        async with served(world, config(wire)):
            pass


async def test_a_line_that_takes_nothing_costs_no_more_than_its_buffer(world: World, tmp_path: Path) -> None:
    """A master that asks and does not listen: answers beyond what the line takes are dropped."""
    world.ups()
    async with SerialPeer(tmp_path) as peer:
        feed = ModbusConfig(tcp=False, serial=ModbusSerialConfig(peer.path, FAST), units=UPS_1)
        async with served(world, feed) as running:
            asyncio.get_running_loop().remove_reader(peer._master)
            for _ in range(400):
                peer.say(framed(1, bytes.fromhex("03 0061 0036")))
                await asyncio.sleep(0.001)
            await until(lambda: running.traffic.requests > 100)
            with contextlib.suppress(BlockingIOError):
                while os.read(peer._master, 65536):
                    await asyncio.sleep(0)
            await asyncio.sleep(0.3)
            with contextlib.suppress(BlockingIOError):
                while os.read(peer._master, 65536):
                    await asyncio.sleep(0.01)
            peer.say(READ)
            await asyncio.sleep(0.2)
            assert os.read(peer._master, 1024) == ANSWER


async def test_a_unit_of_another_number(world: World, wire: Wire) -> None:
    world.ups()
    serial = ModbusSerialConfig(wire.line.units[0], FAST)
    units = (ModbusUnitConfig(31, "ups-1"), ModbusUnitConfig(32, "ups-1", "m600"))
    async with served(world, ModbusConfig(tcp=False, serial=serial, units=units)):
        assert await wire.ask(framed(31, READ_WORD)) == framed(31, ON_MAINS)
        assert await wire.ask(framed(32, bytes.fromhex("04 0038 0001"))) == framed(32, bytes.fromhex("04 02 03e8"))
        wire.say(READ)
        await wire.silence()
