"""Events, actions and what they are done for as JSON: how they are remembered over a restart."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from math import isfinite
from types import MappingProxyType
from typing import Any

import orjson

from ridethrough.catalogue import Severity
from ridethrough.config.actions import ACTIONS, Action
from ridethrough.site import DeviceId

from .event import EdgeKind, Event, EventKind
from .steps import Occasion

type Json = Mapping[str, Any]

_KINDS: Mapping[str, type[Action]] = {action.name: action for action in ACTIONS}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST = 2**63 - 1


class NotationError(ValueError):
    """It was not written by this version of the bridge, or has been damaged."""


def event_json(event: Event) -> Json:
    """Write an event."""
    return {
        "at": (event.at - _EPOCH) // _MICROSECOND,
        "kind": event.kind.value,
        "device": event.device,
        "key": event.key,
        "edge": event.edge.value,
        "severity": event.severity.value,
        "details": _writable(event.details),
        "seq": event.seq,
    }


def event_of(json: Json) -> Event:
    """Read an event. Raises NotationError."""
    try:
        device = json["device"]
        return Event(
            at=_EPOCH + json["at"] * _MICROSECOND,
            kind=EventKind(json["kind"]),
            device=None if device is None else DeviceId(device),
            key=json["key"],
            edge=EdgeKind(json["edge"]),
            severity=Severity(json["severity"]),
            details=json["details"],
            seq=json["seq"],
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise NotationError(f"This is no event: {error!r}") from error


def action_json(action: Action) -> Json:
    """Write an action: its name, and its fields."""
    return {"action": action.name} | {field.name: _plain(getattr(action, field.name)) for field in fields(action)}


def action_of(json: Json) -> Action:
    """Read an action. Raises NotationError."""
    try:
        kind = _KINDS[json["action"]]
        return kind(**{name: _frozen(value) for name, value in json.items() if name != "action"})
    except (KeyError, TypeError) as error:
        raise NotationError(f"This is no action: {error!r}") from error


def occasion_json(occasion: Occasion) -> Json:
    """Write what something is done for."""
    found: dict[str, Any] = {field.name: getattr(occasion, field.name) for field in fields(occasion)}
    return found | {"event": None if occasion.event is None else event_json(occasion.event)}


def occasion_of(json: Json) -> Occasion:
    """Read what something is done for. Raises NotationError."""
    try:
        event = json["event"]
        return Occasion(**{**json, "event": None if event is None else event_of(event)})
    except (KeyError, TypeError) as error:
        raise NotationError(f"This is no occasion: {error!r}") from error


def write(json: object) -> str:
    """Make a text of it; what JSON cannot hold is made a text too, for a device may send odd things."""
    try:
        return orjson.dumps(json).decode()
    except TypeError:
        return orjson.dumps(_writable(json)).decode()


def read[T](text: str, of: Callable[[Json], T]) -> T:
    """Read a text by one of the functions above. Raises NotationError."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise NotationError(f"This is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise NotationError("This is no object of JSON.")
    return of(found)


def _plain(value: object) -> object:
    match value:
        case Mapping():
            return dict(value)
        case tuple():
            return list(value)
    return value


def _frozen(value: object) -> object:
    match value:
        case dict():
            return MappingProxyType(value)
        case list():
            return tuple(value)
    return value


def _writable(value: object) -> object:
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case float() if not isfinite(value):
            return str(value)
        case int() if abs(value) > _LARGEST:
            return str(value)
        case Mapping():
            return {str(_writable(key)): _writable(one) for key, one in value.items()}
        case list() | tuple():
            return [_writable(one) for one in value]
    return value


__all__ = [
    "NotationError",
    "action_json",
    "action_of",
    "event_json",
    "event_of",
    "occasion_json",
    "occasion_of",
    "read",
    "write",
]
