"""How fast the time of a simulation goes."""

SPEEDS = (0.01, 3600.0)
"""Slowest and fastest: simulated seconds per second."""


def checked_speed(factor: float) -> float:
    """Give it back. Raises ValueError when it is none of these."""
    if not SPEEDS[0] <= factor <= SPEEDS[1]:
        raise ValueError(f"A speed lies between {SPEEDS[0]:g} and {SPEEDS[1]:g}, not {factor}")
    return factor
