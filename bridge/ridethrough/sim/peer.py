"""The far end of a serial conversation: takes requests off the line, answers them one by one, faults included."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
import time

from .exchange import Exchanges
from .line import SOUND, LineFaults, spoil
from .pty import PtyLine

END = b"\r"
_LONGEST_REQUEST = 64
_WAITING = 4
"""Requests that may wait; a UPS has a small buffer and forgets what does not fit."""
_GARBAGE_EVERY = 0.02


class SerialPeer:
    """Answers requests that end in a carriage return."""

    def __init__(
        self,
        answer: Callable[[bytes], bytes],
        *,
        link: Path | None = None,
        baud: int | None = 2400,
        seed: int = 1,
    ) -> None:
        """`answer` gets a request without its end and gives the whole answer, or nothing: b""."""
        self._answer = answer
        self.line = PtyLine(self._take, link=link, baud=baud)
        self.faults: LineFaults = SOUND
        self.exchanges = Exchanges()
        self.requests = 0
        """Requests taken up."""
        self.ignored = 0
        """Requests that came while too many waited, or that were too long."""
        self._chance = Random(seed)
        self._plugged = True
        self._open = False
        self._buffer = b""
        self._waiting: asyncio.Queue[tuple[bytes, float]] = asyncio.Queue(_WAITING)

    @property
    def where(self) -> str | None:
        """The name under which clients open the line; None while it is unplugged."""
        return None if self.line.path is None else str(self.line.path)

    @property
    def plugged(self) -> bool:
        """Whether there is a line at all."""
        return self.line.plugged

    @property
    def lost_bytes(self) -> int:
        """Bytes that nobody fetched."""
        return self.line.lost_bytes

    def look(self) -> None:
        """Tell nothing: it speaks when it is asked."""

    def open(self) -> None:
        """Offer the line, unless it is to begin unplugged. Raises OSError when its name is taken."""
        self._open = True
        self.set_plugged(self._plugged)

    def close(self) -> None:
        """Take the line away."""
        self._open = False
        self._unplug()

    async def run(self) -> None:
        """Answer until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._serve())
            tasks.create_task(self._flood())

    def set_plugged(self, plugged: bool) -> None:
        """Pull the cable or put it back; before `open` it says how to begin."""
        self._plugged = plugged
        if not plugged:
            self._unplug()
        elif self._open:
            self.line.plug()

    def _unplug(self) -> None:
        """Hang up; what was on its way is gone."""
        self.line.unplug()
        self._buffer = b""
        while not self._waiting.empty():
            self._waiting.get_nowait()

    def _take(self, data: bytes) -> None:
        now = time.time()
        *requests, self._buffer = (self._buffer + data).split(END)
        if len(self._buffer) > _LONGEST_REQUEST:
            self.ignored += 1
            self._buffer = b""
        for request in requests:
            if not request:
                continue
            if len(request) > _LONGEST_REQUEST or self._waiting.full():
                self.ignored += 1
                continue
            self._waiting.put_nowait((request, now))

    async def _serve(self) -> None:
        while True:
            request, received_at = await self._waiting.get()
            plug = self.line.plugs
            self.requests += 1
            # The request takes its time on the wire, too.
            await asyncio.sleep(self.line.line_time(len(request) + len(END)) + self.faults.delay)
            if not self.line.plugged or self.line.plugs != plug:
                continue
            answer = self._answer(request)
            if self.faults.silent:
                answer = b""
            else:
                answer = spoil(answer, self.faults, self._chance)
                if self.faults.echo:
                    answer = request + END + answer
            t_last_byte = await self.line.write(answer)
            self.exchanges.add(request, answer, received_at, t_last_byte)

    async def _flood(self) -> None:
        while True:
            await asyncio.sleep(_GARBAGE_EVERY)
            if self.faults.flood and self.line.plugged:
                await self.line.write(self._chance.randbytes(16))
