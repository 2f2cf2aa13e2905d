"""What a plan remembers: whether it is armed, and how far a run of it has come. All of it can be written as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from ridethrough.catalogue import Severity
from ridethrough.config.plans import PlanConfig

from .supply import Supply


class Phase(StrEnum):
    """How far a run has come."""

    SHUTDOWN = "shutdown"
    """Stages are being shut down, or are down."""
    RECALL = "recall"
    """It has been called back, or everything is down and power is back: it waits until it may start again."""
    RESTART = "restart"
    LEFT = "left"
    """Over, but nothing is started again by itself; what it has shut down is remembered for the next run."""


class StageState(StrEnum):
    """How a stage is; the options of the point `stage.state`."""

    WAITING = "waiting"
    ANNOUNCED = "announced"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Not begun, because one before it has failed."""
    STARTING = "starting"
    STARTED = "started"


class MemberState(StrEnum):
    """How a member is, for the plan."""

    IDLE = "idle"
    """Nothing has been asked of it, or it has been withdrawn."""
    ORDERED = "ordered"
    DOWN = "down"
    LATE = "late"
    """It was not down in time."""
    CYCLING = "cycling"
    """Its outlet has been switched off, and is to be switched on."""
    STARTING = "starting"
    STARTED = "started"
    ABSENT = "absent"
    """It has not come back in time."""


@dataclass(slots=True)
class MemberRun:
    """One member in a run. Times are engine time."""

    state: MemberState = MemberState.IDLE
    ordered: float | None = None
    """When it was last told to shut down."""
    orders: int = 0
    """How often it has been told anything; makes keys of steps."""
    going: bool = False
    """Whether it has been seen to shut down since."""
    ours: bool = False
    """Whether this plan has shut it down: nothing else is started again (manual M:3028)."""
    withdraw: bool = False
    """Whether the order must be withdrawn as soon as it can be reached."""
    down: float | None = None
    started: float | None = None
    """When it was told to start."""
    answer: str = ""
    """Of a script, or of the step for a device that does not tell how it is: `ok`, or what went wrong."""
    step: str = ""
    """Key of the last step for it."""
    problem: str = ""


@dataclass(slots=True)
class StageRun:
    """One stage in a run."""

    state: StageState = StageState.WAITING
    since: float = 0.0
    wanted: str = ""
    """Why it is to begin; empty while it is not."""
    begun: float | None = None
    ordered: float | None = None
    """When its members were told."""
    noticed: float = 0.0
    """Seconds of notice that users have had earlier in this outage, before power came back for a moment."""
    times: int = 0
    """How often it has begun; makes keys of steps."""
    before: list[str] = field(default_factory=list)
    """Keys of those steps that its members wait for."""
    failed: float | None = None
    duration: float | None = None
    up: bool = False
    """Whether nothing more is to be started."""
    problem: str = ""
    members: dict[str, MemberRun] = field(default_factory=dict)


@dataclass(slots=True)
class Run:
    """One time that a plan is carried out."""

    number: int
    plan: PlanConfig
    """As it was configured when the run began: a run ends as it has begun."""
    began: float
    by: str = ""
    """Who runs it by hand; empty: an outage."""
    phase: Phase = Phase.SHUTDOWN
    committed: bool = False
    """Whether it is past its point of no return."""
    aborted: str = ""
    """Who has aborted it."""
    outage: bool = False
    """Whether power has been out during it."""
    back: float | None = None
    """Since when power is back without interruption, as far as is known."""
    down: bool = False
    """Whether it has been told that all stages are over."""
    forced: bool = False
    """Whether a person wants it to start again now."""
    stages: dict[str, StageRun] = field(default_factory=dict)

    def copy(self) -> Run:
        """Return one that can be changed without this one changing."""
        return replace(
            self,
            stages={
                key: replace(
                    stage,
                    before=list(stage.before),
                    members={name: replace(member) for name, member in stage.members.items()},
                )
                for key, stage in self.stages.items()
            },
        )


@dataclass(frozen=True, slots=True)
class Note:
    """An event of the plan's own that must reach the journal."""

    number: int
    key: str
    """`plan_started`, `plan_stage`, …"""
    severity: Severity
    details: Mapping[str, str | float | int | bool]
    stage: str = ""
    """Key of the stage that it is about; empty: the plan."""


@dataclass(frozen=True, slots=True)
class LastDrill:
    """What is shown of the last drill."""

    at: str
    """When it began, as ISO 8601 writes it."""
    result: str
    margin: float | None = None


@dataclass(slots=True)
class PlanState:
    """Everything that is remembered of one plan."""

    armed: bool = False
    number: int = 0
    """Runs so far."""
    noted: int = 0
    """Notes so far."""
    drills: int = 0
    """Drills so far."""
    drilled: str = ""
    """Who has begun a drill that has not ended."""
    last_drill: LastDrill | None = None
    supplies: dict[str, Supply] = field(default_factory=dict)
    run: Run | None = None
    quiet: float | None = None
    """Until when it waits, after a start of the bridge, for its UPSes to be heard."""
    would: bool = False
    """Whether it has been told, in this outage, what an unarmed plan would have done."""
    notes: list[Note] = field(default_factory=list)
    """Those that have not reached the journal yet."""

    def copy(self) -> PlanState:
        """Return one that can be changed without this one changing."""
        return replace(
            self,
            supplies=dict(self.supplies),
            run=None if self.run is None else self.run.copy(),
            notes=list(self.notes),
        )


__all__ = ["LastDrill", "MemberRun", "MemberState", "Note", "Phase", "PlanState", "Run", "StageRun", "StageState"]
