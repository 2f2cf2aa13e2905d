"""Whatever happens: outages, flaps, lost UPSes, restarts of the bridge, computers that do as they please."""

from hypothesis import given, settings, strategies as st

from ridethrough.config.actions import AgentAction
from ridethrough.config.plans import PlanConfig
from ridethrough.events.plans import Power, Refused, Seen
from ridethrough.events.plans.record import from_text, to_text
from ridethrough.events.plans.turn import REPEAT

from .world import World, agents, plan, stage

PLAN = plan(
    stage("clients", agents("c1", "c2"), trigger={"on_battery": 60.0}, announce=20.0),
    stage("database", agents("d1"), ("clients",), trigger={"runtime": 1500.0}, on_failure="wait"),
    stage("storage", agents("s1"), ("database",), trigger={"charge": 30.0}),
    ups=("a", "b"),
    need=2,
    stable=60.0,
    charge=0.0,
)
FINAL = plan(
    stage("clients", agents("c1", "c2"), trigger={"on_battery": 60.0}),
    stage("storage", agents("s1"), ("clients",), trigger={"on_battery": 200.0}, point_of_no_return=True),
    stage("core", agents("k1"), ("storage",), trigger={"charge": 10.0}),
    stable=60.0,
    charge=0.0,
)

_SOME = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "out",
                "out-a",
                "out-b",
                "back",
                "back-a",
                "silent-a",
                "silent-b",
                "heard",
                "restart",
                "user-on",
                "user-off",
                "lose",
                "find",
                "stubborn",
                "abort",
                "clock",
            ]
        ),
        st.sampled_from((1, 3, 6, 12, 25, 40, 70, 120, 300)),
    ),
    min_size=4,
    max_size=20,
)
# Most of what can go wrong can do so only in an outage.
HAPPENINGS = st.builds(
    lambda first, then: [*first, *then], st.sampled_from(([], [("out", 70)], [("out", 120)], [("out", 300)])), _SOME
)


class Watched(World):
    """A world that holds the machine to its promises at every look."""

    def __init__(self, plan: PlanConfig) -> None:
        """Begin with nobody told to shut down."""
        super().__init__(plan)
        self.shut_down: dict[str, float] = {}

    def advance(self) -> None:
        """Let the machine decide, and see that it may."""
        seen = {key: computer.seen for key, computer in self.computers.items()}
        before = len(self.steps)
        run = self.state.run
        committed = run is not None and run.committed
        super().advance()
        for _, _, action in self.steps[before:]:
            if not isinstance(action, AgentAction):
                continue
            if action.verb == "shutdown":
                self._may_shut_down(action, seen, committed=committed)
            if action.verb == "start":
                assert all(key in self.shut_down for key in action.agents), (
                    "only what the plan has shut down is started"
                )

    def _may_shut_down(self, action: AgentAction, seen: dict[str, Seen], *, committed: bool) -> None:
        run = self.state.run
        assert run is not None
        failed = [one for one in self.state.supplies.values() if one.power is not Power.MAINS]
        certain = [one for one in failed if one.power is Power.BATTERY]
        assert run.committed or committed or (certain and len(failed) >= self.plan.need), "power is out"
        for key in action.agents:
            last = self.shut_down.get(key)
            assert last is None or self.now - last >= REPEAT, "nobody is told twice within 30 s"
            self.shut_down[key] = self.now
            for one in run.plan.stages:
                if key in {member.key for member in one.members}:
                    for other in one.after:
                        assert str(run.stages[other].state) in ("done", "failed"), "those before it are over"


def happen(world: World, what: str) -> None:
    """Let something happen."""
    name, _, which = what.partition("-")
    keys = [which] if which in world.ups else list(world.ups)
    match name:
        case "out" | "back":
            for key in keys:
                world.ups[key].power = Power.BATTERY if name == "out" else Power.MAINS
        case "flap":
            for power in (Power.BATTERY, Power.MAINS, Power.BATTERY):
                world.power(power)
                world.pass_time(2.0)
        case "quick":
            world.computers["c1"].takes = 4.0
        case "silent" | "heard":
            for key in keys:
                world.ups[key].silent = name == "silent"
        case "restart":
            # All that is left is what was written down.
            world.state = world.machine.resumed(from_text(to_text(world.state)), world.now)
        case "user":
            for key in ("c1", "s1"):
                computer = world.computers[key]
                if which == "on" and computer.seen is Seen.DOWN:
                    computer.seen = Seen.UP
                elif which == "off" and computer.seen is Seen.UP:
                    computer.seen = Seen.DOWN
        case "lose":
            world.computers["c2"].seen = Seen.LOST
        case "find":
            if world.computers["c2"].seen is Seen.LOST:
                world.computers["c2"].seen = Seen.UP
        case "stubborn":
            world.computers["c1"].takes = float("inf")
        case "abort":
            run = world.state.run
            committed = run is not None and run.committed
            try:
                turn = world.machine.abort(world.state, world.now, world.view, "Ann")
            except Refused:
                return
            assert not committed, "nothing is called back past the point of no return"
            world.take(turn)
        case "clock":
            # The bridge stands still for a while, as a suspended one does.
            world.now += 500.0
    world.advance()


def drive(config: PlanConfig, happenings: list[tuple[str, int]]) -> Watched:
    """Let all of it happen, and power come back for good in the end."""
    world = Watched(config)
    for one in world.ups.values():
        one.full = 3000.0
    world.pass_time(2.0)
    for what, seconds in happenings:
        happen(world, what)
        world.pass_time(float(seconds), step=3.0 if seconds > 12 else 1.0)
    for key in world.ups:
        world.ups[key].silent, world.ups[key].power = False, Power.MAINS
    world.pass_time(3000.0, step=5.0)
    return world


@settings(max_examples=120, deadline=None)
@given(HAPPENINGS)
def test_promises_hold_and_everything_comes_back(happenings: list[tuple[str, int]]) -> None:
    world = drive(PLAN, happenings)
    assert world.state.run is None, "a run ends when power is back"
    told = {key for key, one in world.computers.items() if one.downs and one.seen is Seen.DOWN}
    # Who went down by an order is up, unless its user switched it off later, or it went down late by itself.
    users = {"c1", "s1"} if "user-off" in {what for what, _ in happenings} else set()
    assert told <= users, f"{told} stayed down"


@settings(max_examples=80, deadline=None)
@given(
    HAPPENINGS.map(lambda some: [(what, seconds) for what, seconds in some if "-b" not in what and "-a" not in what])
)
def test_promises_hold_with_a_point_of_no_return(happenings: list[tuple[str, int]]) -> None:
    world = drive(FINAL, happenings)
    assert world.state.run is None, "a run ends when power is back"
