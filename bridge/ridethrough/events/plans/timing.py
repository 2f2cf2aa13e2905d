"""How long a plan takes, and whether that fits into what the batteries give at the present load."""

from collections.abc import Mapping
from dataclasses import dataclass

from ridethrough.config.plan_graph import before, behind, graph, in_order
from ridethrough.config.plans import PlanConfig, StageConfig

from .supply import Supplies, runtime

START_TIME = 600.0
"""Seconds that a member may take to start where nothing says otherwise."""


def limit(stage: StageConfig, timeout: float | None) -> float:
    """Return the seconds that a member may take: its own, never more than its stage may."""
    return stage.timeout if timeout is None else min(stage.timeout, timeout)


def planned(stage: StageConfig) -> float:
    """Return the seconds that a stage may take from its beginning until all of its members are down."""
    return stage.announce + max((limit(stage, member.timeout) for member in stage.members), default=0.0)


def needed(plan: PlanConfig, only: frozenset[str] | None = None) -> float:
    """Return the seconds that a plan, or those of its stages, may take: the longest way through it."""
    after = graph(plan.stages)
    ends: dict[str, float] = {}
    for stage in in_order(plan.stages):
        begins = max((ends[key] for key in after[stage.key]), default=0.0)
        ends[stage.key] = begins + (planned(stage) if only is None or stage.key in only else 0.0)
    return max(ends.values(), default=0.0)


def from_stage(plan: PlanConfig, key: str) -> float:
    """Return the seconds from the trigger of a stage to the end of the plan, if nothing before it has begun."""
    return needed(plan, frozenset({key}) | before(plan.stages, key) | behind(plan.stages, key))


@dataclass(frozen=True, slots=True)
class Fit:
    """Whether a plan fits into the batteries' time."""

    needed: float
    margin: float | None
    """Seconds that are left when everything is down, at the present load; negative: too late. None: not known."""
    problems: tuple[str, ...]
    too_long: bool = False
    """Whether something would not be over in time."""


def fit(plan: PlanConfig, supplies: Supplies, now: float, names: Mapping[str, str] | None = None) -> Fit:
    """Work out for each stage that begins by a value whether it, what it waits for and what follows ends in time.

    `names` are what people call the UPSes.
    """
    names = names or {}
    left = runtime(plan, supplies, now)
    charges = [value for key in plan.ups if (value := supplies[key].charge_at(now)) is not None]
    charge = min(charges, default=None)
    total = needed(plan)
    too_long = False
    margins: list[float] = [] if left is None else [left - total]
    problems: list[str] = []
    if left is not None and left < total:
        too_long = True
        problems.append(
            f"The whole plan may take {total:g} s, but the runtime at the present load is {left:.0f} s: "
            f"{total - left:.0f} s too little."
        )
    for stage in plan.stages:
        takes = from_stage(plan, stage.key)
        for available, when in _available(stage, left, charge):
            margins.append(available - takes)
            if available < takes:
                too_long = True
                problems.append(
                    f"{stage.name} begins at {when}, when {available:.0f} s remain; it may take {takes:g} s together "
                    f"with the stages before and after it: {takes - available:.0f} s too long."
                )
    for key in plan.ups:
        problems += [
            f"{names.get(key, key)} does not tell its {missing}, which a stage is to begin by."
            for missing in _never_told(plan, supplies, key)
        ]
    return Fit(total, min(margins, default=None) if left is not None else None, tuple(problems), too_long)


def _available(stage: StageConfig, left: float | None, charge: float | None) -> list[tuple[float, str]]:
    """Return the seconds that remain at a stage's triggers. With two of them the earlier one counts."""
    found: list[tuple[float, str]] = []
    if stage.trigger.on_battery is not None and left is not None:
        found.append((left - stage.trigger.on_battery, f"{stage.trigger.on_battery:g} s on battery"))
    if stage.trigger.runtime is not None:
        found.append((stage.trigger.runtime, f"{stage.trigger.runtime:g} s of runtime"))
    if stage.trigger.charge is not None and left is not None and charge:
        found.append((min(1.0, stage.trigger.charge / charge) * left, f"{stage.trigger.charge:g} % of charge"))
    return [max(found)] if found else []


def _never_told(plan: PlanConfig, supplies: Supplies, key: str) -> list[str]:
    supply = supplies[key]
    missing: list[str] = []
    if not supply.tells_runtime and any(stage.trigger.runtime is not None for stage in plan.stages):
        missing.append("runtime")
    if not supply.tells_charge and any(stage.trigger.charge is not None for stage in plan.stages):
        missing.append("charge")
    return missing


__all__ = ["START_TIME", "Fit", "fit", "from_stage", "limit", "needed", "planned"]
