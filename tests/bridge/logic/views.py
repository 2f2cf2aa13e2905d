"""What a derivation sees, for tests without a site."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ridethrough.catalogue import Value


@dataclass(frozen=True)
class Seen:
    """A device as a derivation sees it."""

    values: Mapping[str, Value] = field(default_factory=dict)
    active: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset()


def seen(values: Mapping[str, Value] | None = None, **conditions: bool) -> Seen:
    """Make a view of values and of conditions that are so or not so."""
    active = frozenset(key for key, holds in conditions.items() if holds)
    return Seen(values or {}, active, frozenset(conditions))
