"""Variables as values of points, and the units of those that the catalogue does not know."""

from hypothesis import given, strategies as st
import pytest

from ridethrough.catalogue import Catalogue, Category, Point, Quantity, Template
from ridethrough.links.nut.names import Place, place_command, place_variable
from ridethrough.links.nut.units import unit_of
from ridethrough.links.nut.values import NAME_LIMIT, Values

VOLTAGE = Quantity("voltage", "V", "float")
TEXT = Quantity("text", "", "text")


def catalogue() -> Catalogue:
    """Make one that does not move: an input voltage, descriptions of outlets, and anything of the driver."""
    return Catalogue(
        {"ups": "UPS", "outlet": "Outlet"},
        (
            Point(Template("input.voltage"), frozenset({"ups"}), VOLTAGE, "Input voltage", Category.PRIMARY),
            Point(Template("outlet.desc"), frozenset({"ups", "outlet"}), TEXT, "Description"),
            Point(Template("driver.parameter.{name}"), frozenset({"ups"}), TEXT, "Parameter {name}"),
        ),
        (),
        (),
    )


def test_a_text_becomes_the_value_of_its_point() -> None:
    reading = Values(catalogue()).read({"input.voltage": "230.10"})
    assert reading.points == {None: {"input.voltage": 230.1}}
    assert reading.malformed == 0


@pytest.mark.parametrize("text", ["n/a", "230,1", "inf", "nan", "1e999", "9" * 400])
def test_a_text_that_is_no_value_is_counted_once_and_left_out(text: str) -> None:
    values = Values(catalogue())
    reading = values.read({"input.voltage": text})
    assert reading.points == {None: {}}
    assert reading.malformed == 1
    assert values.read({"input.voltage": text}).malformed == 0
    assert values.raw()[0].text == text


def test_an_empty_text_is_no_value_and_no_fault() -> None:
    reading = Values(catalogue()).read({"input.voltage": "", "outlet.desc": " "})
    assert reading.points == {None: {}}
    assert reading.malformed == 0


def test_what_is_no_longer_mentioned_is_dropped_once() -> None:
    values = Values(catalogue())
    values.read({"input.voltage": "230", "outlet.3.desc": "Printer"})
    reading = values.read({"input.voltage": "n/a"})
    assert reading.dropped == {None: ["input.voltage"], "3": ["outlet.desc"]}
    assert values.read({}).dropped == {}


def test_what_comes_back_is_read_again() -> None:
    values = Values(catalogue())
    values.read({"input.voltage": "230"})
    values.read({})
    assert values.read({"input.voltage": "230"}).points == {None: {"input.voltage": 230.0}}


def test_an_outlet_is_a_child_and_outlet_0_is_the_ups() -> None:
    reading = Values(catalogue()).read({"outlet.0.desc": "All", "outlet.2.desc": "Printer", "outlet.10.id": "10"})
    assert reading.points == {None: {"outlet.desc": "All"}, "2": {"outlet.desc": "Printer"}, "10": {}}


@pytest.mark.parametrize("names", [["outlet.desc", "outlet.0.desc"], ["outlet.0.desc", "outlet.desc"]])
def test_outlet_without_a_number_goes_before_outlet_0(names: list[str]) -> None:
    reading = Values(catalogue()).read({name: name for name in names})
    assert reading.points[None]["outlet.desc"] == "outlet.desc"


def test_every_variable_is_shown_raw_with_its_unit() -> None:
    values = Values(catalogue())
    values.read({"input.voltage": "230.10", "battery.runtime": "7", "outlet.2.desc": "Printer", "x.y": "?"})
    shown = {value.name: (value.text, value.unit, value.key, value.child) for value in values.raw()}
    assert shown == {
        "input.voltage": ("230.10", "V", "input.voltage", None),
        "battery.runtime": ("7", "s", None, None),
        "outlet.2.desc": ("Printer", "", "outlet.desc", ("outlet", "2")),
        "x.y": ("?", "", None, None),
    }


def test_names_without_end_are_ignored_at_some_point() -> None:
    values = Values(catalogue())
    for number in range(NAME_LIMIT):
        values.read({f"driver.parameter.n{number}": "1"})
    reading = values.read({"driver.parameter.one-more": "1", "driver.parameter.n0": "2"})
    assert reading.points == {None: {"driver.parameter.n0": "2"}}
    assert reading.malformed == 1


@given(
    st.lists(st.dictionaries(st.sampled_from(["input.voltage", "outlet.1.desc", "a"]), st.text(max_size=9)), max_size=5)
)
def test_any_answers_in_any_order_keep_the_books(answers: list[dict[str, str]]) -> None:
    values = Values(catalogue())
    held: set[tuple[str | None, str]] = set()
    for answer in answers:
        reading = values.read(answer)
        now = {(owner, key) for owner, points in reading.points.items() for key in points}
        gone = {(owner, key) for owner, keys in reading.dropped.items() for key in keys}
        assert gone == held - now
        assert {value.name for value in values.raw()} == set(answer)
        held = now


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("ups.load", Place(None, "ups.load")),
        ("outlet.desc", Place(None, "outlet.desc")),
        ("outlet.0.desc", Place(None, "outlet.desc")),
        ("outlet.1.delay.start", Place("1", "outlet.delay.start")),
        ("outlet.024.id", Place("24", "outlet.id")),
        ("outlet.group.1.name", Place(None, "outlet.group.1.name")),
        ("outlet.1234.id", Place(None, "outlet.1234.id")),
        ("outlet.1", Place(None, "outlet.1")),
    ],
)
def test_variables_have_their_place(name: str, place: Place) -> None:
    assert place_variable(name) == place
    assert place.kind == ("ups" if place.outlet is None else "outlet")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("load.off", Place(None, "load.off")),
        ("outlet.2.load.on", Place("2", "outlet.on")),
        ("outlet.2.load.off", Place("2", "outlet.off")),
        ("outlet.2.load.cycle", Place("2", "outlet.cycle")),
        ("outlet.2.shutdown.return", Place("2", "outlet.shutdown.return")),
        ("outlet.2.dance", None),
        ("outlet.0.load.off", None),
    ],
)
def test_commands_have_their_place(name: str, place: Place | None) -> None:
    assert place_command(name) == place


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("input.L1-N.voltage", "V"),
        ("input.transfer.boost.low", "V"),
        ("input.bypass.L2.current.maximum", "A"),
        ("output.frequency.nominal", "Hz"),
        ("output.L1.power.maximum.percent", "%"),
        ("output.L3.realpower", "W"),
        ("ups.power.nominal", "VA"),
        ("ambient.1.temperature.high.warning", "°C"),
        ("ambient.humidity", "%"),
        ("battery.charge.restart", "%"),
        ("battery.capacity", "Ah"),
        ("battery.runtime.low", "s"),
        ("outlet.group.1.delay.shutdown", "s"),
        ("ups.test.interval", "s"),
        ("ups.status", ""),
        ("input.voltage.status", ""),
        ("battery.energysave.delay", ""),
        ("ups.powersummary.voltage", ""),
        ("driver.parameter.default.battery.voltage", ""),
        ("experimental.output.energy", ""),
    ],
)
def test_units_follow_nuts_names_where_they_are_certain(name: str, unit: str) -> None:
    assert unit_of(name) == unit
