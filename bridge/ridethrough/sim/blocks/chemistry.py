"""Cells by chemistry, and the blocks made of them.

On float a full cell lets pass nothing but overcharge current, which follows Tafel's law: its voltage rises by a fixed
step for each tenfold current. The step of one electrode is 80 mV where oxygen is set free and 120 mV for hydrogen
(Berndt, J. Power Sources 100 (2001) 29); 100 mV a cell is taken. At a given voltage the current doubles with each 10 K.
Blocks in series share one current, so those that need more of it for the same voltage stand lower than the others.
"""

from dataclasses import dataclass

DOUBLING = 10.0
"""K for which overcharge current and ageing double, Arrhenius' rule of thumb (IEEE 1188 §5 warns of its effect)."""
_REFERENCE_CAPACITY = 7.0
_RESISTANCE_EXPONENT = 0.6
"""Large cells gain less than their capacity: 22 mΩ for 12 V 7 Ah and 4.5 mΩ for 12 V 100 Ah, as data sheets have it."""
_MASS_EXPONENT = 2.0 / 3.0
"""Surface by mass."""


@dataclass(frozen=True, slots=True)
class CellDesign:
    """One cell. Voltages in V; resistances in ohm for a cell of 7 Ah; currents in A per Ah."""

    nominal: float
    empty: float
    """Open-circuit voltage of an empty cell, of one with a tenth of its charge, and of a full one."""
    tenth: float
    full: float
    float_voltage: float
    """What a charger holds per cell."""
    overcharge: float
    """Overcharge current at `reference`, 25 °C."""
    reference: float
    tafel: float
    """V per tenfold overcharge current."""
    resistance: float
    """Ohmic, new and full."""
    discharge_polarisation: float
    """Of the ohmic resistance: what reaction and diffusion add while discharging."""
    charge_polarisation: float
    """The same while charging."""
    taper_from: float
    """Charge (0–1) from which a cell accepts less and less."""
    polarisation: float = 70.0
    """F per Ah that hold the polarisation: why a float voltage takes hours to settle."""
    self_discharge: float = 0.03
    """Share of the charge lost in a month at 25 °C."""
    life: float = 10.0
    """Years at 25 °C after which the ohmic resistance has grown by half, IEEE 1188's sign of the end."""
    energy: float = 30.0
    """Wh per kg."""
    heat: float = 1000.0
    """J per kg and kelvin."""


CHEMISTRIES = {
    "lead": CellDesign(
        nominal=2.0,
        empty=1.84,
        tenth=1.869,
        full=2.13,
        float_voltage=2.275,
        overcharge=0.001,
        reference=2.275,
        tafel=0.1,
        resistance=0.0037,
        discharge_polarisation=1.0,
        charge_polarisation=10.0,
        taper_from=0.85,
    ),
    "nicd": CellDesign(
        nominal=1.2,
        empty=1.0,
        tenth=1.2,
        full=1.34,
        float_voltage=1.42,
        overcharge=0.001,
        reference=1.42,
        tafel=0.06,
        resistance=0.0025,
        discharge_polarisation=0.6,
        charge_polarisation=4.0,
        taper_from=0.8,
        self_discharge=0.1,
        life=20.0,
        energy=40.0,
    ),
    "lfp": CellDesign(
        nominal=3.2,
        empty=2.6,
        tenth=3.2,
        full=3.34,
        float_voltage=3.4,
        # Nothing in such a cell takes overcharge; what passes at 3.65 V is the leak of the electronics at its poles.
        overcharge=0.0002,
        reference=3.4,
        tafel=0.08,
        resistance=0.006,
        discharge_polarisation=0.5,
        charge_polarisation=1.0,
        taper_from=0.97,
        polarisation=40.0,
        self_discharge=0.02,
        life=15.0,
        energy=90.0,
    ),
}
"""Cells by the names that a configuration has for chemistries."""


@dataclass(frozen=True, slots=True)
class BlockDesign:
    """What is printed on a block, and what follows from it."""

    voltage: float = 12.0
    """Nominal, V."""
    capacity: float = 7.0
    """Ah."""
    chemistry: str = "lead"
    """A key of `CHEMISTRIES`."""
    equalising_power: float = 2.0
    """W that a module draws from the block at a duty of 100 %."""

    @property
    def cell(self) -> CellDesign:
        """One of its cells."""
        return CHEMISTRIES[self.chemistry]

    @property
    def cells(self) -> int:
        """Cells in series, at least one."""
        return max(1, round(self.voltage / self.cell.nominal))

    @property
    def float_voltage(self) -> float:
        """V that the charger holds for each block."""
        return self.cells * self.cell.float_voltage

    @property
    def resistance(self) -> float:
        """Ohmic, of a new and full block, ohm."""
        share: float = (_REFERENCE_CAPACITY / self.capacity) ** _RESISTANCE_EXPONENT
        return self.cells * self.cell.resistance * share

    @property
    def heat_capacity(self) -> float:
        """J per kelvin."""
        return self._mass * self.cell.heat

    @property
    def heat_loss(self) -> float:
        """W per kelvin above the surroundings, of a block in a rack: 0.5 for 12 V 7 Ah, and more with its surface."""
        loss: float = 0.25 * self._mass**_MASS_EXPONENT
        return loss

    @property
    def _mass(self) -> float:
        return self.voltage * self.capacity / self.cell.energy
