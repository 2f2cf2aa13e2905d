"""Reading a device once and showing everything it says."""

import asyncio
from collections.abc import Mapping
import json
from typing import ClassVar

import pytest

from ridethrough.clock import ManualClock, SystemClock
from ridethrough.links.base import Credentials, Identity, Link, LinkError, RawValue, Report
from ridethrough.links.context import LinkContext
from ridethrough.links.ports import SerialPorts
from ridethrough.links.probe import ProbeResult, probe, probe_link, render_table, to_json
from ridethrough.site import CommandResult, Value

from .nut.standin import StandIn
from .peers import SerialPeer

VARIABLES = {
    "ambient.1.contacts.1.status": "open",
    "battery.charge": "100",
    "battery.runtime": "soon",
    "device.mfr": "ACME",
    "device.model": "Rack \x1b[31m3000",
    "device.serial": "",
    "input.L1-N.voltage": "230.10",
    "made.up.by.nobody.voltage": "5",
    "nonsense": "?",
    "outlet.2.desc": "Printer",
    "outlet.2.status": "on",
    "outlet.10.status": "off",
    "ups.beeper.status": "enabled",
    "ups.serial": "4711",
    "ups.firmware": "1.2",
    "ups.status": "OL CHRG WIBBLE",
}


async def probed(upsd: StandIn) -> ProbeResult:
    return await probe(f"nut://127.0.0.1:{upsd.port}/ups1?poll=0.1", Credentials(), LinkContext.alone(SystemClock()))


@pytest.fixture
async def result() -> ProbeResult:
    """Probe a UPS that says a bit of everything."""
    async with StandIn(VARIABLES) as upsd:
        upsd.commands = ["load.off", "outlet.2.load.off", "beeper.mute"]
        return await probed(upsd)


def test_every_variable_is_shown_under_its_own_name_in_order(result: ProbeResult) -> None:
    shown = {row.key: row.text for row in result.rows if row.text is not None}
    assert shown == VARIABLES
    assert [row.key for row in result.rows if row.device] == ["outlet.2.desc", "outlet.2.status", "outlet.10.status"]
    assert result.complete


@pytest.mark.parametrize(
    ("key", "value", "unit", "quality", "name"),
    [
        ("battery.charge", 100.0, "%", "good", "Battery charge"),
        ("battery.runtime", None, "s", "malformed", "Runtime"),
        ("device.serial", None, "", "unsupported", "Device serial number"),
        ("input.L1-N.voltage", 230.1, "V", "good", "Input voltage L1-N"),
        ("outlet.2.status", "on", "", "good", "Outlet status"),
        ("made.up.by.nobody.voltage", "5", "V", "not catalogued", ""),
        ("nonsense", "?", "", "not catalogued", ""),
        (
            "server.info",
            "Network UPS Tools upsd 2.8.0 - http://www.networkupstools.org/",
            "",
            "good",
            "Server information",
        ),
    ],
)
def test_each_row_tells_value_unit_quality_and_name(
    result: ProbeResult, key: str, value: Value | None, unit: str, quality: str, name: str
) -> None:
    row = next(row for row in result.rows if row.key == key)
    assert (row.value, row.unit, row.quality, row.name) == (value, unit, quality, name)


def test_the_table_shows_all_of_it(result: ProbeResult) -> None:
    table = render_table(result)
    lines = table.splitlines()
    assert lines[:3] == ["ACME Rack ?[31m3000", "serial number 4711", "firmware 1.2"]
    cells = {line.split()[0]: line.split() for line in lines if line.strip()}
    assert cells["input.L1-N.voltage"] == ["input.L1-N.voltage", "230.10", "V", "good", "Input", "voltage", "L1-N"]
    assert cells["charging"][:3] == ["charging", "yes", "info"]
    assert cells["on_battery"][:3] == ["on_battery", "no", "warning"]
    assert "outlet-2" in next(line for line in lines if line.startswith("outlet_on"))
    assert "commands: beeper.mute, load.off, outlet-2 outlet.off" in lines
    assert any(line.startswith("counted: answers 2, malformed 1, unknown 1") for line in lines)
    # A device must not be able to paint on the terminal.
    assert "\x1b" not in table


def test_the_json_holds_all_of_it(result: ProbeResult) -> None:
    told = json.loads(to_json(result))
    assert told["identity"] == {
        "manufacturer": "ACME",
        "model": "Rack \x1b[31m3000",
        "serial": "4711",
        "firmware": "1.2",
    }
    assert {"device": "outlet-2", "command": "outlet.off"} in told["commands"]
    assert {row["key"]: row["text"] for row in told["rows"] if row["text"] is not None} == VARIABLES
    assert {row["key"]: row["active"] for row in told["conditions"] if row["device"] == ""}["charging"] is True
    assert told["complete"] is True


async def test_a_variable_that_vanishes_between_two_polls_is_not_shown() -> None:
    async with StandIn(VARIABLES) as upsd:

        def script(request: str) -> None:
            if request == "LIST CMD ups1":
                del upsd.variables["battery.charge"]

        upsd.script = script
        result = await probed(upsd)
    assert "battery.charge" not in {row.key for row in result.rows}


async def test_a_serial_line_is_probed_by_its_own_port(peer: SerialPeer, ports: SerialPorts) -> None:
    url = f"megatec:{peer.path}?dialect=megatec"
    for context in (LinkContext(SystemClock(), ports), LinkContext.alone(SystemClock())):
        result = await probe(url, Credentials(), context)
        shown = {row.key: (row.value, row.unit, row.quality) for row in result.rows}
        assert shown["input.voltage"] == (226.0, "V", "good")
        assert shown["battery.voltage.nominal"] == (24.0, "V", "good")
        assert result.identity.model == "MT1000"
        assert ("", "test.battery.start.quick") in result.commands


@pytest.mark.parametrize(
    ("url", "says"),
    [("nut:ups1", "names no host"), ("smoke:signals", "There is no link called smoke"), ("ups1", "is no link")],
)
async def test_a_wrong_url_is_told(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        await probe(url, Credentials(), LinkContext.alone(SystemClock()))


async def test_nobody_there_is_told() -> None:
    async with StandIn() as upsd:
        port = upsd.port
    with pytest.raises(LinkError, match=f"upsd at 127.0.0.1:{port} cannot be reached"):
        await probe(f"nut://127.0.0.1:{port}/ups1", Credentials(), LinkContext.alone(SystemClock()))


class Script(Link):
    """A link that reports what a test wants; what a link does that does not come to an end."""

    scheme: ClassVar[str] = "script"
    example: ClassVar[str] = "script:"

    def __init__(
        self,
        statuses: list[Mapping[str, Value | None]],
        error: Exception | None = None,
        counters: tuple[str, ...] = ("timeouts",),
    ) -> None:
        self.statuses = statuses
        self.error = error
        self.counters = counters

    async def run(self, report: Report) -> None:
        for counter in self.counters:
            report.count(counter, 3)
        for status in self.statuses:
            report.status(status)
        if self.error is not None:
            raise self.error
        await asyncio.Event().wait()

    async def perform(self, command: str, arguments: Mapping[str, Value], child: str | None = None) -> CommandResult:
        raise NotImplementedError


async def test_a_device_that_tells_nothing_in_time_is_told_with_what_was_counted() -> None:
    clock = ManualClock()
    probing = asyncio.create_task(probe_link(Script([]), "script:", clock, timeout=7))
    await clock.advance(6.9)
    assert not probing.done()
    await clock.advance(0.2)
    with pytest.raises(LinkError, match="has not told its status within 7 s; counted: timeouts 3"):
        await probing


async def test_noise_on_the_line_is_called_noise() -> None:
    clock = ManualClock()
    probing = asyncio.create_task(probe_link(Script([], counters=("malformed",)), "script:", clock, timeout=7))
    await clock.advance(7.1)
    with pytest.raises(LinkError, match="what comes back cannot be understood: is it the right protocol, speed"):
        await probing


async def test_what_a_device_has_told_before_it_fell_silent_is_shown_as_incomplete() -> None:
    clock = ManualClock()
    points = {"battery.charge": 50.0, "ups.load": None, "no.such.point": True}
    probing = asyncio.create_task(probe_link(Script([points]), "script:", clock, timeout=7))
    await clock.advance(7)
    result = await probing
    assert not result.complete
    assert {row.key: row.quality for row in result.rows} == {
        "battery.charge": "good",
        "ups.load": "unsupported",
        "no.such.point": "not catalogued",
    }
    table = render_table(result)
    assert table.startswith("A device that does not say what it is")
    assert "there may be more" in table
    assert "commands: none" in table
    assert "yes" in next(line for line in table.splitlines() if line.startswith("no.such.point")).split()


async def test_what_a_device_has_told_before_it_was_lost_is_shown_as_incomplete() -> None:
    result = await probe_link(Script([{"ups.load": 5.0}], LinkError("gone")), "script:", ManualClock())
    assert not result.complete
    assert len(result.rows) == 1


async def test_a_link_without_names_of_its_own_has_no_raw_values() -> None:
    assert Script([]).raw() == ()


async def test_a_raw_value_of_a_child_nobody_has_reported_is_the_devices() -> None:
    class Odd(Script):
        def raw(self) -> tuple[RawValue, ...]:
            return (RawValue("outlet.9.id", "9", "", "outlet.id", ("outlet", "9")),)

    result = await probe_link(Odd([{}, {}]), "script:", ManualClock())
    assert [(row.device, row.key, row.quality) for row in result.rows] == [("", "outlet.9.id", "malformed")]
    assert result.identity == Identity()
