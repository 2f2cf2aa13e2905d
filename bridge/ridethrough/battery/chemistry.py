"""What is known of kinds of cells: how many make a block, what their voltage says of their charge, how they age a count.

A table of open-circuit voltages goes from empty to full, in volts per cell at 25 °C after hours of rest.

- lead: Linden, Handbook of Batteries: open-circuit voltage = density + 0.845 V; the acid of valve-regulated cells has
  1.30 kg/l when full and about 1.10 when empty. Final voltage 1.75 V (IEEE 1188, IEEE 485). The factors of temperature
  are those of IEEE 485, table 1. Peukert's exponent 1.2 is what the data sheets of blocks for UPSes come to between the
  20-hour and the 10-minute rate (7 Ah: 0.35 A and about 17.5 A).
- NiCd: nominal 1.20 V, final 1.00 V (IEEE 1115), float 1.40–1.45 V per cell (IEEE 1106). Its open-circuit voltage says
  too little of its charge to be used for it. Capacity against temperature differs from make to make: none is taken.
- LFP: plateau at 3.2–3.3 V, final 2.5 V, full charge 3.4–3.65 V (data sheets of cells). On the plateau the voltage says
  next to nothing, so that rest is believed at the ends only.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from ridethrough.config.battery import BlockConfig, Chemistry

type Table = tuple[tuple[float, float], ...]
"""Pairs with rising first members; linear in between, the end's value beyond."""


def at(table: Table, place: float) -> float:
    """Read a table."""
    index = bisect_right(table, place, key=lambda row: row[0])
    if index == 0:
        return table[0][1]
    if index == len(table):
        return table[-1][1]
    (left, low), (right, high) = table[index - 1], table[index]
    return low + (high - low) * (place - left) / (right - left)


@dataclass(frozen=True, slots=True)
class Cell:
    """One kind of cell."""

    voltage: float
    """Nominal V, by which the cells of a block are counted."""
    floating: float
    """V from which on it is on a charger: above any voltage of rest, below any of float."""
    charge: Table
    """V at rest to charge (0–1)."""
    believed: tuple[tuple[float, float], ...]
    """Ranges of charge where the voltage at rest is worth more than counting."""
    slope: float
    """V per unit of charge by which differences between blocks under load are told; larger makes for smaller ones."""
    ceiling: Table
    """V under load, without what the impedance takes, to the most charge that there can be."""
    peukert: float
    hours: float
    """Discharge time to which the capacity on the label refers."""
    efficiency: float
    """Share of the charging current that is stored."""
    warmth: Table
    """°C to the share of the capacity at 25 °C."""


CELLS: Mapping[Chemistry, Cell] = {
    "lead": Cell(
        voltage=2.0,
        floating=2.17,
        charge=((1.945, 0.0), (2.145, 1.0)),
        believed=((0.0, 1.0),),
        slope=0.20,
        ceiling=((1.75, 0.0), (1.80, 0.05), (1.90, 0.30), (1.95, 1.0)),
        peukert=1.2,
        hours=20.0,
        efficiency=0.90,
        warmth=((-3.9, 0.658), (4.4, 0.769), (10.0, 0.840), (15.6, 0.901), (21.1, 0.962), (25.0, 1.0), (35.0, 1.075)),
    ),
    "nicd": Cell(
        voltage=1.2,
        floating=1.37,
        charge=((1.20, 0.0), (1.32, 1.0)),
        believed=(),
        slope=0.12,
        ceiling=((1.00, 0.0), (1.10, 0.10), (1.15, 1.0)),
        peukert=1.1,
        hours=5.0,
        efficiency=0.80,
        warmth=((25.0, 1.0),),
    ),
    "lfp": Cell(
        voltage=3.2,
        floating=3.37,
        charge=((2.50, 0.0), (3.00, 0.05), (3.20, 0.15), (3.28, 0.40), (3.30, 0.70), (3.33, 0.95), (3.36, 1.0)),
        believed=((0.0, 0.15), (0.97, 1.0)),
        slope=0.30,
        ceiling=((2.50, 0.0), (2.90, 0.05), (3.05, 0.15), (3.15, 1.0)),
        peukert=1.05,
        hours=5.0,
        efficiency=0.99,
        warmth=((25.0, 1.0),),
    ),
}
"""Of `other` nothing is known, so that no charge is told (manual M:5424)."""


def cells(block: BlockConfig) -> int:
    """How many cells one module measures: 6 in a lead block of 12 V, 2 in a pair of NiCd cells called 2 V (M:5478)."""
    cell = CELLS.get(block.chemistry)
    return 1 if cell is None else max(1, round(block.voltage / cell.voltage))


__all__ = ["CELLS", "Cell", "Table", "at", "cells"]
