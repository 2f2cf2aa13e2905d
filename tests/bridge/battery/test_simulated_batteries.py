"""Phases, charge, runaway and breakers with batteries that behave like batteries, minute by minute."""

import pytest

from ridethrough.battery.board import Board, Phase
from ridethrough.battery.breakers import Breakers
from ridethrough.battery.charge import Charge
from ridethrough.battery.discharge import Discharge, Edge
from ridethrough.battery.isolation import BoxView, Isolation
from ridethrough.battery.layout import Layout
from ridethrough.battery.runaway import Runaway
from ridethrough.config.battery import BlockConfig, Chemistry, RunawayConfig
from ridethrough.sim.blocks import BlockDesign, Plant

from .systems import Count, battery, box

HOUR = 3600.0


class Site:
    """Two strings of ten blocks of 100 Ah that are measured every two seconds as modules and sensors measure."""

    def __init__(self, *, sensors: Count = "each", chemistry: Chemistry = "lead", voltage: float = 12.0) -> None:
        config = battery(
            sensors=sensors,
            block=BlockConfig(voltage, 100.0, chemistry),
            runaway=RunawayConfig(10.0, None, 60.0, "each"),
            boxes=(box(),),
        )
        layout = Layout.of([10, 10])
        self.plant = Plant(BlockDesign(voltage, 100.0, chemistry), 2, 20)
        self.board = Board(layout)
        self.phase = Discharge(config, layout)
        self.charge = Charge(config, layout)
        self.runaway = Runaway(config, layout)
        self.breakers = Breakers(config, layout)
        self.isolation = Isolation(config, layout)
        self.relays = dict.fromkeys(range(1, 5), False)
        self.sensors = sensors != "none"
        self.edges: list[Edge] = []
        self.conditions: dict[tuple[str, int, str], bool] = {}
        self.least = 100.0

    def go(self, seconds: float, step: float = 2.0) -> None:
        end = self.plant.time + seconds
        while self.plant.time < end - 1e-6:
            self.plant.advance(step)
            self._measure()
            self._look(self.plant.time)

    def _measure(self) -> None:
        for number in range(1, 21):
            block = self.plant.block(number)
            self.board.voltage[number] = round(block.voltage, 3)
            self.board.temperature[number] = round(block.temperature, 1)
            self.board.impedance[number] = round(block.impedance * 1000.0, 2)
        if self.sensors:
            self.board.current[1:] = [round(self.plant.string(number).current, 3) for number in (1, 2)]

    def _look(self, now: float) -> None:
        verdict = self.phase.see(self.board, None, now)
        self.edges += verdict.edges
        charge = self.charge.see(self.board, verdict.strings, now)
        runaways = self.runaway.see(self.board, now)
        boxes = {1: BoxView({}, dict(self.relays))}
        handling = self.breakers.see(runaways.running, boxes, now)
        for order in handling.orders:
            self.relays[order.output] = order.energised
            if order.energised:
                self.plant.closed[order.output - 1] = False
        isolation = self.isolation.see(self.board, boxes, handling.open, now)
        for found in (verdict.findings, charge, runaways.findings, handling.findings, isolation):
            self.conditions |= found.conditions
        if self.board.string_charge[1] is not None:
            self.least = min(self.least, self.board.string_charge[1])

    def seen(self) -> Phase:
        """Tell the phase."""
        return self.board.phase

    def raised(self, key: str) -> set[int]:
        return {number for (_, number, name), holds in self.conditions.items() if name == key and holds and number}


@pytest.mark.parametrize(
    ("chemistry", "voltage", "low"),
    [
        # About 50 A for half an hour: a quarter of the label, times what Peukert adds.
        pytest.param("lead", 12.0, 61.0, id="lead"),
        pytest.param("nicd", 2.4, 73.0, id="nicd"),
        pytest.param("lfp", 12.0, 76.0, id="lfp"),
    ],
)
def test_outage_and_recharge(chemistry: Chemistry, voltage: float, low: float) -> None:
    site = Site(chemistry=chemistry, voltage=voltage)
    site.go(HOUR, 20.0)
    assert site.seen() is Phase.FLOATING
    assert site.board.string_charge[1:] == [100.0, 100.0]
    site.plant.load = 0.5 * 2 * 10 * voltage * 100.0  # half of the rated energy in an hour
    site.plant.mains = False
    site.go(0.5 * HOUR)
    assert site.seen() is Phase.DISCHARGING
    assert site.least == pytest.approx(low, abs=4.0)
    assert not site.raised("thermal_runaway") | site.raised("breaker_open")
    site.plant.mains = True
    site.go(60.0)
    assert site.seen() is Phase.CHARGING
    assert site.board.string_charge[1] is None
    site.go(24 * HOUR, 28.0)
    assert site.seen() is Phase.FLOATING
    assert site.board.string_charge[1:] == [100.0, 100.0]
    assert site.edges == [
        Edge.DISCHARGE_BEGAN,
        Edge.DISCHARGE_COUNTED,
        Edge.DISCHARGE_ENDED,
        Edge.CHARGE_BEGAN,
        Edge.CHARGE_ENDED,
    ]


def test_outage_is_seen_by_voltages_alone() -> None:
    site = Site(sensors="none")
    site.go(HOUR, 20.0)
    assert not site.edges
    site.plant.mains = False
    site.go(0.3 * HOUR)
    assert site.seen() is Phase.DISCHARGING
    site.plant.mains = True
    site.go(HOUR, 10.0)
    assert site.seen() is Phase.CHARGING
    site.go(3 * HOUR, 20.0)
    assert site.seen() is Phase.FLOATING
    assert site.plant.string(1).current < 6.0, "not before the charger holds the voltage"
    assert site.edges == [
        Edge.DISCHARGE_BEGAN,
        Edge.DISCHARGE_COUNTED,
        Edge.DISCHARGE_ENDED,
        Edge.CHARGE_BEGAN,
        Edge.CHARGE_ENDED,
    ]


def test_weak_block_and_aged_connector_in_an_outage() -> None:
    site = Site()
    site.plant.weaken(4, 0.5)
    site.plant.loosen(7, 0.002)
    site.go(HOUR, 20.0)
    site.plant.load = 0.5 * 2 * 10 * 12.0 * 100.0
    site.plant.mains = False
    site.go(0.5 * HOUR)
    charges = {number: site.board.charge[number] for number in range(1, 11)}
    known = {number: charge for number, charge in charges.items() if charge is not None}
    assert len(known) == 10
    assert min(known, key=lambda number: known[number]) == 4
    others = [charge for number, charge in known.items() if number not in (4, 7)]
    assert known[4] < min(others) - 10.0
    assert known[7] == pytest.approx(sum(others) / len(others), abs=6.0), "its connector is no lack of charge"


def test_string_whose_breaker_is_open_is_found_in_an_outage() -> None:
    site = Site()
    site.go(HOUR, 20.0)
    site.plant.closed[1] = False
    site.go(HOUR, 20.0)
    assert not site.raised("breaker_open"), "float cannot show it"
    site.plant.mains = False
    site.go(120.0)
    assert site.raised("breaker_open") == {2}
    assert site.conditions["battery_system", 0, "breaker_open"]


def test_block_that_runs_away_is_cut_off_and_cools_down() -> None:
    site = Site()
    site.go(600.0, 20.0)
    site.plant.run_away(14, 6.0)
    for _ in range(200):
        site.go(60.0, 5.0)
        if site.raised("breaker_tripped"):
            break
    assert site.raised("thermal_runaway") == site.raised("breaker_tripped") == {2}
    site.go(20.0)
    assert site.raised("breaker_open") == {2}
    assert site.plant.closed == [True, False]
    hottest = site.board.temperature[14]
    site.plant.run_away(14, 0.0)
    site.go(10 * HOUR, 28.0)
    cooler = site.board.temperature[14]
    assert hottest is not None and cooler is not None and cooler < hottest
    assert not site.raised("thermal_runaway")
    assert site.raised("breaker_tripped") == {2}, "only a person closes it"
    site.breakers.reset(2)
    site.plant.closed[1] = True
    site.go(10.0)
    assert not site.raised("breaker_tripped") | site.raised("breaker_open")
