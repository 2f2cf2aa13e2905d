"""What an alarm does: the general alarm with buzzer and relay, and which alarms stop equalising. Warnings do none of it.

The manual's list of what sets the general alarm off (M:7863–7933) is taken as it is printed; M:6371–6378 adds the error
of equalising, which the list forgets. Alarms of the event list that stand in neither set nothing off (ERRATA 62): an open
breaker, the discharge counter, a box's input, a blown fuse, a low charge.
"""

from collections.abc import Mapping, Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from ridethrough.catalogue import Severity, load_catalogue

from .layout import SYSTEM, Layout, Place

KINDS = ("battery_system", "battery_string", "battery_module", "current_sensor", "io_box")

type Active = Mapping[Place, AbstractSet[str]]
"""Conditions that hold, for each place where any does."""


class Trigger(NamedTuple):
    """One row of the list."""

    event: str
    """As the manual calls it."""
    conditions: tuple[str, ...]
    line: int


TRIGGERS = (
    # Its explanation is lost communication, its remedy cable and addressing (M:7299–7309); M:6375 says "to one or more".
    Trigger("BACS System Alarm", ("system_failure", "module.lost", "module.duplicate"), 7868),
    Trigger("BACS Voltage High Alarm", ("module.voltage_high",), 7870),
    Trigger("BACS Voltage Low Alarm", ("module.voltage_low",), 7872),
    Trigger("BACS Temperature High Alarm", ("module.temperature_high",), 7874),
    Trigger("BACS Temperature Low Alarm", ("module.temperature_low",), 7876),
    Trigger("BACS Resistor High Alarm", ("module.impedance_high",), 7878),
    Trigger("BACS Resistor Low Alarm", ("module.impedance_low",), 7880),
    # Of the system and, at M:7884–7915, of each string.
    Trigger("BACS Thermal Runaway Alarm", ("thermal_runaway",), 7882),
    Trigger("BACS Baseline Impedance Alarm", ("module.impedance_risen",), 7916),
    Trigger("BACS String Voltage High Alarm", ("string.voltage_high",), 7918),
    Trigger("BACS String Voltage Low Alarm", ("string.voltage_low",), 7920),
    Trigger("BACS String Current High Alarm", ("string.current_high",), 7922),
    Trigger("BACS String Current Low Alarm", ("string.current_low",), 7924),
    Trigger("BACS Module Revision Alarm", ("module.incompatible",), 7926),
    # A warning by its text (M:7780), but in the list (ERRATA 61).
    Trigger("BACS Equalizing deactivated by System", ("equalizing_deactivated",), 7928),
    Trigger("BACS String Current Deviation Discharge Alarm", ("string.discharge_deviation",), 7930),
    Trigger("BACS String Current Deviation Charge Alarm", ("string.charge_deviation",), 7932),
    Trigger("Equalizing / Balancing Error alarm", ("equalizing_error",), 6377),
)

GENERAL = frozenset(condition for trigger in TRIGGERS for condition in trigger.conditions)
"""Conditions that are a general alarm, of the place where they hold and of all that it is part of."""

STOPS_EQUALISING = frozenset(
    {
        "module.lost",
        "module.duplicate",
        "module.incompatible",
        "module.fuse_blown",
        "module.voltage_high",
        "module.voltage_low",
        "module.temperature_high",
        "module.temperature_low",
        "module.impedance_high",
        "module.impedance_low",
        "module.impedance_risen",
        "module.charge_low",
        "string.voltage_high",
        "string.voltage_low",
        "string.current_high",
        "string.current_low",
        "string.discharge_deviation",
        "string.charge_deviation",
        "string.charge_low",
        "thermal_runaway",
        "breaker_open",
        "breaker_tripped",
        "breaker_stuck",
        "ground_fault",
        "residual_current",
    }
)
"""What stops equalising in the string where it holds: "Alarms also stop any balancing in the affected battery string"
(manual M:6945, and M:6995, M:7047 of the voltage). No warning does (M:6939).

Not among them is what equalising says of itself: that it was without effect (it would keep itself from ever beginning
again, M:7786), and its error, which stops all balancing (M:7452): whoever finds that must try again by himself. Nor are
sums of others, the discharge counter, and lost sensors and boxes, which equalising does without.
"""

BREAKERS = frozenset({"thermal_runaway", "breaker_open", "breaker_tripped", "breaker_stuck"})
"""What concerns every string where it holds for the system: there may be one breaker for all (manual M:6728)."""

MUTED = 900.0
"""Seconds for which the buzzer keeps silent: "after some time it will fall back to active" (manual M:4795)."""

PICKS_UP = 15.0
"""Seconds after the start until the relay picks up; the manual says 15–20 (M:6367)."""


@cache
def of_severity(severity: Severity) -> frozenset[str]:
    """Give the conditions of batteries with a severity. Only alarms trap and close contacts (manual M:6939–6945)."""
    conditions = load_catalogue().conditions
    return frozenset(each.key for each in conditions if each.severity is severity and each.kinds & set(KINDS))


def stopped(active: Active, layout: Layout) -> frozenset[int]:
    """Give the strings in which alarms stop equalising; `active` has whatever holds, of whichever severity."""
    strings: set[int] = set()
    every = frozenset(range(1, layout.strings + 1))
    for place, keys in active.items():
        if place == SYSTEM and keys & BREAKERS and not _of_strings(active, keys & BREAKERS):
            return every
        if place.kind == "battery_module" and keys & STOPS_EQUALISING:
            strings.add(layout.string_of(place.number))
        elif place.kind == "battery_string" and keys & STOPS_EQUALISING:
            strings.add(place.number)
    return frozenset(strings) & every


def _of_strings(active: Active, keys: AbstractSet[str]) -> bool:
    """Whether strings say the same as the system, which then is no more than their sum."""
    said = {key for place, held in active.items() if place.kind == "battery_string" for key in held}
    return keys <= said


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the general alarm does."""

    general: bool
    buzzer: bool
    """Whether it sounds."""
    relay: bool
    """Whether it has picked up, that is, is energised: all is well. Without power it drops out by itself."""


class Alarm:
    """The buzzer and the relay of one battery system (manual M:6358–6382)."""

    def __init__(self, *, muted: float = MUTED, picks_up: float = PICKS_UP) -> None:
        """Begin as after a start: the relay has not picked up, nothing is muted, nobody has opened the relay."""
        self._mute_for = muted
        self._picks_up = picks_up
        self._started: float | None = None
        self._muted_until: float | None = None
        self._present: frozenset[tuple[Place, str]] = frozenset()
        self._opened = False

    def update(self, active: Active, now: float) -> Outputs:
        """Go on to `now` (monotonic seconds) with what holds, at least once a second."""
        if self._started is None:
            self._started = now
        present = frozenset((place, key) for place, keys in active.items() for key in keys & GENERAL)
        if self._present and not present:
            self._opened = False
        # Silence is for what was heard: whatever comes on top of it sounds again.
        if not present or not present <= self._present or (self._muted_until or 0.0) <= now:
            self._muted_until = None
        self._present = present
        general = bool(present)
        up = now - self._started >= self._picks_up
        return Outputs(general, general and self._muted_until is None, up and not general and not self._opened)

    def mute(self, now: float) -> None:
        """Silence the buzzer for a while; the relay stays (manual M:4795)."""
        if self._present:
            self._muted_until = now + self._mute_for

    def open(self) -> None:
        """Open the relay by hand, until the start, `close`, or the end of an alarm (manual M:6380–6383)."""
        self._opened = True

    def close(self) -> None:
        """Close it again; an alarm that is present keeps it open all the same (manual M:6364)."""
        self._opened = False


__all__ = [
    "GENERAL",
    "KINDS",
    "STOPS_EQUALISING",
    "TRIGGERS",
    "Active",
    "Alarm",
    "Outputs",
    "Trigger",
    "of_severity",
    "stopped",
]
