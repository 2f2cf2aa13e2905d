"""All recorded devices, from dump to conditions."""

import math
from pathlib import Path

from ridethrough.catalogue import load_catalogue
from ridethrough.links.nut.names import place_variable
from ridethrough.links.nut.protocol import ListAnswer, decode, entries, quote
from ridethrough.links.nut.status import SOURCES, read_status
from ridethrough.links.nut.units import unit_of
from ridethrough.links.nut.values import Values
from tests.peers.upsd import read_dump
from tests.strangers import recorded


@recorded("nut/*.dev")
def test_every_recorded_device_is_read_in_full(recording: Path) -> None:
    text = recording.read_text(encoding="utf-8")
    dump = read_dump(text)
    said = [line for line in text.splitlines() if line[:1].isalnum() and ":" in line]
    assert len(dump) == len({line.partition(":")[0] for line in said})

    listed = ListAnswer(("VAR", "ups1"))
    listed.feed("BEGIN LIST VAR ups1")
    for name, value in dump.items():
        listed.feed(decode(f"VAR ups1 {name} {quote(value)}\n".encode()))
    assert listed.feed("END LIST VAR ups1")
    variables, malformed = entries(listed)
    assert (variables, malformed) == (dump, 0)

    catalogue = load_catalogue()
    values = Values(catalogue)
    reading = values.read(variables)
    assert {value.name: value.text for value in values.raw()} == dump
    for owner, points in reading.points.items():
        kind = "ups" if owner is None else "outlet"
        for key, read in points.items():
            point = catalogue.point(kind, key)
            assert point is not None
            assert point.coerce(read) == read
            assert isinstance(read, str) or math.isfinite(read)


@recorded("nut/*.dev")
def test_every_recorded_status_is_taken_apart(recording: Path) -> None:
    variables = read_dump(recording.read_text(encoding="utf-8"))
    told = read_status(variables)
    words = variables.get("ups.status", "").split()
    assert told.unknown == ()
    if SOURCES.isdisjoint(words):
        assert "on_battery" not in told.conditions
    else:
        assert told.conditions["on_battery"] is ("OB" in words)
        assert told.conditions["battery_low"] is ("LB" in words or "low" in variables.get("ups.alarm", "").lower())
    if variables.get("ups.alarm") not in {None, "", "0"}:
        assert told.conditions["device_alarm"] is True
    catalogue = load_catalogue()
    assert all(catalogue.condition("ups", condition) for condition in told.conditions)


@recorded("nut/*.dev")
def test_a_guessed_unit_never_contradicts_the_catalogue(recording: Path) -> None:
    catalogue = load_catalogue()
    for name in read_dump(recording.read_text(encoding="utf-8")):
        place = place_variable(name)
        point = catalogue.point(place.kind, place.key)
        if point is not None and unit_of(name):
            assert point.unit == unit_of(name), name
