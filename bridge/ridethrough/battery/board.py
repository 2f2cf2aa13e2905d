"""What is known of all blocks at the moment: one column for each quantity, cheap to go through as a whole."""

from dataclasses import dataclass, field
from enum import StrEnum

from .layout import Layout

type Column = list[float | None]


class Phase(StrEnum):
    """What the batteries do (manual M:11154 BACS_STATE…)."""

    FLOATING = "floating"
    """Full, on trickle charge."""
    DISCHARGING = "discharging"
    CHARGING = "charging"
    """Boost charge after a discharge; no charge in percent can be told then (manual M:6978)."""
    RESTING = "resting"
    """Neither charged nor discharged."""


class Board:
    """Values by number; index 0 is not used. None: not known (never read, stale, lost, or not measurable)."""

    def __init__(self, layout: Layout) -> None:
        """Nothing is known yet."""
        self.layout = layout
        blocks, strings = layout.blocks + 1, layout.strings + 1
        self.voltage: Column = [None] * blocks
        """V of each block."""
        self.temperature: Column = [None] * blocks
        """°C."""
        self.impedance: Column = [None] * blocks
        """mΩ."""
        self.duty: Column = [None] * blocks
        """Percent of the equalising power, as the module says that it draws."""
        self.charge: Column = [None] * blocks
        """Percent, worked out."""
        self.baseline: Column = [None] * blocks
        """mΩ when new."""
        self.lost: list[bool] = [False] * blocks
        """Whether the module does not answer."""
        self.current: Column = [None] * strings
        """A of each string."""
        self.string_charge: Column = [None] * strings
        """Percent, worked out."""
        self.phase = Phase.FLOATING
        """Of the whole system."""
        self.changed: set[int] = set()
        """Numbers of the blocks of which something has changed since they were last judged."""


@dataclass(slots=True)
class Findings:
    """What was found out: only what is new or different, by place and key of the catalogue."""

    points: dict[tuple[str, int, str], float | int | str | None] = field(default_factory=dict)
    """(kind, number, key) to value; None: cannot be known."""
    conditions: dict[tuple[str, int, str], bool] = field(default_factory=dict)
    unknown: set[tuple[str, int, str]] = field(default_factory=set)
    """Conditions that can no longer be told: they stay as they are (or as `conditions` says now), but stale."""


__all__ = ["Board", "Column", "Findings", "Phase"]
