"""What a client says, taken apart. Everything that is not exactly a message of the contract is refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any

import orjson

from ridethrough.events.orders import Order
from ridethrough.site import DeviceId, Value

from .limits import API_VERSION

LARGEST = 2**53 - 1
"""The largest integer that every JSON library reads exactly."""
LONGEST_KEY = 128
LONGEST_TEXT = 1024
LONGEST_TOKEN = 512
MOST_ARGUMENTS = 16


class MalformedRequest(ValueError):
    """It is no message of the contract; the text says why and is safe to send back."""


class MissingToken(MalformedRequest):
    """An `auth` without a token."""


@dataclass(frozen=True, slots=True)
class Auth:
    """The client shows its token. `token` is empty unless the API version is one we speak."""

    token: str
    supported: bool


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The client wants a snapshot, and everything from there on."""

    events_after: int | None
    """Replay events with higher numbers; None for no replay."""


@dataclass(frozen=True, slots=True)
class Command:
    """The client wants something done."""

    id: int
    order: Order


class Action(StrEnum):
    """What a client may want of the configuration."""

    SCHEMES = "schemes"
    LIST = "list"
    TEST = "test"
    PUT = "put"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Configure:
    """The client asks for or changes what the configuration file says of devices."""

    id: int
    action: Action
    arguments: Mapping[str, object]
    """Not looked at yet: what is wrong with them is answered, not refused."""


type Request = Auth | Subscribe | Command | Configure


def parse(text: bytes) -> Request:
    """Take a client's message apart. Raises MalformedRequest."""
    try:
        raw = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedRequest("A message must be JSON.") from error
    if not isinstance(raw, dict):
        raise MalformedRequest("A message must be an object.")
    match raw.get("type"):
        case "auth":
            return _auth(raw)
        case "subscribe":
            _only(raw, "events_after")
            after = raw.get("events_after", ...)
            return Subscribe(None if after is None else _number(after, "events_after"))
        case "command":
            _only(raw, "id", "device", "command", "arguments")
            return Command(
                _number(raw.get("id"), "id"),
                Order(
                    DeviceId(_key(raw.get("device"), "device")),
                    _key(raw.get("command"), "command"),
                    _arguments(raw.get("arguments")),
                ),
            )
        case "configure":
            _only(raw, "id", "action", "arguments")
            return Configure(_number(raw.get("id"), "id"), _action(raw.get("action")), _object(raw.get("arguments")))
    raise MalformedRequest("The type must be auth, subscribe, command or configure.")


def _auth(raw: dict[str, Any]) -> Auth:
    # The version comes first: a newer client may show its token in a way that we do not know.
    if _number(raw.get("api"), "api") != API_VERSION:
        return Auth("", supported=False)
    _only(raw, "token", "api")
    token = raw.get("token")
    if not isinstance(token, str) or not token or len(token) > LONGEST_TOKEN:
        raise MissingToken(f"The token must be a text of 1 to {LONGEST_TOKEN} characters.")
    return Auth(token, supported=True)


def _only(raw: dict[str, Any], *fields: str) -> None:
    if not raw.keys() <= {"type", *fields}:
        raise MalformedRequest(f"A message of this type has no fields but {', '.join(fields)}.")


def _number(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
        raise MalformedRequest(f"{name} must be an integer from 0 to {LARGEST}.")
    return value


def _key(value: object, name: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_KEY:
        raise MalformedRequest(f"{name} must be a text of 1 to {LONGEST_KEY} characters.")
    return value


def _action(value: object) -> Action:
    if not isinstance(value, str) or value not in Action:
        raise MalformedRequest(f"action must be one of {', '.join(Action)}.")
    return Action(value)


def _object(raw: object) -> Mapping[str, object]:
    if not isinstance(raw, dict) or len(raw) > MOST_ARGUMENTS:
        raise MalformedRequest(f"arguments must be an object with at most {MOST_ARGUMENTS} fields.")
    return raw


def _arguments(raw: object) -> Mapping[str, Value]:
    return {_key(name, "An argument's name"): _argument(value) for name, value in _object(raw).items()}


def _argument(value: object) -> Value:
    match value:
        case str() if len(value) <= LONGEST_TEXT:
            return value
        case bool() | int():
            return value
        case float() if isfinite(value):
            return value
    raise MalformedRequest(
        f"An argument must be a number, true or false, or a text of at most {LONGEST_TEXT} characters."
    )


__all__ = [
    "Action",
    "Auth",
    "Command",
    "Configure",
    "MalformedRequest",
    "MissingToken",
    "Request",
    "Subscribe",
    "parse",
]
