"""Invitations: who has the code is paired, and nobody else, whatever they try."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
import ssl
from typing import Any

from cryptography import x509
import pytest

from ridethrough.agents.pairing import GUESTS, WRONG, Invitation, Paired, PairingError
from ridethrough.agents.pairings import Pairing
from ridethrough.certificates import fingerprint
from ridethrough.config.agents import AgentConfig, AgentsConfig

from . import peer
from .peer import Papers, Peer, decode, pair, until
from .rig import ALL, Bridge

NAS = AgentConfig("nas", "NAS", "127.0.0.1")
CONFIG = AgentsConfig(port=0)


class Invited:
    """An open invitation."""

    def __init__(self, invitation: Invitation, said: list[str]) -> None:
        self.invitation = invitation
        self.said = said
        self.code = ""
        self.ended: asyncio.Task[Paired] | None = None

    async def pair(self, code: str | None = None, **more: object) -> peer.Frame:
        """Be an agent with this code."""
        return await pair("127.0.0.1", self.invitation.port, code or self.code, **more)

    async def outcome(self) -> Paired:
        """Return how it has ended."""
        assert self.ended is not None
        return await asyncio.wait_for(self.ended, 10)

    @property
    def wrong_code(self) -> str:
        """A code for the right bridge with a wrong secret."""
        raw = decode(self.code)
        return peer.encode(bytes(byte ^ 1 for byte in raw[:5]) + raw[5:])


@asynccontextmanager
async def invited(
    bridge: Bridge, config: AgentsConfig = CONFIG, agent: AgentConfig = NAS, valid: float = 60.0
) -> AsyncIterator[Invited]:
    """Invite an agent."""
    said: list[str] = []
    own = bridge.world.context.bridge
    invitation = Invitation(
        agent,
        bridge.id(agent.key),
        (own.id, own.name),
        config,
        bridge.authority,
        bridge.pairings,
        bridge.clock,
        said.append,
    )
    found = Invited(invitation, said)

    def show(code: str) -> None:
        found.code = code

    found.ended = asyncio.create_task(invitation.hold(show, valid))
    await until(lambda: found.code)
    try:
        yield found
    finally:
        found.ended.cancel()
        await asyncio.gather(found.ended, return_exceptions=True)


async def test_who_has_the_code_is_paired_and_then_connected_to(bridge: Bridge) -> None:
    async with invited(bridge) as invitation:
        assert len(decode(invitation.code)) == 15
        assert all(len(group) == 4 for group in invitation.code.split("-"))
        answer = await invitation.pair()
        assert await invitation.outcome() == Paired("nas.local", "127.0.0.1", 6004, "1.0.0")
    assert answer["type"] == "paired"
    assert (answer["agent"], answer["name"]) == (bridge.id(), "NAS")
    assert answer["bridge"] == {"id": bridge.world.context.bridge.id, "name": "Test bridge"}
    papers = Papers(*(answer[key].encode() for key in ("ca", "certificate", "key")))
    certificate = x509.load_pem_x509_certificate(papers.certificate)
    assert (await bridge.pairings.all())["nas"] == Pairing(
        fingerprint(certificate), bridge.clock.utc(), "nas.local", "1.0.0", "127.0.0.1"
    )
    agent = bridge.peers["nas"] = Peer(bridge.id(), papers, bridge.world.folder)
    await agent.start()
    await bridge.configure(replace(NAS, port=agent.port, allow=ALL))
    await bridge.until(lambda: bridge.on("agent_connected"))


async def test_a_code_is_good_for_one_agent_only(bridge: Bridge) -> None:
    async with invited(bridge) as invitation:
        await invitation.pair()
        await invitation.outcome()
        with pytest.raises(OSError):
            await invitation.pair()


async def test_five_wrong_codes_end_the_invitation(bridge: Bridge) -> None:
    async with invited(bridge) as invitation:
        for _ in range(WRONG):
            assert (await invitation.pair(invitation.wrong_code))["type"] == "refused"
        with pytest.raises(PairingError, match=r"Too many wrong codes came, the last from 127\.0\.0\.1"):
            await invitation.outcome()
        with pytest.raises(OSError):
            await invitation.pair()
    assert await bridge.pairings.all() == {}


async def test_a_wrong_code_does_not_keep_the_right_one_out(bridge: Bridge) -> None:
    async with invited(bridge) as invitation:
        assert (await invitation.pair(invitation.wrong_code))["type"] == "refused"
        assert invitation.said == ["Somebody at 127.0.0.1 has a wrong code (1 of 5)."]
        assert (await invitation.pair())["type"] == "paired"


async def test_an_agent_notices_another_bridge_before_it_says_anything(bridge: Bridge) -> None:
    async with invited(bridge) as first, invited(bridge) as second:
        with pytest.raises(ValueError, match="not the bridge"):
            await second.pair(first.code)
        assert second.said == []


async def test_an_invitation_nobody_takes_ends(bridge: Bridge) -> None:
    async with invited(bridge, valid=0.2) as invitation:
        with pytest.raises(PairingError, match="Nobody has paired NAS within"):
            await invitation.outcome()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        pytest.param({"protocol": 2}, "it talks version 2 of the protocol, this bridge 1", id="version"),
        pytest.param({"type": "hello"}, "it sent something else than its request to be paired", id="type"),
        pytest.param({"port": "all"}, "its port is no whole number from 1 to 65535", id="port"),
        pytest.param({"name": "x" * 9000}, "it sent a frame that is too long", id="long"),
    ],
)
async def test_what_is_no_request_is_refused_and_costs_no_attempt(
    bridge: Bridge, more: dict[str, Any], told: str
) -> None:
    async with invited(bridge) as invitation:
        for _ in range(WRONG + 1):
            answer = await invitation.pair(**more)
            assert answer["type"] == "refused"
            assert told in answer["message"]
        assert (await invitation.pair())["type"] == "paired"


async def test_those_who_only_wait_keep_nobody_out(bridge: Bridge) -> None:
    async with invited(bridge) as invitation:
        idle = [await asyncio.open_connection("127.0.0.1", invitation.invitation.port) for _ in range(3 * GUESTS)]
        assert (await invitation.pair())["type"] == "paired"
        await invitation.outcome()
        for _, writer in idle:
            writer.close()


async def test_who_comes_from_elsewhere_is_turned_away_before_any_tls(bridge: Bridge) -> None:
    config = replace(CONFIG, clients=(ip_network("192.0.2.0/24"),))
    async with invited(bridge, config) as invitation:
        with pytest.raises((OSError, ssl.SSLError)):
            await invitation.pair()
        assert invitation.said == ["Somebody at 127.0.0.1 is turned away: agents: clients: does not have this address."]


async def test_who_comes_from_the_right_network_is_let_in(bridge: Bridge) -> None:
    config = replace(CONFIG, clients=(ip_network("127.0.0.0/8"),))
    async with invited(bridge, config) as invitation:
        assert (await invitation.pair())["type"] == "paired"


async def test_what_is_not_tls_costs_nothing(bridge: Bridge) -> None:
    async with invited(bridge) as invitation:
        reader, writer = await asyncio.open_connection("127.0.0.1", invitation.invitation.port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n" * 1000)
        while await reader.read(1000):
            pass
        writer.close()
        assert (await invitation.pair())["type"] == "paired"


async def test_the_earlier_pairing_holds_when_the_connection_breaks(bridge: Bridge) -> None:
    await bridge.paired(start=False)
    before = await bridge.pairings.all()
    async with invited(bridge) as invitation:
        await peer.break_off("127.0.0.1", invitation.invitation.port, invitation.code)
        await until(lambda: invitation.said)
        assert "try again" in invitation.said[0]
        assert await bridge.pairings.all() == before
        assert (await invitation.pair())["type"] == "paired"
        await invitation.outcome()
    assert await bridge.pairings.all() != before


async def test_a_name_made_to_be_read_by_people_is_cleaned(bridge: Bridge) -> None:
    async with invited(bridge) as invitation:
        await invitation.pair(name="nas\x1b[2J\n\u202efake log line " + "x" * 300)
        paired = await invitation.outcome()
    assert paired.name.isprintable()
    assert len(paired.name) == 100


async def test_what_cannot_be_remembered_ends_the_invitation(bridge: Bridge) -> None:
    async with invited(bridge) as invitation:
        await bridge.world.store.__aexit__(None, None, None)
        with pytest.raises(Exception, match="is closed"):
            await asyncio.gather(invitation.outcome(), invitation.pair())
