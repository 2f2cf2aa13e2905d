"""Real processes: what they leave in this process is not Home Assistant's business."""

import pytest
import pytest_socket


@pytest.fixture(autouse=True)
def verify_cleanup() -> None:
    """Replace the harness's check for lingering threads: browsers and subprocess watchers live longer."""


@pytest.fixture(scope="module", autouse=True)
def real_sockets_for_a_whole_module() -> None:
    """Lift the harness's ban on sockets before fixtures of this scope start their processes."""
    pytest_socket._remove_restrictions()
