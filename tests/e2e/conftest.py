"""Real processes: what they leave in this process is not Home Assistant's business."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
import pytest_socket

from scripts.demonstration.stack import Stack


@pytest.fixture(autouse=True)
def verify_cleanup() -> None:
    """Replace the harness's check for lingering threads: browsers and subprocess watchers live longer."""


@pytest.fixture(scope="module", autouse=True)
def real_sockets_for_a_whole_module() -> None:
    """Lift the harness's ban on sockets before fixtures of this scope start their processes."""
    pytest_socket._remove_restrictions()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Everything, running, with the integration added."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        await stack.start_simulator()
        await stack.start_bridge()
        await asyncio.gather(stack.start_computers(), stack.start_home_assistant())
        await stack.add_entry()
        yield stack
    finally:
        await stack.stop()
