"""Starts the bridge, or an agent, so that it goes by the time of the story.

    python -m tests.e2e.case_study.hurried PACE bridge CONFIG
    python -m tests.e2e.case_study.hurried PACE agent --config FILE run

The bridge is given another clock, as its own tests do. Its patience with the network is not hurried: how long a
connection may take is real time. An agent has no such clock, it goes by the machine's monotonic one; so here that clock
goes quickly for all of its process, and its event loop waits accordingly less. Only its patience with a handshake
and its disk is stretched, as these take as long as ever.
"""

import asyncio
from collections.abc import Sequence
import logging
from pathlib import Path
import selectors
import signal
import sys
import time
from typing import Any
from uuid import uuid4

from .pace import SLICE, Pace, QuickClock

STRETCH = 300.0
"""How much longer an agent waits for a handshake, and for its disk: as much as time is quicker at most."""


async def _bridge(pace: Pace, config: Path) -> None:
    from ridethrough.assembly.service import serve

    stop, reread = asyncio.Event(), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(config, stop, reread, QuickClock(pace))


class _HurriedSelector(selectors.DefaultSelector):
    """Waits for seconds of the story."""

    pace: Pace

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait, but no longer than until it may have become quicker."""
        if timeout is not None and timeout > 0:
            timeout = min(timeout / self.pace.factor, SLICE)
        found: list[tuple[selectors.SelectorKey, int]] = super().select(timeout)
        return found


def _agent(pace: Pace, arguments: Sequence[str]) -> int:
    _HurriedSelector.pace = pace
    moment: dict[str, Any] = {
        "monotonic": pace.now,
        "time": lambda: pace.utc().timestamp(),
        "time_ns": lambda: int(pace.utc().timestamp() * 1e9),
    }
    for name, function in moment.items():
        setattr(time, name, function)
    asyncio.events.new_event_loop = lambda: asyncio.SelectorEventLoop(_HurriedSelector())
    from ridethrough_agent import boot

    # Each start of an agent is one of its computer.
    boot.boot_identity = lambda: str(uuid4())
    from ridethrough_agent import cli, listener, memory, programs

    listener.PATIENCE *= STRETCH
    memory.PATIENCE *= STRETCH
    programs.GRACE *= STRETCH
    return cli.main(arguments)


def main() -> int:
    """Do what the command line says."""
    pace = Pace(Path(sys.argv[1]))
    if sys.argv[2] == "agent":
        return _agent(pace, sys.argv[3:])
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    asyncio.run(_bridge(pace, Path(sys.argv[3])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
