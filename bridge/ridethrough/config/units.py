"""Numbers as people write them: `3000`, `3000 VA`, `3 kVA`, `10 min`, `1.5 h`."""

from collections.abc import Mapping
from dataclasses import dataclass
import re

_NUMBER = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))\s*([^\W\d_]*)", re.ASCII)


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
