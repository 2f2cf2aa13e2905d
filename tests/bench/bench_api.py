"""What the API costs, as ratios against a plain aiohttp WebSocket that sends the same bytes in the same run.

Run it with `scripts/bench`, or alone: `python -m tests.bench.bench_api`. It takes a few seconds.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
import gc
from pathlib import Path
from statistics import quantiles
import sys
import tempfile
from time import perf_counter

import aiohttp
from aiohttp import web

from ridethrough.site import Lane
from tests.bridge.api.harness import CONFIG, LIMITS, POINTS, World, running

CHANGES = 1000
"""Single changes timed one by one."""
ROUNDS = 60
"""Changes of everything at once."""
MODULES = 512
CLIENTS = 8


async def raw_subscriber(url: str, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
    """Connect and subscribe without looking closely: the client must not be what is measured."""
    socket = await session.ws_connect(f"{url}/ws", max_msg_size=0)
    await socket.receive()
    await socket.send_str('{"type":"auth","token":"admin","api":1}')
    await socket.receive()
    await socket.send_str('{"type":"subscribe","events_after":null}')
    await socket.receive()
    return socket


@asynccontextmanager
async def plain(session: aiohttp.ClientSession) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Connect to a WebSocket that sends back what it is sent; `say` has it send something unasked."""

    async def echo(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False, max_msg_size=0)
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    async with session.ws_connect(f"http://{host}:{port}/", max_msg_size=0) as socket:
        yield socket
    await runner.cleanup()


async def timed(count: int, one: Callable[[int], Awaitable[object]]) -> list[float]:
    """Milliseconds that each of `count` runs took."""
    times = []
    for number in range(count):
        began = perf_counter()
        await one(number)
        times.append((perf_counter() - began) * 1000)
    return times


def percentiles(times: list[float]) -> tuple[float, float]:
    """Return the median and the 99th of a hundred."""
    cuts = quantiles(times, n=100)
    return cuts[49], cuts[98]


class Stall:
    """The longest time, in ms, that the event loop did not come round."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._last = perf_counter()

    def forget(self) -> None:
        """Begin anew; what was until now does not count."""
        self.worst, self._last = 0.0, perf_counter()

    async def watch(self) -> None:
        """Look as often as the loop allows."""
        while True:
            await asyncio.sleep(0)
            now = perf_counter()
            self.worst, self._last = max(self.worst, (now - self._last) * 1000), now


class Garbage:
    """The longest time, in ms, that Python needed to collect garbage: no code of ours runs meanwhile."""

    worst = 0.0
    _began = 0.0

    @classmethod
    def note(cls, phase: str, _: dict[str, int]) -> None:
        """Take the time of one collection."""
        if phase == "start":
            cls._began = perf_counter()
        else:
            cls.worst = max(cls.worst, (perf_counter() - cls._began) * 1000)


async def stalls(world: World, lanes: list[Lane], clients: int) -> list[float]:
    """Change everything a few times while clients in another process read; the longest stall of each time in ms.

    Posting is the site's work and does not count.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __spec__.name, world.url, str(clients), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    stall = Stall()
    watching = asyncio.create_task(stall.watch())
    worst = []
    for number in range(20):
        with world.site.transaction():
            for lane in lanes:
                lane.post(dict.fromkeys(POINTS, float(number + 1000)))
        stall.forget()
        await asyncio.sleep(0.05)
        worst.append(stall.worst)
    watching.cancel()
    process.terminate()
    await process.wait()
    return sorted(worst)


async def read_for_ever(url: str, clients: int) -> None:
    """Be so many clients that do nothing but read."""
    async with aiohttp.ClientSession() as session:
        sockets = [await raw_subscriber(url, session) for _ in range(clients)]
        print("ready", flush=True)

        async def read(socket: aiohttp.ClientWebSocketResponse) -> None:
            async for _ in socket:
                pass

        await asyncio.gather(*map(read, sockets))


async def latency(folder: Path) -> None:
    """Time one change from the site to a subscribed client."""
    async with running(folder, limits=replace(LIMITS, tick=0.0)) as world, aiohttp.ClientSession() as session:
        socket = await raw_subscriber(world.url, session)
        text = ""

        async def change(number: int) -> None:
            nonlocal text
            world.lane.post({"battery.charge": float(number % 100)})
            text = (await socket.receive()).data

        await timed(100, change)
        ours = percentiles(await timed(CHANGES, change))
        async with plain(session) as other:

            async def echo(number: int) -> None:
                await other.send_str(text)
                await other.receive()

            await timed(100, echo)
            theirs = percentiles(await timed(CHANGES, echo))
        await socket.close()
    print(f"one change to one client       p50 {ours[0]:7.3f} ms   p99 {ours[1]:7.3f} ms   ({len(text)} bytes)")
    print(f"  plain echo of the same bytes p50 {theirs[0]:7.3f} ms   p99 {theirs[1]:7.3f} ms")
    print(f"  ratio                        p50 {ours[0] / theirs[0]:7.2f}      p99 {ours[1] / theirs[1]:7.2f}")


async def everything(folder: Path, clients: int) -> None:
    """Change 512 modules with six points each at once, and time until every client has it."""
    async with running(folder, CONFIG, replace(LIMITS, tick=0.0)) as world, aiohttp.ClientSession() as session:
        lanes = world.fill(MODULES)
        sockets = [await raw_subscriber(world.url, session) for _ in range(clients)]
        text = ""
        posting = 0.0

        async def change(number: int) -> None:
            nonlocal text, posting
            began = perf_counter()
            with world.site.transaction():
                for lane in lanes:
                    lane.post(dict.fromkeys(POINTS, float(number + 1)))
            posting = max(posting, (perf_counter() - began) * 1000)
            for socket in sockets:
                text = (await socket.receive()).data

        await timed(5, change)
        ours = percentiles(await timed(ROUNDS, change))
        for socket in sockets:
            await socket.close()
        stall = await stalls(world, lanes, clients)
        async with plain(session) as other:

            async def echo(number: int) -> None:
                for _ in range(clients):
                    await other.send_str(text)
                    await other.receive()

            await timed(5, echo)
            theirs = percentiles(await timed(ROUNDS, echo))
    print(f"{MODULES * 6} values to {clients} client(s)      p50 {ours[0]:7.2f} ms   p99 {ours[1]:7.2f} ms   ", end="")
    print(f"({len(text)} bytes; posting takes up to {posting:.1f} ms of it)")
    print(f"  deltas per second            {1000 * clients / ours[0]:7.0f}")
    print(f"  plain echo of the same bytes p50 {theirs[0]:7.2f} ms   p99 {theirs[1]:7.2f} ms")
    print(f"  ratio                        p50 {ours[0] / theirs[0]:7.2f}      p99 {ours[1] / theirs[1]:7.2f}")
    print(f"  longest stall of the loop    p50 {stall[len(stall) // 2]:7.2f} ms   worst {stall[-1]:.2f} ms   ", end="")
    print(f"(clients in another process; posting not counted; collecting garbage takes up to {Garbage.worst:.2f} ms)")


async def snapshots(folder: Path) -> None:
    """Time a subscription to 512 modules, and how long the event loop is held up by it."""
    async with running(folder) as world, aiohttp.ClientSession() as session:
        lanes = world.fill(MODULES)
        socket = await raw_subscriber(world.url, session)

        async def subscribe(number: int) -> None:
            lanes[0].post({"ups.load": float(number)})
            await socket.send_str('{"type":"subscribe","events_after":null}')
            while b'"type":"snapshot"' not in (await socket.receive()).data.encode()[:40]:
                pass

        await timed(3, subscribe)
        p50, p99 = percentiles(await timed(20, subscribe))
        stall = Stall()
        watching = asyncio.create_task(stall.watch())
        for number in range(10):
            await subscribe(number + 1000)
        watching.cancel()
        await socket.close()
    print(f"snapshot of {MODULES * 6} values        p50 {p50:7.2f} ms   p99 {p99:7.2f} ms")
    print(f"  longest stall of the loop    {stall.worst:7.2f} ms, the client's reading included")


async def main() -> None:
    """Measure and print."""
    gc.callbacks.append(Garbage.note)
    with tempfile.TemporaryDirectory() as folder:
        await latency(Path(folder))
        for clients in (1, CLIENTS):
            await everything(Path(folder), clients)
        await snapshots(Path(folder))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        asyncio.run(read_for_ever(sys.argv[1], int(sys.argv[2])))
    else:
        asyncio.run(main())
