"""What is remembered of a plan, as a text: JSON with the plan as it was when its run began."""

from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, TypeAliasType, Union, get_args, get_origin, get_type_hints

import orjson

from ridethrough.config.actions import ACTIONS, Action

from .state import PlanState
from .supply import durable

VERSION = 1
_ACTIONS: dict[str, type[Action]] = {action.name: action for action in ACTIONS}


class RecordError(ValueError):
    """A text is not what a plan has remembered, or a later version wrote it."""


def to_text(state: PlanState) -> str:
    """Write down what must outlive the bridge."""
    kept = replace(state, supplies=dict(durable(state.supplies)))
    return orjson.dumps({"version": VERSION, "state": _plain(kept)}).decode()


def from_text(text: str) -> PlanState:
    """Read what was written down. Raises RecordError."""
    try:
        found = orjson.loads(text)
        if found["version"] != VERSION:
            raise RecordError(f"It was written by version {found['version']}; this one reads {VERSION}.")
        state: PlanState = _typed(PlanState, found["state"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, RecordError):
            raise
        raise RecordError(f"What is remembered of the plan cannot be read: {error}") from error
    return state


def _plain(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        found = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {"action": value.name} | found if isinstance(value, Action) else found
    if isinstance(value, dict | MappingProxyType):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(value)
    return value


def _typed(kind: Any, value: Any) -> Any:
    """Make a plain value one of this type again."""
    if isinstance(kind, TypeAliasType):
        return _typed(kind.__value__, value)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value is None:
            return None
        others = [one for one in arguments if one is not NoneType]
        return value if len(others) > 1 else _typed(others[0], value)
    if origin is Literal:
        return value
    if origin is tuple:
        return tuple(_typed(arguments[0], item) for item in value)
    if origin is list:
        return [_typed(arguments[0], item) for item in value]
    if origin is frozenset:
        return frozenset(value)
    if origin is not None:
        return {key: _typed(arguments[1], item) for key, item in value.items()}
    if kind is Action:
        return _dataclass(_ACTIONS[value["action"]], value)
    if is_dataclass(kind):
        return _dataclass(kind, value)
    return kind(value) if isinstance(kind, type) and issubclass(kind, Enum) else value


def _dataclass(kind: Any, value: dict[str, Any]) -> Any:
    # What a later version of the same shape has added is not known here, what it lacks has its default.
    return kind(**{name: _typed(hint, value[name]) for name, hint in _hints(kind).items() if name in value})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: hint for name, hint in get_type_hints(kind).items() if name in names}


__all__ = ["RecordError", "from_text", "to_text"]
