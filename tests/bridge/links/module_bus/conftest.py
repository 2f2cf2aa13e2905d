"""What the tests of the module bus share: a bus with modules, and a link that runs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import pytest

from ridethrough.battery.layout import Layout
from ridethrough.clock import Clock, SystemClock
from ridethrough.links.base import Credentials, LinkUrl
from ridethrough.links.context import LinkContext
from ridethrough.links.module_bus import ModuleBusLink, programmer, scanner
from ridethrough.links.ports import SerialPorts
from tests.bridge.links.conftest import Notebook

QUICK = "poll=0.05&guard=3"

type Running = Callable[..., AbstractAsyncContextManager[ModuleBusLink]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what takes seconds on a real bus take less of them: nobody here is far away."""
    monkeypatch.setattr(scanner, "LOST_BOX", 0.05)
    monkeypatch.setattr(scanner, "FASTEST", 0.05)
    monkeypatch.setattr(scanner, "FRONT", 4)
    monkeypatch.setattr(scanner, "ROLL_CALL", 0.2)
    monkeypatch.setattr(programmer, "PATIENCE", 0.02)
    monkeypatch.setattr(programmer, "EVERY", 0.02)


@asynccontextmanager
async def run_link(
    url: str, report: Notebook, *counts: int, sensors: int = 0, boxes: int = 0, clock: Clock | None = None
) -> AsyncIterator[ModuleBusLink]:
    """Have a link with strings of so many modules report while the block runs; what ends it ends the block."""
    clock = clock or SystemClock()
    ports = SerialPorts(clock)
    layout = Layout.of(counts, sensors=sensors, boxes=boxes) if counts else None
    link = ModuleBusLink(LinkUrl.parse(url), Credentials(), LinkContext(clock, ports, layout=layout))
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
            await ports.close()


@pytest.fixture
def running(notebook: Notebook) -> Running:
    """Run links that report to the notebook."""
    return lambda where, *counts, more="", **others: run_link(
        f"module_bus:{where}?{QUICK}{more}", notebook, *counts, **others
    )


async def until(holds: Callable[[], object | Awaitable[object]], seconds: float = 10.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.005)
