"""Net-snmp's programs against the agent: every version, every pair of protocols of v3."""

import pytest

from ridethrough.config.feeds import SnmpUser
from tests.bridge.feeds.rig import World

from .agents import (
    SYS_NAME,
    TABLE as WIDE,
    UPS,
    USERS,
    V1,
    V2C,
    Agent,
    config,
    credentials,
    fill,
    serving,
    user,
    wide_table,
)

pytestmark = pytest.mark.peer

BY_V3 = credentials(user("sha", "aes"))


async def test_every_pair_of_protocols_of_v3_reads_and_walks(world: World) -> None:
    world.ups()
    async with serving(world, config(users=USERS)) as agent:
        for one in USERS:
            walked = await agent.walk(credentials(one), f"{UPS}.2", "snmpbulkwalk")
            assert walked[f"{UPS}.2.4.0"] == "INTEGER: 100", one


@pytest.mark.parametrize("who", [V1, V2C, BY_V3], ids=["v1", "v2c", "v3"])
async def test_a_walk_gives_what_the_site_knows_and_nothing_else(world: World, who: list[str]) -> None:
    world.ups()
    async with serving(world) as agent:
        walked = await agent.walk(who, "1.3.6.1.2.1")
        assert walked["1.3.6.1.2.1.1.2.0"] == "OID: .1.3.6.1.2.1.33"
        assert walked[SYS_NAME] == 'STRING: "Test bridge"'
        assert walked["1.3.6.1.2.1.1.6.0"] == 'STRING: "cellar"'
        assert walked["1.3.6.1.2.1.1.4.0"] == 'STRING: "somebody"'
        ups = {name.removeprefix(f"{UPS}."): value for name, value in walked.items() if name.startswith(f"{UPS}.")}
        assert ups == {
            "1.1.0": 'STRING: "Example"',
            "1.2.0": 'STRING: "UPS 3000"',
            "1.3.0": 'STRING: "1.2"',
            "1.4.0": 'STRING: "Ridethrough 0.1.0"',
            "1.5.0": 'STRING: "ups-1"',
            "1.7.0": 'STRING: "A1"',
            "2.1.0": "INTEGER: 2",
            "2.3.0": "INTEGER: 30",
            "2.4.0": "INTEGER: 100",
            "2.5.0": "INTEGER: 546",
            "3.2.0": "INTEGER: 1",
            "3.3.1.2.1": "INTEGER: 500",
            "3.3.1.3.1": "INTEGER: 230",
            "4.1.0": "INTEGER: 3",
            "4.2.0": "INTEGER: 500",
            "4.3.0": "INTEGER: 1",
            "4.4.1.2.1": "INTEGER: 229",
            "4.4.1.5.1": "INTEGER: 30",
            "5.2.0": "INTEGER: 0",
            "6.1.0": "Gauge32: 0",
            "7.1.0": "OID: .1.3.6.1.2.1.33.1.7.7.1",
            "7.2.0": "INTEGER: 0",
            "9.1.0": "INTEGER: 230",
            "9.3.0": "INTEGER: 230",
            "9.5.0": "INTEGER: 3000",
        }


@pytest.mark.parametrize("who", [V2C, BY_V3], ids=["v2c", "v3"])
async def test_a_bulk_walk_gives_the_same_as_one_by_one(world: World, who: list[str]) -> None:
    world.ups()
    fill(world, 40)
    async with serving(world, mibs=(wide_table(),)) as agent:
        slow = await agent.walk(who, WIDE)
        fast = await agent.walk(who, WIDE, "snmpbulkwalk")
        assert slow == fast
        assert list(slow) == [f"{WIDE}.{column}.{row}" for column in range(1, 7) for row in range(1, 41)]


@pytest.mark.parametrize("who", [V1, V2C, BY_V3], ids=["v1", "v2c", "v3"])
async def test_what_is_not_there_is_told_in_the_words_of_the_version(world: World, who: list[str]) -> None:
    world.ups()
    async with serving(world) as agent:
        instance, other = await agent.get(who, f"{UPS}.2.7.0"), await agent.get(who, "1.3.6.1.4.1.1.0")
        if who is V1:
            assert "noSuchName" in instance
            assert "noSuchName" in other
        else:
            assert instance.endswith("No Such Instance currently exists at this OID")
            assert other.endswith("No Such Object available on this agent at this OID")


@pytest.mark.parametrize(
    ("who", "says"),
    [
        (user("sha", "aes256"), "Unknown user name"),
        (SnmpUser("user_sha_aes", "sha", "not-the-password", "aes", "encrypted-0123"), "Authentication failure"),
        (SnmpUser("user_sha_aes", "md5", "authentic-0123", "aes", "encrypted-0123"), "Authentication failure"),
        (SnmpUser("user_sha_aes", "sha", "authentic-0123", "aes", "not-the-password"), "Decryption|Timeout"),
        (SnmpUser("user_sha_aes", "sha", "authentic-0123"), "authorizationError"),
        (SnmpUser("user_sha_aes"), "authorizationError"),
    ],
    ids=["user", "password", "protocol", "privacy password", "no privacy", "nothing"],
)
async def test_whoever_is_not_who_they_say_learns_why(world: World, who: SnmpUser, says: str) -> None:
    world.ups()
    async with serving(world) as agent:
        told = await agent.get(credentials(who), SYS_NAME)
        assert any(word in told for word in says.split("|")), told
        assert "Test bridge" not in told
        assert agent.traffic.errors


async def test_a_context_shows_another_device(world: World) -> None:
    world.ups("ups-1")
    world.post(world.ups("ups-2"), {"battery.charge": 55.0})
    async with serving(world) as agent:
        assert (await agent.get(BY_V3, f"{UPS}.2.4.0")).endswith("INTEGER: 100")
        assert (await agent.get([*BY_V3, "-n", "ups-2"], f"{UPS}.2.4.0")).endswith("INTEGER: 55")
        assert "context" in await agent.get([*BY_V3, "-n", "ups-3"], f"{UPS}.2.4.0")
        await engine_counts(agent)


async def engine_counts(agent: Agent) -> None:
    """See that the engine tells what it is and what has gone wrong."""
    walked = await agent.walk(BY_V3, "1.3.6.1.6.3")
    assert walked["1.3.6.1.6.3.10.2.1.1.0"].startswith("Hex-STRING: 80 00 1F 88 03")
    assert walked["1.3.6.1.6.3.10.2.1.2.0"] == "INTEGER: 1"
    assert walked["1.3.6.1.6.3.12.1.5.0"] == "Counter32: 1"
