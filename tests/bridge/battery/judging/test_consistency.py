"""The judge looks only at what has changed, and says the same as one that looks at everything."""

from dataclasses import replace
from typing import Any

from hypothesis import given, settings, strategies as st

from ridethrough.battery.board import Phase
from ridethrough.battery.layout import SYSTEM, Place, block, sensor, string
from ridethrough.config.battery import Band, BoxConfig, ImpedanceLimits, Pair, SensorsConfig

from .rig import Rig, configured

BLOCKS = 6
CONFIG = replace(
    configured(
        (3, 3),
        voltage_difference=1.5,
        string_voltage=Band(33.0, 36.0, 43.0, 45.0),
        impedance=ImpedanceLimits(static=Band(high_alarm=9.0), baseline=Pair(30.0, 60.0)),
        module_charge=Pair(60.0, 40.0),
        string_charge=Pair(60.0, 40.0),
        current=Band(-40.0, -30.0, 30.0, 40.0),
        discharge_deviation=Pair(5.0, 10.0),
        charge_deviation=Pair(5.0, 10.0),
        deviation_delay=0.0,
        alarm_delay=5.0,
        sensors=SensorsConfig("each"),
    ),
    boxes=(BoxConfig(),),
)
WITHOUT_BASELINE = replace(CONFIG, limits=replace(CONFIG.limits, impedance=ImpedanceLimits()))

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "voltage": st.sampled_from([None, 9.0, 11.95, 12.03, 12.62, 13.6, 14.65, 14.75, 15.2]),
    "temperature": st.sampled_from([None, 4.0, 9.5, 10.5, 22.0, 31.5, 32.5, 35.5, 36.5]),
    "impedance": st.sampled_from([None, 1.0, 4.0, 5.0, 6.2, 8.9, 12.0]),
    "charge": st.sampled_from([None, 30.0, 41.0, 61.0, 100.0]),
    "baseline": st.sampled_from([None, 4.0, 5.0]),
    "lost": st.booleans(),
}
PER_STRING: dict[str, st.SearchStrategy[Any]] = {
    "current": st.sampled_from([None, -45.0, -39.0, -6.0, 0.0, 6.0, 31.0, 45.0]),
    "string_charge": st.sampled_from([None, 30.0, 61.0, 100.0]),
}
SAID: list[tuple[Place, str]] = [
    (block(1), "module.fuse_blown"),
    (block(4), "equalizing_deactivated"),
    (string(2), "thermal_runaway"),
    (sensor(1), "communications_lost"),
    (SYSTEM, "communications_lost"),
]


def _of(table: dict[str, st.SearchStrategy[Any]], most: int) -> st.SearchStrategy[tuple[str, int, Any]]:
    return st.sampled_from(sorted(table)).flatmap(
        lambda name: st.tuples(st.just(name), st.integers(1, most), table[name])
    )


CHANGES = st.one_of(
    _of(VALUES, BLOCKS),
    _of(VALUES, BLOCKS),
    _of(PER_STRING, 2),
    st.tuples(st.just("phase"), st.just(0), st.sampled_from(Phase)),
    st.tuples(st.just("said"), st.integers(0, len(SAID) - 1), st.booleans()),
)
STEPS = st.lists(st.tuples(st.sampled_from([1.0, 1.0, 4.0, 4000.0]), st.lists(CHANGES, max_size=4)), max_size=12)


def apply(rig: Rig, changes: list[tuple[str, int, Any]]) -> None:
    """Change the board, and what others say."""
    for name, number, value in changes:
        if name == "phase":
            rig.board.phase = value
        elif name == "said":
            place, key = SAID[number]
            (rig.others.setdefault(place, set()).add if value else rig.others.get(place, set()).discard)(key)
        else:
            rig.put(name, {number: value})


def heard(rig: Rig) -> tuple[object, ...]:
    """Return all that has come of it so far."""
    return rig.conditions, rig.unknown, rig.points


@settings(max_examples=80, deadline=None)
@given(steps=STEPS, baseline=st.booleans())
def test_judging_what_has_changed_is_judging_everything(
    steps: list[tuple[float, list[tuple[str, int, Any]]]], baseline: bool
) -> None:
    """Whatever comes, and in whatever order."""
    config = CONFIG if baseline else WITHOUT_BASELINE
    changed, everything = Rig(config), Rig(config)
    for seconds, changes in steps:
        apply(changed, changes)
        apply(everything, changes)
        everything.board.changed.update(range(1, BLOCKS + 1))
        changed.step(seconds)
        everything.step(seconds)
        assert heard(changed) == heard(everything)


@settings(max_examples=80, deadline=None)
@given(steps=STEPS)
def test_findings_are_only_what_is_new_or_different(steps: list[tuple[float, list[tuple[str, int, Any]]]]) -> None:
    """What is found once more has been unknown meanwhile."""
    rig = Rig(CONFIG)
    for seconds, changes in steps:
        conditions, points, unknown = dict(rig.conditions), dict(rig.points), set(rig.unknown)
        apply(rig, changes)
        found = rig.step(seconds)
        for name, holds in found.conditions.items():
            assert conditions.get(name) is not holds or name in unknown
        assert not found.unknown & unknown - found.conditions.keys()
        for name, value in found.points.items():
            assert points.get(name) != value
        assert not rig.step(0.0).conditions


@settings(max_examples=40, deadline=None)
@given(before=STEPS, after=STEPS)
def test_a_restart_in_the_middle_changes_nothing(
    before: list[tuple[float, list[tuple[str, int, Any]]]], after: list[tuple[float, list[tuple[str, int, Any]]]]
) -> None:
    """What is remembered is what is raised and the rest of the alarm delay; hysteresis goes on."""
    steady = Rig(CONFIG)
    for seconds, changes in before:
        apply(steady, changes)
        steady.step(seconds)
    if steady.board.phase is Phase.CHARGING and not steady.judge.quiet:
        # A start amid a charge is taken for one after a discharge, even if that is long ago.
        steady.go(Phase.FLOATING)
    raised = tuple((Place(kind, number), key) for (kind, number, key), holds in steady.conditions.items() if holds)
    again = Rig(CONFIG, raised=raised, state=steady.judge.state(), phase=steady.board.phase, begin=False)
    again.conditions, again.points = dict(steady.conditions), dict(steady.points)
    again.now = steady.now
    again.others = {place: set(keys) for place, keys in steady.others.items()}
    for name in (*VALUES, *PER_STRING):
        setattr(again.board, name, list(getattr(steady.board, name)))
    again.board.changed.update(range(1, BLOCKS + 1))
    steady.step(0.0)
    again.step(0.0)
    for seconds, changes in after:
        apply(steady, changes)
        apply(again, changes)
        # Patience with what is not known begins anew with a restart, so it must not run out meanwhile.
        steady.step(min(seconds, 4.0))
        again.step(min(seconds, 4.0))
    assert {name for name, holds in again.conditions.items() if holds} == {
        name for name, holds in steady.conditions.items() if holds
    }
