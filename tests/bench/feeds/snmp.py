"""Our SNMP agent against Debian's snmpd: requests a second, and walks of a table of 512 rows and 3,072 values.

Run it with `scripts/bench feeds`, or alone: `scripts/bench feeds snmp`. It takes about a minute. Both agents
are processes of their own and are asked by the same programs in turn. What snmpd serves by pass_persist is asked from
a script for each value, which is how such a table gets into snmpd without C; what it serves of its own is in C.
"""

import argparse
import asyncio
from collections.abc import Awaitable, Callable
import gc
import os
from pathlib import Path
import shutil
import socket
from statistics import median
import sys
import tempfile
import time

from ridethrough.config.feeds import SnmpCommunity
from ridethrough.sim.snmp_message import Pdu
from tests.bridge.feeds.rig import a_world
from tests.bridge.feeds.snmp.agents import (
    COLUMNS,
    PASSWORD,
    SECRET,
    SYS_UPTIME,
    TABLE,
    config,
    fill,
    question,
    serving,
    user,
    wide_table,
)
from tests.peers.snmpd import AUTH_PASSPHRASE, PRIVACY_PASSPHRASE, READ, Snmpd, V3User

ROWS = 512
VALUES = ROWS * len(COLUMNS)
BUDGET, GOAL, STALL = 0.5, 0.15, 20.0
"""Seconds for a bulk walk of the table, and milliseconds (the design, section 9)."""
_AT_ONCE = 16
"""Requests under way at once."""
_ENVIRONMENT = os.environ | {"MIBS": "", "SNMPCONFPATH": "/nowhere"}
_SYS_UPTIME = question(Pdu.GET, SYS_UPTIME, community=READ).encode()
_V2C = ["-v2c", "-c", READ]


async def _process(*arguments: str) -> tuple[float, int]:
    """Run a program; gives the seconds it took, and how many lines it wrote."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=_ENVIRONMENT
    )
    out, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return time.perf_counter() - began, out.count(b"\n")


async def walk(program: str, port: int, who: list[str], root: str, times: int = 5) -> float:
    """Walk, and give the median of the seconds that it takes."""
    taken = []
    for _ in range(times):
        seconds, lines = await _process(program, *who, "-On", "-r0", "-t20", f"127.0.0.1:{port}", root)
        assert lines >= VALUES, f"{lines} values instead of {VALUES}"
        taken.append(seconds)
    return median(taken)


async def gets(port: int, seconds: float = 2.0) -> float:
    """Ask for sysUpTime again and again, some at once; gives answers a second."""
    loop = asyncio.get_running_loop()
    answered = 0
    until = time.perf_counter() + seconds

    async def ask() -> None:
        nonlocal answered
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.setblocking(False)
            asker.connect(("127.0.0.1", port))
            while time.perf_counter() < until:
                await loop.sock_sendall(asker, _SYS_UPTIME)
                assert await asyncio.wait_for(loop.sock_recv(asker, 2000), 5.0)
                answered += 1

    await asyncio.gather(*(ask() for _ in range(_AT_ONCE)))
    return answered / seconds


async def serve() -> None:
    """Be our agent until standard input ends; prints its port, and in the end the longest stall of its loop, ms."""
    worst = 0.0

    async def watch() -> None:
        nonlocal worst
        while True:
            due, used = time.perf_counter() + 0.002, time.thread_time()
            await asyncio.sleep(0.002)
            # What the machine gives to others makes a loop late, too, but is not its own doing.
            worst = max(worst, min(time.perf_counter() - due, time.thread_time() - used))

    with tempfile.TemporaryDirectory() as folder:
        async with a_world(Path(folder)) as world:
            world.ups()
            fill(world, ROWS, amount=230.4)
            chosen = config(communities=(SnmpCommunity(READ),), users=(user("sha256", "aes"),))
            async with serving(world, chosen, (wide_table(),)) as agent:
                # As the bridge does once it runs.
                gc.collect()
                gc.freeze()
                watching = asyncio.create_task(watch())
                print(agent.port, flush=True)
                await asyncio.to_thread(sys.stdin.read)
                watching.cancel()
    print(f"{worst * 1000:.1f}", flush=True)


async def _ours(measure: Callable[[int], Awaitable[None]]) -> float:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.feeds.snmp", "--serve"),
        cwd=Path(__file__).parents[3],
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await measure(int(await process.stdout.readline()))
    said, _ = await process.communicate()
    return float(said)


async def main() -> None:
    """Measure both, and print."""
    if any(shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None for program in ("snmpd", "snmpwalk")):
        print("SNMP: not measured, snmpd and snmpwalk are not installed")
        return
    ours: dict[str, float] = {}
    theirs: dict[str, float] = {}
    by_v3 = _by_v3(user("sha256", "aes").name, PASSWORD, SECRET)

    async def measure(port: int) -> None:
        ours["GET"] = await gets(port)
        ours["walk"] = await walk("snmpwalk", port, _V2C, TABLE, 3)
        ours["bulk walk"] = await walk("snmpbulkwalk", port, _V2C, TABLE)
        ours["bulk walk by v3"] = await walk("snmpbulkwalk", port, by_v3, TABLE)

    stall = await _ours(measure)
    rows = {
        f"{TABLE}.{column}.{row}": ("integer", "2304")
        for column in range(1, len(COLUMNS) + 1)
        for row in range(1, ROWS + 1)
    }
    with tempfile.TemporaryDirectory() as folder:
        async with Snmpd(Path(folder), rows) as snmpd:
            theirs["GET"] = await gets(snmpd.port)
            theirs["walk"] = await walk("snmpwalk", snmpd.port, _V2C, TABLE, 1)
            theirs["bulk walk"] = await walk("snmpbulkwalk", snmpd.port, _V2C, TABLE, 3)
            by_v3 = _by_v3(V3User("SHA-256", "AES").name, AUTH_PASSPHRASE, PRIVACY_PASSPHRASE)
            theirs["bulk walk by v3"] = await walk("snmpbulkwalk", snmpd.port, by_v3, TABLE, 1)
    print(f"SNMP: {ROWS} rows, {VALUES} values    ours         snmpd        ratio")
    print(
        f"  GET, {_AT_ONCE} at once, answers/s      {ours['GET']:8.0f}     {theirs['GET']:8.0f}     {ours['GET'] / theirs['GET']:6.2f}"
    )
    for name in ("walk", "bulk walk", "bulk walk by v3"):
        print(f"  {name + ', s':<28} {ours[name]:8.3f}     {theirs[name]:8.3f}     {theirs[name] / ours[name]:6.2f}")
    print(f"  budget for the bulk walk     {ours['bulk walk']:.3f} of {BUDGET:g} s (goal {GOAL:g} s)")
    print(f"  longest stall of our making  {stall:.1f} of {STALL:g} ms")


def _by_v3(name: str, password: str, secret: str) -> list[str]:
    return ["-v3", "-l", "authPriv", "-u", name, "-a", "SHA-256", "-A", password, "-x", "AES", "-X", secret]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help="be the agent that is measured")
    asyncio.run(serve() if parser.parse_args().serve else main())
