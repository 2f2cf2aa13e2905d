"""What the catalogue is made of: kinds, quantities, points, conditions and commands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
import math
import re
from typing import Never

type Value = float | int | bool | str


class CatalogueError(ValueError):
    """The catalogue's own files contradict one another."""


class Severity(StrEnum):
    """How bad it is when a condition holds."""

    INFO = "info"
    """Part of normal operation, e.g. charging."""
    WARNING = "warning"
    ALARM = "alarm"

    @property
    def rank(self) -> int:
        """0 for info, 1 for warning, 2 for alarm."""
        return list(Severity).index(self)


class Category(StrEnum):
    """Where people would look for it."""

    PRIMARY = "primary"
    DIAGNOSTIC = "diagnostic"
    CONFIG = "config"


class Role(StrEnum):
    """What a user of the API may do, least first (manual M:972–1300)."""

    GUEST = "guest"
    """See values."""
    CUSTOMER = "customer"
    """See everything, mute a beeper."""
    ENGINEER = "engineer"
    """Test and command devices."""
    ADMIN = "admin"
    """Everything."""

    @property
    def rank(self) -> int:
        """0 for guest up to 3 for admin."""
        return list(Role).index(self)

    def may(self, needed: Role) -> bool:
        """Whether this role includes `needed`."""
        return self.rank >= needed.rank


@dataclass(frozen=True, slots=True)
class Quantity:
    """A kind of value: unit, type, decimals."""

    name: str
    unit: str
    type: str
    """float, int, bool or text."""
    precision: int | None = None
    device_class: str | None = None
    state_class: str | None = None

    def coerce(self, value: Value) -> Value:
        """The value as this quantity's type.

        Raises ValueError when the value cannot be one, e.g. the text `n/a` for a voltage.
        """
        match self.type:
            case "text":
                return str(value)
            case "bool" if isinstance(value, bool):
                return value
            case "bool":
                truth = _TRUTH.get(str(value).strip().lower())
                return _fail(value, "yes or no") if truth is None else truth
            case _ if isinstance(value, bool):
                return _fail(value, "a number")
            case "int" if isinstance(value, int):
                return value
            case "int":
                return int(_finite(value))
            case _:
                return _finite(value)


_TRUTH = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


def _finite(value: Value) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    return number if math.isfinite(number) else _fail(value, "a finite number")


def _fail(value: Value, wanted: str) -> Never:
    raise ValueError(f"{value!r} is not {wanted}")


@dataclass(frozen=True, slots=True)
class Template:
    """A key that may have placeholders: `input.{line}.voltage` stands for a key per phase."""

    text: str
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False, compare=False)
    """Placeholder to what it may be; empty means any run of characters."""

    @property
    def plain(self) -> bool:
        """Whether there is no placeholder."""
        return "{" not in self.text

    @property
    def slug(self) -> str:
        """The key as one word, e.g. for translation keys: `input_line_voltage`."""
        return re.sub(r"[^a-z0-9]+", "_", self.text.lower()).strip("_")

    def match(self, key: str) -> Mapping[str, str] | None:
        """The placeholders' values if `key` is one of this template's, else None."""
        found = _pattern(self).fullmatch(key)
        return None if found is None else found.groupdict()


@cache
def _pattern(template: Template) -> re.Pattern[str]:
    def group(part: str) -> str:
        if not part.startswith("{"):
            return re.escape(part)
        name = part[1:-1]
        choices = template.allowed.get(name, ())
        return f"(?P<{name}>{'|'.join(map(re.escape, choices)) if choices else '.+'})"

    return re.compile("".join(group(part) for part in re.split(r"(\{\w+\})", template.text)))


@dataclass(frozen=True, slots=True)
class Point:
    """One value that a kind of device may have. Keys follow NUT's variable names."""

    key: Template
    kinds: frozenset[str]
    quantity: Quantity
    name: str
    category: Category = Category.PRIMARY
    enabled: bool = True
    """Whether Home Assistant shows it without being asked."""
    options: tuple[str, ...] = ()
    """The values of an enum."""
    icon: str | None = None
    source: str = ""
    """Where the point is defined: NUT, RFC 1628, a line of the manual."""

    @property
    def unit(self) -> str:
        """The unit, empty where there is none."""
        return self.quantity.unit

    def coerce(self, value: Value) -> Value:
        """The value as this point's type; raises ValueError when it cannot be one."""
        result = self.quantity.coerce(value)
        if self.options and result not in self.options:
            raise ValueError(f"{value!r} is not one of {', '.join(self.options)}")
        return result


@dataclass(frozen=True, slots=True)
class ConditionType:
    """Something that is or is not so for a kind of device."""

    key: str
    kinds: frozenset[str]
    severity: Severity
    name: str
    category: Category = Category.PRIMARY
    enabled: bool = True
    device_class: str | None = None
    icon: str | None = None
    upsman_bit: int = 0
    """Its bit of the UPSMAN status word (manual M:11130), 0 for none."""
    rfc1628_alarm: int = 0
    """The last number of its RFC 1628 well-known alarm, 0 for none."""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Argument:
    """What a command takes."""

    name: str
    unit: str
    minimum: float
    maximum: float
    default: float | None = None
    """None: it must be given."""


@dataclass(frozen=True, slots=True)
class CommandType:
    """What may be asked of a kind of device. Keys follow NUT's instant commands."""

    key: str
    kinds: frozenset[str]
    group: str
    """What the configuration grants it by: `allow: [test, beeper, …]`."""
    role: Role
    name: str
    arguments: tuple[Argument, ...] = ()
    category: Category = Category.CONFIG
    enabled: bool = True
    icon: str | None = None
    source: str = ""

    def check(self, arguments: Mapping[str, Value]) -> None:
        """Raise ValueError, with a sentence that says what is permitted, when an argument is wrong."""
        known = {argument.name: argument for argument in self.arguments}
        for name in arguments:
            if name not in known:
                permitted = ", ".join(known) or "none"
                raise ValueError(f"{self.key} takes no argument {name}; permitted: {permitted}.")
        for name, argument in known.items():
            value = arguments.get(name, argument.default)
            span = f"{argument.minimum:g} to {argument.maximum:g} {argument.unit}".strip()
            if value is None:
                raise ValueError(f"{self.key} needs {name}: {span}.")
            if isinstance(value, bool | str) or not argument.minimum <= value <= argument.maximum:
                raise ValueError(f"{name} of {self.key} must be {span}, not {value!r}.")

    def complete(self, arguments: Mapping[str, Value]) -> Mapping[str, Value]:
        """Return the arguments with the defaults of those that were not given."""
        defaults = {argument.name: argument.default for argument in self.arguments if argument.default is not None}
        return {**defaults, **arguments}


def _once[T: (ConditionType, CommandType)](what: str, rows: tuple[T, ...]) -> dict[tuple[str, str], T]:
    table: dict[tuple[str, str], T] = {}
    for row in rows:
        for kind in row.kinds:
            if table.setdefault((kind, row.key), row) is not row:
                raise CatalogueError(f"The {what} {row.key} stands twice for {kind}.")
    return table


class Catalogue:
    """All that is known in advance about devices."""

    def __init__(
        self,
        kinds: Mapping[str, str],
        points: tuple[Point, ...],
        conditions: tuple[ConditionType, ...],
        commands: tuple[CommandType, ...],
    ) -> None:
        """Index the tables. Raises CatalogueError when a key stands twice for one kind."""
        self.kinds = kinds
        self.points = points
        self.conditions = conditions
        self.commands = commands
        self._plain: dict[tuple[str, str], Point] = {}
        self._templates: dict[str, list[Point]] = {}
        for point in points:
            for kind in point.kinds:
                if not point.key.plain:
                    self._templates.setdefault(kind, []).append(point)
                elif self._plain.setdefault((kind, point.key.text), point) is not point:
                    raise CatalogueError(f"The point {point.key.text} stands twice for {kind}.")
        for kind in frozenset().union(*(row.kinds for table in (points, conditions, commands) for row in table)):
            self.kind(kind)
        self._conditions = _once("condition", conditions)
        self._commands = _once("command", commands)
        self._found: dict[tuple[str, str], Point | None] = {}

    def kind(self, kind: str) -> str:
        """The English name of a kind of device; raises CatalogueError if there is none such."""
        if kind not in self.kinds:
            raise CatalogueError(f"There is no kind of device {kind}; permitted: {', '.join(self.kinds)}.")
        return self.kinds[kind]

    def point(self, kind: str, key: str) -> Point | None:
        """The point `key` of a kind of device, or None. A template answers for all its keys."""
        plain = self._plain.get((kind, key))
        if plain is not None:
            return plain
        if (kind, key) not in self._found:
            if len(self._found) >= 4096:
                self._found.clear()
            self._found[kind, key] = next(
                (point for point in self._templates.get(kind, ()) if point.key.match(key) is not None), None
            )
        return self._found[kind, key]

    def condition(self, kind: str, key: str) -> ConditionType | None:
        """The condition `key` of a kind of device, or None."""
        return self._conditions.get((kind, key))

    def command(self, kind: str, key: str) -> CommandType | None:
        """The command `key` of a kind of device, or None."""
        return self._commands.get((kind, key))

    def commands_of(self, kind: str) -> tuple[CommandType, ...]:
        """All commands of a kind of device."""
        return tuple(row for row in self.commands if kind in row.kinds)
