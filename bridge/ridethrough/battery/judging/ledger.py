"""Which conditions hold at which place, and what of that is new."""

from collections.abc import Iterable, Mapping

from ridethrough.battery.board import Findings
from ridethrough.battery.layout import Place


class Ledger:
    """The judge's own conditions. What was raised before a restart counts as raised, but is told again."""

    def __init__(self, raised: Iterable[tuple[Place, str]] = ()) -> None:
        """Begin with what the journal knows as raised."""
        self._active: dict[Place, set[str]] = {}
        for place, key in raised:
            self._active.setdefault(place, set()).add(key)
        self._told: set[tuple[str, int, str]] = set()
        """What has been said one way or the other, and can still be told."""
        self.findings = Findings()
        self.touched: set[Place] = set()
        """Places at which something has been raised or has ended since the ledger was last emptied."""

    @property
    def active(self) -> Mapping[Place, set[str]]:
        """What holds, for each place where anything does."""
        return self._active

    def at(self, place: Place) -> set[str]:
        """Return what holds at a place."""
        return self._active.get(place, set())

    def told(self, place: Place, key: str) -> bool:
        """Whether it is known how a condition stands."""
        return (*place, key) in self._told

    def tell(self, place: Place, key: str, holds: bool) -> None:
        """Say how a condition stands; it is a finding if that is new or different."""
        known, name = self._active.get(place), (*place, key)
        if name in self._told and holds == (known is not None and key in known):
            return
        self._told.add(name)
        self.findings.conditions[name] = holds
        self.findings.unknown.discard(name)
        self.touched.add(place)
        if holds:
            self._active.setdefault(place, set()).add(key)
        elif known is not None:
            known.discard(key)
            if not known:
                del self._active[place]

    def lose(self, place: Place, key: str) -> None:
        """Say that a condition can no longer be told; it stays as it is."""
        name = (*place, key)
        if name in self._told:
            self._told.discard(name)
            self.findings.unknown.add(name)

    def end(self, place: Place, key: str) -> None:
        """End a condition that cannot be told: it is over, but nobody knows that it is not so."""
        if key in self.at(place):
            self.tell(place, key, holds=False)
            self.lose(place, key)

    def take(self) -> tuple[Findings, set[Place]]:
        """Hand over what has been found since the last time."""
        taken = self.findings, self.touched
        self.findings, self.touched = Findings(), set()
        return taken


__all__ = ["Ledger"]
