"""What the tests of the SNMP link share: a link against an agent that serves what it is given."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from ridethrough.clock import SystemClock
from ridethrough.links.base import Credentials, LinkUrl
from ridethrough.links.context import LinkContext, Traps
from ridethrough.links.ports import SerialPorts
from ridethrough.links.probe import Sheet
from ridethrough.links.snmp import SnmpLink
from tests.peers.snmpagent import SnmpAgent

type Connect = Callable[..., "Running"]


class Running:
    """A link that runs, and everything it has reported."""

    def __init__(self, link: SnmpLink) -> None:
        self.link = link
        self.sheet = Sheet()
        self.task = asyncio.ensure_future(link.run(self.sheet))

    async def until_statuses(self, number: int) -> None:
        """Wait for so many statuses in all. Raises what the link has ended with."""
        await self.until(lambda: self.sheet.statuses >= number)

    async def until(self, holds: Callable[[], bool], timeout: float = 20) -> None:
        async with asyncio.timeout(timeout):
            while not holds():
                if self.task.done():
                    self.task.result()
                await asyncio.sleep(0.01)


def snmp_link(
    agent: SnmpAgent, query: str = "poll=1&timeout=0.3", traps: Traps | None = None, **credentials: str
) -> SnmpLink:
    """Make a link to an agent; nothing is sent yet."""
    url = LinkUrl.parse(f"snmp://{agent.host}:{agent.port}?{query}")
    clock = SystemClock()
    return SnmpLink(url, Credentials(**credentials), LinkContext(clock, SerialPorts(clock), traps))


@asynccontextmanager
async def running(
    agent: SnmpAgent, query: str = "poll=1&timeout=0.3", traps: Traps | None = None, **credentials: str
) -> AsyncIterator[Running]:
    """Run a link against an agent until the block ends."""
    connection = Running(snmp_link(agent, query, traps, **credentials))
    try:
        yield connection
    finally:
        connection.task.cancel()
        await asyncio.gather(connection.task, return_exceptions=True)


async def ended(agent: SnmpAgent, query: str = "poll=1&timeout=0.3", **credentials: str) -> str:
    """Run a link until it gives up; the sentence it gives up with."""
    async with running(agent, query, None, **credentials) as connection:
        with pytest.raises(Exception) as caught:
            await asyncio.wait_for(connection.task, 30)
    return f"{caught.type.__name__}: {caught.value}"
