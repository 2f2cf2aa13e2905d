"""Events, jobs and a plain reference for the engine's tests."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ridethrough.catalogue import Severity
from ridethrough.config.actions import Action, AgentAction, LogAction
from ridethrough.config.jobs import Cause, Edge, JobConfig, JobsConfig, Timing, When
from ridethrough.events import EdgeKind, Event, EventKind
from ridethrough.events.engine import Due, Engine, Subject
from ridethrough.site import DeviceId

UPS = DeviceId("11111111-0000-0000-0000-000000000000")
SUBJECT = Subject("ups-1", (), "ups-1")
START = 1_000_000.0
INFORM: Action = LogAction(text="x")
ACT: Action = AgentAction(verb="shutdown")


def edge(seq: int, at: float, *, raised: bool, key: str = "on_battery", device: DeviceId = UPS) -> Event:
    return Event(
        at=datetime.fromtimestamp(at, UTC),
        kind=EventKind.CONDITION,
        device=device,
        key=key,
        edge=EdgeKind.RAISED if raised else EdgeKind.CLEARED,
        severity=Severity.WARNING,
        seq=seq,
    )


def job(
    key: str,
    timing: Timing,
    seconds: float = 0.0,
    *,
    action: Action = INFORM,
    condition: str = "on_battery",
    device: str = "ups-1",
    on: Edge = Edge.RAISED,
    ups: str | None = None,
    repeat: float | None = None,
) -> JobConfig:
    return JobConfig(key, key, (Cause((device,), (condition,), on),), action, When(timing, seconds, repeat), ups)


@dataclass
class Bench:
    """An engine whose time is moved by hand, restarted at will, and what it said was due."""

    config: JobsConfig
    engine: Engine = field(init=False)
    memory: dict[str, str] = field(default_factory=dict)
    now: float = START
    seq: int = 0
    raised: dict[str, Event] = field(default_factory=dict)
    dues: list[tuple[float, str]] = field(default_factory=list)
    """(seconds after the start, job)."""
    keys: list[str] = field(default_factory=list)
    retries: list[str] = field(default_factory=list)
    """Those of the keys that are marked as a retry."""

    def __post_init__(self) -> None:
        self.engine = Engine(self.config)

    def power(self, *, on: bool, runtime: float | None = None) -> None:
        """Let power fail or return: the UPS says so, and its event follows."""
        self.ups(on_battery=not on, runtime=runtime)
        self.condition("on_battery", raised=not on)

    def ups(self, *, on_battery: bool | None, runtime: float | None = None) -> None:
        self.engine.see("ups-1", self.now, on_battery=on_battery, runtime=runtime)
        self.collect()

    def condition(self, key: str, *, raised: bool) -> None:
        self.seq += 1
        event = edge(self.seq, self.now, raised=raised, key=key)
        if raised:
            self.raised[key] = event
        else:
            self.raised.pop(key, None)
        self.engine.happen(event, SUBJECT, self.now)
        self.collect()

    def wait(self, seconds: float) -> None:
        """Let time pass as the keeper does: from one due moment to the next."""
        end = self.now + seconds
        while (due := self.engine.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.engine.advance(self.now)
            self.collect()
        self.now = end
        self.engine.advance(end)
        self.collect()

    def collect(self) -> None:
        dues, memory = self.engine.take()
        for key, text in memory.items():
            if text is None:
                self.memory.pop(key, None)
            else:
                self.memory[key] = text
        self.dues += [(round(self.now - START, 3), due.job.key) for due in dues]
        self.keys += [due.key for due in dues]
        self.retries += [due.key for due in dues if due.retry]

    def restart(self, *, after: float = 0.0, away: bool = False, config: JobsConfig | None = None) -> None:
        """Forget everything but what is remembered, and go on so many seconds later."""
        known_at = self.now
        self.now += after
        self.config = config or self.config
        self.engine = Engine(self.config)
        self.engine.load(self.memory, known_at, known_at=known_at if away else None)
        found = [(event, SUBJECT, event.at.timestamp()) for event in self.raised.values()]
        self.engine.configure(self.config, found, self.now, starting=True)
        self.collect()

    def times(self, key: str) -> list[float]:
        return [at for at, job in self.dues if job == key]


def stamp(seconds: float) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


__all__ = ["ACT", "INFORM", "START", "SUBJECT", "UPS", "Bench", "Due", "edge", "job", "stamp"]
