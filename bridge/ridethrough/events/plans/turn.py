"""One turn of a plan: what it sees now, and what it decides to do and to tell."""

from dataclasses import dataclass, field

from ridethrough.catalogue import Severity
from ridethrough.config.actions import Action, AgentAction, CommandAction
from ridethrough.config.plans import MemberConfig, PlanConfig, StageConfig

from .state import MemberRun, MemberState, Note, PlanState, Run, StageRun, StageState
from .view import Seen, View

REPEAT = 30.0
"""Seconds between two orders to one member at least (manual M:3100)."""


@dataclass(frozen=True, slots=True)
class Due:
    """A step that is to be made."""

    key: str
    """Unique for ever, and the same whenever it is worked out again."""
    action: Action
    origin: str
    actor: str = ""
    drill: bool = False


@dataclass(slots=True)
class Turn:
    """What is decided at one moment. `state` is the turn's own and is changed by it."""

    plan: str
    """Key of the plan."""
    state: PlanState
    now: float
    view: View
    steps: list[Due] = field(default_factory=list)
    called_back: bool = False
    """Whether orders that are still being carried out are to be dropped first."""
    again: float | None = None
    """Engine time at which there is something to decide even if nothing changes."""

    @property
    def run(self) -> Run:
        """The run that is going on; there must be one."""
        assert self.state.run is not None
        return self.state.run

    @property
    def config(self) -> PlanConfig:
        """The plan as it was when the run began."""
        return self.run.plan

    def seen(self, member: MemberConfig) -> Seen:
        """Return how a member is."""
        return self.view.members.get(member.id, Seen.UNKNOWN)

    def wake(self, at: float) -> None:
        """Look again at this time, if not sooner."""
        if at > self.now:
            self.again = at if self.again is None else min(self.again, at)

    def note(
        self, key: str, severity: Severity = Severity.INFO, stage: str = "", **details: str | float | bool
    ) -> None:
        """Tell the journal, under a number by which it is told once."""
        self.state.noted += 1
        self.state.notes.append(Note(self.state.noted, key, severity, details, stage))

    def step(self, stage: str, what: str, count: int, action: Action) -> str:
        """Make a step, and return its key."""
        key = f"plan:{self.plan}/{self.run.number}/{stage}/{what}/{count}"
        self.steps.append(Due(key, action, f"plan:{self.plan}/{stage}", self.run.by))
        return key

    def enter(self, stage: StageConfig, state: StageState, severity: Severity = Severity.INFO) -> None:
        """Let a stage be in another state, and tell so."""
        run = self.run.stages[stage.key]
        if run.state is state:
            return
        run.state, run.since = state, self.now
        details = {"reason": run.wanted} if state in (StageState.ANNOUNCED, StageState.RUNNING) and run.wanted else {}
        if run.problem:
            details["problem"] = run.problem
        self.note("plan_stage", severity, stage.key, state=str(state), **details)

    def tell_agents(self, stage: StageConfig, run: StageRun, what: str, action: AgentAction) -> None:
        """Make a step for the agents it names, numbered by how often they have been told anything."""
        named = frozenset(action.agents)
        members = [member for member in stage.members if member.kind == "agent" and member.key in named]
        count = sum(one.orders for one in run.members.values()) + len(members)
        key = self.step(stage.key, what, count, action)
        for member in members:
            told(run.members[member.id], key)

    def tell_device(self, stage: StageConfig, member: MemberConfig, one: MemberRun, *, on: bool) -> None:
        """Make the step that switches an outlet, a relay or a UPS, or ask a script."""
        if member.kind == "script":
            told(one, "")
            self.note("plan_script", stage=stage.key, script=member.key, order="start" if on else "shutdown")
            return
        what = f"{member.id}-{'on' if on else 'off'}"
        told(one, self.step(stage.key, what, one.orders + 1, switch(member, on=on)))


def told(one: MemberRun, step: str) -> None:
    """Note that a member has been told something."""
    one.orders += 1
    one.step = step
    one.answer = ""


def switch(member: MemberConfig, *, on: bool) -> CommandAction:
    """Return what switches a member that is no agent and no script."""
    match member.kind:
        case "relay":
            box, output = relay(member.key)
            return CommandAction(device=box, command="output.set", arguments={"number": output, "state": float(on)})
        case "ups":
            off = "shutdown.stayoff" if member.start == "none" else "shutdown.return"
            return CommandAction(device=member.key, command="load.on" if on else off)
        case _:
            return CommandAction(device=member.key, command="outlet.on" if on else "outlet.off")


def relay(key: str) -> tuple[str, float]:
    """Split `io-1/output-2` into the key of the box and the number of the output."""
    box, _, output = key.rpartition("/output-")
    return box, float(output)


def untouched(one: MemberRun) -> bool:
    """Whether a run has nothing to do with a member any more."""
    return one.state is MemberState.IDLE and not one.withdraw


__all__ = ["REPEAT", "Due", "Turn", "relay", "switch", "told", "untouched"]
