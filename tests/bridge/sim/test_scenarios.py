"""Scenarios: the files, what is wrong with bad ones, and that each one that comes with us does what it says."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path

import pytest

from ridethrough.clock import ManualClock
from ridethrough.sim import DESIGNS, ScenarioError, Simulation, find_scenario, scenarios
from ridethrough.sim.scenario import Scenario, parse

type Told = list[dict[str, object]]


def told(name: str, seconds: int) -> Told:
    """Tell the state at every second of a scenario."""
    clock = ManualClock()
    simulation = Simulation(DESIGNS["interactive-1000"], find_scenario(name), clock=clock)
    states: Told = [simulation.state()]  # type: ignore[list-item]
    for _ in range(seconds):
        clock.tick(1.0)
        states.append(simulation.state())  # type: ignore[arg-type]
    return states


def spans(states: Told, so: Callable[[dict[str, object]], object]) -> list[tuple[int, int]]:
    """From and until which second something was so."""
    edges = [i for i in range(1, len(states)) if bool(so(states[i])) is not bool(so(states[i - 1]))]
    if so(states[0]):
        edges.insert(0, 0)
    if len(edges) % 2:
        edges.append(len(states))
    return list(zip(edges[::2], edges[1::2], strict=True))


def test_the_six_that_come_with_us_have_descriptions() -> None:
    found = scenarios()
    assert list(found) == ["flapping", "garbled_line", "low_battery", "outage", "overload", "steady"]
    assert all(scenario.description for scenario in found.values())


def test_steady_is_steady() -> None:
    states = told("steady", 600)
    assert {state["supply"] for state in states} == {"mains"}
    assert {state["charge"] for state in states} == {1.0}


def test_outage_lasts_five_minutes_and_the_battery_recovers() -> None:
    states = told("outage", 600)
    assert spans(states, lambda state: state["on_battery"]) == [(20, 322)]
    charges = [state["charge"] for state in states]
    assert charges[20:322] == sorted(charges[20:322], reverse=True)  # type: ignore[type-var]
    assert 0.3 < charges[322] < 0.9 and charges[600] > charges[322]  # type: ignore[operator]
    assert not any(state["battery_low"] for state in states)


def test_flapping_goes_to_battery_again_and_again() -> None:
    states = told("flapping", 90)
    outages = spans(states, lambda state: state["on_battery"])
    assert len(outages) >= 4
    assert outages[len(outages) // 2][0] - outages[0][0] == 45
    assert any(state["supply"] == "boost" for state in states)
    assert all(state["output_on"] for state in states)


def test_low_battery_goes_low_then_off_and_starts_again() -> None:
    states = told("low_battery", 1900)
    ((low, _),) = spans(states[:1800], lambda state: state["battery_low"])
    ((off, on),) = spans(states, lambda state: not state["output_on"])
    assert 60 < low < off - 30
    assert on == 1810
    assert states[off]["off_reason"] == "cutoff" and not states[off]["alive"]


def test_overload_is_borne_then_not_and_someone_helps() -> None:
    states = told("overload", 300)
    assert spans(states, lambda state: state["overload"]) == [(10, 40), (90, 100)]
    assert spans(states, lambda state: state["off_reason"] == "overload") == [(100, 245)]
    assert states[300]["supply"] == "mains"


def test_garbled_line_leaves_the_ups_alone_and_ends_sound() -> None:
    clock = ManualClock()
    simulation = Simulation(DESIGNS["interactive-1000"], find_scenario("garbled_line"), clock=clock)
    seen = set()
    for _ in range(124):
        clock.tick(1.0)
        simulation.catch_up()
        faults = simulation.peer.faults
        seen |= {name for name in faults.__slots__ if getattr(faults, name)}
    assert seen == {"garble", "truncate", "delay", "echo", "flood", "silent"}
    assert simulation.peer.faults == type(simulation.peer.faults)()
    assert simulation.state()["supply"] == "mains"


def test_a_scenario_repeats_after_its_period() -> None:
    scenario = parse("description: x\ntimeline: [{at: 1}, {at: 3}]\nrepeat: 10\n", "x", "x.yaml")
    assert [moment.at for moment in islice(scenario.moments(), 5)] == [1.0, 3.0, 11.0, 13.0, 21.0]
    assert list(Scenario("x", "x", repeat=5.0).moments()) == []


def test_a_user_may_bring_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("description: Mine\ninitial: {load: 1.0, fault: {stuck: {load: 0.2}}}\ntimeline: []\n")
    scenario = find_scenario(str(path))
    assert (scenario.name, scenario.description) == ("mine", "Mine")
    assert scenario.initial is not None and scenario.initial.stuck == {"load": 0.2}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("description: x\ninitial:\n  load: 5\n", "x.yaml:3: initial.load: 5 must be a number from 0 to 2"),
        (
            "description: x\ninitial:\n  lode: 1\n",
            "x.yaml:3: initial.lode: there is no such key; permitted: mains",
        ),
        (
            "description: x\ntimeline:\n- at: 1\n- mains: on it\n  at: 2\n",
            "x.yaml:4: timeline.1.mains: 'on it' must be a number",
        ),
        ("description: x\ntimeline:\n- at: 2\n- at: 1\n", "x.yaml:4: timeline.1.at: 1 comes after 2"),
        ("description: x\ntimeline:\n- at: 2\nrepeat: 1\n", "x.yaml:4: repeat: 1 ends before the last moment, 2"),
        (
            "description: x\ntimeline:\n- {at: 1, line: {garbel: 1}}\n",
            "garbel: there is no such key; permitted: garble",
        ),
        ("initial: {}\n", "x.yaml:1: description: is required"),
        ("description: ''\n", "x.yaml:1: description: '' must be a text"),
        ("- 1\n", " must be a section"),
        ("", " must be a section"),
        ("description: x\ntimeline: {}\n", "x.yaml:2: timeline: {} must be a list of moments"),
        ("description: [\n", "x.yaml:2: not YAML"),
        ("description: \x00\n", "x.yaml: not YAML"),
        ("description: x\ntimeline:\n- 7\n", "x.yaml:3: timeline.0: 7 must be a section"),
    ],
)
def test_a_wrong_file_is_told_where_and_what_is_permitted(content: str, complaint: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        parse(content, "x", "x.yaml")
    assert complaint in str(caught.value)


def test_every_complaint_is_made_at_once() -> None:
    with pytest.raises(ScenarioError) as caught:
        parse("description: x\ninitial: {load: 5, charge: 2}\n", "x", "x.yaml")
    assert len(str(caught.value).splitlines()) == 2


def test_an_unknown_name_lists_the_known_ones_and_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="flapping, garbled_line"):
        find_scenario("outrage")
    with pytest.raises(ScenarioError, match=r"none\.yaml: cannot be read"):
        find_scenario(str(tmp_path / "none.yaml"))
    (tmp_path / "bytes.yml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ScenarioError, match=r"bytes\.yml: cannot be read"):
        find_scenario(str(tmp_path / "bytes.yml"))
