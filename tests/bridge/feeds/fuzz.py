"""Packets that nobody should send, and a watch over the loop while they come."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
import gc
from random import Random
import time
import tracemalloc

PACKETS = 100_000
STALL = 0.020
"""Seconds for which the loop may not answer (DESIGN §9)."""


def mutations(seeds: Sequence[bytes], count: int, seed: int = 1628) -> Iterator[bytes]:
    """Give `count` packets made from good ones: bits flipped, bytes set, cut, doubled, moved, or all noise."""
    random = Random(seed)
    for _ in range(count):
        packet = bytearray(random.choice(seeds))
        for _ in range(random.randint(1, 4)):
            _mutate(packet, random, seeds)
        yield bytes(packet)


def _mutate(packet: bytearray, random: Random, seeds: Sequence[bytes]) -> None:
    place = random.randrange(len(packet) + 1)
    match random.randrange(8):
        case 0 if packet:
            packet[place % len(packet)] ^= 1 << random.randrange(8)
        case 1 if packet:
            packet[place % len(packet)] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
        case 2:
            del packet[place:]
        case 3:
            packet[place:place] = random.randbytes(random.randint(1, 16))
        case 4:
            del packet[place : place + random.randint(1, 8)]
        case 5:
            other = random.choice(seeds)
            packet[place:] = other[random.randrange(len(other) + 1) :]
        case 6:
            packet += packet[place : place + 64]
        case _:
            packet[:] = random.randbytes(random.randint(0, 300))


class Stalls:
    """How long the loop has been deaf."""

    def __init__(self, spans: list[float] | None = None) -> None:
        """Judge these spans, as they are measured."""
        self.spans: list[float] = [] if spans is None else spans

    @property
    def worst(self) -> float:
        """The longest one in seconds."""
        return max(self.spans, default=0.0)


@asynccontextmanager
async def watching_work(every: float = 0.002) -> AsyncIterator[list[float]]:
    """Measure for how long the loop works before a task has its turn again, in seconds of this thread's own time.

    By the clock on the wall a loop also stands still while other programs have the processor. It runs as in a bridge:
    without asyncio's debugging, and with what existed before out of the garbage collector's sight.
    """
    spans: list[float] = []
    loop = asyncio.get_running_loop()
    debugging = loop.get_debug()

    async def watch() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(every)
            spans.append(time.thread_time() - before)

    loop.set_debug(False)
    gc.collect()
    gc.freeze()
    task = asyncio.create_task(watch())
    try:
        yield spans
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gc.unfreeze()
        loop.set_debug(debugging)


@asynccontextmanager
async def watching_stalls(every: float = 0.002) -> AsyncIterator[Stalls]:
    """Measure the same, to be asked how often it was too long."""
    async with watching_work(every) as spans:
        yield Stalls(spans)


class Stalled(AssertionError):
    """The loop was deaf for too long."""


def never_stalled(spans: Sequence[float]) -> None:
    """Raise Stalled when the loop was deaf for longer than it may be."""
    if max(spans) > STALL:
        raise Stalled(
            f"The loop worked for {[f'{1000 * span:.1f} ms' for span in sorted(spans)[-5:]]} without a pause."
        )


class Memory:
    """How much has been kept: begin after a warm-up, look when all is quiet again."""

    def __init__(self) -> None:
        """Begin to measure."""
        gc.collect()
        tracemalloc.start()
        self._before = tracemalloc.get_traced_memory()[0]

    def grown(self) -> int:
        """Return the bytes that are held beyond those at the beginning, and end measuring."""
        gc.collect()
        after = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return after - self._before
