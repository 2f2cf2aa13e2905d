"""The Modbus link against libmodbus, an implementation that is not ours, over TCP and on an RS-485 line."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, cast

import pytest

from ridethrough.links.base import Credentials, LinkError
from ridethrough.links.context import LinkContext
from ridethrough.links.schemes import open_link
from tests.bridge.links.conftest import Notebook
from tests.peers.modbusd import Modbusd, missing

from .conftest import Running, run_link
from .line import Rs485Line
from .standin import ONE_PHASE, STATUS

pytestmark = pytest.mark.skipif(
    bool(missing()), reason="libmodbus5 is not installed; scripts/setup --peers installs it"
)

FAST = "poll=0.1&timeout=0.5&baud=115200"


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Rs485Line]:
    """Lay a line with places for two units."""
    async with Rs485Line(tmp_path, units=2) as laid:
        yield laid


def unit(line: Rs485Line, number: int, registers: dict[int, int]) -> Modbusd:
    """Put a unit on the line with the registers 97 to 150."""
    return Modbusd(["rtu", line.units[number - 1], "115200", str(number)], registers, first=97, number=54)


async def test_a_whole_map_over_tcp(running: Running, notebook: Notebook) -> None:
    async with (
        Modbusd(["tcp", "0"], {**ONE_PHASE, 50002: 1, 143: 23}) as server,
        running(f"modbus://127.0.0.1:{server.port}/1?poll=0.1"),
    ):
        await notebook.until_poll(2)
        assert notebook.points["output.voltage"] == 230
        assert notebook.points["ups.temperature"] == -5
        assert notebook.points["battery.runtime"] == 900
        assert notebook.children["sensor", "1"].points == {"sensor.value": 23}
        assert notebook.children["io_box", "1"].points["input.3"] is True
        server.write(STATUS, 12)
        await notebook.until_condition("on_battery")
    assert "malformed" not in notebook.counters
    assert "refused" not in notebook.counters


async def test_registers_that_it_does_not_have(running: Running, notebook: Notebook) -> None:
    async with (
        Modbusd(["tcp", "0"], {100: 42, 103: 87, STATUS: 5}, first=100, number=30) as server,
        running(f"modbus://127.0.0.1:{server.port}/1?poll=0.1"),
    ):
        await notebook.until_poll(2)
    assert notebook.points["ups.load"] == 42
    assert notebook.conditions["on_bypass"] is True
    assert "aux.1" not in notebook.points
    assert notebook.counters["refused"] == 3 + 21 + 80


async def test_rtu_frames_in_a_tcp_connection(line: Rs485Line, running: Running, notebook: Notebook) -> None:
    """A converter puts the serial line's bytes into TCP as they are."""

    async def convert(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_line, to_line = await _open_terminal(line.master)
        pumps = [asyncio.ensure_future(_pump(reader, to_line)), asyncio.ensure_future(_pump(from_line, writer))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        to_line.close()
        writer.close()

    async with unit(line, 1, dict(ONE_PHASE)):
        server = await asyncio.start_server(convert, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with running(f"modbus://127.0.0.1:{port}/1?framing=rtu&poll=0.1&timeout=0.5"):
            await notebook.until_poll(2)
            line.say(b"\x01\x03")
            await notebook.until_poll(2)
        server.close()
    assert notebook.points["battery.charge"] == 87
    assert notebook.counters["refused"] == 80


async def test_a_serial_line(line: Rs485Line, running: Running, notebook: Notebook) -> None:
    async with unit(line, 1, dict(ONE_PHASE)) as server, running(f"modbus:{line.master}?unit=1&{FAST}"):
        await notebook.until_poll(2)
        assert notebook.points["output.voltage"] == 230
        server.write(STATUS, 68)
        await notebook.until_condition("test_in_progress")
    assert "timeouts" not in notebook.counters


async def test_two_units_share_a_line(line: Rs485Line, context: LinkContext, notebook: Notebook) -> None:
    other = Notebook()
    async with (
        unit(line, 1, dict(ONE_PHASE)),
        unit(line, 2, {**ONE_PHASE, 103: 33}),
        run_link(f"modbus:{line.master}?unit=1&{FAST}", notebook, context),
        run_link(f"modbus:{line.master}?unit=2&{FAST}", other, context),
    ):
        await asyncio.gather(notebook.until_poll(5), other.until_poll(5))
    assert (notebook.points["battery.charge"], other.points["battery.charge"]) == (87, 33)
    for book in (notebook, other):
        assert not {"timeouts", "malformed"} & book.counters.keys()


async def test_a_unit_that_is_missing_leaves_the_line_to_the_others(
    line: Rs485Line, context: LinkContext, notebook: Notebook
) -> None:
    absent = Notebook()
    async with (
        unit(line, 1, dict(ONE_PHASE)),
        run_link(f"modbus:{line.master}?unit=1&{FAST}", notebook, context),
    ):
        await notebook.until_poll()
        with pytest.raises(LinkError, match=r"unit 9 on .*master does not answer; check the wiring \(A and B\)"):
            async with run_link(f"modbus:{line.master}?unit=9&poll=0.1&timeout=0.05&baud=115200", absent, context):
                await asyncio.Event().wait()
        await notebook.until_poll(2)


async def test_links_on_one_line_must_agree_on_its_settings(
    line: Rs485Line, context: LinkContext, notebook: Notebook
) -> None:
    async with unit(line, 1, dict(ONE_PHASE)), run_link(f"modbus:{line.master}?unit=1&{FAST}", notebook, context):
        await notebook.until_poll()
        with pytest.raises(LinkError, match="sets it to 115200 baud, N parity, 1 stop bits"):
            await open_link(f"modbus:{line.master}?unit=2", Credentials(), context).run(notebook)


async def test_noise_and_echo_on_the_line(line: Rs485Line, running: Running, notebook: Notebook) -> None:
    line.echo = True
    async with unit(line, 1, dict(ONE_PHASE)), running(f"modbus:{line.master}?unit=1&{FAST}"):
        await notebook.until_poll(2)
        assert "malformed" not in notebook.counters
        line.corrupt = lambda data: b"\xf0\x0f" + data
        await notebook.until_counted("malformed", 2)
        line.corrupt = lambda data: data[:-1] + bytes([data[-1] ^ 1])
        await notebook.until_counted("malformed", 4)
        line.corrupt = lambda data: data
        polls = notebook.polls
        await notebook.until(lambda: notebook.polls >= polls + 2)
    assert notebook.points["battery.charge"] == 87


async def test_an_answer_that_never_ends_is_given_up(line: Rs485Line, running: Running, notebook: Notebook) -> None:
    async with unit(line, 1, dict(ONE_PHASE)):
        line.corrupt = lambda data: data[: len(data) // 2]
        with pytest.raises(LinkError, match="is not readable as Modbus"):
            async with running(f"modbus:{line.master}?unit=1&poll=0.1&timeout=0.05&baud=115200"):
                await asyncio.Event().wait()
    assert notebook.points == {}


async def _open_terminal(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), _terminal(path, "rb"))
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop=loop), _terminal(path, "wb")
    )
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)


def _terminal(path: str, mode: str) -> IO[bytes]:
    return cast("IO[bytes]", Path(path).open(mode, buffering=0))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(256):
        writer.write(data)
