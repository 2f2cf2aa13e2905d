"""Posts what was found out about a battery system, each thing to the device that it is of."""

from collections.abc import Iterable, Mapping

from ridethrough.site import DeviceId, Lane, Quality, Site, Source, Value

from .board import Findings
from .layout import Place

OWN = frozenset({"breaker_tripped", "breaker_stuck", "equalizing_paused", "module.lost"})
"""Conditions that are so by what the bridge itself has done or seen, whether modules answer or not."""


class Voice:
    """One lane for each device; nothing expires, since what was found out holds until it is found otherwise."""

    def __init__(self, site: Site, identities: Mapping[Place, DeviceId]) -> None:
        """Nothing has been said."""
        self._site = site
        self._identities = identities
        self._lanes: dict[Place, Lane] = {}
        self._said: dict[Place, dict[str, Value]] = {}

    def say(self, findings: Findings) -> None:
        """Post findings; what can no longer be known becomes stale, it keeps no value that looks like a new one."""
        points: dict[Place, dict[str, Value]] = {}
        unknown: dict[Place, list[str]] = {}
        conditions: dict[Place, dict[str, bool]] = {}
        for (kind, number, key), value in findings.points.items():
            if value is None:
                unknown.setdefault(Place(kind, number), []).append(key)
            else:
                points.setdefault(Place(kind, number), {})[key] = value
        for (kind, number, key), active in findings.conditions.items():
            conditions.setdefault(Place(kind, number), {})[key] = active
        with self._site.transaction():
            for place in points.keys() | conditions.keys():
                self._said.setdefault(place, {}).update(points.get(place, {}))
                self._lane(place).post(points.get(place), conditions.get(place))
            for place, keys in unknown.items():
                for key in keys:
                    self._said.get(place, {}).pop(key, None)
                self._lane(place).drop(keys)

    def silence(self, places: Iterable[Place]) -> None:
        """Mark as lost what was found out about what cannot be seen any longer."""
        with self._site.transaction():
            for place in places:
                lane = self._lane(place)
                keys = [(key, is_condition) for key, is_condition in lane.keys if not is_condition or key not in OWN]
                self._site.degrade(lane, keys, Quality.LOST)

    def repeat(self, places: Iterable[Place]) -> None:
        """Say again what was said last: it can be seen again, and only what differs will be found out anew."""
        with self._site.transaction():
            for place in places:
                states = self._site.conditions(self._identities[place])
                conditions = {key: states[key].active for key, is_condition in self._lane(place).keys if is_condition}
                self._lane(place).post(self._said.get(place), conditions)

    def certain(self, place: Place, facts: Mapping[str, Value | None]) -> None:
        """Post what the configuration says."""
        self._site.lane(self._identities[place], None, Source.CONFIGURED).post(facts)

    def _lane(self, place: Place) -> Lane:
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = self._site.lane(self._identities[place], None, Source.COMPUTED)
        return lane


__all__ = ["Voice"]
