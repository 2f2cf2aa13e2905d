"""What follows about the battery itself: how evenly its two halves are loaded, and whether it is too old."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from ridethrough.catalogue import Value

from .derivation import Derivation, Derived, View, number

MONTH = timedelta(days=30)
"""A month of battery life (manual M:2284)."""
USUAL_LIFE = 48
"""Months after which a battery is too old when nobody has said (M:2285)."""
LOOK = 3600.0
"""Seconds between two looks at the calendar: the wall clock may be set at any time."""

type Calendar = Callable[[], date]
"""Gives today's date (UTC)."""


@dataclass(frozen=True, slots=True)
class BatterySettings:
    """What a person has said about the batteries; None for what nobody has."""

    installed: date | None = None
    too_old_after: int | None = None
    """Months of 30 days."""


def battery_derivation(settings: BatterySettings, today: Calendar) -> Derivation:
    """Make the derivation of `battery.symmetry`, `battery.date` and `battery_too_old`, as far as they are not told."""

    def derivation(view: View, _now: float) -> Derived:
        points: dict[str, Value] = {}
        conditions: dict[str, bool] = {}
        again = None
        difference = symmetry(view.values)
        if difference is not None:
            points["battery.symmetry"] = difference
        if settings.installed is not None:
            points["battery.date"] = settings.installed.isoformat()
        installed = installation(settings, view.values)
        if installed is not None:
            conditions["battery_too_old"] = too_old(installed, settings.too_old_after or USUAL_LIFE, today())
            again = LOOK
        return Derived(
            {key: value for key, value in points.items() if key not in view.values},
            {key: holds for key, holds in conditions.items() if key not in view.known},
            again,
        )

    return derivation


def symmetry(values: Mapping[str, Value]) -> float | None:
    """Work out the difference of the two strings of a battery with a centre tap, in volts (M:2335–2383)."""
    positive, negative = number(values, "battery.positive.voltage"), number(values, "battery.negative.voltage")
    # Some give the negative string's voltage with its sign.
    return None if positive is None or negative is None else round(abs(abs(positive) - abs(negative)), 3)


def installation(settings: BatterySettings, values: Mapping[str, Value]) -> date | None:
    """Find when the battery was installed: as a person has said, or as the UPS tells.

    The UPS is believed only when a person has asked for the notice by giving an age: many still tell the date of the
    factory. It must be written as 2024-05-01 or 2024/05/01; in other forms day and month cannot be told apart.
    """
    if settings.installed is not None or settings.too_old_after is None:
        return settings.installed
    try:
        return date.fromisoformat(str(values.get("battery.date", "")).strip().replace("/", "-"))
    except ValueError:
        return None


def too_old(installed: date, months: int, today: date) -> bool:
    """Whether a battery has served its time, in months of 30 days."""
    return today - installed >= months * MONTH


__all__ = ["BatterySettings", "Calendar", "battery_derivation", "installation", "symmetry", "too_old"]
