"""A battery room of 512 blocks, as real processes: how well its line is used, and what bridge and Home Assistant take.

The simulated bus is paced at 115,200 baud. Run it with `scripts/bench battery`, or `scripts/bench battery BLOCKS`.
"""

import asyncio
import os
from pathlib import Path
import sys
import tempfile
import time

import aiohttp

from scripts.demonstration.homeassistant import HomeAssistant, Seen, connected
from scripts.demonstration.process import Process
from scripts.demonstration.stack import USER, Stack

BLOCKS = 512
SECONDS = 30.0
"""For which processor time and characters are counted."""
SETTLE = 20.0
"""Seconds before that, in which all have found one another."""
CHARACTERS = 115_200 / 10
"""A second, all that the line can carry: 8 data bits, a start and a stop bit."""
LINE, BRIDGE_CPU, BRIDGE_MEMORY, SET_UP, HOME_ASSISTANT_CPU = 85.0, 25.0, 250.0, 10.0, 5.0
"""Per cent of the line; per cent of a core, MB, seconds: the budgets (DESIGN §9)."""


def processor(process: Process) -> float:
    """Return the seconds of processor time that a process has used, its threads included."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(process: Process) -> float:
    """Return the memory that a process holds at the moment, MB."""
    status = Path(f"/proc/{process.pid}/status").read_text().split("VmRSS:")[1]
    return int(status.split()[0]) / 1024


def said(what: str, figure: float, unit: str, budget: float, *, least: bool = False) -> str:
    """Write a line of the table."""
    kept = figure >= budget if least else figure < budget
    bound = "at least" if least else "under"
    return f"  {what:<44}{figure:8.1f} {unit:<4} {bound} {budget:g} {unit}: {'kept' if kept else 'MISSED'}"


async def characters(session: aiohttp.ClientSession, url: str) -> int:
    """Ask the simulator how many characters have gone over the line, both ways."""
    async with session.get(f"{url}/state") as response:
        state = await response.json()
    return sum(segment["characters"] for segment in state["segments"])


async def shown(home_assistant: HomeAssistant, blocks: int) -> None:
    """Wait until Home Assistant shows the voltage of every block."""

    def number(seen: Seen) -> bool:
        try:
            float(seen.state)
        except ValueError:
            return False
        return True

    for block in range(1, blocks + 1):
        await home_assistant.wait_for(f"sensor.battery_room_block_{block}_voltage", number, 60.0)


async def measure(stack: Stack) -> None:
    """Measure and print."""
    room = stack.room
    assert room is not None
    assert stack.battery is not None
    async with aiohttp.ClientSession() as session:
        await stack.start_simulator()
        await stack.start_battery()
        await stack.start_bridge()
        await stack.start_computers()
        await stack.start_home_assistant()
        await asyncio.sleep(SETTLE)
        idle = processor(stack.home_assistant)
        await asyncio.sleep(SETTLE)
        idle = (processor(stack.home_assistant) - idle) / SETTLE * 100.0
        empty = memory(stack.home_assistant)
        began = time.monotonic()
        await stack.add_entry()
        async with connected(stack.url, USER, stack.password) as home_assistant:
            await shown(home_assistant, room.blocks)
            took = time.monotonic() - began
        await asyncio.sleep(SETTLE)
        processes = {"bridge": stack.bridge, "home assistant": stack.home_assistant, "simulator": stack.battery}
        before = {name: processor(process) for name, process in processes.items()}
        count, at = await characters(session, room.control_url), time.monotonic()
        await asyncio.sleep(SECONDS)
        count, passed = await characters(session, room.control_url) - count, time.monotonic() - at
        shares = {name: (processor(process) - before[name]) / passed * 100 for name, process in processes.items()}
    print(f"  {room.blocks} blocks in {room.strings} strings, {SECONDS:g} s, load {os.getloadavg()[0]:.1f}")
    print(said("of the line used", 100 * count / passed / CHARACTERS, "%", LINE, least=True))
    print(said("of a core, the bridge", shares["bridge"], "%", BRIDGE_CPU))
    print(said("memory of the bridge", memory(stack.bridge), "MB", BRIDGE_MEMORY))
    print(said("until Home Assistant shows all blocks", took, "s", SET_UP))
    print(said("of a core, Home Assistant", shares["home assistant"] - idle, "%", HOME_ASSISTANT_CPU))
    print(f"  {'without the integration it takes':<44}{idle:8.1f} %")
    print(f"  {'memory of Home Assistant':<44}{memory(stack.home_assistant):8.1f} MB, before {empty:.1f} MB")
    print(f"  {'of a core, the simulator':<44}{shares['simulator']:8.1f} %")


async def main() -> None:
    """Start everything, measure, end everything."""
    blocks = int(sys.argv[1]) if len(sys.argv) > 1 else BLOCKS
    with tempfile.TemporaryDirectory(prefix="ridethrough-bench-") as folder:
        stack = Stack(Path(folder), blocks=blocks)
        try:
            await measure(stack)
        finally:
            await stack.stop()


if __name__ == "__main__":
    asyncio.run(main())
