"""Placeholders in the texts of jobs: what they become, and that nothing else can come in with them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, strategies as st
import pytest

from ridethrough.catalogue import Severity, load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.config import load
from ridethrough.config.placeholders import WORDS, Placeholder, fault, parts, placeholders
from ridethrough.events import EdgeKind, Event, EventKind
from ridethrough.events.steps import Occasion
from ridethrough.events.texts import LONGEST, Texts
from ridethrough.site import Device, DeviceId, Site, Value

BRIDGE, UPS, OUTLET, STS = (DeviceId(name) for name in ("b", "u", "o", "s"))
CONFIG = """\
ups:
  - {id: ups-1, link: "megatec:/dev/ttyUSB0"}
jobs:
  events:
    - {id: switch, on: {device: sts-1, condition: overload}, ups: ups-1, do: {log: x}}
transfer_switches:
  - {id: sts-1, link: "modbus://192.0.2.7/1?profile=transfer_switch"}
"""
AT = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)


class Room:
    """A site with a UPS that has an outlet, and a transfer switch."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(AT)
        self.site = Site(load_catalogue(), self.clock)
        bridge = Device(BRIDGE, "bridge", "bridge", "Server room")
        self.site.put(bridge)
        self.site.put(Device(UPS, "ups-1", "ups", "Rack UPS", manufacturer="Acme", model="Power 3000", serial="4711"))
        self.site.put(Device(OUTLET, "ups-1/outlet-2", "outlet", "NAS", parent=UPS))
        self.site.put(Device(STS, "sts-1", "transfer_switch", "Switch"))
        self.lane = self.site.lane(UPS, 5.0)
        file = folder / "bridge.yaml"
        file.write_text(CONFIG)
        self.texts = Texts(self.site, load(file), self.clock, ZoneInfo("Europe/Berlin"), bridge)

    def say(self, text: str, occasion: Occasion | None = None) -> str:
        return self.texts.render(text, occasion or on())


def on(
    device: DeviceId | None = UPS,
    key: str = "on_battery",
    *,
    origin: str = "job:tell",
    test: bool = False,
    **details: Value,
) -> Occasion:
    """Return the occasion of an event."""
    kind = EventKind.SYSTEM if device is None else EventKind.CONDITION
    event = Event(AT, kind, device, key, EdgeKind.RAISED, Severity.WARNING, details, 17)
    return Occasion(origin, event, test=test)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


SAID = {
    "event": "Rack UPS: On battery: begun",
    "condition": "On battery",
    "key": "on_battery",
    "edge": "begun",
    "severity": "warning",
    "number": "17",
    "message": "n/a",
    "device": "Rack UPS",
    "id": "ups-1",
    "ups": "Rack UPS",
    "manufacturer": "Acme",
    "model": "Power 3000",
    "serial": "4711",
    "firmware": "n/a",
    "alarms": "n/a",
    "time": "2026-07-02 00:30:00",
    "now": "2026-07-02 00:30:00",
    "job": "tell",
    "test": "",
    "bridge": "Server room",
}


def test_every_word_has_a_meaning(room: Room) -> None:
    assert {word: room.say(f"{{{word}}}") for word in WORDS} == SAID


def test_without_an_event_what_is_about_it_is_not_known(room: Room) -> None:
    scheduled = Occasion("schedule:weekly")
    known = {"bridge", "now", "job", "test", "ups", "manufacturer", "model", "serial"}
    for word in WORDS.keys() - known:
        assert room.say(f"{{{word}}}", scheduled) == "n/a"
    assert room.say("{job} of {ups}", scheduled) == "weekly of Rack UPS"


def test_a_word_that_two_tables_have_is_no_point() -> None:
    for word in WORDS:
        assert all(load_catalogue().point(kind, word) is None for kind in load_catalogue().kinds)


def test_values_have_the_units_and_the_precision_of_the_catalogue(room: Room) -> None:
    room.lane.post({"ups.load": 33.333, "battery.runtime": 1799.6, "battery.voltage": 27.25, "ups.mode": "battery"})
    assert room.say("{ups.load}, {battery.runtime}, {battery.voltage}, {ups.mode}") == "33 %, 1800 s, 27.2 V, battery"


def test_values_of_other_types(room: Room) -> None:
    lane = room.site.lane(STS, None)
    room.site.put(Device(DeviceId("a"), "nas", "agent", "NAS"))
    agent = room.site.lane(DeviceId("a"), None)
    agent.post({"agent.last_seen": "2026-07-01T10:00:00+00:00"})
    lane.post({"alarms.present": 3})
    assert room.say("{nas:agent.last_seen} {sts-1:alarms.present}") == "2026-07-01 12:00:00 3"


@pytest.mark.parametrize("how", ["never", "stale", "lost", "unsupported"])
def test_what_is_not_known_any_longer_is_never_the_old_value(room: Room, how: str) -> None:
    if how != "never":
        room.lane.post({"ups.load": 33.0})
        assert room.say("{ups.load}") == "33 %"
    if how == "stale":
        room.clock.tick(60)
        room.site.expire()
    elif how == "lost":
        room.lane.lost()
    elif how == "unsupported":
        room.lane.post({"ups.load": None})
    assert room.say("Load {ups.load}, {ups-1:ups.load}") == "Load n/a, n/a"


def test_a_part_without_the_value_has_that_of_its_ups(room: Room) -> None:
    room.lane.post({"ups.load": 33.0})
    assert room.say("{device} of {ups}: {ups.load}", on(OUTLET, "outlet_on")) == "NAS of Rack UPS: 33 %"


def test_a_block_has_the_values_of_its_battery_system_and_never_old_ones(room: Room) -> None:
    system, block = DeviceId("b1"), DeviceId("b1/17")
    room.site.put(Device(system, "battery-1", "battery_system", "Battery room"))
    room.site.put(Device(block, "battery-1/battery_module-17", "battery_module", "Block 17", parent=system))
    room.site.lane(system, 5.0).post({"battery.voltage": 436.8})
    lane = room.site.lane(block, 5.0)
    lane.post({"module.voltage": 15.123})
    text = "{device} ({id}): {module.voltage} of {battery.voltage}; {module.impedance}"
    occasion = on(block, "module.voltage_high")
    assert room.say(text, occasion) == "Block 17 (battery-1/battery_module-17): 15.123 V of 436.8 V; n/a"
    # Of two battery rooms each has a block 17.
    assert room.say("{event}", occasion) == "Battery room, Block 17: Block voltage too high: begun"
    lane.lost()
    assert room.say("{module.voltage}", occasion) == "n/a"


def test_a_job_may_be_about_another_ups_than_the_device_of_its_event(room: Room) -> None:
    room.site.put(Device(DeviceId("u2"), "ups-2", "ups", "Other UPS"))
    room.lane.post({"battery.charge": 80.0})
    event = on(STS, "overload", origin="job:switch")
    assert room.say("{device}, {ups}: {battery.charge}", event) == "Switch, Rack UPS: 80 %"
    event = on(STS, "overload", origin="job:tell")
    assert room.say("{device}, {ups}: {battery.charge}", event) == "Switch, n/a: n/a"


def test_a_device_that_is_gone_is_not_known(room: Room) -> None:
    room.site.remove(OUTLET)
    occasion = on(OUTLET, "outlet_on")
    assert room.say("{device} {id} {condition} {ups-1/outlet-2:outlet.power}", occasion) == "n/a n/a outlet_on n/a"


def test_alarms_are_those_that_are_known_to_be(room: Room) -> None:
    room.lane.post({}, {"on_battery": False, "charging": True})
    assert room.say("{alarms}") == "none"
    room.lane.post({}, {"on_battery": True, "battery_low": True})
    assert room.say("{alarms}") == "On battery, Battery low"
    room.lane.post({}, {f"user_alarm.{number}": True for number in range(1, 31)})
    assert room.say("{alarms}").startswith("On battery, Battery low, User alarm 1, ")
    room.lane.lost()
    assert room.say("{alarms}") == "n/a"


def test_a_test_says_so_where_it_is_wanted(room: Room) -> None:
    assert room.say("[{test}] {event}", on(test=True)) == "[Test] Rack UPS: On battery: begun"


def test_the_words_of_strangers_bring_nothing_in(room: Room) -> None:
    """No placeholder, no line, no header, and not too much."""
    stranger = "{serial}\r\nBcc: everyone@example.org\u2028{{ups}}" + "x" * 1000
    said = room.say("{message}|", on(None, "something", message=stranger))
    assert said.startswith("{serial} Bcc: everyone@example.org {{ups}}xxx")
    assert len(said) == LONGEST + 1
    assert said.isprintable()


def test_braces_around_anything_else_stay(room: Room) -> None:
    for text in ['{"a": {"b": 1}}', "{}", "{ }", "{0}", "a { b", "}{", "{\nevent}", '{"event"}']:
        assert room.say(text) == text
    assert room.say("{{event}} is {key}") == "{event} is on_battery"
    assert room.say("{ key }") == "on_battery"


@given(st.text(alphabet="{}: abeglnotuv.-1\n", max_size=40))
def test_a_text_without_placeholders_is_itself(text: str) -> None:
    pieces = list(parts(text))
    if not any(isinstance(piece, Placeholder) for piece in pieces) and "{{" not in text:
        assert "".join(piece for piece in pieces if isinstance(piece, str)) == text


@pytest.mark.parametrize(
    "text",
    ["{event.__class__}", "{event!r}", "{event:>100000}", "{0.x}", "{event[0]}", "{lambda: 1}"],
)
def test_nothing_is_evaluated(room: Room, text: str) -> None:
    assert room.say(text) in (text, "n/a")


FAULTS: Mapping[str, str | None] = {
    "nothing special": None,
    "{event} {ups.load} {input.L1.voltage} {any:ups.load}": None,
    "{evnt}": "the placeholder {evnt} is unknown, did you mean {event}",
    "{ups.lod}": "the placeholder {ups.lod} is unknown, did you mean {ups.load}",
    "{event!r}": "the placeholder {event!r} is unknown",
    "{zzz}": "the placeholder {zzz} is unknown (permitted: event, condition, key",
}


@pytest.mark.parametrize(("text", "expected"), FAULTS.items(), ids=FAULTS)
def test_unknown_placeholders_are_faults(text: str, expected: str | None) -> None:
    found = fault(text)
    assert found == expected if expected is None else found is not None and found.startswith(expected)


def test_placeholders_are_found() -> None:
    assert list(placeholders("{a} {{b}} {c:d}")) == [Placeholder("a"), Placeholder("d", "c")]
    assert [str(one) for one in placeholders("{a} {c:d}")] == ["{a}", "{c:d}"]
