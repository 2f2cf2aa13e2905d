"""What goes wrong with SNMP cards, each with the one sentence that a person gets, and what the link makes of it."""

import asyncio

import pytest

from ridethrough.links.base import LinkError
from ridethrough.links.snmp.agent import Agent, Endurance
from ridethrough.links.snmp.options import SnmpOptions
from tests.peers.snmpagent import GEN_ERR, Datum, Manners, SnmpAgent, as_texts, parse_oid, without_zero

from .conftest import ended, running

U = "1.3.6.1.2.1.33.1"


def ups(manners: Manners | None = None) -> SnmpAgent:
    """Make a card with one phase, as RFC 1628 has it."""
    return SnmpAgent(objects(), manners)


def objects() -> dict[str, Datum]:
    numbers = {
        "2.1.0": 2, "2.2.0": 0, "2.3.0": 30, "2.4.0": 90, "2.5.0": 540, "2.6.0": 0, "2.7.0": 25,
        "3.1.0": 4, "3.2.0": 1, "3.3.1.2.1": 500, "3.3.1.3.1": 230, "3.3.1.4.1": 20, "3.3.1.5.1": 400,
        "4.1.0": 3, "4.2.0": 500, "4.3.0": 1, "4.4.1.2.1": 231, "4.4.1.3.1": 18, "4.4.1.4.1": 380, "4.4.1.5.1": 38,
        "6.1.0": 0, "7.2.0": 77, "7.3.0": 6, "8.1.0": 1, "8.2.0": -1, "8.3.0": -1, "8.4.0": -1, "8.5.0": 1,
        "9.1.0": 230, "9.8.0": 2,
    }  # fmt: skip
    return {
        "1.3.6.1.2.1.1.1.0": Datum.text("A card"),
        "1.3.6.1.2.1.1.2.0": Datum(6, bytes([0x2B, 6, 1, 4, 1, 0x8F, 0x65])),
        "1.3.6.1.2.1.1.3.0": Datum.integer(100_000, 0x43),
        f"{U}.1.1.0": Datum.text("Maker"),
        f"{U}.1.2.0": Datum.text("Model"),
        f"{U}.7.1.0": Datum(6, bytes([0x2B, 6, 1, 2, 1, 0x21, 1, 7, 7, 1])),
    } | {f"{U}.{oid}": Datum.integer(number) for oid, number in numbers.items()}


async def test_dead_card_is_told_from_one_that_knows_no_such_community() -> None:
    async with ups(Manners(silent=True)) as agent:
        assert await ended(agent) == (
            f"LinkError: 127.0.0.1:{agent.port} does not answer within 0.3 s: nothing is there, a firewall is in "
            "between, or the community is wrong (agents are silent then)."
        )


async def test_card_that_speaks_another_version_says_so() -> None:
    async with ups(Manners(versions=frozenset({0}))) as agent:
        assert await ended(agent) == (
            f"LinkError: 127.0.0.1:{agent.port} answers version 1 and not 2c: write version=1 into the link."
        )


async def test_wrong_community_is_silence() -> None:
    async with ups(Manners(community="secret")) as agent:
        assert "the community is wrong" in await ended(agent, community="public")
        async with running(agent, community="secret") as connection:
            await connection.until_statuses(1)
        async with running(agent, "poll=1&timeout=0.3&community=secret") as connection:
            await connection.until_statuses(1)


async def test_refused_connection_is_said() -> None:
    async with ups() as agent:
        agent.close()
        assert await ended(agent) == (
            f"LinkError: 127.0.0.1:{agent.port} refuses the connection: no SNMP agent is running there."
        )


async def test_name_that_does_not_resolve_is_said() -> None:
    async with ups() as agent:
        agent.host = "no-such-host.invalid"
        said = await ended(agent)
    assert said.startswith("LinkError: The name no-such-host.invalid cannot be resolved")


async def test_agent_that_is_no_ups_is_said() -> None:
    async with SnmpAgent({oid: datum for oid, datum in objects().items() if not oid.startswith(U)}) as agent:
        assert await ended(agent) == (
            f"LinkError: 127.0.0.1:{agent.port} answers SNMP (A card), but has no UPS: neither RFC 1628 nor a maker's "
            "MIB that is known."
        )


async def test_card_of_a_ups_that_it_has_lost_says_so() -> None:
    async with ups() as agent:
        agent.put(f"{U}.6.1.0", Datum.integer(1))
        agent.put(f"{U}.6.2.1.2.1", alarm(20))
        assert "the card has lost the UPS" in await ended(agent)


async def test_garbage_is_counted_and_ends_the_connection() -> None:
    async with ups() as agent, running(agent) as connection:
        await connection.until_statuses(2)
        agent.manners.garbage = True
        with pytest.raises(LinkError, match="no SNMP answer"):
            await connection.until(lambda: False)
        assert connection.sheet.counters["malformed"] >= 3


async def test_loss_is_noticed_after_three_polls_and_over_when_it_answers_again() -> None:
    async with ups() as agent, running(agent) as connection:
        await connection.until_statuses(2)
        agent.manners.silent = True
        begun = asyncio.get_running_loop().time()
        with pytest.raises(LinkError, match="has stopped answering"):
            await connection.until(lambda: False)
        assert asyncio.get_running_loop().time() - begun < 3 * 0.3 + 1.5
        assert connection.sheet.counters["timeouts"] == 3
        agent.manners.silent = False
        again = asyncio.ensure_future(connection.link.run(connection.sheet))
        async with asyncio.timeout(5):
            while connection.sheet.statuses < 4:
                await asyncio.sleep(0.01)
        again.cancel()


async def test_one_lost_answer_is_no_loss() -> None:
    async with ups() as agent, running(agent) as connection:
        await connection.until_statuses(2)
        agent.manners.silent = True
        await connection.until(lambda: connection.sheet.counters.get("timeouts") == 1)
        agent.manners.silent = False
        await connection.until_statuses(4)


async def test_card_that_bears_few_objects_at_once_is_asked_for_few() -> None:
    async with ups(Manners(most=6)) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        assert connection.sheet.points["battery.charge"] == 90
        assert connection.sheet.points["output.voltage"] == 231
        agent.requests.clear()
        await connection.until_statuses(4)
        assert max(len(oids) for _, oids in agent.requests) <= 6, "it is remembered"


async def test_object_that_spoils_every_answer_is_left_out() -> None:
    bad = parse_oid(f"{U}.2.6.0")
    async with ups(Manners(fragile=frozenset({bad}))) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        assert connection.sheet.points["battery.voltage"] == 54
        assert connection.sheet.points["ups.load"] == 38
        assert "battery.current" not in connection.sheet.points
        agent.requests.clear()
        await connection.until_statuses(4)
        assert all(bad not in oids for _, oids in agent.requests)


async def test_general_error_instead_of_too_big_is_understood() -> None:
    async with ups(Manners(most=8, overflow=GEN_ERR)) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        assert connection.sheet.points["ups.realpower"] == 380


async def test_version_1_fails_whole_requests_for_one_missing_object() -> None:
    async with ups() as agent, running(agent, "version=1&poll=1&timeout=0.3") as connection:
        await connection.until_statuses(2)
        assert connection.sheet.points["input.voltage"] == 230
        agent.requests.clear()
        await connection.until_statuses(4)
        assert len(agent.requests) <= 5, "what is missing is not asked for again"


async def test_card_that_ignores_bulk_is_read_at_the_first_attempt() -> None:
    async with ups(Manners(bulk=False)) as agent, running(agent) as connection:
        await connection.until_statuses(1)
        assert connection.sheet.points["output.voltage"] == 231


async def test_card_that_dies_of_bulk_is_walked_step_by_step_from_then_on() -> None:
    manners = Manners(crashes_on_bulk=True)
    async with ups(manners) as agent, running(agent) as connection:
        with pytest.raises(LinkError):
            await connection.until(lambda: False)
        manners.silent = False
        again = asyncio.ensure_future(connection.link.run(connection.sheet))
        async with asyncio.timeout(10):
            while connection.sheet.statuses < 2:
                await asyncio.sleep(0.01)
        again.cancel()
        assert connection.sheet.points["output.voltage"] == 231


async def test_walk_round_in_circles_ends() -> None:
    async with ups(Manners(loops=True)) as agent:
        options = SnmpOptions(agent.host, agent.port, "2c", "public", None, 1, 1, None)
        walked = await asyncio.wait_for(Agent(agent.host, options, Endurance()).walk(f"{U}.3.3.1"), 5)
        assert len(walked) <= 1


async def test_scalars_without_their_zero_are_found() -> None:
    async with SnmpAgent(without_zero(objects(), U)) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        assert connection.sheet.points["battery.charge"] == 90
        assert connection.sheet.points["input.voltage"] == 230
        assert connection.sheet.identity.model == "Model"


async def test_numbers_sent_as_texts_are_numbers() -> None:
    async with SnmpAgent(as_texts(objects(), U)) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        assert connection.sheet.points["battery.voltage"] == 54
        assert connection.sheet.points["battery.runtime"] == 1800
        assert connection.sheet.conditions["on_battery"] is False


async def test_tables_counted_from_zero_and_without_line_counts() -> None:
    table = objects()
    for line, column in ((line, column) for line in (0, 1, 2) for column in ("3.3.1.2", "3.3.1.3", "3.3.1.4")):
        table[f"{U}.{column}.{line}"] = Datum.integer(500 if column.endswith("2") else 230 + line)
    for oid in [oid for oid in table if oid.startswith(f"{U}.3.3.1.") and oid.endswith(".3")] + [f"{U}.3.2.0"]:
        table.pop(oid, None)
    async with SnmpAgent(table) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        points = connection.sheet.points
        assert [points.get(f"input.L{line}.voltage") for line in (1, 2, 3)] == [230, 231, 232]
        assert "input.voltage" not in points


async def test_phase_that_fails_is_still_a_phase() -> None:
    table = objects() | {f"{U}.3.3.1.3.{line}": Datum.integer(230) for line in (1, 2, 3)}
    table |= {f"{U}.3.2.0": Datum.integer(3)}
    async with SnmpAgent(table) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        for line in (1, 2, 3):
            agent.put(f"{U}.3.3.1.3.{line}", Datum.integer(0))
        await connection.until(lambda: connection.sheet.points.get("input.L3.voltage") == 0)
        assert connection.sheet.points["input.L1.voltage"] == 0


async def test_restart_of_the_agent_in_the_middle_is_survived() -> None:
    async with ups() as agent, running(agent) as connection:
        await connection.until_statuses(2)
        port = agent.port
        agent.close()
        await connection.until(lambda: connection.sheet.counters.get("timeouts", 0) >= 1)
        agent.port = port
        async with agent:
            await connection.until_statuses(5)


def alarm(number: int) -> Datum:
    return Datum(6, bytes([0x2B, 6, 1, 2, 1, 0x21, 1, 6, 3, *([number] if number < 128 else [0x81, number & 0x7F])]))


async def test_alarm_table_becomes_conditions_and_ends_them() -> None:
    async with ups() as agent, running(agent) as connection:
        await connection.until_statuses(2)
        conditions = connection.sheet.conditions
        assert not conditions["overload"]
        agent.put(f"{U}.6.1.0", Datum.integer(4))
        for row, number in enumerate((8, 125, 141, 177), 1):
            agent.put(f"{U}.6.2.1.2.{row}", alarm(number))
        await connection.until(lambda: conditions.get("overload") is True)
        sensor = connection.sheet.children["sensor", "1"]
        raised = {"user_alarm.1", "battery_weak"}
        assert {key: conditions[key] for key in raised} == dict.fromkeys(raised, True)
        assert sensor.conditions == {"value_low": True}
        agent.put(f"{U}.6.1.0", Datum.integer(0))
        await connection.until(lambda: conditions["overload"] is False)
        assert {key: conditions[key] for key in raised} == dict.fromkeys(raised, False)
        assert sensor.conditions == {"value_low": False}
        assert connection.sheet.points["alarms.present"] == 0


async def test_alarm_that_nobody_knows_is_a_device_alarm() -> None:
    async with ups() as agent, running(agent) as connection:
        await connection.until_statuses(2)
        agent.put(f"{U}.6.1.0", Datum.integer(1))
        agent.put(f"{U}.6.2.1.2.1", Datum(6, bytes([0x2B, 6, 1, 4, 1, 0x82, 0x37, 9])))
        await connection.until(lambda: connection.sheet.conditions.get("device_alarm") is True)
        agent.put(f"{U}.6.1.0", Datum.integer(0))
        await connection.until(lambda: connection.sheet.conditions.get("device_alarm") is False)


async def test_alarm_raised_before_a_restart_of_the_bridge_is_over_when_it_is_gone() -> None:
    async with ups() as agent, running(agent) as connection:
        connection.link.remember(frozenset({"user_alarm.3"}))
        await connection.until_statuses(2)
        assert connection.sheet.conditions["user_alarm.3"] is False


class Switchboard:
    """Tells of traps that nobody has sent."""

    def __init__(self) -> None:
        self.of: dict[str, object] = {}

    def subscribe(self, host: str, arrived: object) -> object:
        self.of[host] = arrived
        return lambda: self.of.pop(host)


async def test_trap_makes_the_next_poll_now() -> None:
    traps = Switchboard()
    async with ups() as agent, running(agent, "poll=3600&timeout=1", traps) as connection:  # type: ignore[arg-type]  # a stand-in
        await connection.until_statuses(2)
        agent.put(f"{U}.4.1.0", Datum.integer(5))
        arrived = traps.of["127.0.0.1"]
        assert callable(arrived)
        await asyncio.sleep(0.05)
        arrived()
        await connection.until(lambda: connection.sheet.conditions["on_battery"], 2)
    assert traps.of == {}


async def test_two_requests_a_poll() -> None:
    async with ups() as agent, running(agent) as connection:
        await connection.until_statuses(2)
        agent.requests.clear()
        await connection.until_statuses(5)
        assert len(agent.requests) <= 2 * 4
