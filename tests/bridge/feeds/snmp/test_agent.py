"""The agent as a feed: where it listens, what it shows when devices come and go, and what it leaves behind."""

import asyncio
from dataclasses import replace
from pathlib import Path
import socket

import pytest

from ridethrough.config.feeds import SnmpCommunity
from ridethrough.feeds import Traffic
from ridethrough.feeds.snmp import make
from ridethrough.sim.snmp_message import Message, Pdu, Tag
from ridethrough.site import CommandError
from tests.bridge.feeds.rig import World, free_port

from .agents import READ, SYS_NAME, UPS, config, credentials, question, serving, user

CHARGE = f"{UPS}.2.4.0"


@pytest.mark.parametrize("host", ["::1", "127.0.0.1"])
async def test_it_listens_on_both_families(world: World, host: str) -> None:
    port = free_port(socket.SOCK_DGRAM)
    chosen = config(listen=host, port=port)
    async with world.serving(lambda traffic: make(chosen, world.context, traffic)) as place:
        assert place == (f"[::1]:{port}" if host == "::1" else f"127.0.0.1:{port}")
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as asker:
            asker.setblocking(False)
            asker.connect((host, port))
            await loop.sock_sendall(asker, question(Pdu.GET, SYS_NAME).encode())
            answer = Message.decode(await asyncio.wait_for(loop.sock_recv(asker, 2000), 5))
        assert answer.variables[0][1].content == b"Test bridge"


async def test_a_bridge_that_is_renamed_is_called_so_at_once(world: World) -> None:
    async with serving(world) as agent:
        world.rename(world.context.bridge, "Cellar")
        assert (await agent.say(question(Pdu.GET, SYS_NAME))).variables[0][1].content == b"Cellar"
    async with serving(world, config(system_name="chosen")) as agent:
        assert (await agent.say(question(Pdu.GET, SYS_NAME))).variables[0][1].content == b"chosen"


async def test_the_first_ups_is_shown_and_the_next_when_it_is_gone(world: World) -> None:
    first = world.ups("ups-1")
    world.post(world.ups("ups-2"), {"battery.charge": 55.0})
    async with serving(world) as agent:
        assert (await agent.say(question(Pdu.GET, CHARGE))).variables[0][1].content == 100
        world.site.remove(first.id)
        assert (await agent.say(question(Pdu.GET, CHARGE))).variables[0][1].content == 55
    async with serving(world, config(device="ups-2")) as agent:
        world.ups("ups-1")
        assert (await agent.say(question(Pdu.GET, CHARGE))).variables[0][1].content == 55


@pytest.mark.peer
async def test_a_context_is_gone_with_its_device(world: World) -> None:
    world.ups("ups-1")
    second = world.ups("ups-2")
    async with serving(world) as agent:
        who = [*credentials(user("sha", "aes")), "-n", "ups-2"]
        assert (await agent.get(who, CHARGE)).endswith("INTEGER: 100")
        world.post(second, {"battery.charge": 44.0})
        assert (await agent.get(who, CHARGE)).endswith("INTEGER: 44")
        world.site.remove(second.id)
        assert "context" in await agent.get(who, CHARGE)
        # Neither the bridge nor a part of a device is one that can be shown.
        for key in ("bridge", "ups-1/sensor-1"):
            assert "context" in await agent.get([*who[:-1], key], CHARGE)


async def test_a_community_for_a_device_that_is_not_there_yet(world: World) -> None:
    chosen = config(communities=(SnmpCommunity(READ, device="ups-9"),))
    async with serving(world, chosen) as agent:
        assert (await agent.say(question(Pdu.GET, CHARGE))).variables[0][1].tag is Tag.NO_INSTANCE
        assert (await agent.say(question(Pdu.SET, CHARGE))).error == 11  # noCreation
        world.ups("ups-9")
        assert (await agent.say(question(Pdu.GET, CHARGE))).variables[0][1].content == 100


async def test_it_starts_again_where_it_was(world: World, tmp_path: Path) -> None:
    world.ups()
    async with serving(world) as agent:
        port = agent.port
        with pytest.raises(CommandError):
            await agent.feed.test()
    feed = make(replace(agent.config, port=port), world.context, Traffic())
    with pytest.raises(CommandError, match="no device yet"):
        await feed.test()
    async with world.serving(lambda traffic: make(replace(agent.config, port=port), world.context, traffic)) as place:
        assert place.endswith(str(port))
