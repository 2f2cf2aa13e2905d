"""Running from the command line: options, what is printed, and that nothing is left behind."""

from argparse import ArgumentParser
import asyncio
from io import StringIO
import os
from pathlib import Path
import re
import signal
import sys
import time

from aiohttp import ClientSession
import pytest

import ridethrough
from ridethrough.sim import (
    DESIGNS,
    ScenarioError,
    SimulateOptions,
    Simulation,
    add_arguments,
    find_scenario,
    options_from,
    simulate,
)
from ridethrough.sim.blocks import BlockDesign
from ridethrough.sim.blocks.simulation import BatteryOptions
from ridethrough.sim.change import Change

from .conftest import Bench, client

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(ridethrough.__file__).parents[1])}


def parsed(*arguments: str) -> SimulateOptions:
    parser = ArgumentParser(exit_on_error=False)
    add_arguments(parser)
    return options_from(parser.parse_args(arguments))


def test_options_have_sound_defaults() -> None:
    assert parsed() == SimulateOptions()


def test_options_are_taken_over() -> None:
    assert parsed(
        "--device=megatec-old",
        "--design=online-3000",
        "--scenario=outage",
        "--port=/x/ups",
        "--speed=10",
        "--control=8481",
        "--no-pacing",
        "--list",
    ) == SimulateOptions("megatec-old", "outage", Path("/x/ups"), 10.0, ("127.0.0.1", 8481), False, "online-3000", True)
    assert parsed("--control=0.0.0.0:1").control == ("0.0.0.0", 1)
    assert parsed("--control=[::1]:1").control == ("::1", 1)
    reached = parsed("--address=127.0.0.2:1161", "--trap=[::1]:1162")
    assert (reached.address, reached.trap) == (("127.0.0.2", 1161), ("::1", 1162))


@pytest.mark.parametrize("wrong", ["--speed=fast", "--speed=0", "--speed=nan", "--control=x", "--control=1:99999"])
def test_wrong_options_are_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((SystemExit, Exception), match="must be"):
        parsed(wrong)


class Printed(StringIO):
    """What was printed, with a moment at which it was all printed."""

    def __init__(self) -> None:
        super().__init__()
        self.flushed = asyncio.Event()

    def flush(self) -> None:
        self.flushed.set()


async def test_simulate_says_where_it_is_then_ready_and_leaves_nothing(tmp_path: Path) -> None:
    out, link = Printed(), tmp_path / "ups"
    options = SimulateOptions(scenario="outage", port=link, control=("127.0.0.1", 0), baud_pacing=False)
    running = asyncio.create_task(simulate(options, out))
    await out.flushed.wait()
    match = re.fullmatch(rf"megatec on {link}, control (http://127\.0\.0\.1:\d+)\nready\n", out.getvalue())
    assert match is not None

    def ask() -> bytes:
        with client(link) as visitor:
            return visitor.ask(b"I")

    assert (await asyncio.to_thread(ask)).startswith(b"#Ridethrough")
    async with ClientSession(match[1]) as session, session.get("/state") as response:
        assert (await response.json())["scenario"] == "outage"
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not link.is_symlink()


async def test_simulate_may_do_without_control_and_name() -> None:
    out = Printed()
    running = asyncio.create_task(simulate(SimulateOptions(), out))
    await out.flushed.wait()
    assert re.fullmatch(r"megatec on /dev/pts/\d+, no control\nready\n", out.getvalue())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_list_lists_and_ends() -> None:
    out = StringIO()
    await simulate(SimulateOptions(list_scenarios=True), out)
    assert re.search(r"^outage +Mains fails", out.getvalue(), re.MULTILINE)


async def test_a_taken_name_a_taken_address_and_a_wrong_scenario_fail_clearly(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        await simulate(SimulateOptions(port=tmp_path / "file"))
    with pytest.raises(ScenarioError):
        await simulate(SimulateOptions(scenario="outrage"))
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    async with server:
        with pytest.raises(OSError, match="address already in use"):
            await simulate(
                SimulateOptions(port=tmp_path / "ups", control=server.sockets[0].getsockname()[:2]), StringIO()
            )
    assert not (tmp_path / "ups").is_symlink()


async def test_time_goes_by_itself_so_that_the_line_fails_though_nobody_asks(bench: Bench) -> None:
    async with bench.simulation(scenario=find_scenario("garbled_line")) as simulation:
        await bench.clock.advance(91.0)
        assert not bench.link.is_symlink()
        await bench.clock.advance(15.0)
        assert bench.link.is_symlink()
        assert simulation.peer.plugged


async def test_a_scenario_can_begin_unplugged(bench: Bench) -> None:
    scenario = find_scenario("steady")
    unplugged = type(scenario)("x", "x", initial=Change(plugged=False))
    async with bench.simulation(scenario=unplugged) as simulation:
        assert not simulation.peer.plugged
        simulation.play(scenario)
        assert simulation.peer.plugged


async def test_a_scenario_goes_on_when_the_name_of_its_line_is_taken_meanwhile(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    async with bench.simulation(scenario=find_scenario("garbled_line")) as simulation:
        await bench.clock.advance(91.0)
        bench.link.write_text("precious")
        await bench.clock.advance(15.0)
        assert not simulation.peer.plugged
        assert "The line stays unplugged, 105 s into garbled_line" in caplog.text
        bench.link.unlink()
        simulation.apply(Change(plugged=True))
        assert (await bench.ask(b"Q1")).startswith(b"(")


def test_an_hour_costs_well_under_a_second() -> None:
    simulation = Simulation(DESIGNS["interactive-1000"], find_scenario("low_battery"))
    simulation.apply(Change(mains=False, load=0.1, charge=1.0))
    began = time.process_time()
    simulation.unit.advance(3600.0)
    assert time.process_time() - began < 1.0


async def test_as_a_process_it_serves_until_sigterm_and_cleans_up(tmp_path: Path) -> None:
    link = tmp_path / "ups"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ridethrough.sim", "--port", str(link), env=ENVIRONMENT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert (await process.stdout.readline()).decode().startswith(f"megatec on {link}")
    assert await process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert not link.is_symlink()


async def test_as_a_process_it_says_what_is_wrong_and_fails(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ridethrough.sim",
        "--scenario",
        "outrage",
        env=ENVIRONMENT,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await process.communicate()
    assert process.returncode == 1
    assert complaint.decode().startswith("There is no scenario 'outrage'; there are flapping")


async def test_as_a_process_it_lists_and_ends() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ridethrough.sim", "--list", env=ENVIRONMENT, stdout=asyncio.subprocess.PIPE
    )
    listed, _ = await process.communicate()
    assert process.returncode == 0
    assert b"flapping" in listed


def test_options_of_a_battery() -> None:
    battery = parsed(
        "--device=module-bus",
        "--battery=512",
        "--strings=16",
        "--chemistry=nicd",
        "--block-voltage=2.4",
        "--capacity=100",
        "--boxes=4",
        "--breakers=each",
        "--no-sensors",
        "--ring=/x/far",
        "--segment=/x/b",
        "--segment=/x/c",
    ).battery
    assert battery == BatteryOptions(
        512,
        16,
        BlockDesign(2.4, 100.0, "nicd"),
        boxes=4,
        breakers="each",
        sensors=False,
        ring=Path("/x/far"),
        segments=(Path("/x/b"), Path("/x/c")),
    )
