"""What a plan looks at: its UPSes and its members at one moment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Power(StrEnum):
    """From what a UPS feeds its load."""

    MAINS = "mains"
    BATTERY = "battery"
    UNKNOWN = "unknown"
    """It does not tell, cannot be reached, or is no longer configured."""


@dataclass(frozen=True, slots=True)
class UpsView:
    """One UPS, as far as its values are good now."""

    power: Power = Power.UNKNOWN
    runtime: float | None = None
    """Seconds at the present load."""
    charge: float | None = None
    """Percent."""
    active: frozenset[str] = frozenset()
    """Conditions that are known to hold."""
    tells_runtime: bool = True
    tells_charge: bool = True
    """Whether it has ever told them; what it never tells is not waited for."""


class Seen(StrEnum):
    """How a member is."""

    UP = "up"
    WAITING = "waiting"
    """It has accepted the order, and waits for as many senders as it is told to (redundancy)."""
    GOING = "going"
    """It is shutting down."""
    DOWN = "down"
    LOST = "lost"
    """It could be reached, and no longer can."""
    UNKNOWN = "unknown"
    """It has not been reached yet, or has no way to tell."""


@dataclass(frozen=True, slots=True)
class View:
    """All of it at one moment."""

    ups: Mapping[str, UpsView] = field(default_factory=lambda: MappingProxyType({}))
    """By key."""
    members: Mapping[str, Seen] = field(default_factory=lambda: MappingProxyType({}))
    """By the member's id within the plan."""
    held: frozenset[str] = frozenset()
    """Ids of members that another plan keeps down, or is shutting down."""


__all__ = ["Power", "Seen", "UpsView", "View"]
