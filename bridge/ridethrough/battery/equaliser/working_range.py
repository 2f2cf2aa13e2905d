"""The voltages between which equalising works (manual M:7054)."""

from typing import NamedTuple

from ridethrough.battery.chemistry import cells
from ridethrough.config.battery import BlockConfig, EqualisingConfig


class CellRange(NamedTuple):
    """What one cell has by its chemistry, V."""

    minimum: float
    maximum: float


# From somewhat below the float voltage, since a resting battery must not be drawn from, to the end of a boost charge:
# lead floats at 2.23–2.30 V and rests at 2.13 V (IEEE 1188 §5), NiCd at 1.40–1.47 V and 1.30 V (IEC 60623), LFP is held
# at 3.37–3.45 V, and below that its voltage says nothing of its charge.
CELLS = {
    "lead": CellRange(2.10, 2.45),
    "nicd": CellRange(1.33, 1.60),
    "lfp": CellRange(3.33, 3.65),
}
"""By chemistry; of `other` nothing is known, so the range must be configured there."""


class Range(NamedTuple):
    """V per block, both inclusive."""

    minimum: float
    maximum: float


def usual_range(block: BlockConfig) -> Range | None:
    """Return the usual range of such blocks, None where none is known."""
    cell = CELLS.get(block.chemistry)
    if cell is None:
        return None
    count = cells(block)
    return Range(round(count * cell.minimum, 3), round(count * cell.maximum, 3))


def range_of(config: EqualisingConfig, block: BlockConfig) -> Range | None:
    """Return the range in which to work, None if it is not known: then there is no equalising."""
    usual = usual_range(block)
    minimum = config.minimum if config.minimum is not None else usual.minimum if usual else None
    maximum = config.maximum if config.maximum is not None else usual.maximum if usual else None
    return None if minimum is None or maximum is None or minimum >= maximum else Range(minimum, maximum)


__all__ = ["CELLS", "CellRange", "Range", "range_of", "usual_range"]
