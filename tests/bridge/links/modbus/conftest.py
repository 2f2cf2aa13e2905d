"""What the tests of the Modbus link share: a device that can be told what to do wrong, and a link that runs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest

from ridethrough.clock import SystemClock
from ridethrough.links.base import Credentials, Link
from ridethrough.links.context import LinkContext
from ridethrough.links.schemes import open_link
from tests.bridge.links.conftest import Notebook

from .standin import ONE_PHASE, Standin

type Running = Callable[[str], AbstractAsyncContextManager[Link]]


@pytest.fixture
async def context() -> AsyncIterator[LinkContext]:
    """Give what links share; ports are closed at the end."""
    shared = LinkContext.alone(SystemClock())
    yield shared
    await shared.ports.close()


@pytest.fixture
async def device() -> AsyncIterator[Standin]:
    """Put a UPS with one phase on a socket."""
    async with Standin(ONE_PHASE) as standin:
        yield standin


@asynccontextmanager
async def run_link(url: str, report: Notebook, context: LinkContext) -> AsyncIterator[Link]:
    """Have a link report while the block runs; what ends it ends the block."""
    link = open_link(url, Credentials(), context)
    async with asyncio.timeout(20):
        running = asyncio.ensure_future(link.run(report))
        inside = asyncio.current_task()
        assert inside is not None
        running.add_done_callback(lambda done: None if done.cancelled() else inside.cancel())
        try:
            yield link
        except asyncio.CancelledError:
            if running.done() and not running.cancelled():
                inside.uncancel()
                running.result()
            raise
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await running


@pytest.fixture
def running(notebook: Notebook, context: LinkContext) -> Running:
    """Run links that report to the notebook."""
    return lambda url: run_link(url, notebook, context)
