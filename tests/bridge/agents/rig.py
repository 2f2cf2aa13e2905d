"""A bridge with a roster of agents, and the agents played by tests."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ridethrough.agents import AgentContext, Limits, Roster
from ridethrough.agents.authority import Authority, open_authority
from ridethrough.agents.pairings import Pairing, Pairings
from ridethrough.catalogue import Role
from ridethrough.clock import ManualClock
from ridethrough.config.agents import AgentConfig, AgentsConfig
from ridethrough.events.orders import Order
from ridethrough.feeds import Client
from ridethrough.site import CommandResult, ConditionState, DeviceId, Reading, Value
from tests.bridge.feeds.rig import World, a_world

from .peer import Papers, Peer, until

ALL = frozenset({"message", "execute", "shutdown", "start"})
LIMITS = Limits(connect=1.0, greet=2.0, answer=1.0, measure=1.0)
ALIVE = 10.0
PERSON = Client("Ada", Role.ADMIN)


@dataclass
class Bridge:
    """What a test holds in its hands."""

    world: World
    clock: ManualClock
    roster: Roster
    authority: Authority
    pairings: Pairings
    config: AgentsConfig = AgentsConfig(alive=ALIVE)
    peers: dict[str, Peer] = field(default_factory=dict)

    def id(self, key: str = "nas") -> DeviceId:
        """Return the identity of an agent."""
        return self.world.store.identities.mint(key)

    async def paired(self, key: str = "nas", *, start: bool = True, **more: Any) -> Peer:
        """Pair an agent, without the conversation about it, and let it listen."""
        signed = self.authority.agent(self.id(key))
        await self.pairings.put(
            key, Pairing(signed.fingerprint, self.clock.utc(), "nas.local"), self.authority.fingerprint
        )
        papers = Papers(self.authority.pem, signed.certificate, signed.key)
        peer = self.peers[key] = Peer(self.id(key), papers, self.world.folder, **more)
        if start:
            await peer.start()
        return peer

    async def agent(self, key: str = "nas", *, allow: frozenset[str] = ALL, **more: Any) -> Peer:
        """Have a paired agent in the configuration, and connect to it."""
        settings = {
            name: more.pop(name)
            for name in list(more)
            if name in AgentConfig.__dataclass_fields__ and name not in {"host", "port"}
        }
        peer = await self.paired(key, **more)
        one = AgentConfig(key, key.upper(), peer.host, peer.port, allow=allow, mac="00:11:22:33:44:55")
        await self.configure(*self.config.computers, replace(one, **settings))
        return peer

    async def connected(self, key: str = "nas", **more: Any) -> Peer:
        """Have a paired agent that is connected and has been pinged."""
        peer = await self.agent(key, **more)
        await self.until(lambda: self.on("agent_connected", key))
        return peer

    async def configure(self, *computers: AgentConfig) -> list[str]:
        """Have these agents."""
        self.config = replace(self.config, computers=computers)
        return await self.roster.configure(self.config)

    async def until(self, condition: Callable[[], object], *, step: float = 0.25, seconds: float = 5.0) -> None:
        """Let time pass until something is so."""
        await until(condition, seconds, lambda: self.clock.advance(step))

    async def passes(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass, slowly enough for others to answer."""
        for _ in range(round(seconds / step)):
            await self.clock.advance(step)
            await asyncio.sleep(0.005)

    def reading(self, point: str, key: str = "nas") -> Reading | None:
        """Look at a point of an agent."""
        return self.world.site.reading(self.id(key), point)

    def value(self, point: str, key: str = "nas") -> Value | None:
        """Look at the value of a point."""
        reading = self.reading(point, key)
        return None if reading is None else reading.value

    def condition(self, name: str, key: str = "nas") -> ConditionState | None:
        """Look at a condition of an agent."""
        return self.world.site.conditions(self.id(key)).get(name)

    def on(self, name: str, key: str = "nas") -> bool:
        """Whether a condition is active."""
        found = self.condition(name, key)
        return found is not None and found.active

    async def give(self, command: str, key: str = "nas", **arguments: Value) -> CommandResult:
        """Give a command as people and jobs do."""
        return await self.world.context.orders.give(Order(self.id(key), command, arguments), PERSON)

    def mapped(self) -> Mapping[str, str]:
        """Return the states of all agents by key."""
        return {key: str(computer.state) for key, computer in self.roster.computers.items()}


def context_of(world: World, clock: ManualClock) -> AgentContext:
    """Make what a roster is given."""
    return AgentContext(
        site=world.site,
        commands=world.commands,
        clock=clock,
        facts=world.store.facts,
        bridge=world.context.bridge,
        mint=world.store.identities.mint,
        data=world.folder,
    )


@asynccontextmanager
async def a_bridge(folder: Path, clock: ManualClock | None = None, limits: Limits = LIMITS) -> AsyncIterator[Bridge]:
    """Make a bridge without agents; what is in the folder is what an earlier one has left there."""
    clock = clock or ManualClock()
    async with a_world(folder, clock) as world:
        await world.recorder.restore()
        pairings = Pairings(world.store.facts)
        authority = open_authority(folder, world.context.bridge.id, await pairings.authority())
        bridge = Bridge(world, clock, Roster(context_of(world, clock), limits), authority, pairings)
        try:
            yield bridge
        finally:
            await bridge.roster.stop()
            for peer in bridge.peers.values():
                await peer.stop()
