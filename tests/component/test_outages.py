"""The history of outages, put together from what is seen and what the journal tells of the rest."""

from hypothesis import given, settings, strategies as st

from custom_components.ridethrough.outages import Outage, Supply, _continued, _retold
from custom_components.ridethrough.wire import Edge, Event

edges = st.lists(st.tuples(st.integers(min_value=2, max_value=900), st.booleans()), min_size=1, max_size=40)
"""Seconds until power goes or comes, and whether the bridge is away then."""


def event(at: float, *, active: bool) -> Event:
    return Event(0, at, "condition", "ups", "on_battery", Edge.RAISED if active else Edge.CLEARED, "warning")


@settings(max_examples=300, deadline=None)
@given(edges)
def test_history_is_the_same_whatever_was_seen(story: list[tuple[int, bool]]) -> None:
    true: list[Outage] = []
    known: tuple[Outage, ...] = ()
    missed: list[Event] = []
    now, active = 1000.0, False
    for seconds, away in [*story, (5, False)]:
        now += seconds
        active = not active
        true = [*true, Outage(now)] if active else [*true[:-1], Outage(true[-1].since, now)]
        missed.append(event(now, active=active))
        if away:
            continue
        # The state comes first, then the journal's replay.
        known = _continued(known, on_battery=active, since=now)
        for one in missed:
            known = _retold(known, one)
        missed.clear()
        assert known == tuple(true[-32:])


def test_flaps_are_one_outage_as_long_as_power_is_never_back_for_long() -> None:
    history = (Outage(0, 10), Outage(100, 200), Outage(230, 300), Outage(360))
    supply = Supply(True, history)
    assert [supply.outage(ignored) for ignored in (0, 30, 60, 90)] == [
        Outage(360), Outage(360), Outage(100), Outage(0),
    ]  # fmt: skip
    assert Supply(False, history[:3]).outage(60) is None


def test_return_of_power_of_which_nothing_is_told_counts_as_long() -> None:
    unsure = _continued((Outage(100),), on_battery=True, since=160)
    assert Supply(True, unsure).outage(50) == Outage(160)
    told = _retold(unsure, event(150, active=False))
    assert Supply(True, told).outage(50) == Outage(100)
