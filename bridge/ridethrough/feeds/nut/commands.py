"""What NUT calls the commands of a UPS and its outlets, and what an argument of an instant command means. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
import math
import re

from ridethrough.catalogue import Catalogue, CommandType
from ridethrough.events.orders import Order
from ridethrough.site import Device, Value

from .wire import Error, Refusal

OUTLET_COMMANDS: Mapping[str, str] = {
    # Of an outlet in the catalogue, and after `outlet.n.` in NUT (docs/nut-names.txt, instant commands).
    "outlet.on": "load.on",
    "outlet.off": "load.off",
    "outlet.cycle": "load.cycle",
    "outlet.on.delay": "load.on.delay",
    "outlet.off.delay": "load.off.delay",
    "outlet.shutdown.return": "shutdown.return",
}
ARGUMENTS: Mapping[str, tuple[str, float]] = {
    # What the value after an instant command means: the argument in the catalogue, and the seconds in one of its
    # units. NUT's own drivers take seconds too (nutdrv_qx(8), usbhid-ups(8)).
    "shutdown.return": ("delay", 1.0),
    "shutdown.stayoff": ("delay", 1.0),
    "outputs.off": ("delay", 1.0),
    "test.battery.start": ("duration", 60.0),
}
_SECONDS = re.compile(r"\d{1,9}(\.\d{1,3})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class InstantCommand:
    """Something that INSTCMD may ask for."""

    name: str
    device: Device
    command: CommandType = field(hash=False)

    def order(self, value: str | None) -> Order:
        """Make an order of it. Raises Refusal when it takes no such value."""
        arguments: dict[str, Value] = {}
        if value is not None:
            if self.command.key not in ARGUMENTS or not _SECONDS.fullmatch(value):
                raise Refusal(Error.INVALID_ARGUMENT)
            argument, seconds = ARGUMENTS[self.command.key]
            # Upwards: a shutdown must not come earlier than was asked for.
            arguments[argument] = math.ceil(float(value) / seconds)
        try:
            self.command.check(arguments)
        except ValueError as error:
            raise Refusal(Error.INVALID_ARGUMENT) from error
        return Order(self.device.id, self.command.key, arguments)


def instant_commands(ups: Device, outlets: Iterable[tuple[str, Device]], catalogue: Catalogue) -> list[InstantCommand]:
    """List what a UPS and its numbered outlets obey, by their names in NUT."""
    found = [InstantCommand(key, ups, command) for key, command in _commands(ups, catalogue)]
    for number, outlet in outlets:
        for key, command in _commands(outlet, catalogue):
            if key in OUTLET_COMMANDS:
                found.append(InstantCommand(f"outlet.{number}.{OUTLET_COMMANDS[key]}", outlet, command))
    return sorted(found, key=lambda one: one.name)


def _commands(device: Device, catalogue: Catalogue) -> Iterable[tuple[str, CommandType]]:
    for key in device.commands:
        command = catalogue.command(device.kind, key)
        if command is not None:
            yield key, command


__all__ = ["ARGUMENTS", "OUTLET_COMMANDS", "InstantCommand", "instant_commands"]
