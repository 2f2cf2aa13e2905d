"""Pure functions and state machines: they take values and the time, and return values."""

from .autonomy import ChargeBefore, UpsSettings
from .battery import BatterySettings, Calendar, battery_derivation
from .battery_test import BatteryTests
from .derivation import chain
from .last_minutes import last_minutes_derivation
from .thresholds import Bounds, Threshold, thresholds_derivation
from .ups import summary_derivation, ups_derivation

__all__ = [
    "BatterySettings",
    "BatteryTests",
    "Bounds",
    "Calendar",
    "ChargeBefore",
    "Threshold",
    "UpsSettings",
    "battery_derivation",
    "chain",
    "last_minutes_derivation",
    "summary_derivation",
    "thresholds_derivation",
    "ups_derivation",
]
