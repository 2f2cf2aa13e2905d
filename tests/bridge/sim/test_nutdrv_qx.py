"""A stranger's driver, NUT's nutdrv_qx, takes the simulator for a Megatec UPS."""

import asyncio
import getpass
import os
from pathlib import Path

import pytest

from ridethrough.sim.change import Change
from ridethrough.sim.ups import OffReason, Supply
from tests.strangers import peer

from .conftest import Bench

pytestmark = pytest.mark.peer


async def driver(bench: Bench, *arguments: str) -> str:
    """Run the driver on the line; give back what it prints."""
    folder = bench.link.parent
    command = [str(peer("nutdrv_qx")), "-u", getpass.getuser(), "-s", "sim", "-x", f"port={bench.link}"]
    process = await asyncio.create_subprocess_exec(
        *command,
        *["-x", "protocol=megatec", *arguments],
        env={**os.environ, "NUT_STATEPATH": str(folder), "NUT_CONFPATH": str(folder), "NUT_ALTPIDPATH": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return printed.decode()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    tmp_path.chmod(0o777)  # the driver drops its privileges
    return Bench(tmp_path)


async def test_it_reads_a_healthy_ups(bench: Bench) -> None:
    async with bench.simulation():
        seen = await driver(bench, "-d", "1")
    for line in (
        "ups.status: OL",
        "ups.type: offline / line interactive",
        "device.mfr: Ridethrough",
        "device.model: LI-1000",
        "ups.firmware: SIM1.0",
        "battery.voltage: 27.30",
        "battery.voltage.nominal: 24.0",
        "input.current.nominal: 4.0",
        "input.frequency: 50.0",
        "output.voltage: 230.0",
        "ups.load: 30",
    ):
        assert f"{line}\n" in seen


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (Change(mains=False), "OB"),
        (Change(mains=False, charge=0.1), "OB LB"),
        (Change(mains=200.0), "OL BOOST"),
    ],
)
async def test_it_reads_the_status(bench: Bench, change: Change, status: str) -> None:
    async with bench.simulation() as simulation:
        simulation.apply(change)
        assert f"ups.status: {status}\n" in await driver(bench, "-d", "1")


async def test_it_reads_an_online_ups_by_its_cells(bench: Bench) -> None:
    async with bench.simulation("online-3000"):
        seen = await driver(bench, "-d", "1")
        assert "ups.type: online\n" in seen
        assert "battery.voltage: 2.27\n" in seen or "battery.voltage: 108.96\n" in seen


async def test_its_forced_shutdown_puts_the_output_off_and_on_again(bench: Bench) -> None:
    async with bench.simulation() as simulation:
        await driver(bench, "-k", "-x", "offdelay=30", "-x", "ondelay=60")
        orders = [exchange.request for exchange in simulation.peer.exchanges.after(0)]
        assert "S.5R0001" in orders
        bench.clock.tick(31.0)
        simulation.catch_up()
        assert (simulation.unit.state.supply, simulation.unit.state.off_reason) == (Supply.OFF, OffReason.SHUTDOWN)
        bench.clock.tick(60.0)
        simulation.catch_up()
        assert simulation.state()["supply"] == "mains"
