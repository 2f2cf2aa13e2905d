"""The plan's machine: from what is remembered, the time and what is seen, to steps and what is remembered then.

Pure: time is engine time, which never jumps and goes on over restarts. A run goes

    (waiting) → SHUTDOWN ⇄ RECALL → RESTART → over

- SHUTDOWN begins with the first trigger that is reached, and goes on while power is out. Before the point of no return
  power that comes back turns it into RECALL at once; afterwards everything is shut down first.
- RECALL waits for power that has been back for `stable` seconds, and for charge and runtime. Power that fails
  meanwhile leads back to SHUTDOWN, with everything that is known of members: nobody is told twice within 30 s.
- A run that a person has begun is not turned by power that is there; it ends by `restart`, or after an outage.
"""

from collections.abc import Callable

from ridethrough.catalogue import Severity
from ridethrough.config.plans import PlanConfig

from . import supply
from .restart import await_power, must_cycle, recall, start_again
from .shutdown import commit, shut_down
from .state import MemberRun, MemberState, Note, Phase, PlanState, Run, StageRun, StageState
from .supply import Supplies
from .turn import Turn
from .view import Power, View

LOOK = 5.0
"""Seconds between two looks while power is out: values of a UPS that is lost are counted down."""

QUIET = 120.0
"""Seconds after a start in which a UPS that was on battery may say nothing before the plan goes on without it.

Where the bridge was off with everything else, computers are up again before the UPS's network card is; they must not be
shut down because of what was so hours ago.
"""

POWER_BACK = "power is back"


class Refused(Exception):
    """What a person wants of a plan is not possible now; the message says why."""


class Machine:
    """One plan. It has no state of its own: every call takes one and returns another with what is to be done."""

    def __init__(self, plan: PlanConfig, window: float) -> None:
        """`window`: seconds for which power must be back before an outage is over."""
        self.plan = plan
        self.window = window

    def advance(self, state: PlanState, now: float, view: View) -> Turn:
        """Decide what is to be done now."""
        turn = self._turn(state, now, view)
        self._advance(turn)
        return turn

    def resumed(self, state: PlanState, now: float) -> PlanState:
        """Take into account that the bridge has been off: nobody knows whether power was there all the time."""
        state = state.copy()
        state.quiet = now + QUIET
        if state.run is not None:
            state.run.back = None
            for stage in state.run.plan.stages:
                for member in stage.members:
                    one = state.run.stages[stage.key].members[member.id]
                    if member.kind == "ups" and one.state in (MemberState.ORDERED, MemberState.LATE):
                        one.going = True
        return state

    def ended(self, state: PlanState, step: str, problem: str) -> PlanState:
        """Take into account how a step has ended; `problem` is empty when it was carried out."""
        if state.run is None:
            return state
        state = state.copy()
        assert state.run is not None
        for stage in state.run.stages.values():
            if step in stage.before:
                stage.before.remove(step)
            for one in stage.members.values():
                if one.step == step:
                    one.answer = problem or "ok"
        return state

    def answered(self, state: PlanState, script: str, problem: str) -> PlanState:
        """Take a script's answer; raises Refused when nothing has been asked of it."""
        state = state.copy()
        found = False
        for stage in () if state.run is None else state.run.stages.values():
            one = stage.members.get(f"script:{script}")
            if one is not None and one.state in (MemberState.ORDERED, MemberState.LATE, MemberState.STARTING):
                one.answer, found = problem or "ok", True
        if not found:
            raise Refused(f"Nothing has been asked of the script {script}.")
        return state

    # What people want

    def arm(self, state: PlanState, actor: str) -> PlanState:
        """Let the plan act from now on."""
        return state if state.armed else _noted(state, "plan_armed", actor, armed=True)

    def disarm(self, state: PlanState, now: float, view: View, actor: str) -> Turn:
        """Let the plan do nothing from now on; a run that is going on is aborted. Raises Refused."""
        turn = self._turn(state, now, view)
        if state.run is not None and state.run.phase is Phase.SHUTDOWN:
            self._abort(turn, actor)
        elif turn.state.run is not None:
            # What is down is started again; a failure of power meanwhile shuts nothing down any more.
            turn.run.aborted = turn.run.aborted or actor
        if turn.state.armed:
            turn.state = _noted(turn.state, "plan_disarmed", actor, armed=False)
        return turn

    def abort(self, state: PlanState, now: float, view: View, actor: str) -> Turn:
        """Call everything back, and do nothing more in this outage. Raises Refused."""
        turn = self._turn(state, now, view)
        self._abort(turn, actor)
        return turn

    def start(self, state: PlanState, now: float, view: View, actor: str) -> Turn:
        """Carry the plan out now, as a person wants. Raises Refused."""
        if not state.armed:
            raise Refused(f"{self.plan.name} is not armed; arm it first.")
        run = state.run
        if run is not None and run.phase is Phase.RESTART:
            raise Refused(f"{self.plan.name} is starting everything again; run it when that is over.")
        if run is not None and run.phase is Phase.RECALL and not run.aborted:
            raise Refused(f"{self.plan.name} has been called back and waits for power that can be trusted.")
        if run is not None and run.phase is Phase.SHUTDOWN and (run.by or run.committed):
            raise Refused(f"{self.plan.name} is running already.")
        turn = self._turn(state, now, view)
        if run is None or run.phase is not Phase.SHUTDOWN:
            self._begin(turn, actor)
        turn.run.by = actor
        self._advance(turn)
        return turn

    def restart(self, state: PlanState, now: float, view: View, actor: str) -> Turn:
        """Start again what the plan has shut down, whatever charge there is. Raises Refused."""
        run = state.run
        if run is None:
            raise Refused(f"{self.plan.name} has nothing to start again.")
        if run.phase is Phase.RESTART:
            raise Refused(f"{self.plan.name} is starting everything again already.")
        if run.phase is Phase.SHUTDOWN and not run.down:
            raise Refused(f"{self.plan.name} is shutting down; abort it, or wait until it is down.")
        turn = self._turn(state, now, view)
        if supply.out(turn.config, turn.state.supplies):
            raise Refused(f"{self.plan.name} cannot start anything again while power is out.")
        turn.run.phase, turn.run.forced, turn.run.by = Phase.RECALL, True, ""
        turn.note("plan_restart_wanted", actor=actor)
        self._advance(turn)
        return turn

    # How it goes on

    def _turn(self, state: PlanState, now: float, view: View) -> Turn:
        state = state.copy()
        plan = self._plan(state)
        state.supplies = dict(supply.observe(plan, state.supplies, view.ups, now, self.window))
        return Turn(self.plan.key, state, now, view)

    def _advance(self, turn: Turn) -> None:
        state = turn.state
        if supply.over(self._plan(state), state.supplies):
            state.would = False
            for stage in () if state.run is None else state.run.stages.values():
                stage.noticed = 0.0
        if supply.out(self._plan(state), state.supplies):
            turn.wake(turn.now + LOOK)
        if self._quiet(turn):
            return
        if state.run is None or state.run.phase is Phase.LEFT:
            self._look(turn)
        # One phase may lead to the next at once, each at most once in a turn.
        done: set[Phase] = set()
        while state.run is not None and state.run.phase not in done and state.run.phase is not Phase.LEFT:
            done.add(state.run.phase)
            _PHASES[state.run.phase](turn)

    def _quiet(self, turn: Turn) -> bool:
        """Whether it waits after a start for a UPS to say how it is now."""
        state = turn.state
        if state.quiet is None or turn.now >= state.quiet:
            state.quiet = None
            return False
        known = (one for key, one in state.supplies.items() if key in self._plan(state).ups)
        if any(one.silent and one.last is Power.BATTERY for one in known):
            turn.wake(state.quiet)
            return True
        return False

    def _plan(self, state: PlanState) -> PlanConfig:
        """Return the plan that holds: a run ends as it has begun, whatever is configured meanwhile."""
        return self.plan if state.run is None or state.run.phase is Phase.LEFT else state.run.plan

    def _look(self, turn: Turn) -> None:
        """Begin a run when a trigger is reached; an unarmed plan only tells that it would."""
        plan, supplies = self.plan, _all_of(self.plan, turn)
        if not supply.out(plan, supplies):
            return
        begins = {stage.name: supply.reached(plan, stage.trigger, supplies, turn.now) for stage in plan.stages}
        wanted = {name: why for name, why in begins.items() if why}
        if not wanted:
            for stage in plan.stages:
                left = supply.until(plan, stage.trigger, supplies, turn.now)
                if left is not None:
                    turn.wake(turn.now + max(1.0, left))
        elif turn.state.armed:
            self._begin(turn, "")
        elif not turn.state.would:
            turn.state.would = True
            turn.note("plan_would_have", Severity.WARNING, stages=", ".join(wanted), reason="; ".join(wanted.values()))

    def _begin(self, turn: Turn, by: str) -> None:
        state = turn.state
        state.supplies = dict(_all_of(self.plan, turn))
        before = state.run
        state.number += 1
        run = Run(state.number, self.plan, turn.now, by)
        for stage in self.plan.stages:
            members = {member.id: MemberRun() for member in stage.members}
            run.stages[stage.key] = StageRun(since=turn.now, members=members)
        for one in () if before is None else before.stages.values():
            for stage_run in run.stages.values():
                for name in one.members.keys() & stage_run.members.keys():
                    # What was left down by an earlier run is ours still, and not told more often than it may be.
                    old, new = one.members[name], stage_run.members[name]
                    new.ours, new.ordered, new.orders = old.ours, old.ordered, old.orders
        state.run = run
        turn.note("plan_started", Severity.ALARM, number=run.number, **({"actor": by} if by else {}))

    def _abort(self, turn: Turn, actor: str) -> None:
        run = turn.state.run
        if run is None or run.phase is Phase.LEFT:
            raise Refused(f"{self.plan.name} is not running.")
        if run.committed:
            raise Refused(
                f"{self.plan.name} is past its point of no return: everything is shut down, and started again when "
                "power is back."
            )
        if run.phase is Phase.RESTART:
            raise Refused(f"{self.plan.name} is starting everything again; there is nothing to abort.")
        run.aborted = actor
        if run.phase is Phase.SHUTDOWN:
            recall(turn, f"aborted by {actor}")
        self._advance(turn)


def _all_of(plan: PlanConfig, turn: Turn) -> Supplies:
    """Return what is known of the UPSes of the plan as it is configured now."""
    return {key: turn.state.supplies.get(key, supply.Supply()) for key in plan.ups}


def _shutdown(turn: Turn) -> None:
    run = turn.run
    is_out = supply.out(turn.config, turn.state.supplies)
    run.outage = run.outage or is_out
    if not is_out and not run.committed and not run.by:
        if not must_cycle(turn):
            recall(turn, POWER_BACK)
            return
        commit(turn, f"{POWER_BACK}, but what is down starts only when the UPS has been off")
    shut_down(turn)
    cycled = any(
        member.kind == "ups" and run.stages[stage.key].members[member.id].ours
        for stage in run.plan.stages
        for member in stage.members
    )
    if run.down and not is_out and (run.outage or cycled):
        run.phase, run.back, run.by = Phase.RECALL, None, ""


_PHASES: dict[Phase, Callable[[Turn], None]] = {
    Phase.SHUTDOWN: _shutdown,
    Phase.RECALL: await_power,
    Phase.RESTART: start_again,
}


def _noted(state: PlanState, key: str, actor: str, *, armed: bool) -> PlanState:
    state = state.copy()
    state.armed = armed
    state.noted += 1
    state.notes.append(Note(state.noted, key, Severity.INFO, {"actor": actor}))
    return state


def running(state: PlanState) -> bool:
    """Whether a plan is being carried out, from its first stage to the end of starting again."""
    return state.run is not None and state.run.phase is not Phase.LEFT


def holds(state: PlanState) -> frozenset[str]:
    """Return the members that a plan is shutting down, or keeps down."""
    run = state.run
    if run is None or run.phase is not Phase.SHUTDOWN:
        return frozenset()
    return frozenset(
        name
        for stage in run.stages.values()
        if stage.begun is not None and stage.state is not StageState.ANNOUNCED
        for name, one in stage.members.items()
        if one.state in (MemberState.ORDERED, MemberState.LATE, MemberState.DOWN)
    )


__all__ = ["LOOK", "POWER_BACK", "Machine", "Refused", "holds", "running"]
