"""Fixtures of the BACnet feed's tests."""

import pytest


@pytest.fixture
def expected_lingering_timers() -> bool:
    """Let the stranger's client leave its timers behind; that we leave none is tested by itself."""
    return True
