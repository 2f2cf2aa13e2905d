"""What the bridge says is taken apart, and what it must not say is refused."""

from typing import Any

from hypothesis import HealthCheck, given, settings, strategies as st
import pytest

from custom_components.ridethrough import wire
from custom_components.ridethrough.wire import MalformedMessage, Role

from .bridge_peer import device, reading, state

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
PARSERS = (
    wire.hello,
    wire.ready,
    wire.snapshot,
    wire.delta,
    wire.event,
    wire.result,
    wire.device,
    wire.reading,
    wire.condition_state,
)
FIELDS = (
    "api", "bridge", "min", "max", "id", "role", "revision", "seq", "devices", "points", "conditions", "since",
    "at", "kind", "device", "key", "edge", "severity", "details", "ok", "message", "error", "code", "value", "quality",
)  # fmt: skip


@given(parser=st.sampled_from(PARSERS), raw=JSON | st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=8))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_comes_is_parsed_or_malformed(parser: Any, raw: Any) -> None:
    try:
        parser(raw)
    except MalformedMessage:
        return


@pytest.mark.parametrize(
    ("parser", "raw"),
    [
        (wire.hello, {"api": {"min": 1, "max": "1"}, "bridge": {"id": "a", "name": "b", "version": "c"}}),
        (wire.ready, {"role": "king"}),
        (wire.reading, reading([1])),
        (wire.reading, reading(1, "splendid")),
        (wire.reading, reading(1, at=float("inf"))),
        (wire.reading, "12"),
        (wire.condition_state, state(1)),  # type: ignore[arg-type]  # that is the point
        (wire.device, device("a", "ups", "A", None, commands="all")),
        (wire.device, device("a", "ups", "A", None, commands=[1])),
        (wire.device, device("a", "ups", "A", 5)),  # type: ignore[arg-type]  # that is the point
        (wire.delta, {"since": 1, "revision": 2, "points": []}),
        (wire.snapshot, {"revision": 1, "seq": 1, "devices": [], "points": None, "conditions": {}}),
    ],
)
def test_what_breaks_the_contract_is_malformed(parser: Any, raw: Any) -> None:
    with pytest.raises(MalformedMessage):
        parser(raw)


def test_values_of_devices_that_a_snapshot_does_not_name_are_dropped() -> None:
    raw = {
        "revision": 1, "seq": 0, "devices": [device("a", "ups", "A", None)],
        "points": {"a": {"x": reading(1)}, "b": {"x": reading(1)}}, "conditions": {"b": {"y": state(True)}},
    }  # fmt: skip
    snapshot = wire.snapshot(raw)
    assert set(snapshot.points) == {"a"}
    assert snapshot.conditions == {}


def test_role_includes_the_lesser_ones() -> None:
    assert Role.ADMIN.may(Role.GUEST)
    assert Role.ENGINEER.may(Role.ENGINEER)
    assert not Role.CUSTOMER.may(Role.ENGINEER)
