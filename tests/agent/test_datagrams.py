"""The public datagrams: two texts, from listed addresses, with two fixed effects."""

import asyncio
from collections.abc import Callable
import socket

import pytest

from ridethrough_agent.datagrams import Datagram, read_datagram
from tests.peers.shutdown_agent import ShutdownAgent, until

HEAD = b"CONNECT TO RCCMD (SEND) MSG_EXECUTE MSG_TEXT Powerfail on "
FAILED = HEAD + b"SLC-20-CUBE3 (5): Autonomietime %s min."
RESTORED = HEAD + b"SLC-20-CUBE3 (5): restored."


@pytest.mark.parametrize(
    ("content", "meaning"),
    [
        (FAILED % b"42.00", Datagram("SLC-20-CUBE3 (5)", 42.0)),
        (FAILED % b"7", Datagram("SLC-20-CUBE3 (5)", 7.0)),
        (FAILED % b"7" + b"\r\n", Datagram("SLC-20-CUBE3 (5)", 7.0)),
        (RESTORED, Datagram("SLC-20-CUBE3 (5)", None)),
        (RESTORED + b"\0", Datagram("SLC-20-CUBE3 (5)", None)),
    ],
    ids=["failed", "failed_whole_minutes", "failed_with_line_end", "restored", "restored_with_nul"],
)
def test_known_text(content: bytes, meaning: Datagram) -> None:
    assert read_datagram(content) == meaning


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"CONNECT TO RCCMD (SEND) SHUTDOWN",
        b"CONNECT TO RCCMD (SEND) MSG_EXECUTE MSG_TEXT hello",
        HEAD + b"x: restored. And more",
        HEAD + b"x: Autonomietime -1 min.",
        HEAD + b"x: Autonomietime 1e9 min.",
        HEAD + b"x: Autonomietime nan min.",
        HEAD + b"x: Autonomietime " + b"9" * 400 + b" min.",
        HEAD + b"x" * 81 + b": restored.",
        HEAD + b"two\nlines: restored.",
        RESTORED.lower(),
        RESTORED + b"\0" * 600,
        bytes(range(256)),
    ],
)
def test_anything_else_means_nothing(content: bytes) -> None:
    assert read_datagram(content) is None


class Card:
    """A card that sends from one address."""

    def __init__(self, agent: ShutdownAgent, address: str) -> None:
        self._agent = agent
        self._address = address

    def send(self, content: bytes, times: int = 1) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.bind((self._address, 0))
            for _ in range(times):
                sender.sendto(content, (self._agent.address, self._agent.port))


async def _begin(agent: ShutdownAgent) -> None:
    agent.start()
    await agent.until_logged("Listening for datagrams")


@pytest.fixture
def make(agents: Callable[..., ShutdownAgent]) -> Callable[..., ShutdownAgent]:
    def make_(needed: int = 1, **options: object) -> ShutdownAgent:
        agent = agents(sections={"senders": f"needed = {needed}"})
        text = agent.configuration.read_text()
        rows = {"enabled": "yes", "listen": agent.address, "port": agent.port, "senders": "127.0.0.81, 127.0.0.82"}
        rows.update(options)
        agent.configuration.write_text(text + "[datagrams]\n" + "".join(f"{k} = {v}\n" for k, v in rows.items()))
        return agent

    return make_


async def test_off_until_it_is_switched_on(agents: Callable[..., ShutdownAgent]) -> None:
    agent = agents()
    agent.start()
    await agent.until_listening()
    assert "datagrams" not in agent.log
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((agent.address, 6003))


async def test_without_a_limit_it_never_shuts_down(make: Callable[..., ShutdownAgent]) -> None:
    agent = make()
    await _begin(agent)
    Card(agent, "127.0.0.81").send(FAILED % b"0.10")
    await agent.until_logged("Datagram from 127.0.0.81: SLC-20-CUBE3 (5), 0.1")
    await asyncio.sleep(0.3)
    assert agent.alive


async def test_below_the_limit_it_shuts_down(make: Callable[..., ShutdownAgent]) -> None:
    agent = make(shutdown_below=10)
    await _begin(agent)
    card = Card(agent, "127.0.0.81")
    card.send(FAILED % b"10.00")
    await agent.until_logged("CUBE3 (5), 10.0")
    await asyncio.sleep(0.2)
    assert agent.alive
    card.send(FAILED % b"9.99")
    await agent.until_down()
    assert "wanted by datagrams from 127.0.0.81: 9.99 minutes left at SLC-20-CUBE3 (5)" in agent.log


async def test_restored_withdraws(make: Callable[..., ShutdownAgent]) -> None:
    agent = make(needed=2, shutdown_below=10)
    await _begin(agent)
    one, other = Card(agent, "127.0.0.81"), Card(agent, "127.0.0.82")
    one.send(FAILED % b"5")
    await agent.until_logged("waiting: 1 of 2 senders want it")
    one.send(RESTORED)
    await agent.until_logged("restored")
    other.send(FAILED % b"5")
    await agent.until_logged("waiting: 1 of 2 senders want it", times=2)
    one.send(FAILED % b"5")
    await agent.until_down()


async def test_unlisted_address_and_other_texts_do_nothing(make: Callable[..., ShutdownAgent]) -> None:
    agent = make(shutdown_below=10)
    await _begin(agent)
    Card(agent, "127.0.0.83").send(FAILED % b"1")
    await agent.until_logged("Datagram refused: 127.0.0.83 is not listed")
    Card(agent, "127.0.0.81").send(b"CONNECT TO RCCMD (SEND) SHUTDOWN")
    await agent.until_logged("not one of the two known texts")
    await asyncio.sleep(0.3)
    assert agent.alive


async def test_flood_is_dropped(make: Callable[..., ShutdownAgent]) -> None:
    agent = make()
    await _begin(agent)
    card = Card(agent, "127.0.0.81")
    for _ in range(10):
        Card(agent, "127.0.0.83").send(FAILED % b"1", 200)
        card.send(FAILED % b"5", 200)
        await asyncio.sleep(0.05)
    await agent.until_logged("dropped: too many")
    assert agent.log.count("\n") < 60
    await asyncio.sleep(1)
    card.send(RESTORED)
    await agent.until_logged("restored")


async def test_users_are_told_once_for_each_change(make: Callable[..., ShutdownAgent]) -> None:
    agent = make()
    shown = agent.folder / "shown"
    script = agent.folder / "show"
    script.write_text(f"#!/bin/sh\ncat >> {shown}\n")
    script.chmod(0o755)
    text = agent.configuration.read_text().replace("show = no", f"show = yes\ncommand = {script}")
    agent.configuration.write_text(text)
    await _begin(agent)
    card = Card(agent, "127.0.0.81")
    for content in (FAILED % b"42.00", FAILED % b"41.00", RESTORED, RESTORED):
        card.send(content)
        await asyncio.sleep(0.15)
    await until(lambda: shown.exists() and shown.read_text().count("\n") == 2, "two messages")
    assert shown.read_text().splitlines() == [
        "Power failure at SLC-20-CUBE3 (5): 42 minutes left.",
        "Power is back at SLC-20-CUBE3 (5).",
    ]


async def test_vote_of_an_address_that_is_no_longer_listed_does_not_count(make: Callable[..., ShutdownAgent]) -> None:
    agent = make(needed=2, shutdown_below=10)
    await _begin(agent)
    Card(agent, "127.0.0.81").send(FAILED % b"5")
    await agent.until_logged("waiting: 1 of 2")
    agent.kill()
    agent.configuration.write_text(agent.configuration.read_text().replace("127.0.0.81, ", ""))
    agent.start()
    await agent.until_logged("datagrams from 127.0.0.81 is no sender any more")
