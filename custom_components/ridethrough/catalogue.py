"""What is known in advance of points, conditions and commands: `catalogue.json`, generated from the bridge's tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
import re
from typing import Any, Final

from homeassistant.const import EntityCategory
from homeassistant.util.json import json_loads

from .wire import Role, Severity

FILE = Path(__file__).with_name("catalogue.json")

CATEGORIES = {"primary": None, "diagnostic": EntityCategory.DIAGNOSTIC, "config": EntityCategory.CONFIG}


@dataclass(frozen=True, slots=True)
class PointType:
    """One value that a kind of device may have; `key` may have placeholders: `input.{line}.voltage`."""

    key: str
    kinds: frozenset[str]
    translation_key: str
    placeholders: Mapping[str, tuple[str, ...]]
    """What each placeholder may be; nothing means anything."""
    unit: str | None
    type: str
    """float, int, bool, text, or time (ISO 8601)."""
    precision: int | None
    device_class: str | None
    state_class: str | None
    category: EntityCategory | None
    enabled: bool
    options: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConditionType:
    """Something that is or is not so for a kind of device; `key` may have placeholders: `threshold.{name}.alarm`."""

    key: str
    kinds: frozenset[str]
    severity: Severity
    translation_key: str
    placeholders: Mapping[str, tuple[str, ...]]
    device_class: str | None
    category: EntityCategory | None
    enabled: bool


@dataclass(frozen=True, slots=True)
class Argument:
    """What a command takes, a text where the unit is `text`; without a default it must be given."""

    name: str
    unit: str
    minimum: float
    maximum: float
    default: float | str | None


@dataclass(frozen=True, slots=True)
class CommandType:
    """What may be asked of a kind of device."""

    key: str
    kinds: frozenset[str]
    role: Role
    translation_key: str
    category: EntityCategory | None
    enabled: bool
    arguments: tuple[Argument, ...]

    @property
    def pressable(self) -> bool:
        """Whether it can be given without saying more."""
        return all(argument.default is not None for argument in self.arguments)


@dataclass(frozen=True, slots=True)
class SwitchType:
    """Two commands that belong together, and the condition that tells how things stand."""

    key: str
    kinds: frozenset[str]
    on: str
    off: str
    condition: str
    translation_key: str
    category: EntityCategory | None
    enabled: bool


MAIN_POINTS: Final[Mapping[str, frozenset[str]]] = {
    "ups_module": frozenset({"ups.load", "ups.{line}.load", "ups.temperature", "ups.mode", "module.status"}),
    "battery_module": frozenset({"module.voltage", "module.temperature", "module.impedance", "module.state"}),
}
"""What is shown at first of each of many modules."""
WITH_ALARMS: Final = frozenset({"ups_module"})
"""Modules whose alarms are shown too; the state of a battery's module says that there is one."""


BLOCK: Final = "battery_module"
BLOCK_DETAILS: Final = MAIN_POINTS[BLOCK] | {
    "module.charge",
    "module.equalizing",
    "module.impedance.baseline",
    "module.find",
}
"""What may be an entity of a block. A system has up to 512 of them with fifty points, conditions and commands each:
as entities, even disabled ones, they would cost more than all the rest of a house. The state says that something is
wrong with a block, the status card what, triggers and the diagnostics know every condition, actions give every command."""


def may_be_entity(row: PointType | ConditionType | CommandType, kind: str) -> bool:
    """Whether there is an entity for it at all, be it a disabled one."""
    return kind != BLOCK or row.key in BLOCK_DETAILS


def enabled_by_default(row: PointType | ConditionType | CommandType, kind: str) -> bool:
    """Whether an entity is enabled at first. Of modules only what matters most is, there being so many."""
    if isinstance(row, CommandType):
        return row.enabled and kind != BLOCK
    if kind == "battery_string" and row.key.startswith("module."):
        # The system says it of all blocks together, and each block of itself.
        return False
    points = MAIN_POINTS.get(kind)
    if points is None or not row.enabled:
        return row.enabled
    if isinstance(row, ConditionType):
        return kind in WITH_ALARMS and row.severity is Severity.ALARM
    return row.key in points


class Catalogue:
    """All that is known in advance about devices."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        """Read and index the tables."""
        self._points: dict[tuple[str, str], PointType] = {}
        self._templates: list[tuple[re.Pattern[str], PointType]] = []
        for point in map(_point, raw["points"]):
            if "{" in point.key:
                self._templates.append((_pattern(point.key, point.placeholders), point))
            else:
                self._points |= {(kind, point.key): point for kind in point.kinds}
        conditions = [_condition(row) for row in raw["conditions"]]
        commands = [_command(row) for row in raw["commands"]]
        self._switches = [_switch(row) for row in raw["switches"]]
        self._conditions = {(kind, row.key): row for row in conditions for kind in row.kinds}
        self._condition_templates = [(_pattern(row.key, row.placeholders), row) for row in conditions if "{" in row.key]
        self._commands = {(kind, row.key): row for row in commands for kind in row.kinds}

    def point(self, kind: str, key: str) -> tuple[PointType, Mapping[str, str]] | None:
        """Return the type of a point and what its placeholders stand for; None when a newer bridge has what we know not."""
        if (plain := self._points.get((kind, key))) is not None:
            return plain, {}
        for pattern, point in self._templates:
            if kind in point.kinds and (found := pattern.fullmatch(key)):
                return point, found.groupdict()
        return None

    def condition(self, kind: str, key: str) -> tuple[ConditionType, Mapping[str, str]] | None:
        """Return the type of a condition and what its placeholders stand for, or None."""
        if (plain := self._conditions.get((kind, key))) is not None:
            return plain, {}
        for pattern, row in self._condition_templates:
            if kind in row.kinds and (found := pattern.fullmatch(key)):
                return row, found.groupdict()
        return None

    def conditions(self, kind: str) -> list[ConditionType]:
        """All conditions of a kind of device, in the catalogue's order."""
        return [row for (owner, _), row in self._conditions.items() if owner == kind]

    def command(self, kind: str, key: str) -> CommandType | None:
        """Return the type of a command, or None."""
        return self._commands.get((kind, key))

    def switches(self, kind: str) -> list[SwitchType]:
        """Return the switches that a kind of device may have."""
        return [row for row in self._switches if kind in row.kinds]


@cache
def load_catalogue() -> Catalogue:
    """Return the catalogue that comes with the integration. Reads a file: call it in the executor."""
    return Catalogue(json_loads(FILE.read_bytes()))  # type: ignore[arg-type]  # our own file: an object


def _pattern(key: str, placeholders: Mapping[str, tuple[str, ...]]) -> re.Pattern[str]:
    def group(part: str) -> str:
        if not part.startswith("{"):
            return re.escape(part)
        choices = placeholders.get(part[1:-1], ())
        return f"(?P<{part[1:-1]}>{'|'.join(map(re.escape, choices)) if choices else '.+'})"

    return re.compile("".join(map(group, re.split(r"(\{\w+\})", key))))


def _point(row: Mapping[str, Any]) -> PointType:
    return PointType(
        key=row["key"],
        kinds=frozenset(row["kinds"]),
        translation_key=row["translation_key"],
        placeholders=_placeholders(row),
        unit=row["unit"] or None,
        type=row["type"],
        precision=row["precision"],
        device_class=row["device_class"],
        state_class=row["state_class"],
        category=CATEGORIES[row["category"]],
        enabled=row["enabled"],
        options=tuple(row["options"]),
    )


def _placeholders(row: Mapping[str, Any]) -> Mapping[str, tuple[str, ...]]:
    return {name: tuple(choices) for name, choices in (row["placeholders"] or {}).items()}


def _condition(row: Mapping[str, Any]) -> ConditionType:
    return ConditionType(
        key=row["key"],
        kinds=frozenset(row["kinds"]),
        severity=Severity(row["severity"]),
        translation_key=row["translation_key"],
        placeholders=_placeholders(row),
        device_class=row["device_class"],
        category=CATEGORIES[row["category"]],
        enabled=row["enabled"],
    )


def _command(row: Mapping[str, Any]) -> CommandType:
    return CommandType(
        key=row["key"],
        kinds=frozenset(row["kinds"]),
        role=Role(row["role"]),
        translation_key=row["translation_key"],
        category=CATEGORIES[row["category"]],
        enabled=row["enabled"],
        arguments=tuple(Argument(**argument) for argument in row["arguments"]),
    )


def _switch(row: Mapping[str, Any]) -> SwitchType:
    return SwitchType(
        key=row["key"],
        kinds=frozenset(row["kinds"]),
        on=row["on"],
        off=row["off"],
        condition=row["condition"],
        translation_key=row["translation_key"],
        category=CATEGORIES[row["category"]],
        enabled=row["enabled"],
    )
