"""What may be changed about a simulation while it runs: the same words in scenario files and in the control's JSON."""

from collections.abc import Callable, Collection, Mapping
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


type Check = Callable[[object], object]
"""A validator: gives the value back, made proper, or raises vol.Invalid."""


def section(rows: Mapping[str, Check], required: Collection[str] = ()) -> Callable[[object], dict[str, object]]:
    """Make a validator: a mapping with no other keys than these. It tells everything that is wrong at once.

    The words are our own, because whatever stands in for voluptuous has others.
    """

    def check(value: object) -> dict[str, object]:
        permitted = ", ".join(rows)
        if not isinstance(value, Mapping):
            raise vol.Invalid(f"{value!r} must be a section with keys of its own; permitted: {permitted}")
        errors = [vol.Invalid("is required", path=[key]) for key in required if key not in value]
        checked = {}
        for key, given in value.items():
            if key not in rows:
                errors.append(vol.Invalid(f"there is no such key; permitted: {permitted}", path=[key]))
                continue
            try:
                checked[key] = rows[key](given)
            except vol.Invalid as error:
                error.prepend([key])
                errors += complaints(error)
        if errors:
            raise vol.MultipleInvalid(errors)
        return checked

    return check


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


def complaints(error: vol.Invalid) -> list[vol.Invalid]:
    """Take apart what a validator has raised."""
    return error.errors if isinstance(error, vol.MultipleInvalid) else [error]


def explain(error: vol.Invalid) -> str:
    """Say what is wrong, each with its place: `line.garble: 2 must be a number from 0 to 1`."""
    return "; ".join(
        ": ".join(filter(None, (".".join(map(str, complaint.path)), complaint.msg))) for complaint in complaints(error)
    )


def _mains(value: object) -> bool | float:
    if isinstance(value, bool):
        return value
    try:
        return number(0.0, 500.0)(value)
    except vol.Invalid as error:
        raise vol.Invalid(f"{error.msg} (volts), or true or false") from error


def _stuck(value: object) -> float | None:
    return None if value is None else number(-1000.0, 1000.0)(value)


_SHARE = number(0.0, 1.0)
CHANGES: dict[str, Check] = {
    "mains": _mains,
    "frequency": number(0.0, 100.0),
    "load": number(0.0, 2.0),
    "ambient": number(-20.0, 80.0),
    "temperature": number(-20.0, 100.0),
    "charge": _SHARE,
    "beeper": flag,
    "power": flag,
    "fault": section(
        {
            "charger": flag,
            "fan": flag,
            "capacity": number(0.05, 1.5),
            "resistance": number(0.1, 100.0),
            "stuck": section(dict.fromkeys(GAUGES, _stuck)),
        }
    ),
    "line": section(
        {
            "garble": _SHARE,
            "truncate": _SHARE,
            "silent": flag,
            "delay": number(0.0, LINE_DELAY),
            "echo": flag,
            "flood": flag,
            "plugged": flag,
        }
    ),
}
"""What can be changed, and to what."""
_change = section(CHANGES)


def parse_change(data: object) -> Change:
    """Check what came as JSON or YAML. Raises vol.Invalid; `explain` makes a sentence of it."""
    return change_from(_change(data))


def change_from(checked: Mapping[str, object]) -> Change:
    """Build a change from values that have been checked; keys that are not in `CHANGES` are left alone."""
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


def _section(checked: Mapping[str, object], name: str) -> Mapping[str, object]:
    section = checked.get(name, {})
    assert isinstance(section, Mapping)
    return section
