"""What a configuration file says of plans: stages of shutting down, and of starting again in the reverse order."""

from dataclasses import dataclass
from typing import Literal

from .actions import Action

type MemberKind = Literal["agent", "outlet", "ups", "relay", "script"]


@dataclass(frozen=True, slots=True)
class MemberConfig:
    """Something that a stage shuts down."""

    kind: MemberKind
    key: str
    """Of an agent, an outlet, a UPS, an I/O box with the number of its output (`io-1/output-2`), or the name of a
    script in Home Assistant, which hears of it by an event and answers."""
    start: Literal["wake", "power_cycle", "none"] = "wake"
    """How it is started again: by wake-on-LAN or switching on, by switching its outlet off and on, or not at all."""
    outlet: str | None = None
    """Key of the outlet that feeds an agent, for `power_cycle`."""
    timeout: float | None = None
    """Seconds until it must be down; None: the agent's own, or that of the stage."""
    start_time: float | None = None
    """Seconds that it may take to start; None: the agent's own, or ten minutes."""

    @property
    def id(self) -> str:
        """What it is called within a plan; a script may have the name of an agent."""
        return f"{self.kind}:{self.key}"


@dataclass(frozen=True, slots=True)
class Trigger:
    """When a stage begins while power is out; any one is enough.

    A stage without one begins when the plan is run by hand, or when what depends on it needs it.
    """

    on_battery: float | None = None
    """Seconds on battery, short returns of power notwithstanding."""
    runtime: float | None = None
    """Seconds of runtime, reached or undershot."""
    charge: float | None = None
    """Percent of charge, reached or undershot."""
    conditions: tuple[str, ...] = ()
    """Conditions of the UPSes, e.g. `battery_low` or `threshold.battery.charge.alarm`."""


@dataclass(frozen=True, slots=True)
class StageConfig:
    """One stage."""

    key: str
    name: str
    members: tuple[MemberConfig, ...] = ()
    """None for a stage that only tells people or does what is in `before`."""
    trigger: Trigger = Trigger()
    after: tuple[str, ...] = ()
    """Stages that must be down before it begins: storage after its clients. They are begun if they have not."""
    before: tuple[Action, ...] = ()
    """What is done when the stage begins, before its members are shut down."""
    announce: float = 0.0
    """Seconds between telling the users of its agents and shutting down."""
    text: str = ""
    """What they are told, with placeholders."""
    timeout: float = 300.0
    """Seconds until it counts as failed."""
    on_failure: Literal["go_on", "wait", "stop"] = "go_on"
    """What becomes of the stages after it when a member does not answer: they begin, wait for it as long as the battery
    permits (until their own trigger's runtime is halved), or do not begin."""
    point_of_no_return: bool = False
    """Whether nothing is called back from here on: the UPS will switch off, so everything is shut down and started again.

    A stage that shuts down a UPS is one in any case.
    """

    @property
    def final(self) -> bool:
        """Whether nothing is called back once it has begun."""
        return self.point_of_no_return or any(member.kind == "ups" for member in self.members)


@dataclass(frozen=True, slots=True)
class RestartConfig:
    """When everything is started again after power has returned (manual M:2775)."""

    enabled: bool = True
    stable: float = 120.0
    """Seconds of uninterrupted power."""
    charge: float = 30.0
    """Percent of charge at least."""
    runtime: float | None = None
    """Seconds of runtime at least; None: what the whole plan needs."""


@dataclass(frozen=True, slots=True)
class PlanConfig:
    """One plan."""

    key: str
    name: str
    ups: tuple[str, ...]
    """Keys of the UPSes that feed what it shuts down."""
    stages: tuple[StageConfig, ...]
    need: int = 1
    """How many of them must be on battery (or not known to be on mains) before anything begins: N of M.

    One at least must be on battery for certain: what is not known never begins a shutdown alone.
    """
    restart: RestartConfig = RestartConfig()
    allow: frozenset[str] = frozenset()
    """`plan`: clients of the API may arm, run, abort and drill it."""


__all__ = ["MemberConfig", "MemberKind", "PlanConfig", "RestartConfig", "StageConfig", "Trigger"]
