"""Pure functions and state machines: they take values and the time, and return values."""
