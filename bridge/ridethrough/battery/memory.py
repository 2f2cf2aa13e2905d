"""What a battery system must not forget over a restart: counters, baselines, charges, pauses, tripped breakers."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
import json
import logging
from types import MappingProxyType
from typing import Any, Protocol

from ridethrough.clock import Clock
from ridethrough.site import DeviceId

_LOGGER = logging.getLogger(__name__)

type State = Mapping[str, Any]
"""What becomes JSON; those who made it read it without trust."""

VERSION = 1
"""Of what is written; another one is not read."""
USUAL = 60.0
"""Seconds between two writes of what only goes on, such as a pause: flash memory wears."""


class MemoryFault(Exception):
    """Nothing can be kept; the message says why."""


class Memory(Protocol):
    """Where it is kept: a text for each part of a battery system."""

    async def keep(self, device: DeviceId, parts: Mapping[str, str]) -> None:
        """Keep these in the place of those kept before, durably; others stay. Raises MemoryFault."""


class Notebook:
    """Reads what was kept of one system and decides when to write what has changed."""

    def __init__(
        self, device: DeviceId, name: str, memory: Memory | None, clock: Clock, kept: Mapping[str, str]
    ) -> None:
        """`kept` are the texts of this device; `name` is what people call it."""
        self._device = device
        self._name = name
        self._memory = memory
        self._clock = clock
        self.kept = dict(kept)
        """What is in the memory, or would be if there were one."""
        self._parts: dict[str, State] = {}
        self._changed = False
        self._wanted = False
        self._looked = clock.monotonic()
        self._failing = False

    def read(self, part: str) -> tuple[State, float | None]:
        """Return what was kept of a part, and how many seconds ago: nothing if it is damaged or of another version."""
        text = self.kept.get(part)
        if text is None:
            return MappingProxyType({}), None
        try:
            state, at = _parsed(text)
            away = (self._clock.utc() - at).total_seconds()
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            self._complain(part, error)
            return MappingProxyType({}), None
        # A clock that was set back says nothing of how long it was.
        return state, away if away >= 0 else None

    def open[T](self, part: str, make: Callable[[State, float | None], T]) -> T:
        """Make something of what was kept of a part, and of how long ago that was; anew when it cannot be used."""
        kept, away = self.read(part)
        try:
            return make(kept, away)
        except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
            self._complain(part, error)
            return make(MappingProxyType({}), None)

    def put(self, part: str, state: State, *, at_once: bool = False) -> None:
        """Keep this of a part, by and by; `at_once` when a breaker has tripped, or something was counted."""
        if state != self._parts.get(part):
            self._parts[part] = state
            self._changed = True
        self._wanted |= at_once and self._changed

    def due(self) -> bool:
        """Whether to write now."""
        return self._wanted or (self._changed and self._clock.monotonic() - self._looked >= USUAL)

    async def save(self) -> None:
        """Write the parts that are not as they are kept."""
        self._wanted = self._changed = False
        self._looked = self._clock.monotonic()
        changed = {part: self._text(state) for part, state in self._parts.items() if state != self._state(part)}
        if not changed:
            return
        if self._memory is not None:
            try:
                await self._memory.keep(self._device, changed)
            except MemoryFault as error:
                if not self._failing:
                    _LOGGER.warning("The state of %s cannot be kept: %s", self._name, error)
                self._failing = self._changed = True
                return
            if self._failing:
                _LOGGER.info("The state of %s is kept again", self._name)
            self._failing = False
        self.kept |= changed

    def _text(self, state: State) -> str:
        at = self._clock.utc().astimezone(UTC).isoformat()
        return json.dumps({"version": VERSION, "at": at, "state": dict(state)}, separators=(",", ":"))

    def _state(self, part: str) -> object:
        try:
            return _parsed(self.kept[part])[0]
        except ValueError, KeyError, TypeError, RecursionError:
            return None

    def _complain(self, part: str, error: Exception) -> None:
        told = "What was kept of %s (%s) cannot be used, it begins anew: %s: %s"
        _LOGGER.warning(told, self._name, part, type(error).__name__, error)


def _parsed(text: str) -> tuple[State, datetime]:
    """Read what was written, and when. Raises ValueError, KeyError, TypeError or RecursionError."""
    found = json.loads(text)
    if found["version"] != VERSION or not isinstance(found["state"], dict):
        raise ValueError(f"version {found['version']}")
    return found["state"], datetime.fromisoformat(found["at"])


__all__ = ["Memory", "MemoryFault", "Notebook", "State"]
