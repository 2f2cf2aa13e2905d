"""What a plan shows of itself: the points and conditions of its device and of its stages."""

from collections.abc import Mapping
from datetime import datetime

from ridethrough.config.plans import PlanConfig, StageConfig
from ridethrough.site import Value

from . import supply
from .state import MemberState, Phase, PlanState, StageState
from .timing import Fit, planned

type Points = Mapping[str, Value | None]
type Conditions = Mapping[str, bool]

LONGEST = 1000
"""Characters of a text."""

_ENDED = (StageState.FAILED, StageState.SKIPPED)


def plan_state(plan: PlanConfig, state: PlanState) -> str:
    """Return the value of `plan.state`."""
    run = state.run
    if run is None:
        return "waiting" if supply.out(plan, state.supplies) else "idle"
    match run.phase:
        case Phase.SHUTDOWN if run.down:
            skipped = any(stage.state is StageState.SKIPPED for stage in run.stages.values())
            return "failed" if skipped else "down"
        case Phase.SHUTDOWN:
            return "shutting_down"
        case Phase.RESTART:
            return "restarting"
        case Phase.RECALL if run.aborted:
            return "aborted"
        case _:
            ours = any(one.ours for stage in run.stages.values() for one in stage.members.values())
            return "down" if ours else "waiting"


def plan_points(plan: PlanConfig, state: PlanState, now: float, fit: Fit, tested: str) -> Points:
    """Return the points of a plan, those of drills excepted; `tested` tells of UPSes that never were."""
    run = state.run
    busy = (
        ()
        if run is None
        else [
            stage.name
            for stage in run.plan.stages
            if run.stages[stage.key].state in (StageState.ANNOUNCED, StageState.RUNNING, StageState.STARTING)
        ]
    )
    left = None
    if supply.out(plan, state.supplies) and (run is None or run.phase is Phase.SHUTDOWN):
        waiting = [
            stage
            for stage in plan.stages
            if run is None or stage.key not in run.stages or run.stages[stage.key].begun is None
        ]
        times = [supply.until(plan, stage.trigger, state.supplies, now) for stage in waiting]
        left = min((time for time in times if time is not None), default=None)
    failed = (
        ()
        if run is None
        else [
            f"{stage.name}: {run.stages[stage.key].problem}"
            for stage in run.plan.stages
            if run.stages[stage.key].problem
        ]
    )
    problems = " ".join((*failed, *fit.problems, *((tested,) if tested else ())))
    return {
        "plan.state": plan_state(plan, state),
        "plan.stage": ", ".join(busy)[:LONGEST],
        "plan.on_battery": supply.seconds_on_battery(plan, state.supplies, now),
        "plan.next": left,
        "plan.needed": fit.needed,
        "plan.margin": fit.margin,
        "plan.problem": problems[:LONGEST],
    }


def plan_conditions(plan: PlanConfig, state: PlanState, fit: Fit, *, drilling: bool) -> Conditions:
    """Return the conditions of a plan."""
    run = state.run
    failing = len(plan.ups) - len(supply.sound(plan, state.supplies))
    return {
        "plan_armed": state.armed,
        "plan_redundant": failing + 1 < plan.need,
        "plan_running": run is not None and run.phase is Phase.SHUTDOWN,
        "plan_drilling": drilling,
        "plan_committed": run is not None and run.committed,
        "plan_restarting": run is not None and run.phase is Phase.RESTART,
        "plan_failed": run is not None and any(stage.state in _ENDED for stage in run.stages.values()),
        "plan_too_long": fit.too_long,
    }


def stage_points(stage: StageConfig, state: PlanState, stamp: datetime | None) -> Points:
    """Return the points of a stage; `stamp`: since when it is as it is, None where it has never been begun."""
    run = None if state.run is None else state.run.stages.get(stage.key)
    return {
        "stage.state": "waiting" if run is None else str(run.state),
        "stage.since": None if stamp is None else stamp.isoformat(),
        "stage.duration": None if run is None else run.duration,
        "stage.planned": planned(stage),
        "stage.members": ", ".join(member.key for member in stage.members)[:LONGEST],
        "stage.problem": ("" if run is None else run.problem)[:LONGEST],
    }


def stage_conditions(stage: StageConfig, state: PlanState) -> Conditions:
    """Return the conditions of a stage."""
    run = None if state.run is None else state.run.stages.get(stage.key)
    late = run is not None and any(one.state in (MemberState.LATE, MemberState.ABSENT) for one in run.members.values())
    return {"stage_failed": late or (run is not None and run.state in _ENDED)}


__all__ = ["plan_conditions", "plan_points", "plan_state", "stage_conditions", "stage_points"]
