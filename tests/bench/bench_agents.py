"""A thousand agents on one bridge: how soon all of them have the shutdown, and what they cost.

Run it with `scripts/bench`, or alone: `python -m tests.bench.bench_agents [AGENTS]`. It takes about a minute. The agents
live in processes of their own, each on its own loopback address, with TLS as the protocol wants it. The reference is a
bare asyncio client that sends the same frames over TLS to as many connections, and has them echoed.
"""

import asyncio
from asyncio import sslproto
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
import gc
import json
import logging
from pathlib import Path
import resource
import ssl
import sys
import tempfile
import time

from ridethrough.agents import AgentContext, Roster
from ridethrough.agents.authority import Authority, open_authority
from ridethrough.agents.pairings import Pairing, Pairings
from ridethrough.catalogue import Role
from ridethrough.clock import SystemClock
from ridethrough.config.agents import AgentConfig, AgentsConfig
from ridethrough.events.orders import Order
from ridethrough.feeds import Client
from ridethrough.site import CommandError
from tests.bridge.feeds.rig import World, a_world, free_port

AGENTS = 1000
FARMS = 2
ALIVE = 10.0
IDLE = 10.0
"""Seconds for which the bridge is watched while nothing happens."""
GOAL, STALL = 2.0, 20.0
"""Seconds until all have the shutdown, and milliseconds that the loop may stand still."""
PORTION = 50
"""Orders that are given in one turn of the event loop."""
REASON = "Power failure: 30 minutes of runtime left."
ACTOR = Client("bench", Role.ADMIN)
LOOK = 0.001


@dataclass
class Stall:
    """The most that the event loop did at a stretch, in ms."""

    worst: float = 0.0
    """Processor time: what other programs do on this computer meanwhile does not count."""
    late: float = 0.0
    """By the clock on the wall, others' work included."""

    async def watch(self) -> None:
        """Look every millisecond."""
        last, worked = time.perf_counter(), time.thread_time()
        while True:
            await asyncio.sleep(LOOK)
            now, works = time.perf_counter(), time.thread_time()
            self.worst = max(self.worst, (works - worked) * 1000)
            self.late = max(self.late, (now - last - LOOK) * 1000)
            last, worked = now, works

    def __str__(self) -> str:
        """Say it in words."""
        return f"longest stall {self.worst:.1f} ms of work ({self.late:.1f} ms with what else runs here)"


@asynccontextmanager
async def stall() -> AsyncIterator[Stall]:
    """Watch the loop meanwhile."""
    found = Stall()
    task = asyncio.create_task(found.watch())
    await asyncio.sleep(0.01)
    try:
        yield found
    finally:
        task.cancel()


def cpu() -> float:
    """Return the seconds of processor time that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def memory() -> float:
    """Return the MB that this process has in memory."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


# The agents


class FarmAgent(asyncio.Protocol):
    """One agent: answers signs of life, obeys, and notes when it was told to shut down."""

    def __init__(self, id_: str, told: dict[str, float], *, echo: bool) -> None:
        self._id = id_
        self._told = told
        self._echo = echo
        self._rest = b""
        self._session = f"{hash(id_) & (2**128 - 1):032x}"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._echo:
            self._say(
                type="hello",
                protocol=1,
                agent=self._id,
                name="computer.example",
                version="1.0.0",
                system="Linux 6.1",
                session=self._session,
                clock=time.monotonic(),
                seq=0,
                programs=[],
                state={"state": "up"},
            )

    def data_received(self, data: bytes) -> None:
        if self._echo:
            self._transport.write(data)
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))

    def _obey(self, frame: dict[str, object]) -> None:
        if frame["type"] == "ping":
            self._say(type="pong", clock=time.monotonic())
        elif frame["type"] == "command":
            state = {"shutdown": "shutting_down", "wakeup": "up"}.get(str(frame["verb"]))
            if state == "shutting_down":
                self._told[self._id] = time.monotonic()
            self._say(type="result", id=frame["id"], ok=True, message="It shuts down in 0 s.")
            if state is not None:
                self._say(type="state", state={"state": state, "since": time.monotonic()})

    def _say(self, **frame: object) -> None:
        self._transport.write(json.dumps(frame).encode() + b"\n")


async def farm() -> None:
    """Be agents: what they are comes in a line; `report` and `echo` are what may follow, until the input ends."""
    # The quarter of a megabyte that asyncio's TLS keeps for each connection is not what is measured here.
    sslproto.SSLProtocol.max_size = 16 * 1024
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 30)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    order = json.loads(await reader.readline())
    _many_files()
    told: dict[str, float] = {}
    servers = []
    with tempfile.TemporaryDirectory() as folder:
        for one in order["agents"]:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=order["ca"])
            file = Path(folder) / "papers.pem"
            file.write_text(one["papers"], encoding="ascii")
            context.load_cert_chain(file)
            for port, echo in ((order["port"], False), (order["echo"], True)):
                servers.append(
                    await loop.create_server(
                        partial(FarmAgent, one["id"], told, echo=echo), one["host"], port, ssl=context
                    )
                )
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    while line := await reader.readline():
        if line == b"report\n":
            print(json.dumps(told), flush=True)
            told.clear()


def _many_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@dataclass
class Farm:
    """The processes that the agents live in."""

    processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def report(self) -> list[float]:
        """Return when each agent was last told to shut down, sorted."""
        times: list[float] = []
        for process in self.processes:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"report\n")
            times += json.loads(await process.stdout.readline()).values()
        return sorted(times)


@asynccontextmanager
async def farms(orders: list[bytes]) -> AsyncIterator[Farm]:
    """Run one farm for each of these orders."""
    found = Farm()
    try:
        for order in orders:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", __spec__.name, "farm"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=1 << 24,
            )
            found.processes.append(process)
            assert process.stdin is not None
            process.stdin.write(order + b"\n")
            await process.stdin.drain()
        for process in found.processes:
            assert process.stdout is not None
            if await process.stdout.readline() != b"ready\n":
                raise RuntimeError("A farm has not begun; see above.")
        yield found
    finally:
        for process in found.processes:
            if process.stdin is not None:
                process.stdin.close()
            if process.returncode is None:
                process.terminate()
            await process.wait()


# The bridge


def host_of(number: int) -> str:
    """Return the address of an agent."""
    return f"127.20.{number // 250}.{number % 250 + 1}"


async def prepare(
    world: World, authority: Authority, count: int, port: int
) -> tuple[AgentsConfig, list[dict[str, str]]]:
    """Pair so many agents; returns the bridge's configuration and what the farm must know."""
    pairings = Pairings(world.store.facts)
    computers, agents = [], []
    for number in range(count):
        key = f"computer-{number}"
        id_ = world.store.identities.mint(key)
        signed = authority.agent(id_)
        await pairings.put(key, Pairing(signed.fingerprint, world.context.clock.utc()), authority.fingerprint)
        computers.append(AgentConfig(key, key, host_of(number), port, allow=frozenset({"shutdown"})))
        agents.append({"id": id_, "host": host_of(number), "papers": (signed.key + signed.certificate).decode()})
    return AgentsConfig(alive=ALIVE, computers=tuple(computers)), agents


async def burst(
    roster: Roster, farm: Farm, give: Callable[[str], Awaitable[object]], what: str
) -> tuple[list[float], float]:
    """Have all agents shut down, print what that took, and withdraw it again."""
    failures = 0

    async def one(key: str) -> None:
        nonlocal failures
        try:
            await give(key)
        except CommandError as error:
            failures += 1
            if failures == 1:
                print(f"  {error.code}: {error}")

    gc.collect()
    used, began = cpu(), time.monotonic()
    async with stall() as stood:
        giving = []
        for number, key in enumerate(roster.computers):
            giving.append(asyncio.create_task(one(key)))
            if number % PORTION == PORTION - 1:
                await asyncio.sleep(0)
        await asyncio.gather(*giving)
        answered = time.monotonic() - began
    used = cpu() - used
    times = [at - began for at in await farm.report()]
    count = len(roster.computers)
    if len(times) < count:
        print(f"  {count - len(times)} agents have NOT been told")
    if times:
        verdict = "kept" if len(times) == count and times[-1] <= GOAL else "MISSED"
        p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
        print(
            f"{what:<34} first {times[0] * 1000:6.1f} ms  p50 {p50 * 1000:6.1f} ms  p99 {p99 * 1000:6.1f} ms  "
            f"last {times[-1] * 1000:6.1f} ms  (goal {GOAL:g} s: {verdict})"
        )
    print(
        f"  all answers after {answered * 1000:.1f} ms; {used:.2f} s of a core; {stood} "
        f"(budget {STALL:g} ms: {'kept' if stood.worst < STALL else 'EXCEEDED'})"
    )
    return times, answered


async def reference(agents: list[dict[str, str]], authority: Authority, port: int) -> None:
    """Send as many frames of the same size by plain asyncio, and wait until each has come back."""
    loop = asyncio.get_running_loop()
    context = await asyncio.to_thread(authority.context)
    frame = b"x" * 330 + b"\n"
    left = len(agents)
    done = loop.create_future()

    class Echo(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set_result(None)

    began, used = time.monotonic(), cpu()
    before = memory()
    turn = asyncio.Semaphore(16)

    async def connect(agent: dict[str, str]) -> asyncio.Transport:
        async with turn:
            name = f"{agent['id']}.agent.ridethrough.internal"
            return (await loop.create_connection(Echo, agent["host"], port, ssl=context, server_hostname=name))[0]

    transports = await asyncio.gather(*map(connect, agents))
    print(
        f"reference: connect all             {time.monotonic() - began:6.2f} s; {cpu() - used:.2f} s of a core; "
        f"{memory() - before:.0f} MB for them"
    )
    gc.collect()
    used, began = cpu(), time.monotonic()
    async with stall() as stood:
        for transport in transports:
            transport.write(frame)
        await done
    took = time.monotonic() - began
    print(f"reference: echo of the same frames last {took * 1000:6.1f} ms; {cpu() - used:.2f} s of a core; {stood}")
    Result.reference = took
    for transport in transports:
        transport.abort()
    await asyncio.sleep(0)


class Result:
    """What is compared in the end."""

    reference = 0.0


async def main(count: int) -> None:
    """Measure and print."""
    logging.basicConfig(level=logging.WARNING)
    _many_files()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        clock = SystemClock()
        world = await stack.enter_async_context(a_world(folder, clock))
        authority = open_authority(folder, world.context.bridge.id, None)
        port, echo = free_port(), free_port()
        config, agents = await prepare(world, authority, count, port)
        common = {"ca": authority.pem.decode(), "port": port, "echo": echo}
        orders = [json.dumps({**common, "agents": agents[part::FARMS]}).encode() for part in range(FARMS)]
        farm = await stack.enter_async_context(farms(orders))
        del orders
        roster = Roster(
            AgentContext(
                site=world.site,
                commands=world.commands,
                clock=clock,
                facts=world.store.facts,
                bridge=world.context.bridge,
                mint=world.store.identities.mint,
                data=folder,
            )
        )
        stack.push_async_callback(roster.stop)
        gc.collect()
        before, used, began = memory(), cpu(), time.monotonic()
        async with stall() as stood:
            await roster.configure(config)
            while sum(computer.connected for computer in roster.computers.values()) < count:
                await asyncio.sleep(0.05)
                if time.monotonic() - began > 60:
                    raise RuntimeError("Not all agents could be connected to.")
        print(
            f"connect {count} agents               {time.monotonic() - began:6.2f} s; {cpu() - used:.2f} s of a core; "
            f"{stood}; {memory() - before:.0f} MB for them, {memory():.0f} MB in all"
        )
        gc.collect()
        gc.freeze()
        used = cpu()
        async with stall() as stood:
            await asyncio.sleep(IDLE)
        print(
            f"signs of life every {ALIVE:g} s           {(cpu() - used) / IDLE * 100:6.1f} % of a core, this watch "
            f"included; {stood}"
        )

        async def direct(key: str, command: str = "agent.shutdown") -> object:
            arguments = {"reason": REASON} if command == "agent.shutdown" else {}
            return await world.commands.perform(roster.computers[key].id, command, arguments)

        async def ordered(key: str) -> object:
            order = Order(roster.computers[key].id, "agent.shutdown", {"reason": REASON})
            return await world.context.orders.give(order, ACTOR)

        _, answered = await burst(roster, farm, direct, "shutdown of all, to the wire")
        await asyncio.gather(*(direct(key, "agent.wakeup") for key in roster.computers))
        await asyncio.sleep(2)
        await burst(roster, farm, ordered, "shutdown of all, journalled")
        print(f"memory after all of it             {memory():6.0f} MB")
        await roster.stop()
        await reference(agents, authority, echo)
        print(f"ratio: all answers / echo of all   {answered / Result.reference:6.2f}")


if __name__ == "__main__":
    if sys.argv[1:] == ["farm"]:
        asyncio.run(farm())
    else:
        asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else AGENTS))
