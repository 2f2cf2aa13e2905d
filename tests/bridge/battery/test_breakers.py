"""Battery breakers: reserved, tripped, kept tripped, tested, released, and never opened by mistake (manual M:6158, M:6268)."""

import json

from hypothesis import given, settings, strategies as st
import pytest

from ridethrough.battery.breakers import BreakerError, Breakers, Cause, Handling, Order, SafeState
from ridethrough.battery.isolation import BoxView
from ridethrough.battery.layout import Layout
from ridethrough.battery.saved import JSON
from ridethrough.config.battery import BoxConfig, ContactConfig, RunawayConfig

from .systems import Count, battery, box

NC = ContactConfig(normally_closed=True)
DRILL = "a drill is running"


class Run:
    """Breakers and boxes whose relays obey, looked at once a second."""

    def __init__(
        self,
        *,
        strings: int = 6,
        breakers: Count = "each",
        boxes: tuple[BoxConfig, ...] = (box(), box()),
        saved: dict[str, JSON] | None = None,
        relays: dict[tuple[int, int], bool] | None = None,
    ) -> None:
        config = battery(runaway=RunawayConfig(10.0, breakers=breakers), boxes=boxes)
        self.core = Breakers(config, Layout.of([4] * strings), saved)
        self.relays = {(number, output): False for number in range(1, len(boxes) + 1) for output in range(1, 5)}
        self.relays |= relays or {}
        self.inputs: dict[int, dict[int, bool]] = {}
        self.lost: set[int] = set()
        self.jammed = False
        self.running: set[int] = set()
        self.alarmed: set[int] = set()
        self.withheld: str | None = None
        self.now = 0.0
        self.said: list[str] = []
        self.orders: list[Order] = []
        self.conditions: dict[tuple[str, int, str], bool] = {}

    def look(self) -> Handling:
        boxes = {
            number: BoxView(
                self.inputs.get(number, {}),
                {output: self.relays[number, output] for at, output in self.relays if at == number},
            )
            for number in sorted({number for number, _ in self.relays} - self.lost)
        }
        done = self.core.see(frozenset(self.running), boxes, self.now, self.withheld, alarmed=frozenset(self.alarmed))
        self.said += done.said
        self.orders += done.orders
        self.conditions |= done.findings.conditions
        return done

    def go(self, seconds: int) -> Handling:
        done = self.look()
        for _ in range(seconds):
            if not self.jammed:
                # The link keeps orders and gives them again when a box is back.
                for order in self.orders:
                    if order.box not in self.lost:
                        self.relays[order.box, order.output] = order.energised
            self.now += 1.0
            done = self.look()
        return done

    def energised(self) -> set[tuple[int, int]]:
        return {place for place, on in self.relays.items() if on}

    def raised(self, key: str) -> set[int]:
        """Strings with a condition."""
        strings = {number for (kind, number, name), on in self.conditions.items() if name == key and on and number}
        assert self.conditions["battery_system", 0, key] is bool(strings)
        return strings

    def saved(self) -> dict[str, JSON]:
        state: dict[str, JSON] = json.loads(json.dumps(self.core.state()))
        return state


# Reservation, M:6265–6270


def test_fifth_breaker_is_output_1_of_box_2() -> None:
    assert Run().core.labels == {
        (1, 1): "Battery breaker string 1",
        (1, 2): "Battery breaker string 2",
        (1, 3): "Battery breaker string 3",
        (1, 4): "Battery breaker string 4",
        (2, 1): "Battery breaker string 5",
        (2, 2): "Battery breaker string 6",
    }


def test_sixteen_strings_need_four_boxes() -> None:
    run = Run(strings=16, boxes=(box(),) * 4)
    assert max(run.core.labels) == (4, 4)


def test_one_breaker_for_all_strings() -> None:
    run = Run(breakers="one")
    assert run.core.labels == {(1, 1): "Battery breaker"}
    run.running = {3}
    done = run.go(2)
    assert done.open == {1, 2, 3, 4, 5, 6}
    assert run.raised("breaker_tripped") == {1, 2, 3, 4, 5, 6}
    assert run.energised() == {(1, 1)}


def test_no_breaker_trips_nothing() -> None:
    run = Run(breakers="none", saved={"breakers": {"1": {"cause": "test"}}})
    run.running = {1}
    assert run.go(5) == Handling()
    assert not run.orders
    assert not run.raised("breaker_tripped")
    with pytest.raises(BreakerError, match="No breaker is configured"):
        run.core.test(1)
    with pytest.raises(BreakerError, match="No breaker is configured"):
        run.core.reset()


# Trip and release


def test_runaway_trips_the_breaker_of_its_string_only() -> None:
    run = Run()
    run.go(2)
    run.running = {3}
    assert run.look().urgent
    done = run.go(2)
    assert done.open == {3}
    assert run.energised() == {(1, 3)}
    assert run.raised("breaker_tripped") == {3}
    assert not run.raised("breaker_stuck")
    assert run.said == [
        "Battery breaker string 3 is tripped by output 3 of box 1: thermal runaway.",
        "Battery breaker string 3: output 3 of box 1 has opened it.",
    ]


def test_tripped_breaker_stays_so_until_it_is_released() -> None:
    run = Run()
    run.running = {3}
    run.go(2)
    with pytest.raises(BreakerError, match="a block still runs away"):
        run.core.reset(3)
    run.running = set()
    run.go(600)
    assert run.energised() == {(1, 3)}
    assert run.core.reset(3) == "Released: Battery breaker string 3."
    run.go(2)
    assert not run.energised()
    assert not run.raised("breaker_tripped")
    assert run.said[-1] == "Battery breaker string 3: output 3 of box 1 has released it."


def test_system_releases_all_that_may_be() -> None:
    run = Run()
    run.running = {1, 2, 5}
    run.go(2)
    run.running = {2}
    run.go(1)
    assert run.core.reset() == "Released: Battery breaker string 1, Battery breaker string 5."
    run.go(2)
    assert run.raised("breaker_tripped") == {2}
    run.running = set()
    run.go(1)
    run.core.reset(2)
    with pytest.raises(BreakerError, match="No breaker is tripped"):
        run.core.reset()
    with pytest.raises(BreakerError, match="Battery breaker string 4 is not tripped"):
        run.core.reset(4)


def test_tripped_breaker_stays_so_over_a_restart() -> None:
    run = Run()
    run.running = {3}
    run.go(2)
    again = Run(saved=run.saved(), relays=run.relays)
    assert again.look().orders[0] == Order(1, 1, energised=False)
    again.go(5)
    assert again.energised() == {(1, 3)}
    assert again.raised("breaker_tripped") == {3}
    assert again.core.tripped == {3: Cause.RUNAWAY}


def test_breaker_that_was_seen_to_open_stays_open_over_a_restart_though_its_box_is_silent() -> None:
    run = Run()
    run.running = {3}
    while not run.go(1).open:
        assert run.now < 10.0
    again = Run(saved=run.saved(), relays=run.relays)
    again.lost = {1}
    assert again.go(20).open == {3}
    again.relays[1, 3], again.jammed = False, True
    again.lost = set()
    assert again.go(6).open == frozenset(), "as its box says"
    assert run.look().urgent is False


def test_restart_trips_again_what_let_go_meanwhile() -> None:
    again = Run(saved={"breakers": {"3": {"cause": "thermal_runaway"}}})
    again.lost = {1}
    assert again.look().orders == (
        Order(1, 3, energised=True),
        Order(2, 1, energised=False),
        Order(2, 2, energised=False),
    )
    again.lost = set()
    again.go(3)
    assert again.energised() == {(1, 3)}


def test_output_found_energised_after_a_start_is_a_tripped_breaker() -> None:
    run = Run(relays={(1, 2): True})
    run.lost = {1}
    run.go(3)
    assert not [order for order in run.orders if order.box == 1], "nobody knows yet whether it was tripped"
    run.lost = set()
    run.go(3)
    assert run.energised() == {(1, 2)}
    assert run.core.tripped == {2: Cause.FOUND}
    assert run.said == [
        "Battery breaker string 2: output 2 of box 1 is energised, so it has been tripped. Release it if it may be."
    ]
    run.core.reset(2)
    run.go(3)
    assert not run.energised()


@pytest.mark.parametrize(
    ("saved", "breakers", "tripped"),
    [
        pytest.param({"breakers": {"3": {"cause": "test"}}}, "one", {0}, id="each to one"),
        pytest.param({"breakers": {"0": {"cause": "test"}}}, "each", {1, 2, 3, 4, 5, 6}, id="one to each"),
        pytest.param({"breakers": {"3": {"cause": 9}}}, "each", {3}, id="cause not readable"),
        pytest.param({"breakers": {"99": {}, "x": {}, "2": 1}}, "each", set(), id="damaged"),
        pytest.param({"breakers": []}, "each", set(), id="no breakers"),
    ],
)
def test_memory_of_another_arrangement(saved: dict[str, JSON], breakers: Count, tripped: set[int]) -> None:
    assert set(Run(breakers=breakers, saved=saved).core.tripped) == tripped


# NC and NO, M:6263, M:6286


def test_normally_closed_output_trips_by_letting_go_and_is_warned_of() -> None:
    run = Run(strings=2, boxes=(box({2: NC}),))
    run.go(2)
    assert run.energised() == {(1, 2)}
    run.running = {2}
    assert run.go(2).open == {2}
    assert not run.energised()
    (warning,) = run.core.warnings
    assert warning.startswith("Battery breaker string 2: output 2 of box 1 is normally closed")


# Nothing trips in a drill or under the programmer


def test_nothing_trips_while_it_is_withheld_and_it_does_when_that_is_over() -> None:
    run = Run()
    run.go(2)
    run.withheld = DRILL
    run.running = {3}
    run.go(300)
    assert not run.energised()
    assert not run.raised("breaker_tripped")
    assert run.said == [
        "Battery breaker string 3 would be tripped because of a thermal runaway, but a drill is running."
    ]
    run.withheld = None
    run.go(2)
    assert run.energised() == {(1, 3)}


def test_runaway_that_is_over_before_the_drill_is_trips_nothing() -> None:
    run = Run()
    run.withheld = DRILL
    run.running = {3}
    run.go(3)
    run.running = set()
    run.go(3)
    run.withheld = None
    run.go(3)
    assert not run.energised()


def test_nothing_is_tested_in_a_drill() -> None:
    run = Run()
    run.withheld = DRILL
    run.go(2)
    with pytest.raises(BreakerError, match="No breaker is tested now: a drill is running"):
        run.core.test(1)


# Tests by command, M:6727


def test_test_really_opens_and_needs_release() -> None:
    run = Run()
    run.go(2)
    told = run.core.test(3)
    assert told == "Battery breaker string 3 opens by output 3 of box 1. Release it when that has been seen."
    done = run.go(2)
    assert done.open == {3}
    assert run.raised("breaker_tripped") == {3}
    with pytest.raises(BreakerError, match="is tripped already"):
        run.core.test(3)
    run.core.reset(3)
    run.go(2)
    assert not run.energised()


def test_test_that_becomes_earnest_cannot_be_released() -> None:
    run = Run()
    run.go(1)
    run.core.test(3)
    run.go(1)
    run.running = {3}
    assert run.look().urgent
    assert run.core.tripped == {3: Cause.RUNAWAY}
    with pytest.raises(BreakerError, match="still runs away"):
        run.core.reset(3)


def test_string_that_is_not_known_to_be_cool_cannot_be_released_though_no_current_flows_any_longer() -> None:
    run = Run()
    run.running = run.alarmed = {3}
    run.go(2)
    run.running = set()
    run.go(2)
    with pytest.raises(BreakerError, match="not known to be cool"):
        run.core.reset()
    run.alarmed = set()
    run.go(1)
    run.core.reset()


def test_no_breaker_is_tested_while_the_batteries_carry_the_load() -> None:
    run = Run()
    run.go(1)
    with pytest.raises(BreakerError, match="carry the load"):
        run.core.test(3, discharging=True)
    run.go(2)
    assert not run.energised()


def test_test_of_a_system_with_many_breakers_names_the_string() -> None:
    with pytest.raises(BreakerError, match="name the string"):
        Run().core.test()
    run = Run(breakers="one")
    run.go(1)
    assert run.core.test(4).startswith("Battery breaker opens by output 1 of box 1.")


def test_nobody_is_surprised_later_by_what_a_lost_box_could_not_do() -> None:
    run = Run()
    run.go(1)
    run.lost = {1}
    run.go(1)
    with pytest.raises(BreakerError, match="box 1 does not answer"):
        run.core.test(3)
    run.running = {3}
    run.go(1)
    run.running = set()
    run.go(1)
    with pytest.raises(BreakerError, match="box 1 does not answer"):
        run.core.reset(3)
    assert run.core.tripped == {3: Cause.RUNAWAY}


# Faults


def test_boxes_keep_their_relays_when_they_hear_nothing() -> None:
    assert Run().core.safe_states == (SafeState(1, 0b1111, 0, 0), SafeState(2, 0b0011, 0, 0))


def test_lost_box_trips_when_it_is_back_and_is_told_of_meanwhile() -> None:
    run = Run()
    run.go(2)
    run.lost = {1}
    run.running = {3}
    run.go(9)
    assert run.raised("breaker_tripped") == {3}
    assert not run.raised("breaker_stuck")
    assert run.go(2).open == set()
    assert run.raised("breaker_stuck") == {3}
    assert run.said[-1] == "Battery breaker string 3 does not follow: its box 1 does not answer."
    run.lost = set()
    assert run.go(2).open == {3}
    assert not run.raised("breaker_stuck")


def test_box_that_is_lost_without_need_trips_nothing_and_hangs_nothing() -> None:
    run = Run()
    run.go(2)
    run.lost = {1, 2}
    run.go(100)
    assert not run.raised("breaker_stuck")
    run.lost = set()
    run.go(2)
    assert not run.energised()


def test_box_that_has_opened_its_breaker_while_it_was_away_keeps_it_open() -> None:
    run = Run()
    run.go(3)
    run.lost = {1}
    run.go(5)
    run.relays[1, 2] = True
    run.lost = set()
    run.go(3)
    assert run.core.tripped == {2: Cause.FOUND}
    assert run.energised() == {(1, 2)}
    run.core.reset(2)
    run.go(3)
    assert not run.energised()


def test_output_that_somebody_else_has_set_is_set_back() -> None:
    run = Run()
    run.go(3)
    run.jammed = True
    run.relays[1, 2] = True
    run.go(6)
    assert run.raised("breaker_stuck") == {2}
    run.jammed = False
    run.go(3)
    assert not run.energised()
    assert not run.core.tripped


def test_relay_that_does_not_switch_is_told_of_and_told_again() -> None:
    run = Run()
    run.go(2)
    run.jammed = True
    run.running = {3}
    run.orders.clear()
    run.go(5)
    assert not run.raised("breaker_stuck")
    assert run.go(2).open == set()
    assert run.raised("breaker_stuck") == {3}
    assert run.said[-1] == "Battery breaker string 3 does not follow: output 3 of box 1 has not switched."
    run.go(20)
    assert run.orders == [Order(1, 3, energised=True)] * len(run.orders)
    assert 5 <= len(run.orders) <= 7
    run.jammed = False
    run.go(3)
    assert not run.raised("breaker_stuck")


def test_relay_that_lets_go_by_itself_is_set_again() -> None:
    run = Run()
    run.running = {3}
    run.go(10)
    run.orders.clear()
    run.relays[1, 3] = False
    run.go(3)
    assert not run.orders, "one wrong answer is none"
    run.go(5)
    assert run.orders[0] == Order(1, 3, energised=True)


def test_breaker_whose_contact_stays_closed_hangs_though_its_relay_has_switched() -> None:
    contact = box(inputs={1: ContactConfig(breaker=3)})
    run = Run(boxes=(box(), contact))
    run.inputs[2] = {1: False}
    run.go(2)
    run.running = {3}
    run.go(7)
    assert run.raised("breaker_stuck") == {3}
    assert run.said[-1] == "Battery breaker string 3 does not follow: its contact shows that it is closed."
    run.inputs[2] = {1: True}
    assert run.go(1).open == {3}
    assert not run.raised("breaker_stuck")


# Always

moves = st.lists(
    st.tuples(
        st.sampled_from(["run", "calm", "lose", "find", "drill", "work", "reset", "test", "restart"]), st.integers(1, 6)
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(moves)
def test_a_breaker_opens_only_by_need_or_by_command_and_closes_only_by_command(story: list[tuple[str, int]]) -> None:
    run = Run()
    run.go(1)
    allowed: set[int] = set()
    for move, number in story:
        before = set(run.core.tripped)
        try:
            match move:
                case "run":
                    run.running.add(number)
                case "calm":
                    run.running.discard(number)
                case "lose":
                    run.lost.add(1 + number % 2)
                case "find":
                    run.lost.discard(1 + number % 2)
                case "drill":
                    run.withheld = DRILL
                case "work":
                    run.withheld = None
                case "reset":
                    run.core.reset(number)
                    allowed.discard(number)
                    before.discard(number)
                case "test":
                    run.core.test(number)
                    allowed.add(number)
                case "restart":
                    again = Run(saved=run.saved(), relays=run.relays)
                    again.running, again.lost, again.withheld = run.running, run.lost, run.withheld
                    run = again
        except BreakerError:
            pass
        if run.withheld is None:
            allowed |= run.running
        run.go(3)
        tripped = set(run.core.tripped)
        assert before <= tripped
        assert tripped <= allowed
        if not run.lost:
            assert run.energised() == {((string - 1) // 4 + 1, (string - 1) % 4 + 1) for string in tripped}
