"""Masters made of nothing but sockets and bytes, and a feed for them to ask."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
import struct
from typing import Self

from ridethrough.config.feeds import ModbusConfig, ModbusUnitConfig
from ridethrough.feeds import Traffic
from ridethrough.feeds.modbus import make
from tests.bridge.feeds.rig import World

UPS_1 = (ModbusUnitConfig(1, "ups-1"),)
READ_WORD = bytes.fromhex("03 006d 0001")
"""Register 109, the status word: 4 on mains."""
ON_MAINS = bytes.fromhex("03 02 0004")


@dataclass
class Served:
    """Where a feed serves."""

    place: str
    traffic: Traffic

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self.place.split(", ", maxsplit=1)[0].rpartition(":")[2])


@asynccontextmanager
async def served(world: World, config: ModbusConfig | None = None) -> AsyncIterator[Served]:
    """Run a feed on a port that nobody has."""
    traffic = Traffic()
    config = config or ModbusConfig(port=0, units=UPS_1)
    async with world.serving(lambda _: make(config, world.context, traffic)) as place:
        yield Served(place, traffic)


def frame(pdu: bytes, unit: int = 1, transaction: int = 1) -> bytes:
    """Frame what is asked, or answered, for TCP."""
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


@dataclass
class Master:
    """A connection."""

    port: int
    _writer: asyncio.StreamWriter = field(init=False)
    reader: asyncio.StreamReader = field(init=False)

    async def __aenter__(self) -> Self:
        self.reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._writer.write(data)

    def finish(self) -> None:
        """Send nothing more."""
        self._writer.write_eof()

    async def drain(self) -> None:
        """Wait until the server takes what is sent."""
        await self._writer.drain()

    async def frame(self) -> bytes:
        """Wait for a whole frame."""
        async with asyncio.timeout(5):
            head = await self.reader.readexactly(6)
            return head + await self.reader.readexactly(int.from_bytes(head[4:]))

    async def ask(self, pdu: bytes, unit: int = 1) -> bytes:
        """Ask and return what is answered, without its frame."""
        self.send(frame(pdu, unit))
        return (await self.frame())[7:]

    async def closed(self, within: float = 5.0) -> bool:
        """Whether the server hangs up without another word."""
        async with asyncio.timeout(within):
            with suppress(ConnectionError):
                return await self.reader.read() == b""
        return True


async def until(holds: Callable[[], bool], within: float = 5.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within):
        while not holds():
            await asyncio.sleep(0.005)


async def run(program: object, *arguments: str, within: float = 10.0) -> tuple[int, str]:
    """Run a stranger's program; returns its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        str(program), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(within):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, out.decode(errors="replace")


__all__ = ["ON_MAINS", "READ_WORD", "UPS_1", "Master", "Served", "frame", "run", "served", "until"]
