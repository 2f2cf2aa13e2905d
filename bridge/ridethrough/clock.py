"""Time, passed in: monotonic seconds for durations, UTC for stamps."""

import asyncio
from datetime import UTC, datetime, timedelta
import heapq
import itertools
import time
from typing import Protocol


class Clock(Protocol):
    """What a service needs of time. Durations use `monotonic`, stamps use `utc`."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""

    def utc(self) -> datetime:
        """Return the wall clock, timezone-aware, in UTC; it jumps when it is set."""

    async def sleep(self, seconds: float) -> None:
        """Wait for this many seconds of this clock."""


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start."""
        return time.monotonic()

    def utc(self) -> datetime:
        """Return the machine's wall clock in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait on the event loop."""
        await asyncio.sleep(seconds)


class ManualClock:
    """A clock that moves only when told to; for tests and for accelerated simulation."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        """Start at the given instant with the monotonic clock at 0."""
        self._monotonic = 0.0
        self._utc = start
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        return self._monotonic

    def utc(self) -> datetime:
        """Return the start plus what was advanced, plus any jumps."""
        return self._utc

    def jump(self, seconds: float) -> None:
        """Set the wall clock without time passing, as a time server or a person does."""
        self._utc += timedelta(seconds=seconds)

    def tick(self, seconds: float) -> None:
        """Let time pass without giving sleepers a chance to run; for code that does not sleep.

        Raises ValueError for less than 0: time does not go back.
        """
        if seconds < 0:
            raise ValueError(f"Time does not go back by {-seconds} s.")
        self._monotonic += seconds
        self._utc += timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            _, _, sleeper = heapq.heappop(self._sleepers)
            if not sleeper.done():
                sleeper.set_result(None)

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking each sleeper at its own moment and in order."""
        await settle()
        end = self._monotonic + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            self.tick(max(0.0, self._sleepers[0][0] - self._monotonic))
            await settle()
        self.tick(max(0.0, end - self._monotonic))
        await settle()

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been advanced this far."""
        sleeper: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due = self._monotonic + max(0.0, seconds)
        heapq.heappush(self._sleepers, (due, next(self._order), sleeper))
        await sleeper


async def settle(turns: int = 20) -> None:
    """Let whatever is ready on the event loop run, without time passing."""
    for _ in range(turns):
        await asyncio.sleep(0)
