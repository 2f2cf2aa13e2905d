"""An outage in a process that is killed again and again, at any point of its writing, until it has come to the end.

Run as a program with a folder, a number of kills and a seed, it prints one line of JSON for each outage: what was
done, and what the store knows of it. Children are forked, so that a kill costs milliseconds and not an interpreter.
"""

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
import json
import os
from pathlib import Path
import random
import signal
import sys

from ridethrough.config.actions import Action, AgentAction, LogAction, MailAction, WakeOnLanAction
from ridethrough.config.jobs import Edge, JobsConfig, Timing
from ridethrough.events.steps import Occasion

from .models import job
from .rig import Done, Rig, running, wrap_journal, wrap_steps

JOBS = (
    job("mail", Timing.AT_ONCE, action=MailAction(text="power has failed")),
    job("relay", Timing.AT_ONCE, action=AgentAction(verb="execute", program="x")),
    job("note", Timing.AFTER, 0.02, action=LogAction(text="x")),
    job("shutdown", Timing.ON_BATTERY, 0.03, action=AgentAction(verb="shutdown")),
    job("last", Timing.REMAINING, 600, action=AgentAction(verb="shutdown")),
    job("repeat", Timing.EVERY, 1, action=AgentAction(verb="shutdown")),
    job("clear", Timing.AT_ONCE, on=Edge.CLEARED, action=MailAction(text="power is back")),
    job("wake", Timing.AFTER, 0.02, on=Edge.CLEARED, action=WakeOnLanAction(macs=("00:11:22:33:44:55",))),
)
OUTAGE = {f"job:{name}" for name in ("mail", "relay", "note", "shutdown", "last", "repeat")}
RETURN = {"job:clear", "job:wake"}
CONFIG = JobsConfig(jobs=JOBS)
POINTS = 76
"""About as many as one undisturbed outage has."""
LONGEST = 0.8
"""Seconds after which it is killed at the latest, where that goes by time; an undisturbed outage takes about as long."""
KILLED = (-signal.SIGKILL, -signal.SIGALRM)


def points(kill_at: int) -> Callable[[], None]:
    """Count the points that are passed, and end the process at one of them as a power failure would."""
    passed = 0

    def point() -> None:
        nonlocal passed
        passed += 1
        if passed == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    return point


def write(path: Path, line: str) -> None:
    """Append a line that is on the disk when this returns."""
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
        file.flush()
        os.fsync(file.fileno())


def lines(path: Path) -> list[list[object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


async def live(folder: Path, kill_at: int, kill_after: float) -> None:
    """Be the bridge in the outage that `folder` tells of, to its end or until killed."""
    # Nobody handles this signal, so it ends the process as abruptly as SIGKILL, in the middle of whatever it does.
    signal.setitimer(signal.ITIMER_REAL, kill_after)
    point = points(kill_at)
    world, record = folder / "world", folder / "done"

    def perform(_: Action, occasion: Occasion) -> None:
        point()
        event = 0 if occasion.event is None else occasion.event.seq
        write(record, json.dumps([occasion.origin, event, occasion.retry]))
        point()

    def around(_name: str, _done: bool) -> None:
        point()

    done = Done(act=perform)
    async with running(
        folder / "store.db", CONFIG, done, steps=wrap_steps(around), journal=wrap_journal(around), connected=False
    ) as rig:
        phase = len(lines(world))
        if phase == 0:
            rig.power(on=True, runtime=900)
            phase = enter(world)
        if phase == 1:
            rig.power(on=False, runtime=500)
            await settled(rig, record, OUTAGE)
            phase = enter(world)
        rig.power(on=True)
        await settled(rig, record, RETURN)


def enter(world: Path) -> int:
    write(world, "[]")
    return len(lines(world))


async def settled(rig: Rig, record: Path, origins: set[str]) -> None:
    """Wait until all of these have been done, and the store knows it."""
    async with asyncio.timeout(10):
        while not origins <= {line[0] for line in lines(record)} or rig.executor.busy or rig.recorder.waiting:
            await asyncio.sleep(0.002)


def in_child(work: Callable[[], None]) -> int:
    """Fork, and return how the child ended: 0, or less than 0 when it was killed."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            sys.stderr.flush()
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def run(work: Callable[..., Coroutine[None, None, None]], *args: object) -> None:
    asyncio.run(work(*args))


async def tell(folder: Path, ends: list[int]) -> None:
    """Print what was done in an outage that is over, and what a bridge that starts now makes of it."""
    async with running(folder / "store.db", CONFIG, connected=False) as rig:
        steps = await rig.store.steps.of("", 1000)
        found = {
            "done": lines(folder / "done"),
            "steps": [[step.key, step.state.value] for step in steps],
            "unfinished": len(await rig.store.steps.unfinished()),
            "again": rig.done.origins,
            "ends": ends,
        }
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def main(folder: Path, kills: int, seed: int) -> None:
    """Go through outages until the process has been killed so often."""
    chance = random.Random(seed)
    killed = outage = 0
    while killed < kills:
        place = folder / str(outage)
        place.mkdir()
        ends: list[int] = []
        while not ends or ends[-1] in KILLED:
            kill_at, kill_after = 0, 0.0
            match outage % 3:
                case 0:  # each point in turn
                    kill_at = 1 + (killed + len(ends)) % POINTS
                case 1:
                    kill_at = chance.randint(1, POINTS)
                case _:  # at any moment
                    kill_after = chance.uniform(0.02, LONGEST)
            ends.append(in_child(partial(run, live, place, kill_at, kill_after)))
        killed += len(ends) - 1

        if in_child(partial(run, tell, place, ends)):
            raise SystemExit(1)
        outage += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
