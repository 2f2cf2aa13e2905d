"""What the tables must hold: NUT's vocabulary, RFC 1628, the manual; and what real devices send."""

from pathlib import Path
import re

import pytest

from ridethrough.catalogue import CatalogueError, Category, load_catalogue, reader
from tests.strangers import recorded

CATALOGUE = load_catalogue()
NAMES = Path(__file__).parent

# What single old drivers called by names of their own: no standard, never was.
ODD = {
    "input.voltage.minimim",
    "ups.input.frequency",
    "ups.input.voltage",
    "ups.mfg",
    "ups.output.percentload",
    "ups.output.voltage",
    "ups.runtime",
}
# Values that are none, by key: what the device or its driver got wrong.
NO_VALUE = {
    ("ambient.temperature.high", "221"),
    ("battery.charge", "120"),
    ("battery.charge", "255"),
    ("battery.runtime", "3932100"),
    ("battery.temperature", "-213"),
    ("battery.temperature", "-272"),
    ("battery.temperature", "302.0"),
    ("battery.temperature", "3022999999999999855"),
    ("ups.temperature", "255"),
    ("ups.temperature", "302.0"),
    ("battery.runtime", "64:41"),
    ("outlet.switchable", "2.00"),
    ("outlet.switchable", "3.00"),
    ("ups.efficiency", "LoadTooLow"),
    ("ups.start.auto", "128.00"),
    ("ups.temperature", "XX.X"),
}
_REMARK = re.compile(r"\s+#(BAD|COMMENT).*")
_OUTLET = re.compile(r"outlet\.(\d+)\.(.+)")


def resolve(key: str) -> tuple[str, str]:
    """Say to which kind of device a variable of upsd belongs, and what it is called there."""
    outlet = _OUTLET.fullmatch(key)
    return ("ups", key) if outlet is None else ("outlet", f"outlet.{outlet[2]}")


@recorded("nut/*.dev")
def test_every_variable_of_a_recorded_ups_is_a_point(recording: Path) -> None:
    for line in recording.read_text(encoding="utf-8", errors="replace").splitlines():
        key, colon, text = line.partition(": ")
        if line.startswith("#") or not colon:
            continue
        point = CATALOGUE.point(*resolve(key))
        assert (point is None) == (key in ODD), key
        value = _REMARK.sub("", text).strip()
        if point is None or not value or (resolve(key)[1], value) in NO_VALUE:
            continue
        point.coerce(value)


@pytest.mark.parametrize("key", (NAMES / "nut_names.txt").read_text().split())
def test_every_documented_name_of_nut_is_a_point(key: str) -> None:
    assert CATALOGUE.point(*resolve(key)) is not None


@pytest.mark.parametrize("domain", ["input", "input.bypass", "input.servicebypass"])
@pytest.mark.parametrize("context", ["", ".L1", ".N", ".L2-N", ".L3-L1"])
@pytest.mark.parametrize(
    "spec", ["alarm", "current.peak", "voltage.high.critical", "power.minimum.percent", "realpower", "crestfactor"]
)
def test_every_measurement_of_three_phases_is_a_point(domain: str, context: str, spec: str) -> None:
    for side in (domain, domain.replace("input", "output"), "output.inverter"):
        assert CATALOGUE.point("ups", f"{side}{context}.{spec}") is not None


@pytest.mark.parametrize("key", (NAMES / "nut_commands.txt").read_text().split())
def test_every_instant_command_of_nut_is_a_command(key: str) -> None:
    kind, name = resolve(key)
    assert CATALOGUE.command(kind, name.replace("outlet.load.", "outlet.")) is not None


def test_every_example_of_a_template_finds_that_template() -> None:
    samples = {"line": "L2-N", "branch": "bypass", "number": "3", "contact": "2", "name": "pollinterval"}
    for point in CATALOGUE.points:
        key = re.sub(r"\{(\w+)\}", lambda found: samples[found[1]], point.key.text)
        for kind in point.kinds:
            assert CATALOGUE.point(kind, key) is point, key


def test_a_person_sees_little_first_and_not_much_unasked() -> None:
    primary = [point for point in CATALOGUE.points if point.category is Category.PRIMARY]
    for kind in CATALOGUE.kinds:
        assert sum(kind in point.kinds for point in primary) <= 20
        assert sum(kind in point.kinds for point in CATALOGUE.points if point.enabled) <= 50
    assert not [point.key.text for point in primary if not point.enabled]


def test_points_are_not_for_configuration() -> None:
    # Home Assistant refuses such sensors.
    assert not [point.key.text for point in CATALOGUE.points if point.category is Category.CONFIG]


def test_an_enum_has_options_and_nothing_else_has() -> None:
    for point in CATALOGUE.points:
        assert bool(point.options) == (point.quantity.name == "enum"), point.key.text
        assert set(point.aliases.values()) <= set(point.options)
        assert not set(point.aliases) & set(point.options)


HARMLESS = ("shutdown.stop", "agent.wakeup", "agent.drill")
"""Of the groups that cut power: what calls it back or rehearses it."""


def test_a_command_that_cuts_power_is_for_administrators() -> None:
    for row in CATALOGUE.commands:
        if row.group in ("shutdown", "load") and row.key not in HARMLESS:
            assert row.role == "admin", row.key
            assert not row.enabled, row.key


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("points.csv", "key,kinds,quantity\nups.load,ups", "more or fewer cells"),
        ("points.csv", "key,kinds,quantity\nups.load,ups,ratio,more", "more or fewer cells"),
        ("points.csv", "key,kinds,quantity\nups.load,ups,furlong", "unknown quantity 'furlong'"),
    ],
)
def test_table_with_a_fault_is_refused(monkeypatch: pytest.MonkeyPatch, file: str, text: str, problem: str) -> None:
    whole = reader._text
    monkeypatch.setattr(reader, "_text", lambda name: text if name == file else whole(name))
    with pytest.raises(CatalogueError, match=problem):
        reader.load_catalogue.__wrapped__()
