"""What the status screen of a battery system shows (manual M:6933–7075), and what of that has changed.

It is read from the mirror and not from entities, so that it shows blocks whose entities are disabled, or that have none.
Everything is JSON already: numbers rounded as the catalogue says, null where nothing is known, never a 0 instead.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Set as AbstractSet
import re
from typing import Any, Final

from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from .bridge import Bridge
from .mirror import Topic
from .wire import Device, Quality, Reading

type Message = dict[str, Any]
"""`snapshot` with everything, or `change` with what is another than before."""
type Subscriber = Callable[[Message], None]

PACE: Final = 1.0
"""Seconds between two messages: faster than people read, and than a bus of 512 modules is scanned."""
SUBSCRIBERS: Final = 64
"""Most dashboards that may show one battery system at once."""

SYSTEM: Final = "battery_system"
STRING: Final = "battery_string"
MODULE: Final = "battery_module"

MODULE_CELLS: Final[Mapping[str, str]] = {
    "module.voltage": "voltage",
    "module.impedance": "impedance",
    "module.impedance.baseline": "baseline",
    "module.charge": "charge",
    "module.equalizing": "duty",
    "module.temperature": "temperature",
    "module.note": "note",
}
"""Columns of a block, by point."""
STRING_CELLS: Final[Mapping[str, str]] = {
    "string.voltage": "voltage",
    "string.voltage.average": "average",
    "string.voltage.target": "target",
    "string.charge": "charge",
    "string.current": "current",
    "string.current.ac": "current_ac",
    "string.power": "power",
    "battery.charger.status": "phase",
}
"""The footer of a string (manual M:6998)."""
SYSTEM_CELLS: Final[Mapping[str, str]] = {
    "battery.charger.status": "phase",
    "battery.charge": "charge",
    "battery.ripple": "ripple",
    "battery.discharges": "discharges",
    "battery.type": "type",
    "battery.date": "installed",
    "battery.voltage.nominal": "nominal",
    "battery.capacity.nominal": "capacity",
    "device.location": "location",
    "device.contact": "contact",
    "equalizing.pause.remaining": "pause",
    "link.state": "link",
    "module.type": "module_type",
    "module.hardware": "hardware",
    "module.firmware": "firmware",
    "module.impedance.average": "impedance_average",
}
"""General information about the system (manual M:7029)."""
LIMIT: Final = re.compile(r"(module|string)\..*\.(warning|critical)|equalizing\.voltage\.(minimum|maximum)")
"""Limits for "Level Info" and for the bars (manual M:7045)."""
LASTING: Final = frozenset({"module.string", "module.position", "module.note", "module.impedance.baseline"})
"""What a block keeps when its module is silent: it is still where it was."""
CELLS: Final = {MODULE: MODULE_CELLS, STRING: STRING_CELLS, SYSTEM: SYSTEM_CELLS}

STATES: Final = frozenset({"normal", "warning", "alarm", "lost"})


class StatusScreen:
    """One battery system on the screens of any number of dashboards; it costs nothing while there are none."""

    def __init__(self, hass: HomeAssistant, bridge: Bridge, system: str, ended: Callable[[], None]) -> None:
        """`system` is the bridge's id of it; `ended` is called when nobody looks any more."""
        self._hass = hass
        self._bridge = bridge
        self._system = system
        self._ended = ended
        self._subscribers: list[Subscriber] = []
        self._rows: dict[str, Message] = {}
        """What was told last of the system and of each string and block, by device."""
        self._dirty: set[str] = set()
        self._anew = False
        """Whether the next message must be a snapshot."""
        self._timer: CALLBACK_TYPE | None = None
        self._ends: list[Callable[[], None]] = []

    @property
    def subscribers(self) -> int:
        """How many look on."""
        return len(self._subscribers)

    @property
    def full(self) -> bool:
        """Whether no more may subscribe."""
        return self.subscribers >= SUBSCRIBERS

    @callback
    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Send a snapshot now, and then at most once in PACE seconds what has changed; returns what ends that."""
        if not self._subscribers:
            mirror = self._bridge.mirror
            self._ends = [
                mirror.on_change(self._on_change),
                mirror.on_structure(self._on_structure),
                self._bridge.on_availability(self._on_availability),
            ]
            self._rows = dict(self._read())
        else:
            # All get the same changes from now on, so all must have been told the same.
            self._flush()
        self._subscribers.append(subscriber)
        subscriber(self._snapshot())

        @callback
        def unsubscribe() -> None:
            self._subscribers.remove(subscriber)
            if not self._subscribers and self._ends:
                self._stop()

        return unsubscribe

    @callback
    def end(self) -> None:
        """Tell everyone that nothing more will come from here: they may ask again."""
        for subscriber in tuple(self._subscribers):
            subscriber({"type": "ended"})
        self._stop()

    def _stop(self) -> None:
        for end in self._ends:
            end()
        if self._timer is not None:
            self._timer()
            self._timer = None
        self._ends, self._rows, self._dirty, self._anew = [], {}, set(), False
        self._ended()

    # What the mirror tells

    def _on_change(self, topics: AbstractSet[Topic]) -> None:
        self._touch({device for _, device, _ in topics if device in self._rows})

    def _on_structure(self, grown: frozenset[str], removed: frozenset[str]) -> None:
        if not removed.isdisjoint(self._rows) or any(map(self._is_part, grown - self._rows.keys())):
            self._anew = True
        self._touch(grown & self._rows.keys())

    def _on_availability(self) -> None:
        self._anew = True
        self._touch()

    def _touch(self, devices: Iterable[str] = ()) -> None:
        self._dirty.update(devices)
        if (self._dirty or self._anew) and self._timer is None:
            self._timer = async_call_later(self._hass, PACE, self._on_time)

    @callback
    def _on_time(self, _now: object) -> None:
        self._timer = None
        self._flush()

    def _flush(self) -> None:
        """Tell what has changed since the last message."""
        if self._timer is not None:
            self._timer()
            self._timer = None
        if self._anew:
            self._rows = dict(self._read())
            message = self._snapshot()
        else:
            message = self._change()
        self._anew = False
        self._dirty.clear()
        if len(message) > 1:
            for subscriber in tuple(self._subscribers):
                subscriber(message)

    # Messages

    def _snapshot(self) -> Message:
        devices = self._bridge.mirror.devices
        rows: dict[str, list[Message]] = {SYSTEM: [], STRING: [], MODULE: []}
        for device_id, row in self._rows.items():
            if device_id in devices:
                # So that a click on a block leads to its page.
                known_as = {"device": self._bridge.tree.registry_id(device_id)}
                rows[devices[device_id].kind].append(row | known_as)
        return {
            "type": "snapshot",
            "online": self._bridge.online,
            "system": rows[SYSTEM][0] if rows[SYSTEM] else None,
            "strings": sorted(rows[STRING], key=_by_number),
            "modules": sorted(rows[MODULE], key=_by_number),
        }

    def _change(self) -> Message:
        devices = self._bridge.mirror.devices
        message: Message = {"type": "change"}
        for device_id in self._dirty:
            if (device := devices.get(device_id)) is None:
                continue
            before, after = self._rows[device_id], self._row(device)
            if before == after:
                continue
            self._rows[device_id] = after
            changed = {key: value for key, value in after.items() if before.get(key) != value}
            if device.kind == SYSTEM:
                message["system"] = changed
            else:
                place = message.setdefault("strings" if device.kind == STRING else "modules", [])
                place.append({"number": after["number"]} | changed)
        return message

    # Rows

    def _read(self) -> Iterator[tuple[str, Message]]:
        for device_id, device in self._bridge.mirror.devices.items():
            if self._is_part(device_id):
                yield device_id, self._row(device)

    def _is_part(self, device_id: str) -> bool:
        device = self._bridge.mirror.devices.get(device_id)
        if device is None or device.kind not in CELLS:
            return False
        return self._system in {device_id, device.parent}

    def _row(self, device: Device) -> Message:
        readings = self._bridge.mirror.points(device.id)
        stale: list[str] = []
        row: Message = {"stale": stale}
        for point, cell in CELLS[device.kind].items():
            row[cell] = self._value(device, point, readings.get(point))
            reading = readings.get(point)
            if reading is not None and reading.quality is Quality.STALE and point not in LASTING:
                stale.append(cell)
        row["conditions"] = conditions = self._conditions(device)
        match device.kind:
            case "battery_system":
                row["name"] = device.name
                row["limits"] = {
                    key: self._value(device, key, reading) for key, reading in readings.items() if LIMIT.fullmatch(key)
                }
                row["commands"] = sorted(device.commands)
            case "battery_string":
                row |= {"number": _number(device), "name": device.name}
            case _:
                row |= {
                    "number": _number(device),
                    "string": self._value(device, "module.string", readings.get("module.string")),
                    "position": self._value(device, "module.position", readings.get("module.position")),
                    "state": _state(readings.get("module.state"), conditions),
                    "commands": sorted(device.commands),
                }
        return row

    def _value(self, device: Device, point: str, reading: Reading | None) -> float | int | str | bool | None:
        """Return a value, rounded so that what nobody would see is no change; None if it is not known now."""
        if reading is None or reading.quality is Quality.UNSUPPORTED:
            return None
        if reading.quality is Quality.LOST and point not in LASTING:
            return None
        value = reading.value
        if isinstance(value, float):
            found = self._bridge.catalogue.point(device.kind, point)
            precision = None if found is None else found[0].precision
            return value if precision is None else round(value, precision)
        return value

    def _conditions(self, device: Device) -> dict[str, str]:
        """Return what is so now: severity by key."""
        active = {}
        for key, state in self._bridge.mirror.conditions(device.id).items():
            if state.active and state.quality is Quality.GOOD:
                row = self._bridge.catalogue.condition(device.kind, key)
                active[key] = "info" if row is None else str(row[0].severity)
        return active


def _state(reading: Reading | None, conditions: Mapping[str, str]) -> str | None:
    """Tell how a block is: as the bridge says, else by its conditions; None when that is not known."""
    if reading is not None and reading.quality is Quality.GOOD and reading.value in STATES:
        return str(reading.value)
    if "module.lost" in conditions:
        return "lost"
    if reading is not None and reading.quality is Quality.LOST:
        return "lost"
    found = set(conditions.values())
    return "alarm" if "alarm" in found else "warning" if "warning" in found else None


def _number(device: Device) -> int:
    """Return the number of a string or a block, with which its key ends: `battery-1/battery_module-17`."""
    found = re.search(r"(\d+)$", device.key)
    return int(found[1]) if found else 0


def _by_number(row: Message) -> int:
    number: int = row["number"]
    return number
