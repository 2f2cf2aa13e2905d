"""Megatec links to scripted equipment, connected."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridethrough.clock import SystemClock
from ridethrough.links.base import Credentials, LinkUrl
from ridethrough.links.context import LinkContext
from ridethrough.links.megatec import MegatecLink
from ridethrough.links.ports import SerialPorts

from .conftest import Notebook
from .peers import SerialPeer

PATIENCE = 0.3
"""Seconds; as short as a busy machine allows."""


def megatec(peer: SerialPeer, ports: SerialPorts, **options: str) -> MegatecLink:
    """Make a link that is told its dialect: finding out takes time."""
    return detecting(peer, ports, **{"dialect": "megatec", **options})


def detecting(peer: SerialPeer, ports: SerialPorts, **options: str) -> MegatecLink:
    """Make a link that finds out which dialect is spoken."""
    url = LinkUrl("megatec", path=peer.path, options={"patience": str(PATIENCE), "baud": "115200", **options})
    return MegatecLink(url, Credentials(), LinkContext(SystemClock(), ports))


@asynccontextmanager
async def connected(link: MegatecLink, notebook: Notebook) -> AsyncIterator[asyncio.Task[None]]:
    """Run a link until its first status is there; it must not fail meanwhile."""
    running = asyncio.create_task(link.run(notebook))
    first = asyncio.create_task(notebook.until_poll())
    await asyncio.wait({running, first}, return_when=asyncio.FIRST_COMPLETED)
    try:
        if running.done():
            await running
        yield running
    finally:
        first.cancel()
        running.cancel()
        await asyncio.wait({running})
