"""A Modbus UPS in the bridge: link, runner and site together, against the simulated UPS' card and on an RS-485 line."""

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from ridethrough.links.base import Credentials
from ridethrough.links.context import LinkContext
from ridethrough.links.runner import LinkState
from ridethrough.links.schemes import open_link
from ridethrough.sim.designs import DESIGNS
from ridethrough.sim.face import Place
from ridethrough.sim.modbus import ModbusPeer
from ridethrough.sim.unit import Unit
from ridethrough.site import Quality
from tests.bridge.links.watched import Watched, watched

from .line import Rs485Line
from .standin import ONE_PHASE, Standin


def over(url: str, context: LinkContext) -> AbstractAsyncContextManager[Watched]:
    """Run a UPS in a site."""
    return watched(open_link(url, Credentials(), context))


async def test_an_outage_of_the_simulated_ups_reaches_the_site(context: LinkContext) -> None:
    unit = Unit(DESIGNS["interactive-1000"])
    card = ModbusPeer(unit, lambda: None, Place())
    card.open()
    serving = asyncio.create_task(card.run())
    async with over(f"modbus://{card.where}/1?poll=0.1&timeout=0.3", context) as whole:
        unit.inputs = replace(unit.inputs, mains_voltage=0.0)
        unit.advance(5.0)
        await whole.until(lambda: whole.active("on_battery"))
        reading = whole.site.reading(whole.id, "battery.runtime")
        assert reading is not None
        assert isinstance(reading.value, float)
        assert reading.value > 60
        card.set_plugged(False)
        await whole.until(lambda: whole.active("communications_lost"))
        assert whole.quality("battery.charge") is Quality.LOST
        card.set_plugged(True)
        await whole.until(lambda: not whole.active("communications_lost"))
        assert whole.quality("battery.charge") is Quality.GOOD
        assert whole.active("on_battery")
        assert whole.site.rejected == {}
    serving.cancel()
    await asyncio.wait({serving})
    card.close()


async def test_a_card_that_loses_its_ups_and_finds_it_again(context: LinkContext) -> None:
    async with Standin(ONE_PHASE) as card, over(card.url, context) as whole:
        card.registers[134] = 1
        await whole.until(lambda: whole.active("communications_lost"))
        assert whole.quality("battery.charge") is Quality.LOST
        card.registers[134] = 0
        await whole.until(lambda: not whole.active("communications_lost"))


async def test_sensors_and_contacts_become_devices_of_the_site(context: LinkContext) -> None:
    registers = {**ONE_PHASE, **dict.fromkeys(range(50000, 50080), 0), 143: 22, 50063: 1}
    async with Standin(registers) as card, over(card.url, context) as whole:
        await whole.until(lambda: whole.site.device_by_key("ups-1/io_box-1") is not None)
        box, sensor = (whole.site.device_by_key(f"ups-1/{key}") for key in ("io_box-1", "sensor-1"))
        assert box is not None
        assert sensor is not None
        assert whole.site.readings(box.id)["input.64"].value is True
        assert whole.site.readings(sensor.id)["sensor.value"].value == 22
        assert whole.site.rejected == {}
        card.hang_up()
        await whole.until(lambda: whole.site.readings(sensor.id)["sensor.value"].quality is Quality.LOST)
        await whole.until(lambda: whole.site.readings(sensor.id)["sensor.value"].quality is Quality.GOOD)


@pytest.mark.parametrize("baud", [9600, 19200])
async def test_an_adapter_that_is_pulled_and_put_back(tmp_path: Path, context: LinkContext, baud: int) -> None:
    def answer(line: Rs485Line, question: bytes) -> None:
        address, count = int.from_bytes(question[2:4]), int.from_bytes(question[4:6])
        words = b"".join(ONE_PHASE.get(address + number, 0).to_bytes(2) for number in range(count))
        body = bytes([1, 3, 2 * count]) + words
        line.say(body + _crc(body))

    url = f"modbus:{tmp_path / 'master'}?unit=1&poll=0.1&timeout=0.3&baud={baud}"
    async with Rs485Line(tmp_path, units=0) as line:
        line.asked = lambda question: answer(line, question)
        whole = Watched(open_link(url, Credentials(), context), frozenset())
        running = asyncio.create_task(whole.runner.run())
        await whole.until(lambda: whole.runner.state is LinkState.CONNECTED)
    await whole.until(lambda: whole.active("communications_lost"))
    (tmp_path / "master").unlink()
    async with Rs485Line(tmp_path, units=0) as line:
        line.asked = lambda question: answer(line, question)
        await whole.until(lambda: not whole.active("communications_lost"))
        running.cancel()
        await asyncio.wait({running})


def _crc(data: bytes) -> bytes:
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc.to_bytes(2, "little")
