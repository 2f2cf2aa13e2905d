"""Posts what was found out about a battery system, each thing to the device that it is of."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ridethrough.site import ConditionState, DeviceId, Lane, Quality, Site, Source, Value

from .board import Findings
from .layout import SYSTEM, Place

OWN = frozenset({"breaker_tripped", "breaker_stuck", "equalizing_paused", "module.lost"})
"""Conditions that are so by what the bridge itself has done or seen, whether modules answer or not."""
OWN_OF_SYSTEM = frozenset(
    {
        *OWN,
        "general_alarm",
        "system_failure",
        "monitoring",
        "modules_connected",
        "battery.discharges",
        "equalizing.pause.remaining",
    }
)
"""The same of the system, points and conditions: that nothing can be seen any longer is itself an alarm (manual M:7299)."""
LATCHED = frozenset({"thermal_runaway"})
"""Conditions that, once they hold, do so until they are known to be over: a fire that burns the cable is still one."""


@dataclass(slots=True)
class _Pending:
    """What is still to be posted of one place."""

    points: dict[str, Value | None] = field(default_factory=dict)
    conditions: dict[str, bool] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    """Conditions that can no longer be told."""


class Voice:
    """One lane for each device; nothing expires, since what was found out holds until it is found otherwise.

    What is to be said of many blocks at once is posted by and by, so that the loop is free in between.
    """

    def __init__(self, site: Site, identities: Mapping[Place, DeviceId]) -> None:
        """Nothing has been said."""
        self._site = site
        self._identities = identities
        self._lanes: dict[Place, Lane] = {}
        self._said: dict[Place, dict[str, Value]] = {}
        self._pending: dict[Place, _Pending] = {}
        self._doubtful: dict[Place, set[str]] = {}
        """Conditions that cannot be told at the moment, whatever was said of them last."""

    def say(self, findings: Findings) -> None:
        """Have findings posted; what can no longer be known becomes stale, so that no old value looks like a new one."""
        for (kind, number, key), value in findings.points.items():
            self._of(kind, number).points[key] = value
        for (kind, number, key), active in findings.conditions.items():
            pending = self._of(kind, number)
            pending.conditions[key] = active
            pending.unknown.discard(key)
        for kind, number, key in findings.unknown:
            self._of(kind, number).unknown.add(key)

    def post(self, most: int) -> bool:
        """Post what waits, of at most so many blocks, in one revision; whether there is more."""
        blocks = 0
        with self._site.transaction():
            for place in list(self._pending):
                if place.kind == "battery_module":
                    if blocks == most:
                        continue
                    blocks += 1
                self._post(place, self._pending.pop(place))
        return bool(self._pending)

    def _post(self, place: Place, pending: _Pending) -> None:
        known = {key: value for key, value in pending.points.items() if value is not None}
        said, lane = self._said.setdefault(place, {}), self._lane(place)
        said.update(known)
        lane.post(known, pending.conditions)
        for key in pending.points.keys() - known.keys():
            said.pop(key, None)
            lane.drop([key])
        doubtful = self._doubtful.setdefault(place, set())
        doubtful.difference_update(pending.conditions)
        doubtful.update(pending.unknown)
        fresh = [(key, True) for key in pending.unknown if (key, True) in lane.keys]
        if fresh:
            self._site.degrade(lane, fresh, Quality.STALE)

    def _of(self, kind: str, number: int) -> _Pending:
        return self._pending.setdefault(Place(kind, number), _Pending())

    def own(self, place: Place, key: str) -> bool:
        """Whether a condition was posted here."""
        lane = self._lanes.get(place)
        return lane is not None and (key, True) in lane.keys

    def silence(self, places: Iterable[Place]) -> None:
        """Mark as lost what was found out about what cannot be seen any longer."""
        with self._site.transaction():
            for place in places:
                lane = self._lane(place)
                states = self._site.conditions(self._identities[place])
                own = {*(OWN_OF_SYSTEM if place == SYSTEM else OWN), *(key for key in LATCHED if _holds(states, key))}
                self._site.degrade(lane, [one for one in lane.keys if one[0] not in own], Quality.LOST)

    def repeat(self, places: Iterable[Place]) -> None:
        """Say again what was said last: it can be seen again, and only what differs will be found out anew."""
        with self._site.transaction():
            for place in places:
                states = self._site.conditions(self._identities[place])
                doubtful = self._doubtful.get(place, ())
                told = [key for key, is_condition in self._lane(place).keys if is_condition and key not in doubtful]
                conditions = {key: states[key].active for key in told}
                self._lane(place).post(self._said.get(place), conditions)

    def certain(self, place: Place, facts: Mapping[str, Value | None]) -> None:
        """Post what the configuration says."""
        self._site.lane(self._identities[place], None, Source.CONFIGURED).post(facts)

    def _lane(self, place: Place) -> Lane:
        lane = self._lanes.get(place)
        if lane is None:
            lane = self._lanes[place] = self._site.lane(self._identities[place], None, Source.COMPUTED)
        return lane


def _holds(states: Mapping[str, ConditionState], key: str) -> bool:
    """Whether a condition was told and holds."""
    state = states.get(key)
    return state is not None and state.active


__all__ = ["Voice"]
