"""What a plan makes of its UPSes: whether power is out, which triggers are reached, whether it is back for good.

- A UPS that is lost while it was on battery counts as on battery: the batteries run on. Its last good runtime and
  charge are counted down from the moment they were known, as nobody else does; load can have become only less since.
- A UPS that is lost while it was on mains, or has never been heard of, is *unknown*. It never begins a shutdown. But
  where `need` of several UPSes must fail, it cannot be relied upon either: it counts beside one that is known to be on
  battery. One that is on battery and one that is silent are two that may fail.
- Power is back for a plan when fewer than `need` have failed by that count; nothing is started again before so many
  UPSes are *known* to be on mains that what remains could fail.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ridethrough.config.plans import PlanConfig, Trigger
from ridethrough.events.outage import Outage

from .view import Power, UpsView


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value that falls while on battery, and when it was last good."""

    value: float
    at: float


@dataclass(frozen=True, slots=True)
class Supply:
    """What is remembered of one UPS."""

    last: Power = Power.UNKNOWN
    """What it was when it was last known."""
    outage: Outage = Outage()
    silent: bool = True
    """Whether it is not known how it is now."""
    runtime: Estimate | None = None
    charge: Estimate | None = None
    active: frozenset[str] = frozenset()
    """Conditions that hold; while it is silent, those that held."""
    tells_runtime: bool = True
    tells_charge: bool = True

    @property
    def power(self) -> Power:
        """How it counts: lost on battery is on battery, lost on mains is unknown."""
        return self.last if not self.silent or self.last is Power.BATTERY else Power.UNKNOWN

    def observed(self, view: UpsView | None, now: float, window: float) -> Supply:
        """Take into account what is seen of it now."""
        view = view or UpsView()
        silent = view.power is Power.UNKNOWN
        last = self.last if silent else view.power
        return Supply(
            last,
            self.outage.observed(last is Power.BATTERY, now, window),
            silent,
            self.runtime if silent and view.runtime is None else _estimate(view.runtime, self.runtime, last, now),
            self.charge if silent and view.charge is None else _estimate(view.charge, self.charge, last, now),
            self.active if silent else view.active,
            view.tells_runtime,
            view.tells_charge,
        )

    def runtime_at(self, now: float) -> float | None:
        """Return the seconds of runtime: the value if it is good, else what must be left of it on battery."""
        if self.runtime is None:
            return None
        return max(0.0, self.runtime.value - (now - self.runtime.at if self.last is Power.BATTERY else 0.0))

    def charge_at(self, now: float) -> float | None:
        """Return the percent of charge: the value if it is good, else what must be left of it on battery."""
        if self.charge is None:
            return None
        if self.charge.at == now or self.last is not Power.BATTERY or self.runtime is None or not self.runtime.value:
            return self.charge.value
        share = (now - self.charge.at) / self.runtime.value
        return max(0.0, self.charge.value * (1.0 - share))


def _estimate(value: float | None, before: Estimate | None, power: Power, now: float) -> Estimate | None:
    """Take a good value; on battery keep the former one where it is missing, on mains nothing can be said without."""
    if value is not None:
        return Estimate(value, now)
    return before if power is Power.BATTERY else None


type Supplies = Mapping[str, Supply]


def observe(plan: PlanConfig, supplies: Supplies, views: Mapping[str, UpsView], now: float, window: float) -> Supplies:
    """Take into account how all UPSes of a plan are; those that it no longer has are forgotten."""
    return {key: supplies.get(key, Supply()).observed(views.get(key), now, window) for key in plan.ups}


def on_battery(plan: PlanConfig, supplies: Supplies) -> list[Supply]:
    """Return the UPSes that are, or were when last heard of, on battery."""
    return [supplies[key] for key in plan.ups if supplies[key].power is Power.BATTERY]


def unknown(plan: PlanConfig, supplies: Supplies) -> int:
    """Count those of which nobody knows."""
    return sum(supplies[key].power is Power.UNKNOWN for key in plan.ups)


def out(plan: PlanConfig, supplies: Supplies) -> bool:
    """Whether so many UPSes have failed, or may have, that the plan is meant for it."""
    failed = len(on_battery(plan, supplies))
    return failed > 0 and failed + unknown(plan, supplies) >= plan.need


def sound(plan: PlanConfig, supplies: Supplies) -> list[Supply]:
    """Return the UPSes known to be on mains."""
    return [supplies[key] for key in plan.ups if supplies[key].power is Power.MAINS]


def enough(plan: PlanConfig, count: int) -> bool:
    """Whether with so many UPSes in order those that remain are too few to fail together."""
    return len(plan.ups) - count < plan.need


def over(plan: PlanConfig, supplies: Supplies) -> bool:
    """Whether power has been back so long that the next outage is another one."""
    return not any(supplies[key].outage.going_on for key in plan.ups)


def seconds_on_battery(plan: PlanConfig, supplies: Supplies, now: float) -> float:
    """Return how long so many UPSes have been on battery as the plan needs."""
    times = sorted((supplies[key].outage.seconds(now) for key in plan.ups), reverse=True)
    return times[max(0, min(plan.need - unknown(plan, supplies), len(times)) - 1)] if times else 0.0


def runtime(plan: PlanConfig, supplies: Supplies, now: float) -> float | None:
    """Return the seconds after which so many UPSes are empty that nothing is fed any more; None: not known."""
    known = sorted(value for key in plan.ups if (value := supplies[key].runtime_at(now)) is not None)
    return known[plan.need - 1] if len(known) >= plan.need else None


def reached(plan: PlanConfig, trigger: Trigger, supplies: Supplies, now: float) -> str:
    """Say which part of a trigger is reached, in words; empty while none is.

    As many UPSes as the plan needs must have reached it; silent ones count, beside one that has.
    """
    if not out(plan, supplies):
        return ""
    batteries = on_battery(plan, supplies)

    def most(values: list[bool]) -> bool:
        count = sum(values)
        return count > 0 and count + unknown(plan, supplies) >= plan.need

    limit = trigger.on_battery
    if limit is not None and most([one.outage.seconds(now) >= limit for one in batteries]):
        return f"{limit:g} s on battery"
    if (limit := trigger.runtime) is not None and most([_at_most(one.runtime_at(now), limit) for one in batteries]):
        return f"{limit:g} s of runtime left"
    if (limit := trigger.charge) is not None and most([_at_most(one.charge_at(now), limit) for one in batteries]):
        return f"{limit:g} % of charge left"
    for condition in trigger.conditions:
        if most([condition in one.active for one in batteries]):
            return condition
    return ""


def _at_most(value: float | None, limit: float) -> bool:
    return value is not None and value <= limit


def until(plan: PlanConfig, trigger: Trigger, supplies: Supplies, now: float) -> float | None:
    """Return the seconds until a trigger will be reached by time or runtime; None where nobody can tell."""
    waits: list[float] = []
    if trigger.on_battery is not None:
        waits.append(trigger.on_battery - seconds_on_battery(plan, supplies, now))
    left = runtime(plan, supplies, now)
    if trigger.runtime is not None and left is not None:
        waits.append(left - trigger.runtime)
    return max(0.0, min(waits)) if waits else None


def suffices(plan: PlanConfig, supplies: Supplies, now: float, needed: float) -> bool:
    """Whether enough UPSes have been charged so far that everything may be started (manual M:2775).

    What a UPS never tells is not demanded of it; what it has told and does not tell now is.
    """
    wanted = needed if plan.restart.runtime is None else plan.restart.runtime

    def ready(one: Supply) -> bool:
        charge, left = one.charge_at(now), one.runtime_at(now)
        charged = not one.tells_charge if charge is None else charge >= plan.restart.charge
        lasts = not one.tells_runtime if left is None else left >= wanted
        return charged and lasts

    return enough(plan, sum(ready(one) for one in sound(plan, supplies)))


def durable(supplies: Supplies) -> Supplies:
    """Return what must outlive the bridge: not the values, which move all the time."""
    return {
        key: replace(one, silent=True, runtime=None, charge=None, active=frozenset()) for key, one in supplies.items()
    }
