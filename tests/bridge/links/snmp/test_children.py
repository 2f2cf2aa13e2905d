"""Sensors, contacts, modules, transfer switches and a second input: the public extension of RFC 1628."""

from ridethrough.links.snmp.session import Session
from tests.peers.snmpagent import Datum, SnmpAgent

from .conftest import running
from .test_faults import U, alarm, objects

MODULES = "1.3.6.1.2.1.33.6"


def cs141(more: dict[str, Datum]) -> SnmpAgent:
    """Make a card that names the UPS-MIB as its own, as CS121 and CS141 do."""
    return SnmpAgent(objects() | {"1.3.6.1.2.1.1.2.0": Datum(6, bytes([0x2B, 6, 1, 2, 1, 0x21]))} | more)


def numbers(base: str, values: dict[str, int]) -> dict[str, Datum]:
    return {f"{base}.{oid}": Datum.integer(number) for oid, number in values.items()}


async def test_sensor_manager_becomes_sensors_of_their_own() -> None:
    table = numbers(U, {f"12.{n}.{part}.0": 0 for n in range(1, 9) for part in (1, 4, 5, 6, 7)})
    table |= {f"{U}.12.{n}.2.0": Datum.text("") for n in range(1, 9)}
    table |= numbers(U, {"12.1.1.0": 215, "12.1.4.0": 100, "12.1.5.0": 350})
    table |= {f"{U}.12.1.2.0": Datum.text("Rack 4"), f"{U}.12.1.3.0": Datum.text("°C")}
    async with cs141(table) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        assert [key for key in connection.sheet.children if key[0] == "sensor"] == [("sensor", "1")], (
            "eight do not exist"
        )
        sensor = connection.sheet.children["sensor", "1"]
        assert sensor.name == "Rack 4"
        assert sensor.points == {
            "sensor.value": 21.5, "sensor.location": "Rack 4", "sensor.unit": "°C", "sensor.low": 10, "sensor.high": 35,
        }  # fmt: skip


async def test_contacts_and_relays_become_io_boxes() -> None:
    table = numbers(U, {f"10.1.{n}.0": 0 for n in range(1, 9)} | {f"10.2.{n}.0": int(n == 3) for n in range(1, 9)})
    table |= numbers(U, {f"11.{n}.0": int(n == 2) for n in range(1, 5)})
    async with cs141(table) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        site = connection.sheet.children["io_box", "2"]
        assert (site.name, site.points["input.3"], site.points["output.1"]) == ("SITEMANAGER", True, False)
        assert connection.sheet.children["io_box", "1"].points["output.2"] is True


async def test_modules_are_children_with_their_state() -> None:
    table = numbers(MODULES, {"1.0": 3, "2.1.2.1": 1, "2.1.2.2": 4, "2.1.2.3": 2})
    async with cs141(table) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        modules = {number: sheet for (kind, number), sheet in connection.sheet.children.items() if kind == "ups_module"}
        assert [modules[number].points["module.status"] for number in ("1", "2", "3")] == ["normal", "fault", "battery"]
        assert modules["2"].conditions["general_fault"] is True
        assert modules["3"].conditions["on_battery"] is True
        assert connection.sheet.points["ups.modules"] == 3


async def test_transfer_switch_is_a_child_that_can_be_told_its_source() -> None:
    table = numbers(U, {f"13.{n}.0": int(n in {1, 5, 6, 7}) for n in range(1, 10)})
    table |= numbers(
        U, {f"13.11.3.1.2.{line}": 230 for line in (1, 2, 3)} | {"13.12.2.1.3.1": 231, "13.14.2.1.3.1": 232}
    )
    async with cs141(table) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        switch = connection.sheet.children["transfer_switch", "1"]
        assert switch.conditions["on_source_a"] is True
        assert switch.conditions["on_source_b"] is False
        assert switch.conditions["sources_asynchronous"] is False
        assert switch.points["input.source.preferred"] == "A"
        assert switch.points["output.L3.voltage"] == 230
        assert (switch.points["input.1.voltage"], switch.points["input.2.voltage"]) == (231, 232)
        assert switch.identity.commands == {"transfer.prefer.a", "transfer.prefer.b"}
        assert (await connection.link.perform("transfer.prefer.b", {}, "1")).confirmed
        agent.put(f"{U}.6.1.0", Datum.integer(1))
        agent.put(f"{U}.6.2.1.2.1", alarm(170))
        await connection.until(lambda: switch.conditions.get("redundancy_lost") is True)


async def test_second_input_has_points_of_its_own() -> None:
    table = numbers(
        U, {f"14.3.1.{column}.{line}": number for column, number in ((2, 500), (3, 229)) for line in (1, 2, 3)}
    )
    async with cs141(table) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        points = connection.sheet.points
        assert (points["input.2.L1.voltage"], points["input.voltage"]) == (229, 230)


async def test_outlet_names_come_from_the_card() -> None:
    product = "1.3.6.1.4.1.850.1.1.3.1.3.5.1.1"
    table = objects() | {"1.3.6.1.2.1.1.2.0": Datum(6, bytes([0x2B, 6, 1, 4, 1, 0x86, 0x52, 1]))}
    table |= {f"{product}.2.1.1": Datum.text("Printer"), f"{product}.4.1.1": Datum.integer(1)}
    async with SnmpAgent(table) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        outlet = connection.sheet.children["outlet", "1"]
        assert (outlet.name, outlet.points["outlet.status"], outlet.conditions["outlet_on"]) == (
            "Printer",
            "off",
            False,
        )


async def test_card_whose_object_id_says_nothing_is_known_by_its_description() -> None:
    table = objects() | {"1.3.6.1.2.1.1.1.0": Datum.text("CS141 of somebody")} | numbers(U, {"11.1.0": 1})
    async with SnmpAgent(table) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        assert connection.sheet.children["io_box", "1"].points["output.1"] is True


async def test_only_the_mib_that_is_wanted_is_read() -> None:
    async with (
        cs141(numbers(U, {"11.1.0": 1})) as agent,
        running(agent, "poll=1&timeout=0.5&mib=rfc1628") as connection,
    ):
        await connection.until_statuses(2)
        assert connection.sheet.children == {}


async def test_phases_that_show_up_later_replace_the_plain_points() -> None:
    async with cs141({}) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        assert connection.sheet.points["input.voltage"] == 230
        for line in (1, 2, 3):
            agent.put(f"{U}.3.3.1.3.{line}", Datum.integer(228))
        agent.put(f"{U}.3.2.0", Datum.integer(3))
        agent.put("1.3.6.1.2.1.1.3.0", Datum.integer(5, 0x43))
        session = connection.link._session
        assert isinstance(session, Session)
        await session._discover()
        await connection.until(lambda: connection.sheet.points.get("input.L2.voltage") == 228)
        assert "input.voltage" not in connection.sheet.points
