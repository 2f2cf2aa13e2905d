"""What the catalogue is made of: kinds, quantities, points, conditions and commands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
import math
import re

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
    """float, int, bool, text or time (an instant in UTC as ISO 8601 writes it)."""
    precision: int | None = None
    device_class: str | None = None
    state_class: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    """What lies outside is no value at all but a device's way to say that it does not know."""

    def coerce(self, value: Value) -> Value:
        """Make the value one of this quantity's type.

        Raises ValueError when the value cannot be one, e.g. the text `n/a` for a voltage.
        """
        match self.type:
            case "text":
                return str(value)
            case "time":
                return _instant(value)
            case "bool":
                return value if isinstance(value, bool) else _truth(value)
            case "int":
                number = self._possible(_number(value))
                return value if isinstance(value, int) else int(number)
            case _:
                return self._possible(_number(value))

    def _possible(self, number: float) -> float:
        """Return the number unless nothing can have it: devices say 255 % or 65,535 minutes for what they do not know."""
        low = -math.inf if self.minimum is None else self.minimum
        high = math.inf if self.maximum is None else self.maximum
        if not low <= number <= high:
            raise ValueError(f"{number:g} {self.unit} is not between {low:g} and {high:g}")
        return number


_TRUTH = {"yes": True, "true": True, "on": True, "enabled": True, "1": True} | {
    "no": False,
    "false": False,
    "off": False,
    "disabled": False,
    "0": False,
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def _truth(value: Value) -> bool:
    text = str(value).strip().lower()
    if _NUMBER.fullmatch(text):
        text = f"{float(text):g}"
    if text not in _TRUTH:
        raise ValueError(f"{value!r} is not yes or no")
    return _TRUTH[text]


def _number(value: Value) -> float:
    # Python itself would also take 1_000, nan and digits of other scripts.
    if isinstance(value, bool) or (isinstance(value, str) and _NUMBER.fullmatch(value.strip()) is None):
        raise ValueError(f"{value!r} is not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is not a finite number")
    return number


def _instant(value: Value) -> str:
    try:
        instant = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ValueError(f"{value!r} is not an instant, as 2026-01-01T12:00:00+00:00 is") from error
    if instant.tzinfo is None:
        raise ValueError(f"{value!r} does not say in which time zone it is")
    return instant.astimezone(UTC).isoformat()


def slug(text: str) -> str:
    """Turn a key or a device's wording into one word of a-z, 0-9 and underscores: `input_line_voltage`, `on_closed`."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


@dataclass(frozen=True, slots=True)
class Template:
    """A key that may have placeholders: `input.{line}.voltage` stands for a key per phase."""

    text: str
    allowed: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Placeholder to what it may be; empty means any run of characters."""

    @property
    def plain(self) -> bool:
        """Whether there is no placeholder."""
        return "{" not in self.text

    @property
    def slug(self) -> str:
        """The key as one word, e.g. for translation keys: `input_line_voltage`."""
        return slug(self.text)

    @property
    def placeholders(self) -> Mapping[str, tuple[str, ...]]:
        """The placeholders that occur, in order, and what each may be."""
        names = re.findall(r"\{(\w+)\}", self.text)
        return {name: tuple(self.allowed.get(name, ())) for name in names}

    def match(self, key: str) -> Mapping[str, str] | None:
        """Give the placeholders' values if `key` is one of this template's, else None."""
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
    fixed: bool = False
    """A rating, a limit or a setting: it does not move by itself, so no statistics are kept of it."""
    options: tuple[str, ...] = ()
    """The values of an enum."""
    aliases: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Other wordings of those values, as slugs."""
    icon: str | None = None
    source: str = ""
    """Where the point is defined: NUT, RFC 1628, a line of the manual."""

    @property
    def unit(self) -> str:
        """The unit, empty where there is none."""
        return self.quantity.unit

    @property
    def state_class(self) -> str | None:
        """How Home Assistant keeps statistics of it, None for not at all."""
        return None if self.fixed else self.quantity.state_class

    def coerce(self, value: Value) -> Value:
        """Make the value one of this point's type; raises ValueError when it cannot be one.

        A value of an enum may be worded as the device does it: `Normal-Open` is `normal_open`.
        """
        if not self.options:
            return self.quantity.coerce(value)
        word = slug(str(value))
        word = self.aliases.get(word, word)
        if word not in self.options:
            raise ValueError(f"{value!r} is not one of {', '.join(self.options)}")
        return word


@dataclass(frozen=True, slots=True)
class ConditionType:
    """Something that is or is not so for a kind of device; its key may have placeholders: `threshold.{name}.alarm`."""

    key: str
    kinds: frozenset[str]
    severity: Severity
    name: str
    template: Template
    """The key, to match with."""
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
    """What a command takes: a number, or a text where the unit is `text`."""

    name: str
    unit: str
    minimum: float
    maximum: float
    """Of a text: how many characters it may have."""
    default: float | str | None = None
    """None: it must be given."""

    @property
    def span(self) -> str:
        """Say what is permitted."""
        if self.unit == TEXT:
            return f"a text of {self.minimum:g} to {self.maximum:g} characters"
        return f"{self.minimum:g} to {self.maximum:g} {self.unit}".strip()

    def permits(self, value: Value) -> bool:
        """Whether it may be this."""
        if self.unit == TEXT:
            return isinstance(value, str) and self.minimum <= len(value) <= self.maximum
        return not isinstance(value, bool | str) and self.minimum <= value <= self.maximum


TEXT = "text"
"""The unit of an argument that is no number."""


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
            if value is None:
                raise ValueError(f"{self.key} needs {name}: {argument.span}.")
            if not argument.permits(value):
                raise ValueError(f"{name} of {self.key} must be {argument.span}, not {value!r}.")


@dataclass(frozen=True, slots=True)
class SwitchType:
    """Two commands and the condition that tells which of them was last obeyed: a switch for people."""

    key: str
    kinds: frozenset[str]
    on: str
    off: str
    condition: str
    name: str
    category: Category = Category.CONFIG
    enabled: bool = True
    icon: str | None = None


class Catalogue:
    """All that is known in advance about devices."""

    def __init__(
        self,
        kinds: Mapping[str, str],
        points: tuple[Point, ...],
        conditions: tuple[ConditionType, ...],
        commands: tuple[CommandType, ...],
        switches: tuple[SwitchType, ...] = (),
    ) -> None:
        """Index the tables. Raises CatalogueError when they contradict one another."""
        self.kinds = kinds
        self.points = points
        self.conditions = conditions
        self.commands = commands
        self.switches = switches
        self._plain: dict[tuple[str, str], Point] = {}
        self._templates: dict[str, list[Point]] = {}
        for point in points:
            for kind in point.kinds:
                self._enter("point", self._plain, kind, point.key.text, point)
                if not point.key.plain:
                    self._templates.setdefault(kind, []).append(point)
        self._conditions: dict[tuple[str, str], ConditionType] = {}
        self._commands: dict[tuple[str, str], CommandType] = {}
        for condition in conditions:
            for kind in condition.kinds:
                self._enter("condition", self._conditions, kind, condition.key, condition)
        for command in commands:
            for kind in command.kinds:
                self._enter("command", self._commands, kind, command.key, command)
        for switch in switches:
            for kind in switch.kinds:
                known = {(kind, switch.on), (kind, switch.off)} <= self._commands.keys()
                if not known or (kind, switch.condition) not in self._conditions:
                    raise CatalogueError(f"The switch {switch.key} of {kind} names what does not exist.")
        self._found: dict[tuple[str, str], Point | None] = {}
        self._found_conditions: dict[tuple[str, str], ConditionType | None] = {}
        self._condition_templates = [row for row in conditions if not row.template.plain]

    def _enter[T](self, what: str, table: dict[tuple[str, str], T], kind: str, key: str, row: T) -> None:
        self.kind(kind)
        if table.setdefault((kind, key), row) is not row:
            raise CatalogueError(f"The {what} {key} stands twice for {kind}.")

    def prepare(self) -> None:
        """Compile every template, so that no look-up has to: that takes a tenth of a second for all of them."""
        for template in (*(row.key for row in self.points), *(row.template for row in self.conditions)):
            if not template.plain:
                template.match("")

    def kind(self, kind: str) -> str:
        """Give the English name of a kind of device; raises CatalogueError if there is none such."""
        if kind not in self.kinds:
            raise CatalogueError(f"There is no kind of device {kind}; permitted: {', '.join(self.kinds)}.")
        return self.kinds[kind]

    def point(self, kind: str, key: str) -> Point | None:
        """Find the point `key` of a kind of device, or None.

        A template answers for all its keys, after the plain ones and before templates further down.
        """
        plain = self._plain.get((kind, key))
        if plain is not None:
            return plain
        templates = (point for point in self._templates.get(kind, ()) if point.key.match(key) is not None)
        return _remembered(self._found, (kind, key), templates)

    def condition(self, kind: str, key: str) -> ConditionType | None:
        """Find the condition `key` of a kind of device, or None; templates as with points."""
        plain = self._conditions.get((kind, key))
        if plain is not None:
            return plain
        templates = (
            row for row in self._condition_templates if kind in row.kinds and row.template.match(key) is not None
        )
        return _remembered(self._found_conditions, (kind, key), templates)

    def command(self, kind: str, key: str) -> CommandType | None:
        """Find the command `key` of a kind of device, or None."""
        return self._commands.get((kind, key))

    def commands_of(self, kind: str) -> tuple[CommandType, ...]:
        """All commands of a kind of device."""
        return tuple(row for row in self.commands if kind in row.kinds)


def _remembered[T](found: dict[tuple[str, str], T | None], key: tuple[str, str], search: Iterator[T]) -> T | None:
    """Return the first of `search`, or what it was the last time; devices could make up keys without end."""
    if key not in found:
        if len(found) >= 4096:
            found.clear()
        found[key] = next(search, None)
    return found[key]
