"""A device server on a free port, and links to it that are connected."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ridethrough.clock import SystemClock
from ridethrough.links.base import Credentials, LinkUrl
from ridethrough.links.contacts import ContactsLink
from ridethrough.links.context import LinkContext
from tests.bridge.links.conftest import Notebook

from .server import DeviceServer


@pytest.fixture
async def server() -> AsyncIterator[DeviceServer]:
    """Serve the lines of a port."""
    async with DeviceServer() as serving:
        yield serving


def link_to(server: DeviceServer, options: str) -> ContactsLink:
    """Make a link to the port of a device server."""
    url = LinkUrl.parse(f"contacts://127.0.0.1:{server.port}?debounce=0&{options}")
    return ContactsLink(url, Credentials(), LinkContext.alone(SystemClock()))


@asynccontextmanager
async def running(link: ContactsLink, notebook: Notebook) -> AsyncIterator[asyncio.Task[None]]:
    """Run a link until its first status is there; it must not fail meanwhile."""
    task = asyncio.create_task(link.run(notebook))
    first = asyncio.create_task(notebook.until_poll())
    try:
        async with asyncio.timeout(10):
            await asyncio.wait({task, first}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        yield task
    finally:
        first.cancel()
        task.cancel()
        await asyncio.wait({task})
