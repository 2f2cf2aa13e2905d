"""Single facts that are remembered."""

import asyncio
from pathlib import Path

import pytest

from ridethrough.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Name a database."""
    return tmp_path / "ridethrough.db"


async def test_what_nobody_has_said_is_nothing(path: Path) -> None:
    async with Store.open(path) as store:
        assert await store.facts.get("snmp.boots") is None


async def test_a_fact_is_there_again_and_the_last_one_counts(path: Path) -> None:
    async with Store.open(path) as store:
        await store.facts.put("snmp.boots", "1")
        await store.facts.put("snmp.boots", "2")
        await store.facts.put("feed.nut", "")
        assert await store.facts.get("snmp.boots") == "2"
    async with Store.open(path) as store:
        assert await store.facts.get("snmp.boots") == "2"
        assert await store.facts.get("feed.nut") == ""


async def test_facts_said_at_the_same_time_are_all_kept(path: Path) -> None:
    async with Store.open(path) as store:
        await asyncio.gather(*(store.facts.put(f"fact {one}", f"value {one}") for one in range(50)))
        found = await asyncio.gather(*(store.facts.get(f"fact {one}") for one in range(50)))
    assert found == [f"value {one}" for one in range(50)]


async def test_facts_do_not_touch_what_the_store_knows_of_itself(path: Path) -> None:
    async with Store.open(path) as store:
        bridge = store.identities.bridge_id
        await store.facts.put("feed.modbus", "on off")
    async with Store.open(path) as store:
        assert store.identities.bridge_id == bridge


async def test_a_text_is_kept_as_it_is(path: Path) -> None:
    text = "ä'\"\n\N{BATTERY}" + "x" * 100_000
    async with Store.open(path) as store:
        await store.facts.put("'); DROP TABLE facts; --", text)
        assert await store.facts.get("'); DROP TABLE facts; --") == text


async def test_several_facts_change_together_and_are_found_by_how_their_keys_begin(path: Path) -> None:
    async with Store.open(path) as store:
        await store.facts.change({"agent.a.pairing": "1", "agent.b.pairing": "2", "agentXc": "3", "agent.%": "4"})
        await store.facts.change({"agent.a.pairing": "5", "agent.b.pairing": None, "agent.gone": None})
        assert await store.facts.under("agent.") == {"agent.a.pairing": "5", "agent.%": "4"}
        assert await store.facts.under("agent.%") == {"agent.%": "4"}
        assert await store.facts.under("nobody") == {}
