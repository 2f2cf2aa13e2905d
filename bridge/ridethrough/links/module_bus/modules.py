"""What is known of each module, and what of it is told: what has changed beyond its noise, and all of it now and then."""

import asyncio
from collections.abc import Iterable
import math

from ridethrough.links.base import Identity, Report
from ridethrough.site import Value

from .frames import IDENTITY, NO_IMPEDANCE, NO_TEMPERATURE, NO_VOLTAGE, READING, VOLTAGE, Status

KIND = "battery_module"
COMMANDS = frozenset({"module.find", "module.release"})
VALUES = ["module.voltage", "module.temperature", "module.impedance", "module.equalizing"]
AT_ONCE = 64
"""Modules that are worked on in one go, so that the loop is free in between."""
DETAILS_EVERY = 180.0
"""Seconds after which what seldom changes is told again; a third of the slow deadline, and less."""
GARBLED = 3
"""Times in a row that a slot had bytes but no frame, after which two modules are suspected in it."""


def noise(voltage: int) -> int:
    """Return by how many mV a voltage may differ before it is told again: 2 mV, 3 mV at 12 V."""
    return 2 + (voltage >> 13)


class Module:
    """One module; numbers as they are in the frames."""

    __slots__ = (
        "calibrated", "clash", "duplicate", "duty", "firmware", "fuse_blown", "garbled", "hardware", "impedance", "lost",
        "number", "report", "serial", "status", "temperature", "told", "type", "voltage",
    )  # fmt: skip

    def __init__(self, number: int, report: Report) -> None:
        """Nothing is known yet."""
        self.number = number
        self.report = report
        self.voltage = self.temperature = self.impedance = self.duty = math.inf
        """What was told last; infinite for nothing, from which everything differs."""
        self.status = 0
        self.type = 0
        """V; 0 while nobody has said who it is."""
        self.hardware = self.firmware = ""
        self.serial = 0
        self.calibrated = True
        self.fuse_blown = False
        self.lost: bool | None = None
        """None while it has neither answered nor been given up."""
        self.duplicate = False
        self.clash = False
        """Whether two branches have a module with this number."""
        self.garbled = 0
        self.told: dict[str, bool] = {}
        """Conditions as they were told."""


class Modules:
    """All modules of a bus."""

    def __init__(self, report: Report) -> None:
        """No module is known."""
        self._report = report
        self._modules: dict[int, Module] = {}
        self._reference: str | None = None
        self._confirmed = 0.0
        self._summary: dict[str, Value | None] = {}

    def __getitem__(self, number: int) -> Module:
        """Return a module, made when it is first asked for."""
        module = self._modules.get(number)
        if module is None:
            name = f"Module {number}"
            module = self._modules[number] = Module(number, self._report.child(KIND, str(number), name))
        return module

    async def expect(self, count: int) -> None:
        """Make the modules that should be there, without holding up the loop."""
        for first in range(1, count + 1, AT_ONCE):
            with self._report.together():
                for number in range(first, min(first + AT_ONCE, count + 1)):
                    self[number].report.identified(Identity(commands=COMMANDS))
            await asyncio.sleep(0)

    # What was read

    def read(self, frame: bytes, scan: int, every: int) -> tuple[int, int, int]:
        """Take an answer to 65; returns number, status and duty.

        In one of `every` scans a module's values are told although they have not changed.
        """
        number, status, voltage, temperature, impedance, duty = READING.unpack(frame)
        module = self._modules.get(number) or self[number]
        points: dict[str, Value | None] = {}
        due = (number + scan) % every == 0
        if due or abs(voltage - module.voltage) > noise(voltage):
            module.voltage = voltage
            points["module.voltage"] = None if voltage == NO_VOLTAGE else voltage / 1000
        if due or abs(temperature - module.temperature) > 1:
            module.temperature = temperature
            known = temperature != NO_TEMPERATURE and -600 <= temperature <= 2000
            points["module.temperature"] = temperature / 10 if known else None
        if due or impedance != module.impedance:
            module.impedance = impedance
            points["module.impedance"] = None if impedance >= NO_IMPEDANCE else impedance / 100
        if due or duty != module.duty:
            module.duty = duty
            points["module.equalizing"] = duty if duty <= 100 else None
        if points:
            module.report.status(points)
        if status != module.status:
            module.status = status
            self._judge(module)
        module.garbled = 0
        return number, status, duty

    def read_voltage(self, frame: bytes, scan: int, every: int) -> int:
        """Take an answer to 66, as `read` does; returns the number."""
        number, voltage = VOLTAGE.unpack(frame)
        module = self._modules.get(number) or self[number]
        if (number + scan) % every == 0 or abs(voltage - module.voltage) > noise(voltage):
            module.voltage = voltage
            module.report.status({"module.voltage": None if voltage == NO_VOLTAGE else voltage / 1000})
        module.garbled = 0
        return int(number)

    def identify(self, frame: bytes) -> int:
        """Take an answer to 67; returns the number."""
        number, kind, hardware, hardware_minor, firmware, firmware_minor, serial, calibration = IDENTITY.unpack(frame)
        module = self[number]
        module.type, module.serial, module.calibrated = kind, serial, calibration != 0
        module.hardware = f"{hardware}.{hardware_minor}"
        module.firmware = f"{firmware}.{firmware_minor}"
        identity = Identity(model=f"{kind} V module", serial=str(serial), firmware=module.firmware, commands=COMMANDS)
        module.report.identified(identity)
        self._tell(module)
        if number == 1 and module.hardware != self._reference:
            # Module 1 is what the others are compared with (manual M:5929).
            self._reference = module.hardware
            for other in self._modules.values():
                self._judge(other)
        else:
            self._judge(module)
        return int(number)

    def identified(self, number: int) -> bool:
        """Whether a module has said who it is since it came."""
        return self[number].type != 0

    def summarise(self) -> None:
        """Tell what kinds of modules there are in all (manual M:7034)."""
        present = [module for module in self._modules.values() if module.type and not module.lost]
        columns = {
            "module.type": {f"{module.type} V" for module in present},
            "module.hardware": {module.hardware for module in present},
            "module.firmware": {module.firmware for module in present},
        }
        summary: dict[str, Value | None] = {key: ", ".join(sorted(values)) for key, values in columns.items() if values}
        if summary:
            self._summary = summary
            self._report.details(summary)

    # Who is there

    def found(self, number: int) -> None:
        """Note that a module answers, for the first time or again: it may be another one."""
        module = self[number]
        module.lost = False
        module.type = 0
        self._judge(module)

    def lose(self, numbers: Iterable[int]) -> None:
        """Note that modules do not answer any longer; what was known of them is no longer so."""
        for number in numbers:
            module = self[number]
            module.lost, module.type, module.clash, module.duplicate = True, 0, False, False
            module.voltage = module.temperature = module.impedance = module.duty = math.inf
            module.report.dropped(VALUES)
            self._judge(module)

    def garble(self, number: int) -> bool:
        """Note that a slot had bytes but no frame; returns whether two modules are suspected in it."""
        module = self[number]
        module.garbled += 1
        return module.garbled >= GARBLED

    def counted(self, number: int, serials: set[int], *, spoiled: bool) -> None:
        """Note which serial numbers have answered to this number; none at all says nothing.

        Two whose serial numbers have the same slot spoil one another's answer again.
        """
        if spoiled and not serials and number in self._modules and self[number].garbled >= GARBLED:
            self[number].duplicate = True
            self._judge(self[number])
        if serials:
            module = self[number]
            module.duplicate = len(serials) > 1
            module.garbled = 0
            if not module.duplicate and module.serial not in {0, *serials}:
                module.type = 0  # somebody has put another one in its place
            self._judge(module)

    def clash(self, numbers: Iterable[int]) -> None:
        """Note that modules with these numbers answer on more than one branch."""
        for number in numbers:
            self[number].clash = True
            self._judge(self[number])

    # Telling

    def confirm(self, now: float) -> None:
        """Tell again a part of what seldom changes, so that all of it is told in time."""
        if not self._modules:
            return
        share = min(1.0, (now - self._confirmed) / DETAILS_EVERY) if self._confirmed else 0.0
        amount = int(share * len(self._modules))
        if self._confirmed and amount == 0:
            return
        self._confirmed = now
        if self._summary:
            self._report.details(self._summary)
        for number in list(self._modules)[: min(amount, AT_ONCE)]:
            module = self._modules.pop(number)
            self._modules[number] = module  # to the end of the queue
            self._tell(module)

    def _judge(self, module: Module) -> None:
        """Tell the conditions of a module that have changed."""
        status = module.status
        module.fuse_blown = bool(status & Status.FUSE_BLOWN)
        mismatch = bool(module.type) and self._reference is not None and module.hardware != self._reference
        told = {
            "module.incompatible": mismatch or not module.calibrated or bool(status & Status.NOT_CALIBRATED),
            "module.fuse_blown": module.fuse_blown,
            "module.duplicate": module.duplicate or module.clash,
        }
        if module.lost is not None:
            told["module.lost"] = module.lost
        news = {key: active for key, active in told.items() if module.told.get(key) is not active}
        if news:
            module.told |= news
            module.report.details({}, news)

    def _tell(self, module: Module) -> None:
        points: dict[str, Value | None] = {}
        if module.type:
            points = {
                "module.type": f"{module.type} V",
                "module.hardware": module.hardware,
                "module.firmware": module.firmware,
                "module.serial": str(module.serial),
            }
        module.report.details(points, module.told)


__all__ = ["COMMANDS", "KIND", "Module", "Modules", "noise"]
