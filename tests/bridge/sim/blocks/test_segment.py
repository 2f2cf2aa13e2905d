"""The bus on a real terminal, spoken to byte by byte: its pace, what is lost, broken and doubled."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
import time

import pytest

from ridethrough.sim.blocks import BlockDesign, Plant
from ridethrough.sim.blocks.answers import Bench
from ridethrough.sim.blocks.installation import Installation
from ridethrough.sim.blocks.segment import Segment
from ridethrough.sim.line import LineFaults

from .raw import Master, framed, group, sound

CHARACTER = 10 / 115_200


class Bus:
    """A cable and everything on it."""

    def __init__(self, folder: Path, blocks: int, ends: int, *, paced: bool) -> None:
        self.room = Installation(Plant(BlockDesign(), 1, blocks), boxes=1)
        self.links = [folder / f"bus-{number}" for number in range(ends)]
        self.segment = Segment(Bench(self.room), range(1, blocks + 1), self.links, baud=115_200 if paced else None)

    async def master[T](self, act: Callable[[Master], T], end: int = 0) -> T:
        """Do something as the master, in a thread."""

        def visit() -> T:
            master = Master(self.links[end])
            try:
                return act(master)
            finally:
                master.close()

        return await asyncio.to_thread(visit)

    async def ask(self, request: bytes, length: int, patience: float = 0.5, end: int = 0) -> bytes:
        return await self.master(lambda master: master.ask(request, length, patience), end)


@asynccontextmanager
async def bus(folder: Path, blocks: int = 10, ends: int = 1, *, paced: bool = False) -> AsyncIterator[Bus]:
    made = Bus(folder, blocks, ends, paced=paced)
    made.segment.plug()
    running = asyncio.create_task(made.segment.run())
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        made.segment.unplug()


def split(heard: bytes, length: int) -> list[bytes]:
    return [heard[at : at + length] for at in range(0, len(heard), length)]


async def test_a_group_takes_the_time_of_its_slots_and_not_much_more(tmp_path: Path) -> None:
    async with bus(tmp_path, 128, paced=True) as made:

        def scan(master: Master) -> tuple[bytes, float]:
            begin = time.monotonic()
            return master.ask(group(65, 1, 128), 128 * 15, 2.0), time.monotonic() - begin

        heard, lasted = await made.master(scan)
        assert len(heard) == 128 * 15 and all(sound(each) for each in split(heard, 15))
        slots = (7 + 2 + 128 * 17 - 2) * CHARACTER
        # Never faster than the line can be.
        assert slots <= lasted
        # The shared machine may be late, but not by as much as a second scan.
        assert lasted < 2.0 * slots


async def test_a_silent_module_costs_its_slot_and_no_more(tmp_path: Path) -> None:
    async with bus(tmp_path, 20, paced=True) as made:
        for module in made.room.modules[:19]:
            module.lost = True

        def scan(master: Master) -> float:
            begin = time.monotonic()
            assert len(master.ask(group(65, 1, 20), 15, 1.0)) == 15
            return time.monotonic() - begin

        lasted = await made.master(scan)
        assert lasted >= (7 + 2 + 19 * 17 + 15) * CHARACTER


async def test_orders_and_questions_in_a_row_are_taken_in_order(tmp_path: Path) -> None:
    async with bus(tmp_path) as made:
        heard = await made.ask(framed(68, b"\0\1\1\x19") + group(65, 1, 1), 15)
        assert sound(heard) and heard[12] == 25
        assert made.segment.requests == 2 and made.segment.collisions == 0


async def test_a_master_that_speaks_between_answers_spoils_them_and_is_not_heard(tmp_path: Path) -> None:
    async with bus(tmp_path, 40, paced=True) as made:

        def interrupt(master: Master) -> bytes:
            master.send(group(65, 1, 40))
            first = master.hear(15, 1.0)
            master.send(group(66, 1, 1))
            return first + master.hear(40 * 15 - 15, 0.5)

        heard = await made.master(interrupt)
        assert not all(sound(each) for each in split(heard, 15))
        assert (made.segment.requests, made.segment.collisions) == (1, 1)
        assert sound(await made.ask(group(66, 1, 1), 8))


async def test_two_questions_at_once_spoil_the_first_and_lose_the_second(tmp_path: Path) -> None:
    async with bus(tmp_path) as made:
        heard = await made.ask(group(66, 1, 1) * 2, 16, 0.1)
        assert len(heard) == 8 and not sound(heard)
        assert made.segment.ignored == 1


async def test_a_ring_is_one_cable_until_it_is_cut(tmp_path: Path) -> None:
    async with bus(tmp_path, ends=2) as made:

        def both(near: Master) -> tuple[bytes, bytes]:
            far = Master(made.links[1])
            try:
                return far.ask(group(66, 1, 10), 80), near.hear(87)
            finally:
                far.close()

        asked, overheard = await made.master(both)
        # The end at which nobody spoke has heard the question and the answers.
        assert overheard == group(66, 1, 10) + asked and len(asked) == 80
        made.segment.cut = 4
        near = split(await made.ask(group(66, 1, 10), 32), 8)
        assert [each[3] for each in near] == [1, 2, 3, 4] and all(map(sound, near))
        far = split(await made.ask(group(66, 1, 10), 48, end=1), 8)
        assert [each[3] for each in far] == [5, 6, 7, 8, 9, 10] and all(map(sound, far))
        assert await made.ask(framed(105, b"\1"), 7, 0.05, end=1) == b""
        assert len(await made.ask(framed(105, b"\1"), 7)) == 7
        made.segment.cut = None
        made.segment.unplug(0)
        assert len(await made.ask(group(66, 1, 10), 80, end=1)) == 80
        assert made.segment.plugged and made.segment.paths == (str(made.links[1]),)


@pytest.mark.parametrize(
    ("faults", "length", "whole"),
    [
        (LineFaults(silent=True), 0, 0),
        (LineFaults(garble=1.0), 80, 0),
        (LineFaults(delay=0.05), 80, 10),
    ],
    ids=["silent", "garbled", "late"],
)
async def test_faults_of_the_line(tmp_path: Path, faults: LineFaults, length: int, whole: int) -> None:
    async with bus(tmp_path) as made:
        made.segment.faults = faults
        heard = await made.ask(group(66, 1, 10), 80, 0.2)
        assert len(heard) == length
        assert sum(sound(each) for each in split(heard, 8)) == whole


async def test_noise_comes_all_the_time(tmp_path: Path) -> None:
    async with bus(tmp_path) as made:
        made.segment.faults = LineFaults(flood=True)
        assert len(await made.master(lambda master: master.hear(32))) == 32


async def test_pieces_of_a_frame_are_forgotten_when_the_line_falls_silent(tmp_path: Path) -> None:
    async with bus(tmp_path) as made:

        def stutter(master: Master) -> bytes:
            master.send(group(66, 1, 1)[:4])
            time.sleep(0.02)
            return master.ask(group(66, 2, 1), 8)

        assert (await made.master(stutter))[3] == 2
        assert made.segment.broken == 1


async def test_a_flood_of_orders_is_bounded_and_an_unplugged_line_forgets(tmp_path: Path) -> None:
    async with bus(tmp_path, paced=True) as made:
        await made.master(lambda master: master.send(group(69, 1, 1) * 200))
        until = time.monotonic() + 2.0
        while not made.segment.ignored and time.monotonic() < until:
            await asyncio.sleep(0.005)
        assert made.segment.ignored >= 100
        made.segment.unplug()
        assert not made.segment.plugged and made.segment.paths == ()
        made.segment.plug()
        assert sound(await made.ask(group(66, 1, 1), 8))
