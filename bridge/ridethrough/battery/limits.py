"""Usual voltage limits by chemistry: what is watched where the configuration names no limits of its own.

The manual says that there are such defaults and that they fit most batteries (M:6450, M:6510), but does not print them.
These come from standards and from what makers publish, per cell at 20–25 °C, and are scaled by the number of cells.
The limits on the low side are meant for batteries that a charger holds: a discharge passes through them, so that they
raise nothing until some time after it (M:6539). The final voltage holds at any time.
"""

from dataclasses import dataclass

from ridethrough.config.battery import Band, BlockConfig, Chemistry


@dataclass(frozen=True, slots=True)
class Cell:
    """Voltages of one cell, V."""

    nominal: float
    final: float
    """Below this a cell is discharged too deeply, whatever the load; it may be reversed next (manual M:6412)."""
    low_alarm: float
    low_warning: float
    high_warning: float
    high_alarm: float


CELLS: dict[Chemistry, Cell] = {
    "lead": Cell(
        nominal=2.0,
        # Makers of valve-regulated blocks permit 1.60 V at the highest rates only (1 h and less) and 1.70–1.80 V at lower
        # ones; IEC 60896-21 tests down to 1.60–1.80 V.
        final=1.60,
        # A block of six with one cell short-circuited floats at about 5 · 2.27 V = 11.4 V, well below its nominal voltage.
        low_alarm=2.00,
        # Charged cells rest at 2.13–2.15 V (density 1.28–1.30 kg/l + 0.84 V, IEEE 1188): below 2.10 V none is charged.
        # Float is 2.25–2.30 V (data sheets), 2.27 V in IEC 62485-2 table 1; single ones may be 0.1 V lower.
        low_warning=2.10,
        # Boost and equalising charge: 2.40 V in IEC 62485-2 table 1, up to 2.45 V in data sheets.
        high_warning=2.45,
        # The upper end of cyclic charge in data sheets (14.4–15.0 V a 12 V block); a valve opens and water is lost.
        high_alarm=2.50,
    ),
    "nicd": Cell(
        nominal=1.2,
        # IEC 60623: capacity is rated, and discharge ends, at 1.00 V.
        final=1.00,
        low_alarm=1.20,
        # Charged cells rest at 1.29–1.35 V and float at 1.40–1.42 V (makers' manuals; 1.40 V in IEC 62485-2 table 1).
        low_warning=1.30,
        # High-rate charge: 1.55 V in IEC 62485-2 table 1, 1.45–1.70 V in makers' manuals.
        high_warning=1.60,
        high_alarm=1.70,
    ),
    "lfp": Cell(
        nominal=3.2,
        # Data sheets of iron phosphate cells: discharge ends at 2.5 V, 2.0 V is the limit of protection.
        final=2.50,
        # At rest 3.2 V is about a fifth of the charge, 3.0 V the knee at its end.
        low_alarm=3.00,
        low_warning=3.20,
        # Charging ends at 3.65 V (14.6 V for four, data sheets); protection circuits of packs open at 3.75 V.
        high_warning=3.65,
        high_alarm=3.70,
    ),
}
"""Of `other` chemistry nothing is usual: what the configuration does not name is not watched (manual M:5421)."""


def cells(block: BlockConfig) -> int:
    """Count the cells in series that one module measures; 0 where the chemistry is not known.

    By the nominal voltage, so that a pair of NiCd cells is two whether it is called 2.4 V or, as the manual has it, 2 V
    (M:5475), and a block of four or eight LFP cells is one of 12 or 24 V.
    """
    cell = CELLS.get(block.chemistry)
    return 0 if cell is None else max(round(block.voltage / cell.nominal), 1)


def usual_voltage(block: BlockConfig) -> Band:
    """Give the voltage limits of a block, V; none for a chemistry of which nothing is usual."""
    cell, count = CELLS.get(block.chemistry), cells(block)
    if cell is None:
        return Band()
    limits = (cell.low_alarm, cell.low_warning, cell.high_warning, cell.high_alarm)
    return Band(*(_scaled(limit, count) for limit in limits))


def final_voltage(block: BlockConfig) -> float | None:
    """Give the voltage below which a block is discharged too deeply, V; None where that is not known."""
    cell = CELLS.get(block.chemistry)
    return None if cell is None else _scaled(cell.final, cells(block))


def _scaled(voltage: float, count: int) -> float:
    return round(voltage * count, 3)


__all__ = ["CELLS", "Cell", "cells", "final_voltage", "usual_voltage"]
