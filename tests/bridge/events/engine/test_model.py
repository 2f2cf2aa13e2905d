"""The engine against a plain reference that counts second by second, through outages, flaps, restarts and clock changes."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings, strategies as st

from ridethrough.clock import ManualClock
from ridethrough.config.jobs import Edge, JobConfig, JobsConfig, Timing
from ridethrough.events import Event
from ridethrough.events.engine import Engine, Timeline
from ridethrough.events.engine.keeper import TRUST

from .models import ACT, INFORM, SUBJECT, edge, job

WINDOW = 20.0
CONDITIONS = ("on_battery", "battery_low")
JOBS = tuple(
    job(f"{timing} {seconds} {'acts' if action is ACT else 'informs'} {condition} {on}", timing, seconds,
        action=action, condition=condition, on=on)
    for timing, seconds in (
        (Timing.AT_ONCE, 0.0),
        (Timing.AFTER, 7.0),
        (Timing.EVERY, 6.0),
        (Timing.ON_BATTERY, 9.0),
        (Timing.ON_BATTERY, 25.0),
        (Timing.REMAINING, 50.0),
    )
    for action in (INFORM, ACT)
    for condition in CONDITIONS
    for on in Edge
)  # fmt: skip


@dataclass
class Reference:
    """What the manual says, written down as plainly as can be: everything is looked at in every second."""

    dues: list[tuple[int, str]] = field(default_factory=list)
    began: dict[tuple[str, Edge], int] = field(default_factory=dict)
    """What goes on, with its age in seconds."""
    done: dict[tuple[str, Edge], dict[str, int]] = field(default_factory=dict)
    battery: bool = False
    counter: int = 0
    mains: int = 0
    outage: int = 0
    told: set[tuple[int, str]] = field(default_factory=set)
    acted: set[tuple[int, str, tuple[str, Edge]]] = field(default_factory=set)
    runtime: float | None = None
    second: int = 0

    def pass_second(self) -> None:
        self.second += 1
        self.began = {place: age + 1 for place, age in self.began.items()}
        if self.battery:
            self.counter += 1
        else:
            self.mains += 1
            if self.mains >= WINDOW and self.counter >= 0:
                self.counter, self.outage = -1, self.outage + 1

    def see(self, *, battery: bool) -> None:
        if battery and not self.battery:
            self.counter = max(0, self.counter)
        if not battery and self.battery:
            self.mains = 0
        self.battery = battery

    def happen(self, condition: str, on: Edge) -> None:
        other = Edge.CLEARED if on is Edge.RAISED else Edge.RAISED
        for place in ((condition, on), (condition, other)):
            self.began.pop(place, None)
            self.done.pop(place, None)
            self.acted = {entry for entry in self.acted if entry[2] != place}
        self.began[condition, on] = 0
        self.done[condition, on] = {}

    def look(self) -> None:
        for one in JOBS:
            (cause,) = one.causes
            place = cause.conditions[0], cause.edge
            if place in self.began and self.is_due(one, place):
                self.dues.append((self.second, one.key))

    def is_due(self, one: JobConfig, place: tuple[str, Edge]) -> bool:
        age, done = self.began[place], self.done[place]
        match one.when.timing:
            case Timing.AT_ONCE | Timing.AFTER:
                if age < one.when.seconds or one.key in done:
                    return False
                done[one.key] = 1
            case Timing.EVERY:
                if age < done.get(one.key, 0) * one.when.seconds:
                    return False
                done[one.key] = int(age // one.when.seconds) + 1
            case Timing.ON_BATTERY | Timing.REMAINING:
                if not self.battery:
                    return False
                if one.when.timing is Timing.ON_BATTERY and self.counter < one.when.seconds:
                    return False
                if one.when.timing is Timing.REMAINING and not (self.runtime is not None and self.runtime <= 50):
                    return False
                if one.action.informs:
                    if (self.outage, one.key) in self.told:
                        return False
                    self.told.add((self.outage, one.key))
                else:
                    if (self.outage, one.key, place) in self.acted:
                        return False
                    self.acted.add((self.outage, one.key, place))
        return True


@dataclass
class World:
    """The engine and the reference, told the same."""

    clock: ManualClock = field(default_factory=lambda: ManualClock(datetime(2026, 1, 1, tzinfo=UTC)))
    reference: Reference = field(default_factory=Reference)
    config: JobsConfig = field(default_factory=lambda: JobsConfig(jobs=JOBS, outage_window=WINDOW))
    memory: dict[str, str] = field(default_factory=dict)
    raised: dict[str, tuple[Event, float]] = field(default_factory=dict)
    dues: list[tuple[int, str]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    seq: int = 0

    def __post_init__(self) -> None:
        self.engine = Engine(self.config)
        self.timeline = Timeline(self.clock)
        self.start = self.timeline.now()

    def collect(self) -> None:
        dues, memory = self.engine.take()
        self.memory = {key: text for key, text in {**self.memory, **memory}.items() if text is not None}
        self.dues += [(self.reference.second, due.job.key) for due in dues]
        self.keys += [due.key for due in dues]

    def compare(self) -> None:
        self.reference.look()
        self.engine.advance(self.timeline.now())
        self.collect()
        assert sorted(self.dues) == sorted(self.reference.dues)
        assert len(set(self.keys)) == len(self.keys)
        following = self.engine.next_due()
        assert following is None or following > self.timeline.now()

    def pass_seconds(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.tick(1)
            self.reference.pass_second()
            self.compare()

    def condition(self, key: str, on: Edge) -> None:
        if (key in self.raised) is (on is Edge.RAISED):
            return
        self.seq += 1
        event = edge(self.seq, self.clock.utc().timestamp(), raised=on is Edge.RAISED, key=key)
        if on is Edge.RAISED:
            self.raised[key] = event, self.timeline.now()
        else:
            del self.raised[key]
        self.engine.happen(event, SUBJECT, self.timeline.now())
        self.reference.happen(key, on)
        self.compare()

    def ups(self, *, battery: bool | None) -> None:
        self.engine.see("ups-1", self.timeline.now(), on_battery=battery, runtime=self.reference.runtime)
        if battery is not None:
            self.reference.see(battery=battery)
        self.compare()

    def restart(self, seconds: int, jump: int) -> None:
        """Kill the bridge, let time pass, set the clock, and start it again."""
        remembered = self.timeline.now()
        self.clock.tick(seconds)
        self.clock.jump(jump)
        self.engine = Engine(self.config)
        self.timeline = Timeline(self.clock, remembered)
        gap = round(self.timeline.now() - remembered)
        assert gap == max(0, round(self.clock.utc().timestamp() - remembered))
        away = gap > TRUST
        for _ in range(gap):
            self.reference.pass_second()
        self.engine.load(self.memory, remembered, known_at=remembered if away else None)
        found = [(event, SUBJECT, at) for event, at in self.raised.values()]
        runtime, self.reference.runtime = self.reference.runtime, None  # not read yet
        self.engine.configure(self.config, found, self.timeline.now(), starting=True)
        for place in self.engine.unconfirmed:
            self.engine.confirm(place, self.timeline.now())
        if away and self.reference.battery:
            self.engine.see("ups-1", self.timeline.now(), on_battery=True, runtime=None)
        self.compare()
        self.reference.runtime = runtime
        self.engine.see("ups-1", self.timeline.now(), on_battery=None, runtime=runtime)
        self.compare()


STEPS = st.one_of(
    st.tuples(st.just("wait"), st.integers(1, 30)),
    st.tuples(st.just("power"), st.booleans()),
    st.tuples(st.just("unknown"), st.none()),
    st.tuples(st.just("low"), st.sampled_from(list(Edge))),
    st.tuples(st.just("runtime"), st.sampled_from([None, 10.0, 50.0, 51.0, 500.0])),
    st.tuples(st.just("restart"), st.tuples(st.integers(0, 40), st.sampled_from([0, 0, 0, -3600, 30, 3600]))),
    st.tuples(st.just("jump"), st.sampled_from([-86400, -10, 10, 86400])),
)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, min_size=3, max_size=25))
def test_engine_does_what_the_manual_says_second_by_second(steps: list[tuple[str, object]]) -> None:
    world = World()
    for what, argument in steps:
        match what, argument:
            case "wait", int(seconds):
                world.pass_seconds(seconds)
            case "power", bool(battery):
                world.ups(battery=battery)
                world.condition("on_battery", Edge.RAISED if battery else Edge.CLEARED)
            case "unknown", _:
                world.ups(battery=None)
            case "low", Edge() as on:
                world.condition("battery_low", on)
            case "runtime", float() | None as runtime:
                world.reference.runtime = runtime
                world.ups(battery=None)
            case "restart", (int(seconds), int(jump)):
                world.restart(seconds, jump)
            case "jump", int(seconds):
                world.clock.jump(seconds)
    world.pass_seconds(40)
