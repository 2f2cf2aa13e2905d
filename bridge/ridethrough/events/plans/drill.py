"""The drill: the whole plan against the real agents, at once and in order, but nothing is shut down.

Agents are asked what they would do (`agent.drill`) and their answers are waited for; users get the messages, marked as
a drill; outlets, relays, UPSes and scripts are only noted, as is what is done before a stage unless it only informs.
No stage waits for the battery, nor for the time between a notice and the shutdown.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

from ridethrough.config.actions import Action, AgentAction, CommandAction, MailAction, SmsAction
from ridethrough.config.plan_graph import graph, in_order
from ridethrough.config.plans import MemberConfig, PlanConfig, StageConfig

from .timing import limit, planned
from .turn import Due

MARK = "Drill: "
"""What every text begins with that people get."""
ANSWER = 30.0
"""Seconds that an agent may take to answer: it shuts nothing down."""

type Verdict = Literal["passed", "failed", "aborted"]


@dataclass(slots=True)
class Rehearsed:
    """One member in a drill."""

    member: MemberConfig
    planned: float
    """Seconds that it may take in earnest."""
    asked: float | None = None
    answered: float | None = None
    ok: bool = False
    answer: str = ""
    step: str = ""


@dataclass(slots=True)
class RehearsedStage:
    """One stage in a drill."""

    stage: StageConfig
    planned: float
    begun: float | None = None
    ended: float | None = None
    members: list[Rehearsed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether all of its members would have obeyed."""
        return self.ended is not None and all(one.ok for one in self.members)


class Drill:
    """One drill; times are engine time. It decides, and does nothing itself."""

    def __init__(self, plan: PlanConfig, number: int, actor: str, now: float, *, fits: bool = True) -> None:
        """Begin. `number` makes its steps differ from those of other drills for ever; `fits`: into the runtime."""
        self._fits = fits
        self.plan = plan
        self.actor = actor
        self.began = now
        self.ended: float | None = None
        self.verdict: Verdict | None = None
        self.reason = ""
        self._number = number
        self.stages = {
            stage.key: RehearsedStage(
                stage, planned(stage), members=[Rehearsed(one, limit(stage, one.timeout)) for one in stage.members]
            )
            for stage in in_order(plan.stages)
        }

    @property
    def deadline(self) -> float | None:
        """When it must be looked at again, if nothing is heard before."""
        waits = [
            one.asked + ANSWER
            for stage in self.stages.values()
            for one in stage.members
            if one.asked is not None and one.answered is None
        ]
        return min(waits, default=None)

    def advance(self, now: float) -> list[Due]:
        """Begin the stages whose turn it is, and end when all are over."""
        steps: list[Due] = []
        after = graph(self.plan.stages)
        for key, stage in self.stages.items():
            if stage.begun is None and all(self.stages[other].ended is not None for other in after[key]):
                steps += self._begin(stage, now)
            if stage.begun is not None and stage.ended is None:
                self._judge(stage, now)
        if self.verdict is None and all(stage.ended is not None for stage in self.stages.values()):
            self.verdict = "passed" if self._fits and all(stage.ok for stage in self.stages.values()) else "failed"
            self.ended = now
        return steps

    def heard(self, step: str, problem: str, message: str, now: float) -> None:
        """Take into account how a step has ended."""
        for stage in self.stages.values():
            for one in stage.members:
                if one.step == step and one.answered is None:
                    one.answered, one.ok, one.answer = now, not problem, problem or message

    def abort(self, reason: str, now: float) -> None:
        """End it at once."""
        if self.verdict is None:
            self.verdict, self.reason, self.ended = "aborted", reason, now

    def _begin(self, stage: RehearsedStage, now: float) -> list[Due]:
        stage.begun = now
        config = stage.stage
        steps: list[Due] = []
        for index, action in enumerate(config.before):
            if not (action.informs or (isinstance(action, AgentAction) and action.verb == "message")):
                stage.notes.append(f"Not done: {action.title}.")
                continue
            if isinstance(action, AgentAction | SmsAction):
                action = replace(action, text=f"{MARK}{action.text}")
            elif isinstance(action, MailAction):
                action = replace(action, subject=f"{MARK}{action.subject}" if action.subject else "")
            steps.append(self._due(config, f"before-{index}", action))
        agents = tuple(member.key for member in config.members if member.kind == "agent")
        if config.announce > 0.0 and agents:
            text = config.text or f"{config.name}: this computer is shut down in {config.announce:g} s."
            steps.append(
                self._due(config, "announce", AgentAction(verb="message", agents=agents, text=f"{MARK}{text}"))
            )
        for one in stage.members:
            one.asked = now
            if one.member.kind == "agent":
                due = self._due(config, one.member.id, CommandAction(device=one.member.key, command="agent.drill"))
                one.step = due.key
                steps.append(due)
            else:
                one.answered, one.ok, one.answer = now, True, "Noted only; nothing was switched."
        return steps

    def _due(self, stage: StageConfig, what: str, action: Action) -> Due:
        key = f"plan:{self.plan.key}/drill-{self._number}/{stage.key}/{what}"
        return Due(key, action, f"plan:{self.plan.key}/{stage.key}", self.actor, drill=True)

    def _judge(self, stage: RehearsedStage, now: float) -> None:
        for one in stage.members:
            if one.answered is None and one.asked is not None and now >= one.asked + ANSWER:
                one.answered, one.answer = now, f"No answer within {ANSWER:g} s."
        if all(one.answered is not None for one in stage.members):
            stage.ended = now


__all__ = ["ANSWER", "MARK", "Drill", "Rehearsed", "RehearsedStage", "Verdict"]
