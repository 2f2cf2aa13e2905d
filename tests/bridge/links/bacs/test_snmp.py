"""A web manager read by SNMP: an agent of our tests shows objects written from the manual's list (M:12106)."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from ridethrough.battery.layout import Layout
from ridethrough.links.bacs import session as session_module
from ridethrough.links.base import Credentials, LinkError
from ridethrough.links.context import LinkContext
from ridethrough.links.schemes import open_link
from tests.bridge.links.conftest import Notebook
from tests.bridge.links.modbus.conftest import run_link
from tests.peers.snmpagent import Datum, SnmpAgent

BACS = "1.3.6.1.2.1.33.5"
SYSTEM = "1.3.6.1.2.1.1"


def numbers(values: Mapping[str, int]) -> dict[str, Datum]:
    return {f"{BACS}.{oid}": Datum.integer(value) for oid, value in values.items()}


def fleet(modules: int, strings: int, *, first: int = 1, status: int = 0x43, unit: int = 0) -> dict[str, Datum]:
    """Give the objects of a manager at rest whose tables count from `first`."""
    objects = {
        f"{SYSTEM}.1.0": Datum.text("BACS WEBMANAGER"),
        f"{SYSTEM}.2.0": Datum(6, bytes([0x2B, 6, 1, 2, 1, 0x21])),
        f"{SYSTEM}.3.0": Datum.integer(100, 0x43),
    }
    scalars = {"1.2": strings, "1.3": modules, "1.4": 7, "1.11": 360, "1.20": unit}
    scalars |= {"2.1": status, "2.2": 1350, "2.3": 5400, "2.4": modules, "2.6": strings, "3.1": 0, "3.4": 0, "3.5": 0}
    objects |= numbers({f"{oid}.0": value for oid, value in scalars.items()})
    for row in range(first, first + modules):
        number = row - first + 1
        cells = {1: row, 2: 1200 + number, 3: 250, 4: number % 101, 5: 400 + number, 6: 0}
        objects |= numbers({f"2.5.1.{column}.{row}": value for column, value in cells.items()})
    for row in range(first, first + strings):
        cells = {1: row, 2: -101, 3: 5401, 4: 1351, 5: 11, 6: 0, 7: 0}
        objects |= numbers({f"2.7.1.{column}.{row}": value for column, value in cells.items()})
    return objects


@asynccontextmanager
async def read(agent: SnmpAgent, notebook: Notebook, context: LinkContext, query: str = "") -> AsyncIterator[None]:
    async with run_link(f"bacs+snmp://127.0.0.1:{agent.port}?poll=1&timeout=0.3{query}", notebook, context):
        yield


async def until_told(notebook: Notebook, number: int) -> Notebook:
    """Wait until everything of a module has been told."""
    async with asyncio.timeout(15):
        while (found := notebook.children.get(("battery_module", str(number)))) is None or not found.rare:
            await asyncio.sleep(0.01)
    return found


@pytest.mark.parametrize("first", [0, 1])
async def test_tables_may_be_counted_from_0_or_from_1(first: int, notebook: Notebook, context: LinkContext) -> None:
    async with SnmpAgent(fleet(4, 2, first=first)) as agent, read(agent, notebook, context):
        last = await until_told(notebook, 4)
    assert {number for kind, number in notebook.children if kind == "battery_module"} == {"1", "2", "3", "4"}
    assert last.points == {"module.voltage": 12.04, "module.temperature": 25, "module.equalizing": 4}
    assert last.rare["module.impedance"] == 4.04
    assert (last.rare["module.string"], last.rare["module.position"]) == (2, 2)
    string = notebook.children["battery_string", "2"]
    assert string.points["string.current"] == -1.01
    assert string.points["string.voltage"] == 54.01
    assert notebook.points["battery.voltage"] == 54
    assert notebook.rare["module.temperature.high.critical"] == 36
    assert {key for key, active in notebook.conditions.items() if active} == {
        "monitoring", "modules_connected", "float_charging",
    }  # fmt: skip


async def test_512_modules_are_read(notebook: Notebook, context: LinkContext) -> None:
    async with SnmpAgent(fleet(512, 16)) as agent, read(agent, notebook, context):
        last = await until_told(notebook, 512)
    assert last.points["module.voltage"] == 17.12
    assert last.rare["module.string"] == 16


async def test_what_is_not_known_is_not_invented(notebook: Notebook, context: LinkContext) -> None:
    objects = fleet(2, 1) | numbers(
        {"2.5.1.2.1": -1, "2.5.1.5.1": 0, "2.5.1.6.1": -1, "2.5.1.3.2": 32000, "2.5.1.6.2": 0x0002}
    )
    async with SnmpAgent(objects) as agent, read(agent, notebook, context):
        one, two = await until_told(notebook, 1), await until_told(notebook, 2)
    assert one.points["module.voltage"] is None
    assert one.rare["module.impedance"] is None
    assert one.conditions == {}
    # A lost module shows no old values.
    assert two.points == {}
    assert two.conditions["module.lost"] is True


async def test_fahrenheit(notebook: Notebook, context: LinkContext) -> None:
    objects = fleet(1, 1, unit=1) | numbers({"2.5.1.3.1": 770, "1.11.0": 968})
    async with SnmpAgent(objects) as agent, read(agent, notebook, context):
        one = await until_told(notebook, 1)
    assert one.points["module.temperature"] == 25
    assert notebook.rare["module.temperature.high.critical"] == 36


async def test_flags_above_the_sign_and_alarms_of_the_table(notebook: Notebook, context: LinkContext) -> None:
    # bacsStatus as Integer32: bit 31 makes it negative.
    objects = fleet(1, 1, status=-(1 << 31) | 0x0008 | 1 << 19) | numbers({"3.1.0": 1})
    objects[f"{BACS}.3.2.1.2.1"] = Datum(6, bytes([0x2B, 6, 1, 2, 1, 0x21, 5, 3, 3, 35]))
    async with SnmpAgent(objects) as agent, read(agent, notebook, context):
        await notebook.until_poll()
        assert {key for key, active in notebook.conditions.items() if active} == {
            "current_sensor_lost", "discharging", "thermal_runaway", "equalizing_deactivated",
        }  # fmt: skip
        agent.put(f"{BACS}.3.1.0", Datum.integer(0))
        agent.put(f"{BACS}.2.1.0", Datum.integer(1))
        await notebook.until_condition("equalizing_deactivated", active=False)
        assert notebook.conditions["current_sensor_lost"] is False


async def test_modules_that_are_gone_are_let_go(
    notebook: Notebook, context: LinkContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "REDISCOVERY", 0.0)
    monkeypatch.setattr(session_module, "BLOCKS", 0.0)
    objects = fleet(2, 1) | numbers({"2.5.1.6.2": 0x0004})
    async with SnmpAgent(objects) as agent, read(agent, notebook, context):
        two = await until_told(notebook, 2)
        assert two.conditions["module.voltage_high"] is True
        for oid in [oid for oid in agent.objects if oid[-1] == 2 and oid[-4:-2] == (5, 1)]:
            del agent.objects[oid]
        async with asyncio.timeout(10):
            while "module.voltage" not in two.gone:
                await asyncio.sleep(0.01)
        assert two.conditions["module.voltage_high"] is False


async def test_boxes_with_their_inputs_and_outputs(notebook: Notebook, context: LinkContext) -> None:
    objects = fleet(1, 1) | numbers({"5.1.0": 1, "5.2.1.1.1": 1, "5.2.1.2.1": 1, "5.2.1.10.1": 0})
    objects[f"{BACS}.5.2.1.3.1"] = Datum.text("Hydrogen")
    async with SnmpAgent(objects) as agent, read(agent, notebook, context):
        await until_told(notebook, 1)
    box = notebook.children["io_box", "1"]
    assert box.points == {"input.1": True, "output.1": False}
    assert box.conditions["input_alarm.1"] is True
    assert box.rare["input.1.location"] == "Hydrogen"


async def test_the_configuration_says_where_blocks_stand(notebook: Notebook, context: LinkContext) -> None:
    told = LinkContext(context.clock, context.ports, layout=Layout.of([1, 2]))
    async with SnmpAgent(fleet(3, 2)) as agent, read(agent, notebook, told):
        assert (await until_told(notebook, 2)).rare["module.string"] == 2


async def test_the_raw_objects_have_their_names(notebook: Notebook, context: LinkContext) -> None:
    async with (
        SnmpAgent(fleet(1, 1)) as agent,
        run_link(f"bacs+snmp://127.0.0.1:{agent.port}?poll=1", notebook, context) as link,
    ):
        await until_told(notebook, 1)
        names = {row.name: row for row in link.raw()}
    assert (names["bacsModuleVoltage.1"].text, names["bacsModuleVoltage.1"].value) == ("1201", 12.01)
    assert names["bacsModuleVoltage.1"].child == ("battery_module", "1")


async def test_an_agent_that_falls_silent_is_lost(
    notebook: Notebook, context: LinkContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "UNANSWERED", 2)

    async def fall_silent() -> None:
        async with read(agent, notebook, context):
            await until_told(notebook, 1)
            agent.manners.silent = True
            await asyncio.Event().wait()

    async with SnmpAgent(fleet(1, 1)) as agent:
        with pytest.raises(LinkError, match="has stopped answering"):
            await fall_silent()
    assert notebook.counters["timeouts"] == 2


async def test_an_agent_without_batteries_is_said_so(notebook: Notebook, context: LinkContext) -> None:
    objects = {oid: datum for oid, datum in fleet(1, 1).items() if oid.startswith(SYSTEM)}
    async with SnmpAgent(objects) as agent:
        with pytest.raises(LinkError, match="no battery monitoring below 1.3.6.1.2.1.33.5"):
            async with read(agent, notebook, context):
                await asyncio.Event().wait()


async def test_it_offers_nothing_to_do(context: LinkContext) -> None:
    link = open_link("bacs+snmp://127.0.0.1", Credentials(), context)
    assert link.raw() == ()
    assert link.deadline >= 30
