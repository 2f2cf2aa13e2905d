"""Which registers are read together: pure, from the rows of a map to requests and, where one is refused, to smaller ones."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from ridethrough.maps.registers import Register

MOST = 125
"""Registers that one request may ask for (Modbus application protocol 1.1b3 §6.3)."""


@dataclass(frozen=True, slots=True)
class Group:
    """Registers that one request reads."""

    function: int
    rows: tuple[Register, ...]
    """By address; at least one."""

    @property
    def address(self) -> int:
        """The first address."""
        return self.rows[0].address

    @property
    def count(self) -> int:
        """Registers from the first to the last, gaps included."""
        return max(row.end for row in self.rows) - self.address

    def words(self, row: Register, answer: Sequence[int]) -> Sequence[int]:
        """Cut the words of a row out of the answer."""
        start = row.address - self.address
        return answer[start : start + row.count]

    def split(self) -> tuple[Group, ...]:
        """Make smaller ones of it: without the gaps, or halves where there is none. A single cell gives nothing."""
        cells = list(_cells(self.rows))
        if len(cells) < 2:
            return ()
        runs = _runs(cells, 0, MOST)
        if len(runs) < 2:
            half = len(cells) // 2
            runs = [cells[:half], cells[half:]]
        return tuple(Group(self.function, tuple(row for cell in run for row in cell)) for run in runs)


def grouped(
    rows: Iterable[Register], function: Callable[[Register], int | None], gap: int, longest: int
) -> list[Group]:
    """Group rows that one function reads, so that no group spans more than `gap` registers without a row.

    `function` chooses for each row; rows for which it gives None are left out. A row longer than `longest` has a
    group of its own.
    """
    by_function: dict[int, list[Register]] = {}
    for row in rows:
        chosen = function(row)
        if chosen is not None:
            by_function.setdefault(chosen, []).append(row)
    return [
        Group(chosen, tuple(row for cell in run for row in cell))
        for chosen, some in sorted(by_function.items())
        for run in _runs(list(_cells(sorted(some, key=lambda row: row.address))), gap, min(longest, MOST))
    ]


def spans(rows: Iterable[Register]) -> str:
    """Write the addresses of rows for people: `97-102, 109`."""
    found: list[tuple[int, int]] = []
    for row in sorted(rows, key=lambda row: row.address):
        if found and row.address <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], row.end))
        else:
            found.append((row.address, row.end))
    return ", ".join(f"{first}" if end - first == 1 else f"{first}-{end - 1}" for first, end in found)


def _cells(rows: Sequence[Register]) -> Iterator[list[Register]]:
    """Give the rows by what cannot be read apart: several may show the same register."""
    cell: list[Register] = []
    end = 0
    for row in rows:
        if cell and row.address >= end:
            yield cell
            cell = []
        end = max(end, row.end) if cell else row.end
        cell.append(row)
    if cell:
        yield cell


def _runs(cells: Sequence[list[Register]], gap: int, longest: int) -> list[list[list[Register]]]:
    runs: list[list[list[Register]]] = []
    first = end = 0
    for cell in cells:
        address, cell_end = cell[0].address, max(row.end for row in cell)
        if runs and address - end <= gap and cell_end - first <= longest:
            runs[-1].append(cell)
        else:
            runs.append([cell])
            first = address
        end = cell_end
    return runs


__all__ = ["MOST", "Group", "grouped", "spans"]
