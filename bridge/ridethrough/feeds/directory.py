"""Finds devices by what maps call them, and tells which rows of a map a change is about.

Maps speak of a device and its parts (`io_box` 1, `sensor` 3, `battery_module` 17); the site knows identities. Devices
come and go while a feed runs.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ridethrough.maps.phases import PHASE, siblings, wordings
from ridethrough.site import Change, ConditionState, Device, DeviceId, Quality, Reading, Site, Value


class Part(NamedTuple):
    """A device below the one that a map is about, as maps name it."""

    kind: str
    number: str


class Directory:
    """The site's devices by the keys that the configuration and the links give them.

    One for all feeds; it costs a look-up when a device comes or goes, and nothing otherwise.
    """

    def __init__(self, site: Site) -> None:
        """Follow `site` from now on."""
        self.site = site
        self._keys: dict[str, DeviceId] = {}
        self._known: dict[DeviceId, str] = {}
        self.close = site.observe(self._observe)
        for device in site.devices.values():
            self._add(device)

    def find(self, key: str) -> Device | None:
        """Return the device of this key, e.g. `ups-1` or `ups-1/sensor-2`."""
        return self.site.devices.get(self._keys.get(key, DeviceId("")))

    def part(self, device: Device, part: Part | None) -> Device | None:
        """Return a part of a device; the device itself for None."""
        return device if part is None else self.find(f"{device.key}/{part.kind}-{part.number}")

    def _observe(self, change: Change) -> None:
        for device_id, device in change.devices.items():
            old = self._known.pop(device_id, None)
            if old is not None and self._keys.get(old) == device_id:
                del self._keys[old]
            if device is not None:
                self._add(device)

    def _add(self, device: Device) -> None:
        self._keys[device.key] = device.id
        self._known[device.id] = device.key


@dataclass(frozen=True, slots=True)
class Need:
    """Something of the site that a row of a map depends on."""

    part: Part | None
    """None: the device itself."""
    key: str
    """A point or a condition, as the map calls it."""
    condition: bool = False


class Subject:
    """A device with its parts, as the rows of a map see it; it need not exist yet.

    What it returns is what the site knows now: never a stale value, never an invented one (DESIGN §4.2).
    """

    def __init__(self, directory: Directory, key: str) -> None:
        """`key` is that of the device."""
        self._directory = directory
        self._site = directory.site
        self.key = key

    @property
    def device(self) -> Device | None:
        """The device itself, if it exists."""
        return self._directory.find(self.key)

    def part(self, part: Part | None) -> Device | None:
        """Return a part of it, if it exists; itself for None."""
        device = self.device
        return None if device is None else self._directory.part(device, part)

    def reading(self, need: Need) -> Reading | None:
        """Return the reading of a point, by the first of its wordings that is good, else the first that is known."""
        device = self.part(need.part)
        if device is None:
            return None
        readings = self._site.readings(device.id)
        names = wordings(device.kind, need.key, self._site.catalogue)
        if PHASE.search(need.key) is not None and _has_phases(readings, need.key):
            # What such a device says without naming a phase is a sum or a mean, not the value of the first.
            names = tuple(name for name in names if PHASE.search(name) is not None)
        found = [readings[name] for name in names if name in readings]
        return next((reading for reading in found if reading.good), found[0] if found else None)

    def value(self, need: Need) -> Value | None:
        """Return the good value of a point, else None."""
        reading = self.reading(need)
        return None if reading is None or not reading.good else reading.value

    def state(self, need: Need) -> ConditionState | None:
        """Return what is known of a condition."""
        device = self.part(need.part)
        return None if device is None else self._site.conditions(device.id).get(need.key)

    def holds(self, need: Need) -> bool | None:
        """Whether a condition is so; None where that is not known (now)."""
        state = self.state(need)
        return None if state is None or state.quality is not Quality.GOOD else state.active


def _has_phases(readings: Mapping[str, Reading], key: str) -> bool:
    *others, count = siblings(key)
    if any(name in readings and readings[name].quality is not Quality.UNSUPPORTED for name in others):
        return True
    phases = readings[count].value if count in readings else None
    return isinstance(phases, int) and phases > 1


class Dependents[Row]:
    """Tells which rows of a map of one subject a change of the site touches. Cost: proportional to the change.

    Rows must be hashable; each is given once, in the order in which they were added.
    """

    def __init__(self, directory: Directory, subject: Subject, needs: Mapping[Row, Iterable[Need]]) -> None:
        """`needs` says on what each row depends."""
        self._directory = directory
        self._subject = subject
        self._wanted: dict[Part | None, dict[tuple[str, bool], list[Row]]] = {}
        for row, wanted in needs.items():
            for need in wanted:
                rows = self._wanted.setdefault(need.part, {}).setdefault((need.key, need.condition), [])
                if row not in rows:
                    rows.append(row)
        self._order = {row: place for place, row in enumerate(needs)}
        self._parts: dict[str, Part | None] = {
            subject.key if part is None else f"{subject.key}/{part.kind}-{part.number}": part for part in self._wanted
        }
        self._bound: dict[DeviceId, dict[tuple[str, bool], list[Row]]] = {}
        self._keys: dict[DeviceId, str] = {}
        for key in self._parts:
            device = directory.find(key)
            if device is not None:
                self._bind(device)

    def touched(self, change: Change) -> list[Row]:
        """Return the rows that may have another value now."""
        found: dict[Row, None] = {}
        for device_id, device in change.devices.items():
            # What it was called before, and what now: the rows of both may have another value.
            keys = (self._keys.pop(device_id, None), None if device is None else device.key)
            self._bound.pop(device_id, None)
            if device is not None and device.key in self._parts:
                self._bind(device)
            for key in keys:
                if key is not None and key in self._parts:
                    for rows in self._wanted[self._parts[key]].values():
                        found |= dict.fromkeys(rows)
        for device_id, key in change.points:
            found |= dict.fromkeys(self._rows(device_id, key, condition=False))
        for device_id, key in change.conditions:
            found |= dict.fromkeys(self._rows(device_id, key, condition=True))
        return sorted(found, key=self._order.__getitem__) if len(found) > 1 else list(found)

    def _rows(self, device_id: DeviceId, key: str, *, condition: bool) -> list[Row]:
        bound = self._bound.get(device_id)
        return [] if bound is None else bound.get((key, condition), [])

    def _bind(self, device: Device) -> None:
        bound: dict[tuple[str, bool], list[Row]] = {}
        for (key, condition), rows in self._wanted[self._parts[device.key]].items():
            names = (key,) if condition else wordings(device.kind, key, self._directory.site.catalogue) or (key,)
            # What a value of a phase means depends on whether there are others.
            for name in dict.fromkeys((*names, *(() if condition else siblings(key)))):
                bound.setdefault((name, condition), []).extend(rows)
        self._bound[device.id] = bound
        self._keys[device.id] = device.key


__all__ = ["Dependents", "Directory", "Need", "Part", "Subject"]
