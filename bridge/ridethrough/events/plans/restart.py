"""Calling back, waiting for power that can be trusted, and starting again in the reverse order (manual M:2760–2786)."""

from ridethrough.catalogue import Severity
from ridethrough.config.actions import AgentAction, CommandAction
from ridethrough.config.plan_graph import graph, in_order
from ridethrough.config.plans import MemberConfig, StageConfig

from . import supply
from .shutdown import follow, members
from .state import MemberRun, MemberState, Phase, StageRun, StageState
from .timing import START_TIME, needed
from .turn import REPEAT, Turn, told
from .view import Seen

OFF_TIME = 10.0
"""Seconds that an outlet stays off to let a computer notice that power returns: capacitors hold for a few."""
HELD = 10.0
"""Seconds after which it is looked again whether another plan still keeps a member down."""


def must_cycle(turn: Turn) -> bool:
    """Whether something is down that starts only when the UPS has been off and on.

    Such a computer waits for its power to return, which never went: the whole plan is completed instead.
    """
    plan = turn.config
    if not any(member.kind == "ups" for stage in plan.stages for member in stage.members):
        return False
    return any(
        member.kind == "agent"
        and member.start == "power_cycle"
        and member.outlet is None
        and one.ours
        and (one.state is MemberState.DOWN or turn.seen(member) in (Seen.GOING, Seen.DOWN))
        for stage in plan.stages
        for member, one in members(stage, turn.run.stages[stage.key])
    )


def recall(turn: Turn, why: str) -> None:
    """Withdraw what has not been carried out, and tell users so who have been told to expect it."""
    turn.run.phase, turn.run.back, turn.run.down = Phase.RECALL, None, False
    turn.called_back = True
    turn.note("plan_aborted", reason=why)
    for stage in turn.config.stages:
        run = turn.run.stages[stage.key]
        for member, one in members(stage, run):
            follow(turn, member, one)
            if one.state not in (MemberState.ORDERED, MemberState.LATE):
                continue
            if member.kind == "agent":
                one.withdraw = True
            elif member.kind == "script":
                turn.note("plan_script", stage=stage.key, script=member.key, order="withdraw")
        if run.state is StageState.ANNOUNCED:
            run.noticed += turn.now - (turn.now if run.begun is None else run.begun)
            agents = tuple(member.key for member in stage.members if member.kind == "agent")
            if agents:
                action = AgentAction(verb="message", agents=agents, text=f"{stage.name}: no shutdown, {why}.")
                turn.step(stage.key, "no-shutdown", run.times, action)
        if run.ordered is not None:
            # They have had all of it; who could not be reached then is told at once if power fails again.
            run.noticed = stage.announce
        if run.state is not StageState.DONE:
            run.wanted, run.begun, run.ordered, run.before, run.problem = "", None, None, [], ""
            turn.enter(stage, StageState.WAITING)


def await_power(turn: Turn) -> None:
    """Withdraw from those who can be reached, and start again when power can be trusted; else go on shutting down."""
    run, plan, supplies, now = turn.run, turn.config, turn.state.supplies, turn.now
    _withdraw(turn)
    _let_go(turn)
    if supply.out(plan, supplies):
        run.outage, run.back = True, None
        if not run.aborted:
            run.phase, run.forced = Phase.SHUTDOWN, False
            turn.note("plan_resumed", Severity.ALARM, reason="power is out again")
        return
    if not supply.enough(plan, len(supply.sound(plan, supplies))):
        run.back = None
    elif run.back is None:
        run.back = now
    ready = run.back is not None and now - run.back >= plan.restart.stable
    if run.back is not None:
        turn.wake(run.back + plan.restart.stable)
    ours = any(one.ours or one.withdraw for stage in run.stages.values() for one in stage.members.values())
    if run.forced or (ready and ours and plan.restart.enabled and supply.suffices(plan, supplies, now, needed(plan))):
        _begin(turn)
    elif ready and not ours and any(one.noticed for one in run.stages.values()):
        # The outage is not over yet: the notice that users have had still counts.
        turn.wake(now + HELD)
    elif ready and not ours:
        turn.state.run = None
    elif ready and not plan.restart.enabled:
        run.phase = Phase.LEFT


def _withdraw(turn: Turn) -> None:
    """Withdraw orders from the agents that can be reached; not where another plan wants the same."""
    for stage in turn.config.stages:
        run = turn.run.stages[stage.key]
        agents: list[str] = []
        for member, one in members(stage, run):
            seen = turn.seen(member)
            if not one.withdraw:
                continue
            asked = one.state in (MemberState.ORDERED, MemberState.LATE)
            if _gone(one, seen):
                one.withdraw = False
                if asked:
                    one.state, one.down = MemberState.DOWN, turn.now
            elif seen in (Seen.UP, Seen.WAITING, Seen.GOING):
                one.withdraw, one.going = False, one.going or seen is Seen.GOING
                one.state = MemberState.IDLE if asked else one.state
                if member.id not in turn.view.held:
                    agents.append(member.key)
        if agents:
            turn.tell_agents(stage, run, "wakeup", AgentAction(verb="wakeup", agents=tuple(agents)))


def _let_go(turn: Turn) -> None:
    """See what became of those who were told: who has stayed up, or was started by somebody, is no longer ours."""
    for stage in turn.config.stages:
        for member, one in members(stage, turn.run.stages[stage.key]):
            seen = turn.seen(member)
            if not one.ours or one.withdraw or one.ordered is None:
                continue
            if seen is Seen.UP and turn.now >= one.ordered + REPEAT:
                one.ours, one.state, one.going = False, MemberState.IDLE, False
            elif seen is Seen.UP:
                turn.wake(one.ordered + REPEAT)
            elif one.state is MemberState.IDLE and _gone(one, seen):
                one.state, one.down = MemberState.DOWN, turn.now


def _gone(one: MemberRun, seen: Seen) -> bool:
    return seen is Seen.DOWN or (one.going and seen is Seen.LOST)


def _begin(turn: Turn) -> None:
    run = turn.run
    run.phase, run.committed, run.forced = Phase.RESTART, False, False
    for stage in turn.config.stages:
        one = run.stages[stage.key]
        one.up = not any(member.ours for member in one.members.values())
        one.problem = ""
        if one.up:
            turn.enter(stage, StageState.WAITING)
    turn.note("plan_restarting")
    start_again(turn)


def start_again(turn: Turn) -> None:
    """Start stage by stage: what others come after in shutting down comes after them in starting."""
    run, plan = turn.run, turn.config
    if supply.out(plan, turn.state.supplies):
        _fall_back(turn)
        return
    _withdraw(turn)
    after = graph(plan.stages)
    for stage in reversed(in_order(plan.stages)):
        one = run.stages[stage.key]
        if not one.up and all(run.stages[key].up for key in after if stage.key in after[key]):
            _start(turn, stage, one)
    if all(one.up for one in run.stages.values()):
        absent = sum(
            member.state is MemberState.ABSENT for one in run.stages.values() for member in one.members.values()
        )
        severity = Severity.WARNING if absent else Severity.INFO
        turn.note("plan_restarted", severity, seconds=round(turn.now - run.began, 1), absent=absent)
        turn.state.run = None


def _fall_back(turn: Turn) -> None:
    """Power is out again before everything runs: what has been started is shut down by its triggers again."""
    run = turn.run
    run.phase, run.back, run.down, run.outage = Phase.SHUTDOWN, None, False, True
    run.aborted = ""
    if not turn.state.armed:
        run.phase, run.aborted = Phase.RECALL, "disarming"
    for stage in turn.config.stages:
        one = run.stages[stage.key]
        for member in one.members.values():
            if member.state in (MemberState.STARTED, MemberState.ABSENT):
                member.ours = member.ours and member.state is MemberState.ABSENT
                member.state = MemberState.IDLE
            elif member.state in (MemberState.STARTING, MemberState.CYCLING):
                member.state = MemberState.IDLE
            member.started, member.withdraw = None, False
        if one.up or one.state is not StageState.DONE:
            one.wanted, one.begun, one.ordered, one.before, one.problem = "", None, None, [], ""
            turn.enter(stage, StageState.WAITING)
        one.up = False
    if turn.state.armed:
        turn.note("plan_resumed", Severity.ALARM, reason="power is out again")


def _start(turn: Turn, stage: StageConfig, run: StageRun) -> None:
    turn.enter(stage, StageState.STARTING)
    woken: list[str] = []
    for member, one in members(stage, run):
        if one.ours:
            _member(turn, stage, member, one, run.since, woken)
    if woken:
        turn.tell_agents(stage, run, "start", AgentAction(verb="start", agents=tuple(woken)))
    if any(one.ours and one.state not in (MemberState.STARTED, MemberState.ABSENT) for _, one in members(stage, run)):
        return
    run.up = True
    absent = [f"{member.key} {one.problem}" for member, one in members(stage, run) if one.state is MemberState.ABSENT]
    run.problem = f"{'; '.join(absent)}."[:500] if absent else ""
    if absent:
        turn.enter(stage, StageState.FAILED, Severity.WARNING)
    else:
        turn.enter(stage, StageState.STARTED)


def _member(
    turn: Turn, stage: StageConfig, member: MemberConfig, one: MemberRun, since: float, woken: list[str]
) -> None:
    """Start one member, once, and see whether it has come; `woken` takes the agents that are to be woken."""
    seen = turn.seen(member)
    if one.state in (MemberState.STARTED, MemberState.ABSENT):
        return
    if one.state is MemberState.CYCLING:
        assert one.started is not None
        turn.wake(one.started + OFF_TIME)
        if turn.now >= one.started + OFF_TIME:
            _outlet(turn, stage, member, one, on=True)
            one.state, one.started = MemberState.STARTING, turn.now
        return
    if seen is Seen.UP or (one.state is MemberState.STARTING and _believed(member, one, seen)):
        one.state, one.problem = MemberState.STARTED, ""
        return
    if one.started is None:
        if member.id in turn.view.held:
            turn.wake(turn.now + HELD)
            return
        if seen in (Seen.GOING, Seen.WAITING) and turn.now < since + START_TIME:
            # What is still shutting down cannot be woken.
            turn.wake(since + START_TIME)
            return
        one.started, one.state = turn.now, MemberState.STARTING
        if member.start == "none":
            one.state, one.problem = MemberState.STARTED, "is not started again"
        elif member.kind == "agent" and member.start == "power_cycle" and member.outlet is not None:
            one.state = MemberState.CYCLING
            _outlet(turn, stage, member, one, on=False)
        elif member.kind == "agent":
            woken.append(member.key)
        elif member.kind != "ups":
            turn.tell_device(stage, member, one, on=True)
    deadline = one.started + (START_TIME if member.start_time is None else member.start_time)
    if one.state is MemberState.STARTING and turn.now >= deadline:
        one.state, one.problem = MemberState.ABSENT, "has not come back"
    turn.wake(deadline if one.state is MemberState.STARTING else turn.now + OFF_TIME)


def _believed(member: MemberConfig, one: MemberRun, seen: Seen) -> bool:
    """Whether a member that does not tell how it is counts as started."""
    if member.kind == "script":
        return one.answer == "ok"
    return member.kind in ("outlet", "relay") and one.answer == "ok" and seen in (Seen.UNKNOWN, Seen.LOST)


def _outlet(turn: Turn, stage: StageConfig, member: MemberConfig, one: MemberRun, *, on: bool) -> None:
    assert member.outlet is not None
    told(one, "")
    action = CommandAction(device=member.outlet, command="outlet.on" if on else "outlet.off")
    one.step = turn.step(stage.key, f"{member.id}-feed-{'on' if on else 'off'}", one.orders, action)


__all__ = ["HELD", "OFF_TIME", "await_power", "must_cycle", "recall", "start_again"]
