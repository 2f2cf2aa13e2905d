"""Whatever is done to a site, who applies the changes has what a snapshot shows, and every revision is there once."""

from contextlib import suppress

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.logic.derivation import View
from ridethrough.site import (
    Change,
    ConditionState,
    Derived,
    Device,
    DeviceId,
    Lane,
    Quality,
    Reading,
    Site,
    Source,
    Value,
)

DEVICES = [DeviceId("a"), DeviceId("b"), DeviceId("c")]
PARENTS = {"a": None, "b": "a", "c": "b"}
DEADLINES = (None, 5.0, 20.0)
POINTS = ("ups.load", "battery.charge", "battery.runtime", "no.such.point")
CONDITIONS = ("on_battery", "battery_low", "no_such_condition")

device_ids = st.sampled_from(DEVICES)
points = st.dictionaries(
    st.sampled_from(POINTS), st.sampled_from([1.0, 2.0, 50.0, None, "3", "n/a", float("nan")]), max_size=3
)
conditions = st.dictionaries(st.sampled_from(CONDITIONS), st.booleans(), max_size=2)


def runtime(view: View, now: float) -> Derived:
    charge = view.values.get("battery.charge")
    if charge == 2.0:
        raise ZeroDivisionError
    if not isinstance(charge, float):
        return Derived()
    return Derived({"battery.runtime": charge * 10}, {"battery_low": charge < 10} if "on_battery" in view.known else {})


class SiteMachine(RuleBasedStateMachine):
    """Does things to a site and follows it as a client would."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.site = Site(load_catalogue(), self.clock)
        self.revision = 0
        self.devices: dict[DeviceId, Device] = {}
        self.readings: dict[tuple[DeviceId, str], tuple[Value | None, Quality, Source]] = {}
        self.conditions: dict[tuple[DeviceId, str], ConditionState] = {}
        self.raised: dict[tuple[DeviceId, str], bool] = {}
        self.lanes: dict[tuple[DeviceId, int], Lane] = {}
        self.site.observe(self.apply)

    def apply(self, change: Change) -> None:
        """Be a client: know nothing but what changes say."""
        assert change
        assert change.revision == self.revision + 1
        self.revision = change.revision
        for device_id, device in change.devices.items():
            if device is not None:
                self.devices[device_id] = device
                continue
            self.devices.pop(device_id, None)
            for table in (self.readings, self.conditions, self.raised):
                for key in [key for key in table if key[0] == device_id]:
                    del table[key]
        for point, reading in change.points.items():
            self.readings[point] = self.seen(reading)
        self.conditions.update(change.conditions)
        for edge in change.edges:
            key = edge.device, edge.condition
            assert self.raised.get(key, False) is not edge.active
            self.raised[key] = edge.active

    @staticmethod
    def seen(reading: Reading) -> tuple[Value | None, Quality, Source]:
        """Return what a client sees; being confirmed without a change is no news."""
        return reading.value, reading.quality, reading.source

    @initialize()
    def begin(self) -> None:
        for device_id in DEVICES:
            self.put(device_id, "0")

    @rule(device_id=device_ids, model=st.sampled_from("0123"))
    def put(self, device_id: DeviceId, model: str) -> None:
        new = device_id not in self.site.devices
        parent = PARENTS[device_id]
        self.site.put(
            Device(device_id, device_id, "ups", device_id, None if parent is None else DeviceId(parent), model=model)
        )
        if new:
            for number, deadline in enumerate(DEADLINES):
                self.lanes[device_id, number] = self.site.lane(device_id, deadline)
            self.site.derive(device_id, runtime)

    @rule(device_id=device_ids)
    def remove(self, device_id: DeviceId) -> None:
        self.site.remove(device_id)

    @rule(device_id=device_ids, number=st.integers(0, 2), points=points, conditions=conditions)
    def post(
        self, device_id: DeviceId, number: int, points: dict[str, Value | None], conditions: dict[str, bool]
    ) -> None:
        self.lanes[device_id, number].post(points, conditions)

    @rule(posts=st.lists(st.tuples(device_ids, st.integers(0, 2), points, conditions), max_size=4), fail=st.booleans())
    def transaction(
        self, posts: list[tuple[DeviceId, int, dict[str, Value | None], dict[str, bool]]], fail: bool
    ) -> None:
        before = self.revision
        with suppress(ZeroDivisionError), self.site.transaction():
            for post in posts:
                self.post(*post)
            assert 1 / (not fail)
        assert self.revision <= before + 1

    @rule(device_id=device_ids, number=st.integers(0, 2))
    def lose(self, device_id: DeviceId, number: int) -> None:
        self.lanes[device_id, number].lost()

    @rule(device_id=device_ids, number=st.integers(0, 2), keys=st.lists(st.sampled_from(POINTS)))
    def drop(self, device_id: DeviceId, number: int, keys: list[str]) -> None:
        self.lanes[device_id, number].drop(keys)

    @rule(seconds=st.sampled_from([0.5, 3.0, 5.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.clock.tick(seconds)
        due = self.site.expire()
        assert due is None or due > 0

    @invariant()
    def changes_add_up_to_the_snapshot(self) -> None:
        assert self.revision == self.site.revision
        assert self.devices == dict(self.site.devices)
        assert self.readings == {
            (device, key): self.seen(reading)
            for device in self.site.devices
            for key, reading in self.site.readings(device).items()
        }
        assert self.conditions == {
            (device, key): state for device in self.site.devices for key, state in self.site.conditions(device).items()
        }

    @invariant()
    def edges_add_up_to_the_conditions(self) -> None:
        active = {key for key, state in self.conditions.items() if state.active}
        assert active == {key for key, raised in self.raised.items() if raised}

    @invariant()
    def good_readings_are_younger_than_the_longest_deadline(self) -> None:
        for device in self.site.devices:
            for reading in self.site.readings(device).values():
                assert reading.value is None or reading.quality is not Quality.UNSUPPORTED
                assert reading.value == reading.value  # no NaN

    @invariant()
    def every_point_has_one_lane_that_answers_for_it(self) -> None:
        for device in self.site.devices:
            lanes = [lane for (owner, _), lane in self.lanes.items() if owner == device]
            lanes += [lane for _, lane in self.site._derivations[device]]
            answered = [key for lane in lanes for key in lane.keys]
            assert len(answered) == len(set(answered))
            known = {(key, False) for key in self.site.readings(device)}
            assert set(answered) == known | {(key, True) for key in self.site.conditions(device)}


SiteMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestSite = SiteMachine.TestCase
