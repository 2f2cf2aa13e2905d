"""The keeper: from what a link reads to what the site shows and the bus is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import date, datetime
import logging
import time

import pytest

from ridethrough.battery.board import Board
from ridethrough.battery.bus import Pace
from ridethrough.battery.judge import Judge
from ridethrough.battery.keeper import Services
from ridethrough.battery.memory import MemoryFault
from ridethrough.config.battery import (
    BatteryLogConfig,
    BlockConfig,
    BoxConfig,
    ContactConfig,
    EqualisingConfig,
    LimitsConfig,
    RunawayConfig,
    SensorsConfig,
    StringConfig,
)
from ridethrough.site import CommandError, DeviceId, Quality

from .rig import CONFIG, SYSTEM, UPS, Rig, Shelf, block, box, sensor, string

BREAKERS = replace(
    CONFIG,
    sensors=SensorsConfig("each"),
    boxes=(BoxConfig(outputs={4: ContactConfig("Fan", normally_closed=True)}),),
    runaway=RunawayConfig(10.0, None, 5.0, "each"),
    buzzer=(1, 3),
)


@asynccontextmanager
async def running(rig: Rig) -> AsyncIterator[Rig]:
    """Run the keeper as its supervisor does."""
    tasks = [asyncio.create_task(rig.keeper.run()), asyncio.create_task(rig.keeper.remember())]
    await rig.clock.advance(0)
    try:
        yield rig
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def answering(rig: Rig, number: int = 1, *energised: int) -> None:
    """Have a box answer."""
    points = {f"input.{one}": False for one in range(1, 5)} | {f"output.{one}": one in energised for one in range(1, 5)}
    rig.lane(box(number)).post(points)


# What is there from the start


def test_all_that_belongs_to_a_system_is_there_before_its_link_has_said_anything() -> None:
    config = replace(BREAKERS, numbering="string", block=BlockConfig(installed=date(2025, 3, 1)), location="Cellar")
    rig = Rig(config)
    names = {device.key: device.name for device in rig.site.devices.values()}
    assert names["battery-1/battery_string-2"] == "Right"
    assert names["battery-1/battery_module-5"] == "Right 1"
    assert names["battery-1/current_sensor-2"] == "Current sensor 2"
    assert names["battery-1/io_box-1"] == "I/O box 1"
    assert rig.value(SYSTEM, "battery.modules") == 8
    assert rig.value(SYSTEM, "battery.voltage.nominal") == 48.0
    assert rig.value(SYSTEM, "battery.capacity.nominal") == 14.0
    assert rig.value(SYSTEM, "device.location") == "Cellar"
    assert rig.value(SYSTEM, "module.temperature.high.critical") == 36.0
    assert rig.value(block(5), "module.position") == 1
    assert rig.value(box(1), "output.1.location") == "Battery breaker 1"
    assert rig.value(box(1), "output.3.location") == "Buzzer"
    assert rig.value(box(1), "output.4.location") == "Fan"
    assert rig.site.rejected == {}


def test_blocks_are_called_by_their_number_in_the_system_where_that_is_wanted() -> None:
    """M:6958."""
    rig = Rig(replace(CONFIG, numbering="system"))
    assert rig.site.devices[rig.keeper.identities[block(5)]].name == "Block 5"


# What is summed up


def test_voltages_are_summed_up_and_averaged() -> None:
    rig = Rig(replace(CONFIG, sensors=SensorsConfig("each")))
    with rig.site.transaction():
        rig.fill(13.5)
        rig.read(block(2), module_voltage=13.9, module_temperature=30.0)
        rig.read(sensor(1), sensor_current=-2.0)
    rig.keeper._intake.begin()
    rig.keeper.look()
    assert rig.value(string(1), "string.voltage") == pytest.approx(54.4)
    assert rig.value(string(1), "string.voltage.average") == pytest.approx(13.6)
    assert rig.value(string(1), "string.current") == -2.0
    assert rig.value(string(1), "string.power") == pytest.approx(-108.8)
    assert rig.value(SYSTEM, "battery.voltage") == pytest.approx(54.2)
    assert rig.value(SYSTEM, "battery.current") == -2.0
    assert rig.value(SYSTEM, "module.voltage.difference") == pytest.approx(0.4)
    assert rig.value(SYSTEM, "module.temperature.maximum") == 30.0
    assert rig.value(SYSTEM, "battery.temperature") == pytest.approx(23.0)
    assert rig.site.rejected == {}


async def test_a_sum_of_which_a_part_is_missing_is_not_shown_as_if_it_were_whole() -> None:
    async with running(Rig()) as rig:
        rig.fill()
        await rig.clock.advance(2)
        assert rig.value(string(1), "string.voltage") == pytest.approx(54.4)
        rig.lane(block(3)).lost()
        await rig.clock.advance(2)
        assert rig.value(string(1), "string.voltage") == "stale"
        assert rig.value(string(1), "string.voltage.average") == pytest.approx(13.6)
        assert rig.value(string(2), "string.voltage") == pytest.approx(54.4)
        rig.read(block(3), module_voltage=13.6)
        await rig.clock.advance(2)
        assert rig.value(string(1), "string.voltage") == pytest.approx(54.4)


async def test_one_sensor_for_all_is_multiplied_and_no_current_of_a_string_is_made_up() -> None:
    """M:5595."""
    async with running(Rig(replace(CONFIG, sensors=SensorsConfig("one", 2.0)))) as rig:
        rig.fill()
        rig.read(sensor(1), sensor_current=-3.0)
        await rig.clock.advance(2)
        assert rig.value(SYSTEM, "battery.current") == -6.0
        assert rig.value(string(1), "string.current") is None
        rig.lane(sensor(1)).lost()
        await rig.clock.advance(2)
        assert rig.value(SYSTEM, "battery.current") == "stale"


# What is judged


async def test_block_beyond_its_limits_becomes_an_alarm_of_block_string_and_system_and_sounds() -> None:
    config = replace(CONFIG, boxes=(BoxConfig(),), buzzer=(1, 3), relay=(1, 4))
    async with running(Rig(config)) as rig:
        rig.fill()
        answering(rig)
        await rig.clock.advance(20)
        assert rig.output(1, 3) is False
        assert rig.output(1, 4) is True
        rig.read(block(3), module_temperature=45.0)
        await rig.clock.advance(5)
        for place in (block(3), string(1), SYSTEM):
            assert rig.holds(place, "module.temperature_high") is True
        assert rig.holds(SYSTEM, "general_alarm") is True
        assert rig.value(block(3), "module.state") == "alarm"
        assert rig.output(1, 3) is True
        assert rig.output(1, 4) is False
        await rig.commands.perform(rig.system, "alarm.mute", {})
        await rig.clock.advance(1)
        assert rig.output(1, 3) is False
        rig.read(block(3), module_temperature=22.0)
        await rig.clock.advance(5)
        assert rig.holds(SYSTEM, "general_alarm") is False
        assert rig.output(1, 4) is True


async def test_what_the_link_says_of_modules_counts_like_what_was_judged() -> None:
    async with running(Rig()) as rig:
        rig.fill()
        await rig.clock.advance(2)
        rig.lane(block(7)).lost()
        rig.read(block(7), {"module.lost": True})
        await rig.clock.advance(2)
        assert rig.holds(SYSTEM, "module.lost") is True
        assert rig.holds(string(2), "module.lost") is True
        assert rig.holds(SYSTEM, "general_alarm") is True
        assert rig.value(block(7), "module.state") == "lost"
        rig.read(block(7), {"module.lost": False}, module_voltage=13.6, module_temperature=22.0)
        await rig.clock.advance(2)
        assert rig.holds(SYSTEM, "module.lost") is False
        assert rig.value(block(7), "module.state") == "normal"


async def test_judgements_of_a_link_that_is_gone_are_lost_until_it_is_back_and_then_stand_again() -> None:
    async with running(Rig()) as rig:
        rig.fill()
        rig.read(block(1), module_temperature=45.0)
        await rig.clock.advance(5)
        for number in range(1, 9):
            rig.lane(block(number)).lost()
        await rig.clock.advance(5)
        state = rig.site.conditions(rig.keeper.identities[block(1)])["module.temperature_high"]
        assert (state.active, state.quality) == (True, Quality.LOST)
        assert rig.value(SYSTEM, "module.voltage.average") in ("stale", "lost")
        rig.fill()
        rig.read(block(1), module_temperature=45.0)
        await rig.clock.advance(5)
        state = rig.site.conditions(rig.keeper.identities[block(1)])["module.temperature_high"]
        assert (state.active, state.quality) == (True, Quality.GOOD)
        assert rig.value(SYSTEM, "module.voltage.average") == pytest.approx(13.6)


async def test_what_was_raised_before_a_restart_is_cleared_when_it_is_over() -> None:
    rig = Rig()
    site, clock = rig.site, rig.clock
    site.remove(rig.system)
    identity = rig.keeper.identities[block(2)]
    site.restore(identity, "module.temperature_high", clock.utc())
    async with running(Rig(site=site, clock=clock)) as again:
        assert again.holds(block(2), "module.temperature_high") is True
        again.fill()
        await clock.advance(5)
        assert again.holds(block(2), "module.temperature_high") is False


async def test_what_links_said_before_a_restart_is_not_cleared_only_to_be_raised_again() -> None:
    old = Rig(BREAKERS)
    site, clock = old.site, old.clock
    site.remove(old.system)
    held = [(place, "module.lost") for place in (block(3), string(1), SYSTEM)]
    held += [(SYSTEM, "io_box_lost"), (SYSTEM, "current_sensor_lost"), (string(2), "current_sensor_lost")]
    for place, key in held:
        site.restore(old.keeper.identities[place], key, clock.utc())
    async with running(Rig(BREAKERS, site=site, clock=clock)) as rig:
        for number in (1, 2, 4, 5, 6, 7, 8):
            rig.read(block(number), {"module.lost": False}, module_voltage=13.6, module_temperature=22.0)
        rig.read(sensor(1), {"communications_lost": False}, sensor_current=0.0)
        await clock.advance(5)
        assert [rig.holds(place, key) for place, key in held] == [True] * len(held)
        rig.fill()
        rig.read(sensor(2), {"communications_lost": False}, sensor_current=0.0)
        rig.read(box(1), {"communications_lost": False})
        await clock.advance(5)
        assert [rig.holds(place, key) for place, key in held] == [False] * len(held)


async def test_a_block_without_a_voltage_is_still_watched_by_its_temperature() -> None:
    def known(rig: Rig, key: str) -> Quality:
        return rig.site.conditions(rig.keeper.identities[block(1)])[key].quality

    async with running(Rig()) as rig:
        rig.fill()
        await rig.clock.advance(3)
        rig.lane(block(1)).drop(["module.voltage"])
        await rig.clock.advance(3)
        assert known(rig, "module.voltage_high") in (Quality.STALE, Quality.LOST)
        assert known(rig, "module.temperature_high") is Quality.GOOD
        for number in range(1, 9):
            rig.lane(block(number)).lost()
        await rig.clock.advance(3)
        assert known(rig, "module.temperature_high") is Quality.LOST
        rig.read(block(1), module_temperature=22.0)
        await rig.clock.advance(3)
        assert known(rig, "module.temperature_high") is Quality.GOOD
        assert known(rig, "module.voltage_high") is not Quality.GOOD, "it cannot be told"


async def test_a_silent_bus_is_an_alarm_and_what_the_bridge_knows_by_itself_stays_known() -> None:
    """M:7299: the system alarm is that of lost communication."""
    async with running(Rig(BREAKERS)) as rig:
        rig.fill()
        rig.read(block(6), module_temperature=31.0)
        await rig.clock.advance(3)
        rig.read(block(6), module_temperature=40.0)
        await rig.clock.advance(10)
        assert rig.holds(SYSTEM, "thermal_runaway") is True
        for number in range(1, 9):
            rig.lane(block(number)).lost()
        rig.read(SYSTEM, {"communications_lost": True})
        await rig.clock.advance(5)
        states = rig.site.conditions(rig.system)
        for key in ("system_failure", "general_alarm", "thermal_runaway", "breaker_tripped"):
            assert (states[key].active, states[key].quality) == (True, Quality.GOOD), key
        assert states["module.temperature_high"].quality is Quality.LOST
        assert rig.value(SYSTEM, "battery.discharges") == 0
        cool = rig.site.conditions(rig.keeper.identities[string(1)])["thermal_runaway"]
        assert (cool.active, cool.quality) == (False, Quality.LOST)


async def test_a_system_that_judges_itself_is_only_summed_up() -> None:
    async with running(Rig(read_only=True, judged=True)) as rig:
        rig.fill(temperature=60.0)
        await rig.clock.advance(5)
        assert rig.holds(block(1), "module.temperature_high") is None
        assert rig.value(SYSTEM, "module.temperature.maximum") == 60.0
        assert rig.site.devices[rig.system].commands == frozenset()


async def test_one_part_that_fails_keeps_none_of_the_others_from_working(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(Rig()) as rig:
        rig.fill()
        await rig.clock.advance(2)

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("a fault on purpose")

        with monkeypatch.context() as patch:
            patch.setattr(type(rig.keeper._cores.discharge), "see", fail)  # type: ignore[union-attr]
            rig.read(block(3), module_temperature=45.0)
            await rig.clock.advance(5)
        assert rig.holds(block(3), "module.temperature_high") is True
        assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
            "battery-1: the detection of discharges failed; everything else goes on"
        ]
        caplog.set_level(logging.INFO)
        await rig.clock.advance(2)
        assert "battery-1: the detection of discharges works again" in caplog.messages
        rig.read(block(3), module_temperature=22.0)
        await rig.clock.advance(5)


async def test_without_a_judge_and_without_a_keeper_no_module_draws_power(monkeypatch: pytest.MonkeyPatch) -> None:
    """M:6945: alarms stop equalising, so whoever cannot see them must not go on with it, nor look as if all were well."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a fault on purpose")

    config = replace(CONFIG, equalising=EqualisingConfig(enabled=True), boxes=(BoxConfig(),), relay=(1, 4))
    async with running(Rig(config)) as rig:
        rig.fill()
        rig.read(block(1), module_voltage=13.9)
        await rig.clock.advance(70)
        assert rig.bus.duties[1] > 0
        assert rig.output(1, 4) is True
        with monkeypatch.context() as patch:
            patch.setattr(Judge, "__call__", fail)
            await rig.clock.advance(2)
            assert set(rig.bus.duties.values()) == {0}
            assert rig.holds(SYSTEM, "system_failure") is rig.holds(SYSTEM, "general_alarm") is True
            assert rig.output(1, 4) is False
            rig.read(block(8), module_temperature=34.0)
            await rig.clock.advance(2)
        await rig.clock.advance(30)
        assert rig.holds(block(8), "module.temperature_high_warning") is True, "judged afterwards"
        assert rig.holds(SYSTEM, "system_failure") is rig.holds(SYSTEM, "general_alarm") is False
        assert rig.output(1, 4) is True
        assert rig.bus.duties[1] > 0
    assert set(rig.bus.duties.values()) == {0}


# What the bus is told


async def test_a_discharge_that_the_ups_reports_is_read_at_full_speed_logged_and_counted() -> None:
    logged: list[datetime] = []

    def log(_: DeviceId, at: datetime, board: Board) -> None:
        assert any(value is not None for value in board.voltage), "nothing has been read yet"
        assert board.layout.blocks == 8
        logged.append(at)

    rig = Rig(replace(CONFIG, ups="ups-1", log=BatteryLogConfig(interval=180.0)), services=Services(log=log))
    async with running(rig):
        rig.fill()
        ups = rig.site.lane(UPS, None)
        ups.post({}, {"on_battery": False, "charging": False})
        await rig.clock.advance(30)
        assert len(logged) == 1
        ups.post({}, {"on_battery": True})
        await rig.clock.advance(70)
        assert rig.bus.paces == [Pace.VOLTAGE]
        assert len(logged) > 60
        assert rig.value(SYSTEM, "battery.discharges") == 1
        ups.post({}, {"on_battery": False})
        await rig.clock.advance(10)
        assert rig.bus.paces == [Pace.VOLTAGE, Pace.NORMAL]
        assert '"discharges":1' in rig.shelf.texts[rig.system]["discharge"]


async def test_blocks_that_stand_higher_draw_power_and_a_pause_ends_that() -> None:
    config = replace(CONFIG, equalising=EqualisingConfig(enabled=True))
    async with running(Rig(config)) as rig:
        rig.fill()
        rig.read(block(1), module_voltage=13.9)
        await rig.clock.advance(200)
        assert rig.bus.duties[1] > 0
        assert rig.bus.duties[2] == 0
        result = await rig.commands.perform(rig.system, "equalizing.pause", {"duration": 2})
        assert result.message == "Equalising pauses for 2 h."
        await rig.clock.advance(5)
        assert rig.bus.duties[1] == 0
        assert rig.holds(SYSTEM, "equalizing_paused") is True
        await rig.commands.perform(rig.system, "equalizing.resume", {})
        await rig.clock.advance(5)
        assert rig.holds(SYSTEM, "equalizing_paused") is False


async def test_impedances_are_measured_when_asked_for_and_become_baselines() -> None:
    """M:6482."""
    async with running(Rig()) as rig:
        rig.fill()
        await rig.clock.advance(2)
        module = rig.keeper.identities[block(3)]
        await rig.commands.perform(module, "impedance.measure", {})
        await rig.clock.advance(2)
        assert rig.bus.measured == [(3,)]
        await rig.commands.perform(rig.system, "impedance.measure", {})
        await rig.clock.advance(2)
        assert rig.bus.measured[1] == tuple(range(1, 9))
        rig.lane(block(8)).post({"module.impedance": None})
        result = await rig.commands.perform(rig.system, "baseline.set", {})
        assert result.message.startswith("Taken for 7 blocks. Not known yet: 8.")
        assert rig.value(block(3), "module.impedance.baseline") == 20.0
        with pytest.raises(CommandError, match="block 8 is not known"):
            await rig.commands.perform(rig.keeper.identities[block(8)], "baseline.set", {})
        await rig.commands.perform(module, "baseline.clear", {})
        assert rig.value(block(3), "module.impedance.baseline") == "stale"
        await rig.clock.advance(1)
        assert '"2":20.0' in rig.shelf.texts[rig.system]["impedance"]


async def test_a_thermal_runaway_opens_the_breaker_of_its_string_and_stays_open_over_a_restart() -> None:
    """M:6700."""
    shelf = Shelf()
    async with running(Rig(BREAKERS, shelf=shelf)) as rig:
        rig.fill()
        answering(rig)
        await rig.clock.advance(5)
        assert rig.output(1, 2) is not True
        for temperature in range(24, 60, 4):
            rig.read(block(6), module_temperature=float(temperature))
            await rig.clock.advance(2)
        await rig.clock.advance(10)
        assert rig.holds(string(2), "thermal_runaway") is True
        assert rig.holds(string(1), "thermal_runaway") is False
        assert rig.output(1, 2) is True
        assert rig.output(1, 1) is not True
        assert rig.holds(string(2), "breaker_tripped") is True
        answering(rig, 1, 2)
        await rig.clock.advance(2)
        assert rig.holds(string(2), "breaker_open") is True
        with pytest.raises(CommandError, match="still runs away"):
            await rig.commands.perform(rig.keeper.identities[string(2)], "breaker.reset", {})
    again = Rig(BREAKERS, shelf=shelf)
    async with running(again):
        await again.clock.advance(2)
        assert again.holds(string(2), "breaker_tripped") is True
        assert again.output(1, 2) is True


async def test_breakers_are_tested_and_released_by_command() -> None:
    """M:6727."""
    async with running(Rig(BREAKERS)) as rig:
        rig.fill()
        answering(rig)
        await rig.clock.advance(3)
        with pytest.raises(CommandError, match="name the string"):
            await rig.commands.perform(rig.system, "breaker.test", {})
        first = rig.keeper.identities[string(1)]
        assert "opens by output 1 of box 1" in (await rig.commands.perform(first, "breaker.test", {})).message
        await rig.clock.advance(1)
        assert rig.output(1, 1) is True
        assert rig.holds(string(1), "breaker_tripped") is True
        await rig.commands.perform(first, "breaker.reset", {})
        await rig.clock.advance(1)
        assert rig.output(1, 1) is False


async def test_free_outputs_are_switched_by_command_and_reserved_ones_are_not() -> None:
    """M:6262, M:6296."""
    async with running(Rig(BREAKERS)) as rig:
        place = rig.keeper.identities[box(1)]
        await rig.commands.perform(place, "output.set", {"number": 4, "state": 1})
        assert rig.output(1, 4) is False
        await rig.commands.perform(place, "output.set", {"number": 4, "state": 0})
        assert rig.output(1, 4) is True
        for reserved in (1, 2, 3):
            with pytest.raises(CommandError, match="reserved"):
                await rig.commands.perform(place, "output.set", {"number": reserved, "state": 1})
        with pytest.raises(CommandError, match="outputs 1 to 4"):
            await rig.commands.perform(place, "output.set", {"number": 5, "state": 1})


@pytest.mark.parametrize("allow", [frozenset(), frozenset({"equalizing"})], ids=["nothing", "another-group"])
async def test_nothing_is_done_that_is_not_granted(allow: frozenset[str]) -> None:
    rig = Rig(replace(BREAKERS, allow=allow))
    with pytest.raises(CommandError) as caught:
        await rig.commands.perform(rig.keeper.identities[string(1)], "breaker.test", {})
    assert caught.value.code == "not_granted"


async def test_what_the_configuration_has_no_use_for_is_not_offered() -> None:
    commands = Rig().site.devices[Rig().system].commands
    assert commands == {"impedance.measure", "baseline.set", "baseline.clear", "discharges.reset"}
    read_only = Rig(read_only=True)
    assert read_only.site.devices[read_only.system].commands == {"baseline.set", "baseline.clear", "discharges.reset"}


async def test_notes_of_the_inventory_are_handed_on_when_there_is_one() -> None:
    """M:7077."""
    kept: list[tuple[str, int, int, str]] = []

    class Book:
        full = False

        async def note(self, system: DeviceId, module: int, column: int, text: str) -> None:
            if self.full:
                raise MemoryFault("the disk is full")
            kept.append((system, module, column, text))

        async def name(self, system: DeviceId, column: int, text: str) -> None:
            kept.append((system, 0, column, text))

    book = Book()
    rig = Rig(services=Services(inventory=book))
    module = rig.keeper.identities[block(2)]
    assert (await rig.commands.perform(module, "inventory.note", {"column": 1, "text": "new"})).message == "Noted."
    named = await rig.commands.perform(rig.system, "inventory.column", {"column": 1, "text": "Date"})
    assert named.message == "Column 1 is called 'Date'."
    assert kept == [(rig.system, 2, 1, "new"), (rig.system, 0, 1, "Date")]
    book.full = True
    with pytest.raises(CommandError, match="the disk is full"):
        await rig.commands.perform(module, "inventory.note", {"column": 1, "text": ""})


async def test_an_alarm_relay_is_closed_by_command_and_normally_closed_outputs_are_energised_from_the_start() -> None:
    """M:6286, M:6379."""
    config = replace(CONFIG, boxes=(BoxConfig(outputs={2: ContactConfig("Lamp", normally_closed=True)}),), relay=(1, 1))
    async with running(Rig(config)) as rig:
        assert rig.output(1, 2) is True
        answer = await rig.commands.perform(rig.system, "alarm.reset", {})
        assert answer.message == "The alarm relay closes, unless there is an alarm."


async def test_nothing_is_measured_and_no_breaker_tested_while_the_programmer_has_the_bus() -> None:
    """M:5733."""
    async with running(Rig(BREAKERS)) as rig:
        rig.fill()
        answering(rig)
        rig.read(SYSTEM, {"programming": True})
        await rig.clock.advance(2)
        await rig.commands.perform(rig.system, "impedance.measure", {})
        with pytest.raises(CommandError, match="the programmer has the bus"):
            await rig.commands.perform(rig.keeper.identities[string(1)], "breaker.test", {})
        await rig.clock.advance(2)
        assert rig.bus.measured == []
        rig.read(SYSTEM, {"programming": False})
        await rig.clock.advance(2)
        assert rig.bus.measured == [tuple(range(1, 9))]


async def test_when_a_keeper_has_ended_nobody_carries_out_its_commands() -> None:
    rig = Rig()
    await rig.keeper.stop()
    with pytest.raises(CommandError, match="cannot be reached"):
        await rig.commands.perform(rig.system, "discharges.reset", {})


# What is not forgotten


async def test_counter_and_pause_go_on_over_a_restart() -> None:
    shelf = Shelf()
    config = replace(CONFIG, ups="ups-1", equalising=EqualisingConfig(enabled=True))
    async with running(Rig(config, shelf=shelf)) as rig:
        rig.fill()
        ups = rig.site.lane(UPS, None)
        ups.post({}, {"on_battery": True})
        await rig.clock.advance(70)
        ups.post({}, {"on_battery": False})
        await rig.commands.perform(rig.system, "equalizing.pause", {})
        await rig.clock.advance(5)
    await rig.keeper.stop()
    async with running(Rig(config, shelf=shelf, clock=rig.clock)) as again:
        await again.clock.advance(1)
        assert again.value(SYSTEM, "battery.discharges") == 1
        assert again.holds(SYSTEM, "equalizing_paused") is True
        await again.commands.perform(again.system, "discharges.reset", {})
        assert again.value(SYSTEM, "battery.discharges") == 0
        await again.clock.advance(1)
        assert '"discharges":0' in shelf.texts[again.system]["discharge"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"version":1}', '{"version":2,"at":"2026-01-01T00:00:00+00:00","state":{}}', '{"version":1,"at":"x","state":{}}', "[" * 100_000],
    ids=["empty", "cut-off", "list", "nothing", "other-version", "no-time", "nested"],
)  # fmt: skip
async def test_what_was_kept_and_cannot_be_used_begins_anew_with_a_line(
    text: str, caplog: pytest.LogCaptureFixture
) -> None:
    rig = Rig(shelf=Shelf({DeviceId("battery-1"): {"discharge": text}}))
    lines = [record.message for record in caplog.records if "cannot be used" in record.message]
    assert len(lines) == 1
    assert lines[0].startswith("What was kept of battery-1 (discharge) cannot be used, it begins anew")
    async with running(rig):
        await rig.clock.advance(2)
        assert rig.value(SYSTEM, "battery.discharges") == 0


async def test_a_full_disk_is_said_once_and_everything_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    shelf = Shelf(full=True)
    async with running(Rig(shelf=shelf)) as rig:
        rig.fill()
        await rig.commands.perform(rig.system, "discharges.reset", {})
        await rig.clock.advance(70)
        assert caplog.messages.count("The state of battery-1 cannot be kept: the disk is full") == 1
        shelf.full = False
        await rig.clock.advance(65)
        assert shelf.writes >= 1
        assert "discharge" in shelf.texts[rig.system]


async def test_while_nothing_happens_hardly_anything_is_written() -> None:
    async with running(Rig()) as rig:
        rig.fill()
        await rig.clock.advance(70)
        before = rig.shelf.writes
        await rig.clock.advance(130)
        assert rig.shelf.writes - before <= 1


# What it costs


async def test_512_modules_that_answer_all_the_time_take_little_of_a_core() -> None:
    """650 module readings a second, as a bus of 115,200 baud gives (PROTOCOL: Cost of a scan)."""
    strings = tuple(StringConfig(f"S{n}", 32) for n in range(16))
    config = replace(
        CONFIG, strings=strings, sensors=SensorsConfig("each"), equalising=EqualisingConfig(enabled=True),
        limits=LimitsConfig(voltage_difference=1.0),
    )  # fmt: skip
    rig = Rig(config)
    end = rig.keeper._intake.begin()
    rig.fill()
    posting = spent = 0.0
    seconds, next_module = 20, 0
    for step in range(4 * seconds):
        began = time.process_time()
        for _ in range(5):
            with rig.site.transaction():
                for _ in range(32):
                    number = next_module % 512 + 1
                    next_module += 1
                    # Half of the values differ from those before, as with real noise.
                    volts = 13.6 + (number % 7 + step % 2) * 0.004
                    rig.lane(block(number)).post({"module.voltage": volts, "module.temperature": 22.0 + step % 4 // 3})
        between = time.process_time()
        rig.keeper.look()
        spent += time.process_time() - between
        posting += between - began
        rig.clock.tick(0.25)
    end()
    # A generous bound for a busy machine; the budget is 0.05.
    assert spent / seconds < 0.10, f"the keeper {spent / seconds:.3f} of a core, the site {posting / seconds:.3f}"
    assert rig.site.rejected == {}
