"""Pure functions and state machines: they take values and the time, and return values."""

from .autonomy import UpsSettings
from .thresholds import Bounds, Threshold, thresholds_derivation
from .ups import ups_derivation

__all__ = ["Bounds", "Threshold", "UpsSettings", "thresholds_derivation", "ups_derivation"]
