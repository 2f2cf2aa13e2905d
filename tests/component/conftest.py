"""Home Assistant with this repository's integration."""

import pytest


@pytest.fixture(autouse=True)
def this_integration(request: pytest.FixtureRequest) -> None:
    """Let Home Assistant find `custom_components/ridethrough`."""
    # A recorder must be there before Home Assistant is.
    if "recorder_mock" in request.fixturenames:
        request.getfixturevalue("recorder_mock")
    request.getfixturevalue("enable_custom_integrations")
