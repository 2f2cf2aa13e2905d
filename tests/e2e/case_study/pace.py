"""The time of the story, which passes as quickly as whoever tells it wants; the same in all of its processes.

It lives in a small file that each process maps into its memory: the moment of the machine's monotonic clock, the moment
of the story, and how many seconds of the story pass in one of ours since then.
"""

import asyncio
from datetime import UTC, datetime, timedelta
import mmap
from pathlib import Path
import struct
import time
from typing import Self

_LAYOUT = struct.Struct("=Qddddd")
"""Number of the change, seconds of the machine, seconds of the story, the factor, UTC of the story's second 0, and again
the number as a float: a reader that catches a change half done sees two different ones."""
SLICE = 0.05
"""Real seconds after which a sleeper looks whether time has become quicker."""

_monotonic = time.monotonic


class Pace:
    """Reads the time of the story, and changes its speed."""

    def __init__(self, path: Path) -> None:
        """Map the file, which `create` has made."""
        self.path = path
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _LAYOUT.size)

    @classmethod
    def create(cls, path: Path, factor: float = 1.0) -> Self:
        """Begin a story now."""
        path.write_bytes(_LAYOUT.pack(0, _monotonic(), 0.0, factor, time.time(), 0.0))
        return cls(path)

    @property
    def factor(self) -> float:
        """Seconds of the story in one of ours."""
        return self._read()[2]

    @factor.setter
    def factor(self, factor: float) -> None:
        """Let time pass at another speed from now on. Only one process may do this."""
        number = _LAYOUT.unpack_from(self._memory)[0] + 1
        began = self._read()[3]
        self._memory[: _LAYOUT.size] = _LAYOUT.pack(number, _monotonic(), self.now(), factor, began, float(number))

    def now(self) -> float:
        """Return the seconds of the story so far."""
        real, story, factor, _ = self._read()
        return story + (_monotonic() - real) * factor

    def utc(self) -> datetime:
        """Return what the wall clocks of the story show."""
        return datetime.fromtimestamp(self._read()[3], UTC) + timedelta(seconds=self.now())

    def second(self, moment: datetime) -> float:
        """Return the second of the story at which its wall clocks showed this."""
        return moment.timestamp() - self._read()[3]

    def _read(self) -> tuple[float, float, float, float]:
        while True:
            number, real, story, factor, began, again = _LAYOUT.unpack_from(self._memory)
            if float(number) == again:
                return real, story, factor, began


class QuickClock:
    """A `ridethrough.clock.Clock` that goes by the time of the story."""

    def __init__(self, pace: Pace) -> None:
        """Go by `pace`."""
        self._pace = pace

    def monotonic(self) -> float:
        """Seconds of the story."""
        return self._pace.now()

    def utc(self) -> datetime:
        """Return the wall clock of the story."""
        return self._pace.utc()

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds of the story, also when they become shorter in between."""
        end = self._pace.now() + seconds
        while True:
            left = (end - self._pace.now()) / self._pace.factor
            await asyncio.sleep(max(0.0, min(left, SLICE)))
            if left <= SLICE:
                return


__all__ = ["Pace", "QuickClock"]
