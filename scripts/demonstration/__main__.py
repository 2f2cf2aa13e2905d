"""`scripts/demo`: see and check the whole thing."""

import argparse
import asyncio
from collections.abc import Mapping
import json
from pathlib import Path
import shutil
import signal
import sys
import tempfile
import time

import aiohttp

from .battery import LEAST, MOST, Room, tell as fail
from .browser import find_chromium, picture
from .faces import FACES
from .homeassistant import HomeAssistant, HomeAssistantError, connected
from .outage import LINK_STATE, ON_BATTERY, tell
from .process import ProcessFailed
from .simulator import Simulator
from .stack import UPS, UPS_NAME, USER, Stack
from .timing import BUDGET, wire_to_state


def main() -> int:
    """Parse the arguments, run, and say how it ended."""
    parser = argparse.ArgumentParser(
        prog="scripts/demo",
        description="Start a simulated UPS, the bridge, two shutdown agents and a real Home Assistant with a dashboard, "
        "and stay until Ctrl-C.",
    )
    parser.add_argument(
        "--check", action="store_true", help="play an outage, measure, and end: non-zero if anything is missing"
    )
    parser.add_argument(
        "--nut", metavar="HOST:PORT/UPS", help="show this UPS of a running upsd instead of a simulated one"
    )
    parser.add_argument(
        "--link", choices=list(FACES), default="megatec", help="how the bridge reaches the UPS (default: megatec)"
    )
    parser.add_argument(
        "--battery",
        type=_blocks,
        default=0,
        metavar="BLOCKS",
        help="watch so many battery blocks one by one as well, 8 to 512; with --check, some of them fail",
    )
    parser.add_argument("--changes", type=int, default=100, help="changes to time with --check (default: 100)")
    parser.add_argument(
        "--picture", type=Path, metavar="FILE", help="save a picture of the dashboard during the outage"
    )
    parser.add_argument("--port", type=int, help="port of Home Assistant (default: a free one)")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="use this folder and leave it (default: a temporary one)"
    )
    arguments = parser.parse_args()
    try:
        return asyncio.run(demonstrate(arguments))
    except KeyboardInterrupt, asyncio.CancelledError:
        return 130
    except (HomeAssistantError, ProcessFailed) as error:
        print(f"\nThe demonstration failed: {error}", file=sys.stderr)
        return 1


def _blocks(text: str) -> int:
    if not text.isdecimal() or not LEAST <= int(text) <= MOST:
        raise argparse.ArgumentTypeError(f"{text} is no number of blocks from {LEAST} to {MOST}")
    return int(text)


async def demonstrate(arguments: argparse.Namespace) -> int:
    """Start everything, show or check it, end everything."""
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="ridethrough-demo-"))
    stack = Stack(folder.resolve(), upsd=arguments.nut, face=FACES[arguments.link], blocks=arguments.battery)
    if arguments.port:
        stack.http_port = arguments.port
    task = asyncio.current_task()
    assert task is not None
    # Its processes have sessions of their own: a terminal that is closed would leave them running.
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await _start(stack)
        if arguments.check and stack.room is not None:
            return await _check_battery(stack, stack.room, arguments)
        if arguments.check:
            return await (_check(stack, arguments) if arguments.nut is None else _check_nut(stack))
        await _stay(stack)
        return 0
    finally:
        await stack.stop()
        if arguments.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


async def _start(stack: Stack) -> None:
    began = time.monotonic()

    def progress(text: str) -> None:
        print(f"[{time.monotonic() - began:5.1f} s] {text}", flush=True)

    if stack.upsd is None:
        progress(f"Starting a simulated UPS {stack.face.what}")
        await stack.start_simulator()
    if stack.room is not None:
        progress(f"Starting a simulated battery room with {stack.room.blocks} blocks")
        await stack.start_battery()
    progress("Starting the bridge")
    await stack.start_bridge()
    progress("Starting Home Assistant (some ten seconds), and two computers with shutdown agents")
    await asyncio.gather(stack.start_computers(), stack.start_home_assistant())
    progress("Adding the integration through its config flow")
    await stack.add_entry()
    progress("Ready")


async def _stay(stack: Stack) -> None:
    print(f"\n  Home Assistant   {stack.url}/ridethrough-demo/ups")
    print(f"  user             {USER}\n  password         {stack.password}")
    print(f"  bridge           http://127.0.0.1:{stack.api_port}  (its log: {stack.bridge.log})")
    if stack.upsd is None:
        print("\n  Take the mains away, and give it back:")
        for mains in (False, True):
            print(f"    {_post(stack.control_url, {'mains': mains})}")
    print("\n  Before that, arm the plan on the dashboard: two computers are shut down in order, and started again.")
    if stack.room is not None:
        print(f"\n  Its batteries, block by block: {stack.url}/ridethrough-demo/batteries")
        print("  Let a block age, fall silent, run away:")
        for change in ("age", "lose", "runaway"):
            print(f"    {_post(stack.room.control_url, stack.room.example(change))}")
    print("\n  What building management sees:")
    for line in stack.feeds.told(UPS):
        print(f"    {line}")
    print("\nCtrl-C ends it.", flush=True)
    while True:
        await asyncio.sleep(1)
        for process in (stack.bridge, stack.home_assistant):
            if not process.running:
                raise ProcessFailed(f"{process.name} has ended:\n{process.tail()}")


def _need_chromium() -> None:
    if find_chromium() is None:
        raise HomeAssistantError("There is no Chromium for the picture; ./scripts/setup --peers installs one")


def _post(url: str, change: Mapping[str, object]) -> str:
    return f"curl -X POST {url}/set -H 'Content-Type: application/json' -d '{json.dumps(change)}'"


async def _check(stack: Stack, arguments: argparse.Namespace) -> int:
    async with (
        connected(stack.url, USER, stack.password) as home_assistant,
        aiohttp.ClientSession() as session,
    ):
        simulator = Simulator(session, stack.control_url)

        async def at_the_depth() -> None:
            if arguments.picture is None:
                return
            _need_chromium()
            await picture(stack, arguments.picture)
            print(f"  A picture of the dashboard is in {arguments.picture}")

        story = await tell(simulator, home_assistant, at_the_depth, measures=stack.face.measures)
        if not stack.face.timed:
            print(f"\n{story.steps} steps seen in Home Assistant, nothing missing.\nPASS")
            return 0
        print(f"Timing {arguments.changes} changes from the last byte on the line.", flush=True)
        measured = await wire_to_state(simulator, home_assistant, ON_BATTERY, arguments.changes)
    print(f"\n{story.steps} steps seen in Home Assistant, nothing missing.")
    print(f"wire to Home Assistant's state:    {measured.state}")
    print(f"wire to a client of its frontend:  {measured.client}")
    within = measured.client.quantile(0.99) < BUDGET
    print(f"{'PASS' if within else 'FAIL'}: the budget is p99 under {1000 * BUDGET:.0f} ms to the state")
    return 0 if within else 1


async def _check_battery(stack: Stack, room: Room, arguments: argparse.Namespace) -> int:
    async def look() -> None:
        if arguments.picture is not None:
            _need_chromium()
            await picture(stack, arguments.picture, "batteries", "String 1")
            print(f"  A picture of the battery room is in {arguments.picture}")

    async with connected(stack.url, USER, stack.password) as home_assistant:
        steps = await fail(room, home_assistant, look=look)
    print(f"\n{steps} steps seen in Home Assistant, nothing missing.\nPASS")
    return 0


async def _check_nut(stack: Stack) -> int:
    async with connected(stack.url, USER, stack.password) as home_assistant:
        shown = await _settled(home_assistant)
    link = shown.get(LINK_STATE)
    if link != "connected":
        raise HomeAssistantError(f"The bridge has no connection to {stack.upsd} ({link}):\n{stack.bridge.tail()}")
    for entity, state in sorted(shown.items()):
        print(f"  {entity:<56} {state}")
    print(f"PASS: {len(shown)} values of {stack.upsd} are shown in Home Assistant")
    return 0


async def _settled(home_assistant: HomeAssistant) -> Mapping[str, str]:
    """Return the UPS's entities that have a value, once their number has stopped growing."""
    slug = UPS_NAME.lower().replace(" ", "_")
    shown: dict[str, str] = {}
    for _ in range(20):
        await asyncio.sleep(1)
        now = {
            entity: f"{seen.state} {seen.attributes.get('unit_of_measurement', '')}".strip()
            for entity, seen in home_assistant.states.items()
            if f".{slug}_" in entity and seen.state not in ("unknown", "unavailable")
        }
        if shown and len(now) == len(shown):
            return now
        shown = now
    return shown


if __name__ == "__main__":
    sys.exit(main())
