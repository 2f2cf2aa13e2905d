"""What 1,000 SNMP cards cost that one process polls every 10 s, two requests each; pysnmp beside it as the reference.

Run it with `scripts/bench`, or alone: `python -m tests.bench.bench_snmp`. It takes about two minutes.
The cards are another process. Each way to poll them gets a fresh process of its own, and the same time on the clock.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
import json
from pathlib import Path
import random
import resource
from statistics import quantiles
import sys
import time

from gufo.snmp.aio import SnmpSession
from pysnmp.hlapi.v3arch import asyncio as hlapi

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import SystemClock
from ridethrough.links import LinkContext, LinkRunner, open_link
from ridethrough.links.base import Credentials
from ridethrough.site import Commands, Device, DeviceId, Site, keep_expiring
from tests.peers.snmp_cards import ROWS, Cards
from tests.peers.snmpd_table import oid

PERIOD = 10.0
BUDGET, STALL = 15.0, 50.0
"""Per cent of a core for 1,000 cards, and milliseconds: the longest stall."""
_FAST = sorted((name for name in ROWS if 2 <= oid(name)[8] <= 6), key=oid)
_REQUESTS = (_FAST[: len(_FAST) // 2], _FAST[len(_FAST) // 2 :])
"""What is read again and again: battery, input, output, bypass, alarms."""
_LOOK = 0.005
"""Seconds between two looks at the loop's punctuality."""

type Address = tuple[str, int]


async def floor(address: Address) -> None:
    """Poll one card with gufo-snmp and nothing else: what no link on top of it can be cheaper than."""
    session = SnmpSession(address[0], address[1], timeout=2.0)
    await asyncio.sleep(random.random() * PERIOD)
    while True:
        began = time.monotonic()
        for names in _REQUESTS:
            values = await session.get_many(names)
            assert len(values) == len(names)
        await asyncio.sleep(PERIOD - (time.monotonic() - began))


async def reference(address: Address, engine: hlapi.SnmpEngine) -> None:
    """Poll one card with pysnmp."""
    target = await hlapi.UdpTransportTarget.create(address, timeout=5.0)
    community, context = hlapi.CommunityData("public"), hlapi.ContextData()
    await asyncio.sleep(random.random() * PERIOD)
    while True:
        began = time.monotonic()
        for names in _REQUESTS:
            objects = [hlapi.ObjectType(hlapi.ObjectIdentity(name)) for name in names]
            failed, status, _, rows = await hlapi.get_cmd(engine, community, target, context, *objects, lookupMib=False)
            assert not failed and not status and len(rows) == len(names), (failed, status)
        await asyncio.sleep(PERIOD - (time.monotonic() - began))


class Bridge:
    """The bridge's own way: site, runners and links, as `ridethrough run` has them."""

    def __init__(self) -> None:
        """Make a site without devices."""
        self.clock = SystemClock()
        self.site = Site(load_catalogue(), self.clock)
        self.commands = Commands(self.site)
        self.context = LinkContext.alone(self.clock)

    async def poll(self, address: Address) -> None:
        """Run the link of one card."""
        url = f"snmp://{address[0]}:{address[1]}?poll={PERIOD:g}"
        link = open_link(url, Credentials(community="public"), self.context)
        name = DeviceId(address[0])
        device = Device(name, name, "ups", name)
        runner = LinkRunner(link, device, self.site, self.commands, self.clock, granted=frozenset(), mint=DeviceId)
        await runner.run()

    async def expire(self) -> None:
        """Let readings grow old."""
        await keep_expiring(self.site, self.clock)

    def connected(self) -> int:
        """Count the cards whose link is well."""
        found = (self.site.reading(device, "link.state") for device in self.site.devices)
        return sum(reading is not None and reading.value == "connected" for reading in found)


class Punctuality:
    """How late the loop is, ms: on the clock, and by what this process itself has done meanwhile."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.late: list[float] = []
        self.own: list[float] = []

    async def watch(self) -> None:
        """Look for ever. What the machine gives to others makes a loop late, too, but is not its own doing."""
        while True:
            due, before = time.perf_counter() + _LOOK, time.thread_time()
            await asyncio.sleep(_LOOK)
            late = time.perf_counter() - due
            self.late.append(late * 1000.0)
            self.own.append(min(late, time.thread_time() - before) * 1000.0)


async def all_connected(bridge: Bridge, count: int, patience: float) -> float:
    """Wait until the links of all cards are well; gives how long that took, at most `patience`, s."""
    began = time.perf_counter()
    while bridge.connected() < count and time.perf_counter() - began < patience:
        await asyncio.sleep(0.1)
    return min(patience, time.perf_counter() - began)


async def measure(way: str, count: int, warm: float, seconds: float) -> dict[str, float]:
    """Poll so many cards in this process; gives what it has cost."""
    bridge = Bridge()
    engine = hlapi.SnmpEngine()
    ways: dict[str, Callable[[Address], Awaitable[None]]] = {
        "gufo": floor,
        "pysnmp": lambda address: reference(address, engine),
        "bridge": bridge.poll,
    }
    start, steady = Punctuality(), Punctuality()
    async with AsyncExitStack() as stack:
        cards = await stack.enter_async_context(Cards(count))
        tasks = [asyncio.ensure_future(ways[way](address)) for address in cards.addresses]
        tasks.append(asyncio.create_task(bridge.expire()))
        watching = asyncio.create_task(start.watch())
        connected = await all_connected(bridge, count, warm) if way == "bridge" else 0.0
        await asyncio.sleep(warm - connected)
        watching.cancel()
        before = await cards.requests()
        tasks.append(asyncio.create_task(steady.watch()))
        began, used = time.perf_counter(), time.process_time()
        await asyncio.sleep(seconds)
        took, used = time.perf_counter() - began, time.process_time() - used
        answered = await cards.requests() - before
        left = bridge.connected()
        for task in tasks:
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return {
        "cards": count,
        "cpu": used / took * 100.0,
        "requests": answered / took,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
        "p99": quantiles(steady.late, n=100)[98],
        "worst": max(steady.late),
        "own": max(steady.own),
        "connected": left,
        "connected_after": connected,
        "start": max(start.own),
    }


async def apart(way: str, count: int, warm: float, seconds: float) -> dict[str, float]:
    """Measure in a fresh process."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.bench_snmp", "--way", way),
        *("--cards", str(count), "--warm", str(warm), "--seconds", str(seconds)),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"{way}: the measurement failed")
    found: dict[str, float] = json.loads(printed)
    return found


def show(name: str, found: dict[str, float]) -> None:
    """Print the figures of one way."""
    print(
        f"{name:<28} {found['cards']:5.0f} cards  {found['cpu']:6.2f} % of a core  {found['requests']:6.1f} answers/s  "
        f"{found['memory']:5.0f} MB"
    )
    print(
        f"  stall of the loop          p99 {found['p99']:.1f} ms, worst {found['worst']:.1f} ms; "
        f"worst of its own making {found['own']:.1f} ms"
    )


async def main(cards: int, few: int, warm: float, seconds: float) -> None:
    """Measure each way and print."""
    ours = await apart("bridge", cards, warm, seconds)
    show("bridge: link, runner, site", ours)
    print(
        f"  connected                  {ours['connected']:.0f} of {cards}, all of them {ours['connected_after']:.1f} s after the start; "
        f"longest stall until then {ours['start']:.1f} ms"
    )
    bare = await apart("gufo", cards, PERIOD, seconds)
    show("gufo-snmp alone", bare)
    theirs = await apart("pysnmp", few, PERIOD, seconds)
    show("pysnmp alone", theirs)
    # By the answer, because an overloaded client simply asks less often than it should.
    costs = [found["cpu"] / found["requests"] * 10_000.0 for found in (ours, bare, theirs)]
    print("  CPU time per answer          " + "   ".join(f"{cost:.0f} µs" for cost in costs))
    print(f"  ratio                        pysnmp alone / bridge {costs[2] / costs[0]:.1f}   ", end="")
    print(f"bridge / gufo-snmp alone {costs[0] / costs[1]:.1f}")
    print(
        f"  budget                       {ours['cpu'] * 1000 / cards:.1f} of {BUDGET:g} % of a core for 1,000 cards, ",
        end="",
    )
    print(f"worst stall {ours['own']:.1f} of {STALL:g} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--way", choices=["bridge", "gufo", "pysnmp"], help="measure this one, here, and print JSON")
    parser.add_argument("--cards", type=int, default=1000)
    parser.add_argument("--few", type=int, default=100, help="cards for pysnmp, which bears fewer")
    parser.add_argument("--warm", type=float, default=30.0, help="seconds before it counts")
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    if given.way:
        print(json.dumps(asyncio.run(measure(given.way, given.cards, given.warm, given.seconds))))
    else:
        asyncio.run(main(given.cards, given.few, given.warm, given.seconds))
