"""Limits of a person's own on numeric points (manual M:2787–2880): warnings and alarms, hysteresis, hold time.

The comparison is taken literally: 67 % is not less than 67 % (M:2874). A threshold is raised when the value has been
beyond its limit for the hold time without a break, and is over when the value is within the limit by the hysteresis:
below 71 it is raised at 70.9 and, with a hysteresis of 1, over at 72. While the value is not known, neither is the
threshold: it is neither raised nor over, and a hold time that was running begins anew.
"""

from collections.abc import Iterable, Mapping, Set as AbstractSet
from dataclasses import dataclass
import math

from .derivation import Derivation, Derived, View, number

LEVELS = ("warning", "alarm")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Where a value should be: from `low` to `high`, both included; None for a side that is not watched."""

    low: float | None = None
    high: float | None = None

    def beyond(self, value: float, margin: float = 0.0) -> bool:
        """Whether the value is outside, or within by less than `margin`, which is 0 or more."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return not low + margin <= value <= high - margin


@dataclass(frozen=True, slots=True)
class Threshold:
    """What is watched: its conditions are `threshold.<key>.warning` and `threshold.<key>.alarm`."""

    key: str
    point: str
    warning: Bounds | None = None
    alarm: Bounds | None = None
    hysteresis: float = 0.0
    """How far within the limit the value must come back, in the point's unit."""
    hold: float = 0.0
    """Seconds that the value must be beyond the limit."""

    @property
    def levels(self) -> tuple[tuple[str, Bounds], ...]:
        """The levels that are watched: name and bounds."""
        bounds = (self.warning, self.alarm)
        return tuple((name, one) for name, one in zip(LEVELS, bounds, strict=True) if one is not None)

    def condition(self, level: str) -> str:
        """Name the condition of a level."""
        return f"threshold.{self.key}.{level}"


@dataclass(frozen=True, slots=True)
class LevelState:
    """What is remembered of one level."""

    raised: bool = False
    beyond_since: float | None = None
    """Since when, in monotonic seconds, the value has been beyond the limit without a break; None while it is not."""


def judge(
    threshold: Threshold, bounds: Bounds, state: LevelState, value: float | None, now: float
) -> tuple[LevelState, bool | None, float | None]:
    """Go on to `now` (monotonic seconds): the new state, whether it is so (None: not known), seconds until it may be."""
    if value is None:
        return LevelState(state.raised), None, None
    if state.raised:
        still = bounds.beyond(value, threshold.hysteresis)
        return LevelState(still), still, None
    if not bounds.beyond(value):
        return LevelState(), False, None
    since = now if state.beyond_since is None else state.beyond_since
    left = since + threshold.hold - now
    if left <= 0.0:
        return LevelState(raised=True), True, None
    return LevelState(beyond_since=since), False, left


def thresholds_derivation(thresholds: Iterable[Threshold], raised: AbstractSet[str] = frozenset()) -> Derivation:
    """Make the derivation of all thresholds of one device.

    It also says by `threshold_warning` and `threshold_alarm` whether there is any. `raised` are the conditions that the
    journal knows as raised: after a restart they hold until the value has come back, and need no new hold time.
    """
    watched = tuple(thresholds)
    states = {
        condition: LevelState(condition in raised)
        for threshold in watched
        for condition in (threshold.condition(level) for level, _ in threshold.levels)
    }

    def derivation(view: View, now: float) -> Derived:
        found: dict[str, bool | None] = {}
        waits: list[float] = []
        for threshold in watched:
            value = number(view.values, threshold.point)
            for level, bounds in threshold.levels:
                condition = threshold.condition(level)
                states[condition], found[condition], left = judge(threshold, bounds, states[condition], value, now)
                if left is not None:
                    waits.append(left)
        found |= _summary(watched, found)
        told = {key: holds for key, holds in found.items() if holds is not None and key not in view.known}
        return Derived(conditions=told, again=min(waits, default=None))

    return derivation


def _summary(thresholds: Iterable[Threshold], found: Mapping[str, bool | None]) -> dict[str, bool | None]:
    """Whether any threshold is raised, for each level that is watched; None where that depends on what is not known."""
    summary: dict[str, bool | None] = {}
    for name in LEVELS:
        states = [found[threshold.condition(name)] for threshold in thresholds if dict(threshold.levels).get(name)]
        if states:
            summary[f"threshold_{name}"] = True if True in states else None if None in states else False
    return summary


__all__ = ["Bounds", "LevelState", "Threshold", "judge", "thresholds_derivation"]
