"""The devices that clients see as UPSes: their variables, their commands, and when there is nothing to be said of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ridethrough.catalogue import Severity
from ridethrough.feeds.directory import Directory
from ridethrough.site import Device, DeviceId, Quality, Reading, Value

from .commands import InstantCommand, instant_commands
from .status import ALARM, SPOKEN, TESTS, TYPES, alarm_text, compose
from .variables import is_number, naming, written
from .wire import Error, Refusal

STATUS = "ups.status"
DRIVER = "ridethrough"
"""What clients see as the driver. Not that of a NUT which the bridge reads: what a command takes depends on it."""
_OUTLET = "outlet-"


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a UPS as clients see it."""

    text: str
    number: bool = False
    name: str = ""
    """What people call it."""


@dataclass(slots=True)
class _Known:
    """What was worked out of a UPS at a revision of the site."""

    revision: int
    forced: bool
    variables: dict[str, Variable] = field(default_factory=dict)


class Upses:
    """Finds them, and says of each what the site knows at this moment.

    A list is worked out once for each revision of the site, when somebody asks: a site that nobody asks about costs
    nothing.
    """

    def __init__(self, directory: Directory, version: str, forced: Callable[[DeviceId], bool]) -> None:
        """Ask the site; `forced` tells whether a primary has set FSD; `version` is the bridge's."""
        self._directory = directory
        self._site = directory.site
        self._version = version
        self._forced = forced
        self._known: dict[DeviceId, _Known] = {}

    def __iter__(self) -> Iterator[Device]:
        """Give the devices, by name."""
        found = (device for device in self._site.devices.values() if _is_ups(device))
        return iter(sorted(found, key=lambda device: device.key))

    def find(self, name: str) -> Device:
        """Find one by its key, in whatever case. Raises Refusal."""
        device = self._directory.find(name.lower())
        if device is None or not _is_ups(device):
            raise Refusal(Error.UNKNOWN_UPS)
        return device

    def status(self, device: Device) -> str:
        """Put ups.status together. Raises Refusal while it is not known, as upsd does without news from its driver."""
        text = self._status(device)
        if text is None:
            # What upsd says when a driver has news no longer, and when there is none.
            heard = any(not key.startswith("link.") for key in self._site.readings(device.id))
            raise Refusal(Error.DATA_STALE if heard else Error.DRIVER_NOT_CONNECTED)
        return text

    def variables(self, device: Device) -> dict[str, Variable]:
        """List the variables by name, as upsd sorts them. Raises Refusal as `status` does."""
        status = self.status(device)
        known, forced = self._known.get(device.id), self._forced(device.id)
        if known is None or known.revision != self._site.revision or known.forced is not forced:
            if len(self._known) > len(self._site.devices):
                self._known.clear()
            found = self._collect(device)
            found[STATUS] = Variable(status, name="Status")
            variables = dict(sorted(found.items(), key=lambda item: item[0].lower()))
            known = self._known[device.id] = _Known(self._site.revision, forced, variables)
        return known.variables

    def variable(self, device: Device, name: str) -> Variable:
        """Find one variable, in whatever case its name is written. Raises Refusal."""
        if name.lower() == STATUS:
            # What most clients ask most often.
            return Variable(self.status(device), name="Status")
        variables = self.variables(device)
        found = variables.get(name) or next(
            (one for key, one in variables.items() if key.lower() == name.lower()), None
        )
        if found is None:
            raise Refusal(Error.VAR_NOT_SUPPORTED)
        return found

    def commands(self, device: Device) -> list[InstantCommand]:
        """List what it and its outlets obey. Raises Refusal as `status` does."""
        self.status(device)
        return instant_commands(device, self._outlets(device), self._site.catalogue)

    def command(self, device: Device, name: str) -> InstantCommand:
        """Find a command by its name in NUT. Raises Refusal."""
        found = next((one for one in self.commands(device) if one.name == name.lower()), None)
        if found is None:
            raise Refusal(Error.CMD_NOT_SUPPORTED)
        return found

    def holds(self, device: Device, condition: str) -> bool | None:
        """Tell whether a condition is so, None where that is not known now."""
        state = self._site.conditions(device.id).get(condition)
        return state.active if state is not None and state.quality is Quality.GOOD else None

    # How it is done

    def _status(self, device: Device) -> str | None:
        def holds(condition: str) -> bool | None:
            return self.holds(device, condition)

        return compose(device.kind, holds, forced=self._forced(device.id), alarm=self._alarm(device))

    def _alarm(self, device: Device) -> str:
        """Give the alarm's text: the device's own, else the names of the alarms that hold."""
        own = self._good(device, "ups.alarm")
        if own is not None:
            return str(own).strip() if self.holds(device, ALARM) or str(own).strip() not in {"", "0"} else ""
        names = []
        for key, state in self._site.conditions(device.id).items():
            if state.active and state.quality is Quality.GOOD and key not in SPOKEN:
                condition = self._site.catalogue.condition(device.kind, key)
                if condition is not None and condition.severity is Severity.ALARM:
                    names.append(condition.name)
        return alarm_text(sorted(names))

    def _good(self, device: Device, key: str) -> Value | None:
        reading = self._site.reading(device.id, key)
        return reading.value if reading is not None and reading.good else None

    def _collect(self, device: Device) -> dict[str, Variable]:
        found: dict[str, Variable] = {}
        for key, reading in self._site.readings(device.id).items():
            self._add(found, device, key, reading)
        for number, outlet in self._outlets(device):
            for key, reading in self._site.readings(outlet.id).items():
                if key.startswith("outlet."):
                    self._add(found, outlet, key, reading, f"outlet.{number}.{key.removeprefix('outlet.')}")
            on = self.holds(outlet, "outlet_on")
            if on is not None:
                found.setdefault(f"outlet.{number}.status", Variable("on" if on else "off", name="Outlet status"))
            found.setdefault(f"outlet.{number}.desc", Variable(outlet.name, name="Outlet description"))
        self._supplement(found, device)
        return found

    def _add(
        self, found: dict[str, Variable], device: Device, key: str, reading: Reading, name: str | None = None
    ) -> None:
        point = self._site.catalogue.point(device.kind, key)
        called = naming(key)
        if point is None or called is None or not reading.good or reading.value is None:
            return
        variable = Variable(written(point, reading, called.words), is_number(reading.value), point.name)
        if name is not None or called.variable == key:
            found[name or key] = variable
        else:
            found.setdefault(called.variable, variable)

    def _supplement(self, found: dict[str, Variable], device: Device) -> None:
        """Add what NUT has variables for and the bridge knows in another way."""
        said: dict[str, str | None] = {
            "driver.name": DRIVER,
            "driver.version": self._version,
            "device.type": TYPES[device.kind],
            "ups.alarm": self._alarm(device) or None,
        }
        for part, fact in (("mfr", device.manufacturer), ("model", device.model), ("serial", device.serial)):
            # Since NUT 2.8 every device has them by both names.
            for name, other in ((f"device.{part}", f"ups.{part}"), (f"ups.{part}", f"device.{part}")):
                said[name] = found[other].text if other in found else fact
        said["ups.firmware"] = device.firmware
        beeper = self.holds(device, "beeper_enabled")
        if beeper is not None:
            said["ups.beeper.status"] = "enabled" if beeper else "disabled"
        said["ups.test.result"] = TESTS.get(str(self._good(device, "ups.test.state")))
        for name, text in said.items():
            if text and name not in found:
                point = self._site.catalogue.point("ups", name)
                found[name] = Variable(text, name="" if point is None else point.name)

    def _outlets(self, device: Device) -> list[tuple[str, Device]]:
        head = f"{device.key}/{_OUTLET}"
        return [
            (one.key.removeprefix(head), one)
            for one in self._site.devices.values()
            if one.kind == "outlet" and one.key.startswith(head)
        ]


def _is_ups(device: Device) -> bool:
    # A part of another device is not one of its own.
    return device.kind in TYPES and "/" not in device.key


__all__ = ["DRIVER", "STATUS", "Upses", "Variable"]
