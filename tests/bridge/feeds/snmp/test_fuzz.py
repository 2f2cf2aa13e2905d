"""100,000 packets that nobody should send, while a good client asks."""

import asyncio
from contextlib import suppress
import socket
import time

import pytest

from ridethrough.feeds.snmp.counters import IN_PACKETS
from ridethrough.sim.snmp_message import Message, Pdu, Tag, Value, Version
from tests.bridge.feeds.fuzz import PACKETS, Memory, mutations, never_stalled, watching_work
from tests.bridge.feeds.rig import World

from .agents import SYS_NAME, UPS, WRITE, Agent, config, credentials, oid, question, serving, user, wide_table

pytestmark = pytest.mark.slow

_LEAK = 3_000_000
"""Bytes that may be held afterwards: caches with bounds fill up."""
BY_COMMUNITY = [
    question(Pdu.GET, SYS_NAME, f"{UPS}.2.4.0").encode(),
    question(Pdu.GET_NEXT, f"{UPS}.2", version=Version.V1).encode(),
    question(Pdu.GET_BULK, f"{UPS}.2", "1.3.6.1.2.1.11", numbers=(1, 20)).encode(),
    Message(
        Version.V2C, WRITE.encode(), Pdu.SET, 9, variables=((oid(f"{UPS}.9.8.0"), Value(Tag.INTEGER, 3)),)
    ).encode(),
]


async def recorded(agent: Agent) -> list[bytes]:
    """Have a v3 client ask by way of us, and keep its packets."""
    kept: list[bytes] = []
    loop = asyncio.get_running_loop()
    front, back = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with front, back:
        for one in (front, back):
            one.setblocking(False)
        front.bind(("127.0.0.1", 0))
        back.connect(("127.0.0.1", agent.port))

        async def relay() -> None:
            while True:
                data, client = await loop.sock_recvfrom(front, 65535)
                kept.append(data)
                await loop.sock_sendall(back, data)
                await loop.sock_sendto(front, await loop.sock_recv(back, 65535), client)

        relaying = asyncio.create_task(relay())
        port, agent.port = agent.port, front.getsockname()[1]
        for who in (user(), user("sha", "aes")):
            await agent.walk(credentials(who), f"{UPS}.2", "snmpbulkwalk")
        agent.port = port
        relaying.cancel()
        await asyncio.gather(relaying, return_exceptions=True)
    return kept


def attack(agent: Agent, seeds: list[bytes], count: int, seed: int) -> None:
    """Send mutations, never many more than have been read: what the system drops tries nothing."""
    counters = agent.feed.counters
    before = counters[IN_PACKETS]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
        attacker.connect(("127.0.0.1", agent.port))
        for number, packet in enumerate(mutations(seeds, count, seed)):
            with suppress(OSError):
                attacker.send(packet)
            patience = 1000
            while number - (counters[IN_PACKETS] - before) > 200 and patience:
                patience -= 1
                time.sleep(0.0005)


@pytest.mark.peer
@pytest.mark.parametrize("version", ["v2c", "v3"])
async def test_mutated_packets_harm_nobody(world: World, version: str) -> None:
    ups = world.ups(commands=("beeper.mute",))
    async with serving(world, config(users=(user(), user("sha", "aes"))), mibs=(wide_table(),)) as agent:
        seeds = BY_COMMUNITY if version == "v2c" else await recorded(agent)
        assert len(seeds) > 3
        good = question(Pdu.GET, f"{UPS}.2.4.0").encode()

        before = agent.feed.counters[IN_PACKETS]
        async with watching_work() as spans:
            attacking = asyncio.create_task(asyncio.to_thread(attack, agent, seeds, PACKETS, 2))
            answered = asked = 0
            while not attacking.done():
                asked += 1
                # A datagram that finds no room is lost; like every manager, this one asks again.
                answered += (await agent.ask(good, 1.0) or await agent.ask(good, 2.0)) is not None
            await attacking
        assert agent.feed.counters[IN_PACKETS] - before > PACKETS * 0.9
        assert asked > 20
        assert answered == asked
        never_stalled(spans)
        memory = Memory()
        await asyncio.to_thread(attack, agent, seeds, PACKETS // 10, 1)
        grown = memory.grown()
        assert grown < _LEAK
        answer = await agent.say(Message.decode(good))
        assert answer.variables[0][1].content == 100
        assert {command for _, command, _ in world.given} <= {"beeper.mute"}
        assert world.site.devices[ups.id] == ups
