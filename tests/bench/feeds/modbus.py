"""What the Modbus server costs, against stock pymodbus and a bare asyncio loop that answers fixed bytes, in one run.

Run it with `scripts/bench feeds modbus`. The master is a process of its own that speaks as many connections as are
asked for without asyncio's help: one request under way on each, the next as soon as the answer is there.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
import gc
import json
import os
from pathlib import Path
import select
import socket
import sys
import tempfile
from time import perf_counter

from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from ridethrough.config.feeds import ModbusConfig, ModbusUnitConfig
from ridethrough.feeds import Traffic
from ridethrough.feeds.modbus import make
from tests.bridge.feeds.rig import a_world

SECONDS = 2.0
"""Of each measurement, after a warm-up of a tenth."""
COUNT = 125
"""Registers of each request."""
ADDRESS = 0
"""Of m600, a map with 133 registers without a gap."""
REQUEST = bytes.fromhex("0001 0000 0006 01 03") + ADDRESS.to_bytes(2) + COUNT.to_bytes(2)
ANSWER = bytes.fromhex("0001 0000 00fd 01 03 fa") + bytes(2 * COUNT)
CONNECTIONS = (1, 16)

type Place = AbstractAsyncContextManager[int]


@asynccontextmanager
async def ours() -> AsyncIterator[int]:
    """Serve the map of a UPS with the feed."""
    with tempfile.TemporaryDirectory() as folder:
        async with a_world(Path(folder)) as world:
            world.ups()
            config = ModbusConfig(port=0, units=(ModbusUnitConfig(1, "ups-1", "m600"),))
            async with world.serving(lambda _: make(config, world.context, Traffic())) as place:
                yield int(place.rpartition(":")[2])


@asynccontextmanager
async def stock() -> AsyncIterator[int]:
    """Serve as many registers with pymodbus as it comes."""
    device = SimDevice(1, simdata=[SimData(0, count=200, values=230, datatype=DataType.REGISTERS)])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    server = ModbusTcpServer(device, address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    yield port
    await server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus does not say what it takes


class Bare(asyncio.Protocol):
    """Answers every request with the same bytes, without looking at it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer."""
        self._transport.write(ANSWER)


@asynccontextmanager
async def bare() -> AsyncIterator[int]:
    """Serve fixed bytes with nothing but asyncio."""
    server = await asyncio.get_running_loop().create_server(Bare, "127.0.0.1", 0)
    yield int(server.sockets[0].getsockname()[1])
    server.close()


async def measured(serve: Callable[[], Place], connections: int) -> tuple[float, float]:
    """Return requests per second and the 99th of a hundred latencies in ms."""
    async with serve() as port:
        gc.collect()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __spec__.name, str(port), str(connections), stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        rate, p99 = json.loads(out)
        return rate, p99


def ask(port: int, connections: int) -> tuple[float, float]:
    """Be the master: keep one request under way on each connection."""
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    for _ in range(connections):
        one = socket.create_connection(("127.0.0.1", port))
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[one.fileno()] = one
        poll.register(one, select.EPOLLIN)
    asked = {}
    got = dict.fromkeys(sockets, 0)
    latencies: list[float] = []
    for number, one in sockets.items():
        asked[number] = perf_counter()
        one.send(REQUEST)
    began = perf_counter()
    warm = began + SECONDS / 10
    end = warm + SECONDS
    count = 0
    while (now := perf_counter()) < end:
        for number, _ in poll.poll():
            got[number] += len(sockets[number].recv(4096))
            if got[number] < len(ANSWER):
                continue
            assert got[number] == len(ANSWER)
            got[number] = 0
            now = perf_counter()
            if now >= warm:
                latencies.append(now - asked[number])
                count += 1
            asked[number] = now
            sockets[number].send(REQUEST)
    latencies.sort()
    return count / SECONDS, latencies[int(len(latencies) * 0.99)] * 1000


async def main() -> None:
    """Measure each in turn, three times, and print the best of each."""
    print(f"{COUNT} registers with each request; {os.cpu_count()} cores, one of them serves, another asks")
    for connections in CONNECTIONS:
        results: dict[str, tuple[float, float]] = {}
        for _ in range(3):
            for name, serve in (("ours", ours), ("stock pymodbus", stock), ("bare asyncio", bare)):
                found = await measured(serve, connections)
                results[name] = max(results.get(name, found), found)
        for name, (rate, p99) in results.items():
            print(f"{connections:3} connection(s)  {name:15} {rate:9,.0f} requests/s   p99 {p99:7.3f} ms")
        rate = results["ours"][0]
        print(f"    ours / bare asyncio    {rate / results['bare asyncio'][0]:6.0%}  (goal 80 %)")
        print(f"    ours / stock pymodbus  {rate / results['stock pymodbus'][0]:6.1f} times")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(ask(int(sys.argv[1]), int(sys.argv[2]))))
    else:
        asyncio.run(main())
