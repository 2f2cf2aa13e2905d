"""What is told of equalising: only what is new or different since it was told last."""

from collections.abc import Iterable, Set as AbstractSet

from ridethrough.battery.board import Findings
from ridethrough.battery.layout import Place

KEYS = ("equalizing", "equalizing_error", "equalizing_deactivated")
"""Conditions of blocks, strings and the system."""


class Notices:
    """What has been told so far."""

    def __init__(self) -> None:
        """Nothing has been told."""
        self._places: dict[str, set[Place]] = {}
        self._values: dict[tuple[str, int, str], float | int | None] = {}

    def deny(self, findings: Findings, key: str, places: Iterable[Place]) -> None:
        """Say of all these places that it is not so, where nothing was said yet."""
        for place in places:
            findings.conditions[(*place, key)] = False

    def so(self, findings: Findings, key: str, places: AbstractSet[Place]) -> None:
        """Say of these places that it is so, and of those of which it was said before that it no longer is."""
        before = self._places.get(key, set())
        if places == before:
            return
        for place in places - before:
            findings.conditions[(*place, key)] = True
        for place in before - places:
            findings.conditions[(*place, key)] = False
        self._places[key] = set(places)

    def unknown(self, place: Place, key: str) -> bool:
        """Return whether no value of this point has been told, or that it cannot be known."""
        return self._values.get((*place, key)) is None

    def value(self, findings: Findings, place: Place, key: str, value: float | None) -> None:
        """Tell a point's value; None: it cannot be known."""
        where = (*place, key)
        if where not in self._values or self._values[where] != value:
            self._values[where] = findings.points[where] = value


__all__ = ["KEYS", "Notices"]
