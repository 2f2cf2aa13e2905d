"""Which blocks there are, and which string each is in."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple, Self


class Place(NamedTuple):
    """What a value or a condition is of: a kind of the catalogue and a number (0 for the system itself)."""

    kind: str
    number: int


SYSTEM = Place("battery_system", 0)


def string(number: int) -> Place:
    """Return the place of a string."""
    return Place("battery_string", number)


def block(number: int) -> Place:
    """Return the place of a block, which is that of its module."""
    return Place("battery_module", number)


def sensor(number: int) -> Place:
    """Return the place of a current sensor."""
    return Place("current_sensor", number)


def box(number: int) -> Place:
    """Return the place of an I/O box."""
    return Place("io_box", number)


@dataclass(frozen=True, slots=True)
class Layout:
    """Strings of blocks with consecutive numbers (manual M:5813, M:6611)."""

    ends: tuple[int, ...]
    """Number of the last block of each string."""
    sensors: int = 0
    boxes: int = 0

    @classmethod
    def of(cls, counts: Iterable[int], *, sensors: int = 0, boxes: int = 0) -> Self:
        """Make one from the number of blocks in each string."""
        return cls(tuple(accumulate(counts)), sensors, boxes)

    @property
    def blocks(self) -> int:
        """How many there are."""
        return self.ends[-1] if self.ends else 0

    @property
    def strings(self) -> int:
        """How many there are."""
        return len(self.ends)

    def members(self, string: int) -> range:
        """Return the numbers of a string's blocks."""
        return range(self.ends[string - 2] + 1 if string > 1 else 1, self.ends[string - 1] + 1)

    def string_of(self, block: int) -> int:
        """Return the number of the string that a block is in."""
        return bisect_right(self.ends, block - 1) + 1

    def position(self, block: int) -> int:
        """Return a block's position in its string, from 1."""
        return block - self.members(self.string_of(block)).start + 1


__all__ = ["SYSTEM", "Layout", "Place", "block", "box", "sensor", "string"]
