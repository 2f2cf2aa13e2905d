"""Numbering modules, finding them and checking their line, in the bridge and from the command line."""

from argparse import ArgumentParser, Namespace
import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from ridethrough.clock import ManualClock, SystemClock
from ridethrough.links.context import LinkContext
from ridethrough.links.module_bus import commandline, programming
from ridethrough.links.module_bus.link import COMMANDS
from ridethrough.links.module_bus.programmer import ProgrammerError
from ridethrough.site import CommandError
from tests.bridge.links.conftest import Notebook

from .conftest import Running, until
from .peer import FakeBox, FakeBus, FakeModule, Served, Terminal


def unprogrammed(count: int) -> FakeBus:
    return FakeBus([FakeModule(0, 70 + number) for number in range(count)])


async def press(bus: FakeBus, *which: int) -> None:
    """Press the buttons of modules as soon as they wait for it."""
    await until(lambda: all(bus.modules[one].addressing for one in which) and bus.taken is None)
    for one in which:
        bus.press(bus.modules[one])


# In the bridge


async def test_modules_are_numbered_one_by_one_and_read_afterwards(notebook: Notebook, running: Running) -> None:
    bus = unprogrammed(2)
    bus.boxes = {1: FakeBox()}
    async with Served(bus) as server, running(f"//{server.where}", 2, boxes=1) as link:
        await until(lambda: notebook.polls)
        assert notebook.identity is not None
        assert notebook.identity.commands == COMMANDS
        with pytest.raises(CommandError, match="start it first"):
            await link.perform("programmer.find", {"number": 1})
        await link.perform("programmer.start", {})
        assert notebook.conditions["programming"] is True
        bus.asked.clear()
        await link.perform("programmer.assign", {"first": 1, "last": 2, "sound": 1})
        assert notebook.points["programmer.state"] == "assigning"
        assert notebook.conditions["module.addressing"] is True
        with pytest.raises(CommandError, match="at work"):
            await link.perform("programmer.find", {"number": 1})
        await press(bus, 1)
        await until(lambda: notebook.points["programmer.number"] == 1)
        await press(bus, 0)
        await until(lambda: notebook.points["programmer.state"] == "ready")
        assert notebook.points["programmer.result"] == "All numbers from 1 to 2 are given."
        assert [module.number for module in bus.modules] == [2, 1]
        assert bus.announced == 0
        assert 65 not in {request[1] for request in bus.asked}
        assert link.bus is not None
        link.bus.switch(1, 1, energised=True)
        await until(lambda: bus.boxes[1].outputs == 1)
        await link.perform("programmer.stop", {})
        await until(lambda: notebook.child("battery_module", "2", "").points)
        assert {**notebook.conditions, **notebook.points}.items() >= {
            "programming": False,
            "programmer.state": "off",
        }.items()


async def test_numbering_is_stopped_and_ends_addressing_mode(notebook: Notebook, running: Running) -> None:
    bus = unprogrammed(1)
    async with Served(bus) as server, running(f"//{server.where}", 1) as link:
        await until(lambda: notebook.polls)
        await link.perform("programmer.start", {})
        await link.perform("programmer.assign", {"first": 1, "last": 1})
        await until(lambda: bus.modules[0].addressing)
        result = await link.perform("programmer.halt", {})
        assert result.message == "Stopped. 0 of 1 numbers are given."
        assert not bus.modules[0].addressing
        assert (await link.perform("programmer.halt", {})).message == "Nothing was going on."


async def test_addressing_mode_that_a_killed_program_has_left_is_ended(running: Running) -> None:
    bus = unprogrammed(1)
    bus.modules[0].addressing = True
    async with Served(bus) as server, running(f"//{server.where}", 1):
        await until(lambda: not bus.modules[0].addressing)


async def test_the_watchdog_ends_the_programmer_after_fifteen_minutes(
    notebook: Notebook, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programming, "CONFIRMED", 100.0)
    clock = ManualClock()
    bus = FakeBus.of(1)
    async with Served(bus) as server, running(f"//{server.where}", 1, clock=clock) as link:
        await until(lambda: notebook.conditions.get("module.polling"))
        await link.perform("programmer.start", {})
        await clock.advance(programming.WATCHDOG - 50)
        assert notebook.conditions["programming"] is True
        await link.perform("programmer.find", {"number": 0})
        await clock.advance(programming.WATCHDOG - 100)
        assert notebook.conditions["programming"] is True
        await clock.advance(200)
        await until(lambda: notebook.conditions["programming"] is False)


async def test_a_number_is_changed_only_where_that_is_safe(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(3)
    async with Served(bus) as server, running(f"//{server.where}", 3) as link:
        await until(lambda: notebook.polls)
        await link.perform("programmer.start", {})

        async def refused(old: int, new: int, told: str) -> None:
            with pytest.raises(CommandError, match=told) as error:
                await link.perform("programmer.change", {"old": old, "new": new})
            assert error.value.code == "refused"
            assert notebook.points["programmer.result"] == str(error.value)

        await refused(1, 2, "in use already")
        await refused(9, 8, "does not answer")
        await refused(2, 2, "the same")
        result = await link.perform("programmer.change", {"old": 2, "new": 7})
        assert result.message == "Module 2 is 7 now (serial number 1002)."
        await link.perform("programmer.change", {"old": 7, "new": 0})
        assert bus.modules[1].number == 0
        await link.perform("programmer.change", {"old": 0, "new": 2})
        assert bus.modules[1].number == 2
        bus.modules[0].number = bus.modules[1].number = 0
        await refused(0, 5, "Several modules had no number")
        assert [module.number for module in bus.modules] == [0, 0, 3]
        bus.modules[0].number = 3
        await refused(3, 4, "Two modules have number 3")
        assert (await link.perform("programmer.find", {"number": 3})).message.startswith("2 modules have number 3")
        bus.modules[0].serial = bus.modules[2].serial + 8  # in the same slot of eight
        await refused(3, 4, "Two modules have number 3")
        assert (await link.perform("programmer.find", {"number": 3})).message.startswith("2 modules have number 3")


async def test_numbers_are_taken_away_and_the_line_is_checked(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(3)
    async with Served(bus) as server, running(f"//{server.where}", 3) as link:
        await until(lambda: notebook.polls)
        await link.perform("programmer.start", {})
        sent = 0

        def spoil(answer: bytes) -> bytes:
            nonlocal sent
            if answer[1] != 102:
                return answer
            sent += 1
            return b"" if sent == 2 else answer[:-1] + b"?" if sent in {4, 5} else answer

        bus.spoil = spoil
        await link.perform("programmer.check", {"number": 2, "frames": 8})
        await until(lambda: notebook.points["programmer.state"] == "ready")
        assert notebook.points["programmer.result"] == (
            "Module 2: 8 frames sent, 5 came back whole, 1 were lost, 2 broken."
        )
        await link.perform("programmer.check", {"number": 9, "frames": 8})
        await until(lambda: notebook.points["programmer.result"] == "Module 9 does not answer.")
        await link.perform("programmer.reset", {"first": 1, "last": 2})
        assert [module.number for module in bus.modules] == [0, 0, 3]


async def test_a_module_blinks_while_the_bus_is_read(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(2)
    async with Served(bus) as server, running(f"//{server.where}", 2) as link:
        await until(lambda: notebook.polls)
        await link.perform("module.find", {}, "2")
        assert bus.module(2).blinking
        await link.perform("module.release", {}, "2")
        assert not bus.module(2).blinking
        bus.module(2).silent = True
        with pytest.raises(CommandError, match="did not answer"):
            await link.perform("module.find", {}, "2")
        with pytest.raises(CommandError, match="no command"):
            await link.perform("load.off", {})
        await link.perform("impedance.measure", {}, "1")
        await until(lambda: bus.measured == [1])


# From the command line


async def command(server: Served | Terminal, *words: str) -> list[str]:
    """Carry out `ridethrough battery …`, and return what was said."""
    said: list[str] = []
    where = server.where if isinstance(server, Served) else str(server.path)
    await commandline.work(parsed(words[0], where, *words[1:]), LinkContext.alone(SystemClock()), said.append)
    return said


def parsed(*words: str) -> Namespace:
    parser = ArgumentParser()
    commandline.add_arguments(parser)
    options = parser.parse_args(words)
    commandline.check_arguments(options)
    return options


async def test_list_shows_modules_and_numbers_that_two_have() -> None:
    bus = FakeBus.of(3)
    bus.modules += [FakeModule(2, 77), FakeModule(512, 8), FakeModule(512, 72)]
    bus.modules[0].calibration = 0
    async with Served(bus) as server:
        said = await command(server, "list")
    assert said == [
        "  1  12 V  hardware 2.1    firmware 3.4    serial number 1001  NOT CALIBRATED",
        "  3  12 V  hardware 2.1    firmware 3.4    serial number 1003",
        "2 modules answer.",
        "  2  several modules have this number: serial number 77, serial number 1002",
        "512  several modules have this number: two or more that cannot be told apart",
    ]


async def test_a_serial_port_is_spoken_to_as_soon_as_it_is_open(tmp_path: Path) -> None:
    async with Terminal(tmp_path / "bus", FakeBus.of(1)) as line:
        assert (await command(line, "list"))[-1] == "1 modules answer."


async def test_assign_tells_which_button_to_press_and_two_at_once_are_not_taken() -> None:
    bus = unprogrammed(3)
    async with Served(bus) as server:
        working = asyncio.create_task(command(server, "assign", "5", "6"))
        await press(bus, 0, 1)
        await until(lambda: bus.modules[0].number == 0 and bus.modules[0].addressing)
        await press(bus, 2)
        await until(lambda: bus.announced == 6)
        await press(bus, 0)
        said = await working
    assert [module.number for module in bus.modules] == [6, 0, 5]
    assert said[0] == "Press the button of module 5, shortly. Ctrl-C ends it."
    assert said[-1] == "Module 6 has its number (2 of 2)."


async def test_ctrl_c_ends_addressing_mode_and_the_blinking() -> None:
    bus = unprogrammed(1)
    bus.modules.append(FakeModule(4, 4))
    async with Served(bus) as server:
        working = asyncio.create_task(command(server, "assign", "1", "1"))
        await until(lambda: bus.modules[0].addressing)
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        assert not bus.modules[0].addressing
        bus.spoil = lambda answer: blinking(bus, answer)
        working = asyncio.create_task(command(server, "find", "4"))
        await until(lambda: bus.modules[1].blinking)
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        assert not bus.modules[1].blinking


def blinking(bus: FakeBus, answer: bytes) -> bytes:
    """Have the first answers say that the module blinks."""
    bus.modules[-1].status |= 0x40 if bus.modules[-1].blinking else 0
    return answer


async def test_change_reset_find_and_check() -> None:
    bus = FakeBus.of(2)
    async with Served(bus) as server:
        assert await command(server, "change", "2", "3") == ["Module 2 is 3 now (serial number 1002)."]
        assert await command(server, "check", "3", "--frames", "4") == [
            "4 frames sent, 4 came back whole, 0 were lost, 0 broken."
        ]
        with pytest.raises(ProgrammerError, match="In use already: 3"):
            await command(server, "assign", "2", "4")
        assert await command(server, "find", "1") == [
            "Module 1 blinks until its button is pressed. Ctrl-C ends it.",
            "Its button has been pressed.",
        ]
        with pytest.raises(ProgrammerError, match="is not found"):
            await command(server, "find", "9")
        said = await command(server, "reset", "1", "3")
        assert said == ["No module answers to the numbers from 1 to 3 any longer."]
        assert await command(server, "list") == ["No module answers: check supply, wiring and --baud."]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("assign", "/dev/a", "2", "1"), "above the last"),
        (("assign", "/dev/a", "0", "1"), "0 is no number"),
        (("find", "/dev/a", "513"), "513 is no number"),
        (("find", "tty", "1"), "port=tty is not possible"),
        (("check", "/dev/a", "1", "--frames", "0"), "At least one frame"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_what_cannot_be_meant_is_told(words: tuple[str, ...], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parsed(*words)


async def test_lights_are_shown_until_ctrl_c() -> None:
    bus = FakeBus.of(1)
    async with Served(bus) as server:
        working = asyncio.create_task(command(server, "check", "0"))
        await until(lambda: any(request[1] == 102 and request[5] == 1 for request in bus.asked))
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        await until(lambda: bus.asked[-1][1] == 102 and bus.asked[-1][5] == 0)


async def test_a_module_that_keeps_its_number_is_told_of() -> None:
    bus = FakeBus.of(2)
    bus.deaf = {101}
    async with Served(bus) as server:
        with pytest.raises(ProgrammerError, match="Still there: 1, 2"):
            await command(server, "reset", "1", "4")
        with pytest.raises(ProgrammerError, match="Module 2 keeps its number"):
            await command(server, "change", "2", "0")
