"""Shutting down: which stages begin, what their members are told, and when each stage is over."""

from collections.abc import Iterator

from ridethrough.catalogue import Severity
from ridethrough.config.actions import AgentAction
from ridethrough.config.plan_graph import before, behind, graph, in_order
from ridethrough.config.plans import MemberConfig, StageConfig

from . import supply
from .state import MemberRun, MemberState, StageRun, StageState
from .timing import limit, needed
from .turn import REPEAT, Turn
from .view import Seen

PATIENCE = 30.0
"""Seconds that members wait for what a stage does before: a mail server that does not answer must not cost the battery."""

_OVER = frozenset({StageState.DONE, StageState.FAILED, StageState.SKIPPED})
_SWITCHED = ("outlet", "relay", "ups")


def shut_down(turn: Turn) -> None:
    """Begin what is to begin, and see how far the rest has come."""
    _want(turn)
    for stage in in_order(turn.config.stages):
        run = turn.run.stages[stage.key]
        if run.state is StageState.WAITING and run.wanted:
            _begin(turn, stage, run)
        if run.begun is not None:
            _go_on(turn, stage, run)
    states = [run.state for run in turn.run.stages.values()]
    if not turn.run.down and all(state in _OVER for state in states):
        turn.run.down = True
        took = turn.now - turn.run.began
        turn.note("plan_down", seconds=round(took, 1), failed=sum(state is not StageState.DONE for state in states))


def commit(turn: Turn, why: str) -> None:
    """Pass the point of no return: from here on everything is shut down."""
    if not turn.run.committed:
        turn.run.committed = True
        turn.note("plan_committed", Severity.ALARM, reason=why)
        _want(turn)


# Which stages begin


def _want(turn: Turn) -> None:
    for stage in turn.config.stages:
        run = turn.run.stages[stage.key]
        if run.wanted or run.state is not StageState.WAITING:
            continue
        why = supply.reached(turn.config, stage.trigger, turn.state.supplies, turn.now)
        if turn.run.committed:
            why = "past the point of no return"
        elif turn.run.by:
            why = f"run by {turn.run.by}"
        if not why:
            left = supply.until(turn.config, stage.trigger, turn.state.supplies, turn.now)
            if left is not None:
                turn.wake(turn.now + max(left, 1.0))
            continue
        run.wanted = why
        for key in before(turn.config.stages, stage.key):
            other = turn.run.stages[key]
            if other.state is StageState.WAITING and not other.wanted:
                other.wanted = f"before {stage.name}: {why}"


def _begin(turn: Turn, stage: StageConfig, run: StageRun) -> None:
    """Begin a stage if those before it permit."""
    stages = {one.key: one for one in turn.config.stages}
    for key in sorted(graph(turn.config.stages)[stage.key]):
        other = turn.run.stages[key]
        if other.state is StageState.DONE:
            continue
        failed = other.state is StageState.FAILED
        if other.state is StageState.SKIPPED or (failed and stages[key].on_failure == "stop"):
            run.problem = f"{stages[key].name} is not down."
            turn.enter(stage, StageState.SKIPPED, Severity.WARNING)
            turn.note("plan_failed", Severity.ALARM, stage.key, problem=run.problem)
            return
        if not failed or (stages[key].on_failure == "wait" and not _impatient(turn, stage, stages[key], other)):
            return
    run.begun, run.ordered, run.failed, run.problem = turn.now, None, None, ""
    run.times += 1
    agents = tuple(member.key for member in stage.members if member.kind == "agent")
    notice = _notice(stage, run)
    announced = notice > 0.0
    turn.enter(stage, StageState.ANNOUNCED if announced else StageState.RUNNING)
    run.before = [
        turn.step(stage.key, f"before-{index}", run.times, action) for index, action in enumerate(stage.before)
    ]
    if announced and agents:
        text = stage.text or f"{stage.name}: this computer is shut down in {stage.announce:g} s."
        if run.noticed:
            text = f"{stage.name}: power is out again, and this computer is shut down in {notice:.0f} s."
        turn.step(stage.key, "announce", run.times, AgentAction(verb="message", agents=agents, text=text))


def _impatient(turn: Turn, stage: StageConfig, failed: StageConfig, run: StageRun) -> bool:
    """Whether the battery no longer permits a stage to wait for the members of one before it."""
    plan, supplies, now = turn.config, turn.state.supplies, turn.now
    if supply.out(plan, supplies):
        left = supply.runtime(plan, supplies, now)
        charges = [value for key in plan.ups if (value := supplies[key].charge_at(now)) is not None]
        if left is not None:
            rest = needed(plan, frozenset({stage.key}) | behind(plan.stages, stage.key))
            turn.wake(now + max(1.0, left - rest))
            return left <= (rest if stage.trigger.runtime is None else max(stage.trigger.runtime / 2.0, rest))
        if stage.trigger.charge is not None and charges:
            return min(charges) <= stage.trigger.charge / 2.0
    # Nobody knows how long it may wait: once more as long as the other stage may take.
    turn.wake((run.failed or now) + failed.timeout)
    return now >= (run.failed or now) + failed.timeout


# What becomes of their members


def _go_on(turn: Turn, stage: StageConfig, run: StageRun) -> None:
    if run.ordered is None and not _ready(turn, stage, run):
        return
    for member in stage.members:
        follow(turn, member, run.members[member.id])
    if not (turn.run.by and turn.run.down):
        _order(turn, stage, run)
    if run.state is StageState.RUNNING:
        _judge(turn, stage, run)
    elif run.state is StageState.FAILED and _all_down(stage, run):
        run.problem = ""
        turn.enter(stage, StageState.DONE)


def _notice(stage: StageConfig, run: StageRun) -> float:
    """Return the seconds that users must still be given.

    Were the notice to begin anew whenever power comes back for a moment, they would be warned every time, and nothing
    would ever be shut down (manual M:3170).
    """
    return max(0.0, stage.announce - run.noticed)


def _ready(turn: Turn, stage: StageConfig, run: StageRun) -> bool:
    """Whether a stage that has begun now tells its members."""
    assert run.begun is not None
    announced = run.begun + _notice(stage, run)
    ready = announced if not run.before else max(announced, run.begun + PATIENCE)
    if turn.now < ready:
        turn.wake(ready)
        return False
    run.ordered = turn.now
    if stage.final:
        commit(turn, stage.name)
    turn.enter(stage, StageState.RUNNING)
    return True


def follow(turn: Turn, member: MemberConfig, one: MemberRun) -> None:
    """Take into account how a member is that is to shut down."""
    seen = turn.seen(member)
    if seen is Seen.GOING and one.state in (MemberState.ORDERED, MemberState.LATE, MemberState.DOWN):
        one.going = True
        if one.state is MemberState.DOWN:
            one.state = MemberState.ORDERED
    if one.state is not MemberState.DOWN and _is_down(turn, member, one, seen):
        one.state, one.down, one.problem = MemberState.DOWN, turn.now, ""


def _is_down(turn: Turn, member: MemberConfig, one: MemberRun, seen: Seen) -> bool:
    if seen is Seen.DOWN:
        return True
    if one.ordered is None or one.state is MemberState.IDLE:
        return False
    match member.kind:
        case "agent":
            # Its connection is gone after it had begun to shut down.
            return one.going and seen is Seen.LOST
        case "script":
            return one.answer == "ok"
        case "ups":
            # It has been off and is back, too quickly to be seen, or the bridge was off with it.
            back = one.going and seen is Seen.UP and not supply.out(turn.config, turn.state.supplies)
            return back or (one.answer == "ok" and seen in (Seen.UNKNOWN, Seen.LOST))
        case _:
            return one.answer == "ok" and seen in (Seen.UNKNOWN, Seen.LOST)


def _order(turn: Turn, stage: StageConfig, run: StageRun) -> None:
    """Tell members to shut down, and tell those again that have come back up (manual M:3100)."""
    agents: list[str] = []
    for member, one in members(stage, run):
        if not _due(turn, member, one):
            continue
        one.state, one.ordered, one.ours = MemberState.ORDERED, turn.now, True
        one.going = one.withdraw = False
        if member.kind == "agent":
            agents.append(member.key)
        else:
            turn.tell_device(stage, member, one, on=False)
    if agents:
        reason = f"{turn.config.name}, {stage.name}: {run.wanted or 'the shutdown goes on'}"[:200]
        action = AgentAction(verb="shutdown", agents=tuple(agents), text=reason)
        turn.tell_agents(stage, run, "shutdown", action)


def _due(turn: Turn, member: MemberConfig, one: MemberRun) -> bool:
    seen = turn.seen(member)
    unreachable = seen in (Seen.LOST, Seen.UNKNOWN)
    if seen is Seen.DOWN or (member.kind == "agent" and unreachable):
        return False
    if one.ordered is None:
        return True
    if one.state is MemberState.IDLE:
        wanted = True
    elif member.kind in ("script", "ups"):
        wanted = member.kind == "ups" and one.answer not in ("", "ok") and seen is not Seen.GOING
    else:
        wanted = seen is Seen.UP or (unreachable and one.answer not in ("", "ok"))
    if wanted and one.down is not None and not _certain(turn):
        # It has come up again, and nobody knows whether power has too.
        return False
    if wanted and turn.now < one.ordered + REPEAT:
        turn.wake(one.ordered + REPEAT)
        return False
    return wanted


def _certain(turn: Turn) -> bool:
    """Whether it is known now that everything is to be down."""
    if turn.run.by or not supply.out(turn.config, turn.state.supplies):
        return True
    return any(not one.silent for one in supply.on_battery(turn.config, turn.state.supplies))


def _judge(turn: Turn, stage: StageConfig, run: StageRun) -> None:
    """Say when a stage is over, and who has not answered."""
    assert run.ordered is not None
    pending = False
    for member, one in members(stage, run):
        if one.state in (MemberState.DOWN, MemberState.LATE):
            continue
        deadline = run.ordered + limit(stage, member.timeout)
        if turn.now < deadline:
            turn.wake(deadline)
            pending = True
            continue
        one.problem = _complaint(turn.seen(member), one)
        one.state = MemberState.LATE
    if pending:
        return
    run.duration = turn.now - run.ordered
    if _all_down(stage, run):
        turn.enter(stage, StageState.DONE)
        return
    late = [f"{member.key} {one.problem}" for member, one in members(stage, run) if one.state is MemberState.LATE]
    run.problem, run.failed = f"{'; '.join(late)}."[:500], turn.now
    turn.enter(stage, StageState.FAILED, Severity.WARNING)


def _complaint(seen: Seen, one: MemberRun) -> str:
    if one.ordered is None:
        return "could not be reached"
    if one.answer not in ("", "ok"):
        return f"did not obey: {one.answer}"
    match seen:
        case Seen.WAITING:
            return "waits for other senders"
        case Seen.GOING:
            return "is still shutting down"
        case Seen.LOST | Seen.UNKNOWN:
            return "has not told that it shut down"
        case _:
            return "is still up"


def _all_down(stage: StageConfig, run: StageRun) -> bool:
    return all(one.state is MemberState.DOWN for _, one in members(stage, run))


def members(stage: StageConfig, run: StageRun) -> Iterator[tuple[MemberConfig, MemberRun]]:
    """Give the members of a stage with how they are."""
    for member in stage.members:
        yield member, run.members[member.id]


__all__ = ["PATIENCE", "commit", "follow", "members", "shut_down"]
