"""One value of one point: what it is, how good it is, when it was measured and where it came from."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

DeviceId = NewType("DeviceId", str)
"""A UUID minted by the bridge; the identity of a device for ever."""

type Value = float | int | bool | str


class Quality(StrEnum):
    """How far a reading can be trusted (DESIGN §4.2). Never publish an invented value instead."""

    GOOD = "good"
    STALE = "stale"
    """Older than the deadline of its lane."""
    LOST = "lost"
    """Its link is dead."""
    UNSUPPORTED = "unsupported"
    """The device has said that it does not know this point."""


class Source(StrEnum):
    """Where a value came from."""

    MEASURED = "measured"
    COMPUTED = "computed"
    """Worked out by the bridge from other values, e.g. autonomy from load and hold time."""
    CONFIGURED = "configured"
    """Entered by a person."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A point's value with its quality. `value` is the last known one unless quality is `unsupported`."""

    value: Value | None
    quality: Quality
    measured_at: datetime
    """When the value was last confirmed by its source (UTC)."""
    source: Source = Source.MEASURED

    @property
    def good(self) -> bool:
        """Whether the value may be acted upon."""
        return self.quality is Quality.GOOD


@dataclass(frozen=True, slots=True)
class ConditionState:
    """Whether something is so. While the quality is not good, `active` is what was last known."""

    active: bool
    quality: Quality
    since: datetime
    """When `active` last changed (UTC)."""
