"""What it means to work something out about a device: what one may look at, and what one gives back."""

from collections.abc import Callable, Mapping, Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

from ridethrough.catalogue import Value


class View(Protocol):
    """The good values and the good conditions of one device; nothing that the derivation itself gave."""

    @property
    def values(self) -> Mapping[str, Value]:
        """Point keys to their values."""

    @property
    def active(self) -> AbstractSet[str]:
        """Conditions that are known to be active."""

    @property
    def known(self) -> AbstractSet[str]:
        """Conditions that are known to be so or not so."""


@dataclass(frozen=True, slots=True)
class Derived:
    """What a derivation worked out. What it leaves out is not known."""

    points: Mapping[str, Value] = field(default_factory=dict)
    conditions: Mapping[str, bool] = field(default_factory=dict)
    again: float | None = None
    """Seconds after which it should be worked out again even if nothing changes, None for not before something does."""


type Derivation = Callable[[View, float], Derived]
"""Called with a view and the monotonic time in seconds, in order of time; it may remember what it needs."""


@dataclass(frozen=True, slots=True)
class Known:
    """A view of what is known so far while derivations run one after the other."""

    values: Mapping[str, Value]
    active: AbstractSet[str]
    known: AbstractSet[str]

    def joined(self, derived: Derived) -> Known:
        """Add what was worked out."""
        active = {key for key, holds in derived.conditions.items() if holds}
        return Known(
            {**self.values, **derived.points} if derived.points else self.values,
            self.active | active if active else self.active,
            self.known | derived.conditions.keys() if derived.conditions else self.known,
        )


def chain(*derivations: Derivation) -> Derivation:
    """Join derivations into one, in which each sees what those before it gave: a device is then looked at only once."""

    def derivation(view: View, now: float) -> Derived:
        seen = Known(view.values, view.active, view.known)
        points: dict[str, Value] = {}
        conditions: dict[str, bool] = {}
        dues: list[float] = []
        for one in derivations:
            derived = one(seen, now)
            points |= derived.points
            conditions |= derived.conditions
            if derived.again is not None:
                dues.append(derived.again)
            seen = seen.joined(derived)
        return Derived(points, conditions, min(dues, default=None))

    return derivation


def number(values: Mapping[str, Value], key: str) -> float | None:
    """Give a value that is a number, else None."""
    value = values.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
