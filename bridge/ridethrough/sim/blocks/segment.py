"""One cable of the module bus at the pace of its line: a pseudo terminal at its one end, or at both ends of a ring.

Bytes are handed over in bursts of some milliseconds, as a USB adapter does, never before they are due; the last burst
of a group is on time to a fraction of a millisecond, since the master may speak again right after it.
"""

import asyncio
from collections.abc import Container, Sequence
from pathlib import Path
from random import Random
import time

from ridethrough.sim.exchange import Exchanges
from ridethrough.sim.line import SOUND, LineFaults, spoil
from ridethrough.sim.pty import PtyLine

from .answers import Answers, Bench
from .frames import CHARACTER_BITS, SILENCE, Reader, Request, frame

BAUD = 115_200
"""Of the module bus, when nothing else is agreed."""
_TURNAROUND = 3
"""Characters between a request and the first slot."""
_BURST = 0.010
"""Seconds of the line that are handed over at once."""
_ROUGH = 0.0012
"""Seconds by which the event loop may wake up late; for these the last burst of a group waits by itself."""
_GAP = 0.002
"""Seconds without a byte that count as a silence; shorter ones cannot be told apart behind a terminal."""
_WAITING = 16
"""Requests that an adapter keeps while earlier ones are on the line."""
_NOISE_EVERY = 0.02


class _End:
    """What is known of one end of the cable."""

    def __init__(self, line: PtyLine) -> None:
        self.line = line
        self.reader = Reader()
        self.heard = 0.0
        self.free = 0.0
        self.waiting: asyncio.Queue[tuple[Request, float]] = asyncio.Queue(_WAITING)


class Segment:
    """The modules of some blocks in a row, and for `boxes` the sensors and boxes, on one cable."""

    def __init__(
        self,
        bench: Bench,
        blocks: range,
        links: Sequence[Path | None],
        *,
        boxes: bool = True,
        baud: int | None = BAUD,
        seed: int = 1,
    ) -> None:
        """Offer the cable's ends under the names of `links`: one, or two for a ring. Without `baud` nothing waits."""
        self._bench = bench
        self.blocks = blocks
        self._boxes = boxes
        self._character = 0.0 if baud is None else CHARACTER_BITS / baud
        self._ends = [_End(self._offered(index, link)) for index, link in enumerate(links)]
        self._chance = Random(seed)
        self._talking: _End | None = None
        self._jammed = False
        self.cut: int | None = None
        """The block behind which the cable is broken; None: it is whole."""
        self.faults: LineFaults = SOUND
        self.exchanges = Exchanges()
        self.requests = self.ignored = self.collisions = 0
        """Requests taken up, requests that did not fit in, and times at which the master spoke between answers."""

    def _offered(self, index: int, link: Path | None) -> PtyLine:
        return PtyLine(lambda data: self._take(self._ends[index], data), link=link, baud=None)

    @property
    def paths(self) -> tuple[str, ...]:
        """The names under which clients open the ends that are plugged in."""
        return tuple(str(end.line.path) for end in self._ends if end.line.path is not None)

    @property
    def broken(self) -> int:
        """Frames that could not be read."""
        return sum(end.reader.broken for end in self._ends)

    @property
    def lost_bytes(self) -> int:
        """Bytes that nobody fetched."""
        return sum(end.line.lost_bytes for end in self._ends)

    @property
    def plugged(self) -> bool:
        """Whether any end is."""
        return any(end.line.plugged for end in self._ends)

    def plug(self, end: int | None = None) -> None:
        """Plug in one end, from 0, or all. Raises OSError when a name is taken."""
        for index, each in enumerate(self._ends):
            if end in (None, index):
                each.line.plug()

    def unplug(self, end: int | None = None) -> None:
        """Pull out one end, or all; what was on its way is gone."""
        for index, each in enumerate(self._ends):
            if end in (None, index):
                each.line.unplug()
                each.reader.silence()
                while not each.waiting.empty():
                    each.waiting.get_nowait()

    async def run(self) -> None:
        """Answer until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for end in self._ends:
                tasks.create_task(self._serve(end))
            tasks.create_task(self._flood())

    def _reach(self, end: _End) -> Container[int]:
        """Tell who is connected to this end: the numbers of blocks, and 0 for sensors and boxes."""
        first, last = self.blocks.start, self.blocks.stop - 1
        near = end is self._ends[0]
        if self.cut is not None:
            first, last = (first, min(last, self.cut)) if near else (max(first, self.cut + 1), last)
        reached = set(range(first, last + 1))
        if self._boxes and (near or self.cut is None):
            reached.add(0)
        return reached

    def _others(self, end: _End) -> list[_End]:
        return [other for other in self._ends if other is not end and self.cut is None]

    def _take(self, end: _End, data: bytes) -> None:
        now = time.monotonic()
        if now - end.heard > _GAP:
            end.reader.silence()
        end.heard = now
        if self._talking is not None and (self._talking is end or self.cut is None):
            self.collisions += 1
            self._jammed = True
            return
        for request in end.reader.feed(data):
            if end.waiting.full():
                self.ignored += 1
            else:
                end.waiting.put_nowait((request, now))

    async def _serve(self, end: _End) -> None:
        while True:
            request, came = await end.waiting.get()
            self.requests += 1
            received_at = time.time()
            end.free = max(came, end.free) + request.length * self._character
            await self._until(end.free + self.faults.delay)
            answers = self._bench.answer(request, self._reach(end), time.monotonic())
            for other in self._others(end):
                await other.line.write(frame(request.function, request.data))
            if self.faults.silent or not answers.frames:
                continue
            while not end.waiting.empty():  # the master goes on speaking when it should listen
                end.waiting.get_nowait()
                self.ignored += 1
                self._jammed = True
            await self._speak(end, request, answers, received_at)

    async def _speak(self, end: _End, request: Request, answers: Answers, received_at: float) -> None:
        """Hand over the frames in their slots."""
        self._talking = end
        try:
            begin = end.free + self.faults.delay + _TURNAROUND * self._character
            slot = (answers.length + SILENCE) * self._character
            burst, heard, until = b"", b"", None
            for index, answer in enumerate(answers.frames):
                due = begin + answer.slot * slot + len(answer.data) * self._character
                if until is None:
                    until = due + _BURST
                burst += spoil(answer.data, self.faults, self._chance)
                last = index == len(answers.frames) - 1
                if last or begin + answers.frames[index + 1].slot * slot + slot > until:
                    await (self._until(due) if last else asyncio.sleep(due - time.monotonic()))
                    heard += await self._hand_over(end, burst)
                    burst, until = b"", None
            end.free = time.monotonic()
            self.exchanges.add(frame(request.function, request.data), heard, received_at, time.time())
        finally:
            self._talking = None

    async def _hand_over(self, end: _End, burst: bytes) -> bytes:
        if self._jammed:
            self._jammed = False
            burst = bytes(byte ^ self._chance.randint(0, 255) for byte in burst)
        for each in (end, *self._others(end)):
            if each.line.plugged:
                await each.line.write(burst)
        return burst

    async def _until(self, due: float) -> None:
        """Sleep until a time, to a fraction of a millisecond."""
        left = due - time.monotonic()
        if left > _ROUGH:
            await asyncio.sleep(left - _ROUGH)
            left = due - time.monotonic()
        if left > 0.0:
            time.sleep(left)  # noqa: ASYNC251 # shorter than the event loop can sleep

    async def _flood(self) -> None:
        while True:
            await asyncio.sleep(_NOISE_EVERY)
            if self.faults.flood:
                for end in self._ends:
                    if end.line.plugged:
                        await end.line.write(self._chance.randbytes(16))
