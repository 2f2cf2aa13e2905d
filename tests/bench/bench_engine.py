"""What jobs cost: a thousand that are due at once, and an event where there are very many jobs.

Run it with `scripts/bench`, or alone: `python -m tests.bench.bench_engine`. It takes a few seconds.
"""

import asyncio
import logging
from pathlib import Path
import tempfile
from time import perf_counter

from ridethrough.config.jobs import Cause, JobConfig, JobsConfig, Timing, When
from ridethrough.events.engine import Engine, Subject
from ridethrough.site import DeviceId
from tests.bridge.events.engine.models import ACT, INFORM, START, edge
from tests.bridge.events.engine.rig import running

JOBS = 1000
EVENTS = 1000


async def at_once() -> None:
    """Let jobs become due at one moment, and time until all are begun, and until all are noted as ended."""
    jobs = tuple(
        JobConfig(f"job-{number}", "x", (Cause(("ups-1",), ("on_battery",)),), ACT, When(Timing.AFTER, 0.01))
        for number in range(JOBS)
    )
    stalls = [0.0]

    async def feel() -> None:
        while True:
            before = perf_counter()
            await asyncio.sleep(0.001)
            stalls.append(perf_counter() - before - 0.001)

    with tempfile.TemporaryDirectory() as folder:
        async with running(Path(folder) / "store.db", JobsConfig(jobs=jobs), patience=10) as rig:
            feeling = asyncio.create_task(feel())
            began = perf_counter()
            rig.power(on=False)
            while len(rig.done.steps) < JOBS:
                await asyncio.sleep(0.002)
            begun = perf_counter() - began
            while rig.executor.busy:
                await asyncio.sleep(0.002)
            ended = perf_counter() - began
            feeling.cancel()
    print(f"{JOBS} jobs due at once: all begun after {begun:.2f} s, all noted as ended after {ended:.2f} s")
    print(f"longest stall of the event loop meanwhile: {1000 * max(stalls):.0f} ms")


def one_event(conditions: int) -> float:
    """Return the microseconds of one event with 50 jobs, where so many conditions have 50 each."""
    jobs = [
        JobConfig(f"{number}-{one}", "x", (Cause(("*",), (f"condition_{number}",)),), INFORM, When(Timing.AFTER, 1000))
        for number in range(conditions)
        for one in range(50)
    ]
    engine = Engine(JobsConfig(jobs=tuple(jobs)))
    events = [edge(seq, START, raised=True, key="condition_0", device=DeviceId(f"{seq}")) for seq in range(1, EVENTS)]
    began = perf_counter()
    for event in events:
        engine.happen(event, Subject(f"ups-{event.seq}"), START)
    return (perf_counter() - began) / EVENTS * 1e6


def main() -> None:
    """Print it all."""
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(at_once())
    few, many = one_event(1), one_event(200)
    print(f"an event with 50 jobs: {few:.0f} µs among 50 jobs, {many:.0f} µs among 10,000 ({many / few:.2f} times)")


if __name__ == "__main__":
    main()
