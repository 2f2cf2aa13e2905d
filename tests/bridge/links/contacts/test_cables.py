"""The table of cables, and contacts as people write them."""

import csv
from importlib import resources

import pytest

from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.links.contacts.cables import CABLES, INPUTS, MEANINGS, Contact, outputs
from ridethrough.links.contacts.debounce import Debounce
from ridethrough.links.contacts.rfc2217 import Decoder
from ridethrough.links.schemes import check_link


# On line, battery low and shutdown of some types, as genericups(8) prints them: OL=-CTS is a power failure by CTS high.
@pytest.mark.parametrize(
    ("cable", "power_fail", "battery_low", "supply", "shutdown"),
    [
        ("apc-940-0095a", "ri", "dcd", {"dtr"}, {"rts"}),
        ("apc-940-0023a", "dcd", "cts", set(), {"rts"}),
        ("rups", "!cts", "!dcd", {"rts"}, set()),
        ("repotec", "!dcd", "!cts", {"dtr", "rts"}, {"break"}),
        ("megatec-m2501", "!cts", "!dcd", {"rts"}, {"rts", "dtr"}),
        ("nitram-elite-500", "!cts", "!dcd", {"dtr"}, None),
    ],
)
def test_a_cable_is_what_the_documentation_says(
    cable: str, power_fail: str, battery_low: str, supply: set[str], shutdown: set[str] | None
) -> None:
    row = CABLES[cable]
    assert row.contacts["power_fail"] == Contact.parse(power_fail)
    assert row.contacts["battery_low"] == Contact.parse(battery_low)
    assert row.supply == supply
    assert row.shutdown == shutdown


def test_every_type_of_genericups_is_there_once() -> None:
    text = resources.files("ridethrough.links.contacts").joinpath("cables.csv").read_text()
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    assert [int(row["number"]) for row in rows] == list(range(24))


def test_meanings_are_conditions_of_a_ups() -> None:
    assert all(load_catalogue().condition("ups", condition) for condition in MEANINGS.values())


@pytest.mark.parametrize("name", list(CABLES))
def test_every_cable_makes_a_link(name: str) -> None:
    check_link(f"contacts:/dev/ttyS0?cable={name}")
    assert {contact.name for contact in CABLES[name].needed} <= set(INPUTS)


def test_a_contact_is_read_as_it_is_written() -> None:
    assert Contact.parse("!DCD") == Contact("dcd", True)
    assert Contact.parse("!io-1/io_box-2/input.3").place == ("io-1/io_box-2", "input.3")
    assert Contact("cts", True).holds(False)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("contacts:/dev/ttyS0", "says nothing of its contacts; give cable= or power_fail="),
        ("contacts:/dev/ttyS0?power_fail=rts", "rts is no contact; permitted: cts, dcd, dsr, ri, or a device"),
        ("contacts:/dev/ttyS0?power_fail=io-1/", "is no contact"),
        ("contacts:/dev/ttyS0?power_fail=cts&shutdown=cts", "cts are no outputs; permitted: dtr, rts, break"),
        ("contacts:?power_fail=cts", "cts is a line of a serial port, and the link names none"),
        ("contacts:?power_fail=io-1/input.3&shutdown=rts", "shutdown= needs a serial port"),
        ("contacts:/dev/ttyS0?power_fail=io-1/input.3", "names a port, but no contact is on one of its lines"),
        ("contacts:/dev/ttyS0?cable=none", "permitted: upsonic-lan-saver-600"),
        ("contacts://host/path?cable=rups", "names a host and a path"),
        ("contacts:/dev/ttyS0?cable=rups&pulse=0", r"permitted: 0.1 to 120 s"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        check_link(url)


def test_outputs_are_sets() -> None:
    assert outputs("dtr+rts") == {"dtr", "rts"}
    assert outputs("off") == frozenset()


def test_a_contact_counts_when_it_has_stood_still() -> None:
    clock, debounce = ManualClock(), Debounce(0.15)
    samples = [set(), set(), set(), set(), {"cts"}, set(), {"cts"}, {"cts"}, {"cts"}, {"cts"}]
    believed = []
    for sample in samples:
        believed.append(debounce.look(sample, clock.monotonic()))
        clock.tick(0.06)
    assert believed == [None, None, None, *[frozenset()] * 6, {"cts"}]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_telnet_stream_is_taken_apart_wherever_it_is_cut(size: int) -> None:
    stream = b"data\xff\xfd\x2c\xff\xff\xff\xfa\x2c\x6b\xff\xff\xff\xf0more\xff\xf1\xff\xfb\x01"
    decoder = Decoder()
    found = [command for at in range(0, len(stream), size) for command in decoder.feed(stream[at : at + size])]
    assert found == [(0xFD, b"\x2c"), (0xFA, b"\x2c\x6b\xff"), (0xFB, b"\x01")]


def test_a_subnegotiation_without_an_end_is_not_kept_for_ever() -> None:
    decoder = Decoder()
    assert not list(decoder.feed(b"\xff\xfa" + b"x" * 5000))
    assert list(decoder.feed(b"\xff\xfd\x2c")) == [(0xFD, b"\x2c")]
