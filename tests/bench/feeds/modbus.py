"""What the Modbus server costs, against stock pymodbus and a bare asyncio loop that answers fixed bytes, in one run.

Run it with `scripts/bench feeds modbus`. The master is a process of its own that speaks as many connections as are
asked for without asyncio's help: one request under way on each, the next as soon as the answer is there.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
import gc
import json
import logging
import os
from pathlib import Path
import select
import socket
import sys
import tempfile
from time import perf_counter, thread_time

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


@dataclass(frozen=True, order=True, slots=True)
class Result:
    """How well one of them does; better ones are greater."""

    rate: float
    """Requests per second."""
    p99: float
    """The 99th of a hundred latencies in ms."""
    cost: float
    """Microseconds that the server works for a request, by its own clock: others on the machine do not count."""


async def measured(serve: Callable[[], Place], connections: int) -> Result:
    """Serve, and have another process ask."""
    async with serve() as port:
        gc.collect()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __spec__.name, str(port), str(connections), stdout=asyncio.subprocess.PIPE
        )
        began = thread_time()
        out, _ = await process.communicate()
        rate, p99, asked = json.loads(out)
        return Result(rate, p99, (thread_time() - began) / asked * 1e6)


def ask(port: int, connections: int) -> tuple[float, float, int]:
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
    count = total = 0
    while (now := perf_counter()) < end:
        for number, _ in poll.poll():
            got[number] += len(sockets[number].recv(4096))
            if got[number] < len(ANSWER):
                continue
            assert got[number] == len(ANSWER)
            got[number] = 0
            total += 1
            now = perf_counter()
            if now >= warm:
                latencies.append(now - asked[number])
                count += 1
            asked[number] = now
            sockets[number].send(REQUEST)
    latencies.sort()
    return count / SECONDS, latencies[int(len(latencies) * 0.99)] * 1000, total


async def main() -> None:
    """Measure each in turn, three times, and print the best of each."""
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # it says how each connection ends
    print(f"{COUNT} registers with each request; {os.cpu_count()} cores, one of them serves, another asks")
    for connections in CONNECTIONS:
        results: dict[str, list[Result]] = {}
        for _ in range(3):
            for name, serve in (("ours", ours), ("stock pymodbus", stock), ("bare asyncio", bare)):
                results.setdefault(name, []).append(await measured(serve, connections))
        best = {name: max(found) for name, found in results.items()}
        cost = {name: min(one.cost for one in found) for name, found in results.items()}
        for name, one in best.items():
            print(
                f"{connections:3} connection(s)  {name:15} {one.rate:9,.0f} requests/s   p99 {one.p99:7.3f} ms   "
                f"{cost[name]:6.1f} us of work each"
            )
        for other, goal in (("bare asyncio", "  (goal 80 %)"), ("stock pymodbus", "")):
            rate, work = best["ours"].rate / best[other].rate, cost[other] / cost["ours"]
            print(f"    ours / {other:15} {rate:6.0%} of its requests/s, {work:6.0%} by work{goal}")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(ask(int(sys.argv[1]), int(sys.argv[2]))))
    else:
        asyncio.run(main())
