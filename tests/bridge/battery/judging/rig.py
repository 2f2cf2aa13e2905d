"""A judge with its board, moved by hand: what it has said so far, as the site would have it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ridethrough.battery.board import Board, Findings, Phase
from ridethrough.battery.judge import Judge
from ridethrough.battery.layout import Layout, Place
from ridethrough.config.battery import BatteryConfig, LimitsConfig, StringConfig

BLOCKS = ("voltage", "temperature", "impedance", "charge", "baseline", "lost")


def configured(strings: tuple[int, ...] = (4, 4), **changes: Any) -> BatteryConfig:
    """Make a configuration; keywords of `LimitsConfig` change the limits."""
    limits = {key: changes.pop(key) for key in list(changes) if key in LimitsConfig.__dataclass_fields__}
    named = tuple(StringConfig(f"S{number}", count) for number, count in enumerate(strings, start=1))
    config = BatteryConfig("battery-1", "Batteries", "module_bus:/dev/null", strings=named, **changes)
    return replace(config, limits=replace(config.limits, **limits))


def layout_of(config: BatteryConfig) -> Layout:
    """Lay out what is configured."""
    sensors = {"none": 0, "one": 1, "each": len(config.strings)}[config.sensors.count]
    return Layout.of((each.modules for each in config.strings), sensors=sensors, boxes=len(config.boxes))


class Rig:
    """Blocks on float at 13.6 V, 22 °C and 5 mΩ, unless told otherwise."""

    def __init__(
        self,
        config: BatteryConfig | None = None,
        *,
        raised: tuple[tuple[Place, str], ...] = (),
        state: Mapping[str, float] | None = None,
        phase: Phase = Phase.FLOATING,
        begin: bool = True,
    ) -> None:
        """Judge once, unless there is nothing to `begin` with."""
        self.config = config or configured()
        self.layout = layout_of(self.config)
        self.board = Board(self.layout)
        self.judge = Judge(self.config, self.layout, raised, state)
        self.now = 1000.0
        self.others: dict[Place, set[str]] = {}
        self.discharges: int | None = None
        self.conditions: dict[tuple[str, int, str], bool] = {}
        self.unknown: set[tuple[str, int, str]] = set()
        self.points: dict[tuple[str, int, str], Any] = {}
        self.found = Findings()
        self.board.phase = phase
        if begin:
            for number in range(1, self.layout.blocks + 1):
                self.board.voltage[number] = 13.6
                self.board.temperature[number] = 22.0
                self.board.impedance[number] = 5.0
                self.board.changed.add(number)
            self.step(0.0)

    def step(self, seconds: float = 1.0, **columns: Mapping[int, Any]) -> Findings:
        """Change values by column and number, let time pass, judge, and take note of what is found."""
        for name, values in columns.items():
            self.put(name, values)
        self.now += seconds
        self.found = self.judge(self.board, self.now, self.others, discharges=self.discharges)
        self.board.changed.clear()
        self.conditions |= self.found.conditions
        self.points |= self.found.points
        self.unknown = (self.unknown - self.found.conditions.keys()) | self.found.unknown
        return self.found

    def put(self, name: str, values: Mapping[int, Any]) -> None:
        """Change values of one column by number."""
        column = getattr(self.board, name)
        for number, value in values.items():
            column[number] = value
            if name in BLOCKS:
                self.board.changed.add(number)

    def go(self, phase: Phase, seconds: float = 1.0) -> None:
        """Change the phase."""
        self.board.phase = phase
        self.step(seconds)

    def at(self, kind: str, number: int) -> set[str]:
        """Return what holds at a place, but for the general alarm."""
        return {
            key
            for (where, which, key), holds in self.conditions.items()
            if holds and where == kind and which == number and key != "general_alarm"
        }

    def block(self, number: int) -> set[str]:
        """Return what holds of a block."""
        return self.at("battery_module", number)

    def string(self, number: int) -> set[str]:
        """Return what holds of a string."""
        return self.at("battery_string", number)

    @property
    def system(self) -> set[str]:
        """What holds of the system, but that it is at work."""
        return self.at("battery_system", 0) - {"monitoring", "modules_connected"}

    def general(self, kind: str, number: int) -> bool:
        """Whether there is a general alarm at a place."""
        return self.conditions.get((kind, number, "general_alarm"), False)


__all__ = ["Rig", "configured", "layout_of"]
