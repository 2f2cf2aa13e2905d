"""How much of a 115,200 baud line the module bus uses, and what of a core the link and the site cost, with 512 modules.

Run it with `scripts/bench bench_module_bus`, or alone: `python -m tests.bench.bench_module_bus`. The modules are
another process that keeps the time of the line: each answer is given when its characters would have passed.
"""

import argparse
import asyncio
import json
import os
import pty
import random
import resource
import select
import sys
import time
import tty

from ridethrough.battery.bus import Pace
from ridethrough.battery.layout import Layout
from ridethrough.catalogue import load_catalogue
from ridethrough.clock import SystemClock
from ridethrough.links import LinkContext, LinkRunner, open_link
from ridethrough.links.base import Credentials, Link
from ridethrough.links.module_bus.frames import GROUP, READING, sealed
from ridethrough.links.ports import SerialPorts
from ridethrough.site import Commands, Device, DeviceId, Site, keep_expiring

BAUD = 115_200
CHARACTER = 10 / BAUD
GOAL = 85.0
"""Per cent of the line."""
_LOOK = 0.005
"""Seconds between two looks at the loop's punctuality."""


def modules(count: int, silent: set[int]) -> None:
    """Be the modules: print the name of the port, then the characters that have passed for each line that is read."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    print(os.ttyname(slave), flush=True)
    voltages = [13500 + random.randrange(-40, 40) for _ in range(count + 1)]
    passed = 0
    rest = b""
    while True:
        ready, _, _ = select.select([master, sys.stdin], [], [])
        if sys.stdin in ready:
            if not sys.stdin.readline():
                return
            print(json.dumps([passed, time.monotonic()]), flush=True)
        if master not in ready:
            continue
        rest += os.read(master, 4096)
        arrived = time.perf_counter()
        while len(rest) >= 4:
            length = 7 + rest[4] if rest[1] == 68 and len(rest) > 4 else {103: 6}.get(rest[1], 7)
            if len(rest) < length:
                break
            request, rest = rest[:length], rest[length:]
            passed += length
            at = arrived + (length + 2) * CHARACTER
            if request[1] in (65, 66, 67):
                first, many = int.from_bytes(request[2:4]), request[4]
                answers = [_answer(request[1], number, voltages) for number in range(first, first + many)]
                for number, answer in enumerate(answers, first):
                    at += len(answer) * CHARACTER
                    if number not in silent:
                        _wait(at)
                        os.write(master, answer)
                        passed += len(answer)
                    at += 2 * CHARACTER


def _answer(function: int, number: int, voltages: list[int]) -> bytes:
    voltage = voltages[number] + random.choice((-1, 0, 0, 1))
    name = number.to_bytes(2)
    if function == 66:
        return sealed(66, name + voltage.to_bytes(2))
    if function == 67:
        return sealed(67, name + bytes((12, 2, 1, 3, 4)) + (number * 7).to_bytes(4) + b"\1")
    body = READING.pack(number, 0, voltage, 235 + random.choice((0, 0, 0, 1)), 520, 10)[2:-2]
    return sealed(65, body)


def _wait(until: float) -> None:
    left = until - time.perf_counter()
    if left > 0.0002:
        time.sleep(left - 0.0001)
    while time.perf_counter() < until:
        pass


async def measure(title: str, count: int, seconds: float, *, pace: Pace, silent: str = "") -> float:
    """Run the link on the line, print what it uses and costs, and return the per cent of the line."""
    command = [sys.executable, "-m", "tests.bench.bench_module_bus", "--peer", str(count), "--silent", silent]
    peer = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    assert peer.stdin is not None
    assert peer.stdout is not None
    path = (await peer.stdout.readline()).decode().strip()
    clock = SystemClock()
    site = Site(load_catalogue(), clock)
    context = LinkContext(clock, SerialPorts(clock), layout=Layout.of([count // 4] * 4))
    link: Link = open_link(f"module_bus:{path}", Credentials(), context)
    changes = points = 0

    def observe(change: object) -> None:
        nonlocal changes, points
        changes += 1
        points += len(change.points)  # type: ignore[attr-defined]  # it is a Change

    device = Device(DeviceId("battery"), "battery-1", "battery_system", "Battery")
    runner = LinkRunner(link, device, site, Commands(site), clock, granted=frozenset(), mint=DeviceId)
    running = [asyncio.create_task(runner.run()), asyncio.create_task(keep_expiring(site, clock))]
    assert link.bus is not None
    await asyncio.sleep(6.0)
    link.bus.equalise(dict.fromkeys(range(1, count + 1), 10))
    link.bus.pace(pace)
    await asyncio.sleep(2.0)
    site.observe(observe)

    async def passed() -> tuple[int, float]:
        assert peer.stdin is not None
        assert peer.stdout is not None
        peer.stdin.write(b"\n")
        characters, at = json.loads(await peer.stdout.readline())
        return characters, at

    before, began = await passed()
    used, stall = _used(), 0.0
    end = time.monotonic() + seconds
    while (now := time.monotonic()) < end:
        await asyncio.sleep(_LOOK)
        stall = max(stall, time.monotonic() - now - _LOOK)
    used = _used() - used
    after, ended = await passed()
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    peer.stdin.close()
    await peer.wait()
    took = ended - began
    share = 100 * (after - before) * CHARACTER / took
    print(
        f"  {title:<34} {share:5.1f} % of the line, {100 * used / took:5.1f} % of a core, longest stall "
        f"{stall * 1000:4.1f} ms, {changes / took:4.1f} revisions/s, {points / took:6.0f} points/s"
    )
    return share


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def main(seconds: float) -> None:
    """Measure the ways to scan."""
    print(f"512 modules at {BAUD} baud; groups of {GROUP}")
    share = await measure("everything", 512, seconds, pace=Pace.NORMAL)
    print(f"  {'reached' if share >= GOAL else 'MISSED'}: at least {GOAL:g} % when everybody answers")
    await measure("voltages alone (80 % at most)", 512, seconds, pace=Pace.VOLTAGE)
    await measure("everything, modules 128 and 300 silent", 512, seconds, pace=Pace.NORMAL, silent="128,300")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--silent", default="", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=10.0, help="how long each is measured")
    options = parser.parse_args()
    if options.peer is not None:
        modules(options.peer, {int(number) for number in options.silent.split(",") if number})
    else:
        asyncio.run(main(options.seconds))
