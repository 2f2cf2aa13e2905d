"""What the bridge's configuration has and may have, as typed values: protocols, devices, and what a test found.

Every parser raises MalformedMessage when an answer is not what the contract says.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import isfinite
from typing import Any

from .wire import MalformedMessage, Raw, Value


class Kind(StrEnum):
    """The devices that have a link of their own; also the types of subentries."""

    UPS = "ups"
    TRANSFER_SWITCH = "transfer_switch"


class Reach(StrEnum):
    """How a link reaches its equipment."""

    SERIAL = "serial"
    HOST = "host"
    EITHER = "either"


class OptionKind(StrEnum):
    """What an option of a link is."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a link."""

    name: str
    summary: str
    kind: OptionKind
    default: str | None = None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Scheme:
    """One protocol that the bridge speaks."""

    scheme: str
    title: str
    example: str
    reach: Reach
    port: int | None = None
    options: tuple[Option, ...] = ()
    secrets: tuple[str, ...] = ()
    """Which credentials it may ask for."""


@dataclass(frozen=True, slots=True)
class Possibilities:
    """What may be configured at a bridge."""

    schemes: tuple[Scheme, ...]
    groups: Mapping[str, tuple[str, ...]]
    """Groups of commands that may be allowed, by kind."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Model profiles: what they are called, by id."""
    ports: tuple[str, ...] = ()
    """Serial ports of the bridge's computer."""
    writable: bool = True
    reason: str = ""
    """Why the configuration cannot be written."""

    def scheme(self, name: str) -> Scheme | None:
        """Find a protocol."""
        return next((scheme for scheme in self.schemes if scheme.scheme == name), None)


type Settings = Mapping[str, float | str | None]
"""None for one that is to be unset. power and load in VA, hold_time in minutes, recharge_time in hours, battery_too_old_after in months,
battery_health_level in percent, system_shutdown_time in seconds, battery_installed as ISO date, model."""


@dataclass(frozen=True, slots=True)
class ConfiguredDevice:
    """A device as it stands in the bridge's configuration."""

    key: str
    """Its `id:` in the file."""
    kind: Kind
    name: str
    link: str
    """Its URL, without secrets."""
    enabled: bool = True
    device: str | None = None
    """The bridge's id of it; None as long as it has none."""
    settings: Settings = field(default_factory=dict)
    allow: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    """Which of its secrets are set."""

    def told(self, secrets: Mapping[str, str | None] | None = None) -> dict[str, Any]:
        """Say it as the bridge wants to hear it; what is not mentioned stays as it is, what is None goes."""
        said: dict[str, Any] = {
            "id": self.key,
            "kind": str(self.kind),
            "name": self.name,
            "link": self.link,
            "enabled": self.enabled,
            "settings": dict(self.settings),
            "allow": list(self.allow),
        }
        if self.device is not None:
            said["device"] = self.device
        if secrets:
            said["secrets"] = dict(secrets)
        return said


@dataclass(frozen=True, slots=True)
class Listing:
    """The devices of the configuration, at one revision."""

    revision: str
    devices: tuple[ConfiguredDevice, ...]


@dataclass(frozen=True, slots=True)
class FoundValue:
    """One value that a test read."""

    key: str
    name: str
    value: Value
    unit: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What answered when a link was tried."""

    manufacturer: str | None
    model: str | None
    serial: str | None
    firmware: str | None
    values: tuple[FoundValue, ...]
    complete: bool
    """Whether there was time to ask for everything."""


def possibilities(raw: Raw) -> Possibilities:
    """Parse what may be configured. A protocol that is reached in a way we do not know is left out."""
    groups = {kind: _texts(names) for kind, names in _of(raw, "groups", dict).items()}
    return Possibilities(
        schemes=tuple(_scheme(row) for row in _of(raw, "schemes", list) if _of(row, "reach", str) in list(Reach)),
        groups=groups,
        models={_of(row, "id", str): _of(row, "title", str) for row in _of(raw, "models", list, [])},
        ports=_texts(_of(raw, "ports", list, [])),
        writable=_of(raw, "writable", bool, True),
        reason=_of(raw, "reason", str, ""),
    )


def listing(raw: Raw) -> Listing:
    """Parse the devices of the configuration. A kind that we do not know is left out."""
    rows = [row for row in _of(raw, "devices", list) if _of(row, "kind", str) in list(Kind)]
    return Listing(_of(raw, "revision", str), tuple(map(_device, rows)))


def finding(raw: Raw) -> Finding:
    """Parse what a test found."""
    identity = _of(raw, "identity", dict)
    return Finding(
        manufacturer=_text(identity, "manufacturer"),
        model=_text(identity, "model"),
        serial=_text(identity, "serial"),
        firmware=_text(identity, "firmware"),
        values=tuple(_value(row) for row in _of(raw, "values", list) if _optional(row, "value") is not None),
        complete=_of(raw, "complete", bool, True),
    )


def _of[T](raw: Any, name: str, kind: type[T], default: T | None = None) -> T:
    value = raw.get(name) if isinstance(raw, Mapping) else None
    if value is None and default is not None:
        return default
    if not isinstance(value, kind):
        raise MalformedMessage(f"{name} must be {kind.__name__}, not {value!r:.80}")
    return value


def _optional(raw: Any, name: str) -> Any:
    if not isinstance(raw, Mapping):
        raise MalformedMessage(f"an object was expected, not {raw!r:.80}")
    return raw.get(name)


def _text(raw: Any, name: str) -> str | None:
    return None if _optional(raw, name) is None else _of(raw, name, str)


def _texts(raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(item, str) for item in raw):
        raise MalformedMessage(f"a list of texts was expected, not {raw!r:.80}")
    return tuple(raw)


def _number(raw: Any, name: str) -> float | None:
    value: Any = _optional(raw, name)
    if value is not None and (type(value) not in {int, float} or not isfinite(value)):
        raise MalformedMessage(f"{name} must be a number, not {value!r:.80}")
    return None if value is None else float(value)


def _scheme(raw: Raw) -> Scheme:
    port = _number(raw, "port")
    return Scheme(
        scheme=_of(raw, "scheme", str),
        title=_of(raw, "title", str),
        example=_of(raw, "example", str),
        reach=Reach(_of(raw, "reach", str)),
        port=None if port is None else int(port),
        options=tuple(_options(_of(raw, "options", list))),
        secrets=_texts(_of(raw, "secrets", list, [])),
    )


def _options(rows: Iterable[Raw]) -> Iterable[Option]:
    for row in rows:
        kind = _of(row, "kind", str)
        default = _optional(row, "default")
        yield Option(
            name=_of(row, "name", str),
            summary=_of(row, "summary", str, ""),
            # What we do not know can be written as a text.
            kind=OptionKind(kind) if kind in list(OptionKind) else OptionKind.TEXT,
            default=None if default is None else _written(default),
            choices=_texts(_of(row, "choices", list, [])),
            minimum=_number(row, "minimum"),
            maximum=_number(row, "maximum"),
            unit=_of(row, "unit", str, ""),
        )


def _written(value: Any) -> str:
    """Write a value as it stands in a link."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _device(raw: Raw) -> ConfiguredDevice:
    settings = _of(raw, "settings", dict, {})
    return ConfiguredDevice(
        key=_of(raw, "id", str),
        kind=Kind(_of(raw, "kind", str)),
        name=_of(raw, "name", str),
        link=_of(raw, "link", str),
        enabled=_of(raw, "enabled", bool, True),
        device=_text(raw, "device"),
        settings={key: value for key, value in settings.items() if isinstance(value, int | float | str)},
        allow=_texts(_of(raw, "allow", list, [])),
        secrets=_texts(_of(raw, "secrets", list, [])),
    )


def _value(raw: Raw) -> FoundValue:
    value = _optional(raw, "value")
    if not isinstance(value, bool | int | float | str):
        raise MalformedMessage(f"a value must be a number, a text or a truth, not {value!r:.80}")
    return FoundValue(_of(raw, "key", str), _of(raw, "name", str, ""), value, _of(raw, "unit", str, ""))
