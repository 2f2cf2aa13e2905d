"""What is remembered of a plan, as a text: JSON with the plan as it was when its run began."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache, lru_cache
from types import NoneType, UnionType
from typing import Any, Literal, TypeAliasType, Union, get_args, get_origin, get_type_hints

import orjson

from ridethrough.config.actions import ACTIONS, Action
from ridethrough.config.plans import PlanConfig, StageConfig

from .state import PlanState, Run
from .supply import durable

VERSION = 1
_ACTIONS: dict[str, type[Action]] = {action.name: action for action in ACTIONS}


class RecordError(ValueError):
    """A text is not what a plan has remembered, or a later version wrote it."""


def to_text(state: PlanState) -> str:
    """Write down what must outlive the bridge."""
    found = _shallow(state) | {"supplies": durable(state.supplies)}
    if state.run is not None:
        found["run"] = _shallow(state.run) | {"plan": orjson.Fragment(_plan_text(state.run.plan))}
    return orjson.dumps({"version": VERSION, "state": found}, default=_other).decode()


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


def _shallow(value: PlanState | Run) -> dict[str, object]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


@lru_cache(maxsize=16)
def _plan_text(plan: PlanConfig) -> bytes:
    """Write a plan: once, as it does not change while it runs and may have a thousand members."""
    stages = [_shallow_stage(stage) for stage in plan.stages]
    rest = {field.name: getattr(plan, field.name) for field in fields(plan)}
    return orjson.dumps(rest | {"stages": stages}, default=_other)


def _shallow_stage(stage: StageConfig) -> dict[str, object]:
    before = [
        {field.name: getattr(action, field.name) for field in fields(action)} | {"action": action.name}
        for action in stage.before
    ]
    return {field.name: getattr(stage, field.name) for field in fields(stage)} | {"before": before}


def _other(value: object) -> object:
    """Write what JSON has no word for."""
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be remembered.")


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
