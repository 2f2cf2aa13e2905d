"""Pure functions and state machines: they take values and the time, and return values."""

from .autonomy import UpsSettings
from .ups import ups_derivation

__all__ = ["UpsSettings", "ups_derivation"]
