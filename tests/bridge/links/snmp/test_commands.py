"""Commands by SET: refused, ignored, late, locked; each with a clear result."""

import asyncio
from datetime import datetime, timedelta

import pytest

from ridethrough.links.snmp import control
from ridethrough.site import CommandError
from tests.peers.snmpagent import (
    AUTHORIZATION_ERROR,
    BAD_VALUE,
    GEN_ERR,
    INCONSISTENT_VALUE,
    NO_ACCESS,
    NO_SUCH_NAME,
    NOT_WRITABLE,
    READ_ONLY,
    WRONG_VALUE,
    Datum,
    Manners,
    SnmpAgent,
    parse_oid,
)

from .conftest import running, snmp_link
from .test_faults import U, objects, ups

XUPS = "1.3.6.1.4.1.534.1"
QUICK = Datum(6, bytes([0x2B, 6, 1, 2, 1, 0x21, 1, 7, 7, 4]))


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a UPS half a second to show what it does."""
    monkeypatch.setattr(control, "CONFIRMATION", 0.5)
    monkeypatch.setattr(control, "CONFIRMATION_INTERVAL", 0.05)


async def test_only_what_the_agent_has_is_offered() -> None:
    table = {oid: datum for oid, datum in objects().items() if not oid.startswith((f"{U}.9", f"{U}.7"))}
    async with SnmpAgent(table) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        offered = connection.sheet.identity.commands
    assert {"shutdown.return", "shutdown.stayoff", "shutdown.stop", "outputs.off", "load.off", "load.on"} == offered


async def test_test_is_started_under_its_lock_and_confirmed() -> None:
    async with ups() as agent, running(agent) as connection:
        await connection.until_statuses(2)
        test = parse_oid(f"{U}.7.1.0")
        agent.effects[test] = {parse_oid(f"{U}.7.3.0"): Datum.integer(5)}
        result = await connection.link.perform("test.battery.start.quick", {})
        assert result.confirmed
        assert [oid for oid, _ in agent.written] == [parse_oid(f"{U}.7.2.0"), test]
        assert agent.written[0][1].number == 77, "the lock is written with the value that it had"
        assert agent.written[1][1] == QUICK
        await connection.until(lambda: connection.sheet.points["ups.test.state"] == "in_progress")
        assert connection.sheet.conditions["test_in_progress"] is True


async def test_command_that_is_accepted_and_ignored_is_not_confirmed() -> None:
    beeper = parse_oid(f"{U}.9.8.0")
    async with ups(Manners(ignores=frozenset({beeper}))) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        result = await connection.link.perform("beeper.disable", {})
        assert not result.confirmed
        assert "upsConfigAudibleStatus.0 does not show it" in result.message
        assert "it says 2" in result.message


async def test_command_that_is_done_late_is_confirmed() -> None:
    beeper = parse_oid(f"{U}.9.8.0")
    async with ups(Manners(ignores=frozenset({beeper}))) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        asyncio.get_running_loop().call_later(0.3, agent.put, f"{U}.9.8.0", Datum.integer(1))
        assert (await connection.link.perform("beeper.disable", {})).confirmed


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (READ_ONLY, "refused", "read-only there"),
        (NOT_WRITABLE, "refused", "read-only there"),
        (NO_SUCH_NAME, "refused", "has not got it"),
        (NO_ACCESS, "refused", "must grant it write access"),
        (AUTHORIZATION_ERROR, "refused", "must grant it write access"),
        (WRONG_VALUE, "bad_argument", "does not accept 3"),
        (BAD_VALUE, "bad_argument", "does not accept 3"),
        (GEN_ERR, "refused", "it said genErr"),
    ],
)
async def test_each_refusal_says_why(status: int, code: str, said: str) -> None:
    async with ups(Manners(writes={parse_oid(f"{U}.9.8.0"): status})) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        with pytest.raises(CommandError, match=said) as caught:
            await connection.link.perform("beeper.mute", {})
        assert caught.value.code == code
        assert connection.sheet.counters["refused"] == 1
        assert "upsConfigAudibleStatus.0" in str(caught.value) or status == GEN_ERR


async def test_silence_on_a_write_is_said() -> None:
    async with ups() as agent, running(agent) as connection:
        await connection.until_statuses(2)
        agent.manners.silent = True
        with pytest.raises(CommandError, match="does not answer when this community writes") as caught:
            await connection.link.perform("beeper.mute", {})
        assert caught.value.code == "no_answer"


async def test_shutdown_is_written_in_order_and_stops_at_the_first_refusal() -> None:
    async with ups() as agent, running(agent) as connection:
        await connection.until_statuses(2)
        result = await connection.link.perform("shutdown.return", {"delay": 30, "restore": 180})
        assert result.confirmed
        order = [(oid[-2], datum.number) for oid, datum in agent.written]
        assert order == [(5, 1), (1, 1), (3, 180), (2, 30)]
        await connection.until(lambda: connection.sheet.points["ups.timer.shutdown"] == 30)
        assert (await connection.link.perform("shutdown.stop", {})).confirmed
        agent.manners.writes = {parse_oid(f"{U}.8.3.0"): NO_ACCESS}
        agent.written.clear()
        with pytest.raises(CommandError):
            await connection.link.perform("shutdown.return", {"delay": 30, "restore": 180})
        assert parse_oid(f"{U}.8.2.0") not in [oid for oid, _ in agent.written]


async def test_output_of_an_io_box_is_switched_and_shown() -> None:
    table = objects() | {"1.3.6.1.2.1.1.2.0": Datum(6, bytes([0x2B, 6, 1, 2, 1, 0x21]))}
    table |= {f"{U}.11.{number}.0": Datum.integer(0) for number in (1, 2, 3, 4)}
    table |= {f"{U}.13.{number}.0": Datum.integer(1) for number in (1, 7)}
    table |= {f"{U}.13.8.0": Datum.integer(0), f"{U}.13.6.0": Datum.integer(1)}
    async with SnmpAgent(table) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        box = connection.sheet.children["io_box", "1"]
        assert box.identity.commands == {"output.set"}
        result = await connection.link.perform("output.set", {"number": 2, "state": 1}, "1")
        assert result.confirmed
        assert agent.written[-1][0] == parse_oid(f"{U}.11.2.0")
        with pytest.raises(CommandError, match="has no object"):
            await connection.link.perform("output.set", {"number": 9, "state": 1}, "1")


async def test_command_without_object_or_connection_is_refused() -> None:
    async with ups() as agent:
        with pytest.raises(CommandError, match="no connection"):
            await snmp_link(agent).perform("beeper.mute", {})
        async with running(agent) as connection:
            await connection.until_statuses(2)
            with pytest.raises(CommandError, match="no object to give bypass.start with"):
                await connection.link.perform("bypass.start", {})
            with pytest.raises(CommandError, match="needs restore"):
                await connection.link.perform("shutdown.return", {"delay": 20})


async def test_lock_that_somebody_else_takes_is_tried_again() -> None:
    lock = parse_oid(f"{U}.7.2.0")
    async with ups(Manners(writes={lock: INCONSISTENT_VALUE})) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        asyncio.get_running_loop().call_later(0.02, agent.manners.writes.clear)  # type: ignore[attr-defined]  # a dict
        agent.effects[parse_oid(f"{U}.7.1.0")] = {parse_oid(f"{U}.7.3.0"): Datum.integer(5)}
        assert (await connection.link.perform("test.system.start", {})).confirmed


async def test_test_without_a_lock_is_started_without() -> None:
    table = {oid: datum for oid, datum in objects().items() if oid != f"{U}.7.2.0"}
    async with SnmpAgent(table) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        await connection.link.perform("test.battery.start.quick", {})
        assert [oid for oid, _ in agent.written] == [parse_oid(f"{U}.7.1.0")]


async def test_command_that_nothing_shows_is_accepted_and_not_confirmed() -> None:
    apc = "1.3.6.1.4.1.318.1.1.1"
    table = objects() | {"1.3.6.1.2.1.1.2.0": Datum(6, bytes([0x2B, 6, 1, 4, 1, 0x82, 0x3E, 1]))}
    table |= {f"{apc}.6.2.4.0": Datum.integer(1), f"{apc}.4.1.1.0": Datum.integer(2)}
    async with SnmpAgent(table) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        result = await connection.link.perform("test.failure.start", {})
        assert not result.confirmed
        assert "no object that would show it" in result.message
        assert agent.written[-1][1].number == 2


async def test_clock_of_the_ups_is_set_to_local_time() -> None:
    clock = f"{XUPS}.10.5.0"
    eaton = Datum(6, bytes([0x2B, 6, 1, 4, 1, 0x84, 0x16, 1]))
    table = objects() | {"1.3.6.1.2.1.1.2.0": eaton, f"{XUPS}.2.4.0": Datum.integer(100)}
    table |= {clock: Datum.text("01/01/2000:00:00:00")}
    async with SnmpAgent(table) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        assert "clock.set" in connection.sheet.identity.commands
        before = datetime.now().astimezone().replace(microsecond=0)
        result = await connection.link.perform("clock.set", {})
        ((oid, datum),) = agent.written
    assert oid == parse_oid(clock)
    written = datetime.strptime(datum.content.decode(), "%m/%d/%Y:%H:%M:%S").astimezone()
    assert timedelta(0) <= written - before <= timedelta(seconds=5)
    assert not result.confirmed, "nothing but another reading shows it"
