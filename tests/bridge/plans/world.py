"""A small world for plans: UPSes that run empty, computers that shut down and start, and who carries steps out."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from ridethrough.config.actions import Action, AgentAction, CommandAction
from ridethrough.config.plans import MemberConfig, PlanConfig, RestartConfig, StageConfig, Trigger
from ridethrough.events.plans import Machine, PlanState, Power, Seen, Turn, UpsView, View
from ridethrough.events.plans.state import Note

WINDOW = 120.0


@dataclass
class Battery:
    """A UPS whose batteries last `full` seconds at full load."""

    full: float = 3600.0
    percent: float = 100.0
    power: Power = Power.MAINS
    silent: bool = False
    active: frozenset[str] = frozenset()

    def view(self, load: float) -> UpsView:
        """Return what it tells at this share of the load."""
        if self.silent:
            return UpsView()
        return UpsView(self.power, self.full * self.percent / 100.0 / max(load, 0.01), self.percent, self.active)

    def pass_time(self, seconds: float, load: float) -> None:
        """Discharge, or charge in ten hours."""
        drawn = seconds / self.full * 100.0 * load
        change = -drawn if self.power is Power.BATTERY else seconds / 360.0
        self.percent = min(100.0, max(0.0, self.percent + change))


@dataclass
class Computer:
    """A protected computer by its agent."""

    takes: float = 60.0
    """Seconds to shut down; infinite: it never does."""
    boots: float = 90.0
    seen: Seen = Seen.UP
    ends: float | None = None
    boot: float | None = None
    orders: list[float] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)
    downs: list[float] = field(default_factory=list)

    def shut_down(self, now: float) -> None:
        """Take an order."""
        self.orders.append(now)
        if self.seen is Seen.UP:
            self.seen, self.ends = Seen.GOING, now + self.takes

    def withdraw(self) -> None:
        """Take a withdrawal: as in the agent, what has begun goes on here half of the time."""
        if self.seen is Seen.GOING and self.takes > 30.0:
            self.seen, self.ends = Seen.UP, None

    def start(self, now: float) -> None:
        """Take a magic packet."""
        self.wakes.append(now)
        if self.seen in (Seen.DOWN, Seen.LOST):
            self.boot = now + self.boots

    def pass_time(self, now: float) -> None:
        """Be down, or up, when that is due."""
        if self.seen is Seen.GOING and self.ends is not None and now >= self.ends:
            self.seen, self.ends = Seen.DOWN, None
            self.downs.append(now)
        if self.boot is not None and now >= self.boot:
            self.seen, self.boot = Seen.UP, None


class World:
    """Everything, and the plan's machine in it; one `step` is one second."""

    def __init__(self, plan: PlanConfig, *, armed: bool = True, window: float = WINDOW) -> None:
        """Put a computer behind each agent of the plan, and a battery behind each UPS."""
        self.plan = plan
        self.machine = Machine(plan, window)
        self.state = PlanState(armed=armed)
        self.now = 1_000_000.0
        self.ups = {key: Battery() for key in plan.ups}
        self.members = [member for stage in plan.stages for member in stage.members]
        self.computers = {member.key: Computer() for member in self.members if member.kind == "agent"}
        self.devices = {member.key: Seen.UP for member in self.members if member.kind not in ("agent", "script")}
        self.steps: list[tuple[float, str, Action]] = []
        self.notes: list[tuple[float, Note]] = []
        self.held: frozenset[str] = frozenset()
        self.due: float | None = None
        self.looked: View | None = None
        self.obey: Callable[[Action], str] = lambda _action: ""
        """How a step ends: empty, or the problem."""

    @property
    def load(self) -> float:
        """Share of the full load."""
        up = [computer.seen in (Seen.UP, Seen.GOING) for computer in self.computers.values()]
        return max(0.05, sum(up) / len(up)) if up else 1.0

    @property
    def view(self) -> View:
        """What the plan sees."""
        members = {
            member.id: self.computers[member.key].seen
            if member.kind == "agent"
            else self.devices.get(member.key, Seen.UNKNOWN)
            for member in self.members
        }
        return View({key: one.view(self.load) for key, one in self.ups.items()}, members, self.held)

    def take(self, turn: Turn) -> None:
        """Carry out what was decided."""
        self.state, self.due = turn.state, turn.again
        self.notes += [(self.now, note) for note in self.state.notes]
        self.state.notes.clear()
        for due in turn.steps:
            assert due.key not in {key for _, key, _ in self.steps}, "a step's key is unique"
            self.steps.append((self.now, due.key, due.action))
            problem = self.obey(due.action)
            if not problem:
                self._carry_out(due.action)
            self.state = self.machine.ended(self.state, due.key, problem)

    def _carry_out(self, action: Action) -> None:
        if isinstance(action, AgentAction):
            for key in action.agents:
                computer = self.computers[key]
                match action.verb:
                    case "shutdown" if computer.seen in (Seen.UP, Seen.WAITING, Seen.GOING):
                        computer.shut_down(self.now)
                    case "wakeup":
                        computer.withdraw()
                    case "start":
                        computer.start(self.now)
        elif isinstance(action, CommandAction):
            match action.command:
                case "outlet.off":
                    self.devices[action.device] = Seen.DOWN
                case "outlet.on":
                    self.devices[action.device] = Seen.UP
                    for member in self.members:
                        if member.outlet == action.device:
                            self.computers[member.key].start(self.now)
                            self.computers[member.key].wakes.pop()
                case "shutdown.return":
                    self.devices[action.device] = Seen.DOWN

    def advance(self) -> None:
        """Let the machine decide."""
        self.take(self.machine.advance(self.state, self.now, self.view))

    def pass_time(self, seconds: float, *, step: float = 1.0) -> None:
        """Let time pass, and the machine look whenever something changes or it wants to."""
        end = self.now + seconds
        while self.now < end:
            self.now += step
            for one in self.ups.values():
                one.pass_time(step, self.load)
            for computer in self.computers.values():
                computer.pass_time(self.now)
            self.advance()

    def power(self, power: Power, *keys: str) -> None:
        """Let the UPSes (all, if none is named) be fed so from now on."""
        for key in keys or self.ups:
            self.ups[key].power = power
        self.advance()

    def told(self, verb: str) -> list[tuple[float, tuple[str, ...]]]:
        """Return when which agents have been told this, seconds since the beginning."""
        return [
            (at - 1_000_000.0, action.agents)
            for at, _, action in self.steps
            if isinstance(action, AgentAction) and action.verb == verb
        ]

    def journal(self, *names: str) -> list[tuple[float, str]]:
        """Return the notes of these names, or all, seconds since the beginning."""
        return [(at - 1_000_000.0, note.key) for at, note in self.notes if not names or note.key in names]

    def states(self) -> dict[str, str]:
        """Return how the stages are."""
        assert self.state.run is not None
        return {key: str(stage.state) for key, stage in self.state.run.stages.items()}

    def up(self) -> set[str]:
        """Return the computers that are up."""
        return {key for key, computer in self.computers.items() if computer.seen is Seen.UP}


def agents(*keys: str, timeout: float | None = 180.0) -> tuple[MemberConfig, ...]:
    """Return members that are computers."""
    return tuple(MemberConfig("agent", key, timeout=timeout) for key in keys)


def stage(key: str, members: Iterable[MemberConfig] = (), after: Sequence[str] = (), **more: object) -> StageConfig:
    """Return a stage."""
    trigger = Trigger(**more.pop("trigger", {}))  # type: ignore[arg-type]  # a test's own words
    return replace(StageConfig(key, key.title(), tuple(members), trigger, tuple(after)), **more)  # type: ignore[arg-type]


def plan(*stages: StageConfig, ups: Sequence[str] = ("ups-1",), need: int = 1, **restart: object) -> PlanConfig:
    """Return a plan."""
    settings = {"stable": 120.0, "charge": 30.0, "runtime": 0.0} | restart
    return PlanConfig("main", "Main", tuple(ups), stages, need, RestartConfig(**settings))  # type: ignore[arg-type]
