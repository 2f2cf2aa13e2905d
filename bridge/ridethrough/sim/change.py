"""What may be changed about a simulation while it runs: the same words in scenario files and in the control's JSON."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import voluptuous as vol

from .battery import Wear
from .line import LINE_DELAY, LineFaults
from .ups import GAUGES, Faults


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different. None, or absence from a mapping, leaves a thing as it is."""

    mains: bool | float | None = None
    """On at nominal voltage, off, or volts."""
    frequency: float | None = None
    load: float | None = None
    ambient: float | None = None
    """°C around the UPS."""
    temperature: float | None = None
    """°C of the UPS itself, from which it drifts."""
    charge: float | None = None
    beeper: bool | None = None
    power: bool | None = None
    """The button on the front."""
    faults: Mapping[str, float] = field(default_factory=dict)
    """charger, fan: 0 or 1; capacity, resistance: factors."""
    stuck: Mapping[str, float | None] = field(default_factory=dict)
    """Gauges that are to show a value for ever; None sets one free."""
    line: Mapping[str, float] = field(default_factory=dict)
    """Fields of `LineFaults`."""
    plugged: bool | None = None


def number(low: float, high: float) -> Callable[[object], float]:
    """Make a validator: a finite number within these limits; true and false are none."""

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise vol.Invalid(f"{value!r} must be a number from {low:g} to {high:g}")
        return float(value)

    return check


def flag(value: object) -> bool:
    """Accept true or false and nothing that resembles them."""
    if not isinstance(value, bool):
        raise vol.Invalid(f"{value!r} must be true or false")
    return value


def text(value: object) -> str:
    """Accept text with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise vol.Invalid(f"{value!r} must be a text")
    return value.strip()


def _mains(value: object) -> bool | float:
    if isinstance(value, bool):
        return value
    try:
        return number(0.0, 500.0)(value)
    except vol.Invalid as error:
        raise vol.Invalid(f"{error.msg} (volts), or true or false") from error


def _stuck(value: object) -> float | None:
    return None if value is None else number(-1000.0, 1000.0)(value)


SHARE = number(0.0, 1.0)
FAULTS = {
    "charger": flag,
    "fan": flag,
    "capacity": number(0.05, 1.5),
    "resistance": number(0.1, 100.0),
    "stuck": {vol.Optional(name): _stuck for name in GAUGES},
}
LINE = {
    "garble": SHARE,
    "truncate": SHARE,
    "silent": flag,
    "delay": number(0.0, LINE_DELAY),
    "echo": flag,
    "flood": flag,
    "plugged": flag,
}
CHANGES = {
    "mains": _mains,
    "frequency": number(0.0, 100.0),
    "load": number(0.0, 2.0),
    "ambient": number(-20.0, 80.0),
    "temperature": number(-20.0, 100.0),
    "charge": SHARE,
    "beeper": flag,
    "power": flag,
    "fault": {vol.Optional(name): check for name, check in FAULTS.items()},
    "line": {vol.Optional(name): check for name, check in LINE.items()},
}
CHANGE_ROWS = {vol.Optional(name): check for name, check in CHANGES.items()}
"""For schemas that add keys of their own."""
_SCHEMA = vol.Schema(CHANGE_ROWS)
_PERMITTED = {"fault": tuple(FAULTS), "line": tuple(LINE), "stuck": GAUGES}
"""By section; elsewhere what `CHANGES` says."""


def parse_change(data: object) -> Change:
    """Check what came as JSON. Raises vol.Invalid; `explain` makes a sentence of it."""
    return change_from(_SCHEMA(data))


def change_from(checked: Mapping[str, object]) -> Change:
    """Build a change from values that have passed a schema with `CHANGE_ROWS`; other keys are left alone."""
    own = {name: value for name, value in checked.items() if name in CHANGES and name not in ("fault", "line")}
    faults = dict(_section(checked, "fault"))
    stuck = faults.pop("stuck", {})
    line = dict(_section(checked, "line"))
    plugged = line.pop("plugged", None)
    return Change(**own, faults=faults, stuck=stuck, line=line, plugged=plugged)  # type: ignore[arg-type] # checked


def changed_faults(faults: Faults, change: Change) -> Faults:
    """Apply a change to the faults of the UPS."""
    given = change.faults
    stuck = {**dict(faults.stuck), **change.stuck}
    return Faults(
        charger=bool(given.get("charger", faults.charger)),
        fan=bool(given.get("fan", faults.fan)),
        wear=Wear(given.get("capacity", faults.wear.capacity), given.get("resistance", faults.wear.resistance)),
        stuck=tuple((name, value) for name, value in stuck.items() if value is not None),
    )


def changed_line(faults: LineFaults, change: Change) -> LineFaults:
    """Apply a change to the faults of the line."""
    return replace(faults, **change.line)  # type: ignore[arg-type] # the schema has checked each field


def explain(error: vol.Invalid) -> str:
    """Every complaint of a schema, each with the place it is about: `line.garble: 2 must be a number from 0 to 1`."""
    complaints = error.errors if isinstance(error, vol.MultipleInvalid) else [error]
    return "; ".join(_complaint(complaint) for complaint in complaints)


def _complaint(error: vol.Invalid) -> str:
    place = ".".join(str(part) for part in error.path)
    said = error.msg
    if said == "extra keys not allowed":
        section = str(error.path[-2]) if len(error.path) > 1 else ""
        permitted = _PERMITTED.get(section, tuple(CHANGES))
        said = f"there is no such key; these can be changed: {', '.join(permitted)}"
    return f"{place}: {said}" if place else said


def _section(checked: Mapping[str, object], name: str) -> Mapping[str, object]:
    section = checked.get(name, {})
    assert isinstance(section, Mapping)
    return section
