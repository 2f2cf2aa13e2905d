"""An event: the edge of a condition, a command that was given, or something the bridge itself did."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from ..catalogue import Severity
from ..site import DeviceId, Value


class EventKind(StrEnum):
    """What an event is about."""

    CONDITION = "condition"
    COMMAND = "command"
    SYSTEM = "system"


class EdgeKind(StrEnum):
    """Which edge of a condition; what is not a condition has `occurred`."""

    RAISED = "raised"
    CLEARED = "cleared"
    """The manuals' counter event (M:2760)."""
    OCCURRED = "occurred"


@dataclass(frozen=True, slots=True)
class Event:
    """What happened. `seq` is 0 until the journal has given it its number."""

    at: datetime
    kind: EventKind
    device: DeviceId | None
    key: str
    """The condition, the command, or what the bridge did (`started`, `stopped`)."""
    edge: EdgeKind
    severity: Severity
    details: Mapping[str, Value] = field(default_factory=dict)
    seq: int = 0


class JournalError(Exception):
    """The journal cannot be written or read at the moment, e.g. because the disk is full."""


class Journal(Protocol):
    """Where events are kept. `store.Journal` implements it. Its methods raise JournalError."""

    async def append(self, events: Sequence[Event]) -> list[Event]:
        """Write events durably, in order, and return them with their sequence numbers (1, 2, 3, …, no gaps).

        All of them are written or none.
        """

    async def after(self, seq: int, limit: int = 1000) -> list[Event]:
        """Events with a higher number than `seq`, oldest first, at most `limit`."""

    async def last(self) -> int:
        """The highest sequence number so far, 0 if there is none."""

    async def raised(self) -> list[Event]:
        """For every condition whose last edge is `raised`, that event."""
