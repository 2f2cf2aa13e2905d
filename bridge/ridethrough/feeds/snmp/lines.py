"""How many lines a UPS has at its input, its output and its bypass (RFC 1628 NumLines), and whose rows a table has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ridethrough.feeds.directory import Need, Part, Subject
from ridethrough.maps.objects import ObjectRow
from ridethrough.site import Quality, Reading

MOST = 3
_AT_LEAST: Mapping[str, int] = {"input": 1, "output": 1}
"""Every UPS has these."""


def part_of(row: ObjectRow) -> Part | None:
    """Name the device below the subject that an object is about."""
    return None if row.child is None else Part(row.child.kind, row.child.number)


@dataclass(frozen=True, slots=True)
class Side:
    """One table of lines: that of the input, say."""

    part: Part | None
    name: str
    """What the points of the lines begin with: `input`, `output`, `input.bypass`."""

    @property
    def count(self) -> Need:
        """Where it is told how many lines there are."""
        return Need(self.part, f"{self.name}.phases")


def sides(rows: Iterable[ObjectRow]) -> Mapping[str, Side]:
    """Find the side of each table of lines, by the table's OID."""
    return {
        row.table: Side(part_of(row), row.line_key.partition(".{line}")[0])
        for row in rows
        if row.index == "line" and row.line_key is not None
    }


class Lines:
    """Remembers how many lines each side has: one that fails is still one."""

    def __init__(self, subject: Subject) -> None:
        """Nothing is known yet."""
        self._subject = subject
        self._counts: dict[Side, int] = {}

    def count(self, side: Side) -> int:
        """Return how many there are."""
        return self._counts.get(side, 0 if side.part is not None else _AT_LEAST.get(side.name, 0))

    def seen(self, side: Side, line: int, reading: Reading | None) -> bool:
        """Take note of what a line says; returns whether there are more lines now."""
        told = reading is not None and reading.value is not None and reading.quality is not Quality.UNSUPPORTED
        if not told or line <= self.count(side) or self._told(side) is not None:
            return False
        self._counts[side] = line
        return True

    def look(self, side: Side) -> bool:
        """Look at what the device says of its number; returns whether it is another one now."""
        told = self._told(side)
        if told is None or told == self.count(side):
            return False
        self._counts[side] = told
        return True

    def forget(self) -> None:
        """Begin anew: the device is another one."""
        self._counts.clear()

    def _told(self, side: Side) -> int | None:
        reading = self._subject.reading(side.count)
        if reading is None or not isinstance(reading.value, int) or not 0 <= reading.value <= MOST:
            return None
        # A number that was told once holds as long as nothing else is told: it is a fact of the machine.
        return reading.value or None


__all__ = ["MOST", "Lines", "Side", "part_of", "sides"]
