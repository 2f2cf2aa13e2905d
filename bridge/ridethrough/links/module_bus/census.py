"""Who answers where: which numbers are asked on which branch, who was silent, and who is lost. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

MISSES = 3
"""Scans without an answer after which somebody is lost."""
BRIDGED = 2
"""Numbers of no interest that one request may span: their slots cost less than a request more."""
NOWHERE = -1


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive numbers that are asked together."""

    first: int
    count: int
    side: int
    """Which end of a ring asks."""


def runs(numbers: Iterable[int], longest: int, side: int = 0) -> list[Run]:
    """Put numbers, in their order, together into as few requests as is sensible."""
    made: list[Run] = []
    first = last = 0
    for number in numbers:
        if first and (number - last - 1 > BRIDGED or number - first >= longest):
            made.append(Run(first, last - first + 1, side))
            first = 0
        first = first or number
        last = number
    if first:
        made.append(Run(first, last - first + 1, side))
    return made


class Census:
    """Modules, sensors or boxes with the numbers 1 to `count`, behind one or more branches."""

    def __init__(self, count: int, rings: Collection[bool], longest: int, *, expected: bool) -> None:
        """`rings` says of each branch whether it has a second end; `expected`: whether all numbers should be there."""
        self.count = count
        self.expected = expected
        self._longest = longest
        self._rings = tuple(rings)
        self._place = [NOWHERE] * (count + 1)
        self._side = [0] * (count + 1)
        self._answered = bytearray(count + 1)
        """The end of the ring that the last answer came to."""
        self._open = bytearray(count + 1)
        """Asked and not heard since: on how many branches."""
        self._misses = [0] * (count + 1)
        self.present: set[int] = set()
        """Who answers, or did so until less than three scans ago."""
        self.lost: set[int] = set()
        self.clashes: set[int] = set()
        """Who has answered on two branches."""
        self._plans: dict[int, list[Run]] = {}

    def place(self, number: int) -> int:
        """Return the branch that somebody answers on, -1 where that is not known."""
        return self._place[number]

    def side(self, number: int) -> int:
        """Return the end of the ring that somebody answers at."""
        return self._side[number]

    def plan(self, branch: int, *, search: bool = False) -> list[Run]:
        """Say whom to ask on a branch: who answers there, and who is expected but answers nowhere."""
        if search:
            return self._planned(branch, search=True)
        plan = self._plans.get(branch)
        if plan is None:
            plan = self._plans[branch] = self._planned(branch, search=False)
        return plan

    def wanted(self, number: int, branch: int) -> bool:
        """Whether somebody is asked on a branch."""
        return self._place[number] == branch or (self._place[number] == NOWHERE and self.expected)

    def asked(self, branch: int, run: Run) -> list[int]:
        """Note that these are asked, and return who is lost as they have not answered the last times either."""
        lost: list[int] = []
        for number in range(run.first, run.first + run.count):
            if not self.wanted(number, branch):
                continue
            if self._open[number]:
                self._missed(number, branch, lost)
            self._open[number] = 1
        return lost

    def heard(self, branch: int, side: int, number: int) -> bool:
        """Note an answer, and return whether it is somebody new or somebody who had been lost."""
        self._open[number] = 0
        self._answered[number] = side
        if self._misses[number]:
            self._misses[number] = 0
        if self._place[number] != NOWHERE:
            if self._place[number] != branch:
                self.clashes.add(number)
            return False
        self._place[number] = branch
        self._side[number] = side
        self.present.add(number)
        self.lost.discard(number)
        self._plans.clear()
        return True

    def front(self, branch: int) -> list[int]:
        """Return who answers only at the far end of a ring, and have them asked at its beginning again."""
        here = [number for number in self.present if self._side[number] and self._place[number] == branch]
        for number in here:
            self._side[number] = 0
        if here:
            self._plans.pop(branch, None)
        return sorted(number for number in here if self._answered[number])

    def _missed(self, number: int, branch: int, lost: list[int]) -> None:
        if self._place[number] == NOWHERE:
            # Asked on every branch; each counts.
            self._misses[number] += 1
            if number not in self.lost and self._misses[number] >= MISSES * len(self._rings):
                self.lost.add(number)
                lost.append(number)
            self._turn(number)
            return
        self._misses[number] += 1
        self._turn(number)
        if self._misses[number] >= MISSES:
            self._place[number] = NOWHERE
            self.present.discard(number)
            self.lost.add(number)
            lost.append(number)
            self._plans.clear()

    def _turn(self, number: int) -> None:
        """Have it asked at the other end next time, where there is a ring."""
        place = self._place[number]
        if any(self._rings) if place == NOWHERE else self._rings[place]:
            self._side[number] ^= 1
            self._plans.clear()

    def _planned(self, branch: int, *, search: bool) -> list[Run]:
        numbers = [
            number
            for number in range(1, self.count + 1)
            if self.wanted(number, branch) or (search and self._place[number] == NOWHERE)
        ]
        if not self._rings[branch]:
            return runs(numbers, self._longest)
        plan: list[Run] = []
        for side in (0, 1):
            plan += runs([number for number in numbers if self._side[number] == side], self._longest, side)
        return sorted(plan, key=lambda run: (run.first, run.side))


__all__ = ["BRIDGED", "MISSES", "NOWHERE", "Census", "Run", "runs"]
