"""The contacts of the simulated UPS, read by pyserial's RFC 2217 client and by the bridge's own link."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
import time

import pytest
import serial
from serial import rfc2217

from ridethrough.clock import SystemClock
from ridethrough.links.base import Credentials
from ridethrough.links.context import LinkContext
from ridethrough.links.probe import probe
from ridethrough.sim import DESIGNS, contacts as contacts_module
from ridethrough.sim.contacts import Contacts, SimulatedPort
from ridethrough.sim.unit import Unit
from ridethrough.sim.ups import Inputs, OffReason, Supply

CABLE = "power_fail=!cts&battery_low=!dcd&present=dsr&supply=rts&shutdown=rts%2Bdtr"


@pytest.fixture
def unit() -> Unit:
    return Unit(DESIGNS["interactive-1000"])


@pytest.fixture
async def face(unit: Unit) -> Contacts:
    return Contacts(unit, lambda: unit.advance(0.0))


@pytest.fixture
async def address(face: Contacts) -> AsyncIterator[str]:
    async with face.serve() as (host, port):
        yield f"{host}:{port}"


def fail(unit: Unit, charge: float = 1.0) -> None:
    unit.inputs = Inputs(mains_voltage=0.0)
    unit.advance(1.0)
    unit.state = replace(unit.state, charge=charge)


async def conditions(address: str) -> dict[str, bool]:
    context = LinkContext.alone(SystemClock())
    result = await probe(f"contacts://{address}?{CABLE}", Credentials(), context, timeout=10)
    return {row.key: row.active for row in result.conditions}


async def test_the_lines_follow_the_ups(unit: Unit, address: str) -> None:
    assert await conditions(address) == {"on_battery": False, "battery_low": False, "shutdown_pending": False}
    fail(unit)
    assert (await conditions(address))["on_battery"] is True
    fail(unit, charge=0.1)
    assert (await conditions(address))["battery_low"] is True


async def test_a_cable_that_is_pulled_out_is_noticed(face: Contacts, address: str) -> None:
    face.plugged = False
    with pytest.raises(Exception, match="seems to be unplugged"):
        await conditions(address)


async def test_the_shutdown_line_switches_it_off_on_battery(
    unit: Unit, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contacts_module, "HELD", 0.2)

    def order() -> None:
        port = serial.serial_for_url(f"rfc2217://{address}", do_not_open=True)
        assert isinstance(port, rfc2217.Serial)
        port.dtr, port.rts = False, True
        with port:
            port.dtr = True
            time.sleep(0.6)
            port.dtr = False

    # On mains it is not heard.
    await asyncio.to_thread(order)
    assert unit.state.supply is Supply.MAINS
    fail(unit)
    await asyncio.to_thread(order)
    unit.advance(0.1)
    assert (unit.state.supply, unit.state.off_reason) == (Supply.OFF, OffReason.SHUTDOWN)
    # Mains is back: it starts again after its hold-off.
    unit.inputs = Inputs()
    unit.advance(60.0)
    assert unit.state.supply is Supply.MAINS


async def test_whoever_is_connected_is_hung_up_on_when_it_ends(face: Contacts) -> None:
    async with face.serve() as (host, port):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(b"data that nobody wants")
        assert await reader.read(1) == b"\xff"
        face.look()
    rest = asyncio.gather(reader.read(), return_exceptions=True)
    await asyncio.wait_for(rest, 5)
    writer.close()


def test_a_port_has_nothing_to_forget() -> None:
    port = SimulatedPort()
    port.reset_input_buffer()
    port.reset_output_buffer()
    assert not port.cts
