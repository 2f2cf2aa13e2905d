"""Numbers as people write them: `3000`, `3000 VA`, `3 kVA`, `10 min`, `1.5 h`."""

from collections.abc import Mapping
from dataclasses import dataclass
import re

_NUMBER = re.compile(r"([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))\s*(%|°?[A-Za-zΩΩ]*)")


@dataclass(frozen=True, slots=True)
class Measure:
    """A number with the units it may be written in; without a unit it is in the first."""

    units: Mapping[str, float]
    """What each unit is worth in the first one."""
    minimum: float
    maximum: float

    @property
    def unit(self) -> str:
        """The unit of the result."""
        return next(iter(self.units))

    @property
    def permitted(self) -> str:
        """For messages: `a number from 1 to 10 min; units: min, h, s`."""
        return f"a number from {self.minimum:.10g} to {self.maximum:.10g} {self.unit}; units: {', '.join(self.units)}"

    def parse(self, text: str) -> float:
        """Return the value in the first unit. Raises ValueError when it is none or out of range."""
        found = _NUMBER.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"must be {self.permitted}")
        factors = {unit.lower(): factor for unit, factor in self.units.items()}
        unit = (found[2] or self.unit).lower()
        if unit not in factors:
            raise ValueError(f"has the unit {found[2]}; must be {self.permitted}")
        value = float(found[1]) * factors[unit]
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"is out of range; must be {self.permitted}")
        return value


APPARENT_POWER = Measure({"VA": 1.0, "kVA": 1e3, "MVA": 1e6}, 1.0, 1e7)
"""From the smallest adapter to a hall of parallel modules."""
HOLD_TIME = Measure({"min": 1.0, "h": 60.0, "s": 1.0 / 60.0}, 0.1, 10_000.0)
"""Minutes at full load (manual M:2272)."""
RECHARGE_TIME = Measure({"h": 1.0, "min": 1.0 / 60.0, "d": 24.0}, 0.1, 1_000.0)
"""Hours."""
BATTERY_LIFE = Measure({"months": 1.0, "month": 1.0, "years": 12.0, "year": 12.0}, 1.0, 360.0)
"""Months until batteries count as too old (manual M:2283)."""
HEALTH_LEVEL = Measure({"percent": 1.0}, 5.0, 30.0)
"""Percent by which the battery voltage may drop in a test (manual M:2300)."""
SHUTDOWN_TIME = Measure({"s": 1.0, "min": 60.0, "h": 3600.0}, 1.0, 86_400.0)
"""Seconds of runtime left."""
HOLD = Measure({"s": 1.0, "min": 60.0, "h": 3600.0}, 0.0, 86_400.0)
"""Seconds that a value must be beyond a threshold."""
ALIVE = Measure({"s": 1.0, "min": 60.0}, 1.0, 300.0)
"""Seconds between two signs of life to a shutdown agent."""
COMPUTER_TIME = Measure({"s": 1.0, "min": 60.0, "h": 3600.0}, 1.0, 86_400.0)
"""Seconds that a computer takes for shutting down, or for starting."""
IDLE = Measure({"s": 1.0, "min": 60.0}, 1.0, 3600.0)
"""Seconds that a connection may say nothing."""
REGISTRATION = Measure({"s": 1.0, "min": 60.0}, 30.0, 65535.0)
"""Seconds that a foreign device is known to a BBMD."""
ANSWER = Measure({"s": 1.0, "ms": 0.001}, 0.1, 60.0)
"""Seconds to wait for an answer."""


# Of batteries

VOLTAGE = Measure({"V": 1.0, "mV": 0.001}, 0.0, 1000.0)
VOLTAGE_OFFSET = Measure({"V": 1.0, "mV": 0.001}, -1.0, 1.0)
CAPACITY = Measure({"Ah": 1.0}, 0.1, 10_000.0)
CURRENT = Measure({"A": 1.0, "mA": 0.001}, -5000.0, 5000.0)
"""Negative while discharging (manual M:5662)."""
CURRENT_DIFFERENCE = Measure({"A": 1.0, "mA": 0.001}, 0.0, 5000.0)
TEMPERATURE = Measure({"°C": 1.0, "C": 1.0}, -40.0, 100.0)
TEMPERATURE_DIFFERENCE = Measure({"K": 1.0, "°C": 1.0, "C": 1.0}, 0.5, 60.0)
TEMPERATURE_OFFSET = Measure({"K": 1.0, "°C": 1.0, "C": 1.0}, -20.0, 20.0)
IMPEDANCE = Measure({"mΩ": 1.0, "mOhm": 1.0, "Ω": 1000.0, "Ohm": 1000.0}, 0.0, 10_000.0)
IMPEDANCE_OFFSET = Measure({"mΩ": 1.0, "mOhm": 1.0}, -1000.0, 1000.0)
PERCENT = Measure({"%": 1.0, "percent": 1.0}, 0.0, 100.0)
PERCENT_DIFFERENCE = Measure({"%": 1.0, "percent": 1.0}, 0.1, 1000.0)
"""By which something may differ, of which there can be more than all."""
ALARM_DELAY = Measure({"s": 1.0, "min": 60.0, "h": 3600.0}, 0.0, 72 * 3600.0)
"""For which low voltages raise nothing after a discharge (manual M:6539)."""
GIVE_UP = Measure({"d": 1.0, "h": 1.0 / 24.0}, 1.0, 60.0)
"""Days without effect after which equalising ends (manual M:7771)."""
MEASURE_EVERY = Measure({"h": 1.0, "d": 24.0}, 1.0, 24.0 * 31)
"""Hours between two measurements of impedances (manual M:5564)."""
LOG_INTERVAL = Measure({"s": 1.0, "min": 60.0, "h": 3600.0}, 1.0, 3600.0)
LOG_SIZE = Measure({"MB": 1.0, "GB": 1000.0}, 1.0, 1_000_000.0)
