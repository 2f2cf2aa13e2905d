"""The log of alerts that a card keeps itself: read when asked for, oldest first, in the card's own words."""

import pytest

from ridethrough.links.base import LinkError
from ridethrough.maps.objects import load_logs, load_mibs
from ridethrough.site import Alert, CommandError
from tests.peers.snmpagent import Datum, SnmpAgent

from .conftest import running, snmp_link
from .test_faults import ups

X = "1.3.6.1.4.1.534.1"
ENTRY = f"{X}.7.19.1"
EATON = Datum(6, bytes([0x2B, 6, 1, 4, 1, 0x84, 0x16, 1]))
ON_BATTERY = Datum(6, bytes([0x2B, 6, 1, 4, 1, 0x84, 0x16, 1, 7, 3]))


def eaton(count: int | None, **cells: Datum) -> SnmpAgent:
    """Make a card of Eaton; a cell of its log is named by column and number: `c5_2`."""
    objects = {
        "1.3.6.1.2.1.1.1.0": Datum.text("ConnectUPS Web/SNMP Card V4.38"),
        "1.3.6.1.2.1.1.2.0": EATON,
        "1.3.6.1.2.1.1.3.0": Datum.integer(100_000, 0x43),
        f"{X}.2.4.0": Datum.integer(100),
        f"{X}.4.4.1.2.1": Datum.integer(230),
    }
    if count is not None:
        objects[f"{X}.7.18.0"] = Datum.integer(count)
    for name, datum in cells.items():
        objects[f"{ENTRY}.{name.removeprefix('c').replace('_', '.')}"] = datum
    return SnmpAgent(objects)


FULL = {
    "c2_10": Datum.text("11/20/2026:08:15:02"),
    "c3_10": Datum.integer(2),
    "c5_10": Datum.text("UPS On Battery"),
    "c1_2": Datum.integer(2),
    "c2_2": Datum.text("11/20/2026:08:14:59"),
    "c3_2": Datum.integer(1),
    "c5_2": Datum.text("UPS On Battery"),
    "c3_11": Datum.integer(3),
    "c4_11": ON_BATTERY,
    "c4_12": Datum.integer(59),
}


@pytest.mark.parametrize("version", ["1", "2c"])
async def test_log_is_read_oldest_first_and_in_the_card_s_words(version: str) -> None:
    query = f"poll=1&timeout=0.3&version={version}"
    async with eaton(4, **FULL) as agent, running(agent, query) as connection:
        await connection.until_statuses(2)
        assert await connection.link.history() == (
            Alert(2, "11/20/2026:08:14:59", "raised", "UPS On Battery"),
            Alert(10, "11/20/2026:08:15:02", "cleared", "UPS On Battery"),
            Alert(11, "", "", "xupsOnBattery"),
            Alert(12, "", "", "alarm 59"),
        )


async def test_log_of_four_hundred_entries_is_read_as_a_whole() -> None:
    cells = {f"c{column}_{n}": Datum.text(f"{column}/{n}") for column in (2, 5) for n in range(1, 401)}
    async with eaton(400, **cells) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        told = await connection.link.history()
    assert [alert.number for alert in told] == list(range(1, 401))
    assert told[-1] == Alert(400, "2/400", "", "5/400")


async def test_empty_log_is_no_missing_one() -> None:
    async with eaton(0) as agent, running(agent) as connection:
        await connection.until_statuses(2)
        assert await connection.link.history() == ()


@pytest.mark.parametrize("agent", [eaton(None), ups()], ids=["Eaton without a log", "RFC 1628"])
async def test_card_without_a_log_says_so(agent: SnmpAgent) -> None:
    async with agent, running(agent) as connection:
        await connection.until_statuses(2)
        with pytest.raises(CommandError, match="keeps no log") as caught:
            await connection.link.history()
    assert caught.value.code == "unknown_command"


async def test_log_of_a_card_that_is_away_cannot_be_read() -> None:
    async with eaton(4, **FULL) as agent:
        with pytest.raises(CommandError) as caught:
            await snmp_link(agent).history()
        assert caught.value.code == "offline"
        async with running(agent) as connection:
            await connection.until_statuses(2)
            agent.manners.silent = True
            with pytest.raises(LinkError, match="has not answered"):
                await connection.link.history()


def test_every_log_belongs_to_a_mib() -> None:
    mibs = {mib.name: mib for mib in load_mibs()}
    for name, row in load_logs().items():
        assert row.count.startswith(mibs[name].base)
        assert row.entry.startswith(mibs[name].base)
        assert row.raised != row.cleared
