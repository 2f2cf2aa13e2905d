"""The registers and bits of one device by one map, ready to be sent: reading them is copying bytes."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ridethrough.catalogue import Catalogue
from ridethrough.feeds.directory import Dependents, Directory, Need, Subject
from ridethrough.maps.registers import Profile
from ridethrough.site import Change

from .encode import Field, bit, field_of, packed, raw

COILS, INPUTS, HOLDING, INPUT = 1, 2, 3, 4
"""The functions that read."""


class Area:
    """Addresses of one kind, in runs without a gap. What is not in a run does not exist."""

    def __init__(self, spans: Iterable[tuple[int, int]], width: int) -> None:
        """`spans` are first and next address of what exists, `width` the bytes of each address."""
        self._width = width
        merged: list[list[int]] = []
        for first, end in sorted(spans):
            if merged and first <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([first, end])
        self._starts = [first for first, _ in merged]
        self._runs = [(first, end, bytearray(width * (end - first))) for first, end in merged]

    def read(self, address: int, count: int) -> bytes | bytearray | None:
        """Copy what so many addresses hold; None when one of them does not exist."""
        place = bisect_right(self._starts, address)
        if not place:
            return None
        first, end, content = self._runs[place - 1]
        if address + count > end:
            return None
        width = self._width
        begin = (address - first) * width
        return content[begin : begin + count * width]

    def write(self, address: int, content: bytes) -> None:
        """Replace what is held from an address on, which exists."""
        first, _, held = self._runs[bisect_right(self._starts, address) - 1]
        begin = (address - first) * self._width
        held[begin : begin + len(content)] = content


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """A register or a bit of the image; several rows of the map may show it. Equal only to itself."""

    space: int
    """The function by which its area is known: COILS, INPUTS or HOLDING."""
    address: int
    count: int
    fields: tuple[Field, ...]
    """As the map has them, one above the other."""

    def content(self, subject: Subject) -> bytes:
        """Return what it holds now; of several rows, what the first says that knows."""
        if self.space != HOLDING:
            return b"1" if any(bit(one, subject) for one in self.fields) else b"0"
        if len(self.fields) > 1:
            return self._shared(subject)
        (one,) = self.fields
        return packed(one.register, raw(one, subject))

    def _shared(self, subject: Subject) -> bytes:
        """Show one word several times without a fight: a row with a point that is known has the say, else all flags."""
        first = self.fields[0].register
        flags = 0
        flagged = False
        for one in self.fields:
            found = raw(one, subject)
            if one.conditions or one.flag:
                flagged = flagged or found is not None
                flags |= found if isinstance(found, int) else 0
            elif found is not None:
                return packed(one.register, found)
        return packed(first, flags if flagged else None)


@lru_cache(maxsize=64)
def laid_out(profile: Profile, catalogue: Catalogue) -> tuple[Cell, ...]:
    """Lay a map out. A map without bits of its own shows its flags as bits too.

    The manual lists functions 1, 2 and 5 for every card (M:1662) and prints maps of registers only; where such a
    register can be nothing but 0 or 1, the coil and the discrete input of the same address are the same flag.
    """
    has_bits = any(register.is_bit for register in profile.registers)
    found: dict[tuple[int, int, int], list[Field]] = {}
    for register in sorted(profile.registers, key=lambda register: (register.address, register.line)):
        one = field_of(register, profile.kind, catalogue)
        spaces = [register.functions[0]] if register.is_bit else [HOLDING]
        if one.flag and not has_bits:
            spaces += [COILS, INPUTS]
        for space in spaces:
            found.setdefault((space, register.address, register.count), []).append(one)
    return tuple(Cell(space, address, count, tuple(fields)) for (space, address, count), fields in found.items())


class Image:
    """What a unit answers. It follows the site; nobody who reads it makes it work."""

    def __init__(self, directory: Directory, subject: Subject, profile: Profile) -> None:
        """Fill it with what is known now."""
        self.subject = subject
        self.profile = profile
        cells = laid_out(profile, directory.site.catalogue)
        bits, registers = (COILS, INPUTS), HOLDING
        areas = {space: Area(_spans(cells, space), 1) for space in bits}
        # "03H and 04H: the CS141 makes no difference between these two functions" (M:1669).
        areas[HOLDING] = areas[INPUT] = Area(_spans(cells, registers), 2)
        self.areas: Mapping[int, Area] = areas
        self.registers = areas[HOLDING].read
        """Copies registers; None when one of them does not exist."""
        needs: dict[Cell, tuple[Need, ...]] = {
            cell: tuple(need for one in cell.fields for need in one.needs) for cell in cells
        }
        self._dependents = Dependents(directory, subject, needs)
        self._draw(cells)

    def bits(self, space: int, address: int, count: int) -> bytes | None:
        """Copy bits, the first in the lowest place of the first byte; None when one of them does not exist."""
        found = self.areas[space].read(address, count)
        return None if found is None else int(found[::-1], 2).to_bytes((count + 7) // 8, "little")

    def follow(self, change: Change) -> None:
        """Take over what has changed."""
        self._draw(self._dependents.touched(change))

    def _draw(self, cells: Iterable[Cell]) -> None:
        subject, areas = self.subject, self.areas
        for cell in cells:
            areas[cell.space].write(cell.address, cell.content(subject))


def _spans(cells: Iterable[Cell], space: int) -> Iterator[tuple[int, int]]:
    return ((cell.address, cell.address + cell.count) for cell in cells if cell.space == space)


__all__ = ["COILS", "HOLDING", "INPUT", "INPUTS", "Area", "Cell", "Image", "laid_out"]
