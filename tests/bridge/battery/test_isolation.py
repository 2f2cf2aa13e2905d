"""Strings that are cut off: by a contact, by the bridge itself, by currents and voltages together (manual M:7428)."""

import pytest

from ridethrough.battery.board import Board
from ridethrough.battery.isolation import BoxView, Isolation
from ridethrough.battery.layout import Layout
from ridethrough.config.battery import BoxConfig, ContactConfig

from .systems import Count, amps, battery, box, volts


class Run:
    """Three strings, looked at once a second."""

    def __init__(
        self, *, sensors: Count = "each", boxes: tuple[BoxConfig, ...] = (), raised: set[int] | None = None
    ) -> None:
        layout = Layout.of([4, 4, 4])
        self.board = Board(layout)
        self.core = Isolation(battery(sensors=sensors, boxes=boxes), layout, raised or set())
        self.boxes: dict[int, BoxView] = {}
        self.tripped: set[int] = set()
        self.now = 0.0
        self.conditions: dict[tuple[str, int, str], bool] = {}

    def open(self, seconds: int = 0) -> set[int]:
        """Go on for some seconds and return which strings are open."""
        for _ in range(seconds + 1):
            self.conditions |= self.core.see(self.board, self.boxes, self.tripped, self.now).conditions
            self.now += 1.0
        found = {number for (_, number, _), holds in self.conditions.items() if holds and number}
        assert self.conditions["battery_system", 0, "breaker_open"] is bool(found)
        return found


def test_nothing_known_is_not_open() -> None:
    assert Run().open(60) == set()


@pytest.mark.parametrize(
    ("currents", "voltages", "open_"),
    [
        pytest.param((-20.0, 0.1, -21.0), (12.2, 12.9, 12.2), {2}, id="others discharge"),
        pytest.param((8.0, 8.0, 0.0), (13.9, 13.9, 12.8), {3}, id="others charge"),
        pytest.param((-20.0, 0.1, -21.0), (12.2, 12.2, 12.2), set(), id="voltage is that of the others: sensor broken"),
        pytest.param((-2.0, 0.0, -2.0), (12.2, 12.9, 12.2), set(), id="too little flows"),
        pytest.param((-20.0, -5.0, -21.0), (12.2, 12.9, 12.2), set(), id="it carries some"),
        pytest.param((-20.0, None, -21.0), (12.2, 12.9, 12.2), set(), id="current not known"),
        pytest.param((-20.0, 0.1, -21.0), (12.2, None, 12.2), set(), id="voltage not known"),
        pytest.param((-20.0, 0.1, -21.0), (None, 12.9, None), set(), id="others' voltages not known"),
        pytest.param((None, 0.1, None), (12.2, 12.9, 12.2), set(), id="others' currents not known"),
        pytest.param((-20.0, 0.0, 0.0), (12.2, 12.9, 12.9), {2, 3}, id="two of three"),
        pytest.param((0.1, 0.1, 0.1), (13.6, 12.9, 13.6), set(), id="float"),
    ],
)
def test_open_string_by_current_and_voltage(
    currents: tuple[float | None, ...], voltages: tuple[float | None, ...], open_: set[int]
) -> None:
    run = Run()
    amps(run.board, *currents)
    volts(run.board, *voltages)
    assert run.open(9) == set()
    assert run.open(25) == open_


def test_open_string_is_so_until_something_flows_again() -> None:
    run = Run()
    amps(run.board, -20.0, 0.0, -20.0)
    volts(run.board, 12.2, 12.9, 12.2)
    assert run.open(20) == {2}
    amps(run.board, 0.1, 0.0, 0.1)
    volts(run.board, 13.6, 12.9, 13.6)
    assert run.open(600) == {2}
    amps(run.board, 3.0, 4.0, 3.0)
    assert run.open(5) == {2}
    assert run.open(10) == set()


def test_load_that_is_taken_up_one_after_the_other_opens_nothing() -> None:
    run = Run()
    volts(run.board, 12.2, 12.9, 12.2)
    for _ in range(5):
        amps(run.board, -20.0, 0.0, -20.0)
        run.open(5)
        amps(run.board, -20.0, -19.0, -20.0)
        run.open(5)
    assert run.open() == set()


@pytest.mark.parametrize("sensors", [pytest.param("one", id="one"), pytest.param("none", id="none")])
def test_shares_of_one_sensor_show_nothing(sensors: Count) -> None:
    run = Run(sensors=sensors)
    amps(run.board, -20.0, 0.0, -20.0)
    volts(run.board, 12.2, 12.9, 12.2)
    assert run.open(60) == set()


def test_breaker_that_the_bridge_has_opened_is_open() -> None:
    run = Run()
    run.tripped = {2}
    assert run.open() == {2}


@pytest.mark.parametrize("normally_closed", [pytest.param(False, id="NO"), pytest.param(True, id="NC")])
def test_contact_is_right_whatever_else_is_known(normally_closed: bool) -> None:
    run = Run(boxes=(box(inputs={2: ContactConfig(breaker=3, normally_closed=normally_closed)}),))
    run.boxes = {1: BoxView({2: not normally_closed})}
    assert run.open() == {3}
    run.boxes = {1: BoxView({2: normally_closed})}
    run.tripped = {3}
    assert run.open() == set()
    run.boxes = {1: BoxView({})}
    assert run.open() == {3}
    run.tripped = set()
    run.boxes = {1: BoxView({2: not normally_closed})}
    assert run.open() == {3}
    run.boxes = {}
    assert run.open() == {3}, "as it was seen last"
    run.boxes = {1: BoxView({2: normally_closed})}
    assert run.open() == set()
    run.boxes = {}
    run.tripped = set()
    assert run.open() == set()


@pytest.mark.parametrize("contact", [pytest.param(True, id="by a contact"), pytest.param(False, id="by its current")])
def test_open_string_is_so_after_a_restart_until_it_is_known_to_be_closed(contact: bool) -> None:
    boxes = (box(inputs={2: ContactConfig(breaker=3)}),) if contact else ()
    run = Run(boxes=boxes, raised={3})
    assert run.open(20) == {3}
    if contact:
        run.boxes = {1: BoxView({2: False})}
    else:
        amps(run.board, 4.0, 4.0, 4.0)
    assert run.open(15) == set()


def test_contact_of_one_breaker_for_all_strings() -> None:
    run = Run(boxes=(box(inputs={1: ContactConfig(breaker=0), 2: ContactConfig("Door")}),))
    run.boxes = {1: BoxView({1: True, 2: True})}
    assert run.open() == {1, 2, 3}
