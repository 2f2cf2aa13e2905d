"""What the agent's tests share: paired agents that are stopped in the end."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import itertools
from pathlib import Path
from typing import Any

import pytest

from ridethrough_agent.bridges import Bridges
from tests.agent.sender import Authority, Sender
from tests.peers.shutdown_agent import ShutdownAgent


@dataclass
class Paired:
    """An agent and the bridges that it is paired with."""

    agent: ShutdownAgent
    bridges: list[tuple[Authority, str]]

    def sender(self, number: int = 0, **options: Any) -> Sender:
        """Connect as that bridge."""
        authority, agent = self.bridges[number]
        return Sender(authority, agent, self.agent.address, self.agent.port, **options)


_BLOCKS = itertools.count(20)


@pytest.fixture
def agents(tmp_path: Path) -> Iterator[Callable[..., ShutdownAgent]]:
    """Make agents; each is stopped in the end, and its processes are ours alone."""
    made: list[ShutdownAgent] = []

    def make(name: str = "nas", address: str | None = None, **options: Any) -> ShutdownAgent:
        agent = ShutdownAgent(tmp_path / name, address or f"127.0.{next(_BLOCKS) % 250}.1", **options)
        made.append(agent)
        return agent

    yield make
    for agent in made:
        agent.stop()


def pair(agent: ShutdownAgent, *authorities: Authority) -> Paired:
    """Pair an agent with bridges; how that goes over the network is a matter of its own tests."""
    kept = Bridges(agent.state / "bridges")
    bridges = []
    for authority in authorities:
        own, identity = authority.agent()
        texts = (identity.key_text, identity.certificate_text, authority.root.certificate_text)
        kept.add(authority.id, authority.name, own, *texts)
        bridges.append((authority, own))
    return Paired(agent, bridges)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Make a bridge."""
    return Authority(tmp_path / "authority")


@pytest.fixture(scope="module")
def _kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[Paired]]]:
    kept: list[Paired] = []
    yield tmp_path_factory.mktemp("shared"), kept
    for paired in kept:
        paired.agent.stop()


@pytest.fixture
async def shared(_kept: tuple[Path, list[Paired]]) -> Paired:
    """One running agent for all the tests of a module that leave it as they found it."""
    folder, kept = _kept
    if not kept:
        agent = ShutdownAgent(folder / "nas", f"127.0.{next(_BLOCKS) % 250}.2")
        kept.append(pair(agent, Authority(folder / "authority")))
        agent.start()
        await agent.until_listening()
    return kept[0]


@pytest.fixture
async def paired(agents: Callable[..., ShutdownAgent], authority: Authority) -> Paired:
    """Start an agent that is paired with one bridge."""
    found = pair(agents(), authority)
    found.agent.start()
    await found.agent.until_listening()
    return found
