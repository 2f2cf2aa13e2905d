"""Events in words."""

from datetime import UTC, datetime

import pytest

from ridethrough.catalogue import Severity, load_catalogue
from ridethrough.events import EdgeKind, Event, EventKind
from ridethrough.events.sentence import EDGES, sentence
from ridethrough.site import Device, DeviceId, Value
from scripts.generation.component import EDGES as GENERATED

UPS = Device(DeviceId("1"), "ups-1", "ups", "Rack UPS")
RAISED, CLEARED, OCCURRED = EdgeKind
CONDITION, COMMAND, SYSTEM = EventKind


@pytest.mark.parametrize(
    ("kind", "key", "edge", "details", "said"),
    [
        pytest.param(CONDITION, "on_battery", RAISED, {}, "Rack UPS: On battery: begun", id="raised"),
        pytest.param(CONDITION, "on_battery", CLEARED, {}, "Rack UPS: On battery: over", id="cleared"),
        pytest.param(CONDITION, "user_alarm.7", RAISED, {}, "Rack UPS: User alarm 7: begun", id="template"),
        pytest.param(CONDITION, "unheard_of", RAISED, {}, "Rack UPS: unheard_of: begun", id="unknown-condition"),
        pytest.param(
            COMMAND,
            "test.battery.start.quick",
            OCCURRED,
            {"actor": "admin", "outcome": "ok", "message": "The test has begun."},
            "Rack UPS: Battery test by admin: The test has begun.",
            id="command",
        ),
        pytest.param(
            COMMAND, "load.off", OCCURRED, {"outcome": "refused"}, "Rack UPS: Output off: refused", id="outcome"
        ),
        pytest.param(COMMAND, "unheard.of", OCCURRED, {}, "Rack UPS: unheard.of", id="unknown-command"),
        pytest.param(SYSTEM, "started", OCCURRED, {"version": "1.2"}, "Rack UPS: started, version 1.2", id="started"),
        pytest.param(SYSTEM, "went_away", OCCURRED, {}, "Rack UPS: went away", id="unknown-system"),
        pytest.param(
            SYSTEM,
            "started",
            OCCURRED,
            {"speed": 3, "why": "{x}"},
            "Rack UPS: started (speed 3, why {x})",
            id="details",
        ),
        pytest.param(
            SYSTEM,
            "device_added",
            OCCURRED,
            {"actor": "{admin}", "device": "ups-2", "name": "{0}", "link": "x"},
            "Rack UPS: {0} (ups-2) added by {admin}",
            id="braces",
        ),
        pytest.param(
            SYSTEM,
            "acknowledged",
            OCCURRED,
            {"condition": "Battery low", "state": "begun", "name": "Control room", "actor": "BACnet 192.0.2.7"},
            "Rack UPS: Battery low: begun, acknowledged by Control room (BACnet 192.0.2.7)",
            id="acknowledged",
        ),
    ],
)
def test_an_event_is_said_in_words(
    kind: EventKind, key: str, edge: EdgeKind, details: dict[str, Value], said: str
) -> None:
    event = Event(datetime.now(UTC), kind, UPS.id, key, edge, Severity.INFO, details, 1)
    assert sentence(event, UPS, load_catalogue()) == said


@pytest.mark.parametrize(("owner", "said"), [(DeviceId("abc"), "abc"), (None, "Bridge")])
def test_a_device_that_is_gone_is_said_by_its_identity(owner: DeviceId | None, said: str) -> None:
    for kind in (CONDITION, COMMAND):
        event = Event(datetime.now(UTC), kind, owner, "on_battery", OCCURRED, Severity.INFO, {}, 1)
        assert sentence(event, None, load_catalogue()) == f"{said}: on_battery"


def test_words_are_those_of_the_event_entities() -> None:
    assert {edge.value: words for edge, words in EDGES.items()} == GENERATED["en"]
