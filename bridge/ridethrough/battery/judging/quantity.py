"""One quantity against its limits: warning and alarm, low and high, with hysteresis, and what if it is not known.

A limit is taken literally: 36 °C does not exceed 36 °C (manual M:6563–6570). Each of the four limits is judged by
itself, so an alarm may come without its warning (M:6952) and both hold at once (M:6615).

A value that is not known raises nothing. What was raised stays as it was and is marked as not known, since the silence
of a module says nothing of its block; once the module answers, but has had no such value for `PATIENCE`, it is over.
"""

from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from ridethrough.battery.layout import Place
from ridethrough.config.battery import Band, Pair

from .ledger import Ledger

PATIENCE = 3600.0
"""Seconds without a value, though whoever measures it answers, after which what it had raised is over."""


class Limits(NamedTuple):
    """A low limit is passed from above, a high one from below; infinite where nothing is watched."""

    low_alarm: float = -inf
    low_warning: float = -inf
    high_warning: float = inf
    high_alarm: float = inf

    @property
    def inner(self) -> tuple[float, float]:
        """Between these, both included, no limit is passed."""
        return max(self.low_alarm, self.low_warning), min(self.high_warning, self.high_alarm)


UNWATCHED = Limits()


def band_limits(band: Band | None) -> Limits:
    """Make limits of what is configured on both sides."""
    if band is None:
        return UNWATCHED
    return Limits(
        -inf if band.low_alarm is None else band.low_alarm,
        -inf if band.low_warning is None else band.low_warning,
        inf if band.high_warning is None else band.high_warning,
        inf if band.high_alarm is None else band.high_alarm,
    )


def low_limits(pair: Pair | None) -> Limits:
    """Make limits of a pair below which something should not be."""
    return band_limits(Band(low_warning=pair.warning, low_alarm=pair.alarm) if pair else None)


def high_limits(pair: Pair | None) -> Limits:
    """Make limits of a pair above which something should not be."""
    return band_limits(Band(high_warning=pair.warning, high_alarm=pair.alarm) if pair else None)


@dataclass(frozen=True, slots=True)
class Quantity:
    """What is watched: a condition for each of the four limits, and how far a value must come back within."""

    low_alarm: str = ""
    low_warning: str = ""
    high_warning: str = ""
    high_alarm: str = ""
    margin: float = 0.0
    """Hysteresis in the unit of the quantity."""
    share: float = 0.0
    """Further hysteresis as a share of the limit."""
    ceiling: float = inf
    """Most that the quantity can be: a value that gets there is back within, whatever the hysteresis."""
    patience: float = PATIENCE
    """Seconds without a value after which what was raised is over."""

    @property
    def keys(self) -> tuple[str, str, str, str]:
        """Name the conditions in the order of the limits."""
        return self.low_alarm, self.low_warning, self.high_warning, self.high_alarm

    def slack(self, limit: float) -> float:
        """Work out the hysteresis at a limit."""
        return self.margin + self.share * abs(limit)


class Watch:
    """One quantity at all places of one kind, by number; 0 where there is only one."""

    def __init__(self, quantity: Quantity, kind: str, count: int, watched: Limits, ledger: Ledger) -> None:
        """Judge only those limits that are `watched`; what others had raised before a restart is over."""
        self._quantity = quantity
        self._kind = kind
        self._ledger = ledger
        infinite = [abs(limit) == inf for limit in watched]
        self.keys = tuple((index, key) for index, key in enumerate(quantity.keys) if key and not infinite[index])
        for place, keys in list(ledger.active.items()):
            for key in keys & {key for key, none in zip(quantity.keys, infinite, strict=True) if none}:
                if place.kind == kind:
                    ledger.tell(place, key, holds=False)
        self.calm = bytearray(count + 1)
        """By number: whether all is known and nothing raised, so that a value within the inner limits changes nothing."""
        self._absent: dict[int, float] = {}
        """Since when, in monotonic seconds, there has been no value though something was raised."""
        self._begun = bytearray(count + 1)
        self.reach = 0
        """How many of them have ever been judged."""

    @property
    def waiting(self) -> tuple[int, ...]:
        """Which have something raised and no value: they must be looked at though nothing changes."""
        return tuple(self._absent)

    def judge(
        self,
        number: int,
        value: float | None,
        limits: Limits,
        now: float,
        *,
        silent: bool = False,
        entry: Limits | None = None,
    ) -> None:
        """Judge one value. `silent`: whoever measures it does not answer. `entry`: other limits for what is not raised."""
        place = Place(self._kind, number)
        if value is None:
            self._miss(place, now, silent=silent)
            return
        self._absent.pop(number, None)
        raised = self._ledger.at(place)
        calm = True
        for index, key in self.keys:
            limit = limits[index]
            if key in raised:
                slack = self._quantity.slack(limit)
                holds = value < min(limit + slack, self._quantity.ceiling) if index < 2 else value > limit - slack
            else:
                limit = limit if entry is None else entry[index]
                holds = value < limit if index < 2 else value > limit
            self._ledger.tell(place, key, holds)
            calm = calm and not holds
        self.calm[number] = calm
        if not self._begun[number]:
            self._begun[number] = True
            self.reach += 1

    def begun(self, numbers: range) -> bool:
        """Whether any of them has ever been judged."""
        return any(self._begun[numbers.start : numbers.stop])

    def _miss(self, place: Place, now: float, *, silent: bool) -> None:
        number = place.number
        raised = [key for _, key in self.keys if key in self._ledger.at(place)]
        if self.calm[number] or raised:
            for _, key in self.keys:
                self._ledger.lose(place, key)
        self.calm[number] = False
        if not raised:
            self._absent.pop(number, None)
            return
        since = now if silent else self._absent.get(number, now)
        self._absent[number] = since
        if now - since >= self._quantity.patience:
            for key in raised:
                self._ledger.end(place, key)
            del self._absent[number]


def strictest(*limits: Limits) -> Limits:
    """Put several limits together: whichever is passed first counts."""
    return Limits(
        max(each.low_alarm for each in limits),
        max(each.low_warning for each in limits),
        min(each.high_warning for each in limits),
        min(each.high_alarm for each in limits),
    )


__all__ = [
    "PATIENCE",
    "UNWATCHED",
    "Limits",
    "Quantity",
    "Watch",
    "band_limits",
    "high_limits",
    "low_limits",
    "strictest",
]
