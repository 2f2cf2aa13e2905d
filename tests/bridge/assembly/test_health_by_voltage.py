"""The battery test of a Megatec UPS, from the words on its line to the verdict: the protocol itself gives none."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from ridethrough.assembly.derivations import work_out
from ridethrough.catalogue import load_catalogue
from ridethrough.clock import ManualClock
from ridethrough.config import UpsConfig
from ridethrough.links.megatec.answer import parse
from ridethrough.links.megatec.commands import order
from ridethrough.links.megatec.status import packs_of, understand
from ridethrough.links.megatec.table import Q1, F
from ridethrough.sim.battery import NEW, Wear
from ridethrough.sim.designs import DESIGNS
from ridethrough.sim.megatec import Megatec
from ridethrough.sim.unit import Unit
from ridethrough.sim.ups import Faults
from ridethrough.site import CommandResult, Commands, Device, DeviceId, Site, Value

UPS = DeviceId("ups")
STARTS = frozenset({"test.battery.start.quick", "test.battery.start", "test.battery.stop"})


class Rack:
    """A simulated UPS, polled every second over its protocol into a site."""

    def __init__(self, name: str, load: float, wear: Wear) -> None:
        self.clock = ManualClock()
        self.site = Site(load_catalogue(), self.clock)
        self.site.put(Device(UPS, "ups-1", "ups", "UPS", commands=STARTS))
        self.commands = Commands(self.site)
        self.commands.offer(UPS, self.perform)
        work_out(UpsConfig("ups-1", "UPS", "megatec:x"), UPS, self.site, self.commands, self.clock)
        self.lane = self.site.lane(UPS, 5.0)
        self.unit = Unit(DESIGNS[name])
        self.unit.inputs = replace(self.unit.inputs, load=load, faults=Faults(wear=wear))
        self.face = Megatec(self.unit)
        ratings = parse(F, self.face.answer(b"F").rstrip())
        assert ratings is not None
        self.nominal = ratings.numbers["battery.voltage.nominal"]
        self.lane.post(ratings.numbers)

    async def perform(self, command: str, arguments: Mapping[str, Value]) -> CommandResult:
        told = order(command, arguments)
        assert told is not None
        self.face.answer(told.request.rstrip())
        return CommandResult(told.sentence, confirmed=False)

    def live(self, seconds: int) -> None:
        for _ in range(seconds):
            self.unit.advance(1.0)
            self.clock.tick(1.0)
            parsed = parse(Q1, self.face.answer(b"Q1").rstrip())
            assert parsed is not None
            voltage = parsed.numbers["battery.voltage"]
            packs = None if voltage is None or self.nominal is None else packs_of(voltage, self.nominal)
            status = understand(parsed, packs or 1)
            self.lane.post(status.points, status.conditions)
            self.site.expire()

    def shown(self, key: str) -> Value | None:
        reading = self.site.reading(UPS, key)
        return None if reading is None or not reading.good else reading.value

    def bad(self) -> bool | None:
        state = self.site.conditions(UPS).get("battery_bad")
        return None if state is None else state.active


# Battery packs for an hour are hardly loaded by a short test, which then tells nothing of their wear.
@pytest.mark.parametrize("name", [name for name in DESIGNS if name != "interactive-1000-packs"])
@pytest.mark.parametrize(("wear", "bad"), [(NEW, False), (Wear(0.5, 2.0), True)])
async def test_short_test_tells_a_new_battery_from_a_worn_one(name: str, wear: Wear, bad: bool) -> None:
    rack = Rack(name, 0.5, wear)
    rack.live(5)
    assert (rack.bad(), rack.shown("ups.test.state")) == (None, "none")
    await rack.commands.perform(UPS, "test.battery.start.quick", {})
    rack.live(5)
    assert (rack.shown("ups.test.state"), rack.shown("ups.mode")) == ("in_progress", "test")
    rack.live(10)
    assert rack.bad() is bad
    assert rack.shown("ups.test.state") == ("failed" if bad else "passed")


async def test_timed_test_shows_its_progress_and_is_stopped() -> None:
    rack = Rack("interactive-1000", 0.3, NEW)
    rack.live(2)
    await rack.commands.perform(UPS, "test.battery.start", {"duration": 2})
    rack.live(61)
    assert rack.shown("ups.test.progress") == 50.0
    await rack.commands.perform(UPS, "test.battery.stop", {})
    rack.live(2)
    assert (rack.shown("ups.test.state"), rack.bad()) == ("aborted", None)


async def test_power_failure_in_the_test_gives_no_verdict() -> None:
    rack = Rack("interactive-1000", 0.5, Wear(0.5, 2.0))
    rack.live(2)
    await rack.commands.perform(UPS, "test.battery.start.quick", {})
    rack.live(3)
    rack.unit.inputs = replace(rack.unit.inputs, mains_voltage=0.0)
    rack.live(10)
    assert (rack.shown("ups.test.state"), rack.bad()) == ("aborted", None)
    assert rack.shown("ups.mode") == "battery"
