"""What is kept of blocks besides what they are like now: lines of the battery log, and the notes of the inventory."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

COLUMNS = 5
"""Columns of notes that an inventory has (manual M:7099)."""
LONGEST_NOTE = 200
"""Characters."""
LONGEST_NAME = 64

BLANK = ("",) * COLUMNS


class RecordsError(Exception):
    """What is kept cannot be read or written at the moment; the message says why and what to do about it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log: of a block or, with module None, of the string itself."""

    at: datetime
    string: int
    module: int | None
    values: Mapping[str, float | None]
    """Of a block voltage, temperature, impedance, duty, charge; of a string current, voltage, charge."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The inventory of a battery system: what people have noted about each block."""

    names: tuple[str, ...] = BLANK
    """Of the columns; empty for one that has none."""
    notes: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """A text for each column, by the number of the block; blocks without a note are not in it."""


__all__ = ["BLANK", "COLUMNS", "LONGEST_NAME", "LONGEST_NOTE", "Entry", "RecordsError", "Sheet"]
