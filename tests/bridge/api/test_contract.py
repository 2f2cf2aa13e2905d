"""The schema, and that what is parsed and written here is what it says."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, strategies as st
from jsonschema import Draft202012Validator
import orjson
import pytest

from ridethrough.api import load_schema, wire
from ridethrough.api.requests import Action, Auth, Command, Configure, MalformedRequest, MissingToken, Subscribe, parse
from ridethrough.catalogue import Role, Severity
from ridethrough.config import ConfigureError
from ridethrough.events.event import EdgeKind, Event, EventKind
from ridethrough.events.orders import Order
from ridethrough.site import CommandError, CommandResult, ConditionState, Device, DeviceId, Quality, Reading, Source

from .harness import HEARS, SAYS, UPS


def test_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(load_schema())
    for name in load_schema()["$defs"]:
        Draft202012Validator.check_schema(load_schema(name))


def test_unknown_definition_is_an_error() -> None:
    with pytest.raises(KeyError, match="Nonsense"):
        load_schema("Nonsense")


def test_clients_must_ignore_what_they_do_not_know_and_the_bridge_refuses_it() -> None:
    definitions: Mapping[str, Any] = load_schema()["$defs"]
    for name in ("Auth", "Subscribe", "Command", "Configure"):
        assert definitions[name]["additionalProperties"] is False
    for name in ("Hello", "Ready", "Snapshot", "Delta", "Event", "Device", "Reading", "ConditionState"):
        assert "additionalProperties" not in definitions[name]
    assert SAYS.is_valid(orjson.loads(wire.ready(Role.GUEST)) | {"from": "the future"})


KEYS = st.one_of(st.text(min_size=1, max_size=8), st.text(max_size=140), st.none(), st.integers())
NUMBERS = st.one_of(
    st.integers(-2, 2),
    st.integers(),
    st.none(),
    st.booleans(),
    st.text(max_size=3),
    st.sampled_from([2**53, 2**53 - 1]),
)
VALUES = st.one_of(
    st.text(max_size=4), st.integers(-(2**53), 2**53), st.booleans(), st.floats(allow_nan=False, allow_infinity=False),
    st.none(), st.lists(st.integers()), st.just("x" * 1025), st.just("x" * 1024),
)  # fmt: skip
MESSAGES = st.one_of(
    st.fixed_dictionaries(
        {"type": st.just("auth"), "token": KEYS}, optional={"api": st.just(1) | NUMBERS, "more": st.just(1)}
    ),
    st.fixed_dictionaries({"type": st.just("subscribe")}, optional={"events_after": NUMBERS, "more": st.just(1)}),
    st.fixed_dictionaries(
        {
            "type": st.just("command"),
            "id": NUMBERS,
            "device": KEYS,
            "command": KEYS,
            "arguments": st.dictionaries(st.text(max_size=5), VALUES, max_size=18) | VALUES,
        },
        optional={"more": st.just(1)},
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("configure"),
            "id": NUMBERS,
            "action": st.sampled_from(["schemes", "list", "test", "put", "remove", "drop", "", None, 1]),
            "arguments": st.dictionaries(st.text(max_size=5), VALUES, max_size=18) | VALUES,
        },
        optional={"more": st.just(1)},
    ),
    st.dictionaries(st.text(max_size=5), VALUES, max_size=3),
)


@given(message=MESSAGES)
def test_exactly_what_the_schema_allows_is_understood(message: dict[str, Any]) -> None:
    try:
        text = orjson.dumps(message)
    except TypeError:  # integers that no client could send in 64 bits
        return
    try:
        request = parse(text)
    except MalformedRequest:
        understood = False
    else:
        understood = not isinstance(request, Auth) or request.supported
    assert understood == HEARS.is_valid(message)


@given(text=st.binary(max_size=200))
def test_any_bytes_are_a_request_or_malformed(text: bytes) -> None:
    with pytest.raises(MalformedRequest):
        parse(text)


def test_requests_are_taken_apart() -> None:
    assert parse(b'{"type":"auth","token":"t","api":1}') == Auth("t", supported=True)
    assert parse(b'{"type":"auth","api":2}') == Auth("", supported=False)
    assert parse(b'{"type":"subscribe","events_after":7}') == Subscribe(7)
    assert parse(b'{"type":"subscribe","events_after":null}') == Subscribe(None)
    assert parse(b'{"type":"command","id":1,"device":"d","command":"c","arguments":{"a":1.5,"b":true}}') == Command(
        1, Order(DeviceId("d"), "c", {"a": 1.5, "b": True})
    )
    assert parse(b'{"type":"configure","id":7,"action":"put","arguments":{"device":{"id":"x"}}}') == Configure(
        7, Action.PUT, {"device": {"id": "x"}}
    )
    with pytest.raises(MissingToken, match="1 to 512 characters"):
        parse(b'{"type":"auth","api":1}')


TEXT = st.text(st.characters(exclude_categories=()), max_size=6)
TIMES = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # zones added
ANY_VALUE = st.one_of(st.floats(), st.integers(), st.booleans(), TEXT)
READINGS = st.builds(Reading, st.none() | ANY_VALUE, st.sampled_from(Quality), TIMES, st.sampled_from(Source))
STATES = st.builds(ConditionState, st.booleans(), st.sampled_from([Quality.GOOD, Quality.STALE, Quality.LOST]), TIMES)
DEVICES = st.builds(
    Device, st.just(UPS.id), TEXT, TEXT, TEXT, st.none(), st.none() | TEXT, st.none() | TEXT, st.none() | TEXT,
    st.none() | TEXT, st.frozensets(st.sampled_from(["a", "b"])),
)  # fmt: skip


@given(
    device=DEVICES,
    readings=st.dictionaries(TEXT, READINGS, max_size=3),
    states=st.dictionaries(TEXT, STATES, max_size=3),
)
def test_whatever_a_site_holds_can_be_said(
    device: Device, readings: dict[str, Reading], states: dict[str, ConditionState]
) -> None:
    delta = wire.delta(
        1,
        3,
        {device.id: device, DeviceId("gone"): None},
        {(device.id, key): row for key, row in readings.items()},
        {(device.id, key): row for key, row in states.items()},
    )
    snapshot = wire.snapshot(3, 4, [device], {device.id: wire.points(readings)}, {device.id: wire.conditions(states)})
    for text in (delta, snapshot):
        SAYS.validate(orjson.loads(text))


@given(details=st.dictionaries(TEXT, ANY_VALUE, max_size=3), device=st.none() | st.just(UPS.id))
def test_whatever_happens_can_be_said(details: dict[str, Any], device: DeviceId | None) -> None:
    now = datetime.now(UTC)
    for kind, edge, severity in zip(EventKind, EdgeKind, Severity, strict=True):
        text = wire.event(Event(now, kind, device, "key", edge, severity, details, seq=1))
        SAYS.validate(orjson.loads(text))


def test_results_are_said_as_the_contract_has_them() -> None:
    codes = load_schema()["$defs"]["ErrorCode"]["enum"]
    for code in codes:
        SAYS.validate(orjson.loads(wire.result(1, CommandError(code, "Why."))))
    SAYS.validate(orjson.loads(wire.result(1, CommandResult("Done."))))


def test_errors_about_the_configuration_are_said_as_the_contract_has_them() -> None:
    for code in load_schema()["$defs"]["ConfigureErrorCode"]["enum"]:
        SAYS.validate(orjson.loads(wire.configured(1, ConfigureError(code, "Why."))))
    said = orjson.loads(wire.configured(7, ConfigureError("invalid", "Why.", "option.baud")))
    SAYS.validate(said)
    assert said["error"]["field"] == "option.baud"
    assert "configure" in orjson.loads(wire.ready(Role.ADMIN))["features"]
