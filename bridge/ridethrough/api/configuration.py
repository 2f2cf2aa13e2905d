"""What clients want of the configuration: permitted, understood, done, and answered."""

import asyncio
from collections.abc import Callable, Mapping
import logging
from math import isfinite
import re

from ridethrough.catalogue import Role
from ridethrough.config import ConfigureError
from ridethrough.config.draft import SECRETS, SECTIONS, SETTINGS, DeviceDraft, Kind
from ridethrough.events.orders import LONGEST_MESSAGE

from .limits import Limits
from .protocols import Configurator, TokenInfo
from .requests import LONGEST_KEY, LONGEST_TEXT, Action, Configure

_LOGGER = logging.getLogger(__name__)

ROLES: Mapping[Action, Role] = {
    Action.SCHEMES: Role.ENGINEER,
    Action.LIST: Role.ENGINEER,
    Action.TEST: Role.ADMIN,
    Action.PUT: Role.ADMIN,
    Action.REMOVE: Role.ADMIN,
}
MOST_GROUPS = 64
LONGEST_LINE = 1000
"""Characters of a name, a link or a secret."""
_KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_FIELDS = ("id", "kind", "name", "link", "enabled", "device", "settings", "allow", "secrets")

type Outcome = Mapping[str, object] | ConfigureError


class Desk:
    """Takes requests of all clients. A test ends when its client leaves; a change that has begun is finished."""

    def __init__(self, configurator: Configurator | None, limits: Limits) -> None:
        """Without a `configurator` the bridge cannot be configured here."""
        self._configurator = configurator
        self._limits = limits
        self._tasks: set[asyncio.Task[None]] = set()
        self._tests = 0

    @property
    def open(self) -> bool:
        """Whether there is anything to ask for."""
        return self._configurator is not None

    def accept(self, request: Configure, actor: TokenInfo, done: Callable[[Outcome], None]) -> Callable[[], None]:
        """Begin with a request; `done` hears the outcome. Returns what to call when its client has left."""
        testing = request.action is Action.TEST
        if len(self._tasks) >= self._limits.configuring or (testing and self._tests >= self._limits.tests):
            done(ConfigureError("busy", "The bridge is busy with others' requests; try again in a moment."))
            return _nothing
        task = asyncio.create_task(self._answer(request, actor, done), name=f"configure {request.action}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if not testing:
            return _nothing
        self._tests += 1
        task.add_done_callback(self._test_ended)
        return lambda: _cancel(task)

    async def stop(self, patience: float) -> None:
        """Wait so many seconds for what is under way, then give it up."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _test_ended(self, _task: asyncio.Task[None]) -> None:
        self._tests -= 1

    async def _answer(self, request: Configure, actor: TokenInfo, done: Callable[[Outcome], None]) -> None:
        try:
            outcome: Outcome = await self._do(request, actor)
        except ConfigureError as error:
            message = str(error)
            outcome = (
                error
                if len(message) <= LONGEST_MESSAGE
                else ConfigureError(error.code, f"{message[:LONGEST_MESSAGE]}…", error.field)
            )
        except Exception:
            _LOGGER.exception("The request to %s failed in a way nobody foresaw", request.action)
            outcome = ConfigureError("busy", "The request failed inside the bridge; its log says more.")
        done(outcome)

    async def _do(self, request: Configure, actor: TokenInfo) -> Mapping[str, object]:
        configurator, arguments = self._configurator, request.arguments
        assert configurator is not None, "a closed desk takes no requests"
        needed = ROLES[request.action]
        if not actor.role.may(needed):
            raise ConfigureError("forbidden", f"This needs a token of the role {needed}; this one has {actor.role}.")
        match request.action:
            case Action.SCHEMES:
                _only(arguments)
                return await configurator.schemes()
            case Action.LIST:
                _only(arguments)
                return await configurator.list(secrets=actor.role.may(Role.ADMIN))
            case Action.TEST:
                _only(arguments, "device")
                return await configurator.test(draft(arguments.get("device")))
            case Action.PUT:
                _only(arguments, "device", "revision")
                wanted = draft(arguments.get("device"))
                return await configurator.put(wanted, _revision(arguments), actor.name)
            case Action.REMOVE:
                _only(arguments, "id", "revision")
                return await configurator.remove(_key(arguments.get("id")), _revision(arguments), actor.name)


def _nothing() -> None:
    pass


def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()


# Understanding a device


def draft(raw: object) -> DeviceDraft:
    """Take a `DeviceDraft` of the contract apart. Raises ConfigureError (invalid)."""
    if not isinstance(raw, dict):
        raise ConfigureError("invalid", "device must be an object.")
    for name in raw:
        if name not in _FIELDS:
            raise ConfigureError("invalid", f"A device has no {name[:60]!r}; it has {', '.join(_FIELDS)}.", name[:60])
    fields: dict[str, str | None] = {}
    if "name" in raw:
        fields["name"] = None if raw["name"] is None else _line(raw["name"], "name")
    if "link" in raw:
        fields["link"] = _line(raw["link"], "link")
    if "enabled" in raw:
        if not isinstance(raw["enabled"], bool):
            raise ConfigureError("invalid", "enabled must be true or false.", "enabled")
        fields["enabled"] = "yes" if raw["enabled"] else "no"
    for name, value in _members(raw.get("settings", {}), "settings", tuple(SETTINGS)):
        fields[name] = _setting(value, name)
    return DeviceDraft(
        _key(raw.get("id")),
        _kind(raw["kind"]) if "kind" in raw else None,
        fields,
        _groups(raw["allow"]) if "allow" in raw else None,
        _secrets(raw.get("secrets", {})),
    )


def _only(arguments: Mapping[str, object], *names: str) -> None:
    if not arguments.keys() <= set(names):
        raise ConfigureError("invalid", f"The arguments must be {', '.join(names) or 'none'}.")


def _revision(arguments: Mapping[str, object]) -> str:
    revision = arguments.get("revision")
    if not isinstance(revision, str) or not 1 <= len(revision) <= LONGEST_KEY:
        raise ConfigureError("invalid", "revision must be what list or the last change has told.", "revision")
    return revision


def _key(value: object) -> str:
    if not isinstance(value, str) or _KEY.fullmatch(value) is None:
        told = "id must be up to 64 small letters, digits and hyphens and begin with a letter or digit, like ups-1."
        raise ConfigureError("invalid", told, "id")
    return value


def _kind(value: object) -> Kind:
    for kind in SECTIONS:
        if value == kind:
            return kind
    raise ConfigureError("invalid", f"kind must be {' or '.join(SECTIONS)}.", "kind")


def _line(value: object, name: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_LINE:
        raise ConfigureError("invalid", f"{name} must be a text of 1 to {LONGEST_LINE} characters.", name)
    return value


def _members(raw: object, name: str, known: tuple[str, ...]) -> list[tuple[str, object]]:
    if not isinstance(raw, dict):
        raise ConfigureError("invalid", f"{name} must be an object.", name)
    for key in raw:
        if key not in known:
            raise ConfigureError("invalid", f"{name} has no {key[:60]!r}; it has {', '.join(known)}.", name)
    return list(raw.items())


def _setting(value: object, name: str) -> str | None:
    match value:
        case None:
            return None
        case str() if 1 <= len(value) <= LONGEST_TEXT:
            return value
        case bool():
            pass
        case int() if abs(value) < 2**53:
            return str(value)
        case float() if isfinite(value):
            return f"{value:.10g}"
    raise ConfigureError("invalid", f"{name} must be a number, a text or null.", name)


def _groups(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list) or len(raw) > MOST_GROUPS:
        raise ConfigureError("invalid", f"allow must be a list of at most {MOST_GROUPS} command groups.", "allow")
    return tuple(_line(group, "allow") for group in raw)


def _secrets(raw: object) -> dict[str, str | None]:
    if isinstance(raw, list):
        # What list says: which are set. Nothing is to be changed about them.
        return {}
    return {
        name: None if value is None else _line(value, name) for name, value in _members(raw, "secrets", tuple(SECRETS))
    }


__all__ = ["ROLES", "Desk", "Outcome", "draft"]
