"""What the registers of a device say together: points and conditions, with or without phases. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ridethrough.catalogue import Catalogue
from ridethrough.links.base import RawValue
from ridethrough.maps.phases import PHASE, plain_key
from ridethrough.maps.registers import Device, Register
from ridethrough.site import Value

from .decode import Raw, scaled, value_of

type Raws = Mapping[Register, Raw | None]


@dataclass(slots=True)
class Meaning:
    """What some registers of one device say."""

    points: dict[str, Value | None] = field(default_factory=dict)
    conditions: dict[str, bool] = field(default_factory=dict)
    rows: dict[str, Register] = field(default_factory=dict)
    """The register that each point has been read from."""
    senseless: dict[Register, str] = field(default_factory=dict)
    """Registers whose value their point cannot have, and why; they are left out."""


def phases_of(raws: Raws) -> int | None:
    """Tell how many phases a device has: 1 if only L1 is alive, 3 if another one is; None if that cannot be said."""
    alive = {
        int(found[1])
        for row, raw in raws.items()
        if row.point is not None and raw and (found := PHASE.search(row.point)) is not None
    }
    if not alive:
        return None
    return 1 if alive == {1} else 3


def has_phases(rows: Iterable[Register]) -> bool:
    """Whether any of these is a value of one phase."""
    return any(row.point is not None and PHASE.search(row.point) for row in rows)


def key_of(kind: str, row: Register, phases: int | None, catalogue: Catalogue) -> str | None:
    """Name the point of a register; None if it has none, or it is not certain which."""
    if row.point is None or PHASE.search(row.point) is None or phases == 3:
        return row.point
    return plain_key(kind, row.point, catalogue) if phases == 1 else None


def understand(kind: str, raws: Raws, phases: int | None, catalogue: Catalogue) -> Meaning:
    """Say what registers of one device of this kind mean.

    Where several registers stand for one point, the first of the map that is not zero counts; of several for one
    condition, any.
    A register without a value makes its point unsupported; its condition is left unsaid.
    """
    meaning = Meaning()
    weak: set[str] = set()
    for row, raw in sorted(raws.items(), key=lambda pair: pair[0].line):
        key = key_of(kind, row, phases, catalogue)
        if key is not None and (key not in meaning.points or key in weak):
            _set_point(meaning, weak, kind, key, row, raw, catalogue)
        if raw is None or isinstance(raw, str):
            continue
        number = int(raw)
        said = [(bit.condition, bool(number & bit.mask)) for bit in row.bits]
        if row.condition is not None:
            said.append((row.condition, row.match.holds(number)))
        for condition, holds in said:
            meaning.conditions[condition] = holds or meaning.conditions.get(condition, False)
    return meaning


def told(row: Register) -> bool:
    """Whether the row says anything to the catalogue."""
    return row.point is not None or row.condition is not None or bool(row.bits)


def by_device(raws: Raws) -> Mapping[Device | None, dict[Register, Raw | None]]:
    """Divide registers among the devices they belong to."""
    devices: dict[Device | None, dict[Register, Raw | None]] = {}
    for row, raw in raws.items():
        devices.setdefault(row.device, {})[row] = raw
    return devices


def listed(row: Register, raw: Raw | None, kind: str, key: str | None, catalogue: Catalogue) -> RawValue:
    """Show a register under its printed name; `key` is the point it gives to a device of this kind."""
    point = None if key is None else catalogue.point(kind, key)
    number = raw if raw is None or isinstance(raw, str) or row.values else scaled(row, raw)
    return RawValue(
        name=row.name,
        text="" if number is None else f"{number}",
        unit="" if point is None else point.unit,
        key=None if point is None else key,
        child=None if row.device is None else (row.device.kind, row.device.number),
    )


def _set_point(
    meaning: Meaning, weak: set[str], kind: str, key: str, row: Register, raw: Raw | None, catalogue: Catalogue
) -> None:
    point = catalogue.point(kind, key)
    if point is None:
        return
    value: Value | None = None
    if raw is not None:
        try:
            value = value_of(row, raw, point)
        except ValueError as error:
            meaning.senseless[row] = str(error)
            return
    if key not in meaning.points or raw:
        meaning.points[key] = value
        meaning.rows[key] = row
    if raw:
        weak.discard(key)
    else:
        weak.add(key)


__all__ = [
    "Meaning",
    "Raws",
    "by_device",
    "has_phases",
    "key_of",
    "listed",
    "phases_of",
    "told",
    "understand",
]
