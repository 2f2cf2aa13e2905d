"""The bridge's messages as typed values. Nothing past this module sees a raw message.

Every parser raises MalformedMessage when a message is not what the contract says.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from math import isfinite
from typing import Any

type Value = float | int | bool | str
type Raw = Mapping[str, Any]


class MalformedMessage(ValueError):
    """What came is not a message of the contract."""


class Quality(StrEnum):
    """How far a reading can be trusted."""

    GOOD = "good"
    STALE = "stale"
    LOST = "lost"
    UNSUPPORTED = "unsupported"


class Role(StrEnum):
    """What the token allows, least first."""

    GUEST = "guest"
    CUSTOMER = "customer"
    ENGINEER = "engineer"
    ADMIN = "admin"

    def may(self, needed: Role) -> bool:
        """Whether this role includes `needed`."""
        roles = list(Role)
        return roles.index(self) >= roles.index(needed)


class EventKind(StrEnum):
    """What an event is about."""

    CONDITION = "condition"
    COMMAND = "command"
    SYSTEM = "system"


class Edge(StrEnum):
    """Which edge of a condition; what is not a condition has `occurred`."""

    RAISED = "raised"
    CLEARED = "cleared"
    OCCURRED = "occurred"


class Severity(StrEnum):
    """How bad it is."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Hello:
    """Who the bridge is and which versions of the API it speaks."""

    api_min: int
    api_max: int
    id: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The bridge accepted the token."""

    role: Role
    features: frozenset[str] = frozenset()
    """What it can beyond the first version of the API, e.g. `configure`."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device of the bridge's tree. `parent` is None for the bridge itself."""

    id: str
    key: str
    kind: str
    name: str
    parent: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None
    commands: frozenset[str] = frozenset()
    """What it offers and the bridge's configuration grants."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One value. Unless the quality is good, `value` is only what was last known."""

    value: Value | None
    quality: Quality
    at: float
    """When it was measured, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class ConditionState:
    """Whether something is so. Unless the quality is good, `active` is only what was last known."""

    active: bool
    quality: Quality
    since: float
    """When `active` last changed, seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, with its number in the bridge's journal."""

    seq: int
    at: float
    kind: str
    """One of EventKind, or what a newer bridge calls it; so are edge and severity of their enumerations."""
    device: str | None
    key: str
    edge: str
    severity: str
    details: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alert:
    """One entry of a device's own history, in its own words."""

    number: int
    """Its place in the device's memory; the oldest has the lowest."""
    at: str
    """When it happened by the device's clock, as the device writes it; empty where it does not say."""
    edge: str
    """`raised`, `cleared` or empty."""
    text: str


type Points = Mapping[str, Mapping[str, Reading]]
type Conditions = Mapping[str, Mapping[str, ConditionState]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent cut of everything."""

    revision: int
    seq: int
    """The number of the last event in the journal."""
    devices: Mapping[str, Device]
    points: Points
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Delta:
    """What changed between two revisions."""

    since: int
    revision: int
    devices: Mapping[str, Device | None]
    """None for a device that was removed."""
    points: Points
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended: `code` is None when it was carried out."""

    id: int
    message: str
    confirmed: bool = False
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Configured:
    """How a question about the configuration was answered: `code` is None when it was carried out."""

    id: int
    data: Mapping[str, Any] = field(default_factory=dict)
    """Parsed by `configuration`."""
    message: str = ""
    code: str | None = None
    field: str | None = None


def _get[T](raw: Any, name: str, *types: type[T]) -> T:
    """Return the field `name`, which must be of one of `types` (exactly, so that a boolean is no number)."""
    value: T | None = raw.get(name) if isinstance(raw, Mapping) else None
    if value is None or type(value) not in types:
        raise MalformedMessage(f"{name} must be {' or '.join(kind.__name__ for kind in types)}, not {value!r:.80}")
    return value


def _enum[E: StrEnum](kind: type[E], raw: Any, name: str) -> E:
    try:
        return kind(_get(raw, name, str))
    except ValueError as error:
        raise MalformedMessage(str(error)) from error


def _text(raw: Any, name: str) -> str | None:
    return None if raw.get(name) is None else _get(raw, name, str)


def _time(raw: Any, name: str) -> float:
    value = float(_get(raw, name, int, float))
    if not isfinite(value):
        raise MalformedMessage(f"{name} must be a time, not {value}")
    return value


def _mapping[T](raw: Any, parse: Callable[[Any], T]) -> dict[str, T]:
    if not isinstance(raw, Mapping):
        raise MalformedMessage(f"an object was expected, not {raw!r:.80}")
    return {key: parse(value) for key, value in raw.items()}


def device(raw: Any) -> Device:
    """Parse a device."""
    commands = _get(raw, "commands", list)
    if not all(isinstance(command, str) for command in commands):
        raise MalformedMessage("commands must be a list of texts")
    return Device(
        id=_get(raw, "id", str),
        key=_get(raw, "key", str),
        kind=_get(raw, "kind", str),
        name=_get(raw, "name", str),
        parent=_text(raw, "parent"),
        manufacturer=_text(raw, "manufacturer"),
        model=_text(raw, "model"),
        serial=_text(raw, "serial"),
        firmware=_text(raw, "firmware"),
        commands=frozenset(commands),
    )


def reading(raw: Any) -> Reading:
    """Parse a reading."""
    quality = _enum(Quality, raw, "quality")
    value = raw.get("value")
    if value is not None and type(value) not in {bool, int, float, str}:
        raise MalformedMessage(f"a value must be a number, a text or a truth, not {value!r:.80}")
    return Reading(value, quality, _time(raw, "at"))


def condition_state(raw: Any) -> ConditionState:
    """Parse the state of a condition."""
    return ConditionState(_get(raw, "active", bool), _enum(Quality, raw, "quality"), _time(raw, "since"))


_points = partial(_mapping, parse=partial(_mapping, parse=reading))
_conditions = partial(_mapping, parse=partial(_mapping, parse=condition_state))


def hello(raw: Raw) -> Hello:
    """Parse the bridge's first message."""
    api, bridge = _get(raw, "api", dict), _get(raw, "bridge", dict)
    return Hello(
        api_min=_get(api, "min", int),
        api_max=_get(api, "max", int),
        id=_get(bridge, "id", str),
        name=_get(bridge, "name", str),
        version=_get(bridge, "version", str),
    )


def ready(raw: Raw) -> Ready:
    """Parse the answer to the token."""
    role = _enum(Role, raw, "role")
    features = _get(raw, "features", list) if "features" in raw else []
    return Ready(role, frozenset(feature for feature in features if isinstance(feature, str)))


def snapshot(raw: Raw) -> Snapshot:
    """Parse a snapshot. Readings of devices that it does not name are dropped."""
    devices = {found.id: found for found in map(device, _get(raw, "devices", list))}
    return Snapshot(
        revision=_get(raw, "revision", int),
        seq=_get(raw, "seq", int),
        devices=devices,
        points={key: value for key, value in _points(raw.get("points")).items() if key in devices},
        conditions={key: value for key, value in _conditions(raw.get("conditions")).items() if key in devices},
    )


def delta(raw: Raw) -> Delta:
    """Parse a delta; what did not change may be left out."""
    return Delta(
        since=_get(raw, "since", int),
        revision=_get(raw, "revision", int),
        devices=_mapping(raw.get("devices", {}), lambda found: None if found is None else device(found)),
        points=_points(raw.get("points", {})),
        conditions=_conditions(raw.get("conditions", {})),
    )


def event(raw: Raw) -> Event:
    """Parse an event. A kind, edge or severity that we do not know is kept as it is: the events after it must come."""
    return Event(
        seq=_get(raw, "seq", int),
        at=_time(raw, "at"),
        kind=_get(raw, "kind", str),
        device=_text(raw, "device"),
        key=_get(raw, "key", str),
        edge=_get(raw, "edge", str),
        severity=_get(raw, "severity", str),
        details=dict(_get(raw, "details", dict)) if "details" in raw else {},
    )


def result(raw: Raw) -> Result:
    """Parse the result of a command."""
    number = _get(raw, "id", int)
    if _get(raw, "ok", bool):
        return Result(number, _get(raw, "message", str), confirmed=_get(raw, "confirmed", bool))
    error = _get(raw, "error", dict)
    return Result(number, _get(error, "message", str), code=_get(error, "code", str))


def alerts(raw: Any) -> tuple[Alert, ...]:
    """Parse what a device remembers itself."""
    return tuple(
        Alert(_get(row, "number", int), _get(row, "at", str), _get(row, "edge", str), _get(row, "text", str))
        for row in _get(raw, "alerts", list)
    )


def failed(raw: Any) -> tuple[str, str]:
    """Parse why a download is not to be had: code and message."""
    error = _get(raw, "error", dict)
    return _get(error, "code", str), _get(error, "message", str)


def configured(raw: Raw) -> Configured:
    """Parse the answer to a question about the configuration."""
    number = _get(raw, "id", int)
    if _get(raw, "ok", bool):
        return Configured(number, _get(raw, "data", dict))
    error = _get(raw, "error", dict)
    return Configured(
        number, message=_get(error, "message", str), code=_get(error, "code", str), field=_text(error, "field")
    )
