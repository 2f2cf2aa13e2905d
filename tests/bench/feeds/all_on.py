"""All feeds on with 512 modules changing every second: what that takes of a core and of memory, and how late the loop is.

The bridge runs in a process of its own; its clients do not count. The same bridge without feeds is the reference.
"""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib.util import find_spec
import json
import sys
from typing import Any

from ridethrough.assembly.feeds import KINDS

from .bridge import LOOK, MODULES, SECONDS
from .clients import CLIENTS, Heard, syslog

CPU, MEMORY, STALL = 25.0, 250.0, 20.0
"""Per cent of a core, MB and milliseconds: the budgets of DESIGN §9."""


@dataclass(frozen=True, slots=True)
class Run:
    """One bridge, measured."""

    kind: str
    measured: dict[str, Any]
    heard: Heard


async def run(names: list[str]) -> Run:
    """Measure a bridge with these feeds."""
    heard: Heard = Counter()
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(syslog(heard))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bench.feeds.bridge", json.dumps(names), str(port)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            begun = json.loads(await process.stdout.readline() or "{}")
            if not begun:
                raise RuntimeError("The bridge has not begun to serve; see above.")
            clients = [asyncio.create_task(CLIENTS[name](port, heard)) for name, port in begun["ports"].items()]
            process.stdin.write(b"measure\n")
            measured = asyncio.create_task(process.stdout.readline())
            await asyncio.wait((measured, *clients), return_when=asyncio.FIRST_COMPLETED)
            for client in clients:
                client.cancel()
            for ended in await asyncio.gather(*clients, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended
            return Run(begun["kind"], json.loads(await measured), heard)
        finally:
            process.stdin.close()
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


def line(what: str, ours: float, reference: float, unit: str, budget: float | None = None) -> str:
    """Write a line of the table."""
    said = f"  {what:<36}{ours:8.1f} {unit:<3} without feeds {reference:7.1f} {unit:<3}"
    if budget is None:
        return said
    return f"{said} budget {budget:g} {unit}: {'kept' if ours < budget else 'EXCEEDED'}"


async def main() -> None:
    """Measure and print."""
    there = [name for name in KINDS if find_spec(KINDS[name].module) is not None]
    if missing := [name for name in KINDS if name not in there]:
        print(f"  not there yet, and not measured: {', '.join(missing)}")
    reference, ours = await run([]), await run(there)
    print(f"  {MODULES} devices of the kind {ours.kind}; feeds: {', '.join(there)}; {SECONDS:g} s each")
    for what, key, unit, budget in (
        ("share of a core", "cpu", "%", CPU),
        ("memory", "memory", "MB", MEMORY),
        (f"lateness of the loop, 99 % (each {1000 * LOOK:g} ms)", "late_p99", "ms", None),
        ("lateness of the loop, worst", "late_worst", "ms", STALL),
        ("  of which its own work", "work_worst", "ms", STALL),
    ):
        print(line(what, ours.measured[key], reference.measured[key], unit, budget))
    print(f"  clients heard: {', '.join(f'{count} {what}' for what, count in ours.heard.items()) or 'nothing'}")
    for name, (requests, errors, clients) in ours.measured["traffic"].items():
        print(f"  {name:<8} {requests} requests, {errors} errors, {clients} clients")
    for name, problem in ours.measured["problems"].items():
        print(f"  {name} has a problem: {problem}")


if __name__ == "__main__":
    asyncio.run(main())
