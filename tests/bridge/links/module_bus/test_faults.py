"""What goes wrong on a bus: silence, noise, lies, unplugged adapters; and how the site hears of it."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
import random

import pytest

from ridethrough.battery.layout import Layout
from ridethrough.clock import SystemClock
from ridethrough.links.answer import NoAnswerError
from ridethrough.links.base import Credentials, LinkError
from ridethrough.links.context import LinkContext
from ridethrough.links.module_bus import census, link as link_module
from ridethrough.links.ports import SerialPorts
from ridethrough.links.probe import probe
from ridethrough.links.schemes import open_link
from ridethrough.site import Quality
from tests.bridge.links.conftest import Notebook
from tests.bridge.links.watched import watched

from .conftest import QUICK, Running, until
from .peer import FakeBox, FakeBus, FakeModule, Served, Terminal, frame


def module(notebook: Notebook, number: int) -> Notebook:
    return notebook.child("battery_module", str(number), "")


async def polled(notebook: Notebook) -> None:
    await until(lambda: notebook.conditions.get("module.polling"))


# Silence


async def test_a_bus_that_falls_silent_is_lost_as_a_whole(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(3)
    async with Served(bus) as server:
        with pytest.raises(NoAnswerError, match="no module answers"):
            await _read_until_it_is_pulled(
                running(f"//{server.where}", 3), notebook, lambda: setattr(bus, "dead", True)
            )


async def test_a_bus_that_stays_silent_never_counts_as_found_whoever_is_missing_on_it(
    notebook: Notebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(census, "MISSES", 1)
    bus = FakeBus.of(3)
    clock = SystemClock()
    context = LinkContext(clock, SerialPorts(clock), layout=Layout.of((3,), sensors=1, boxes=1))
    async with Served(bus) as server:
        link = open_link(f"module_bus://{server.where}?{QUICK}", Credentials(), context)
        running = asyncio.ensure_future(link.run(notebook))
        await polled(notebook)
        bus.dead = True
        with pytest.raises(NoAnswerError, match="no module answers"):
            await running
        later = Notebook()
        with pytest.raises(NoAnswerError, match="no module answers"):
            await link.run(later)
    # What posts a status counts as an answer: the link would be found and lost with every try.
    assert [said.polls for said in (later, *later.children.values())] == [0] * 6


async def test_a_bus_without_numbered_modules_is_no_fault(notebook: Notebook, running: Running) -> None:
    bus = FakeBus([FakeModule(0, 1)])
    async with Served(bus) as server, running(f"//{server.where}", 1):
        await until(lambda: module(notebook, 1).conditions.get("module.lost"))
        assert notebook.conditions["programming"] is False


@pytest.mark.parametrize("way", ["tty", "tcp"])
async def test_an_adapter_that_is_pulled(notebook: Notebook, running: Running, tmp_path: Path, way: str) -> None:
    bus = FakeBus.of(2)
    async with Terminal(tmp_path / "tty", bus) as terminal, Served(bus) as server:
        where, hang_up = (terminal.path, terminal.hang_up) if way == "tty" else (f"//{server.where}", server.hang_up)
        with pytest.raises(LinkError, match="has gone"):
            await _read_until_it_is_pulled(running(where, 2), notebook, hang_up)


async def _read_until_it_is_pulled(
    running: AbstractAsyncContextManager[object], notebook: Notebook, pull: Callable[[], None]
) -> None:
    async with running:
        await polled(notebook)
        pull()
        await asyncio.Event().wait()


async def test_nobody_behind_the_address(notebook: Notebook, running: Running) -> None:
    async with Served(FakeBus()) as server:
        where = server.where
    with pytest.raises(LinkError, match="cannot be reached"):
        await _read_until_it_is_pulled(running(f"//{where}", 1), notebook, lambda: None)


async def test_an_end_that_is_missing_does_not_keep_the_others_from_being_read(
    notebook: Notebook, running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "REOPEN", 0.05)
    near, far = FakeBus.of(2), FakeBus.of(2, first=3)
    async with Terminal(tmp_path / "near", near) as first, running(first.path, 4, more=f"&ring={tmp_path}/far"):
        await until(lambda: module(notebook, 1).points)
        await until(lambda: module(notebook, 3).conditions.get("module.lost"))
        async with Terminal(tmp_path / "far", far) as second:
            await until(lambda: module(notebook, 3).conditions.get("module.lost") is False)
            first.hang_up()
            await until(lambda: module(notebook, 1).conditions["module.lost"])
            far.modules += near.modules
            await until(lambda: not module(notebook, 1).conditions["module.lost"])
            assert second.path


# Noise and lies


async def test_disturbed_frames_are_counted_and_nothing_is_made_of_them(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(40)
    dice = random.Random(7)

    def spoil(answer: bytes) -> bytes:
        data = bytearray(answer)
        if answer[1] == 65 and data:
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        return bytes(data)

    bus.spoil = spoil
    async with Served(bus) as server, running(f"//{server.where}", 40):
        await until(lambda: notebook.counters.get("malformed", 0) > 12)
        await polled(notebook)
        await until(lambda: all(module(notebook, number).points for number in range(1, 41)))
        for number in range(1, 41):
            assert module(notebook, number).points["module.voltage"] == 13.5
            assert module(notebook, number).conditions.get("module.lost") is not True
            assert module(notebook, number).conditions.get("module.duplicate") is not True


async def test_a_line_that_never_stops_is_not_remembered_without_bound(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(2)
    async with Served(bus) as server, running(f"//{server.where}", 2) as link:
        await polled(notebook)
        bus.spoil = lambda answer: answer + b"\xf7\x41" * 20000
        await until(lambda: notebook.counters.get("malformed", 0) > 3)
        assert module(notebook, 1).conditions["module.lost"] is False
        bus.spoil = lambda answer: answer
        bus.module(1).voltage = 12000
        await until(lambda: module(notebook, 1).points["module.voltage"] == 12.0)
        assert link.deadline >= 15


async def test_answers_of_nobody_who_was_asked(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(1)
    bus.spoil = lambda answer: answer + frame(66, 600, 13000) + frame(66, 0, 13000) + frame(105, b"\x09\x00\x00")
    async with Served(bus) as server, running(f"//{server.where}", 1):
        await polled(notebook)
        assert list(notebook.children) == [("battery_module", "1")]


async def test_an_adapter_that_hears_itself(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(2)
    bus.echo = True
    async with Served(bus) as server, running(f"//{server.where}", 2) as link:
        await polled(notebook)
        link.bus.equalise({1: 40})
        await until(lambda: bus.module(1).duty == 40)
        answers = notebook.counters["answers"]
        await until(lambda: notebook.counters["answers"] > answers + 4)
        assert notebook.counters.get("malformed", 0) == 0, "nor is what nobody answers"
        await link.perform("module.find", {}, "2")
        assert bus.module(2).blinking
        bus.module(2).silent = True
        with pytest.raises(Exception, match="did not answer"):
            await link.perform("module.find", {}, "2")


async def test_what_cannot_be_measured_is_no_value(notebook: Notebook, running: Running) -> None:
    bus = FakeBus.of(3)
    bus.module(2).voltage, bus.module(2).temperature, bus.module(2).status = 0xFFFF, 0x7FFF, 0x04
    bus.module(3).impedance, bus.module(3).duty, bus.module(3).temperature = 0xFFFE, 200, 9000
    async with Served(bus) as server, running(f"//{server.where}", 3):
        await polled(notebook)
        assert module(notebook, 2).points["module.voltage"] is None
        assert module(notebook, 2).points["module.temperature"] is None
        assert module(notebook, 2).conditions["module.fuse_blown"] is True
        assert module(notebook, 3).points["module.impedance"] is None
        assert module(notebook, 3).points["module.equalizing"] is None
        assert module(notebook, 3).points["module.temperature"] is None


async def test_modules_that_do_not_go_with_the_first_or_are_not_calibrated(
    notebook: Notebook, running: Running
) -> None:
    """Manual M:5929–5970."""
    bus = FakeBus.of(4)
    bus.module(2).hardware = (3, 0)
    bus.module(3).calibration = 0
    bus.module(4).status = 0x08
    async with Served(bus) as server, running(f"//{server.where}", 4):
        await until(
            lambda: (
                notebook.children
                and [module(notebook, n).conditions.get("module.incompatible") for n in range(1, 5)]
                == [False, True, True, True]
            )
        )
        assert notebook.rare["module.hardware"] == "2.1, 3.0"


async def test_a_number_on_two_segments(notebook: Notebook, running: Running) -> None:
    async with (
        Served(FakeBus.of(2)) as one,
        Served(FakeBus.of(1)) as other,
        running(f"//{one.where}", 2, more=f"&segments={other.where}"),
    ):
        await until(lambda: module(notebook, 1).conditions.get("module.duplicate"))


# In the bridge


async def test_a_probe_finds_what_answers() -> None:
    bus = FakeBus.of(2, first=300)
    bus.sensors = {2: (0, 1500, 0)}
    async with Served(bus) as server:
        result = await probe(f"module_bus://{server.where}?{QUICK}", Credentials(), LinkContext.alone(SystemClock()))
    assert {row.device for row in result.rows} == {"", "battery_module-300", "battery_module-301", "current_sensor-2"}
    assert result.complete
    values = {(row.device, row.key): row.value for row in result.rows}
    assert values["battery_module-301", "module.voltage"] == 13.5


async def test_the_site_hears_of_modules_and_of_their_loss(tmp_path: Path) -> None:
    bus = FakeBus.of(3)
    async with Terminal(tmp_path / "tty", bus) as terminal:
        context = LinkContext(SystemClock(), SerialPorts(SystemClock()), layout=Layout.of([3]))
        link = open_link(f"module_bus:{terminal.path}?{QUICK}", Credentials(), context)
        async with watched(link, "battery", kind="battery_system") as whole:
            await whole.until(lambda: whole.site.device_by_key("ups-1/battery_module-3") is not None)
            two = whole.site.device_by_key("ups-1/battery_module-2")
            assert two is not None
            await whole.until(lambda: bool(whole.site.readings(two.id)))
            await whole.until(lambda: whole.site.devices[two.id].serial == "1002")
            assert whole.site.devices[two.id].commands == {"module.find", "module.release"}
            bus.module(2).silent = True
            await whole.until(lambda: whole.site.conditions(two.id)["module.lost"].active)
            assert whole.site.readings(two.id)["module.voltage"].quality is Quality.STALE
            bus.module(2).silent = False
            await whole.until(lambda: not whole.site.conditions(two.id)["module.lost"].active)
            assert whole.site.readings(two.id)["module.voltage"].quality is Quality.GOOD
            assert whole.site.rejected == {}
            terminal.hang_up()
            await whole.until(lambda: whole.active("communications_lost"))
            assert whole.site.readings(two.id)["module.voltage"].quality is Quality.LOST
        await context.ports.close()


async def test_an_adapter_that_gathers_bytes_is_waited_for(
    notebook: Notebook, running: Running, tmp_path: Path
) -> None:
    """Its answers come when the next question has been asked; they count all the same."""
    bus = FakeBus.of(3)
    bus.boxes = {1: FakeBox(inputs=1)}
    async with Terminal(tmp_path / "tty", bus, delay=0.016) as terminal, running(terminal.path, 3, boxes=1) as link:
        await until(lambda: notebook.child("io_box", "1", "").points.get("input.1"))
        await polled(notebook)
        assert link.bus is not None
        link.bus.switch(1, 4, energised=True)
        await until(lambda: notebook.child("io_box", "1", "").points["output.4"])
        timeouts = notebook.counters.get("timeouts", 0)
        polls = notebook.polls
        await until(lambda: notebook.polls > polls + 5)
        assert notebook.counters.get("timeouts", 0) - timeouts <= 3
        assert not any(module(notebook, number).conditions["module.lost"] for number in (1, 2, 3))
