"""What the tests of the web manager's links share."""

from collections.abc import AsyncIterator

import pytest

from ridethrough.clock import SystemClock
from ridethrough.links.context import LinkContext
from tests.bridge.links.conftest import Notebook
from tests.bridge.links.modbus.conftest import Running, run_link


@pytest.fixture
async def context() -> AsyncIterator[LinkContext]:
    """Give what links share; ports are closed at the end."""
    shared = LinkContext.alone(SystemClock())
    yield shared
    await shared.ports.close()


@pytest.fixture
def running(notebook: Notebook, context: LinkContext) -> Running:
    """Run links that report to the notebook."""
    return lambda url: run_link(url, notebook, context)
