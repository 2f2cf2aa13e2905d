"""Numbers modules, finds them and checks the line to them (manual M:5716–6145). Nothing else may use the bus meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass

from ridethrough.links.base import LinkError

from .frames import (
    COLLISION,
    ECHO,
    GROUP,
    IDENTITY,
    NUMBERS,
    READING,
    REFUSALS,
    SERIAL,
    Function,
    Heard,
    Question,
    Status,
    announce,
    blink,
    change,
    check,
    group,
    how_many,
    reset,
    who_took_it,
)
from .wire import Wire

PATIENCE = 0.05
"""Seconds that adapters and device servers may take besides, before somebody counts as silent."""
EVERY = 0.2
"""Seconds from one question who has taken a number to the next."""
AGAIN = 25
"""Questions after which a number is announced again: the first announcement may have got lost."""


class ProgrammerError(LinkError):
    """Something cannot be done; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Found:
    """A module that answers."""

    number: int
    type: int
    """V."""
    hardware: str
    firmware: str
    serial: int
    calibrated: bool


@dataclass(frozen=True, slots=True)
class Holders:
    """Who has a number."""

    serials: frozenset[int]
    spoiled: bool
    """Whether there are answers that spoil one another: two modules whose serial numbers have the same slot."""

    @property
    def several(self) -> bool:
        """Whether more than one has it."""
        return len(self.serials) > 1 or self.spoiled

    def __str__(self) -> str:
        """Name them."""
        named = [f"serial number {serial}" for serial in sorted(self.serials)]
        return ", ".join([*named, *["two or more that cannot be told apart"] * self.spoiled])


@dataclass(slots=True)
class LineCheck:
    """What became of the frames of a line check."""

    sent: int = 0
    lost: int = 0
    """Nothing came back."""
    broken: int = 0
    """Something else came back."""

    def __str__(self) -> str:
        """Say it in a sentence."""
        good = self.sent - self.lost - self.broken
        return f"{self.sent} frames sent, {good} came back whole, {self.lost} were lost, {self.broken} broken."


class Programmer:
    """Speaks to modules one by one. Bus ends that belong to one ring stand together."""

    def __init__(self, branches: Sequence[Sequence[Wire]]) -> None:
        """Use these wires, which are open."""
        self._branches = branches

    # Reading

    async def modules(self, numbers: Iterable[int] = range(1, NUMBERS + 1)) -> AsyncIterator[Found]:
        """Look for modules, and give each that answers."""
        wanted = sorted(numbers)
        for start in range(0, len(wanted), GROUP):
            part = wanted[start : start + GROUP]
            first, count = part[0], part[-1] - part[0] + 1
            found: dict[int, Found] = {}
            for at in range(first, first + count, GROUP):
                question = group(Function.IDENTITY, at, min(GROUP, first + count - at))
                for heard in await self._everywhere(question):
                    for frame in heard.frames:
                        if frame[1] == Function.IDENTITY:
                            module = _found(frame)
                            found.setdefault(module.number, module)
            for number in part:
                if number in found:
                    yield found[number]

    async def holders(self, number: int) -> Holders:
        """Find out which modules have a number."""
        serials: set[int] = set()
        spoiled = 0
        for _ in range(2):
            everywhere = await self._everywhere(how_many(number))
            for heard in everywhere:
                serials |= _serials(heard, Function.COUNT, number)
            spoiled += any(size >= COLLISION for heard in everywhere for _, size in heard.noise)
        # What is spoiled once is a disturbance.
        return Holders(frozenset(serials), spoiled > 1)

    async def shared(self) -> AsyncIterator[tuple[int, Holders]]:
        """Give the numbers that several modules have.

        Where answers spoil one another the numbers are halved until it is known whose they are.
        """
        ranges = [(first, GROUP) for first in range(1, NUMBERS + 1, GROUP)][::-1]
        while ranges:
            first, count = ranges.pop()
            if not any(heard.noise for heard in await self._everywhere(group(Function.IDENTITY, first, count))):
                continue
            if count > 1:
                half = count // 2
                ranges += [(first + half, count - half), (first, half)]
            elif (holders := await self.holders(first)).several:
                yield first, holders

    async def answers(self, number: int) -> bool:
        """Whether anything at all answers to a number, be it two modules at once."""
        for _ in range(2):
            for heard in await self._everywhere(group(Function.IDENTITY, number, 1)):
                if heard.noise or any(_found(frame).number == number for frame in _of(heard, Function.IDENTITY)):
                    return True
        return False

    # Numbering

    async def assign(
        self, first: int, last: int, *, sound: bool = False, progress: Callable[[int], None] = lambda number: None
    ) -> None:
        """Give the numbers one by one to the modules whose buttons are pressed (manual M:5785–5812).

        `progress` is told each number that has been given, and the one before the first at the beginning. Addressing
        mode is ended in any case. Raises ProgrammerError when a number is used already.
        """
        if not 1 <= first <= last <= NUMBERS:
            raise ProgrammerError(f"Numbers go from 1 to {NUMBERS}, and the last is not below the first.")
        used = [str(module.number) async for module in self.modules(range(first, last + 1))]
        if used:
            raise ProgrammerError(
                f"In use already: {', '.join(used[:8])}{' …' if len(used) > 8 else ''}. A number can be given once "
                "only; take it away first (reset), or choose others."
            )
        progress(first - 1)
        try:
            for number in range(first, last + 1):
                await self._give(number, sound=sound)
                progress(number)
        finally:
            await self.end()

    async def end(self) -> None:
        """End addressing mode."""
        for _ in range(2):
            await self._everywhere(announce(0))

    async def change(self, old: int, new: int) -> int:
        """Give the module with one number another; 0 stands for none. Returns its serial number, 0 if not told.

        Raises ProgrammerError when the new number is used, the old one is not, or two modules have it (manual M:5839).
        """
        if old == new:
            raise ProgrammerError("The old and the new number are the same.")
        if new and await self.answers(new):
            raise ProgrammerError(f"Number {new} is in use already; a number can be given once only.")
        if new == 0:
            left = await self.reset(old, old)
            if left:
                raise ProgrammerError(f"Module {old} keeps its number; hold its button for 20 s to take it away.")
            return 0
        if old and (await self.holders(old)).several:
            raise ProgrammerError(
                f"Two modules have number {old} and would both become {new}. Hold the button of one of them for 20 s, "
                "or take it off the bus."
            )
        heard = await self._everywhere(change(old, new))
        taken = {serial for one in heard for serial in _serials(one, Function.CHANGE, new)}
        holders = await self.holders(new)
        serials = taken | holders.serials
        if len(serials) > 1 or holders.spoiled:
            # Of several modules without a number each has taken it: a number that two have is worse than none.
            await self.reset(new, new)
            raise ProgrammerError(
                f"Several modules had no number and have all become {new}; it was taken from them again. Number "
                "them one by one instead (assign)."
            )
        if not serials:
            refusal = next((one.refusal for one in heard if one.refusal is not None), None)
            why = "does not answer" if refusal is None else f"refuses: {REFUSALS.get(refusal, f'code {refusal}')}"
            raise ProgrammerError(f"{f'Module {old}' if old else 'A module without a number'} {why}.")
        return next(iter(serials))

    async def reset(self, first: int, last: int) -> list[int]:
        """Take the numbers away from all modules from first to last; returns which of them answer all the same."""
        if not 1 <= first <= last <= NUMBERS:
            raise ProgrammerError(f"Numbers go from 1 to {NUMBERS}, and the last is not below the first.")
        for _ in range(2):
            await self._everywhere(reset(first, last))
        return [module.number async for module in self.modules(range(first, last + 1))]

    # Finding and checking

    async def find(self, number: int) -> int:
        """Have all modules with a number blink until their button is pressed; returns how many they are.

        For number 0 nobody can be counted, and 0 is returned. Raises ProgrammerError when nobody answers.
        """
        heard = await self._everywhere(blink(number, on=True))
        if number == 0:
            return 0
        holders = await self.holders(number)
        count = len(holders.serials) + 2 * holders.spoiled
        if not count and not any(one.frames or one.noise for one in heard):
            raise ProgrammerError(f"Module {number} is not found.")
        return max(1, count)

    async def blinking(self, number: int) -> bool:
        """Whether a module still blinks; one that has its button pressed ends that."""
        for heard in await self._everywhere(group(Function.READ, number, 1)):
            for frame in _of(heard, Function.READ):
                told, status, *_ = READING.unpack(frame)
                if told == number:
                    return bool(status & Status.BLINKING) and not status & Status.BUTTON
        return True

    async def release(self, number: int) -> None:
        """Have modules with a number blink no longer."""
        await self._everywhere(blink(number, on=False))

    async def check(
        self, number: int, frames: int, progress: Callable[[LineCheck], None] = lambda check: None
    ) -> LineCheck:
        """Send frames to a module and count what does not come back as it was (manual M:6024)."""
        wires = await self._wires(number)
        result = LineCheck()
        for sequence in range(frames):
            # Long runs of zeros and ones, edges with each bit, and every value in the end.
            data = bytes((sequence * 37 + place * 85) & 0xFF for place in range(ECHO))
            question = check(number, sequence & 0xFFFF, data)
            heard = await wires[sequence % len(wires)].ask(question, patience=PATIENCE)
            result.sent += 1
            if question.frame not in heard.frames:
                if heard.frames or heard.noise:
                    result.broken += 1
                else:
                    result.lost += 1
            progress(result)
        return result

    async def show(self, *, lit: bool) -> None:
        """Have all modules show one and the same light: those that do not have not heard it (manual M:5990)."""
        await self._everywhere(check(0, int(lit), b""))

    # How it is done

    async def _give(self, number: int, *, sound: bool) -> None:
        while True:
            await self._everywhere(announce(number, sound=sound))
            for _ in range(AGAIN):
                heard = await self._everywhere(who_took_it())
                if any(one.noise or _serials(one, Function.TAKEN, number) for one in heard):
                    break
                await asyncio.sleep(EVERY)
            else:
                if not await self.answers(number):
                    continue
            holders = await self.holders(number)
            if holders.serials and not holders.several:
                return
            if holders.several or await self.answers(number):
                # Two buttons at once: neither keeps the number.
                await self.reset(number, number)

    async def _wires(self, number: int) -> list[Wire]:
        """Return where a module answers: both ends of its ring, if there is one."""
        question = group(Function.IDENTITY, number, 1)
        for branch in self._branches:
            answering = [
                wire for wire in branch if not wire.lost and (await wire.ask(question, patience=PATIENCE)).frames
            ]
            if answering:
                return answering
        raise ProgrammerError(f"Module {number} does not answer.")

    async def _everywhere(self, question: Question) -> list[Heard]:
        """Ask on all branches, then at the second ends of rings: the first reach only a part of one that is broken."""
        wires = [branch[0] for branch in self._branches]
        wires += [wire for branch in self._branches for wire in branch[1:]]
        return [await wire.ask(question, patience=PATIENCE) for wire in wires if not wire.lost]


def _of(heard: Heard, function: Function) -> list[bytes]:
    return [frame for frame in heard.frames if frame[1] == function]


def _serials(heard: Heard, function: Function, number: int) -> set[int]:
    told = (SERIAL.unpack(frame) for frame in _of(heard, function))
    return {serial for taken, serial in told if taken == number}


def _found(frame: bytes) -> Found:
    number, kind, hardware, hardware_minor, firmware, firmware_minor, serial, calibration = IDENTITY.unpack(frame)
    return Found(number, kind, f"{hardware}.{hardware_minor}", f"{firmware}.{firmware_minor}", serial, calibration != 0)


__all__ = ["Found", "Holders", "LineCheck", "Programmer", "ProgrammerError"]
